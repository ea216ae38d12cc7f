/**
 * A directory and a symbolic link to a place outside change places as fast as a program can make them, while fastsync
 * runs again and again. Whatever it does in between, the outside must stay as it was, and none of it may leak.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { diffTrees } from "../support/diff.ts";
import { describe as describeResult, fastsync, isRoot, ORDINARY_USER, type ProcessOptions } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import type { TempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { startProgram } from "./c/programs.ts";
import { quickDir } from "./moments.ts";

export const SECRET = "the secret of the outside";

export interface RacePlaces {
  readonly dir: TempDir;
  readonly source: string;
  readonly target: string;
  /** Outside both, on the same filesystem: what must not change nor leak. */
  readonly outside: string;
}

export interface Race {
  /** Makes the trees. Called once, before the flips begin. */
  readonly build: (places: RacePlaces) => void;
  /** What is exchanged, each with a link of its own to `linkTo`. */
  readonly flips: (places: RacePlaces) => { readonly names: readonly string[]; readonly linkTo: string };
  /** Puts back what a run took away, while nothing flips. `real`: where the things stand that are not links. */
  readonly before?: (places: RacePlaces, round: number, real: readonly string[]) => void;
  readonly words: (places: RacePlaces, round: number) => readonly string[];
}

/** Documented ends of a run that is disturbed. */
const ENDS = new Set([0, 3, 11, 23, 24, 25]);

export interface RaceOutcome {
  readonly runs: number;
  readonly swaps: number;
  /** Runs by exit code. */
  readonly ends: ReadonlyMap<number, number>;
}

/** Runs the race for `ms`; throws when anything outside changed or leaked. */
export async function race(race: Race, user: "root" | "ordinary", ms: number): Promise<RaceOutcome> {
  using dir = quickDir();
  const places: RacePlaces = {
    dir,
    source: dir.join("source"),
    target: dir.join("target"),
    outside: dir.join("outside"),
  };
  for (const path of [places.source, places.target]) mkdirSync(path);
  race.build(places);
  const { names, linkTo } = race.flips(places);
  const pairs = names.map((name, index) => [name, dir.join(`the-other${index}`)] as const);
  for (const [, other] of pairs) symlinkSync(linkTo, other);
  const options: ProcessOptions = user === "ordinary" && isRoot() ? { asUser: ORDINARY_USER } : {};
  if (options.asUser !== undefined) giveAway(dir.path);
  const sentinel = takeSnapshot(places.outside);
  const ends = new Map<number, number>();
  let runs = 0;
  await using flipper = await startProgram("flipper", pairs.flat());
  for (const endMs = performance.now() + ms; performance.now() < endMs || runs < 2; runs++) {
    await flipper.pause();
    const real = pairs.map(([name, other]) => keepLink(name, other, linkTo));
    race.before?.(places, runs, real);
    if (options.asUser !== undefined) giveAway(dir.path);
    flipper.proceed();
    const result = await fastsync(race.words(places, runs), { ...options, timeoutMs: 20_000 });
    ends.set(result.exitCode, (ends.get(result.exitCode) ?? 0) + 1);
    if (!ENDS.has(result.exitCode)) throw new Error(`an end that is not documented\n${describeResult(result)}`);
    const changed = diffTrees(sentinel, places.outside);
    if (changed.length > 0) throw new Error(`the outside changed: ${changed.join("; ")}\n${describeResult(result)}`);
    const leak = findSecret(places.target);
    if (leak !== "") throw new Error(`the secret leaked to ${leak}\n${describeResult(result)}`);
  }
  const swaps = Number(await flipper.stop());
  return { runs, swaps, ends };
}

/** A run may rightly put a directory or file where it met the link: then the other name becomes the link again. */
function keepLink(name: string, other: string, linkTo: string): string {
  const links = [name, other].filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink());
  if (links.length > 1) throw new Error("two links: the race has lost its subject");
  if (links.length === 0) {
    rmSync(other, { recursive: true, force: true });
    symlinkSync(linkTo, other);
    return name;
  }
  return links[0] === name ? other : name;
}

/** Files that hold the secret, and links whose text does, below `root`. */
function findSecret(root: string): string {
  if (!existsSync(root)) return "";
  return spawnSync("grep", ["-rlF", "--", SECRET, root], { encoding: "utf8" }).stdout;
}

function giveAway(path: string): void {
  spawnSync("chown", ["-hR", `${ORDINARY_USER}:${ORDINARY_USER}`, path]);
  chmodSync(path, 0o755);
}

/** A tree of every kind of entry that a run can make or mend; `version` changes contents, modes and times. */
export function fillTree(root: string, version: number, entries = 24): void {
  mkdirSync(root, { recursive: true });
  const tree = new TreeBuilder(root);
  const mtimeNs = 1_500_000_000_000_000_000n + BigInt(version) * 1_000_000_000n;
  const mode = version % 2 === 0 ? 0o640 : 0o600;
  for (let i = 0; i < entries; i++) tree.file(`file${i}`, `content ${i} of version ${version}`, { mode, mtimeNs });
  tree.file("attributes", "same", { mode, mtimeNs: 1n, xattrs: { "user.version": String(version) } });
  tree.symlink("link", `nowhere-${version}`, { mtimeNs });
  tree.special("fifo", "fifo", [0, 0], { mode, mtimeNs });
  tree.file("hard-a", `hard ${version}`, { mtimeNs }).hardlink("hard-b", "hard-a");
  tree.dir("inner", { mode: version % 2 === 0 ? 0o755 : 0o700, mtimeNs });
  tree.file("inner/deep/file", `deep ${version}`, { mode, mtimeNs });
  tree.dir("empty", { mtimeNs });
  tree.finish();
}

/** The outside: the names of `fillTree`, with contents, modes, times and attributes of their own, and some more. */
export function fillOutside(root: string): void {
  mkdirSync(root, { recursive: true });
  const tree = new TreeBuilder(root);
  const kept = { mode: 0o604, mtimeNs: 1_234_567_890_123_456_789n, xattrs: { "user.kept": "yes" } };
  for (let i = 0; i < 24; i++) tree.file(`file${i}`, SECRET, kept);
  for (const name of ["attributes", "hard-a", "hard-b", "extra", "inner/deep/file", "inner/extra", "secret"])
    tree.file(name, SECRET, kept);
  tree.symlink("link", SECRET, { mtimeNs: 5n });
  tree.dir("inner/deep", { mode: 0o705, mtimeNs: 77n });
  tree.dir("inner", { mode: 0o705, mtimeNs: 77n });
  tree.dir("empty", { mode: 0o705, mtimeNs: 77n });
  tree.dir("", { mode: 0o705, mtimeNs: 77n });
  tree.finish();
}
