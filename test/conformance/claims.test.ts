/** What a peer claims costs what it sends, not what it claims: memory, threads and work. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { availableParallelism } from "node:os";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { LIMITS } from "../../src/core/limits.ts";
import { Verb } from "../../src/wire/gen/fastsync/v1/options_pb.ts";
import { SESSION } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, watched } from "./peer/daemon.ts";
import { DATA, FILE, frame, record, SHARD } from "./peer/frames.ts";
import { manifest } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { healthy, PROTOCOL, pushing, refusedAs } from "./peer/sessions.ts";

const MIB = 1 << 20;
/** What a session, its garbage and a busy machine may make of a daemon's memory meanwhile. */
const SLACK = 96 * MIB;

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  for (let i = 0; i < 3; i++) await healthy(daemon);
});
afterAll(() => daemon[Symbol.asyncDispose]());

const statusOf = (name: string): number =>
  Number(
    new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${daemon.process!.pid}/status`, "latin1"))![1],
  );

/** The most that the process ever held, in bytes: a peak that is gone again is seen, too. */
const peakBytes = (): number => statusOf("VmHWM") * 1024;

const offered = manifest({ dir: 0 }, [
  { name: "a", size: 5 },
  { name: "large", size: 2 ** 52 },
]);

watched("S27 sizes of gigabytes that are only claimed allocate nothing", async () => {
  const before = peakBytes();
  const claims: ((need: number) => Buffer)[] = [
    (need) => frame({ type: SHARD, need, item: 1, length: 0xffffffff }),
    (need) => frame({ type: SHARD, need, item: 0xffffffff, length: 4 * MIB }),
    (need) => frame({ type: FILE, need, length: 0xffffffff }),
    (need) => frame({ type: DATA, need, length: 0xffffffff }),
    (need) => frame({ type: SHARD, need, item: 1 }, record({ item: 0, size: 5n, attributeBytes: 0xffffffff })),
  ];
  for (const claim of claims) {
    const caller = await pushing(daemon, "claims/");
    caller.say({ case: "manifest", value: offered }, { case: "scanned", value: { complete: true, entries: 2n } });
    const { need } = await caller.until("need");
    caller.say({ case: "payload", value: { data: claim(need) } });
    await refusedAs(caller, daemon, PROTOCOL);
  }
  for (const rows of [0x7fffffff, 0xffffffff]) {
    const caller = await pushing(daemon, "claims/");
    caller.say({ case: "manifest", value: manifest({ dir: 0 }, [], { rows }) });
    await refusedAs(caller, daemon, PROTOCOL);
  }
  expect(peakBytes() - before).toBeLessThan(SLACK);
});

watched(
  "a run is told as what it does, though its caller says that it explains; a word of later is an explain",
  async () => {
    const told = async (explains: string, dryRun: boolean): Promise<unknown> => {
      const path = `explains-${explains.length}-${dryRun}/`;
      using _ = await pushing(daemon, path, { explains, options: options({ dryRun, verb: Verb.MIRROR }) });
      const line = await daemon.process!.logged("session_start", (one) => one["path"] === path);
      return line["verb"];
    };
    expect(await told("mirror", false)).toBe("mirror");
    expect(await told("mirror", true)).toBe("explain mirror");
    expect(await told("\u001b[2J", true)).toBe("explain");
    expect(await told("", true)).toBe("mirror (dry run)");
  },
);

watched("S28 a caller that asks for 4 billion threads gets as many as any", async () => {
  using usual = await pushing(daemon, "threads/");
  usual.say({ case: "manifest", value: offered });
  await usual.until("need");
  const before = statusOf("Threads");
  using caller = await pushing(daemon, "threads-too/", { options: options({ write: { workers: 0xffffffff } }) });
  caller.say({ case: "manifest", value: offered });
  await caller.until("need");
  // Those of the backend, and a few of the engine's own.
  const most = Math.max(LIMITS.servedWorkers, availableParallelism());
  expect(statusOf("Threads") - before).toBeLessThanOrEqual(most + 8);
});

// ---- messages that unpack to more ---------------------------------------------------------------------------------

/** One message of the session call, packed as its header says. Resolves with the call's status, and what was answered. */
async function sendPacked(encoding: string, message: Buffer): Promise<string> {
  const session: ClientHttp2Session = connectHttp2(`http://${daemon.host}:${daemon.port}`);
  session.on("error", () => {});
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": SESSION,
      "content-type": "application/grpc+proto",
      "grpc-encoding": encoding,
      te: "trailers",
    });
    const status = Promise.withResolvers<string>();
    const heard: Buffer[] = [];
    const said = (headers: Record<string, unknown>): void => {
      const code = headers["grpc-status"];
      if (code !== undefined) status.resolve(`${code}`);
    };
    stream.on("response", said);
    stream.on("trailers", said);
    stream.on("error", () => status.resolve("error"));
    stream.on("close", () => status.resolve("closed"));
    stream.on("data", (bytes: Buffer) => heard.push(bytes));
    const prefix = Buffer.alloc(5);
    prefix[0] = 1;
    prefix.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([prefix, message]));
    const code = await status.promise;
    return `${code} ${Buffer.concat(heard).toString("latin1")}`;
  } finally {
    session.destroy();
  }
}

for (const [encoding, pack] of [
  ["gzip", (bytes: Buffer) => gzipSync(bytes, { level: 1 })],
  ["br", (bytes: Buffer) => brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
] as const)
  watched(`S29 a message of ${encoding} that unpacks to 192 MiB is refused, with bounded memory`, async () => {
    const packed = pack(Buffer.alloc(192 * MIB));
    expect(packed.length).toBeLessThan(2 * MIB);
    const before = peakBytes();
    const said = await sendPacked(encoding, packed);
    // Unpacking may take a busy machine longer than an opening may.
    expect(said).toMatch(/the protocol was broken by the caller|the session was not opened in time/);
    expect(peakBytes() - before).toBeLessThan(SLACK);
    await healthy(daemon);
  });

test("S37 the daemon goes on", () => healthy(daemon));
