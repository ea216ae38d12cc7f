/** What a caller wishes for ranges and for content on its way is what the daemon then asks for, within its bounds. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { NeedPurpose } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest } from "./peer/daemon.ts";
import { manifest } from "./peer/listing.ts";
import { type Options, options } from "./peer/opening.ts";
import { into } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const MIB = 1 << 20;
/** Until nothing more is asked for: nobody answers, so that all that may be under way is. */
const QUIET_MS = 300;

/** Lengths of the ranges of one large file that are asked for before any is answered. */
async function rangesAsked(transfer: Options["transfer"], size: number): Promise<number[]> {
  using caller = new Caller(daemon);
  await caller.open(into(daemon, "wishes/", { options: options({ ...(transfer === undefined ? {} : { transfer }) }) }));
  caller.say(
    { case: "carrier", value: { inStream: true } },
    { case: "manifest", value: manifest({ dir: 0 }, [{ name: "large", size }]) },
    { case: "scanned", value: { complete: true, entries: 1n } },
  );
  await caller.until("need");
  let heard = 0;
  while (heard !== caller.heard.length) {
    heard = caller.heard.length;
    await Bun.sleep(QUIET_MS);
  }
  return caller.heard.flatMap((body) =>
    body.case === "need" && body.value.purpose === NeedPurpose.RANGE ? [Number(body.value.length)] : [],
  );
}

describe("ranges that a daemon asks for", () => {
  test.concurrent.each<[string, Options["transfer"], number, number]>([
    ["without a wish", undefined, 12, 8 * MIB],
    ["of a length that was wished for", { chunkBytes: BigInt(4 * MIB) }, 12, 4 * MIB],
    ["no more of them than may be on its way", { chunkBytes: BigInt(MIB), bufferBytes: BigInt(4 * MIB) }, 4, MIB],
    ["never none", { chunkBytes: BigInt(8 * MIB), bufferBytes: BigInt(2 * MIB) }, 1, 8 * MIB],
    ["of the shortest that makes sense", { chunkBytes: 1n }, 12, MIB],
    ["of the longest that is lawful", { chunkBytes: 1n << 63n }, 12, 64 * MIB],
    ["that begin where blocks do", { chunkBytes: BigInt(MIB + 1) }, 12, MIB],
  ])("%s", async (_title, transfer, count, length) => {
    const lengths = await rangesAsked(transfer, 2048 * MIB);
    expect(lengths).toEqual(Array(count).fill(length));
  });
});
