/** From the local arguments of a command line to what is opened. The rules are in `place-rules.ts`. */
import { lstatSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { buildBatch, FileType } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { equalBytes, joinPath, printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { Decision, type DirectoryFilter } from "../filter/filter.ts";
import { type Backend, type DirHandle, WORKING_DIRECTORY } from "../fs/backend.ts";
import { whyThrown } from "../fs/denied.ts";
import type { LocalPlace, Placement } from "./api.ts";
import {
  decideTarget,
  isContents,
  lastComponent,
  type PathKind,
  parentOf,
  type SourceArgument,
  type TargetDecision,
  withoutTrailingSlashes,
} from "./place-rules.ts";

const SLASH = 0x2f;
const HERE = Uint8Array.of(0x2e);

export interface SourcePlace extends SourceArgument {
  /** What is opened: the directory whose contents are meant, or the directory that holds the entry. */
  readonly directory: Uint8Array;
  readonly written: Uint8Array;
}

export interface Places extends TargetDecision {
  readonly sources: readonly SourcePlace[];
}

function bufferOf(path: Uint8Array): Buffer {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength);
}

function errnoCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function describe(error: unknown): string {
  switch (errnoCode(error)) {
    case "ENOENT":
      return "it does not exist";
    case "ENOTDIR":
      return "a part of its path is not a directory";
    case "ELOOP":
      return "its symbolic links go in circles";
    default:
      return whyThrown(error);
  }
}

/** Throws RunError (exit 3) naming the argument that cannot be used. */
export function resolvePlaces(sources: readonly LocalPlace[], target: LocalPlace): Places {
  const resolved = resolveSources(sources);
  return { sources: resolved, ...resolveTarget(resolved, target.path) };
}

/** The same argument given again says nothing new. */
export function resolveSources(sources: readonly LocalPlace[]): SourcePlace[] {
  return distinct(sources.map((place) => resolveSource(place.path)));
}

export function resolveTarget(sources: readonly SourceArgument[], target: Uint8Array): TargetDecision {
  return decideTarget(sources, target, { target: kindOf(target), parent: kindOf(parentOf(target)) });
}

function kindOf(path: Uint8Array): PathKind {
  const stat = statOrUndefined(path);
  if (stat === undefined) return "missing";
  return stat.isDirectory() ? "directory" : stat.isFile() ? "file" : "special";
}

function resolveSource(path: Uint8Array): SourcePlace {
  if (path.length === 0) throw new RunError(ExitCode.selecting, "source_missing", "a source argument is empty");
  try {
    if (isContents(path)) {
      if (!statSync(bufferOf(path)).isDirectory()) {
        throw new RunError(
          ExitCode.selecting,
          "source_unusable",
          `source ${printable(path)} is not a directory, but ends with a slash`,
        );
      }
      return { directory: withoutTrailingSlashes(path), entry: undefined, isDirectory: true, written: path };
    }
    const isDirectory = lstatSync(bufferOf(path)).isDirectory();
    return { directory: parentOf(path), entry: lastComponent(path).slice(), isDirectory, written: path };
  } catch (error) {
    if (error instanceof RunError) throw error;
    throw new RunError(
      ExitCode.selecting,
      "source_missing",
      `source ${printable(path)} cannot be used: ${describe(error)}`,
    );
  }
}

function distinct(sources: readonly SourcePlace[]): SourcePlace[] {
  const kept: SourcePlace[] = [];
  for (const source of sources) {
    const known = kept.some(
      (other) =>
        equalBytes(other.directory, source.directory) &&
        (other.entry === undefined
          ? source.entry === undefined
          : source.entry !== undefined && equalBytes(other.entry, source.entry)),
    );
    if (!known) kept.push(source);
  }
  return kept;
}

function statOrUndefined(path: Uint8Array) {
  try {
    return statSync(bufferOf(path.length === 0 ? HERE : path), { bigint: true });
  } catch (error) {
    if (errnoCode(error) === "ENOENT") return undefined;
    throw new RunError(
      ExitCode.selecting,
      "target_unusable",
      `target ${printable(path)} cannot be used: ${describe(error)}`,
    );
  }
}

/**
 * Opens a directory of the operator's and makes it and its parents where they are missing, with the modes that the
 * umask gives. What is missing is made below the part that was resolved, so that nobody's link leads it astray. A
 * handle, or a negative errno.
 */
export async function openMaking(backend: Backend, path: Uint8Array): Promise<number> {
  const missing: Uint8Array[] = [];
  let existing = path;
  let handle = await backend.resolve(WORKING_DIRECTORY, existing, { create: false, operator: true });
  while (handle === -E.NOENT && !equalBytes(parentOf(existing), existing)) {
    missing.push(lastComponent(existing));
    existing = parentOf(existing);
    handle = await backend.resolve(WORKING_DIRECTORY, existing, { create: false, operator: true });
  }
  return handle < 0 ? handle : makeNames(backend, handle, missing.reverse());
}

/** The same below a held directory, where nobody's links are followed. */
export async function makeBelow(backend: Backend, base: DirHandle, path: Uint8Array): Promise<number> {
  const start = await backend.resolve(base, HERE, { create: false, operator: false });
  if (start < 0) return start;
  const names = components(path).filter((name) => !equalBytes(name, HERE));
  return makeNames(backend, start, names);
}

/** Goes down from `start`, which it closes, and makes what is missing. */
async function makeNames(backend: Backend, start: DirHandle, names: readonly Uint8Array[]): Promise<number> {
  let handle: number = start;
  for (const name of names) {
    const parent = handle;
    handle = await backend.resolve(parent, name, { create: false, operator: false });
    if (handle === -E.NOENT) {
      const made = makeDirectory(parent, name);
      handle = made < 0 ? made : await backend.resolve(parent, name, { create: false, operator: false });
    }
    backend.close([parent]);
    if (handle < 0) return handle;
  }
  return handle;
}

function makeDirectory(parent: DirHandle, name: Uint8Array): number {
  try {
    mkdirSync(Buffer.concat([Buffer.from(`/proc/self/fd/${parent}/`), name]));
    return 0;
  } catch (error) {
    if (errnoCode(error) === "EEXIST") return 0;
    return error instanceof Error && "errno" in error ? -Math.abs(Number(error.errno)) : -E.IO;
  }
}

export function placementOf(places: Places): Placement {
  return {
    sources: places.sources.map((source) => ({
      path: source.written,
      kind: source.entry === undefined ? "contents" : "entry",
    })),
    ...placementOfTarget(places),
  };
}

export function placementOfTarget(decision: TargetDecision): Pick<Placement, "target" | "targetExists"> {
  if (decision.rename === undefined) return { target: decision.target, targetExists: decision.targetExists };
  const target = joinPath(decision.target, decision.rename.to);
  return { target, targetExists: statOrUndefined(target) !== undefined };
}

/** The real path of the part of it that exists, and what is missing behind it. */
function realPath(path: Uint8Array): Uint8Array {
  let existing = path;
  const missing: Uint8Array[] = [];
  for (;;) {
    try {
      let real: Uint8Array = realpathSync(bufferOf(existing), { encoding: "buffer" });
      for (const name of missing.reverse()) real = joinPath(real, name);
      return real;
    } catch {
      const parent = parentOf(existing);
      if (equalBytes(parent, existing)) return path;
      missing.push(lastComponent(existing));
      existing = parent;
    }
  }
}

/** Path of `inner` below `outer`; undefined when it is not below it; empty when they are equal. */
function below(outer: Uint8Array, inner: Uint8Array): Uint8Array | undefined {
  if (equalBytes(outer, inner)) return new Uint8Array(0);
  const prefix = outer.length === 1 && outer[0] === SLASH ? 1 : outer.length + 1;
  if (inner.length <= outer.length || inner[prefix - 1] !== SLASH) return undefined;
  return equalBytes(outer, inner.subarray(0, outer.length)) ? inner.subarray(prefix) : undefined;
}

/**
 * Refuses runs whose source and target overlap in a way that could destroy what they read. What is harmless goes on:
 * a target inside the source that the filters leave out, a copy into a directory above.
 */
export function guardOverlap(places: Places, options: RunOptions, root: DirectoryFilter): void {
  if (options.verb === "check") return;
  const target = realPath(places.target);
  for (const source of places.sources) {
    const name = printable(source.written);
    const real =
      source.entry === undefined ? realPath(source.directory) : joinPath(realPath(source.directory), source.entry);
    const landing =
      places.rename !== undefined
        ? joinPath(target, places.rename.to)
        : source.entry === undefined
          ? target
          : joinPath(target, source.entry);
    if (equalBytes(real, landing)) {
      throw new RunError(
        ExitCode.selecting,
        "same_place",
        `source ${name} and its place in the target are the same; nothing to do`,
      );
    }
    if (!source.isDirectory) continue;
    const targetBelow = below(real, landing);
    if (
      targetBelow !== undefined &&
      options.verb !== "copy" &&
      !crossesDevice(source, places, options) &&
      !leavesOut(root, source.entry, targetBelow)
    ) {
      throw new RunError(
        ExitCode.selecting,
        "target_inside_source",
        `the target lies inside source ${name}; leave it out with --exclude '/${printable(source.entry === undefined ? targetBelow : joinPath(source.entry, targetBelow))}', or choose another target`,
      );
    }
    if (below(landing, real) !== undefined && options.verb === "mirror") {
      throw new RunError(
        ExitCode.selecting,
        "source_inside_target",
        `source ${name} lies inside the target, and a mirror would delete it; choose another target, or use copy`,
      );
    }
    refuseAliases(source, real, landing, options);
  }
}

/** What a bind mount shows under a second path has another path, but the same inode. */
function refuseAliases(source: SourcePlace, real: Uint8Array, landing: Uint8Array, options: RunOptions): void {
  const place = inodeOf(landing);
  if (place === undefined) return;
  const name = printable(source.written);
  if (inodeOf(real) === place) {
    throw new RunError(
      ExitCode.selecting,
      "same_place",
      `source ${name} and its place in the target are one directory under two paths; nothing to do`,
    );
  }
  if (options.verb !== "mirror") return;
  for (let at = real, above = parentOf(at); !equalBytes(at, above); at = above, above = parentOf(at)) {
    if (inodeOf(above) !== place) continue;
    throw new RunError(
      ExitCode.selecting,
      "source_inside_target",
      `source ${name} lies inside the target, which shows ${printable(above)} under another path, and a mirror would delete it; choose another target, or use copy`,
    );
  }
}

function inodeOf(path: Uint8Array): string | undefined {
  try {
    const { dev, ino } = statSync(bufferOf(path), { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}

function crossesDevice(source: SourcePlace, places: Places, { oneFileSystem }: RunOptions): boolean {
  if (!oneFileSystem || !places.targetExists) return false;
  return statSync(bufferOf(places.target)).dev !== statSync(bufferOf(source.written)).dev;
}

/** Whether the walk of a source never comes to `path` below it. */
export function leavesOut(root: DirectoryFilter, entry: Uint8Array | undefined, path: Uint8Array): boolean {
  let filter = root;
  const whole = entry === undefined ? path : joinPath(entry, path);
  for (const name of components(whole)) {
    const batch = buildBatch([{ name, mode: FileType.directory | 0o755 }, { name: HERE }]);
    if (!filter.isEmpty && filter.decide(batch, 0, "source") !== Decision.include) return true;
    filter = filter.enter(name);
  }
  return false;
}

export function components(path: Uint8Array): Uint8Array[] {
  const names: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path[i] !== SLASH) continue;
    if (i > start) names.push(path.subarray(start, i));
    start = i + 1;
  }
  return names;
}
