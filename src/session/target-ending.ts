/**
 * How a run ends on the target: everything was offered and finished, now the deletions are decided, once, before the
 * first of them.
 *
 *     the source was not read completely   -> no deletion
 *     nothing extraneous                   -> no deletion needed
 *     an empty source, a full target       -> refused (--allow-empty-source lifts it)
 *     more than the limit                  -> refused (--max-delete lifts it)
 *     otherwise ask; a "no" is a refusal
 *     delete, children first; when that made room for files, offer everything once more
 *     make it durable where that was asked for, and close
 */
import { LIMITS } from "../core/limits.ts";
import { joinPath } from "../core/paths.ts";
import { releaseDirectory } from "./target-release.ts";
import { recordFailure, recordTargetFailure } from "./target-report.ts";
import { type TargetEffect, type TargetEvent, type TargetState, touchesNothing } from "./target-state.ts";

export function beginEnding(state: TargetState, effects: TargetEffect[]): void {
  state.phase = "deciding";
  const wanted =
    state.options.delete.enabled && state.options.verb !== "check" && state.pass === 1 && state.extraneousEntries > 0;
  if (!wanted || state.stopped) {
    // A conflict stays one when nothing may be deleted.
    endPass(state, effects);
    return;
  }
  const refusal = refusalOf(state);
  if (refusal !== undefined) {
    refuse(state, refusal.code, refusal.message, effects);
    endPass(state, effects);
    return;
  }
  if (touchesNothing(state)) {
    listDeletions(state, effects);
    state.counters.deleted = state.extraneousEntries;
    endPass(state, effects);
    return;
  }
  const sample: Uint8Array[] = [];
  for (const record of state.extraneous) {
    for (const name of record.names) if (sample.length < 10) sample.push(joinPath(record.path, name));
  }
  effects.push({
    kind: "confirm",
    plan: { entries: state.extraneousEntries, targetEntries: state.targetEntries, sample },
  });
}

function refusalOf(state: TargetState): { code: string; message: string } | undefined {
  const { limit, allowEmptySource } = state.options.delete;
  const { extraneousEntries: extra, targetEntries } = state;
  if (state.sourceIncomplete || state.scanned === undefined) {
    return {
      code: "deletions_disabled",
      message: "nothing is deleted: the source could not be read completely, so what is missing there proves nothing",
    };
  }
  if (state.scanned.entries === 0 && !allowEmptySource) {
    return {
      code: "empty_source",
      message: `nothing is deleted: the source is empty and the target has ${count(targetEntries)}; pass --allow-empty-source if that is meant`,
    };
  }
  // Seen only under another path, as of a bind mount: what is extraneous there is the source's own.
  if (state.skipped.has("target_inside_source")) {
    return {
      code: "target_inside_source",
      message: "nothing is deleted: the target is a directory of the source under another path",
    };
  }
  const allowed =
    limit.kind === "count"
      ? limit.count
      : limit.kind === "percent"
        ? Math.floor((targetEntries * limit.percent) / 100)
        : Math.max(LIMITS.guardDeletions, Math.floor(targetEntries * LIMITS.guardShare));
  if (extra <= allowed) return undefined;
  return {
    code: "deletion_limit",
    message: `nothing is deleted: ${count(extra)} of ${targetEntries} would go, more than the limit of ${allowed}; pass --max-delete ${extra} (or a percentage) if that is meant`,
  };
}

function count(entries: number): string {
  return entries === 1 ? "1 entry" : `${entries} entries`;
}

function refuse(state: TargetState, code: string, message: string, effects: TargetEffect[]): void {
  state.deletionRefused = message;
  if (code === "deletions_disabled") state.deletionRefused = undefined;
  effects.push({ kind: "report", event: { kind: "notice", level: "warning", code, message } });
}

function listDeletions(state: TargetState, effects: TargetEffect[]): void {
  if (!state.wantsItems) return;
  for (const record of state.extraneous) {
    for (let i = 0; i < record.names.length; i++) {
      effects.push({
        kind: "report",
        event: { kind: "delete", path: joinPath(record.path, record.names[i]!), directory: record.directories[i]! },
      });
    }
  }
}

