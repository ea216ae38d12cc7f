/** The end of a directory: settled, stamped, released; then it may be its parent's turn. */
import { Difference, differenceWords } from "../compare/rules.ts";
import { reportRows } from "./target-report.ts";
import { type TargetDir, type TargetEffect, type TargetState, touchesNothing } from "./target-state.ts";

/**
 * Whether restamping the directory counts as a repair of its own. A time that only moved because entries in it changed
 * does not, so it is known when they are done.
 */
export function isRepair(dir: TargetDir): boolean {
  const own = dir.touched ? dir.selfDifference & ~Difference.mtime : dir.selfDifference;
  return !dir.created && own !== 0;
}

export function previewSelf(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  if (!state.options.dryRun || state.options.verb === "check" || dir.discarded || !isRepair(dir)) return;
  state.counters.repaired++;
  reportRows(state, dir, "repair", [dir.source.self], effects, [differenceWords(dir.selfDifference)]);
}

/** Says "settled" when the directory's own entries need nothing more, and finishes it when all below is finished. */
export function finishIfIdle(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  if (dir.pending > 0 || (dir.difference === undefined && !dir.discarded)) return;
  if (!dir.settled) {
    dir.settled = true;
    effects.push({ kind: "send", message: { kind: "settled", dir: dir.id } });
  }
  if (dir.children > 0 || dir.stamping) return;
  if (dir.parts.length > 0 && !touchesNothing(state) && !state.stopped) {
    dir.pending++;
    effects.push({ kind: "sweep", dir, rows: dir.parts });
    dir.parts = [];
    return;
  }
  const made = dir.created || dir.touched || dir.madeWritable || dir.selfDifference !== 0;
  if (
    !dir.discarded &&
    made &&
    dir.handle >= 0 &&
    dir.source.rowStatus(dir.source.self) === 0 &&
    !touchesNothing(state) &&
    !state.stopped
  ) {
    dir.stamping = true;
    effects.push({ kind: "stamp", dir });
    return;
  }
  previewSelf(state, dir, effects);
  completeDirectory(state, dir, effects);
}

export function completeDirectory(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  if (state.options.verb === "move" && !touchesNothing(state) && !dir.discarded && !state.stopped) {
    // Sources go only after the data is durable: the release waits for the next sync.
    state.awaitingSync.push(dir);
    state.awaitingEntries += dir.source.count;
    leaveParent(state, dir, effects);
    return;
  }
  releaseDirectory(state, dir, effects);
  leaveParent(state, dir, effects);
}

export function releaseDirectory(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  state.dirs.delete(dir.id);
  effects.push({ kind: "close", dir });
  effects.push({ kind: "send", message: { kind: "released", dir: dir.id } });
}

function leaveParent(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
  const { parent } = dir;
  if (parent === undefined) return;
  parent.children--;
  finishIfIdle(state, parent, effects);
}
