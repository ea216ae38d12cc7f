/**
 * Messages on their way out of a session: gathered while the one before is being written, so that many small ones cost
 * one write. Bytes that wait are counted, so that who produces content can wait for them to leave.
 */
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";

/** What one write holds at most; a single message may be larger. */
const WRITE_MESSAGES = 4096;
const WRITE_BYTES = 1 << 20;
/** What a message without content is counted as. */
const SMALL_BYTES = 64;

export class Outbox implements AsyncIterable<SessionMessage[]> {
  private queue: SessionMessage[] = [];
  private weights: number[] = [];
  private from = 0;
  private waiting = 0;
  private ended = false;
  private wake: (() => void) | undefined;
  private drained: (() => void)[] = [];

  get waitingBytes(): number {
    return this.waiting;
  }

  push(message: SessionMessage, bytes = 0): void {
    if (this.ended || this.joins(message)) return;
    this.queue.push(message);
    this.weights.push(bytes + SMALL_BYTES);
    this.waiting += bytes + SMALL_BYTES;
    this.wake?.();
  }

  /** Settled and released directories follow each other by the hundred: they share a message. */
  private joins({ body }: SessionMessage): boolean {
    const last = this.queue.length > this.from ? this.queue.at(-1)!.body : undefined;
    if (last === undefined || last.case !== body.case) return false;
    if (body.case !== "settled" && body.case !== "released") return false;
    (last.value as typeof body.value).dirs.push(...body.value.dirs);
    return true;
  }

  /** Nothing more comes; what waits is still written. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** When at most `bytes` wait, or nothing will be written any more. */
  async below(bytes: number): Promise<void> {
    while (this.waiting > bytes && !this.isDropped) await new Promise<void>((resolve) => this.drained.push(resolve));
  }

  private isDropped = false;
  /** What waits is not written: the other side is gone. */
  drop(): void {
    this.isDropped = true;
    this.discard();
    this.end();
  }

  /** What waits is not written, but a last word may follow. */
  discard(): void {
    this.queue = [];
    this.weights = [];
    this.from = 0;
    this.waiting = 0;
    this.settleDrained();
  }

  private settleDrained(): void {
    const waiters = this.drained;
    this.drained = [];
    for (const waiter of waiters) waiter();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<SessionMessage[]> {
    for (;;) {
      while (this.from < this.queue.length) yield this.take();
      if (this.ended) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
      this.wake = undefined;
    }
  }

  private take(): SessionMessage[] {
    let bytes = 0;
    let to = this.from;
    const goesAlone = (at: number): boolean => this.queue[at]!.body.case === "payload";
    do bytes += this.weights[to++]!;
    while (
      to < this.queue.length &&
      to - this.from < WRITE_MESSAGES &&
      bytes < WRITE_BYTES &&
      !goesAlone(to) &&
      !goesAlone(to - 1)
    );
    const taken = this.queue.slice(this.from, to);
    if (to === this.queue.length) {
      this.queue = [];
      this.weights = [];
      this.from = 0;
    } else this.from = to;
    this.waiting -= bytes;
    this.settleDrained();
    return taken;
  }
}
