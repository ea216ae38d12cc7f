/**
 * A name and what must not be taken for it change places as fast as a program can make them, while fastsync runs again
 * and again. Whatever it does in between, what lies outside must not be touched, not even read, and none of it may leak.
 *
 *     until the time is over:
 *       let the race prepare the round; forget what the witness saw
 *       let the flipper go; run fastsync; hold the flipper still
 *       fail when the witness saw anything, when the outside differs, or when its secret is in the target
 *       put every name back
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { diffTrees } from "../support/diff.ts";
import { daemonFor, PLACEMENT, type Placement, placed } from "../support/placement.ts";
import { ROOT } from "../support/program.ts";
import { describe as describeResult, fastsync, isRoot, ORDINARY_USER, type ProcessOptions } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import type { TempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { startProgram } from "./c/programs.ts";
import { quickDir } from "./moments.ts";

export const SECRET = "the secret of the outside";

/** How long a race runs in each place, as each user. */
export const RACE_MS = Number(process.env["FASTSYNC_RACE_MS"] ?? 500);

export interface RacePlaces {
  readonly dir: TempDir;
  readonly source: string;
  readonly target: string;
  /** Outside both, on the same filesystem: what must not change nor leak. */
  readonly outside: string;
}

/** What takes a name's place. */
export interface Impostor {
  make(path: string): void;
  /** Whether it stands at `path` now. */
  is(path: string): boolean;
}

