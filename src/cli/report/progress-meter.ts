/**
 * What the counters of a run say about its progress. What is done never goes backwards. The time left is counted down
 * between estimates and follows them when they turn out to be wrong: it may grow, since a promise that no longer holds
 * helps nobody, and it is not said before the scan is complete or while nothing moves.
 */
import type { Counters, Phase } from "../../core/events.ts";

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

/** What happened so long ago counts a third (1/e) in the rate of the moment. */
const RATE_MS = 3000;
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
  readonly #onlyLooks: boolean;
  #lastMs = 0;
  #movedMs = 0;
  #beganMs: number | undefined;
  #bytesDone = 0;
  #filesDone = 0;
  #bytesCompared = 0;
  #deleted = 0;
  /** Bytes, work and milliseconds of the last moments, older ones fading. */
  #recentBytes = 0;
  #recentWork = 0;
  #recentMs = 0;
  #secondsLeft: number | undefined;

  /** `onlyLooks`: nothing is transferred, what there is to do is comparing contents. */
  constructor({ onlyLooks } = { onlyLooks: false }) {
    this.#onlyLooks = onlyLooks;
  }

  sample(counters: Readonly<Counters>, elapsedMs: number): Progress {
    // A clone moves no bytes but counts logically; a file in progress counts by what has landed of it.
    const bytesDone = Math.max(
      this.#bytesDone,
      Math.min(Math.max(counters.bytesLogical, counters.bytesLanded), counters.bytesToTransfer),
    );
    const filesDone = Math.max(this.#filesDone, counters.filesTransferred);
    const intervalMs = Math.max(0, elapsedMs - this.#lastMs);
    const bytes = bytesDone - this.#bytesDone;
    const bytesCompared = Math.max(this.#bytesCompared, counters.bytesCompared);
    const work = bytes + FILE_BYTES * (filesDone - this.#filesDone) + bytesCompared - this.#bytesCompared;
    if (work > 0) {
      this.#beganMs ??= this.#lastMs;
      this.#movedMs = elapsedMs;
    }
    if (this.#beganMs !== undefined) {
      const fading = Math.exp(-intervalMs / RATE_MS);
      this.#recentBytes = this.#recentBytes * fading + bytes;
      this.#recentWork = this.#recentWork * fading + work;
      this.#recentMs = this.#recentMs * fading + intervalMs;
    }
    this.#lastMs = Math.max(this.#lastMs, elapsedMs);
    this.#bytesDone = bytesDone;
    this.#filesDone = filesDone;
    this.#bytesCompared = bytesCompared;
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
      bytesPerSecond: perSecond(this.#recentBytes, this.#recentMs),
      averageBytesPerSecond: perSecond(bytesDone, transferMs),
      secondsLeft: counters.scanComplete
        ? this.#estimate(
            this.#onlyLooks ? { bytes: 0, files: 0 } : { bytes: bytesTotal, files: filesTotal },
            Math.max(0, counters.bytesToCompare - bytesCompared),
            elapsedMs,
            intervalMs / 1000,
          )
        : undefined,
    };
  }

  #estimate(
    total: { readonly bytes: number; readonly files: number },
    toCompare: number,
    elapsedMs: number,
    seconds: number,
  ): number | undefined {
    if (elapsedMs < FIRST_ESTIMATE_MS) return undefined;
    const transferMs = elapsedMs - (this.#beganMs ?? elapsedMs);
    const toTransfer = Math.max(0, total.bytes - this.#bytesDone + FILE_BYTES * (total.files - this.#filesDone));
    const left = toTransfer + toCompare;
    const done = this.#bytesDone + FILE_BYTES * this.#filesDone + this.#bytesCompared;
    // By the slower of the two rates: better a pleasant surprise than a broken promise. Of bytes nothing is known before
    // the first.
    const rate = Math.min(perSecond(this.#recentWork, this.#recentMs), perSecond(done, transferMs));
    const isUnknown = rate === 0 || (total.bytes > 0 && this.#bytesDone === 0);
    const estimate = left <= 0 ? 0 : isUnknown ? Number.POSITIVE_INFINITY : left / rate;
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

function perSecond(amount: number, milliseconds: number): number {
  return milliseconds > 0 ? Math.max(0, (amount * 1000) / milliseconds) : 0;
}
