/** A face of a run: everything that a run tells goes through one of these. */
import type { Counters, Phase, RunEvent, RunSummary } from "../../core/events.ts";
import type { Verb } from "../../core/options.ts";
import type { Placement } from "../../session/api.ts";
import type { Progress } from "./progress-meter.ts";

export interface Printer {
  /** What goes where; at most once, before the first event. */
  start(placement: Placement): void;
  event(event: RunEvent): void;
  /** Each second, when progress is wanted. */
  progress(progress: Progress, counters: Readonly<Counters>): void;
  /** Before `start`, when that takes a moment: what is waited for. */
  waiting?(text: string): void;
  /** Why the whole run ends, where `end` does not say it. */
  error?(code: string, message: string): void;
  /** Once, last. */
  end(summary: RunSummary, phases?: PhaseTimes): void;
}

/** How long each phase was the one that counted, in whole milliseconds, in the order of their coming. */
export type PhaseTimes = Readonly<Partial<Record<Phase, number>>>;

/** What printers know of the run beside its events. */
export interface RunFacts {
  /** What is done. */
  readonly verb: Verb;
  /** The verb as it was written, where that is another word: `cp`, `sync`. */
  readonly command?: string;
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
