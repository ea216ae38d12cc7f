/** A run is tried again as often as --retry says, when what failed may pass. */
import type { Counters, RunHooks, RunSummary } from "../core/events.ts";
import type { RunOptions } from "../core/options.ts";

/** A further attempt of the same run does not ask again. */
export function askedOnce(hooks: RunHooks): RunHooks {
  let answer: ReturnType<RunHooks["confirmDeletions"]> | undefined;
  return {
    ...hooks,
    confirmDeletions: (plan) => {
      answer ??= hooks.confirmDeletions(plan);
      return answer;
    },
  };
}

/** What is examined once more counts once; what was done stays done. */
export function beginAgain(counters: Counters): void {
  Object.assign(counters, {
    phase: "scanning",
    directoriesExamined: 0,
    entriesExamined: 0,
    filesExamined: 0,
    scanComplete: false,
    filesToTransfer: counters.filesTransferred,
    bytesToTransfer: counters.bytesLogical,
    failed: 0,
    vanished: 0,
    attributeWarnings: 0,
  } satisfies Partial<Counters>);
}

/** Failures of a kind that another try may not meet again. */
export function mayPass(failures: RunSummary["failures"]): boolean {
  const passing = new Set(["changed_while_reading", "vanished", "io", "other", "canceled"]);
  return failures.some((failure) => passing.has(failure.code));
}

/** Says that the run is tried again, and waits. False: it was interrupted meanwhile. */
export async function waitForNext(
  what: string,
  attempt: number,
  { retry }: RunOptions,
  hooks: RunHooks,
  signal: AbortSignal,
): Promise<boolean> {
  const message = `${what}; trying again in ${retry.waitMs / 1000} s (${attempt + 1} of ${retry.attempts})`;
  hooks.onEvent({ kind: "notice", level: "info", code: "retry", message });
  await pause(retry.waitMs, signal);
  return !signal.aborted;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
