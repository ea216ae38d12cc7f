/**
 * One session's stream of messages, on either side. Reads as long as the other side sends, hands each message on in
 * order, says when a side has fallen silent, and ends once, with a reason.
 */

import { create } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { SessionMessageSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { Outbox } from "./outbox.ts";

export interface StreamFailure {
  readonly kind: "broken" | "silent" | "misbehaved";
  readonly message: string;
}

interface Incoming {
  readonly messages: SessionMessage[];
}

/** Codes of gRPC for what cannot be decoded, or is too long to be. */
const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
const INTERNAL = 13;

/** What arrived is no message of the protocol, as opposed to a connection that broke. */
function isMalformed(error: unknown): boolean {
  if (error instanceof ProtocolViolation) return true;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === INVALID_ARGUMENT || code === RESOURCE_EXHAUSTED || code === INTERNAL;
}

export class ControlStream {
  readonly outbox = new Outbox();
  private handler: ((message: SessionMessage) => void) | undefined;
  private early: SessionMessage[] = [];
  private failure: StreamFailure | undefined;
  private isOver = false;
  private isComplete = false;
  private resolveEnded!: (failure: StreamFailure | undefined) => void;
  /** Undefined: both sides said all they had to say. */
  readonly ended: Promise<StreamFailure | undefined> = new Promise((resolve) => {
    this.resolveEnded = resolve;
  });
  private lastHeardMs = performance.now();
  private lastSaidMs = performance.now();
  private watch: ReturnType<typeof setInterval> | undefined;

  /** Starts reading. Ends as broken when `incoming` throws, or ends before `finish`. */
  read(incoming: AsyncIterable<Incoming>): void {
    void this.readAll(incoming);
  }

  private async readAll(incoming: AsyncIterable<Incoming>): Promise<void> {
    try {
      for await (const { messages } of incoming) {
        if (messages.length > LIMITS.messagesPerWrite)
          return this.fail("misbehaved", `${messages.length} messages at once`);
        this.lastHeardMs = performance.now();
        for (const message of messages) this.deliver(message);
        if (this.isOver) return;
      }
      this.fail("broken", "the other side closed the connection");
    } catch (error) {
      this.fail(isMalformed(error) ? "misbehaved" : "broken", error instanceof Error ? error.message : String(error));
    }
  }

  private deliver(message: SessionMessage): void {
    if (this.isOver || message.body.case === "heartbeat") return;
    if (this.handler === undefined) this.early.push(message);
    else this.handler(message);
  }

  /** The next handler takes over from the one before; what came meanwhile is handed on first. */
  onMessage(handler: (message: SessionMessage) => void): void {
    this.handler = handler;
    const early = this.early;
    this.early = [];
    for (const message of early) this.deliver(message);
  }
  /** Until the next handler is set messages wait. */
  hold(): void {
    this.handler = undefined;
  }

  /** Nothing more will be said here, or needs to be. */
  get isDone(): boolean {
    return this.isOver || this.isComplete;
  }

  /**
   * Nothing more is needed of the other side: that the connection goes is no failure, while this side still ends its own
   * work.
   */
  heardAll(): void {
    this.isComplete = true;
  }

  send(message: SessionMessage, bytes = 0): void {
    this.lastSaidMs = performance.now();
    this.outbox.push(message, bytes);
  }

  /** Sends a heartbeat when nothing else was said for a while, and fails when nothing was heard for `idleMs`. */
  keepAlive(idleMs: number, isActive: () => boolean): void {
    clearInterval(this.watch);
    const everyMs = Math.min(LIMITS.heartbeatMs, idleMs / 4);
    this.watch = setInterval(() => {
      const now = performance.now();
      if (now - this.lastSaidMs >= everyMs)
        this.send(create(SessionMessageSchema, { body: { case: "heartbeat", value: {} } }));
      // Content that moves is a sign of life too.
      if (isActive()) this.lastHeardMs = now;
      if (now - this.lastHeardMs > idleMs)
        this.fail("silent", `nothing was heard of the other side for ${Math.round(idleMs / 1000)} s`);
    }, everyMs);
  }

  /** Nothing more is heard. Whom the connection still reaches may be told why: `finish` follows. */
  fail(kind: StreamFailure["kind"], message: string): void {
    if (this.isOver || (this.isComplete && kind === "broken")) return;
    this.failure = { kind, message };
    this.over();
    if (kind === "broken") this.outbox.drop();
    else this.outbox.discard();
  }

  /** All was said: what waits is written, then this side closes. */
  finish(): void {
    if (!this.isOver) this.over();
    this.outbox.end();
  }

  private over(): void {
    this.isOver = true;
    clearInterval(this.watch);
    this.resolveEnded(this.failure);
  }
}
