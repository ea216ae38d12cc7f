/**
 * A connected socket as something to wait for. Bun's event loop reads and writes; here it becomes `take` and `write`,
 * with backpressure both ways: reading pauses while a megabyte is unread, a write waits until the kernel has all of it.
 *
 * There is at most one waiter: a stream carries frames in one direction, by one loop.
 */
import type { Socket, TCPSocketConnectOptions } from "bun";
import { ProtocolError } from "../../../core/frames.ts";
import type { StreamEnd } from "../../backend.ts";
import { E, StatusError } from "../errno.ts";

const PAUSE_BYTES = 1 << 20;
const RESUME_BYTES = 256 << 10;

/** The stream is over; nothing more can be read or written. */
export class StreamEnded extends Error {
  override readonly name = "StreamEnded";
  readonly status: number;
  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }
}

interface Waiter {
  readonly wake: (error?: Error) => void;
  readonly isInterruptible: boolean;
}

export class Channel {
  bytes = 0;
  /** Called once, when the socket is gone or was given up. */
  onOver: () => void = () => {};
  private readonly idleMs: number;
  private readonly gone = Promise.withResolvers<void>();
  private socket: Socket<undefined> | undefined;
  private isGone = false;
  private over: StreamEnded | undefined;
  private chunks: Uint8Array[] = [];
  private unread = 0;
  private isPaused = false;
  private waiter: Waiter | undefined;
  private readonly takes: boolean;

  /**
   * Owns `fd` from now on. `takes`: bytes are expected; otherwise any that come break the protocol. `idleMs` 0: a
   * frame may take as long as it takes.
   */
  constructor(fd: number, takes: boolean, idleMs: number) {
    this.takes = takes;
    this.idleMs = idleMs;
    void this.connect(fd);
  }

  /** Writes all of it; throws when the stream ends before. The bytes may be used again afterwards. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.over !== undefined) throw this.over;
      const put = this.socket === undefined ? 0 : this.socket.write(bytes, at, bytes.length - at);
      if (put > 0) {
        at += put;
        this.bytes += put;
      }
      if (at < bytes.length) await this.wait(true, false);
    }
  }

  get hasUnread(): boolean {
    return this.unread > 0;
  }

  /** Waits for the first byte of a frame for ever; false when the stream ended instead. */
  async hasMore(isInterruptible = false): Promise<boolean> {
    while (this.unread === 0) {
      if (this.over !== undefined) return false;
      await this.wait(false, isInterruptible);
    }
    return true;
  }

  /** Exactly that many bytes, of a frame under way. */
  async take(bytes: number): Promise<Uint8Array> {
    const out = new Uint8Array(bytes);
    for (let at = 0; at < bytes; ) {
      const some = await this.some(bytes - at);
      out.set(some, at);
      at += some.length;
    }
    return out;
  }

  /** What is there, at most `most` bytes, at least one; the view is the caller's. */
  async some(most: number, isInterruptible = false): Promise<Uint8Array> {
    while (this.unread === 0) {
      if (this.over !== undefined) throw this.over;
      await this.wait(true, isInterruptible);
    }
    const first = this.chunks[0]!;
    const some = first.length > most ? first.subarray(0, most) : first;
    if (some.length < first.length) this.chunks[0] = first.subarray(most);
    else this.chunks.shift();
    this.unread -= some.length;
    if (this.isPaused && this.unread <= RESUME_BYTES && !this.isGone) {
      this.isPaused = false;
      this.socket?.resume();
    }
    return some;
  }

  async skip(bytes: number): Promise<void> {
    for (let left = bytes; left > 0; ) left -= (await this.some(left)).length;
  }

  /** Wakes whoever waits interruptibly: with -ECANCELED, and nothing taken. */
  interrupt(): void {
    if (this.waiter?.isInterruptible) this.waiter.wake(new StatusError(-E.ECANCELED));
  }

  /** Gives the stream up at once: what waits throws, what was not read is dropped. */
  giveUp(status: number, detail: string): void {
    this.finish(new StreamEnded(status, detail));
    this.chunks = [];
    this.unread = 0;
  }

  /** Closes the socket and waits until it is closed. What was written before still arrives. */
  async close(): Promise<void> {
    this.finish(new StreamEnded(0, ""));
    if (!this.isGone) this.socket?.end();
    await this.gone.promise;
  }

  end(status: number, detail: string): StreamEnd {
    return { status, detail, bytes: this.bytes };
  }

  private async connect(fd: number): Promise<void> {
    try {
      const handlers = {
        data: (_socket: Socket<undefined>, chunk: Buffer) => this.arrive(chunk),
        drain: () => this.waiter?.wake(),
        error: (_socket: Socket<undefined>, error: Error) => this.finish(endedBy(error)),
        close: (_socket: Socket<undefined>, error?: Error) => this.leave(error),
      };
      // Bun takes a descriptor that is connected already; its types do not say so.
      const options = { fd, socket: handlers } as unknown as TCPSocketConnectOptions<undefined>;
      this.socket = await Bun.connect(options);
    } catch (error) {
      this.leave(error instanceof Error ? error : undefined);
      return;
    }
    // A frame's end must not wait for the next frame; a Unix socket has no such delay.
    this.socket?.setNoDelay(true);
    if (this.over !== undefined) this.socket?.end();
    this.waiter?.wake();
  }

  private arrive(chunk: Uint8Array): void {
    if (this.over !== undefined) return;
    this.bytes += chunk.length;
    if (!this.takes) return this.finish(new StreamEnded(-E.EPROTO, "data on a stream that only sends"));
    this.chunks.push(chunk);
    this.unread += chunk.length;
    if (this.unread > PAUSE_BYTES && !this.isPaused) {
      this.isPaused = true;
      this.socket?.pause();
    }
    this.waiter?.wake();
  }

  private leave(error: Error | undefined): void {
    this.isGone = true;
    this.finish(error === undefined ? new StreamEnded(-E.EPIPE, "the peer closed the stream") : endedBy(error));
    this.gone.resolve();
  }

  private finish(reason: StreamEnded): void {
    if (this.over !== undefined) return;
    this.over = reason;
    this.waiter?.wake();
    this.onOver();
  }

  /** Until anything happens. `isTimed`: a frame is under way, and the peer has to do something in time. */
  private wait(isTimed: boolean, isInterruptible: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer =
        isTimed && this.idleMs > 0
          ? setTimeout(() => this.giveUp(-E.ETIMEDOUT, "the peer did nothing while a frame was under way"), this.idleMs)
          : undefined;
      const wake = (error?: Error): void => {
        clearTimeout(timer);
        this.waiter = undefined;
        if (error === undefined) resolve();
        else reject(error);
      };
      this.waiter = { wake, isInterruptible };
    });
  }
}

function endedBy(error: Error): StreamEnded {
  const errno = "errno" in error && typeof error.errno === "number" ? -Math.abs(error.errno) : -E.EPIPE;
  return new StreamEnded(errno || -E.EPIPE, error.message);
}

/** How the stream's loop came out, as its caller hears it. */
export function verdictOf(error: unknown): { status: number; detail: string } {
  if (error instanceof ProtocolError) return { status: -E.EPROTO, detail: error.message };
  if (error instanceof StreamEnded) return { status: error.status, detail: error.message };
  return { status: -E.EIO, detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
}
