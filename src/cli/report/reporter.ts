/**
 * Hands one run's events to its printers, keeps the clock of progress, and sees to it that the run ends with exactly
 * one summary, however it ends.
 */
import {
  bareSummary,
  type Counters,
  newCounters,
  type Phase,
  type RunEvent,
  type RunSummary,
} from "../../core/events.ts";
import type { RunError } from "../../core/run-error.ts";
import { PhaseClock } from "../../history/phase-clock.ts";
import type { Placement } from "../../session/api.ts";
import type { Output } from "./output.ts";
import type { PhaseTimes, Printer } from "./printer.ts";
import { ProgressMeter } from "./progress-meter.ts";

const TICK_MS = 100;
const HEARTBEAT_TICKS = 10;
/** A run shorter than this shows no live line: it would only flicker. */
const FIRST_DRAW_TICKS = 3;

/** How often a printer hears of progress. */
export type ProgressPace = "never" | "second" | "live";

export interface PacedPrinter {
  readonly printer: Printer;
  readonly pace: ProgressPace;
}

export class Reporter {
  readonly #printers: readonly PacedPrinter[];
  readonly #outputs: readonly Output[];
  readonly #startedMs = performance.now();
  readonly #meter: ProgressMeter;
  #counters: Readonly<Counters> = newCounters();
  #timer: NodeJS.Timeout | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #ticks = 0;
  #paused = false;
  #ended: RunSummary | undefined;
  #clock = new PhaseClock("scanning", performance.now());
  #phase: Phase = "scanning";
  #phases: PhaseTimes = {};

  constructor(printers: readonly PacedPrinter[], outputs: readonly Output[], how = { onlyLooks: false }) {
    this.#meter = new ProgressMeter(how);
    this.#printers = printers;
    this.#outputs = outputs;
  }

  /** The summary that was printed; undefined while the run goes on. */
  get ended(): RunSummary | undefined {
    return this.#ended;
  }

  begin(counters: Readonly<Counters>): void {
    this.#counters = counters;
    clearTimeout(this.#waiting);
    if (this.#timer !== undefined || this.#ended !== undefined) return;
    this.#clock = new PhaseClock(this.#phase, performance.now());
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  /** Something has to happen before the run can begin; when it takes longer than a moment, that is shown. */
  waitFor(text: string): void {
    this.#waiting = setTimeout(() => {
      for (const { printer, pace } of this.#printers) if (pace === "live") printer.waiting?.(text);
    }, FIRST_DRAW_TICKS * TICK_MS);
    this.#waiting.unref();
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  placed(placement: Placement): void {
    for (const { printer } of this.#printers) printer.start(placement);
  }

  event(event: RunEvent): void {
    if (this.#ended !== undefined) return;
    if (event.kind === "phase") this.#enter(event.phase);
    for (const { printer } of this.#printers) printer.event(event);
  }

  #enter(phase: Phase): void {
    this.#clock.enter(phase, performance.now());
    this.#phase = phase;
  }

  /** Of a run that has ended. */
  get phases(): PhaseTimes {
    return this.#phases;
  }

  /** No progress is shown while a person reads a question. */
  async whilePaused<T>(ask: () => Promise<T>): Promise<T> {
    this.#paused = true;
    for (const output of this.#outputs) output.flush();
    try {
      return await ask();
    } finally {
      this.#paused = false;
    }
  }

  #tick(): void {
    this.#ticks++;
    if (this.#paused) return;
    const heartbeat = this.#ticks % HEARTBEAT_TICKS === 0;
    // Not every phase is an event: the last one is only in the counters.
    if (this.#counters.phase !== this.#phase) this.#enter(this.#counters.phase);
    const progress = this.#meter.sample(this.#counters, this.#elapsedMs);
    for (const { printer, pace } of this.#printers) {
      const due = pace === "live" ? this.#ticks >= FIRST_DRAW_TICKS : pace === "second" && heartbeat;
      if (due) printer.progress(progress, this.#counters);
    }
    for (const output of this.#outputs) if (heartbeat || output.isTerminal) output.flush();
  }

  end(summary: RunSummary): void {
    if (this.#ended !== undefined) return;
    this.#ended = summary;
    clearTimeout(this.#waiting);
    clearInterval(this.#timer);
    this.#phases = this.#clock.end(performance.now());
    for (const { printer } of this.#printers) printer.end(summary, this.#phases);
    for (const output of this.#outputs) output.flush();
  }

  /** Ends a run that could not begin, or not go on. */
  refuse({ exitCode, reason, message }: RunError): void {
    if (this.#ended === undefined) for (const { printer } of this.#printers) printer.error?.(reason, message);
    this.endAbruptly({ exitCode, exitReason: reason, message });
  }

  /** Ends a run that cannot tell its own end, with the counters as they stand. */
  endAbruptly(ending: Pick<RunSummary, "exitCode" | "exitReason" | "message">): void {
    this.end(bareSummary(ending, this.#counters, this.#elapsedMs));
  }
}
