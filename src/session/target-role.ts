/**
 * The target role as a step function: (state, event) -> effects. It touches no file and no socket.
 *
 *     directory arrives  -> open (or make) its counterpart below the parent's held descriptor
 *     opened             -> compare the two listings; ask for what is needed; note what is extraneous
 *     content arrives    -> copy, repair
 *     nothing pending    -> "settled"
 *     and no child open  -> stamp the directory's own metadata, close it, "released"
 *     everything scanned and released
 *                        -> decide about deletions (guards, question), delete, sync, "finished"
 */
import { FileType } from "../core/entry-batch.ts";
import type { SkipReason } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { PROTOCOL_VERSION, type SourceMessage } from "./messages.ts";
import { enterDirectory, onCollected, onOpened, previewSelf } from "./target-directory.ts";
import { beginEnding, onConfirmed, onDeleted, onSynced } from "./target-ending.ts";
import { onContent, onCopied, onDigested, onLinked, onRepaired, recordFailure } from "./target-results.ts";
import {
  addTo,
  type TargetDir,
  type TargetEffect,
  type TargetEvent,
  type TargetState,
  touchesNothing,
} from "./target-state.ts";

export function stepTarget(state: TargetState, event: TargetEvent): TargetEffect[] {
  if (state.phase === "failed" || state.phase === "done") return [];
  const effects: TargetEffect[] = [];
  switch (event.kind) {
    case "start":
      effects.push({
        kind: "send",
        message: { kind: "hello", protocolMin: PROTOCOL_VERSION, protocolMax: PROTOCOL_VERSION },
      });
      effects.push({ kind: "report", event: { kind: "phase", phase: "scanning" } });
      return effects;
    case "message":
      onMessage(state, event.message, effects);
      break;
    case "opened":
      state.outstanding--;
      onOpened(state, event.dir, event.batch, effects);
      break;
    case "copied":
      state.outstanding--;
      onCopied(state, event, effects);
      break;
    case "repaired":
      state.outstanding--;
      onRepaired(state, event, effects);
      break;
    case "linked":
      state.outstanding--;
      onLinked(state, event, effects);
      break;
    case "digested":
      state.outstanding--;
      onDigested(state, event.need, event.digests, "own", effects);
      break;
    case "collected":
      state.outstanding--;
      onCollected(state, event.dir, event.collected, effects);
      break;
    case "swept":
      state.outstanding--;
      event.dir.pending--;
      event.dir.touched = true;
      finishIfIdle(state, event.dir, effects);
      break;
    case "stamped":
      state.outstanding--;
      onStamped(state, event.dir, event.results, effects);
      break;
    case "confirmed":
      state.outstanding--;
      onConfirmed(state, event.answer, effects);
      break;
    case "deleted":
      state.outstanding--;
      onDeleted(state, event, effects);
      break;
    case "synced":
      state.outstanding--;
      onSynced(state, event.status, effects);
      break;
    case "stop":
      state.stopped = true;
      break;
  }
  advance(state, effects);
  for (const effect of effects) {
    if (
      effect.kind !== "send" &&
      effect.kind !== "report" &&
      effect.kind !== "close" &&
      effect.kind !== "finish" &&
      effect.kind !== "protocol-error"
    ) {
      state.outstanding++;
    }
  }
  return effects;
}

export function protocolError(state: TargetState, effects: TargetEffect[], reason: string): void {
  state.phase = "failed";
  effects.push({ kind: "protocol-error", reason });
}

