/** A caller that is not ours: @grpc/grpc-js for the control plane, plain sockets for the data plane. */
import { connect, type Socket } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ClientDuplexStream, credentials, makeGenericClientConstructor, type StatusObject } from "@grpc/grpc-js";
import {
  type Accept,
  type Open,
  type OpenSchema,
  type Refusal,
  Role,
  type SessionMessage,
  SessionMessageSchema,
  SessionRequestSchema,
  SessionResponseSchema,
  type Summary,
} from "../../../src/wire/gen/fastsync/v1/session_pb.ts";
import type { Address } from "./daemon.ts";
import { greetingBytes } from "./frames.ts";
import { options, sourceFacts, targetFacts } from "./opening.ts";

export const SESSION = "/fastsync.v1.TransferService/Session";
export type Body = NonNullable<MessageInitShape<typeof SessionMessageSchema>["body"]>;
export type Said = SessionMessage["body"];
type Case = NonNullable<Said["case"]>;
export type SaidOf<C extends Case> = Extract<Said, { case: C }>["value"];
/** What an init may be, but not a finished message. */
export type OpenFields = Exclude<MessageInitShape<typeof OpenSchema>, Open>;

const bytesAsTheyAre = (bytes: Buffer): Buffer => bytes;
const Client = makeGenericClientConstructor(
  {
    session: {
      path: SESSION,
      requestStream: true,
      responseStream: true,
      requestSerialize: bytesAsTheyAre,
      requestDeserialize: bytesAsTheyAre,
      responseSerialize: bytesAsTheyAre,
      responseDeserialize: bytesAsTheyAre,
    },
  },
  "TransferService",
);

export function message(body: Body): SessionMessage {
  return create(SessionMessageSchema, { body });
}
export function requestBytes(bodies: readonly Body[]): Buffer {
  return Buffer.from(
    toBinary(SessionRequestSchema, create(SessionRequestSchema, { messages: bodies.map((body) => message(body)) })),
  );
}

const SMALL_TALK: ReadonlySet<string> = new Set(["heartbeat", "progress"]);
/** Nothing that a session does takes longer than this in a healthy product. */
const PATIENCE_MS = 15_000;

export interface Ending {
  /** What it was told, if it was told. */
  readonly refusal: Refusal | undefined;
  readonly summary: Summary | undefined;
  readonly status: StatusObject;
}

export class Caller {
  readonly address: Address;
  private readonly client: InstanceType<typeof Client>;
  private readonly call: ClientDuplexStream<Buffer, Buffer>;
  /** All that was said, small talk left out. */
  readonly heard: Said[] = [];
  private read = 0;
  private wake = Promise.withResolvers<void>();
  private status: StatusObject | undefined;
  private readonly sockets: Socket[] = [];
  accepted: Accept | undefined;
  /** Hears every request. */
  record: ((bytes: Uint8Array) => void) | undefined;

