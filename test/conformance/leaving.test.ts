/** A caller that disappears, stalls or floods, at any phase: the daemon is afterwards as it was before. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { type Body, Caller, pullFrom, pushTo, requestBytes } from "./peer/caller.ts";
import { type Daemon, type DaemonProcess, eventually, startDaemon } from "./peer/daemon.ts";
import { manifest } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { healthy, PROTOCOL, pulling, pushing, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon & { readonly process: DaemonProcess };
let descriptors = 0;
beforeAll(async () => {
  daemon = await startDaemon({
    idle: "3s",
    modules: '[[module]]\nname = "one"\npath = "DIR/rw"\nread_only = false\nmax_sessions = 1\n',
  });
  mkdirSync(daemon.process.path("ro/sub"));
  writeFileSync(daemon.process.path("ro/large"), Buffer.alloc(64 << 20));
  await healthy(daemon);
  await healthy(daemon);
  descriptors = await settled();
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** Descriptors when nothing changes any more. */
async function settled(): Promise<number> {
  let last = -1;
  return eventually(() => {
    const now = daemon.process.descriptors().length;
    const same = now === last;
    last = now;
    return same ? now : undefined;
  }, "descriptors settle");
}
async function expectNoLeak(): Promise<void> {
  await eventually(
    () => daemon.process.descriptors().length <= descriptors + 2,
    `${descriptors} descriptors, as before`,
  );
}

const hello: Body = { case: "hello", value: { protocolMin: 1, protocolMax: 1 } };
const root = manifest({ dir: 0 }, [
  { name: "a", size: 1 << 20 },
  { name: "d", mode: 0o040755 },
]);
const phases: [string, () => Promise<Caller>][] = [
  ["at once", async () => new Caller(daemon)],
  ["after hello", async () => new Caller(daemon).say(hello)],
  ["after open", async () => new Caller(daemon).say(hello, { case: "open", value: pushTo("one") })],
  [
    "after accept",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushTo("one"));
      return caller;
    },
  ],
  [
    "after a stream was opened",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushTo("one"));
      await caller.dial(0);
      await caller.dial(1);
      return caller;
    },
  ],
  [
    "after a source's stream was opened",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pullFrom("one"));
      await caller.dial(0);
      return caller;
    },
  ],
  [
    "with a need open",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushTo("one"));
      await caller.dial(0);
      caller.say({ case: "carrier", value: {} }, { case: "manifest", value: root });
      await caller.until("need");
      return caller;
    },
  ],
  [
    "in the middle of a frame",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushTo("one", "", {}));
      caller.say({ case: "carrier", value: { inStream: true } }, { case: "manifest", value: root });
      await caller.until("need");
      return caller.say({ case: "payload", value: { data: Buffer.from("FSD1\x02") } });
    },
  ],
  [
    "while content is sent to it",
    async () => {
      const { caller, root: listing } = await pulling(daemon);
      expect(listing.rows).toBe(4);
      return caller.say({ case: "need", value: { need: 1, dir: 0, rows: [1], purpose: 1 } });
    },
  ],
  [
    "before the answer to a question",
    async () => {
      writeFileSync(daemon.process.path("rw/extra"), "");
      const caller = new Caller(daemon);
      await caller.open(
        pushTo("one", "", {
          options: options({ verb: 2, delete: { enabled: true, limit: { case: "count", value: 100_000n } } }),
        }),
      );
      caller.say(
        { case: "carrier", value: { inStream: true } },
        { case: "manifest", value: manifest({ dir: 0 }, [{ name: "l", mode: 0o120777, link: "x" }]) },
        { case: "scanned", value: { complete: true, entries: 1n } },
      );
      await Promise.race([caller.until("confirm"), caller.until("finished")]);
      return caller;
    },
  ],
];

for (const [name, play] of phases)
  test(`a caller that leaves ${name} leaves nothing behind`, async () => {
    for (let round = 0; round < 3; round++) {
      const caller = await play();
      await Bun.sleep(20);
      caller.close();
      // The one lease of the module is free again: the next caller gets in.
      await eventuallyOpens();
    }
    await expectNoLeak();
    expect(daemon.process.isAlive).toBe(true);
  });

async function eventuallyOpens(): Promise<void> {
  for (let tries = 0; ; tries++) {
    const caller = new Caller(daemon);
    try {
      await caller.open(pushTo("one", "probe/"));
      return;
    } catch (error) {
      if (tries > 100 || !String(error).includes("already")) throw error;
      await Bun.sleep(50);
    } finally {
      caller.close();
      await daemon.process.logged("started");
    }
  }
}

test("a module takes so many sessions, and says so", async () => {
  using caller = new Caller(daemon);
  await caller.open(pushTo("one", "probe/"));
  await refusedAs(new Caller(daemon).say(hello, { case: "open", value: pushTo("one") }), daemon, {
    reason: "too_many_sessions",
    exitCode: 5,
  });
});

