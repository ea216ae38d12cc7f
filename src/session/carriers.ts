/** How the content of one session travels: its data streams, or the control plane, as seen by one side. */
import { E } from "../core/errno.ts";
import type { NetworkSummary } from "../core/events.ts";
import type { TransferOptions } from "../core/options.ts";
import type { Backend, StreamEnd, WireStream } from "../fs/backend.ts";
import type { ControlStream } from "../link/control-stream.ts";
import type { DataSocket } from "../link/data-client.ts";
import { keepAlive } from "../link/keep-alive.ts";
import {
  type PayloadReceiver,
  type PayloadSender,
  payloadWindow,
  receivePayload,
  sendPayload,
} from "../link/payload-bridge.ts";
import { type GrantedBuffers, type SocketBuffers, sizeSocketBuffers } from "../link/socket-buffers.ts";
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";

interface OpenStream {
  readonly wire: WireStream;
  readonly socket: DataSocket;
  readonly index: number | undefined;
  readonly openedMs: number;
}

/** One connection that carries content, as it is told to who follows each of them. */
export interface ConnectionTrace {
  /** Its number in the session, the same on both sides; undefined: the control connection in the place of all. */
  readonly index: number | undefined;
  /** undefined: it was opened just now. */
  readonly end:
    | {
        /** Frames included. */
        readonly bytes: number;
        readonly durationMs: number;
        /** undefined: both sides said goodbye. */
        readonly problem: string | undefined;
      }
    | undefined;
}

/** After a session's last word its streams get so long to say goodbye. */
const GOODBYE_MS = 2_000;
/** Whoever ends a session's streams says why on the control plane, as soon as it gets to it. */
const LAST_WORD_MS = 1_000;
/** Enough for a goodbye to leave, and on a near line for the answer to it. */
const TOLD_MS = 5;

/** What holds content on its way. */
export interface CarrierBuffers {
  /** Of the kernel, for each data connection. */
  readonly asked: SocketBuffers;
  /** Inside the control plane: see `payloadWindow`. */
  readonly windowBytes: number;
  /** See `sizeSocketBuffers`. */
  readonly beyondLimits: boolean;
  /** Hears once what the kernel made of it. */
  readonly onGranted?: (granted: GrantedBuffers) => void;
}

export function carrierBuffers(transfer: TransferOptions, beyondLimits: boolean): CarrierBuffers {
  const { sendBufferBytes: sendBytes, receiveBufferBytes: receiveBytes } = transfer;
  return { asked: { sendBytes, receiveBytes }, windowBytes: payloadWindow(transfer), beyondLimits };
}

export class Carriers {
  private readonly backend: Backend;
  private readonly direction: "send" | "receive";
  private readonly stream: ControlStream;
  private readonly idleMs: number;
  private readonly buffers: CarrierBuffers;
  private readonly streams = new Set<OpenStream>();
  private readonly gone: Promise<void>[] = [];
  private endedBytes = 0;
  /** The role is done, or the run was interrupted: how streams end tells nothing any more. */
  isEnding = false;
  private isClosed = false;
  private bridging: Promise<void> = Promise.resolve();
  private most = 0;
  private sender: PayloadSender | undefined;
  private receiver: PayloadReceiver | undefined;
  /** Messages for a bridge that is being made. */
  private early: SessionMessage[] | undefined;
  inStream = false;
  /** Hears of each connection. */
  trace: ((told: ConnectionTrace) => void) | undefined;

  constructor(
    backend: Backend,
    direction: "send" | "receive",
    stream: ControlStream,
    idleMs: number,
    buffers: CarrierBuffers,
  ) {
    this.backend = backend;
    this.direction = direction;
    this.stream = stream;
    this.idleMs = idleMs;
    this.buffers = buffers;
  }

  get count(): number {
    return this.streams.size;
  }
  /** The most streams that were open at a time. */
  get peak(): number {
    return this.most;
  }
  /** Bytes that travelled, frames included. */
  bytes(): number {
    let bytes = this.endedBytes;
    for (const { wire } of this.streams) bytes += wire.bytes();
    return bytes;
  }

  summary(firstContentMs: number | undefined): NetworkSummary {
    return {
      carrier: this.inStream ? "in_stream" : "streams",
      streams: this.inStream ? 0 : this.most,
      bytes: this.bytes(),
      firstContentMs,
    };
  }

  /** `index`: see `ConnectionTrace`. */
  add(socket: DataSocket, index?: number): void {
    if (this.isClosed) return socket.release();
    if (!this.inStream) {
      keepAlive(socket.fd, this.idleMs);
      this.sizeBuffers(socket.fd);
    }
    const wire = this.backend.openStream(socket.fd, this.direction, { idleMs: this.idleMs });
    const open = { wire, socket, index, openedMs: performance.now() };
    this.streams.add(open);
    this.trace?.({ index, end: undefined });
    this.most = Math.max(this.most, this.streams.size);
    this.gone.push(
      wire.ended.then((end) => {
        this.onEnded(open, end);
        return socket === this.sender?.socket ? this.sender.ended : undefined;
      }),
    );
    // The run was over before this stream was open: all that is left to say is goodbye.
    if (this.isEnding) wire.end();
  }

