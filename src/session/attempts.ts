/** A run is tried again as often as --retry says, when what failed may pass. */
import type { Counters, NetworkSummary, RunHooks, RunSummary } from "../core/events.ts";
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
    symlinksExamined: 0,
    specialsExamined: 0,
    bytesExamined: 0,
    scanComplete: false,
    bytesToCompare: 0,
    bytesCompared: 0,
    entriesToDelete: counters.deleted,
    filesToTransfer: counters.filesTransferred,
    bytesToTransfer: counters.bytesLogical,
    unchanged: 0,
    failed: 0,
    vanished: 0,
    attributeWarnings: 0,
  } satisfies Partial<Counters>);
}

/** What the earlier attempts of a run add to the summary of the last one, beyond what the counters add up themselves. */
export class EarlierAttempts {
  /** What an attempt transferred is unchanged for the next, but not for the run: the first that tells knows it. */
  private unchanged: number | undefined;
  /** Entries that attempts brought which ended before they could tell. */
  private untold = 0;
  private methods: RunSummary["methods"] = {};
  private network: NetworkSummary | undefined;

  /** The summary of the run, of that of its latest attempt. */
  total(latest: RunSummary): RunSummary {
    const methods: Record<string, number> = { ...this.methods };
    for (const [method, files] of Object.entries(latest.methods)) methods[method] = (methods[method] ?? 0) + files;
    const unchanged = this.unchanged ?? Math.max(0, latest.counters.unchanged - this.untold);
    const network = latest.network === undefined ? this.network : addUp(this.network, latest.network);
    return { ...latest, counters: { ...latest.counters, unchanged }, methods, network };
  }

  /** There is another attempt after this one. */
  add(latest: RunSummary): void {
    const { counters, methods, network } = this.total(latest);
    this.unchanged = counters.unchanged;
    this.methods = methods;
    this.network = network;
  }

  /** The same of one that was lost: all that is known of it is in the counters, which run through all attempts. */
  addLost({ filesTransferred, linked, sourcesRemoved }: Counters): void {
    this.untold = Math.max(0, filesTransferred + linked - sourcesRemoved);
  }
}

function addUp(earlier: NetworkSummary | undefined, latest: NetworkSummary): NetworkSummary {
  return {
    carrier: latest.carrier,
    streams: Math.max(earlier?.streams ?? 0, latest.streams),
    bytes: (earlier?.bytes ?? 0) + latest.bytes,
    firstContentMs: earlier?.firstContentMs ?? latest.firstContentMs,
    roundTripMs: latest.roundTripMs ?? earlier?.roundTripMs,
    foundStreams: latest.foundStreams ?? earlier?.foundStreams,
  };
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
