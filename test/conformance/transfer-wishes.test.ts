/** What a caller wishes for ranges and for content on its way is what the daemon then asks for, within its bounds. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NeedPurpose } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, fileOf, withFiles } from "./peer/daemon.ts";
import { fakeDaemon, runCli } from "./peer/fake-daemon.ts";
import { manifest } from "./peer/listing.ts";
import { type Options, options } from "./peer/opening.ts";
import { into, outOf, pulling } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const MIB = 1 << 20;
/** Nobody answers, so that all that may come has come when nothing more does. */
const QUIET_MS = 300;
/** As long as that a busy machine may take to say all that is expected. */
const PATIENCE_MS = 30_000;

/** What `count` says once it says the same for a while, and when that is less than `wanted`, after a long one. */
async function settled(count: () => number, wanted: number): Promise<number> {
  const endMs = performance.now() + PATIENCE_MS;
  for (let last = -1; ; ) {
    const now = count();
    if (now === last && (now >= wanted || performance.now() > endMs)) return now;
    last = now;
    await Bun.sleep(QUIET_MS);
  }
}

/** Lengths of the ranges of one large file that are asked for before any is answered. */
async function rangesAsked(transfer: Options["transfer"], size: number, count: number): Promise<number[]> {
  using caller = new Caller(daemon);
  await caller.open(into(daemon, "wishes/", { options: options({ ...(transfer === undefined ? {} : { transfer }) }) }));
  caller.say(
    { case: "carrier", value: { inStream: true } },
    { case: "manifest", value: manifest({ dir: 0 }, [{ name: "large", size }]) },
    { case: "scanned", value: { complete: true, entries: 1n } },
  );
  await caller.until("need");
  const asked = (): number[] =>
    caller.heard.flatMap((body) =>
      body.case === "need" && body.value.purpose === NeedPurpose.RANGE ? [Number(body.value.length)] : [],
    );
  await settled(() => asked().length, count);
  return asked();
}

describe("ranges that a daemon asks for", () => {
  test.concurrent.each<[string, Options["transfer"], number, number]>([
    ["without a wish", undefined, 12, 8 * MIB],
    ["of a length that was wished for", { chunkBytes: BigInt(4 * MIB) }, 12, 4 * MIB],
    ["no more of them than may be on its way", { chunkBytes: BigInt(MIB), bufferBytes: BigInt(4 * MIB) }, 4, MIB],
    [
      "no longer than what may be on its way",
      { chunkBytes: BigInt(8 * MIB), bufferBytes: BigInt(2 * MIB) },
      1,
      2 * MIB,
    ],
    ["nor where none were wished for", { bufferBytes: BigInt(3 * MIB) }, 1, 3 * MIB],
    ["of whole blocks all the same", { bufferBytes: BigInt(MIB + 1) }, 1, MIB],
    ["of the shortest that makes sense", { chunkBytes: 1n }, 12, MIB],
    ["of the longest that is lawful", { chunkBytes: 1n << 63n }, 12, 64 * MIB],
    ["that begin where blocks do", { chunkBytes: BigInt(MIB + 1) }, 12, MIB],
  ])("%s", async (_title, transfer, count, length) => {
    const lengths = await rangesAsked(transfer, 2048 * MIB, count);
    expect(lengths).toEqual(Array(count).fill(length));
  });

  test("also of a file that comes whole without a wish", async () => {
    expect(await rangesAsked(undefined, 9 * MIB, 0)).toEqual([]);
    expect(await rangesAsked({ bufferBytes: BigInt(4 * MIB) }, 9 * MIB, 1)).toEqual([4 * MIB]);
    expect(await rangesAsked({ bufferBytes: BigInt(9 * MIB) }, 9 * MIB, 0)).toEqual([]);
  });
});

const WINDOWS: [string, bigint, number][] = [
  ["8 MiB without a wish", 0n, 8 * MIB],
  ["what may be on its way", BigInt(3 * MIB + 5), 3 * MIB + 5],
  ["1 MiB at the least", 1n, MIB],
  ["8 MiB at the most", 1n << 62n, 8 * MIB],
];

describe("content inside the control plane that nobody takes", () => {
  const payloadBytes = (caller: Caller): number =>
    caller.heard.reduce((bytes, body) => bytes + (body.case === "payload" ? body.value.data.length : 0), 0);

  withFiles("a daemon sends no more than its window", async () => {
    mkdirSync(fileOf(daemon, "window"), { recursive: true });
    writeFileSync(fileOf(daemon, "window/large"), Buffer.alloc(24 * MIB, 7));
    for (const [title, bufferBytes, window] of WINDOWS) {
      const open = outOf(daemon, "window/", { options: options({ transfer: { bufferBytes } }) });
      const { caller } = await pulling(daemon, open);
      using _ = caller;
      caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0], purpose: NeedPurpose.CONTENT } });
      const sent = await settled(() => payloadBytes(caller), window);
      expect([title, sent]).toEqual([title, window]);
      // What was taken makes room for as much again.
      caller.say({ case: "payloadCredit", value: { bytes: window } });
      expect([title, await settled(() => payloadBytes(caller), window * 2)]).toEqual([title, window * 2]);
    }
  });

  test.concurrent("a caller neither, as its own flag says", async () => {
    const source = mkdtempSync(join(tmpdir(), "fastsync-window-"));
    try {
      writeFileSync(join(source, "large"), Buffer.alloc(24 * MIB, 7));
      for (const [flags, window] of [
        [[], 8 * MIB],
        [["--buffer-size=2M"], 2 * MIB],
        [["--preset", "low-memory"], 4 * MIB],
        [["--buffer-size=1G"], 8 * MIB],
      ] as const) {
        let sent = 0;
        await using fake = await fakeDaemon(async (session) => {
          await session.accept();
          await session.until("manifest");
          session.say({ case: "need", value: { need: 1, dir: 0, rows: [0], purpose: NeedPurpose.CONTENT } });
          await session.until("payload");
          sent = await settled(() => session.contentBytes, window);
          session.end();
        });
        await runCli(["copy", "--force-grpc", ...flags, `${source}/`, `127.0.0.1:${fake.port}:/m/`]);
        expect([flags, sent, fake.failures]).toEqual([flags, window, []]);
      }
    } finally {
      rmSync(source, { recursive: true, force: true });
    }
  });
});
