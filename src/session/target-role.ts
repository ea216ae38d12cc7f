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
import { LIMITS } from "../core/limits.ts";
import { PROTOCOL_VERSION, type SourceMessage } from "./messages.ts";
import { enterDirectory, onCollected, onOpened, onPruned, onRespelled } from "./target-directory.ts";
import { beginEnding, onConfirmed, onDeleted, onSynced } from "./target-ending.ts";
import { completeDirectory, finishIfIdle } from "./target-release.ts";
import { protocolError, recordFailure } from "./target-report.ts";
import { onContent, onCopied, onDigested, onLinked, onRepaired } from "./target-results.ts";
import {
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
    case "respelled":
      state.outstanding--;
      onRespelled(state, event.dir, event.batch, effects);
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
      state.waitingIds.set(message.id, message.listing.count);
      return;
    }
    case "pruned":
      return onPruned(state, message, effects);
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
      // The counters run through all attempts of a run.
      state.counters.sourcesRemoved += message.sourcesRemoved - state.sourcesRemoved;
      state.sourcesRemoved = message.sourcesRemoved;
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

function onStamped(
  state: TargetState,
  dir: TargetDir,
  results: Extract<TargetEvent, { kind: "stamped" }>["results"],
  effects: TargetEffect[],
): void {
  onRepaired(state, { kind: "repaired", dir, rows: Uint32Array.of(dir.source.self), results }, effects);
  completeDirectory(state, dir, effects);
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
  const many = state.awaitingSync.length >= state.flushDirectories || state.awaitingEntries >= LIMITS.moveFlushEntries;
  if (!last && !many) return;
  state.syncing = true;
  effects.push({ kind: "sync" });
}
