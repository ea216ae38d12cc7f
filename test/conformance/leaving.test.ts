/** A caller that disappears, stalls or floods, at any phase: the daemon is afterwards as it was before. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { type Body, Caller, type OpenFields, pullFrom, pushTo, requestBytes } from "./peer/caller.ts";
import { configured, type Daemon, daemonUnderTest, eventually, fileOf, watched, withFiles } from "./peer/daemon.ts";
import { manifest } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { healthy, into, outOf, PROTOCOL, pulling, pushing, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
let descriptors = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest({
    idle: "3s",
    modules: '[[module]]\nname = "one"\npath = "DIR/rw"\nread_only = false\nmax_sessions = 1\n',
  });
  if (daemon.directory !== undefined) {
    mkdirSync(fileOf(daemon, "source/sub"), { recursive: true });
    writeFileSync(fileOf(daemon, "source/large"), Buffer.alloc(64 << 20));
    mkdirSync(fileOf(daemon, "question"));
  }
  await healthy(daemon);
  await healthy(daemon);
  descriptors = await settled();
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** A push into the module that takes one session at a time, where there is one. */
function pushOne(path = "", more: Partial<OpenFields> = {}): OpenFields {
  return daemon.process === undefined ? into(daemon, path, more) : pushTo("one", path, more);
}

/** Descriptors when nothing changes any more. */
async function settled(): Promise<number> {
  const { process } = daemon;
  if (process === undefined) return 0;
  let last = -1;
  return eventually(() => {
    const now = process.descriptors().length;
    const same = now === last;
    last = now;
    return same ? now : undefined;
  }, "descriptors settle");
}
async function expectNoLeak(): Promise<void> {
  const { process } = daemon;
  if (process === undefined) return;
  await eventually(() => process.descriptors().length <= descriptors + 2, `${descriptors} descriptors, as before`);
}

const hello: Body = { case: "hello", value: { protocolMin: 1, protocolMax: 1 } };
const root = manifest({ dir: 0 }, [
  { name: "a", size: 1 << 20 },
  { name: "d", mode: 0o040755 },
]);
const phases: [string, () => Promise<Caller>, typeof test?][] = [
  ["at once", async () => new Caller(daemon)],
  ["after hello", async () => new Caller(daemon).say(hello)],
  ["after open", async () => new Caller(daemon).say(hello, { case: "open", value: pushOne() })],
  [
    "after accept",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushOne());
      return caller;
    },
  ],
  [
    "after a stream was opened",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushOne());
      await caller.dial(0);
      await caller.dial(1);
      return caller;
    },
  ],
  [
    "after a source's stream was opened",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pullFrom(daemon.process === undefined ? daemon.modules.read : "one"));
      await caller.dial(0);
      return caller;
    },
  ],
  [
    "with a need open",
    async () => {
      const caller = new Caller(daemon);
      await caller.open(pushOne());
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
      await caller.open(pushOne());
      caller.say({ case: "carrier", value: { inStream: true } }, { case: "manifest", value: root });
      await caller.until("need");
      return caller.say({ case: "payload", value: { data: Buffer.from("FSD1\x02") } });
    },
  ],
  [
    "while content is sent to it",
    async () => {
      const { caller, root: listing } = await pulling(daemon, outOf(daemon, "source/"));
      expect(listing.rows).toBe(3);
      return caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0], purpose: 1 } });
    },
    withFiles,
  ],
  [
    "before the answer to a question",
    async () => {
      writeFileSync(fileOf(daemon, "question/extra"), "");
      const caller = new Caller(daemon);
      await caller.open(
        pushOne("question/", {
          options: options({ verb: 2, delete: { enabled: true, limit: { case: "count", value: 100_000n } } }),
        }),
      );
      caller.say(
        { case: "carrier", value: { inStream: true } },
        { case: "manifest", value: manifest({ dir: 0 }, [{ name: "d", mode: 0o040755 }]) },
        { case: "manifest", value: manifest({ dir: 1, parent: 0, row: 0 }, []) },
        { case: "scanned", value: { complete: true, entries: 1n } },
      );
      await caller.until("confirm");
      return caller;
    },
    withFiles,
  ],
];

for (const [name, play, define = test] of phases)
  define(`B63 B68 a caller that leaves ${name} leaves nothing behind`, async () => {
    for (let round = 0; round < 3; round++) {
      const caller = await play();
      await Bun.sleep(20);
      caller.close();
      // The one lease of the module is free again: the next caller gets in.
      await eventuallyOpens();
    }
    await expectNoLeak();
    if (daemon.process !== undefined) expect(daemon.process.isAlive).toBe(true);
  });