export function onConfirmed(
  state: TargetState,
  answer: "accepted" | "declined" | "unattended",
  effects: TargetEffect[],
): void {
  if (answer === "accepted" && !state.stopped) {
    state.phase = "deleting";
    state.counters.phase = "deleting";
    state.deletedBefore = state.counters.deleted;
    state.counters.entriesToDelete = state.deletedBefore + state.extraneousEntries;
    effects.push({ kind: "report", event: { kind: "phase", phase: "deleting" } });
    effects.push({ kind: "delete", records: state.extraneous });
    return;
  }
  const message =
    answer === "declined"
      ? "nothing was deleted: declined"
      : `nothing was deleted: ${count(state.extraneousEntries)} would go, and nobody can be asked without a terminal; pass --yes to allow it`;
  if (!state.stopped) refuse(state, answer, message, effects);
  endPass(state, effects);
}

export function onDeleted(
  state: TargetState,
  event: Extract<TargetEvent, { kind: "deleted" }>,
  effects: TargetEffect[],
): void {
  state.counters.deleted = state.deletedBefore + event.entries;
  for (const failure of event.failures) recordFailure(state, failure, effects);
  endPass(state, effects);
}

function endPass(state: TargetState, effects: TargetEffect[]): void {
  if (state.conflicts > 0 && state.pass === 1 && state.phase === "deleting" && !state.stopped) {
    // Directories that stood where files belong are gone now: one more pass finds their places free.
    state.pass = 2;
    state.phase = "receiving";
    state.scanned = undefined;
    state.links.clear();
    effects.push({ kind: "send", message: { kind: "again" } });
    return;
  }
  if (state.conflicts > 0 && state.pass === 1 && !touchesNothing(state) && !state.stopped) {
    recordTargetFailure(
      state,
      new Uint8Array(0),
      "replace directories",
      -39,
      effects,
      `${count(state.conflicts)} could not be written, because a directory stands there and deletions did not take place`,
    );
  }
  if (
    state.options.write.fsync === "end" &&
    !touchesNothing(state) &&
    state.options.verb !== "move" &&
    state.fatal === undefined
  ) {
    state.phase = "syncing";
    finishing(state, effects);
    effects.push({ kind: "sync" });
    return;
  }
  close(state, effects);
}

export function onSynced(state: TargetState, status: number, effects: TargetEffect[]): void {
  if (status !== 0) recordTargetFailure(state, new Uint8Array(0), "sync", status, effects);
  if (state.phase === "syncing") {
    close(state, effects);
    return;
  }
  state.syncing = false;
  const directories = state.awaitingSync;
  state.awaitingSync = [];
  state.awaitingEntries = 0;
  for (const dir of directories) {
    if (status === 0 && !state.stopped) {
      if (!dir.lacksAttributes) dir.receipts.push(dir.source.self); // it has arrived: it may go once it is empty
      const { id, receipts } = dir;
      for (let from = 0; from < receipts.length; from += LIMITS.needRows) {
        const rows = Uint32Array.from(receipts.slice(from, from + LIMITS.needRows));
        effects.push({ kind: "send", message: { kind: "receipts", dir: id, rows } });
      }
    }
    releaseDirectory(state, dir, effects);
  }
}

function finishing(state: TargetState, effects: TargetEffect[]): void {
  if (state.counters.phase === "finishing") return;
  state.counters.phase = "finishing";
  effects.push({ kind: "report", event: { kind: "phase", phase: "finishing" } });
}

function close(state: TargetState, effects: TargetEffect[]): void {
  state.phase = "closing";
  finishing(state, effects);
  effects.push({ kind: "send", message: { kind: "finished" } });
  // All is known by now, unless sources are still to be removed: it need not wait for a round trip.
  if (state.waitsForClosed || state.stopped || state.fatal !== undefined) return;
  state.phase = "done";
  effects.push({ kind: "finish" });
}