  constructor(address: Address) {
    this.address = address;
    const { host, port } = address;
    this.client = new Client(`${host.includes(":") ? `[${host}]` : host}:${port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
    });
    const session = this.client["session"] as unknown as () => ClientDuplexStream<Buffer, Buffer>;
    this.call = session.call(this.client);
    this.call.on("data", (bytes: Buffer) => {
      for (const { body } of fromBinary(SessionResponseSchema, bytes).messages)
        if (!SMALL_TALK.has(body.case ?? "")) this.heard.push(body);
      this.wakeUp();
    });
    this.call.on("error", () => {});
    this.call.on("status", (status) => {
      this.status = status;
      this.wakeUp();
    });
  }

  private wakeUp(): void {
    this.wake.resolve();
    this.wake = Promise.withResolvers<void>();
  }

  /** One request with these messages. */
  say(...bodies: readonly Body[]): this {
    return this.sayBytes(requestBytes(bodies));
  }
  sayBytes(bytes: Uint8Array): this {
    this.record?.(bytes);
    this.call.write(Buffer.from(bytes));
    return this;
  }
  /** Says it many times, as fast as it is taken. */
  async flood(bytes: Uint8Array, times: number): Promise<void> {
    const request = Buffer.from(bytes);
    for (let i = 0; i < times && this.status === undefined; i++)
      if (!this.call.write(request))
        await Promise.race([new Promise<void>((resolve) => this.call.once("drain", resolve)), this.wake.promise]);
  }
  /** Nothing more will be said. */
  end(): void {
    this.call.end();
  }
  cancel(): void {
    this.call.cancel();
  }
  pause(): void {
    this.call.pause();
  }

  /** The next message; with `wanted`, the next of that kind, and anything else but those that follow is an error. */
  async next(): Promise<Said> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.read === this.heard.length) {
      if (this.status !== undefined) throw new Error(`the session ended: ${this.said()}`);
      const left = deadline - performance.now();
      if (left <= 0) throw new Error(`nothing was said: ${this.said()}`);
      await Promise.race([this.wake.promise, Bun.sleep(Math.min(left, 200))]);
    }
    return this.heard[this.read++]!;
  }

  async expect<C extends Case>(wanted: C): Promise<SaidOf<C>> {
    const body = await this.next();
    if (body.case !== wanted) throw new Error(`${wanted} was due; ${this.said()}`);
    return body.value as SaidOf<C>;
  }

  /** Passes over everything before it. */
  async until<C extends Case>(wanted: C): Promise<SaidOf<C>> {
    for (;;) {
      const body = await this.next();
      if (body.case === wanted) return body.value as SaidOf<C>;
    }
  }

  private said(): string {
    const refusal = this.refusal();
    return `heard ${this.heard.map((body) => body.case).join(" ")}; ${refusal?.message ?? ""} ${this.status?.details ?? ""}`;
  }

  private refusal(): Refusal | undefined {
    const last = this.heard.findLast((body) => body.case === "refusal");
    return last?.value as Refusal | undefined;
  }

  /** When the daemon ended the session. */
  async ended(withinMs = PATIENCE_MS): Promise<Ending> {
    const deadline = performance.now() + withinMs;
    while (this.status === undefined) {
      if (performance.now() > deadline) throw new Error(`the session goes on: ${this.said()}`);
      await Promise.race([this.wake.promise, Bun.sleep(50)]);
    }
    const summary = this.heard.findLast((body) => body.case === "summary");
    return { refusal: this.refusal(), summary: summary?.value as Summary | undefined, status: this.status };
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.call.cancel();
    this.client.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  // ---- the usual steps ----------------------------------------------------------------------------------------

  async open(open: OpenFields): Promise<Accept> {
    this.say({ case: "hello", value: { protocolMin: 1, protocolMax: 1, product: "conformance" } });
    this.say({ case: "open", value: open });
    await this.expect("hello");
    this.accepted = await this.expect("accept");
    return this.accepted;
  }

  /** A stream of the data plane, greeted and welcomed. */
  async dial(index: number, token = this.accepted!.tokens[index]!): Promise<Socket> {
    const socket = await this.knock(greetingBytes(index, this.accepted!.sessionId, token));
    const welcome = await readExactly(socket, 16);
    if (welcome === undefined) throw new Error("the data port closed the connection");
    return socket;
  }

  /** Connects to the data port and says this. */
  async knock(bytes: Uint8Array): Promise<Socket> {
    const socket = await dialPort(this.address.host, this.accepted!.dataPort);
    this.sockets.push(socket);
    socket.write(bytes);
    return socket;
  }
}

export async function dialPort(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port });
  socket.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
  });
  return socket;
}

/** Undefined: the other side closed before. What comes beyond is given back. */
export async function readExactly(socket: Socket, bytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let have = 0;
  while (have < bytes) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) {
      chunks.push(chunk);
      have += chunk.length;
      continue;
    }
    if (socket.readableEnded || socket.destroyed) return undefined;
    const events = ["readable", "end", "close", "error"];
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        for (const event of events) socket.off(event, wake);
        resolve();
      };
      for (const event of events) socket.on(event, wake);
    });
  }
  const all = Buffer.concat(chunks);
  if (have > bytes) socket.unshift(all.subarray(bytes));
  return all.subarray(0, bytes);
}

/** Waits until the other side closes. It must not have said a word: whoever is welcome is closed as well, in the end. */
export async function closedWithoutAWord(socket: Socket, withinMs = PATIENCE_MS): Promise<void> {
  const answered = new Promise<never>((_, reject) => {
    socket.once("data", (chunk: Buffer) => reject(new Error(`the connection was answered with ${chunk.length} bytes`)));
  });
  await Promise.race([closed(socket, withinMs), answered]);
}

export async function closed(socket: Socket, withinMs = PATIENCE_MS): Promise<void> {
  socket.resume();
  if (socket.destroyed || socket.readableEnded) return;
  await Promise.race([
    new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
      socket.once("end", () => resolve());
      socket.once("error", () => resolve());
    }),
    Bun.sleep(withinMs).then(() => {
      throw new Error("the connection stays open");
    }),
  ]);
}

export function pushTo(module: string, path: string | Uint8Array = "", more: Partial<OpenFields> = {}): OpenFields {
  return {
    daemonRole: Role.TARGET,
    target: { module, path: typeof path === "string" ? Buffer.from(path) : path },
    options: options(),
    sourceFacts: sourceFacts(),
    ...more,
  };
}
export function pullFrom(module: string, path: string | Uint8Array = "", more: Partial<OpenFields> = {}): OpenFields {
  return {
    daemonRole: Role.SOURCE,
    sources: [{ module, path: typeof path === "string" ? Buffer.from(path) : path }],
    options: options(),
    targetFacts: targetFacts(),
    ...more,
  };
}
