/** A face of a run: everything that a run tells goes through one of these. */
import type { Counters, RunEvent, RunSummary } from "../core/events.ts";
import type { Verb } from "../core/options.ts";
import type { Placement } from "../session/api.ts";
import type { Progress } from "./progress-meter.ts";

export interface Printer {
  /** What goes where; at most once, before the first event. */
  start(placement: Placement): void;
  event(event: RunEvent): void;
  /** Each second, when progress is wanted. */
  progress(progress: Progress, counters: Readonly<Counters>): void;
  /** Once, last. */
  end(summary: RunSummary): void;
}

/** What printers know of the run beside its events. */
export interface RunFacts {
  readonly verb: Verb;
  readonly dryRun: boolean;
  /** Absent for verbs that copy nothing. */
  readonly zeroCopy?: ZeroCopy | undefined;
}

/** Whether the kernel may copy, as far as flags and the environment decide. */
export interface ZeroCopy {
  readonly allowed: boolean;
  /** The flag or variable that decided; undefined: nobody asked for anything. */
  readonly decidedBy: string | undefined;
}

export function zeroCounters(): Counters {
  return {
    phase: "scanning",
    directoriesExamined: 0,
    entriesExamined: 0,
    filesExamined: 0,
    scanComplete: false,
    filesToTransfer: 0,
    bytesToTransfer: 0,
    filesTransferred: 0,
    bytesTransferred: 0,
    bytesLanded: 0,
    bytesLogical: 0,
    created: 0,
    updated: 0,
    repaired: 0,
    linked: 0,
    unchanged: 0,
    directoriesCreated: 0,
    deleted: 0,
    sourcesRemoved: 0,
    failed: 0,
    vanished: 0,
    attributeWarnings: 0,
  };
}

/** The summary of a run that ended without giving one: a wrong command line, a crash, a second interrupt. */
export function bareSummary(
  ending: Pick<RunSummary, "exitCode" | "exitReason" | "message">,
  counters: Readonly<Counters> = zeroCounters(),
  durationMs = 0,
): RunSummary {
  return {
    ...ending,
    counters,
    durationMs,
    skipped: {},
    methods: {},
    refused: [],
    plan: { shards: 0, bundles: 0, large: 0, direct: 0 },
    attributeWarnings: [],
    failures: [],
    unmatchedPatterns: [],
    backend: undefined,
    workers: undefined,
    dryRun: false,
  };
}
