/**
 * Refuses sessions between two processes of one machine whose places overlap in a way that could destroy what is read;
 * the rules are those of a local run. The sides do not know each other's paths: that one place lies inside another shows
 * in the inodes above it. The target's side decides, before it makes anything.
 */
import { readlinkSync } from "node:fs";
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { equalBytes, joinPath, printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import type { DirectoryFilter } from "../filter/filter.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { chainOf, type DirectoryIdentity, isSameDirectory, type PlacedArgument, type SourceFacts } from "./facts.ts";
import { lastComponent, parentOf, type TargetDecision } from "./place-rules.ts";
import { components, leavesOut } from "./places.ts";

/** What there is of the target: its deepest directory that exists, held, and the names that are still to be made. */
export interface Ground {
  readonly handle: DirHandle;
  readonly missing: readonly Uint8Array[];
}

/** Calls `look` with the deepest directory on the way to `path` that is there. */
export async function onGround(
  backend: Backend,
  resolve: (path: Uint8Array) => Promise<number>,
  path: Uint8Array,
  look: (ground: Ground) => void,
): Promise<void> {
  const missing: Uint8Array[] = [];
  for (let at = path; ; at = parentOf(at)) {
    const handle = await resolve(at);
    if (handle >= 0) {
      try {
        return look({ handle, missing });
      } finally {
        backend.close([handle]);
      }
    }
    if (equalBytes(at, parentOf(at))) return;
    missing.unshift(lastComponent(at));
  }
}

/**
 * Throws RunError (exit 3). `isHidden`: the source's side cannot know the target's directory by its inode, and its walk
 * would come to what is written there.
 */
export function guardOverlapByInodes(
  source: SourceFacts,
  ground: Ground,
  decision: TargetDecision,
  options: RunOptions,
  filter: DirectoryFilter,
  isHidden: boolean,
): void {
  if (options.verb === "check") return;
  const above = chainOf(ground.handle, undefined);
  for (const argument of source.arguments) guardArgument(argument, ground, above, decision, options, filter, isHidden);
}

function guardArgument(
  argument: PlacedArgument,
  { handle, missing }: Ground,
  ground: readonly DirectoryIdentity[],
  { rename }: TargetDecision,
  options: RunOptions,
  filter: DirectoryFilter,
  isHidden: boolean,
): void {
  const [from, ...aboveSource] = argument.chain;
  if (from === undefined) return;
  const { verb } = options;
  const name = rename?.to ?? argument.entry;
  const names = name === undefined ? missing : [...missing, name];
  const landing = names.length === 0 ? ground[0] : missing.length === 0 ? chainOf(handle, name)[0] : undefined;
  if (isSame(from, landing) && (argument.isDirectory || isOneName(argument, name, aboveSource[0], ground[0]))) {
    throw new RunError(
      ExitCode.selecting,
      "same_place",
      `${sourceName(argument)} and its place in the target are the same, on one machine; nothing to do`,
    );
  }
  if (!argument.isDirectory) return;
  const at = ground.findIndex((directory, i) => (i > 0 || names.length > 0) && isSameDirectory(directory, from));
  if (at >= 0 && (verb !== "copy" || isHidden)) {
    const below = joinNames([...lastNames(handle, at), ...names]);
    const crosses = options.oneFileSystem && ground[0] !== undefined && ground[0].dev !== from.dev;
    if (!crosses && !leavesOut(filter, argument.entry, below)) {
      const path = argument.entry === undefined ? below : joinPath(argument.entry, below);
      throw new RunError(
        ExitCode.selecting,
        "target_inside_source",
        `the target lies inside ${sourceName(argument)}, on the same machine; leave it out with --exclude '/${printable(path)}', or choose another target`,
      );
    }
  }
  if (verb === "mirror" && aboveSource.some((directory) => isSame(directory, landing))) {
    throw new RunError(
      ExitCode.selecting,
      "source_inside_target",
      `${sourceName(argument)} lies inside the target, on the same machine, and a mirror would delete it; choose another target, or use copy`,
    );
  }
}

function sourceName({ entry }: PlacedArgument): string {
  return entry === undefined ? "the source" : `source ${printable(entry)}`;
}

/** Two names of one file are two places. */
function isOneName(
  { entry }: PlacedArgument,
  name: Uint8Array | undefined,
  holder: DirectoryIdentity | undefined,
  target: DirectoryIdentity | undefined,
): boolean {
  return entry !== undefined && name !== undefined && equalBytes(entry, name) && isSame(holder, target);
}

function isSame(a: DirectoryIdentity | undefined, b: DirectoryIdentity | undefined): boolean {
  return a !== undefined && b !== undefined && isSameDirectory(a, b);
}

/** The names of a held directory and of those above it, `count` of them. */
function lastNames(handle: DirHandle, count: number): Uint8Array[] {
  if (count === 0) return [];
  const path = readlinkSync(`/proc/self/fd/${handle}`, { encoding: "buffer" });
  return components(path).slice(-count);
}

function joinNames(names: readonly Uint8Array[]): Uint8Array {
  return names.reduce((path, name) => (path.length === 0 ? name : joinPath(path, name)), new Uint8Array(0));
}
