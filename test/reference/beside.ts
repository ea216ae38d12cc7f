/**
 * fastsync and rsync beside each other: the same trees, the flags of each that mean the same, and the differ over what
 * came of it. Where they agree the results are equal; where they differ the differences are those that are written down,
 * so that a new one is noticed as well as one that went.
 */
import { describe, expect, test } from "bun:test";
import { chownSync } from "node:fs";
import { because, behavioursMissing, onEachFilesystem } from "../behaviours/behaviour.ts";
import { type DiffOptions, diffTrees } from "../support/diff.ts";
import { setTimes } from "../support/libc.ts";
import { RSYNC_FULL, rsyncMissing } from "../support/oracle.ts";
import {
  type Argument,
  fastsync,
  ORDINARY_USER,
  type ProcessOptions,
  type ProcessResult,
  describe as shown,
  start,
} from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import type { TempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";

export const referenceMissing: string | undefined = behavioursMissing ?? rsyncMissing;

export interface Places {
  readonly dir: TempDir;
  readonly source: string;
  /** The targets. */
  readonly ours: string;
  readonly theirs: string;
}

export interface Case {
  /** One or more ids. */
  readonly rows: string;
  readonly title: string;
  readonly source: (tree: TreeBuilder, dir: TempDir) => void;
  /** What each target holds before; absent: there is no target yet. */
  readonly target?: (tree: TreeBuilder, dir: TempDir) => void;
  /** Flags; of rsync beside -aHAXS --numeric-ids --delete. */
  readonly ours?: readonly string[];
  readonly theirs?: readonly string[];
  /** Default 0 and 0. */
  readonly exits?: readonly [ours: number, theirs: number];
  /** Lines of the differ from rsync's result to ours, or that they begin with. Absent: they agree. */
  readonly differences?: readonly string[];
  /** Differences that are of no account: times at which directories were deleted in. */
  readonly except?: NonNullable<DiffOptions["except"]>;
  /** An ordinary user runs both: the owner of all that was built, or a stranger to the source. */
  readonly asUser?: "owner" | "stranger";
  /** Looks at what both made, where being equal is not enough. */
  readonly also?: (places: Places) => void;
}

/** Defines `ROWS rsync agrees: TITLE`, or `differs`, for each case, on a filesystem that has all that is compared. */
export function besideRsync(
  title: string,
  cases: readonly Case[],
  more: (scratch: () => TempDir) => void = () => {},
): void {
  describe.skipIf(referenceMissing !== undefined)(because(title, referenceMissing), () => {
    onEachFilesystem(
      "beside rsync",
      ({ scratch }) => {
        for (const one of cases)
          test(`${one.rows} rsync ${one.differences === undefined ? "agrees" : "differs"}: ${one.title}`, async () => {
            using dir = scratch();
            await compare(one, dir);
          });
        more(scratch);
      },
      ["xfs"],
    );
  });
}

async function compare(one: Case, dir: TempDir): Promise<void> {
  const places = { dir, source: dir.join("source"), ours: dir.join("ours"), theirs: dir.join("theirs") };
  build(places.source, one.source, dir);
  if (one.target !== undefined) for (const at of [places.ours, places.theirs]) build(at, one.target, dir);
  if (one.asUser === "owner") giveAway(dir.path);
  if (one.asUser === "stranger") chownSync(dir.path, ORDINARY_USER, ORDINARY_USER);
  const options: ProcessOptions = { cwd: dir.path, ...(one.asUser === undefined ? {} : { asUser: ORDINARY_USER }) };
  const [ours, theirs] = one.exits ?? [0, 0];
  await run("ours", ["mirror", "--yes", ...(one.ours ?? []), `${places.source}/`, `${places.ours}/`], ours, options);
  const flags = [...RSYNC_FULL, "--delete", ...(one.theirs ?? [])];
  await run("theirs", [...flags, `${places.source}/`, `${places.theirs}/`], theirs, options);
  const found = diffTrees(places.theirs, places.ours, one.except === undefined ? {} : { except: one.except });
  const wanted = one.differences ?? [];
  const unlike = found.filter((line, i) => !line.startsWith(wanted[i] ?? "\0"));
  if (unlike.length > 0 || found.length !== wanted.length) expect(found).toEqual([...wanted]);
  one.also?.(places);
}

/** One of both with these words; throws when it ends otherwise than expected. */
export async function run(
  who: "ours" | "theirs",
  words: readonly Argument[],
  exitCode = 0,
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  const result = await (who === "ours" ? fastsync(words, options) : start(["rsync", ...words], options).result);
  if (result.exitCode !== exitCode) throw new Error(`${who}: expected exit ${exitCode}\n${shown(result)}`);
  return result;
}

/**
 * What has no time of its own gets one of long ago: both targets begin equal, and seconds that are right by chance
 * mislead nobody. Other content of the same size then counts as the same.
 */
export function build(root: string, fill: (tree: TreeBuilder, dir: TempDir) => void, dir: TempDir): void {
  const tree = new TreeBuilder(root);
  fill(tree, dir);
  tree.finish();
  for (const [path, { mtimeNs }] of takeSnapshot(root, { content: false }))
    if (mtimeNs > RECENTLY && path.length < 3000) setTimes(Buffer.from(`${root}/${path}`, "latin1"), LONG_AGO);
}

const LONG_AGO = 1_500_000_000_000_000_000n;
const RECENTLY = 1_700_000_000_000_000_000n;

function giveAway(root: string): void {
  for (const [path, { type, stat }] of takeSnapshot(root, { content: false })) {
    if (type === "symlink" || stat.uid === ORDINARY_USER) continue;
    chownSync(Buffer.from(`${root}/${path}`, "latin1"), ORDINARY_USER, ORDINARY_USER);
  }
}
