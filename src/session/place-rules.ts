/**
 * rsync's rules for what goes where, the same for every verb, on whichever machine the places are:
 *
 *     SRC/  SRC/.  .  ..  /     the contents of the directory land in the target
 *     SRC                       the entry itself lands in the target, under its name
 *     one file, target missing or a file, no trailing slash on the target:  the target is the new name
 *     otherwise the target is a directory, made when missing, its parents too
 *
 * Pure: what is at a place is asked of the caller.
 */
import { ExitCode } from "../core/exit-codes.ts";
import { printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";

const SLASH = 0x2f;
const DOT = 0x2e;
const HERE = Uint8Array.of(DOT);

/** One source argument, as far as the target's side has to know it. */
export interface SourceArgument {
  /** The entry's name; undefined: the contents of a directory are meant. */
  readonly entry: Uint8Array | undefined;
  readonly isDirectory: boolean;
}

export interface TargetDecision {
  /** The directory that becomes the target's root. */
  readonly target: Uint8Array;
  readonly targetExists: boolean;
  readonly rename: { readonly from: Uint8Array; readonly to: Uint8Array } | undefined;
}

/** What stands at a path, links followed. */
export type PathKind = "missing" | "directory" | "file" | "special";

export function isContents(path: Uint8Array): boolean {
  const last = lastComponent(path);
  return (
    path[path.length - 1] === SLASH ||
    (last.length === 1 && last[0] === DOT) ||
    (last.length === 2 && last[0] === DOT && last[1] === DOT)
  );
}

export function withoutTrailingSlashes(path: Uint8Array): Uint8Array {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end--;
  return path.subarray(0, end);
}

export function lastComponent(path: Uint8Array): Uint8Array {
  const trimmed = withoutTrailingSlashes(path);
  return trimmed.subarray(trimmed.lastIndexOf(SLASH) + 1);
}

export function parentOf(path: Uint8Array): Uint8Array {
  const trimmed = withoutTrailingSlashes(path);
  const slash = trimmed.lastIndexOf(SLASH);
  if (slash < 0) return HERE;
  return slash === 0 ? trimmed.subarray(0, 1) : withoutTrailingSlashes(trimmed.subarray(0, slash));
}

/** Throws RunError (exit 3) when the target argument cannot take these sources. `show`: a path as messages have it. */
export function decideTarget(
  sources: readonly SourceArgument[],
  target: Uint8Array,
  kinds: { readonly target: PathKind; readonly parent: PathKind },
  show: (path: Uint8Array) => string = printable,
): TargetDecision {
  const only = sources.length === 1 ? sources[0] : undefined;
  if (
    only !== undefined &&
    only.entry !== undefined &&
    !only.isDirectory &&
    kinds.target !== "directory" &&
    !isContents(target)
  ) {
    const parent = parentOf(target);
    if (kinds.parent === "file" || kinds.parent === "special") {
      throw new RunError(ExitCode.selecting, "target_unusable", `target ${show(parent)} is not a directory`);
    }
    if (kinds.target === "special") {
      throw new RunError(
        ExitCode.selecting,
        "target_unusable",
        `target ${show(target)} is a device, FIFO or socket: nothing is written into it, and it is not replaced; ` +
          "remove it first, or name the directory it is in",
      );
    }
    return {
      target: parent,
      targetExists: kinds.parent === "directory",
      rename: { from: only.entry, to: lastComponent(target).slice() },
    };
  }
  if (kinds.target === "file" || kinds.target === "special") {
    throw new RunError(ExitCode.selecting, "target_unusable", `target ${show(target)} exists and is not a directory`);
  }
  return {
    target: withoutTrailingSlashes(target),
    targetExists: kinds.target === "directory",
    rename: undefined,
  };
}