function onMessage(state: TargetState, message: SourceMessage, effects: TargetEffect[]): void {
  // After a stop the source's answers cross our end on the way: they are expected, and of no use.
  if (state.stopped && state.phase !== "hello" && message.kind !== "closed" && message.kind !== "failure") return;
  switch (message.kind) {
    case "hello":
      if (state.phase !== "hello") return protocolError(state, effects, "a second hello");
      if (message.protocolMin > PROTOCOL_VERSION || message.protocolMax < PROTOCOL_VERSION) {
        return protocolError(
          state,
          effects,
          `the source speaks protocol ${message.protocolMin}..${message.protocolMax}, this side ${PROTOCOL_VERSION}`,
        );
      }
      state.phase = "receiving";
      return;
    case "directory": {
      if (state.phase !== "receiving" || state.scanned !== undefined)
        return protocolError(state, effects, "a directory out of turn");
      if (state.dirs.has(message.id) || state.waitingIds.has(message.id))
        return protocolError(state, effects, `directory ${message.id} offered twice`);
      if (message.parent < 0) {
        if (message.parentRow >= 0 || state.rootPass === state.pass)
          return protocolError(state, effects, `directory ${message.id} is a second root`);
        if (!isAsked(state, message))
          return protocolError(state, effects, "something was offered that was not asked for");
        state.rootPass = state.pass;
        return enterDirectory(state, undefined, message, effects);
      }
      const parent = state.dirs.get(message.parent);
      if (parent === undefined && !state.waitingIds.has(message.parent)) {
        return protocolError(state, effects, `directory ${message.id} has no open parent`);
      }
      if (parent !== undefined && (parent.difference !== undefined || parent.discarded))
        return enterDirectory(state, parent, message, effects);
      const waiting = state.waiting.get(message.parent);
      if (waiting === undefined) state.waiting.set(message.parent, [message]);
      else waiting.push(message);
      state.waitingIds.add(message.id);
      return;
    }
    case "content":
      return onContent(state, message.need, message.content, effects);
    case "digests":
      return onDigested(state, message.need, message.digests, "theirs", effects);
    case "failure":
      if (message.hidesEntries) state.sourceIncomplete = true;
      return recordFailure(state, message.failure, effects);
    case "scanned":
      if (state.phase !== "receiving" || state.scanned !== undefined)
        return protocolError(state, effects, "scanned out of turn");
      state.scanned = message;
      if (!message.complete) state.sourceIncomplete = true;
      state.counters.scanComplete = true;
      if (!touchesNothing(state)) {
        state.counters.phase = "copying";
        effects.push({ kind: "report", event: { kind: "phase", phase: "copying" } });
      }
      return;
    case "closed":
      state.sourcesRemoved = message.sourcesRemoved;
      state.counters.sourcesRemoved = message.sourcesRemoved;
      if (state.phase === "closing") {
        state.phase = "done";
        effects.push({ kind: "finish" });
      }
      return;
  }
}

/** Sources that are given as entries share the target's root with what is there: only they may change in it. */
function isAsked({ asked }: TargetState, { owned, listing }: Extract<SourceMessage, { kind: "directory" }>): boolean {
  if (asked === undefined) return true;
  if (owned) return false;
  for (let row = 0; row < listing.count; row++) {
    const mayBeDirectory = asked.get(Buffer.from(listing.name(row)).toString("latin1"));
    if (mayBeDirectory === undefined || (!mayBeDirectory && listing.type(row) === FileType.directory)) return false;
  }
  return true;
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

function onStamped(
  state: TargetState,
  dir: TargetDir,
  results: Extract<TargetEvent, { kind: "stamped" }>["results"],
  effects: TargetEffect[],
): void {
  onRepaired(state, { kind: "repaired", dir, rows: Uint32Array.of(dir.source.self), results }, effects);
  completeDirectory(state, dir, effects);
}

function completeDirectory(state: TargetState, dir: TargetDir, effects: TargetEffect[]): void {
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

/** What follows from the state as a whole, after any event. */
function advance(state: TargetState, effects: TargetEffect[]): void {
  if (state.phase !== "receiving") return;
  if (state.stopped) {
    // Running work ends; nothing is begun. What is open is closed by the runner's end.
    const begun = effects.some(
      (effect) => effect.kind !== "send" && effect.kind !== "report" && effect.kind !== "close",
    );
    if (state.outstanding === 0 && !begun) beginEnding(state, effects);
    return;
  }
  flushMoves(state, effects);
  if (state.scanned !== undefined && state.dirs.size === 0 && state.awaitingSync.length === 0 && !state.syncing)
    beginEnding(state, effects);
}

/** Makes finished directories of a move durable, many at a time, and hands out their receipts. */
function flushMoves(state: TargetState, effects: TargetEffect[]): void {
  if (state.awaitingSync.length === 0 || state.syncing) return;
  const last = state.scanned !== undefined && state.dirs.size === state.awaitingSync.length;
  const many =
    state.awaitingSync.length >= LIMITS.moveFlushDirectories || state.awaitingEntries >= LIMITS.moveFlushEntries;
  if (!last && !many) return;
  state.syncing = true;
  effects.push({ kind: "sync" });
}

export function countSkipped(state: TargetState, reason: SkipReason, count: number): void {
  addTo(state.skipped, reason, count);
}
