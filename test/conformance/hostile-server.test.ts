/**
 * A hostile daemon against the command line: nothing outside of what was asked for is made, changed or deleted, and the
 * exit code tells what happened.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Body } from "./peer/caller.ts";
import { type FakeSession, fakeDaemon, runCli } from "./peer/fake-daemon.ts";
import { archive, bye, frame, record, SHARD, shard } from "./peer/frames.ts";
import { DIRECTORY, LINK, type ManifestFields, manifest, type Row } from "./peer/listing.ts";
import { sourceFacts } from "./peer/opening.ts";
import { Turns } from "./peer/turns.ts";

/** Command lines at a time: each is a process that has much to load. */
const turns = new Turns(3);
let top = "";
let count = 0;
beforeAll(() => {
  top = mkdtempSync(join(tmpdir(), "fastsync-hostile-"));
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

/** A place of its own: `out` is the target, beside it things that no daemon may touch. */
function place(): string {
  const directory = join(top, String(count++));
  mkdirSync(join(directory, "out/kept"), { recursive: true });
  mkdirSync(join(directory, "outside"));
  writeFileSync(join(directory, "outside/secret"), "secret");
  writeFileSync(join(directory, "out/mine"), "mine");
  writeFileSync(join(directory, "out/kept/inner"), "inner");
  symlinkSync("../outside", join(directory, "out/link"));
  return directory;
}

/** Every path with its type and content. */
function listAll(directory: string, path = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(directory, path))) {
    const below = path === "" ? name : `${path}/${name}`;
    const full = join(directory, below);
    const stat = lstatSync(full);
    if (stat.isDirectory()) Object.assign(found, { [below]: "directory" }, listAll(directory, below));
    else found[below] = stat.isSymbolicLink() ? `-> ${readlinkSync(full)}` : readFileSync(full, "latin1");
  }
  return found;
}

interface Attack {
  readonly name: string;
  readonly play: (session: FakeSession) => Promise<void>;
  readonly verb?: readonly string[];
  /** Below the module; "dir/" is the contents of a directory. */
  readonly source?: string;
  readonly code?: number;
  /** Paths below `out` that the attack may have made: it is allowed to send those. */
  readonly mayMake?: readonly string[];
}

/** Greets, accepts, says this and no more. */
const sends =
  (...bodies: Body[]) =>
  async (session: FakeSession): Promise<void> => {
    await session.accept();
    session.say(...bodies);
  };
const refuses =
  (exitCode: number, reason: string, text: string) =>
  async (session: FakeSession): Promise<void> => {
    await session.greet();
    session.say({ case: "refusal", value: { exitCode, reason, message: text } });
  };

const MIRROR = ["mirror", "--yes", "--force-grpc"] as const;
const whole = { case: "scanned", value: { complete: true, entries: 1n } } as const;

/** A root listing, and more of them. */
const listing =
  (...manifests: ManifestFields[]) =>
  async (session: FakeSession): Promise<void> => {
    await session.accept();
    for (const value of manifests) session.say({ case: "manifest", value });
    session.say(whole);
    await finish(session);
  };

/** Goes along with whatever is asked, so that an attack that is not noticed gets to its end. */
async function finish(session: FakeSession): Promise<void> {
  const answering = (async () => {
    for (;;) {
      const { need, rows } = await session.until("need");
      const members = rows.map((_, i) => ({ name: String(i), content: Buffer.from("evil"), mode: 0o100644, mtime: 1 }));
      session.say({ case: "payload", value: { data: shard(need, members) } });
    }
  })();
  answering.catch(() => {});
  await session.until("finished");
  session.say({ case: "payload", value: { data: bye(), end: true } }, { case: "closed", value: {} });
}

const root = (rows: readonly Row[], more: ManifestFields = {}): ManifestFields => manifest({ dir: 0 }, rows, more);
const entry = (name: string, isDirectory = false) => ({
  sourceFacts: sourceFacts({ arguments: [{ entry: Buffer.from(name), isDirectory }] }),
});
/** What was asked for is one entry, and the daemon lists these rows beside or instead of it. */
const instead =
  (name: string, manifests: ManifestFields[], isDirectory = false) =>
  async (session: FakeSession): Promise<void> => {
    await session.accept(entry(name, isDirectory));
    for (const value of manifests) session.say({ case: "manifest", value });
    session.say(whole);
    await finish(session);
  };

