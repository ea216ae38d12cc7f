/** What a well-behaved peer experiences, step by step. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Caller, pushTo } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest } from "./peer/daemon.ts";
import { bye, shard } from "./peer/frames.ts";
import { manifest } from "./peer/listing.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

test("a push over a data stream", async () => {
  using caller = new Caller(daemon);
  await caller.open(pushTo(daemon.modules.write, "push/"));
  const socket = await caller.dial(0);
  caller.say({ case: "carrier", value: { inStream: false } });
  const content = Buffer.from("hello\n");
  caller.say({ case: "manifest", value: manifest({ dir: 0 }, [{ name: "a", size: content.length, mtime: 1e9 }]) });
  caller.say({ case: "scanned", value: { complete: true, entries: 1n } });
  const need = await caller.until("need");
  expect(need.rows).toEqual([0]);
  socket.write(shard(need.need, [{ name: "a", content, mode: 0o100644, mtime: 1e9 }]));
  await caller.until("finished");
  socket.write(bye());
  caller.say({ case: "closed", value: {} });
  const { summary, status } = await caller.ended();
  expect(status.code).toBe(0);
  expect(summary?.exitReason).toBe("ok");
  console.log(caller.heard.map((b) => b.case).join(" "));
});
