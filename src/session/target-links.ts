/**
 * Hard links. The first name of an inode that is seen is handled like any file and becomes the leader; every further
 * name waits until the leader is right and is then linked to it. A leader that fails hands over to the next name.
 *
 *     key = device and inode of the source
 *     first name:   unchanged -> group is done at once; otherwise it is done when its copy or repair is
 *                   digests have to tell -> undecided until they have
 *     other names:  undecided -> wait
 *                   leader keeps its target inode and this name is one of it -> nothing to do
 *                   otherwise link, now or when the leader is done
 */
import { RowState } from "../compare/compare-directory.ts";
import { FileType } from "../core/entry-batch.ts";
import { repair, transfer } from "./target-needs.ts";
import { finishIfIdle } from "./target-release.ts";
import { reportRows } from "./target-report.ts";
import {
  type HardLinkGroup,
  rowPath,
  type TargetDir,
  type TargetEffect,
  type TargetState,
  touchesNothing,
} from "./target-state.ts";

function keyOf(dir: TargetDir, row: number): string {
  const { source } = dir;
  return `${source.dev(row)}:${source.inoHigh(row)}:${source.inoLow(row)}`;
}

/** True when the row is taken care of as a further name; false when it is the leader and goes its usual way. */
export function joinHardLinks(
  state: TargetState,
  dir: TargetDir,
  row: number,
  verdict: number,
  effects: TargetEffect[],
): boolean {
  const key = keyOf(dir, row);
  const { target } = dir;
  const targetRow = dir.difference!.targetRows[row]!;
  const group = state.links.get(key);
  if (group === undefined) {
    const unchanged = verdict === RowState.unchanged && target !== undefined;
    const decided = unchanged || touchesNothing(state) ? "done" : "pending";
    state.links.set(key, {
      state: verdict === RowState.digest ? "undecided" : decided,
      leaderPath: rowPath(dir, row),
      targetDev:
        verdict !== RowState.create && verdict !== RowState.update && target !== undefined ? target.dev(targetRow) : -1,
      targetInoLow: target !== undefined && targetRow >= 0 ? target.inoLow(targetRow) : 0,
      targetInoHigh: target !== undefined && targetRow >= 0 ? target.inoHigh(targetRow) : 0,
      lacksAttributes: false,
      waiting: [],
    });
    return false;
  }
  follow(state, group, dir, row, effects);
  return true;
}

/** A further name of a group: nothing to do, to be linked, or to wait for its leader. */
function follow(state: TargetState, group: HardLinkGroup, dir: TargetDir, row: number, effects: TargetEffect[]): void {
  if (group.state === "undecided") {
    dir.pending++;
    group.waiting.push({ dir, row, isLinked: false });
    return;
  }
  if (isAlreadyLinked(group, dir, dir.difference!.targetRows[row]!)) {
    // The leader's repair, if any, serves this name too.
    if (state.pass === 1) state.counters.unchanged++;
    if (group.state === "done") arrived(group, dir, row);
    else {
      dir.pending++;
      group.waiting.push({ dir, row, isLinked: true });
    }
    return;
  }
  if (touchesNothing(state)) {
    const isCheck = state.options.verb === "check";
    dir.touched = true;
    state.counters.linked++;
    reportRows(state, dir, isCheck ? "differ" : "link", [row], effects, ["link"]);
    return;
  }
  dir.pending++;
  if (group.state === "done") effects.push({ kind: "link", dir, row, leader: group.leaderPath });
  else group.waiting.push({ dir, row, isLinked: false });
}

/** The name has all that its leader has. */
function arrived(group: HardLinkGroup, dir: TargetDir, row: number): void {
  if (!group.lacksAttributes) dir.receipts.push(row);
}

/**
 * The target's file has names that the source's file lacks: what is written into it reaches entries that are not meant.
 * It is replaced instead of repaired, and not written in place.
 */
export function hasForeignNames(state: TargetState, dir: TargetDir, row: number): boolean {
  const { source, target } = dir;
  const targetRow = dir.difference!.targetRows[row]!;
  if (target === undefined || targetRow < 0 || target.type(targetRow) === FileType.directory) return false;
  return target.nlink(targetRow) > (state.options.preserve.hardLinks ? source.nlink(row) : 1);
}

/** Tells the group what the digests said about its leader, before that is acted on. */
export function leaderDecided(
  state: TargetState,
  dir: TargetDir,
  row: number,
  verdict: "same" | "repair" | "differs",
  effects: TargetEffect[],
): void {
  const group = groupOf(state, dir, row);
  if (group?.state !== "undecided") return;
  if (verdict === "differs") group.targetDev = -1; // it becomes a new file
  group.state = verdict === "same" || touchesNothing(state) ? "done" : "pending";
  const { waiting } = group;
  group.waiting = [];
  for (const name of waiting) {
    follow(state, group, name.dir, name.row, effects);
    name.dir.pending--;
    finishIfIdle(state, name.dir, effects);
  }
}

function groupOf(state: TargetState, dir: TargetDir, row: number): HardLinkGroup | undefined {
  const { source } = dir;
  if (!state.options.preserve.hardLinks || source.nlink(row) < 2 || source.type(row) === FileType.directory)
    return undefined;
  return state.links.get(keyOf(dir, row));
}

function isAlreadyLinked(group: HardLinkGroup, dir: TargetDir, targetRow: number): boolean {
  const { target } = dir;
  if (target === undefined || targetRow < 0 || group.targetDev < 0) return false;
  return (
    target.dev(targetRow) === group.targetDev &&
    target.inoLow(targetRow) === group.targetInoLow &&
    target.inoHigh(targetRow) === group.targetInoHigh
  );
}

/** A further name was linked to its leader. */
export function followerLinked(state: TargetState, dir: TargetDir, row: number): void {
  const group = groupOf(state, dir, row);
  if (group !== undefined) arrived(group, dir, row);
}

/** Tells the group that its leader's copy or repair has ended; `incomplete`: without some of its attributes. */
export function leaderEnded(
  state: TargetState,
  dir: TargetDir,
  row: number,
  how: "complete" | "incomplete" | "failed",
  effects: TargetEffect[],
): void {
  const group = groupOf(state, dir, row);
  if (group === undefined || group.state === "done") return;
  const { waiting } = group;
  if (how !== "failed") {
    group.state = "done";
    group.lacksAttributes = how === "incomplete";
    group.waiting = [];
    for (const follower of waiting) {
      if (!follower.isLinked) {
        effects.push({ kind: "link", dir: follower.dir, row: follower.row, leader: group.leaderPath });
        continue;
      }
      arrived(group, follower.dir, follower.row);
      follower.dir.pending--;
      finishIfIdle(state, follower.dir, effects);
    }
    return;
  }
  const next = waiting.shift();
  if (next === undefined) {
    state.links.delete(keyOf(dir, row));
    return;
  }
  group.leaderPath = rowPath(next.dir, next.row);
  next.dir.pending--;
  const verdict = next.dir.difference!.states[next.row]!;
  if (!next.isLinked || verdict !== RowState.repair) {
    // Its inode is another, or will be: the rest is linked to that one.
    group.targetDev = -1;
    for (const name of waiting) name.isLinked = false;
  }
  if (verdict === RowState.repair) repair(state, next.dir, [next.row], effects);
  else transfer(state, next.dir, [next.row], effects);
  finishIfIdle(state, next.dir, effects);
}
