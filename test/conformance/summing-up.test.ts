/** When the daemon as the target tells its summary: as soon as all is known. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Verb } from "../../src/wire/gen/fastsync/v1/options_pb.ts";
import type { Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest } from "./peer/daemon.ts";
import { manifest } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { healthy, pushing } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** Nothing but an empty directory; the source says nothing after its last listing. */
function offer(caller: Caller): void {
  caller.say(
    { case: "manifest", value: manifest({ dir: 0 }, []) },
    { case: "scanned", value: { complete: true, entries: 0n } },
  );
}

test("a copy is summed up with the target's own end, whatever the source still has to say", async () => {
  using caller = await pushing(daemon, "summed/");
  offer(caller);
  await caller.until("finished");
  expect((await caller.until("summary")).exitReason).toBe("ok");
  // What comes afterwards is nobody's mistake.
  caller.say({ case: "closed", value: {} });
  await healthy(daemon);
});

test("a move waits for what was removed", async () => {
  using caller = await pushing(daemon, "moved/", { options: options({ verb: Verb.MOVE }) });
  offer(caller);
  await caller.until("finished");
  await Bun.sleep(300);
  expect(caller.heard.some((body) => body.case === "summary")).toBe(false);
  caller.say({ case: "closed", value: {} });
  expect((await caller.until("summary")).exitReason).toBe("ok");
});