  private sizeBuffers(fd: number): void {
    const { asked, beyondLimits, onGranted } = this.buffers;
    if (asked.sendBytes === 0 && asked.receiveBytes === 0) return;
    const granted = sizeSocketBuffers(fd, asked, beyondLimits);
    // All streams of a session get the same.
    if (this.most === 0) onGranted?.(granted);
  }

  private onEnded(open: OpenStream, end: StreamEnd): void {
    this.streams.delete(open);
    this.endedBytes += end.bytes;
    open.socket.release();
    const what = end.detail === "" ? `errno ${-end.status}` : end.detail;
    const problem = end.status === 0 ? undefined : what;
    const durationMs = performance.now() - open.openedMs;
    this.trace?.({ index: open.index, end: { bytes: end.bytes, durationMs, problem } });
    if (this.isEnding || problem === undefined) return;
    if (end.status === -E.PROTO) this.stream.fail("misbehaved", `on a data stream: ${what}`);
    else if (end.status === -E.TIMEDOUT) this.stream.fail("silent", "a data connection stood still");
    else this.onBroken(`${what} (a data connection)`);
  }

  /** The backend says that what was asked for cannot come any more: with a stream that broke, which tells why, or without. */
  contentLost(): void {
    this.cutAfter(LAST_WORD_MS * 2, "the data streams ended before all content was there");
  }

  private onBroken(message: string): void {
    this.cutAfter(LAST_WORD_MS, message);
  }

  /** A source that is done, or was stopped, may leave before its last word on the control plane was heard. */
  private cutAfter(waitMs: number, message: string): void {
    const timer = setTimeout(() => {
      if (!this.isEnding) this.stream.fail("cut", message);
    }, waitMs);
    timer.unref();
  }

  /** Content goes through the control plane from now on. */
  useControlPlane(): void {
    if (this.inStream) return;
    this.inStream = true;
    this.early = [];
    const { windowBytes } = this.buffers;
    const send = (message: SessionMessage, bytes: number): void => this.stream.send(message, bytes);
    const made =
      this.direction === "send"
        ? sendPayload(send, windowBytes).then((sender) => {
            this.sender = sender;
            return sender.socket;
          })
        : receivePayload(send, windowBytes).then((receiver) => {
            this.receiver = receiver;
            return receiver.socket;
          });
    this.bridging = made.then(
      (socket) => {
        this.add(socket);
        const early = this.early ?? [];
        this.early = undefined;
        try {
          for (const message of early) this.take(message);
        } catch (error) {
          this.stream.fail("misbehaved", error instanceof Error ? error.message : String(error));
        }
      },
      (error: unknown) => this.stream.fail("broken", error instanceof Error ? error.message : String(error)),
    );
  }

  /** True when the message was content or about it. Throws ProtocolViolation. */
  take(message: SessionMessage): boolean {
    const { body } = message;
    if (body.case !== "payload" && body.case !== "payloadCredit") return false;
    if (!this.inStream) throw new ProtocolViolation("content inside a control plane that does not carry it");
    if (this.early !== undefined) this.early.push(message);
    else if (body.case === "payloadCredit") {
      if (this.sender?.onCredit(body.value) !== true) throw new ProtocolViolation("credit for what was never sent");
    } else if (this.receiver === undefined || !this.receiver.onPayload(body.value))
      throw new ProtocolViolation("more content than the window allows");
    return true;
  }

  /** Ends so many streams in order: they finish what they are sending. */
  fewer(count: number): void {
    for (const { wire } of [...this.streams].slice(0, Math.min(count, this.streams.size - 1))) wire.end();
  }

  /** The run was interrupted: what is under way, on the streams and beside them, is not waited for. */
  stop(): void {
    this.isEnding = true;
    this.cut();
  }

  /**
   * Ends the streams at once, whatever they wait for: room at a peer that takes nothing any more, or their turn under a
   * rate limit.
   */
  private cut(): void {
    this.backend.cancel();
    for (const { wire } of this.streams) wire.end();
    // It may outlive its wire, with content that the peer never made room for.
    this.sender?.abandon();
  }

  /**
   * The role is done. A sender says goodbye on every stream, a receiver waits for that. `told`: when the other side has
   * told how the run ended it has all that was sent, and its own goodbyes are not waited for.
   */
  async end(inOrder: boolean, told?: Promise<unknown>): Promise<void> {
    this.isEnding = true;
    await this.bridging;
    if (!inOrder) this.cut();
    else if (this.direction === "send") for (const { wire } of this.streams) wire.end();
    const all = Promise.all(this.gone);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLong = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, inOrder ? GOODBYE_MS : 100);
      // Inside the control plane there is no goodbye to wait for: all is handed on at once.
      if (!this.inStream) void told?.then(() => setTimeout(resolve, TOLD_MS));
    });
    await Promise.race([all, tooLong]);
    clearTimeout(timer);
    this.isClosed = true;
    this.cut();
    await Promise.all(this.gone);
  }
}
