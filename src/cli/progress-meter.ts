/**
 * What the counters of a run say about its progress. What is done never goes backwards. The time left is counted down
 * between estimates and follows them when they turn out to be wrong: it may grow, since a promise that no longer holds
 * helps nobody, and it is not said before the scan is complete or while nothing moves.
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
  /** Of contents that are compared because size and time do not decide. */
  readonly bytesCompared: number;
  readonly bytesToCompare: number;
  readonly deleted: number;
  readonly toDelete: number;
  readonly sourcesRemoved: number;
  /** Entries that differ: what a check found, or a run that only shows what it would do. */
  readonly different: number;
  readonly failed: number;
  readonly bytesPerSecond: number;
  /** Since the first byte. */
  readonly averageBytesPerSecond: number;
  readonly secondsLeft: number | undefined;
}

/** How much of the rate of the last interval goes into the running rate, per second of it. */
const RATE_WEIGHT = 0.3;
/** Earlier, a burst into the page cache would promise far too much. */
const FIRST_ESTIMATE_MS = 1500;
/** Without a byte or a file for so long there is no rate to speak of. */
const STALLED_MS = 5000;
/** An estimate that is off by less than both is noise: then the time is counted down. */
const NOISE_SECONDS = 2;
const NOISE_SHARE = 0.15;
/**
 * What a file costs beside its bytes, in bytes that move in the same time. Files and bytes are one measure of work so:
 * the last of a thousand files may be larger than all others, and the first thousand may be empty.
 */
const FILE_BYTES = 64 * 1024;
/** Beyond it a number says no more than "long". */
const LONGEST_SECONDS = 30 * 86_400;

export class ProgressMeter {
  #lastMs = 0;
  #movedMs = 0;
  #beganMs: number | undefined;
  #bytesDone = 0;
  #filesDone = 0;
  #bytesCompared = 0;
  #deleted = 0;
  #byteRate = 0;
  #workRate = 0;
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
      const work = bytesDone - this.#bytesDone + FILE_BYTES * (filesDone - this.#filesDone);
      this.#workRate += weight * (work / seconds - this.#workRate);
    }
    if (bytesDone > this.#bytesDone || filesDone > this.#filesDone) {
      this.#beganMs ??= this.#lastMs;
      this.#movedMs = elapsedMs;
    }
    this.#lastMs = Math.max(this.#lastMs, elapsedMs);
    this.#bytesDone = bytesDone;
    this.#filesDone = filesDone;
    this.#bytesCompared = Math.max(this.#bytesCompared, counters.bytesCompared);
    this.#deleted = Math.max(this.#deleted, counters.deleted);
    const filesTotal = Math.max(counters.filesToTransfer, filesDone);
    const bytesTotal = Math.max(counters.bytesToTransfer, bytesDone);
    const transferMs = elapsedMs - (this.#beganMs ?? elapsedMs);
    return {
      phase: counters.phase,
      elapsedMs,
      entriesExamined: counters.entriesExamined,
      scanComplete: counters.scanComplete,
      filesDone,
      filesTotal,
      bytesDone,
      bytesTotal,
      bytesCompared: this.#bytesCompared,
      bytesToCompare: Math.max(counters.bytesToCompare, this.#bytesCompared),
      deleted: this.#deleted,
      toDelete: Math.max(counters.entriesToDelete, this.#deleted),
      sourcesRemoved: counters.sourcesRemoved,
      different:
        counters.created + counters.updated + counters.repaired + counters.linked + counters.directoriesCreated,
      failed: counters.failed,
      bytesPerSecond: Math.max(0, this.#byteRate),
      averageBytesPerSecond: transferMs > 0 ? (bytesDone * 1000) / transferMs : 0,
      secondsLeft: counters.scanComplete ? this.#estimate(bytesTotal, filesTotal, elapsedMs, seconds) : undefined,
    };
  }

  #estimate(bytesTotal: number, filesTotal: number, elapsedMs: number, seconds: number): number | undefined {
    if (elapsedMs < FIRST_ESTIMATE_MS) return undefined;
    const transferMs = elapsedMs - (this.#beganMs ?? elapsedMs);
    const left = bytesTotal - this.#bytesDone + FILE_BYTES * (filesTotal - this.#filesDone);
    const estimate = timeFor(left, this.#bytesDone + FILE_BYTES * this.#filesDone, this.#workRate, transferMs);
    const isStalled = estimate > 0 && elapsedMs - this.#movedMs > STALLED_MS;
    if (isStalled || estimate > LONGEST_SECONDS) {
      this.#secondsLeft = undefined;
      return undefined;
    }
    const counted = Math.max(0, (this.#secondsLeft ?? estimate) - Math.max(0, seconds));
    const isNoise = Math.abs(estimate - counted) < Math.max(NOISE_SECONDS, NOISE_SHARE * estimate);
    this.#secondsLeft = isNoise && this.#secondsLeft !== undefined && counted > 0 ? counted : estimate;
    return this.#secondsLeft;
  }
}

/** By the slower of the recent and the average rate: better a pleasant surprise than a broken promise. */
function timeFor(left: number, done: number, recentRate: number, elapsedMs: number): number {
  if (left <= 0) return 0;
  const rate = elapsedMs > 0 ? Math.min(recentRate, done / (elapsedMs / 1000)) : recentRate;
  return rate > 0 ? left / rate : Number.POSITIVE_INFINITY;
}