async function eventuallyOpens(): Promise<void> {
  if (daemon.process === undefined) return healthy(daemon);
  for (let tries = 0; ; tries++) {
    const caller = new Caller(daemon);
    try {
      await caller.open(pushOne("probe/"));
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

for (const [role, open, words] of [
  ["source", () => outOf(daemon), [{ case: "finished", value: {} }]],
  ["target", () => into(daemon, "stopped/"), [{ case: "closed", value: {} }]],
] as const)
  test(`B63 a stop that comes before the acceptance is one: the daemon is the ${role}`, async () => {
    using caller = new Caller(daemon);
    caller.say(hello, { case: "open", value: open() }, { case: "stop", value: {} });
    await caller.until("accept");
    // It ends its part without a further word; ours is the answer to that.
    if (role === "target") await caller.until("finished");
    caller.say(...words);
    if (role === "source") await caller.until("closed");
    else expect((await caller.until("summary")).exitReason).toBe("interrupted");
    expect((await caller.ended()).refusal).toBeUndefined();
  });

configured("B68 a module takes so many sessions, and says so", async () => {
  using caller = new Caller(daemon);
  await caller.open(pushOne("probe/"));
  await refusedAs(new Caller(daemon).say(hello, { case: "open", value: pushOne() }), daemon, {
    reason: "too_many_sessions",
    exitCode: 5,
  });
});

configured("B63 S26 a session in which nothing moves ends", async () => {
  const caller = await pushing(daemon);
  await refusedAs(caller, daemon, { reason: "timeout", exitCode: 30 });
});

test("B68 S32 a connection that says nothing over HTTP/2 costs nothing", async () => {
  const sockets = Array.from({ length: 20 }, () => connect(daemon.port, daemon.host));
  for (const socket of sockets) socket.on("error", () => {});
  await Bun.sleep(100);
  await healthy(daemon);
  for (const socket of sockets) socket.destroy();
  await expectNoLeak();
});

/** Of another daemon it is not known. */
const rssBytes = (): number => daemon.process?.rssBytes() ?? 0;
const beat: Body = { case: "heartbeat", value: {} };
test("S25 100,000 heartbeats", async () => {
  const before = rssBytes();
  const caller = await pushing(daemon);
  await caller.flood(requestBytes(Array.from({ length: 1000 }, () => beat)), 100);
  caller.say({ case: "finished", value: {} });
  await refusedAs(caller, daemon, PROTOCOL);
  expect(rssBytes() - before).toBeLessThan(200 << 20);
}, 30_000);

test("S25 20,000 requests of one message", async () => {
  const before = rssBytes();
  const caller = await pushing(daemon);
  await caller.flood(requestBytes([beat]), 20_000);
  caller.say({ case: "finished", value: {} });
  await refusedAs(caller, daemon, PROTOCOL);
  expect(rssBytes() - before).toBeLessThan(200 << 20);
}, 30_000);

test("S25 5,000 messages in one request", async () => {
  const caller = await pushing(daemon);
  caller.say(...Array.from({ length: 5000 }, () => beat));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("S23 S25 messages of a thousand kinds while the session is being opened", async () => {
  const caller = new Caller(daemon).say(hello, { case: "open", value: into(daemon, "early/") });
  await caller.flood(
    requestBytes(Array.from({ length: 1000 }, () => ({ case: "settled", value: { dirs: [1] } }) as const)),
    50,
  );
  await refusedAs(caller, daemon, PROTOCOL);
});

test("S23 S32 directories beyond the window", async () => {
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

test("S24 S27 a million numbers of directories at once", async () => {
  const { caller } = await pulling(daemon);
  caller.say({ case: "settled", value: { dirs: Array.from({ length: 1_000_000 }, (_, i) => i + 100) } });
  await refusedAs(caller, daemon, PROTOCOL);
});

test("S24 S27 a request of 40 MiB", async () => {
  const caller = await pushing(daemon);
  caller.sayBytes(Buffer.alloc(40 << 20, 0x7a));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("S23 S31 bytes that are no message", async () => {
  const caller = await pushing(daemon);
  caller.sayBytes(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]));
  await refusedAs(caller, daemon, PROTOCOL);
});

test("S31 a field and a message that nobody knows are ignored", async () => {
  const caller = await pushing(daemon, "unknown/");
  // SessionRequest { field 99; messages { field 77 } }
  caller.sayBytes(Buffer.from([0x9a, 0x06, 1, 65, 0x0a, 4, 0xea, 0x04, 1, 65]));
  caller.say({ case: "manifest", value: manifest({ dir: 0 }, []) }, { case: "scanned", value: { complete: true } });
  await caller.until("finished");
  caller.close();
});

test("S24 S31 counts beyond 2^53, and negative ones", async () => {
  for (const entries of [1n << 53n, (1n << 64n) - 1n]) {
    const caller = await pushing(daemon);
    caller.say(
      { case: "manifest", value: manifest({ dir: 0 }, []) },
      { case: "scanned", value: { complete: true, entries } },
    );
    await refusedAs(caller, daemon, PROTOCOL);
  }
});

configured("S32 a caller that does not read holds no memory for ever", async () => {
  const { caller } = await pulling(daemon, outOf(daemon, "source/"));
  caller.pause();
  caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0], purpose: 1 } });
  await daemon.process!.logged(
    "session_end",
    ({ exit_reason, path }) => exit_reason === "timeout" && path === "source/",
  );
  caller.close();
  await expectNoLeak();
});

watched("S25 S37 nobody crashed, nothing leaked", async () => {
  await healthy(daemon);
  await expectNoLeak();
  expect(daemon.process!.stderr).not.toContain("internal error");
  expect(daemon.process!.rssBytes()).toBeLessThan(700 << 20);
});
