/**
 * What the counters of a run say about its progress. Shown figures never go backwards: done counts and the time left
 * are held where an estimate would take them back.
 */
import type { Counters, Phase } from "../core/events.ts";

export interface Progress {
  readonly phase: Phase;
  readonly elapsedMs: number;
  readonly entriesExamined: number;
  readonly scanComplete: boolean;
  readonly filesDone: number;
  readonly filesTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly deleted: number;
  readonly failed: number;
  readonly bytesPerSecond: number;
  /** Unknown until the scan is complete and a rate is measured. */
  readonly secondsLeft: number | undefined;
}

/** How much of the rate of the last interval goes into the running rate, per second of it. */
const RATE_WEIGHT = 0.3;
/** Earlier, a burst into the page cache would promise far too much. */
const FIRST_ESTIMATE_MS = 1500;

export class ProgressMeter {
  #lastMs = 0;
  #bytesDone = 0;
  #filesDone = 0;
  #byteRate = 0;
  #fileRate = 0;
  #secondsLeft: number | undefined;

  sample(counters: Readonly<Counters>, elapsedMs: number): Progress {
    // A clone moves no bytes but counts logically; a file in progress counts by what has landed of it.
    const bytesDone = Math.max(
      this.#bytesDone,
      Math.min(Math.max(counters.bytesLogical, counters.bytesLanded), counters.bytesToTransfer),
    );
    const filesDone = Math.max(this.#filesDone, counters.filesTransferred);
    const seconds = (elapsedMs - this.#lastMs) / 1000;
    if (seconds > 0) {
      const weight = this.#lastMs === 0 ? 1 : Math.min(1, RATE_WEIGHT * seconds + 0.02);
      this.#byteRate += weight * ((bytesDone - this.#bytesDone) / seconds - this.#byteRate);
      this.#fileRate += weight * ((filesDone - this.#filesDone) / seconds - this.#fileRate);
      this.#lastMs = elapsedMs;
    }
    this.#bytesDone = bytesDone;
    this.#filesDone = filesDone;
    const filesTotal = Math.max(counters.filesToTransfer, filesDone);
    const bytesTotal = Math.max(counters.bytesToTransfer, bytesDone);
    return {
      phase: counters.phase,
      elapsedMs,
      entriesExamined: counters.entriesExamined,
      scanComplete: counters.scanComplete,
      filesDone,
      filesTotal,
      bytesDone,
      bytesTotal,
      deleted: counters.deleted,
      failed: counters.failed,
      bytesPerSecond: Math.max(0, this.#byteRate),
      secondsLeft: counters.scanComplete ? this.#estimate(bytesTotal, filesTotal, elapsedMs) : undefined,
    };
  }

  #estimate(bytesTotal: number, filesTotal: number, elapsedMs: number): number | undefined {
    if (elapsedMs < FIRST_ESTIMATE_MS) return undefined;
    const byBytes = timeFor(bytesTotal - this.#bytesDone, this.#bytesDone, this.#byteRate, elapsedMs);
    const byFiles = timeFor(filesTotal - this.#filesDone, this.#filesDone, this.#fileRate, elapsedMs);
    const estimate = Math.max(byBytes, byFiles);
    if (Number.isFinite(estimate)) this.#secondsLeft = Math.min(this.#secondsLeft ?? estimate, estimate);
    return this.#secondsLeft;
  }
}

/** By the slower of the recent and the average rate: an estimate may shrink, not grow. */
function timeFor(left: number, done: number, recentRate: number, elapsedMs: number): number {
  if (left <= 0) return 0;
  const rate = Math.min(recentRate, done / (elapsedMs / 1000));
  return rate > 0 ? left / rate : Number.POSITIVE_INFINITY;
}
