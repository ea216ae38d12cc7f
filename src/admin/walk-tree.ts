/**
 * Walks a tree depth first, names in the order of their bytes, one listing at a time for every level:
 *
 *     row by row, the visitor looks at it and says whether to go in
 *     to go in: the listing of the directory, which was asked for ahead
 *     the last row behind it: the directory is left, its descriptor closed, its listing given back
 *
 * What is held is a listing for each level and a few ahead, however large the tree is.
 */

import type { PathFailure } from "../core/admin-calls.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import { joinPath } from "../core/paths.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { failureOf } from "./entries.ts";
import { HERE, LOOK } from "./open-place.ts";

export interface Level {
  readonly listing: EntryBatch;
  /** Of the directory, relative to where the walk began; empty there. */
  readonly path: Uint8Array;
  /** 0 where the walk began. */
  readonly depth: number;
}

export interface Visitor {
  /** Once for each row; true: go into it, which counts for directories only. */
  row(level: Level, row: number): boolean;
  enter?(level: Level): void;
  leave?(level: Level): void;
  fail(failure: PathFailure): void;
  /** Nothing more is wanted. */
  readonly isDone?: boolean;
}

interface OpenLevel extends Level {
  next: number;
  /** Listings on their way, by row. */
  readonly ahead: Map<number, Promise<EntryBatch>>;
  /** Where directories are looked for that are not asked for yet. */
  aheadFrom: number;
}

/** Rows between two looks at what was gathered. */
const ROWS_A_TURN = 512;
/** Listings asked for ahead, of one level and of all. */
const AHEAD_OF_LEVEL = 4;
const AHEAD_MOST = 24;

/**
 * Yields now and then, for what the visitor gathered to be taken. Takes `handle` over. `signal` ends the walk quietly:
 * whoever gave it knows.
 */
export async function* walkTree(
  backend: Backend,
  handle: DirHandle,
  visitor: Visitor,
  options: { readonly oneFileSystem: boolean; readonly signal: AbortSignal },
): AsyncGenerator<void> {
  const { signal } = options;
  const stack: OpenLevel[] = [];
  let ahead = 0;
  let device: number | undefined;
  const open = (listing: EntryBatch, path: Uint8Array, depth: number): void => {
    const level = { listing, path, depth, next: 0, ahead: new Map(), aheadFrom: 0 };
    stack.push(level);
    if (listing.status !== 0 && !signal.aborted) visitor.fail(failureOf(path, "read directory", listing.status));
    device ??= listing.dev(listing.self);
    visitor.enter?.(level);
  };
  const ask = (level: OpenLevel): void => {
    const { listing } = level;
    for (
      ;
      level.ahead.size < AHEAD_OF_LEVEL && ahead < AHEAD_MOST && level.aheadFrom < listing.count;
      level.aheadFrom++
    ) {
      const row = level.aheadFrom;
      if (listing.type(row) !== FileType.directory || row < level.next - 1 || !mayEnter(listing, row)) continue;
      ahead++;
      level.ahead.set(row, backend.walk(listing.dirfd, listing.name(row), LOOK));
    }
  };
  const mayEnter = (listing: EntryBatch, row: number): boolean =>
    listing.rowStatus(row) === 0 && !(options.oneFileSystem && listing.dev(row) !== device);
  const close = async (level: OpenLevel): Promise<void> => {
    // Nothing may use the descriptor any more when it is closed.
    for (const asked of level.ahead.values()) drop(backend, await asked);
    ahead -= level.ahead.size;
    drop(backend, level.listing);
  };
  try {
    const first = await backend.walk(handle, HERE, LOOK);
    open(first, new Uint8Array(0), 0);
    let rows = 0;
    while (stack.length > 0 && !signal.aborted && visitor.isDone !== true) {
      const level = stack[stack.length - 1]!;
      const { listing } = level;
      if (level.next === listing.count) {
        stack.pop();
        visitor.leave?.(level);
        await close(level);
        yield;
        continue;
      }
      const row = level.next++;
      const status = listing.rowStatus(row);
      if (status !== 0) {
        // What vanished since its name was read is not there.
        if (status !== -E.NOENT) visitor.fail(failureOf(joinPath(level.path, listing.name(row)), "stat", status));
        continue;
      }
      const goesIn = visitor.row(level, row);
      if (goesIn && listing.type(row) === FileType.directory && mayEnter(listing, row)) {
        const path = joinPath(level.path, listing.name(row));
        if (isTooDeep(stack.length, path)) {
          visitor.fail(tooDeep(path));
          continue;
        }
        ask(level);
        const asked = level.ahead.get(row);
        if (asked !== undefined) {
          level.ahead.delete(row);
          ahead--;
        }
        const inner = await (asked ?? backend.walk(listing.dirfd, listing.name(row), LOOK));
        if (inner.status === -E.NOENT) drop(backend, inner);
        else open(inner, path, level.depth + 1);
        yield;
      } else if (++rows % ROWS_A_TURN === 0) yield;
    }
  } finally {
    for (const level of stack.reverse()) await close(level);
    backend.close([handle]);
  }
}

export function isTooDeep(levels: number, path: Uint8Array): boolean {
  return levels >= LIMITS.walkDepth || path.length > LIMITS.walkPathBytes;
}
export function tooDeep(path: Uint8Array): PathFailure {
  return { ...failureOf(path, "read directory", 0), code: "limit", message: "too deep to go on" };
}

/** Gives a listing back, and closes its directory. */
export function drop(backend: Backend, listing: EntryBatch): void {
  if (listing.dirfd >= 0) backend.close([listing.dirfd]);
  backend.releaseBatch(listing);
}
