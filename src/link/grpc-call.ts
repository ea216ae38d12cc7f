/**
 * One bidirectional gRPC call over HTTP/2: messages behind a byte for compression and four for their length, and the
 * status in the trailers (gRPC over HTTP/2, "Length-Prefixed-Message"). By hand, because a session lives on one call and
 * needs what client libraries hide: the window of the connection, and a connection that was tried before.
 */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { gather, joined } from "../wire/chunks.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { HTTP2_SETTINGS, HTTP2_WINDOW_BYTES } from "./http2-settings.ts";

const PREFIX_BYTES = 5;

/** The other side answered that it does not do this. What it says comes from a peer. */
export class CallFailed extends Error {
  /** As gRPC numbers them: 5 is NOT_FOUND. */
  readonly status: number;
  /** Of the trailers that calls on places have (proto/fastsync/v1/admin.proto). */
  readonly reason: string | undefined;
  readonly exitCode: number;

  constructor(status: string, trailers: IncomingHttpHeaders) {
    super(decoded(trailers["grpc-message"]) || `gRPC status ${status}`);
    this.status = Number(status);
    const { "fastsync-reason": reason, "fastsync-exit-code": exitCode } = trailers;
    this.reason = typeof reason === "string" ? reason : undefined;
    this.exitCode = Number(exitCode);
  }
}

export interface GrpcCallOptions {
  /** Connected already. */
  readonly socket: Socket;
  /** As the `:authority`. */
  readonly authority: string;
  /** `/package.Service/Method` */
  readonly path: string;
  /** The largest message that is taken. */
  readonly messageBytes: number;
}

export class GrpcCall {
  private readonly session: ClientHttp2Session;
  private readonly stream: ClientHttp2Stream;
  private readonly messageBytes: number;

  constructor({ socket, authority, path, messageBytes }: GrpcCallOptions) {
    this.messageBytes = messageBytes;
    this.session = connectHttp2(`http://${authority}`, { settings: HTTP2_SETTINGS, createConnection: () => socket });
    this.session.on("error", () => undefined); // told by the stream
    this.session.on("connect", () => {
      try {
        this.session.setLocalWindowSize(HTTP2_WINDOW_BYTES * 2);
      } catch {
        // Gone already.
      }
    });
    this.stream = this.session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    // A connection that was dialled early may be gone by now; Bun's HTTP/2 would wait for it for ever.
    if (socket.destroyed) setImmediate(() => this.stream.destroy(new Error("the connection was closed")));
  }

  /** One message in pieces that follow each other. Resolves when there is room for the next. */
  async send(pieces: readonly Uint8Array[]): Promise<void> {
    const prefix = new Uint8Array(PREFIX_BYTES);
    new DataView(prefix.buffer).setUint32(
      1,
      pieces.reduce((bytes, piece) => bytes + piece.length, 0),
    );
    this.stream.cork();
    let hasRoom = this.stream.write(prefix);
    for (const piece of pieces) hasRoom = this.stream.write(piece);
    this.stream.uncork();
    if (hasRoom || this.stream.destroyed) return;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        this.stream.off("drain", go);
        this.stream.off("close", go);
        resolve();
      };
      this.stream.on("drain", go);
      this.stream.on("close", go);
    });
  }

  /** Nothing more is sent. */
  end(): void {
    if (!this.stream.destroyed) this.stream.end();
  }

  close(): void {
    this.stream.close();
    this.session.destroy();
  }

  /** The answers, until the other side ended well. Throws when the call fails or a message is too large. */
  async *messages(): AsyncGenerator<Uint8Array> {
    let trailers: IncomingHttpHeaders | undefined;
    this.stream.on("trailers", (headers) => {
      trailers = headers;
    });
    this.stream.on("response", (headers) => {
      const status = headers[":status"];
      if (status !== 200)
        this.stream.destroy(new Error(`it answered with HTTP status ${status}: not a fastsync daemon?`));
      // Trailers only: the call failed before any message.
      else if (headers["grpc-status"] !== undefined) trailers = headers;
    });
    const reader = new MessageReader(this.messageBytes);
    for await (const chunk of chunksOf(this.stream)) {
      for (const message of reader.read(chunk)) yield message;
    }
    const status = trailers?.["grpc-status"];
    if (status === undefined) throw new Error("the connection was closed");
    if (status !== "0") throw new CallFailed(String(status), trailers!);
    if (reader.isInside) throw new Error("the last message was cut off");
  }
}

/** Read ahead of a consumer that is busy. */
const READ_AHEAD_BYTES = 4 << 20;

/**
 * What arrives on a stream, to its end. Not the stream's own iterator: in Bun that one waits for ever when the connection
 * closes in the middle of a message.
 */
async function* chunksOf(stream: ClientHttp2Stream): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  const state: { end: "open" | "ended" | Error } = { end: "open" };
  let wake: (() => void) | undefined;
  const finish = (how: "ended" | Error): void => {
    if (state.end === "open") state.end = how;
    wake?.();
  };
  stream.on("data", (chunk: Uint8Array) => {
    waiting.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes > READ_AHEAD_BYTES) stream.pause();
    wake?.();
  });
  stream.on("end", () => finish("ended"));
  stream.on("error", (error: Error) => finish(error));
  stream.on("close", () => finish(new Error("the connection was closed")));
  for (;;) {
    const chunks = waiting;
    waiting = [];
    waitingBytes = 0;
    if (stream.isPaused()) stream.resume();
    yield* chunks;
    if (waiting.length > 0) continue;
    if (state.end === "ended") return;
    if (state.end !== "open") throw state.end;
    await new Promise<void>((resolve) => (wake = resolve));
    wake = undefined;
  }
}

function decoded(text: string | string[] | undefined): string {
  if (typeof text !== "string") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Cuts a stream of bytes into messages; a message that lies in one chunk is a view of it. */
class MessageReader {
  private readonly most: number;
  private chunks: Uint8Array[] = [];
  private have = 0;

  constructor(most: number) {
    this.most = most;
  }

  get isInside(): boolean {
    return this.have > 0;
  }

  *read(chunk: Uint8Array): Generator<Uint8Array> {
    gather(this.chunks, chunk);
    this.have += chunk.length;
    while (this.have >= PREFIX_BYTES) {
      const prefix = this.peek(PREFIX_BYTES);
      const length = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES).getUint32(1);
      if (prefix[0] !== 0) throw new ProtocolViolation("a compressed message, which was not agreed on");
      if (length > this.most) throw new ProtocolViolation(`a message of ${length} bytes`);
      if (this.have < PREFIX_BYTES + length) return;
      yield this.take(PREFIX_BYTES + length).subarray(PREFIX_BYTES);
    }
  }

  /** The first bytes, without taking them. */
  private peek(bytes: number): Uint8Array {
    if (this.chunks[0]!.length < bytes) this.chunks = [joined(this.chunks, this.have)];
    return this.chunks[0]!.subarray(0, bytes);
  }

  private take(bytes: number): Uint8Array {
    if (this.chunks[0]!.length < bytes) this.chunks = [joined(this.chunks, this.have)];
    const first = this.chunks[0]!;
    if (first.length === bytes) this.chunks.shift();
    else this.chunks[0] = first.subarray(bytes);
    this.have -= bytes;
    return first.subarray(0, bytes);
  }
}
