/** Little that would become much: compressed messages, messages within messages, and messages that say nothing. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect as connectHttp2 } from "node:http2";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { requestBytes, SESSION } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, eventually, watched } from "./peer/daemon.ts";
import { healthy, into, PROTOCOL, pushing, refusedAs } from "./peer/sessions.ts";

const MIB = 1 << 20;
let daemon: Daemon;
let rss = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  await healthy(daemon);
  await healthy(daemon);
  rss = daemon.process?.rssBytes() ?? 0;
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** One call on a connection of its own, which says this in gRPC envelopes: what came back until its end. */
async function ask(envelopes: readonly Uint8Array[], headers: Readonly<Record<string, string>> = {}): Promise<Buffer> {
  const session = connectHttp2(`http://${daemon.host}:${daemon.port}`);
  session.on("error", () => {});
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": SESSION,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const heard: Buffer[] = [];
    stream.on("data", (bytes: Buffer) => heard.push(bytes));
    const ended = new Promise<boolean>((resolve) => {
      stream.on("close", () => resolve(true));
      stream.on("end", () => resolve(true));
      stream.on("error", () => resolve(true));
    });
    for (const bytes of envelopes) stream.write(bytes);
    if (!(await Promise.race([ended, Bun.sleep(15_000).then(() => false)]))) throw new Error("the call goes on");
    return Buffer.concat(heard);
  } finally {
    session.destroy();
  }
}
const COMPRESSED = 1;
function envelope(bytes: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags, 0);
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** RSS of the daemon while `run` runs, at its highest. */
async function highest(run: () => Promise<unknown>): Promise<number> {
  let most = 0;
  const look = (): void => {
    most = Math.max(most, daemon.process?.rssBytes() ?? 0);
  };
  const watch = setInterval(look, 10);
  try {
    await run();
  } finally {
    clearInterval(watch);
  }
  return most;
}

