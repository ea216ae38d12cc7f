/**
 * Requests and answers of the native library.
 *
 *   take()   a zeroed request to fill in place: a slot of the submission ring, or, when `MAX_OUTSTANDING` are
 *            under way, a block that waits its turn
 *   send()   promises the answer; a microtask later everything sent meanwhile is submitted with one call
 *   pump     while answers are due: reap all, settle their promises; nothing there: sleep on the wake-up pipe
 *
 * take() and send() belong together without an await or an exception between them: a slot that was taken is submitted.
 */
import fs from "node:fs";
import { ARENA_BYTES, CLOSE_QUIET, CQ_SIZE, NO_FD, Op, type Ring, type RowCalls, SQ_SIZE } from "../../../ffi/fsy.ts";
import { CONTROL, CQE, SQE } from "../../../ffi/layout.ts";

export const MAX_OUTSTANDING = 512;
/** The pump lets timers and sockets have the thread at least this often. */
const TURN_MS = 4;
/** Microtask rounds in which further requests are waited for: as deep as the callers' promise chains. */
const GATHER_ROUNDS = 6;

/**
 * The engine counts what a buffer covers as memory in use, and collects garbage by growth in proportion to that: a
 * window on the whole arena would let garbage grow by gigabytes. This holds the listings of an ordinary run.
 */
const FIRST_WINDOW_BYTES = 16 << 20;

const SQE_BYTES = SQE.bytes;
const CQE_BYTES = CQE.bytes;
const { op: OP, tag: TAG, fd0: FD0, flags: FLAGS, count: COUNT, rows: ROWS } = SQE.at;
const CQE_TAG = CQE.at.tag >> 2;
const SQ_TAIL = CONTROL.at.sq_tail >> 2;
const CQ_HEAD = CONTROL.at.cq_head >> 2;
const CANCEL = CONTROL.at.cancel >> 2;

type Settle = (completion: number) => void;

export class RequestRing {
  /** Views of the arena's beginning, as far as it was needed so far; `reach` replaces them by longer ones. */
  bytes!: Uint8Array;
  u32!: Uint32Array;
  i32!: Int32Array;
  f64!: Float64Array;
  private windowBytes = 0;
  /** Every u32 view that was ever handed out: a handful, since each is twice as long as the one before. */
  private readonly views: Uint32Array[] = [];
  private readonly ring: Ring;
  private readonly sqAt: number;
  private readonly cqAt: number;
  /** By tag; a tag is an index that is used again as soon as its answer came. */
  private readonly settle: (Settle | undefined)[] = [];
  private readonly freeTags: number[] = [];
  /** In the ring: taken, not answered. */
  private underWay = 0;
  /** Requests beyond `MAX_OUTSTANDING`: arena blocks in order. */
  private waiting: number[] = [];
  private waitingFrom = 0;
  private tail = 0;
  private submitted = 0;
  private isFlushDue = false;
  private isPumping = false;
  /** Shutting down: everything is answered -ECANCELED. */
  private isEnding = false;
  private isShut = false;
  private ending: Promise<void> | undefined;
  private closing: number[] = [];
  private reader: ReturnType<typeof wakeReader> | undefined;
  private idle: (() => void)[] = [];

  constructor(ring: Ring) {
    this.ring = ring;
    this.reach(FIRST_WINDOW_BYTES);
    this.sqAt = this.u32[CONTROL.at.sq_at >> 2]!;
    this.cqAt = this.u32[CONTROL.at.cq_at >> 2]!;
  }

  /** Calls that loop over the rows of a batch, at once. */
  get calls(): RowCalls {
    return this.ring.calls;
  }

  /** Whether a view is one of this arena's. */
  holds(view: Uint32Array): boolean {
    return view === this.u32 || this.views.includes(view);
  }

  /** Makes the views cover the arena up to `end`. Older views, in batches, stay valid. */
  reach(end: number): void {
    if (end <= this.windowBytes) return;
    let bytes = Math.max(this.windowBytes, FIRST_WINDOW_BYTES);
    while (bytes < end) bytes *= 2;
    this.windowBytes = Math.min(bytes, ARENA_BYTES);
    const window = this.ring.window(this.windowBytes);
    this.bytes = new Uint8Array(window);
    this.u32 = new Uint32Array(window);
    this.views.push(this.u32);
    this.i32 = new Int32Array(window);
    this.f64 = new Float64Array(window);
  }