const attacks: Attack[] = [
  ...["..", ".", "../evil", "/tmp/evil", "a/../../evil", "", "x\0y", "x".repeat(256)].map(
    (name): Attack => ({ name: `a file named ${JSON.stringify(name.slice(0, 12))}`, play: listing(root([{ name }])) }),
  ),
  ...["..", "/", "a/b"].map(
    (name): Attack => ({
      name: `a directory named ${JSON.stringify(name)}`,
      play: listing(root([{ name, mode: DIRECTORY }]), manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "evil" }])),
    }),
  ),
  { name: '"." as a file', play: listing(manifest({ dir: 0 }, [], {}, { name: ".", mode: 0o100644 })), verb: MIRROR },
  {
    name: "S21 S22 a link retyped as a directory with content",
    play: listing(
      root([{ name: "out", mode: LINK, link: "../outside" }]),
      manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "evil" }]),
    ),
  },
  {
    name: "a file retyped as a directory with content",
    play: listing(root([{ name: "f", size: 4 }]), manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "evil" }])),
    mayMake: ["f"],
  },
  { name: "two roots", play: listing(root([]), manifest({ dir: 1 }, [{ name: "evil" }])) },
  {
    name: "another entry than the one that was asked for",
    source: "wanted",
    play: instead("wanted", [root([{ name: "mine", size: 4 }], { owned: false })]),
  },
  {
    name: "another argument than the one that was asked for",
    source: "wanted",
    play: instead("mine", [root([{ name: "mine", size: 4 }], { owned: false })]),
  },
  {
    name: "more entries than were asked for",
    source: "wanted",
    play: instead("wanted", [
      root(
        [
          { name: "mine", size: 4 },
          { name: "wanted", size: 4 },
        ],
        { owned: false },
      ),
    ]),
  },
  {
    name: "the contents of a directory instead of an entry",
    source: "wanted",
    play: listing(root([{ name: "evil", size: 4 }])),
    verb: MIRROR,
  },
  {
    name: "an entry that owns the whole target",
    source: "wanted/",
    play: instead("wanted", [root([{ name: "wanted", size: 4 }], { owned: true })]),
    verb: MIRROR,
  },
  {
    name: "a single entry whose listing owns the target",
    source: "wanted",
    play: instead("wanted", [root([{ name: "wanted", size: 4 }], { owned: true })]),
    verb: MIRROR,
  },
  {
    name: "a directory where a file was announced",
    source: "wanted",
    play: instead("wanted", [
      root([{ name: "wanted", mode: DIRECTORY }], { owned: false }),
      manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "evil", size: 4 }]),
    ]),
  },
  {
    name: "more arguments than were asked for",
    source: "wanted",
    play: async (session) => {
      const arguments_ = ["wanted", "mine"].map((name) => ({ entry: Buffer.from(name), isDirectory: false }));
      await session.accept({ sourceFacts: sourceFacts({ arguments: arguments_ }) });
      session.say(
        { case: "manifest", value: root([{ name: "mine", size: 4 }, { name: "wanted" }], { owned: false }) },
        whole,
      );
      await finish(session);
    },
  },
  {
    name: "content for a need that was never said",
    play: async (session) => {
      await session.accept();
      session.say({
        case: "payload",
        value: { data: shard(77, [{ name: "evil", content: Buffer.from("x"), mode: 0o100644, mtime: 1 }]) },
      });
      session.say({ case: "manifest", value: root([]) }, whole);
      await session.until("finished");
      session.say({ case: "payload", value: { data: bye(), end: true } });
    },
    code: -1,
  },
  {
    name: "S21 S22 a member of an archive that climbs",
    play: async (session) => {
      await session.accept();
      session.say({ case: "manifest", value: root([{ name: "f", size: 4 }]) }, whole);
      const { need } = await session.until("need");
      const content = Buffer.from("evil");
      const rec = record({ item: 0, size: 4n, mode: 0o100644 });
      const tar = archive([{ name: "../outside/secret", content, mode: 0o100644, mtime: 1 }]);
      session.say({
        case: "payload",
        value: { data: frame({ type: SHARD, need, item: 1 }, Buffer.concat([rec, tar])) },
      });
      await session.until("stop").catch(() => {});
    },
  },
  {
    name: "S21 S22 a record that is a link to the outside",
    play: async (session) => {
      await session.accept();
      session.say({ case: "manifest", value: root([{ name: "f", size: 4 }]) }, whole);
      const { need } = await session.until("need");
      const rec = record({ item: 0, size: 4n, mode: LINK, flags: 1 });
      session.say({ case: "payload", value: { data: frame({ type: SHARD, need, item: 1 }, rec) } });
      await session.until("stop").catch(() => {});
    },
  },
  { name: "an accept without an id", play: async (s) => void (await s.accept({ sessionId: Buffer.alloc(3) })) },
  { name: "B75 another protocol", play: async (s) => void (await s.accept({ protocol: 2 })) },
  {
    name: "S24 tokens of a wrong length",
    play: async (s) => void (await s.accept({ dataPort: 9, tokens: [Buffer.alloc(99)] })),
  },
  {
    name: "S24 a data port beyond 65,535",
    play: async (s) => void (await s.accept({ dataPort: 70_000, tokens: [Buffer.alloc(32)] })),
  },
  {
    name: "S24 S27 100,000 tokens",
    play: async (s) =>
      void (await s.accept({ dataPort: 9, tokens: Array.from({ length: 100_000 }, () => Buffer.alloc(32)) })),
  },
  { name: "no facts", play: async (s) => void (await s.accept({ sourceFacts: undefined as never })) },
  {
    name: "S23 a manifest before the accept",
    play: async (session) => {
      await session.greet();
      session.say({ case: "manifest", value: root([]) });
    },
  },
  {
    name: "S23 an accept before hello",
    play: async (s) => void s.say({ case: "accept", value: { sessionId: Buffer.alloc(16), protocol: 1 } }),
  },
  {
    name: "B75 a version of the future",
    play: async (s) => void s.say({ case: "hello", value: { protocolMin: 9, protocolMax: 9 } }),
  },
  {
    name: "a refusal that calls itself success",
    play: refuses(0, "ok", "fine"),
  },
  {
    name: "a refusal with an exit code beyond all",
    play: refuses(4_000_000_000, "\x1b[2J", "a\nb"),
  },
  {
    name: "a summary of a source",
    play: sends({ case: "summary", value: { exitCode: 0 } }),
  },
  {
    name: "events of a source",
    play: sends({ case: "deletions", value: { paths: [Buffer.from("/etc")] } }),
  },
  { name: "S23 a second accept", play: sends({ case: "accept", value: {} }) },
  {
    name: "a need of a source",
    play: sends({ case: "need", value: { need: 1, rows: [0], purpose: 1 } }),
  },
  {
    name: "closed before everything is asked for",
    play: sends({ case: "closed", value: { sourcesRemoved: 1n << 62n } }),
  },
  {
    name: "B63 the end in the middle",
    play: async (session) => {
      await session.accept();
      session.say({ case: "manifest", value: root([{ name: "f", size: 4 }]) });
      session.end();
    },
    code: 12,
  },
  {
    name: "bytes that are no message",
    play: async (session) => {
      await session.accept();
      session.sayBytes(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3]));
    },
  },
  {
    name: "S24 S27 a message of 40 MiB",
    play: async (session) => {
      await session.accept();
      session.sayBytes(Buffer.alloc(40 << 20));
    },
  },
  { name: "B63 the end at once", play: async (s) => s.end(), code: 5 },
  {
    name: "B63 S26 silence",
    play: async (session) => {
      await session.accept({ idleTimeoutMs: 500 });
      session.say({ case: "manifest", value: root([]) });
    },
    code: 30,
  },
];

