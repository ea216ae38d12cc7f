/**
 * How many data streams help. Decided by trying, while work waits for a stream:
 *
 *     measure the rate with what there is; add streams; measure again
 *     clearly faster          keep them, and try more
 *     not clearly             take them back, and leave it so for a while
 *
 * A line that is full, a disk that is busy or a processor at its limit all look the same here: more streams do not help.
 */
export interface TunerSample {
  readonly nowMs: number;
  /** Of the whole session so far. */
  readonly bytes: number;
  readonly streams: number;
  /** More answers are due than there are streams. */
  readonly isWaiting: boolean;
}

export type TunerDecision =
  | { readonly kind: "stay" }
  /** `rate`: what it is now, bytes per second. */
  | { readonly kind: "grow"; readonly by: number; readonly rate: number }
  | { readonly kind: "shrink"; readonly by: number; readonly rate: number; readonly before: number };

/** A rate is measured over so long: shorter ones are noise. */
const MEASURE_MS = 500;
/** Streams that are opened get so long to reach their speed. */
const SETTLE_MS = 250;
/** After a try that did not help. */
const REST_MS = 10_000;
const WORTH = 1.1;

const STAY: TunerDecision = { kind: "stay" };

export class StreamTuner {
  private readonly most: number;
  private since: TunerSample | undefined;
  /** Streams added by the try under way, and the rate before it. */
  private added = 0;
  private rateBefore = 0;
  private restsUntilMs = 0;
  private kept: number | undefined;

  constructor(most: number) {
    this.most = most;
  }

  /** Streams of which a try has shown that they help, and that more would not, or were not yet tried; undefined: no try ended. */
  get found(): number | undefined {
    return this.kept;
  }

  sample(now: TunerSample): TunerDecision {
    if (!now.isWaiting || now.streams === 0) {
      // What was measured so far had pauses in it.
      this.since = undefined;
      return STAY;
    }
    if (this.since === undefined || this.since.streams !== now.streams) {
      this.since = { ...now, nowMs: now.nowMs + (this.added > 0 ? SETTLE_MS : 0) };
      return STAY;
    }
    const { since } = this;
    if (now.nowMs < since.nowMs) {
      this.since = { ...since, bytes: now.bytes };
      return STAY;
    }
    const ms = now.nowMs - since.nowMs;
    if (ms < MEASURE_MS) return STAY;
    const rate = ((now.bytes - since.bytes) * 1000) / ms;
    this.since = undefined;
    return this.judge(rate, now);
  }

  private judge(rate: number, { streams, nowMs }: TunerSample): TunerDecision {
    const tried = this.added;
    this.added = 0;
    if (tried > 0) this.kept = rate < this.rateBefore * WORTH ? streams - tried : streams;
    if (tried > 0 && rate < this.rateBefore * WORTH) {
      this.restsUntilMs = nowMs + REST_MS;
      return { kind: "shrink", by: tried, rate, before: this.rateBefore };
    }
    if (nowMs < this.restsUntilMs || streams >= this.most) return STAY;
    this.rateBefore = rate;
    this.added = Math.min(Math.max(1, streams >> 1), this.most - streams);
    return { kind: "grow", by: this.added, rate };
  }
}
