/**
 * Work on the JavaScript thread in slices. Calls of node:fs are synchronous and quick one by one; between them the
 * event loop gets its turn at least every few milliseconds, and cancelling and the rate limit are observed.
 */
import { E, StatusError } from "./errno.ts";

const SLICE_MS = 5;
const PACE_STEP_MS = 50;
const PACE_BURST_MS = 100;

export class Slices {
  bytesDone = 0;
  private until = 0;
  private turning: Promise<void> | undefined;
  private underWay = 0;
  private isCanceled = false;
  /** Whoever waits for its turn may outlast the request that wanted it. */
  private cancels = 0;
  private quieting = 0;
  private rate = 0;
  /** When the token bucket is level again. */
  private paceUntil = 0;
  private idle: (() => void)[] = [];

  /** Runs one request; never before the caller's own turn ended. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.underWay++;
    try {
      await this.turnIfDue();
      return await work();
    } finally {
      if (--this.underWay === 0) {
        this.runAgain();
        for (const wake of this.idle.splice(0)) wake();
      }
    }
  }

  setRate(bytesPerSecond: number): void {
    this.rate = bytesPerSecond > 0 ? bytesPerSecond : 0;
    // What was cancelled under another rate owes nothing under this one.
    this.paceUntil = 0;
  }
  cancel(): void {
    this.cancels++;
    if (this.underWay > 0) this.isCanceled = true;
  }
  /** Nothing is under way, nor what callers sent on hearing that they were cancelled; `cancel` is called once. */
  async quiet(cancel: () => void): Promise<void> {
    this.quieting++;
    this.isCanceled = true;
    try {
      cancel();
      do {
        await this.whenIdle();
        await new Promise<void>((resolve) => setImmediate(resolve));
      } while (this.underWay > 0);
    } finally {
      this.quieting--;
      this.runAgain();
    }
  }
  private runAgain(): void {
    if (this.underWay === 0 && this.quieting === 0) this.isCanceled = false;
  }
  get canceled(): boolean {
    return this.isCanceled;
  }
  async whenIdle(): Promise<void> {
    if (this.underWay > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
  }

  /** True when `breathe` would wait or throw: asking first spares a microtask per piece of work. */
  get isDue(): boolean {
    return this.isCanceled || performance.now() >= this.until;
  }

  /** Between two pieces of work: lets others in when the slice is used up. Throws when canceled. */
  async breathe(): Promise<void> {
    if (performance.now() >= this.until) await this.turnIfDue();
    if (this.isCanceled) throw new StatusError(-E.ECANCELED);
  }

  /** Waits until the rate limit lets `bytes` pass. */
  async pace(bytes: number): Promise<void> {
    await this.breathe();
    if (this.rate === 0 || bytes <= 0) return;
    const now = performance.now();
    const from = Math.max(this.paceUntil, now - PACE_BURST_MS);
    this.paceUntil = from + (bytes / this.rate) * 1000;
    const { cancels } = this;
    for (let left = from - now; left > 0 && this.rate > 0; left = from - performance.now()) {
      await Bun.sleep(Math.min(left, PACE_STEP_MS));
      if (this.cancels !== cancels) throw new StatusError(-E.ECANCELED);
    }
  }

  private async turnIfDue(): Promise<void> {
    while (performance.now() >= this.until) {
      this.turning ??= new Promise((resolve) => {
        setImmediate(() => {
          this.turning = undefined;
          this.until = performance.now() + SLICE_MS;
          resolve();
        });
      });
      await this.turning;
    }
  }
}