describe("S21 a pull from a daemon that sends", () => {
  for (const { name, play, verb, source, code, mayMake } of attacks)
    test.concurrent(name, async () => {
      const directory = place();
      const before = listAll(directory);
      await using daemon = await fakeDaemon(play);
      const from = `fastsync://127.0.0.1:${daemon.port}/m/${source ?? "dir/"}`;
      using _turn = await turns.take();
      const ended = await runCli([...(verb ?? ["copy", "--force-grpc"]), from, join(directory, "out/")]);
      const after = listAll(directory);
      for (const path of mayMake ?? []) delete after[`out/${path}`];
      expect(after).toEqual(before);
      if (code !== -1) expect([ended.code, ended.err]).toEqual([code ?? 2, expect.any(String)]);
      expect(ended.err).not.toContain("internal error");
    });
});

test("S22 a directory cannot be planted behind a link of the same run", async () => {
  const directory = place();
  // A link first, then, under the same name, a directory whose content would go through it.
  await using daemon = await fakeDaemon(async (session) => {
    await session.accept();
    session.say({ case: "manifest", value: root([{ name: "link", mode: DIRECTORY }]) });
    session.say({ case: "manifest", value: manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "secret", size: 4 }]) });
    session.say(whole);
    await finish(session);
  });
  await runCli(["copy", "--force-grpc", `fastsync://127.0.0.1:${daemon.port}/m/dir/`, join(directory, "out/")]);
  expect(readFileSync(join(directory, "outside/secret"), "latin1")).toBe("secret");
  expect(readdirSync(join(directory, "outside"))).toEqual(["secret"]);
});
