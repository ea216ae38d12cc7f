/**
 * Content inside the control plane, where the data port cannot be reached: the backend works on one end of a pair of
 * sockets, and what it writes to the other travels in messages. The receiving side says how much it took, so that at
 * most a window of it is under way: on the wire, and in what waits at either end of it.
 */

import { closeSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import type { TransferOptions } from "../core/options.ts";
import {
  type Payload,
  type PayloadCredit,
  type SessionMessage,
  SessionMessageSchema,
} from "../wire/gen/fastsync/v1/session_pb.ts";
import type { DataSocket } from "./data-client.ts";
import { socketPair } from "./socket-pair.ts";

type Send = (message: SessionMessage, bytes: number) => void;

/** What may be under way in a session: what the run lets be on its way, within what every peer takes. */
export function payloadWindow({ bufferBytes }: TransferOptions): number {
  const asked = bufferBytes === 0 ? LIMITS.payloadWindowBytes : bufferBytes;
  return Math.min(LIMITS.payloadWindowBytes, Math.max(LIMITS.bufferFewestBytes, asked));
}

export interface PayloadSender {
  /** The backend's end. */
  readonly socket: DataSocket;
  /** Everything that the backend wrote was handed on, after `socket.release`. */
  readonly ended: Promise<void>;
  /** What was not handed on will not be. */
  abandon(): void;
  /** False: for more than is under way. */
  onCredit(credit: PayloadCredit): boolean;
}

/** `windowBytes`: the most that is under way, be it in this process or beyond it. */
export async function sendPayload(send: Send, windowBytes: number): Promise<PayloadSender> {
  const [ours, theirs] = socketPair();
  /** What was read while the window was full: what one reading of a socket gives, little more than it holds. */
  let waiting: Uint8Array[] = [];
  let underWay = 0;
  let isPaused = false;
  let isReadToEnd = false;
  let saidEnd = false;
  const ended = Promise.withResolvers<void>();
  const sayEnd = (): void => {
    if (saidEnd) return;
    saidEnd = true;
    waiting = [];
    ended.resolve();
    send(create(SessionMessageSchema, { body: { case: "payload", value: { end: true } } }), 0);
  };
  const flush = (): void => {
    while (waiting.length > 0 && underWay < windowBytes) {
      const first = waiting[0]!;
      const length = Math.min(first.length, LIMITS.payloadBytes, windowBytes - underWay);
      if (length === first.length) waiting.shift();
      else waiting[0] = first.subarray(length);
      underWay += length;
      const data = first.subarray(0, length);
      send(create(SessionMessageSchema, { body: { case: "payload", value: { data } } }), length);
    }
    if (isReadToEnd && waiting.length === 0) sayEnd();
  };
  const onEnd = (): void => {
    isReadToEnd = true;
    flush();
  };
  let isReleased = false;
  const socket = await Bun.connect({
    fd: theirs,
    socket: {
      data(socket: Bun.Socket, chunk: Uint8Array) {
        if (saidEnd) return;
        // Bun makes a buffer for each chunk: it is ours.
        waiting.push(chunk);
        flush();
        if (underWay < windowBytes || isPaused || isReleased) return;
        isPaused = true;
        socket.pause();
      },
      end: onEnd,
      close: onEnd,
      error: onEnd,
    },
  } as unknown as Bun.TCPSocketConnectOptions<undefined>);
  return {
    socket: {
      fd: ours,
      // What was written last, a goodbye at least, is still between the two ends: this one closes when it was read.
      release: () => {
        closeSync(ours);
        isReleased = true;
        if (isPaused) socket.resume();
        isPaused = false;
      },
    },
    ended: ended.promise,
    // A socket that is paused does not tell that it was closed.
    abandon: () => {
      socket.terminate();
      sayEnd();
    },
    onCredit: ({ bytes }) => {
      if (bytes > underWay) return false;
      underWay -= bytes;
      flush();
      if (!isPaused || waiting.length > 0 || underWay >= windowBytes / 2) return true;
      isPaused = false;
      socket.resume();
      return true;
    },
  };
}

export interface PayloadReceiver {
  readonly socket: DataSocket;
  /** False: more than a message holds or the window allows, or more after the end. */
  onPayload(payload: Payload): boolean;
}

/**
 * `windowBytes`: what the other side keeps to, and gets credit in parts of. What it is held to is the most that any may
 * have under way: an older one knows no other window.
 */
export async function receivePayload(send: Send, windowBytes: number): Promise<PayloadReceiver> {
  const [ours, theirs] = socketPair();
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  let taken = 0;
  let isEnding = false;
  const socket = await Bun.connect({
    fd: theirs,
    socket: { data: () => undefined, drain: () => flush(), error: () => undefined, close: () => undefined },
  } as unknown as Bun.TCPSocketConnectOptions<undefined>);
  const flush = (): void => {
    while (waiting.length > 0) {
      const first = waiting[0]!;
      const written = socket.write(first);
      if (written < 0) return;
      taken += written;
      waitingBytes -= written;
      if (written < first.length) {
        waiting[0] = first.subarray(written);
        break;
      }
      waiting.shift();
    }
    if (waiting.length === 0) waiting = [];
    if (taken >= windowBytes / 8 || (isEnding && waiting.length === 0)) {
      const bytes = taken;
      taken = 0;
      if (bytes > 0) send(create(SessionMessageSchema, { body: { case: "payloadCredit", value: { bytes } } }), 0);
    }
    if (isEnding && waiting.length === 0) socket.end();
  };
  return {
    socket: {
      fd: ours,
      release: () => {
        closeSync(ours);
        socket.terminate();
      },
    },
    onPayload: ({ data, end }) => {
      if (isEnding || data.length > LIMITS.payloadMostBytes || waiting.length > LIMITS.payloadPieces) return false;
      waitingBytes += data.length;
      if (waitingBytes > LIMITS.payloadWindowBytes + LIMITS.payloadBytes * 8) return false;
      if (data.length > 0) waiting.push(data);
      if (end) isEnding = true;
      flush();
      return true;
    },
  };
}
