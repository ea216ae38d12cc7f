/** What the target role tells of rows and failures, and how it counts them. */
import { deniedText, E, errnoText, failureCode, isDenied, NO_INODES } from "../core/errno.ts";
import type { Action, Failure, SkipReason } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { addTo, rowPath, type TargetDir, type TargetEffect, type TargetState } from "./target-state.ts";

export function recordTargetFailure(
  state: TargetState,
  path: Uint8Array,
  operation: string,
  status: number,
  effects: TargetEffect[],
  message?: string,
): void {
  recordFailure(
    state,
    {
      code: failureCode(status),
      side: "target",
      path,
      operation,
      errno: Math.abs(status),
      message: message ?? errnoText(status),
    },
    effects,
  );
}

/** Counts, keeps and reports a failure. A full or read-only target ends the run: nothing further can succeed. */
export function recordFailure(state: TargetState, told: Failure, effects: TargetEffect[]): void {
  const failure = withDoer(state, told);
  if (failure.code === "canceled" && state.stopped) return;
  // The run ends because of this: each further item of it that was under way says nothing new.
  if (state.fatal !== undefined && failure.code === state.fatal.reason) return;
  // A disk that fails does not tell what it lacks, whatever it listed before.
  if (failure.side === "source" && failure.code === "io") state.sourceIncomplete = true;
  if (failure.code === "vanished") state.counters.vanished++;
  else state.counters.failed++;
  if (state.failures.length < LIMITS.failuresKept) state.failures.push({ ...failure, path: failure.path.slice() });
  effects.push({ kind: "report", event: { kind: "failure", failure } });
  const wholeTarget = failure.side === "target" && (failure.code === "no_space" || failure.code === "read_only");
  if (wholeTarget && state.fatal === undefined) {
    state.fatal = { exitCode: ExitCode.fileIo, reason: failure.code, message: fatalText(failure.message) };
    state.stopped = true;
  }
}

function fatalText(message: string): string {
  return `${message}: the run stopped; what is there is whole`;
}

/** Who was denied, where errno alone says what happened. */
function withDoer({ doers }: TargetState, failure: Failure): Failure {
  const { errno, side, message } = failure;
  const doer = doers?.[side] ?? "";
  if (doer === "" || !isDenied(errno) || message !== errnoText(errno)) return failure;
  return { ...failure, message: deniedText(errno, doer) };
}

/** The target ran out of inodes and not of bytes: what ended the run says so, wherever it is told. */
export function blameInodes(state: TargetState, effects: readonly TargetEffect[]): TargetEffect[] {
  const isFull = ({ side, errno }: Failure): boolean => side === "target" && errno === E.NOSPC;
  const at = state.failures.findLastIndex(isFull);
  if (at >= 0) state.failures[at] = { ...state.failures[at]!, message: NO_INODES };
  return effects.map((effect) => {
    if (effect.kind !== "report" || effect.event.kind !== "failure" || !isFull(effect.event.failure)) return effect;
    if (state.fatal !== undefined) state.fatal = { ...state.fatal, message: fatalText(NO_INODES) };
    return { kind: "report", event: { kind: "failure", failure: { ...effect.event.failure, message: NO_INODES } } };
  });
}

export function reportRows(
  state: TargetState,
  dir: TargetDir,
  action: Action,
  rows: readonly number[],
  effects: TargetEffect[],
  reasons?: readonly string[] | undefined,
): void {
  if (!state.wantsItems || rows.length === 0) return;
  const directory = directoryPath(dir);
  effects.push({
    kind: "report",
    event: { kind: "items", action, directory, batch: dir.source, rows, ...(reasons === undefined ? {} : { reasons }) },
  });
}

function directoryPath(dir: TargetDir): Uint8Array {
  return rowPath(dir, dir.source.self);
}

export function countSkipped(state: TargetState, reason: SkipReason, count: number): void {
  addTo(state.skipped, reason, count);
}

export function protocolError(state: TargetState, effects: TargetEffect[], reason: string): void {
  state.phase = "failed";
  effects.push({ kind: "protocol-error", reason });
}