test("a session in which nothing moves ends", async () => {
  const caller = await pushing(daemon);
  await refusedAs(caller, daemon, { reason: "timeout", exitCode: 30 });
});

test("a connection that says nothing over HTTP/2 costs nothing", async () => {
  const sockets = Array.from({ length: 20 }, () => connect(daemon.port, daemon.host));
  for (const socket of sockets) socket.on("error", () => {});
  await Bun.sleep(100);
  await healthy(daemon);
  for (const socket of sockets) socket.destroy();
  await expectNoLeak();
});

const beat: Body = { case: "heartbeat", value: {} };
test("100,000 heartbeats", async () => {
  const before = daemon.process.rssBytes();
  const caller = await pushing(daemon);
  await caller.flood(requestBytes(Array.from({ length: 1000 }, () => beat)), 100);
  caller.say({ case: "finished", value: {} });
  await refusedAs(caller, daemon, PROTOCOL);
  expect(daemon.process.rssBytes() - before).toBeLessThan(200 << 20);
}, 30_000);

test("20,000 requests of one message", async () => {
  const before = daemon.process.rssBytes();
  const caller = await pushing(daemon);
  await caller.flood(requestBytes([beat]), 20_000);
  caller.say({ case: "finished", value: {} });
  await refusedAs(caller, daemon, PROTOCOL);
  expect(daemon.process.rssBytes() - before).toBeLessThan(200 << 20);
}, 30_000);

test("5,000 messages in one request", async () => {
  const caller = await pushing(daemon);
  caller.say(...Array.from({ length: 5000 }, () => beat));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("messages of a thousand kinds while the session is being opened", async () => {
  const caller = new Caller(daemon).say(hello, { case: "open", value: pushTo("rw", "early/") });
  await caller.flood(
    requestBytes(Array.from({ length: 1000 }, () => ({ case: "settled", value: { dirs: [1] } }) as const)),
    50,
  );
  await refusedAs(caller, daemon, PROTOCOL);
});

test("directories beyond the window", async () => {
  const caller = await pushing(daemon, "window/");
  const rows = Array.from({ length: 1500 }, (_, i) => ({ name: `d${10_000 + i}`, mode: 0o040755 }));
  caller.say({ case: "manifest", value: manifest({ dir: 0 }, rows) });
  caller.say(
    ...rows.map(
      (_, i): Body => ({
        case: "manifest",
        value: manifest({ dir: i + 1, parent: 0, row: i }, [{ name: "f", size: 9 }]),
      }),
    ),
  );
  await refusedAs(caller, daemon, PROTOCOL);
});

test("a million numbers of directories at once", async () => {
  const { caller } = await pulling(daemon);
  caller.say({ case: "settled", value: { dirs: Array.from({ length: 1_000_000 }, (_, i) => i + 100) } });
  await refusedAs(caller, daemon, PROTOCOL);
});

test("a request of 40 MiB", async () => {
  const caller = await pushing(daemon);
  caller.sayBytes(Buffer.alloc(40 << 20, 0x7a));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("bytes that are no message", async () => {
  const caller = await pushing(daemon);
  caller.sayBytes(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("a field and a message that nobody knows are ignored", async () => {
  const caller = await pushing(daemon, "unknown/");
  // SessionRequest { field 99; messages { field 77 } }
  caller.sayBytes(Buffer.from([0x9a, 0x06, 1, 65, 0x0a, 4, 0xea, 0x04, 1, 65]));
  caller.say({ case: "manifest", value: manifest({ dir: 0 }, []) }, { case: "scanned", value: { complete: true } });
  await caller.until("finished");
  caller.close();
});

test("counts beyond 2^53, and negative ones", async () => {
  for (const entries of [1n << 53n, (1n << 64n) - 1n]) {
    const caller = await pushing(daemon);
    caller.say(
      { case: "manifest", value: manifest({ dir: 0 }, []) },
      { case: "scanned", value: { complete: true, entries } },
    );
    await refusedAs(caller, daemon, PROTOCOL);
  }
});

test("a caller that does not read holds no memory for ever", async () => {
  const { caller } = await pulling(daemon);
  caller.pause();
  caller.say({ case: "need", value: { need: 1, dir: 0, rows: [1], purpose: 1 } });
  await daemon.process.logged("session_end", ({ exit_reason, path }) => exit_reason === "timeout" && path === "");
  caller.close();
  await expectNoLeak();
});

test("nobody crashed, nothing leaked", async () => {
  await healthy(daemon);
  await expectNoLeak();
  expect(daemon.process.stderr).not.toContain("internal error");
  expect(daemon.process.rssBytes()).toBeLessThan(700 << 20);
});
