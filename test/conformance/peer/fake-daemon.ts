/** A daemon that is not ours, played by hand against the real command line. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import {
  type Open,
  SessionRequestSchema,
  SessionResponseSchema,
} from "../../../src/wire/gen/fastsync/v1/session_pb.ts";
import { cleanEnv } from "../../cli/processes.ts";
import { type Body, message, type Said, type SaidOf, SESSION } from "./caller.ts";
import { fastsync } from "./daemon.ts";
import { sourceFacts, targetFacts } from "./opening.ts";

const same = (bytes: Buffer): Buffer => bytes;

export class FakeSession {
  private readonly call: ServerDuplexStream<Buffer, Buffer>;
  private readonly heard: Said[] = [];
  private wake = Promise.withResolvers<void>();
  private isOver = false;
  open: Open | undefined;
  /** Bytes of content that came inside the control plane. */
  contentBytes = 0;

  constructor(call: ServerDuplexStream<Buffer, Buffer>) {
    this.call = call;
    const over = (): void => {
      this.isOver = true;
      this.wake.resolve();
    };
    call.on("data", (bytes: Buffer) => {
      for (const { body } of fromBinary(SessionRequestSchema, bytes).messages) {
        if (body.case === "payload") this.contentBytes += body.value.data.length;
        if (body.case !== "heartbeat") this.heard.push(body);
      }
      this.wake.resolve();
    });
    for (const event of ["end", "cancelled", "error"]) call.on(event, over);
  }

  say(...bodies: readonly Body[]): this {
    return this.sayBytes(
      toBinary(SessionResponseSchema, create(SessionResponseSchema, { messages: bodies.map((body) => message(body)) })),
    );
  }
  sayBytes(bytes: Uint8Array): this {
    this.call.write(Buffer.from(bytes));
    return this;
  }
  end(): void {
    this.call.end();
  }
  fail(): void {
    this.call.emit("error", { code: status.INTERNAL, details: "an error of the server" });
  }

  async until<C extends NonNullable<Said["case"]>>(wanted: C): Promise<SaidOf<C>> {
    for (;;) {
      const body = this.heard.shift();
      if (body?.case === wanted) return body.value as SaidOf<C>;
      if (body !== undefined) continue;
      if (this.isOver) throw new Error(`the caller left before ${wanted}`);
      this.wake = Promise.withResolvers<void>();
      await this.wake.promise;
    }
  }
  get heardNeeds(): SaidOf<"need">[] {
    return this.heard.filter((body) => body.case === "need").map((body) => body.value as SaidOf<"need">);
  }

  /** Hello, and what was asked for. */
  async greet(): Promise<Open> {
    this.say({ case: "hello", value: { protocolMin: 1, protocolMax: 1, product: "fake" } });
    this.open = await this.until("open");
    return this.open;
  }
  async accept(more: Partial<Extract<Body, { case: "accept" }>["value"]> = {}): Promise<Open> {
    const open = await this.greet();
    const facts = open.daemonRole === 1 ? { sourceFacts: sourceFacts() } : { targetFacts: targetFacts() };
    this.say({
      case: "accept",
      value: { sessionId: Buffer.alloc(16, 7), protocol: 1, idleTimeoutMs: 3000, ...facts, ...more } as never,
    });
    return open;
  }
}

export interface FakeDaemon extends AsyncDisposable {
  readonly port: number;
  /** What the play threw, if it did. */
  readonly failures: unknown[];
}

export async function fakeDaemon(play: (session: FakeSession) => Promise<void>): Promise<FakeDaemon> {
  const server = new Server({ "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 });
  const failures: unknown[] = [];
  server.addService(
    {
      session: {
        path: SESSION,
        requestStream: true,
        responseStream: true,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    },
    {
      session: (call: ServerDuplexStream<Buffer, Buffer>) => {
        play(new FakeSession(call)).catch((error: unknown) => failures.push(error));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return { port, failures, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

export interface CliEnd {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Nothing that a hostile daemon does keeps the command line longer than this. */
const BOUND_MS = 20_000;

export async function runCli(words: readonly string[]): Promise<CliEnd> {
  const child = Bun.spawn([...fastsync(), ...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: cleanEnv({ FASTSYNC_DEBUG: "1" }),
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), BOUND_MS);
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  clearTimeout(timer);
  if (child.signalCode === "SIGKILL") throw new Error(`it did not end: ${err}`);
  return { code, out, err };
}