describe("S29 what unpacks to many times its size", () => {
  const opening = (): Buffer =>
    requestBytes([
      { case: "hello", value: { protocolMin: 1, protocolMax: 1, product: "conformance" } },
      { case: "open", value: into(daemon, "bombs/") },
    ]);
  /** A field that nobody knows, full of zeros. */
  const zeros = Buffer.concat([Buffer.from([0xfa, 0x7f, 0x80, 0x80, 0x80, 0x0f]), Buffer.alloc(30 * MIB)]);
  const isGreeted = (heard: Buffer): boolean => heard.includes("fastsync");

  test("the same call is taken as it is", async () => {
    using caller = await pushing(daemon, "bombs/");
    expect(caller.accepted).toBeDefined();
  });
  for (const [encoding, pack] of [
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["br", (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ] as const) {
    test(`${encoding} is not taken`, async () => {
      const heard = await ask([envelope(pack(opening()), COMPRESSED)], { "grpc-encoding": encoding });
      expect(isGreeted(heard)).toBe(false);
    });
    test(`nor is a bomb by ${encoding}`, async () => {
      const bomb = pack(Buffer.concat([opening(), zeros]));
      expect(bomb.length).toBeLessThan(MIB);
      const most = await highest(() => ask(Array(10).fill(envelope(bomb, COMPRESSED)), { "grpc-encoding": encoding }));
      if (daemon.process !== undefined) expect(most - rss).toBeLessThan(128 * MIB);
      await healthy(daemon);
    });
  }
  test("nor what only claims to be compressed", async () => {
    expect(isGreeted(await ask([envelope(opening(), COMPRESSED)]))).toBe(false);
    await healthy(daemon);
  });
});

describe("flags that gRPC does not know", () => {
  const hello = requestBytes([{ case: "hello", value: { protocolMin: 1, protocolMax: 1, product: "conformance" } }]);
  test.each([2, 0xfe])("%d: nothing of the message is taken", async (flags) => {
    const most = await highest(async () => {
      expect((await ask([envelope(hello, flags)])).includes("fastsync")).toBe(false);
      await ask([envelope(Buffer.alloc(3_000_000, Buffer.from([0x0a, 0])), flags)]);
    });
    if (daemon.process !== undefined) expect(most - rss).toBeLessThan(128 * MIB);
    await healthy(daemon);
  });
});

test("a packed list that does not end is refused, before it is read on into what would become messages", async () => {
  // The list of a need's rows; behind it a field that nobody knows, of which the length would be read as a tag.
  const content = Buffer.concat([Buffer.from([1, 0]), Buffer.alloc(1 << 22, Buffer.from([0x0a, 0]))]);
  const length = Buffer.from([0x8a, 0x80, 0x80, 0x02]);
  const crafted = Buffer.concat([Buffer.from([0x0a, 6, 0xf2, 1, 3, 0x1a, 1, 0x80, 0x7a]), length, content]);
  const caller = await pushing(daemon, "bombs/");
  caller.sayBytes(Buffer.concat([crafted, Buffer.alloc(10 + (1 << 22) - content.length)])).end();
  await refusedAs(caller, daemon, PROTOCOL);
  await healthy(daemon);
});

describe("S31 messages within messages", () => {
  const group = (depth: number, ends: boolean): Buffer =>
    Buffer.alloc(depth * (ends ? 2 : 1))
      .fill(0x7b, 0, depth)
      .fill(0x7c, depth);
  const nested = (depth: number): Buffer => {
    const lengths: Buffer[] = [];
    let size = 0;
    for (let i = 0; i < depth; i++) {
      const varint: number[] = [];
      for (let rest = size; ; rest = Math.floor(rest / 128)) {
        varint.push(rest > 127 ? (rest % 128) | 128 : rest);
        if (rest <= 127) break;
      }
      lengths.push(Buffer.from([0x0a, ...varint]));
      size += 1 + varint.length;
    }
    return Buffer.concat(lengths.reverse());
  };
  for (const [name, bytes] of [
    ["groups of a field that nobody knows, 1,000,000 deep", group(1_000_000, true)],
    ["groups that do not end", group(1_000_000, false)],
    ["fields of fields, 100,000 deep", nested(100_000)],
    ["an empty message 200,000 times in one", Buffer.alloc(400_000).fill(Buffer.from([0x0a, 0]))],
  ] as const)
    test(`${name}: the session ends, the daemon does not`, async () => {
      const most = await highest(async () => {
        const caller = await pushing(daemon, "bombs/");
        caller.sayBytes(bytes).end();
        await caller.ended();
        caller.close();
      });
      if (daemon.process !== undefined) expect(most - rss).toBeLessThan(512 * MIB);
      await healthy(daemon);
    });
});

describe("S31 what is small on the wire and large in memory", () => {
  const of = (bytes: number, ...unit: number[]): Buffer =>
    Buffer.alloc(bytes - (bytes % unit.length), Buffer.from(unit));
  const length = (bytes: number): number[] =>
    [0, 7, 14, 21].map((shift) => ((bytes >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0));
  /** A request with one message of this tag around the bytes. */
  const within = (tag: readonly number[], inner: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from([...tag, ...length(inner.length)]), inner]);
    return Buffer.concat([Buffer.from([0x0a, ...length(body.length)]), body]);
  };
  const manifest = [0xa2, 0x01];
  for (const [name, bytes] of [
    ["empty messages", of(30 * MIB, 0x0a, 0)],
    ["names of owners", within(manifest, of(30 * MIB, 0xea, 0x01, 0))],
    ["entries of a map", within(manifest, of(30 * MIB, 0xe2, 0x01, 0))],
    ["fields that nobody knows", of(30 * MIB, 0x78, 0)],
    [
      "numbers of rows",
      within([0xf2, 0x01], Buffer.concat([Buffer.from([0x1a, ...length(30 * MIB - 9)]), of(30 * MIB - 9, 1)])),
    ],
  ] as const)
    test(`30 MB of ${name}: refused before anything is made of them`, async () => {
      const most = await highest(async () => {
        const caller = await pushing(daemon, "bombs/");
        caller.sayBytes(bytes).end();
        await refusedAs(caller, daemon, PROTOCOL);
      });
      // The message itself, as it arrives and as it is joined.
      if (daemon.process !== undefined) expect(most - rss).toBeLessThan(320 * MIB);
    });
});

describe("S25 S31 messages that say nothing", () => {
  test("30,000 empty requests neither grow nor last", async () => {
    const caller = await pushing(daemon, "bombs/");
    await caller.flood(new Uint8Array(0), 30_000);
    caller.end();
    await caller.ended();
    caller.close();
    await healthy(daemon);
  });
  test("a counter that is negative, and one beyond all, end the session", async () => {
    for (const entries of [(1n << 64n) - 1n, 1n << 63n]) {
      const caller = await pushing(daemon, "bombs/");
      caller.say({ case: "scanned", value: { complete: true, entries } });
      await refusedAs(caller, daemon, PROTOCOL);
    }
  });
});

watched("the daemon is as it was", async () => {
  expect(daemon.process!.isAlive).toBe(true);
  expect(daemon.process!.stderr).not.toContain("internal error");
  await eventually(() => daemon.process!.rssBytes() - rss < 400 * MIB, "memory goes back", 30_000);
});
