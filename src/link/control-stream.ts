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
  /** `cut`: content cannot come any more, while this stream stands. */
  readonly kind: "broken" | "cut" | "silent" | "misbehaved";
  readonly message: string;
}

interface Incoming {
  readonly messages: SessionMessage[];
}

/** Codes of gRPC for what cannot be decoded, or is too long to be. */
const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
/** A compression that was never agreed on. */
const UNIMPLEMENTED = 12;
const INTERNAL = 13;

/** What arrived is no message of the protocol, as opposed to a connection that broke. */
function isMalformed(error: unknown): boolean {
  if (error instanceof ProtocolViolation) return true;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return [INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL].includes(code as number);
}

export class ControlStream {
  readonly outbox = new Outbox();
  /** Of the connection below, to ask the kernel about the line; undefined: not known. */
  readonly descriptor: number | undefined;
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
  /** When either side last said more than that it is there. */
  private lastStepMs = performance.now();
  private talkSinceMs = 0;
  private smallTalk = 0;
  private watch: ReturnType<typeof setInterval> | undefined;

  constructor(descriptor?: number) {
    this.descriptor = descriptor;
  }

  /** Starts reading. Ends as broken when `incoming` throws, or ends before `finish`. */
  read(incoming: AsyncIterable<Incoming>): void {
    void this.readAll(incoming);
  }

  private async readAll(incoming: AsyncIterable<Incoming>): Promise<void> {
    // Not `for await`: leaving it would close the stream in both directions, and with it the last word that is still to
    // be said to whom a broken rule ends the session.
    const requests = incoming[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await requests.next();
        if (next.done) break;
        const { messages } = next.value;
        if (messages.length > LIMITS.messagesPerWrite)
          return this.fail("misbehaved", `${messages.length} messages at once`);
        this.lastHeardMs = performance.now();
        if (messages.length === 0) this.onSmallTalk();
        for (const message of messages) this.deliver(message);
        if (this.isOver) return;
      }
      this.fail("broken", "the other side closed the connection");
    } catch (error) {
      this.fail(isMalformed(error) ? "misbehaved" : "broken", error instanceof Error ? error.message : String(error));
    }
  }

  private deliver(message: SessionMessage): void {
    if (this.isOver) return;
    if (message.body.case === "heartbeat" || message.body.case === undefined) return this.onSmallTalk();
    this.lastStepMs = this.lastHeardMs;
    if (this.handler === undefined) this.early.push(message);
    else this.handler(message);
  }

  /** What says nothing costs nothing to say: a flood of it ends the session. */
  private onSmallTalk(): void {
    if (this.lastHeardMs - this.talkSinceMs > LIMITS.heartbeatMs) {
      this.talkSinceMs = this.lastHeardMs;
      this.smallTalk = 0;
    }
    if (++this.smallTalk > LIMITS.smallTalkMost)
      this.fail("misbehaved", `more than ${LIMITS.smallTalkMost} messages that say nothing`);
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
    if (message.body.case !== "heartbeat") this.lastStepMs = this.lastSaidMs;
    this.outbox.push(message, bytes);
  }

  /**
   * Sends a heartbeat when nothing else was said for a while, and fails when nothing was heard for `idleMs`, or for
   * `stalledMs` nothing but heartbeats on either side.
   */
  keepAlive(idleMs: number, isActive: () => boolean, stalledMs = Number.POSITIVE_INFINITY): void {
    clearInterval(this.watch);
    // It may have ended before anybody came to watch it.
    if (this.isOver) return;
    this.lastStepMs = performance.now();
    const everyMs = Math.min(LIMITS.heartbeatMs, idleMs / 4, stalledMs / 4);
    this.watch = setInterval(() => {
      const now = performance.now();
      if (now - this.lastSaidMs >= everyMs)
        this.send(create(SessionMessageSchema, { body: { case: "heartbeat", value: {} } }));
      // Content that moves is a sign of life too.
      if (isActive()) {
        this.lastHeardMs = now;
        this.lastStepMs = now;
      }
      if (now - this.lastHeardMs > idleMs)
        this.fail("silent", `nothing was heard of the other side for ${Math.round(idleMs / 1000)} s`);
      else if (now - this.lastStepMs > stalledMs)
        this.fail("silent", `nothing but heartbeats for ${Math.round(stalledMs / 1000)} s`);
    }, everyMs);
  }

  /** Nothing more is heard. Whom the connection still reaches may be told why: `finish` follows. */
  fail(kind: StreamFailure["kind"], message: string): void {
    if (this.isOver || (this.isComplete && (kind === "broken" || kind === "cut"))) return;
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
