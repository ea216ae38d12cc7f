/** A line that loses, changes or withholds something would measure its own faults: what is delayed arrives as it was. */
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { noise } from "../test/support/tree.ts";
import { freePorts, HERE, startDelayProxy } from "./services.ts";
import { prepareTools } from "./tools.ts";

const { delay } = prepareTools();
const skip = delay === undefined || process.platform !== "linux";
const FAR = "127.0.0.2";

describe.skipIf(skip)(`the delay proxy${skip ? " (skipped: no compiler, or no second loopback address)" : ""}`, () => {
  for (const roundTripMs of [0, 5]) {
    test(`bytes pass unchanged in both directions, ${roundTripMs} ms`, async () => {
      const answer = noise(3_000_001, 2);
      const there = answering((heard) => Buffer.concat([Buffer.from(digest(heard)), answer]));
      await using line = await lineTo(there, roundTripMs);
      const question = noise(9_000_001, 1);
      const heard = await ask(line.port, question);
      expect(heard.length).toBe(digest(question).length + answer.length);
      expect(digest(heard)).toBe(digest(Buffer.concat([Buffer.from(digest(question)), answer])));
      expect(await line.finish()).toEqual([
        { port: line.port, connections: 1, bytesThere: question.length, bytesBack: heard.length },
      ]);
    });
  }

  test("a side that said its last word still hears: the end of data passes alone", async () => {
    /* The target answers only to the end, after the caller can send no more. */
    await using line = await lineTo(
      answering((heard) => Buffer.from(`heard ${heard.length}`)),
      5,
    );
    expect((await ask(line.port, Buffer.from("question"))).toString()).toBe("heard 8");
    expect((await ask(line.port, Buffer.alloc(0))).toString()).toBe("heard 0");
  });

  test("the target may have the first and the last word", async () => {
    const there = createServer({ allowHalfOpen: true }, (socket) => socket.end("greeting"));
    await using line = await lineTo(there, 5);
    const socket = connect({ host: FAR, port: line.port, allowHalfOpen: true });
    const heard = await everything(socket);
    socket.end();
    expect(heard.toString()).toBe("greeting");
  });

  test("a side that does not read stops nobody else, and loses nothing", async () => {
    await using line = await lineTo(
      answering((heard) => heard),
      5,
    );
    const slow = connect({ host: FAR, port: line.port, allowHalfOpen: true });
    slow.pause();
    const question = noise(6_000_000, 3);
    slow.end(question);
    const others = await Promise.all([4, 5, 6].map((seed) => ask(line.port, noise(100_000, seed))));
    expect(others.map(digest)).toEqual([4, 5, 6].map((seed) => digest(noise(100_000, seed))));
    const late = everything(slow);
    slow.resume();
    expect(digest(await late)).toBe(digest(question));
  });

  test("many connections at a time do not mix", async () => {
    await using line = await lineTo(
      answering((heard) => heard),
      5,
    );
    const questions = Array.from({ length: 40 }, (_, i) => noise(50_000 + i, i + 1));
    const answers = await Promise.all(questions.map((question) => ask(line.port, question)));
    expect(answers.map(digest)).toEqual(questions.map(digest));
  });

  test("where nobody listens the connection ends without data", async () => {
    const [port] = freePorts(1) as [number];
    await using proxy = await startDelayProxy(delay!, FAR, 5, [port]);
    const socket = connect({ host: proxy.host, port });
    const ended = await new Promise<string>((resolve) => {
      socket.on("error", () => resolve("error"));
      socket.on("data", () => resolve("data"));
      socket.on("close", () => resolve("closed"));
    });
    expect(["error", "closed"]).toContain(ended);
  });

  test("a connection that is cut at one end is cut at the other", async () => {
    const cut = Promise.withResolvers<string>();
    const there = createServer((socket) => {
      socket.on("error", () => cut.resolve("reset"));
      socket.on("close", () => cut.resolve("closed"));
      socket.write("hello");
    });
    await using line = await lineTo(there, 5);
    const socket = connect({ host: FAR, port: line.port });
    socket.on("error", () => {});
    socket.once("data", () => socket.resetAndDestroy());
    expect(await cut.promise).toBe("reset");
  });
});

/** A server that hears everything first, and answers then. */
function answering(answer: (heard: Buffer) => Buffer): Server {
  return createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on("error", () => {});
    socket.end(answer(await everything(socket)));
  });
}

async function lineTo(server: Server, roundTripMs: number) {
  const port = await new Promise<number>((resolve) => {
    server.listen(0, HERE, () => resolve((server.address() as { port: number }).port));
  });
  const proxy = await startDelayProxy(delay!, FAR, roundTripMs, [port]);
  return {
    port,
    finish: proxy.finish,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function ask(port: number, question: Uint8Array): Promise<Buffer> {
  const socket = connect({ host: FAR, port, allowHalfOpen: true });
  socket.end(question);
  return everything(socket);
}

function everything(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on("data", (part) => parts.push(part as Buffer));
    socket.on("end", () => resolve(Buffer.concat(parts)));
    socket.on("error", reject);
  });
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
