/**
 * --prune-empty-dirs on the source: a directory is offered only when there is something else than directories in it or
 * below. Directories are scanned depth first, so what is held back at a time is little more than one path.
 */
import { type SkipCounts, type SkipReason, skipEntries } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { DirId } from "./messages.ts";
import {
  type HeldDirectory,
  isSubdirectory,
  offer,
  type ScannedEvent,
  type SourceEffect,
  type SourceState,
} from "./source-state.ts";

/**
 * The root always stands. So does what is not known to be empty: a directory that could not be read whole, one whose
 * filesystem was not entered, and one with entries of which only the names count (left out by size, unreadable).
 */
export function hasToStand<Handle>({ parent, directory }: ScannedEvent<Handle>): boolean {
  const { listing, entered, hidden } = directory;
  if (parent < 0 || listing.status !== 0 || !entered || hidden) return true;
  for (let row = 0; row < listing.count; row++) if (!isSubdirectory(listing, row)) return true;
  return false;
}

/** There are only directories in it: it waits for what is found in them. */
export function hold<Handle>(state: SourceState<Handle>, event: ScannedEvent<Handle>): void {
  const { id, parent, parentRow, directory } = event;
  const unknown = directory.listing.count;
  state.held.set(id, { id, parent, parentRow, directory, unknown, pruned: [], prunedSkipped: {} });
}

/** Something was found below: everything above it that was held back is offered, from the top. */
export function offerAncestors<Handle>(state: SourceState<Handle>, id: DirId, effects: SourceEffect<Handle>[]): void {
  const above: HeldDirectory<Handle>[] = [];
  for (let held = state.held.get(id); held !== undefined; held = state.held.get(held.parent)) above.push(held);
  for (const held of above.reverse()) {
    state.held.delete(held.id);
    offer(state, held, effects);
    if (held.pruned.length > 0) tell(held.id, held.pruned, held.prunedSkipped, effects);
  }
}

/** Nothing was found in it: it is closed, and so is each above it of which it was the last hope. */
export function prune<Handle>(
  state: SourceState<Handle>,
  event: Omit<ScannedEvent<Handle>, "kind">,
  effects: SourceEffect<Handle>[],
): void {
  const skipped: Partial<Record<SkipReason, number>> = {};
  for (let empty: typeof event | undefined = event; empty !== undefined; ) {
    const { id, parent, parentRow, directory }: typeof event = empty;
    add(skipped, directory.skipped);
    state.held.delete(id);
    effects.push({ kind: "release", id, directory });
    const above = state.held.get(parent);
    if ((above?.directory ?? state.open.get(parent)?.scanned)?.owned === true) state.entries--;
    empty = undefined;
    if (above === undefined) tell(parent, [parentRow], skipped, effects);
    else {
      above.pruned.push(parentRow);
      if (--above.unknown > 0) add(above.prunedSkipped, skipped);
      else {
        add(skipped, above.prunedSkipped);
        empty = above;
      }
    }
  }
}

function add(to: Partial<Record<SkipReason, number>>, counts: SkipCounts): void {
  for (const [reason, count] of skipEntries(counts)) to[reason] = (to[reason] ?? 0) + count;
}

function tell<Handle>(dir: DirId, rows: readonly number[], skipped: SkipCounts, effects: SourceEffect<Handle>[]): void {
  for (let from = 0; from < rows.length; from += LIMITS.needRows) {
    const part = Uint32Array.from(rows.slice(from, from + LIMITS.needRows));
    effects.push({ kind: "send", message: { kind: "pruned", dir, rows: part, skipped: from === 0 ? skipped : {} } });
  }
}