  /** An arena block; throws when the arena is full, because no caller can go on then. */
  alloc(bytes: number): number {
    const block = this.ring.alloc(bytes);
    if (block === 0) throw new Error(`the native library's arena is full (${bytes} bytes wanted)`);
    this.reach(block + bytes);
    return block;
  }
  free(block: number): void {
    this.ring.free(block);
  }
  /** A 64-bit counter of the control block, exact to 2^53. */
  counter(word: number): number {
    for (;;) {
      const high = this.u32[word + 1]!;
      const low = this.u32[word]!;
      // Workers add to it meanwhile: read again when the halves may not belong together.
      if (this.u32[word + 1] === high) return high * 2 ** 32 + low;
    }
  }
  setWorkers(workers: number): void {
    this.ring.setWorkers(workers);
  }

  /** Byte offset of a request, zeroed but for the operation and descriptors, which are NO_FD. */
  take(op: Op): number {
    if (this.isShut) throw new Error("the native library was shut down");
    const mustWait = this.underWay >= MAX_OUTSTANDING || this.waitingFrom < this.waiting.length;
    let at: number;
    if (mustWait) {
      at = this.alloc(SQE_BYTES);
      this.waiting.push(at);
    } else {
      at = this.sqAt + (this.tail++ & (SQ_SIZE - 1)) * SQE_BYTES;
      this.underWay++;
    }
    const word = at >> 2;
    this.u32.fill(0, word, word + (SQE_BYTES >> 2));
    this.u32[word + (OP >> 2)] = op;
    this.u32[word + (TAG >> 2)] = this.freeTags.pop() ?? this.settle.push(undefined) - 1;
    const fds = word + (FD0 >> 2);
    this.i32[fds] = NO_FD;
    this.i32[fds + 1] = NO_FD;
    this.i32[fds + 2] = NO_FD;
    this.i32[fds + 3] = NO_FD;
    return at;
  }

  /** `finish` gets the byte offset of the completion and must take what it needs from it at once. */
  send<T>(request: number, finish: (completion: number) => T): Promise<T> {
    const tag = this.u32[(request + TAG) >> 2]!;
    this.scheduleFlush();
    return new Promise<T>((resolve, reject) => {
      this.settle[tag] = (completion) => {
        try {
          resolve(finish(completion));
        } catch (error) {
          reject(error);
        }
      };
    });
  }

  /** Closes without an answer; many calls become one request. */
  close(fds: readonly number[]): void {
    if (this.isShut) {
      for (const fd of fds) if (fd >= 0) fs.close(fd, () => {});
      return;
    }
    for (const fd of fds) if (fd >= 0) this.closing.push(fd);
    if (this.closing.length > 0) this.scheduleFlush();
  }

  /** What is under way or waits answers -ECANCELED soon. What is sent after everything was answered runs again. */
  cancel(): void {
    if (this.underWay > 0) this.ring.cancel();
  }
  /** For a stream: the caller may close its own descriptor at once. Or a negative errno. */
  duplicate(fd: number): number {
    return this.ring.duplicate(fd);
  }

  /** Cancels until nothing is under way and no caller goes on sending. */
  async quiet(): Promise<void> {
    if (this.isShut) return;
    this.quieting++;
    try {
      this.ring.cancel();
      do await this.whenIdle();
      while (!this.isShut && (this.underWay > 0 || this.tail !== this.submitted));
    } finally {
      if (--this.quieting === 0 && !this.isShut) this.runAgain();
    }
  }
  /** Calls of `quiet` that wait: what callers send on an answer is cancelled too, also on the last one. */
  private quieting = 0;

  /** What is sent from now on is not meant by an earlier `cancel`. */
  private runAgain(): void {
    if (this.underWay === 0 && this.quieting === 0 && !this.isEnding) this.u32[CANCEL] = 0;
  }