/** A symbolic link; of `owner` where that is not the user of the run. */
export function linkTo(text: string, owner?: number): Impostor {
  return {
    make: (path) => {
      symlinkSync(text, path);
      if (owner !== undefined) spawnSync("chown", ["-h", `${owner}:${owner}`, path]);
    },
    is: (path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true,
  };
}

/** Another name of the file at `outside`. */
export function nameOf(outside: string): Impostor {
  return {
    make: (path) => linkSync(outside, path),
    is: (path) => lstatSync(path, { throwIfNoEntry: false })?.ino === lstatSync(outside).ino,
  };
}

export interface Race {
  /** Makes the trees. Called once, before the flips begin. */
  readonly build: (places: RacePlaces) => void;
  /** What is exchanged, each with an impostor of its own. */
  readonly flips: (places: RacePlaces) => { readonly names: readonly string[]; readonly impostor: Impostor };
  /** Puts back what a run took away, while nothing flips and every name is where it belongs. */
  readonly before?: (places: RacePlaces, round: number, names: readonly string[]) => void;
  readonly words: (places: RacePlaces, round: number) => readonly string[];
  /** What else must hold after each run: why it does not, or undefined. */
  readonly holds?: (places: RacePlaces) => string | undefined;
  /** Exit codes that are no failure here, beside those of any disturbed run. */
  readonly mayEnd?: readonly number[];
}

/** Where the sides of a run are, and as whom it runs. */
export interface RaceCell {
  readonly placement: Placement | "local";
  readonly user: "root" | "ordinary";
}

/** Documented ends of a run that is disturbed. */
const ENDS = new Set([0, 3, 11, 23, 24, 25]);

export interface RaceOutcome {
  readonly runs: number;
  readonly swaps: number;
  /** Runs by exit code. */
  readonly ends: ReadonlyMap<number, number>;
}

/** Runs the race for `ms`; throws when anything outside was touched or leaked. */
export async function race(race: Race, { placement, user }: RaceCell, ms: number): Promise<RaceOutcome> {
  using dir = quickDir();
  const places: RacePlaces = {
    dir,
    source: dir.join("source"),
    target: dir.join("target"),
    outside: dir.join("outside"),
  };
  for (const path of [places.source, places.target]) mkdirSync(path);
  race.build(places);
  const { names, impostor } = race.flips(places);
  const pairs = names.map((name, index) => [name, dir.join(`the-other${index}`)] as const);
  for (const [, other] of pairs) impostor.make(other);
  const options: ProcessOptions = user === "ordinary" && isRoot() ? { asUser: ORDINARY_USER } : {};
  const isGivenAway = options.asUser !== undefined;
  if (isGivenAway) giveAway(dir.path);
  /* With one placement for all tests the words are placed where the run is started. */
  const isPlacedHere = PLACEMENT === undefined && placement !== "local";
  const port = isPlacedHere ? daemonFor(options).port : 0;
  const sentinel = takeSnapshot(places.outside);
  const ends = new Map<number, number>();
  let runs = 0;
  await using witness = await startProgram("witness", [places.outside]);
  await using flipper = await startProgram("flipper", pairs.flat());
  await flipper.pause();
  for (const [name, other] of pairs) putBack(name, other, impostor);
  for (const endMs = performance.now() + ms; performance.now() < endMs || runs < 2; runs++) {
    race.before?.(places, runs, names);
    if (isGivenAway) giveAway(dir.path);
    await witness.ask();
    const words = race.words(places, runs);
    flipper.proceed();
    const result = await fastsync(isPlacedHere ? placed(words, placement, port, ROOT) : words, {
      ...options,
      timeoutMs: 20_000,
    });
    const fail = (what: string): never => {
      throw new Error(`${what}\nrun ${runs}: ${words.join(" ")}\n${describeResult(result)}`);
    };
    ends.set(result.exitCode, (ends.get(result.exitCode) ?? 0) + 1);
    await flipper.pause();
    const seen = await witness.ask();
    const broken = race.holds?.(places);
    if (broken !== undefined) fail(broken);
    for (const [name, other] of pairs) putBack(name, other, impostor);
    const changed = diffTrees(sentinel, places.outside);
    if (changed.length > 0) fail(`the outside changed: ${changed.join("; ")}`);
    if (seen.length > 0) fail(`the outside was touched: ${seen.slice(0, 20).join("; ")}`);
    const leak = findSecret(places.target);
    if (leak !== "") fail(`the secret leaked to ${leak}`);
    if (!ENDS.has(result.exitCode) && race.mayEnd?.includes(result.exitCode) !== true)
      fail("an end that is not documented");
  }
  flipper.proceed();
  const swaps = Number(await flipper.stop());
  return { runs, swaps, ends };
}

/**
 * Gives a name back to what it belongs to, and the other name to the impostor. A run may rightly have replaced or removed
 * what it met: then the impostor is made anew.
 */
function putBack(name: string, other: string, impostor: Impostor): void {
  const [isAtName, isAtOther] = [impostor.is(name), impostor.is(other)];
  /* A rename of what had a temporary name may have met an impostor, and given it this name. */
  if (isAtName && isAtOther) rmSync(name, { recursive: true, force: true });
  if (isAtOther) return;
  const aside = `${other}.aside`;
  if (isAtName) renameSync(name, aside);
  else impostor.make(aside);
  if (isAtName && lstatSync(other, { throwIfNoEntry: false }) !== undefined) renameSync(other, name);
  rmSync(other, { recursive: true, force: true });
  renameSync(aside, other);
}

/** Files that hold the secret, and links whose text does, below `root`. */
function findSecret(root: string): string {
  if (!existsSync(root)) return "";
  const files = spawnSync("grep", ["-rlF", "--devices=skip", "--", SECRET, root], { encoding: "utf8" }).stdout;
  return files + spawnSync("find", [root, "-lname", `*${SECRET}*`], { encoding: "utf8" }).stdout;
}

function giveAway(path: string): void {
  spawnSync("chown", ["-hR", `${ORDINARY_USER}:${ORDINARY_USER}`, path]);
  chmodSync(path, 0o755);
}

/** A tree of every kind of entry that a run can make or mend; `version` changes contents, modes, owners and times. */
export function fillTree(root: string, version: number, entries = 24): void {
  mkdirSync(root, { recursive: true });
  const tree = new TreeBuilder(root);
  const mtimeNs = 1_500_000_000_000_000_000n + BigInt(version) * 1_000_000_000n;
  const mode = version % 2 === 0 ? 0o640 : 0o600;
  const owner = isRoot() ? { uid: 1000 + version, gid: 1000 + version } : {};
  const changing = { mode, mtimeNs: 1n, ...owner };
  for (let i = 0; i < entries; i++) tree.file(`file${i}`, `content ${i} of version ${version}`, { mode, mtimeNs });
  tree.file("attributes", "same", { ...changing, xattrs: { "user.version": String(version) } });
  const acl = `user::rw-,user:${1 + (version % 2)}:r--,group::r--,mask::r--,other::---`;
  tree.file("acl", "same", { mtimeNs: 1n, ...owner, acl });
  tree.symlink("link", `nowhere-${version}`, { mtimeNs, ...owner });
  tree.special("fifo", "fifo", [0, 0], { mode, mtimeNs });
  tree.file("hard-a", `hard ${version}`, { mtimeNs }).hardlink("hard-b", "hard-a");
  tree.dir("inner", { mode: version % 2 === 0 ? 0o755 : 0o700, mtimeNs });
  tree.file("inner/deep/file", `deep ${version}`, { mode, mtimeNs });
  tree.dir("empty", { mtimeNs });
  const own = { mode: version % 2 === 0 ? 0o755 : 0o750, mtimeNs, xattrs: { "user.version": String(version) } };
  tree.dir("", { ...own, ...owner });
  tree.finish();
}

/** The outside: the names of `fillTree`, with contents, modes, times and attributes of their own, and some more. */
export function fillOutside(root: string): void {
  mkdirSync(root, { recursive: true });
  const tree = new TreeBuilder(root);
  const kept = { mode: 0o604, mtimeNs: 1_234_567_890_123_456_789n, xattrs: { "user.kept": "yes" } };
  for (let i = 0; i < 24; i++) tree.file(`file${i}`, SECRET, kept);
  for (const name of ["attributes", "acl", "hard-a", "hard-b", "extra", "inner/deep/file", "inner/extra", "secret"])
    tree.file(name, SECRET, kept);
  tree.symlink("link", SECRET, { mtimeNs: 5n });
  tree.dir("inner/deep", { mode: 0o705, mtimeNs: 77n });
  tree.dir("inner", { mode: 0o705, mtimeNs: 77n });
  tree.dir("empty", { mode: 0o705, mtimeNs: 77n });
  tree.dir("", { mode: 0o705, mtimeNs: 77n });
  tree.finish();
}
