/** A caller that is there, and says nothing else: too often, or for too long. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { SessionRequestSchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { type Body, type Caller, requestBytes } from "./peer/caller.ts";
import { configured, type Daemon, daemonUnderTest } from "./peer/daemon.ts";
import { manifest } from "./peer/listing.ts";
import { healthy, PROTOCOL, pulling, pushing, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest({ daemon: 'stall_timeout = "2s"' });
});
afterAll(() => daemon[Symbol.asyncDispose]());

const beat: Body = { case: "heartbeat", value: {} };
/** A life of heartbeats, far from a flood, while something else goes on. */
async function beating<T>(caller: Caller, during: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => caller.say(beat), 100);
  try {
    return await during();
  } finally {
    clearInterval(timer);
  }
}

const floods: [string, Uint8Array, number][] = [
  ["2,000 heartbeats", requestBytes(Array.from({ length: 100 }, () => beat)), 20],
  // SessionRequest { messages { field 77 } }
  ["2,000 messages that nobody knows", Buffer.from([0x0a, 4, 0xea, 0x04, 1, 65]), 2000],
  ["2,000 requests of nothing", toBinary(SessionRequestSchema, create(SessionRequestSchema)), 2000],
];
for (const [name, bytes, times] of floods)
  test(`S25 ${name} at once end the session`, async () => {
    const caller = await pushing(daemon);
    await caller.flood(bytes, times);
    await refusedAs(caller, daemon, PROTOCOL);
  });

test("S25 500 heartbeats at once are none, as they come when a line stood still", async () => {
  using caller = await pushing(daemon, "late/");
  caller.say(...Array.from({ length: 500 }, () => beat));
  caller.say({ case: "manifest", value: manifest({ dir: 0 }, []) }, { case: "scanned", value: { complete: true } });
  await caller.until("finished");
});

const STALLED = { reason: "timeout", exitCode: 30 };
configured("S26 a source that only says that it is there is not waited for for ever", async () => {
  const caller = await pushing(daemon);
  await beating(caller, () => refusedAs(caller, daemon, STALLED));
});
configured("S26 nor is a target", async () => {
  const { caller } = await pulling(daemon);
  await beating(caller, () => refusedAs(caller, daemon, STALLED));
});
configured("S26 one that goes on now and then has its time", async () => {
  using caller = await pushing(daemon, "slow/");
  const startedMs = performance.now();
  await beating(caller, async () => {
    await Bun.sleep(1200);
    caller.say({ case: "manifest", value: manifest({ dir: 0 }, [{ name: "d", mode: 0o040755 }]) });
    await Bun.sleep(1200);
    caller.say({ case: "manifest", value: manifest({ dir: 1, parent: 0, row: 0 }, []) });
    await Bun.sleep(1200);
    caller.say({ case: "scanned", value: { complete: true, entries: 1n } });
    await caller.until("finished");
  });
  expect(performance.now() - startedMs).toBeGreaterThan(3000);
});

test("the daemon goes on", () => healthy(daemon));