  /** Once, and the turn of whoever waited for the last answer. */
  private async whenIdle(): Promise<void> {
    this.flush();
    if (this.underWay > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }

  /** Cancels, waits for everything under way and for what its callers still send (their cleaning up), then ends. */
  shutdown(): Promise<void> {
    this.ending ??= this.end();
    return this.ending;
  }

  private async end(): Promise<void> {
    this.isEnding = true;
    this.ring.cancel();
    do await this.whenIdle();
    while (this.underWay > 0 || this.closing.length > 0 || this.tail !== this.submitted);
    this.isShut = true;
    await this.reader?.cancel();
    this.ring.close();
  }

  private scheduleFlush(): void {
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    this.gathered = this.tail;
    this.gatherRounds = 0;
    queueMicrotask(this.gather);
  }

  /** Waits while running microtasks still add requests, so that one submit, and one wake-up, serves them all. */
  private readonly gather = (): void => {
    if (this.tail !== this.gathered && ++this.gatherRounds < GATHER_ROUNDS) {
      this.gathered = this.tail;
      queueMicrotask(this.gather);
    } else this.flush();
  };

  private gathered = 0;
  private gatherRounds = 0;
  private readonly flush = (): void => {
    this.isFlushDue = false;
    if (this.closing.length > 0) this.fillClose();
    this.submit();
    if (this.underWay > 0 && !this.isPumping) void this.pump();
  };

  private submit(): void {
    if (this.tail === this.submitted) return;
    this.u32[SQ_TAIL] = this.tail;
    const taken = this.ring.submit();
    if (taken < 0) throw new Error(`fsy_submit: errno ${-taken}`);
    this.submitted += taken;
    // Only quiet requests in large numbers can fill the library's queue; they need a moment.
    if (this.submitted !== this.tail) setImmediate(this.flush);
  }

  private fillClose(): void {
    if (this.tail - this.submitted >= SQ_SIZE) return;
    const fds = this.closing;
    this.closing = [];
    const rows = this.alloc(fds.length * 4);
    this.i32.set(fds, rows >> 2);
    const word = (this.sqAt + (this.tail++ & (SQ_SIZE - 1)) * SQE_BYTES) >> 2;
    this.u32.fill(0, word, word + (SQE_BYTES >> 2));
    this.u32[word + (OP >> 2)] = Op.close;
    this.u32[word + (FLAGS >> 2)] = CLOSE_QUIET;
    this.u32[word + (COUNT >> 2)] = fds.length;
    this.u32[word + (ROWS >> 2)] = rows;
  }

  private async pump(): Promise<void> {
    this.isPumping = true;
    let turnEnds = performance.now() + TURN_MS;
    while (this.underWay > 0) {
      const ready = this.ring.reap();
      if (ready === 0) {
        // That reap armed the wake-up: one byte comes with the next completion.
        this.reader ??= wakeReader(this.ring.wakeFd);
        await this.reader.read();
        turnEnds = performance.now() + TURN_MS;
        continue;
      }
      this.drain(ready);
      // Callers go on in microtasks and send more; only then is it worth looking again.
      if (performance.now() < turnEnds) {
        for (let round = 0; round < GATHER_ROUNDS; round++) await undefined;
      } else {
        await new Promise<void>((resolve) => setImmediate(resolve));
        turnEnds = performance.now() + TURN_MS;
      }
    }
    this.isPumping = false;
    for (const wake of this.idle.splice(0)) wake();
  }

  private drain(ready: number): void {
    let head = this.u32[CQ_HEAD]!;
    for (let i = 0; i < ready; i++) {
      const completion = this.cqAt + (head & (CQ_SIZE - 1)) * CQE_BYTES;
      const tag = this.u32[(completion >> 2) + CQE_TAG]!;
      const settle = this.settle[tag];
      head = (head + 1) >>> 0;
      this.settle[tag] = undefined;
      this.freeTags.push(tag);
      this.underWay--;
      settle?.(completion);
    }
    this.u32[CQ_HEAD] = head;
    if (this.waitingFrom < this.waiting.length) this.admit();
    // Before any caller goes on.
    this.runAgain();
  }

  /** Moves waiting requests into the ring as far as there is room. */
  private admit(): void {
    while (this.underWay < MAX_OUTSTANDING && this.waitingFrom < this.waiting.length) {
      const block = this.waiting[this.waitingFrom++]!;
      const slot = this.sqAt + (this.tail++ & (SQ_SIZE - 1)) * SQE_BYTES;
      this.u32.copyWithin(slot >> 2, block >> 2, (block + SQE_BYTES) >> 2);
      this.free(block);
      this.underWay++;
    }
    if (this.waitingFrom === this.waiting.length) {
      this.waiting = [];
      this.waitingFrom = 0;
    } else if (this.waitingFrom >= 4096) {
      this.waiting = this.waiting.slice(this.waitingFrom);
      this.waitingFrom = 0;
    }
    this.scheduleFlush();
  }
}

/** Bun duplicates the descriptor for the stream, so that cancelling the reader does not close the ring's own. */
function wakeReader(fd: number) {
  return Bun.file(fd).stream().getReader();
}
