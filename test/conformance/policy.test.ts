/** What a module admits, by whatever field and spelling it is asked. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
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
import { join, relative } from "node:path";
import { type Body, Caller, type OpenFields, pullFrom, pushTo } from "./peer/caller.ts";
import { configured, type Daemon, daemonUnderTest, fileOf, watched, withFiles } from "./peer/daemon.ts";
import { bye, frame, record, SHARD, shard } from "./peer/frames.ts";
import { manifest, type Row, rowsOf } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { into, outOf, type Refused, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
/** In the writable module. */
const at = (path: string): string => fileOf(daemon, path);
/** Where links lead to that lead out of the module. */
let outside = "";
beforeAll(async () => {
  daemon = await daemonUnderTest({
    modules: `
[[module]]
name = "drop"
path = "DIR/drop"
read_only = false
write_only = true
[[module]]
name = "hidden"
path = "DIR/ro"
list = false
[[module]]
name = "denied"
path = "DIR/ro"
deny = ["127.0.0.0/8"]
[[module]]
name = "others"
path = "DIR/ro"
allow = ["192.0.2.0/24"]
[[module]]
name = "nobody"
path = "DIR/ro"
allow = []
[[module]]
name = "missing"
path = "DIR/not-there"
`,
  });
  if (daemon.process !== undefined) {
    mkdirSync(daemon.process.path("drop"));
    writeFileSync(daemon.process.path("drop/there"), "there");
  }
  outside = mkdtempSync(join(tmpdir(), "fastsync-outside-"));
  writeFileSync(join(outside, "secret"), "secret\n");
  if (daemon.directory === undefined) return;
  for (const name of ["odd", "odd/in", "odd/real"]) mkdirSync(at(name));
  writeFileSync(at("odd/real/inner"), "inner");
  symlinkSync(relative(at("odd"), outside), at("odd/out"));
  symlinkSync(outside, at("odd/absolute"));
  symlinkSync("real", at("odd/sibling"));
  symlinkSync(relative(at("odd/in"), join(outside, "secret")), at("odd/in/secret"));
  symlinkSync("/etc/passwd", at("odd/passwd"));
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  rmSync(outside, { recursive: true, force: true });
});

const hello: Body = { case: "hello", value: { protocolMin: 1, protocolMax: 1 } };
const ask = (value: OpenFields): Caller => new Caller(daemon).say(hello, { case: "open", value });
const selecting = (reason: string): Refused => ({ reason, exitCode: 3 });

describe("B64 B67 a module", () => {
  const refused: [string, () => OpenFields, string][] = [
    ["B64 that is write-only lists nothing", () => pullFrom("drop"), "write_only_module"],
    [
      "B64 that is write-only checks nothing",
      () => pushTo("drop", "", { options: options({ verb: 4 }) }),
      "write_only_module",
    ],
    [
      "B64 that is write-only compares nothing in a dry run",
      () => pushTo("drop", "", { options: options({ dryRun: true }) }),
      "write_only_module",
    ],
    ["B67 that denies this address is not there", () => pullFrom("denied"), "no_such_module"],
    ["B67 that allows others is not there", () => pullFrom("others"), "no_such_module"],
    ["B67 that allows nobody is not there", () => pullFrom("nobody"), "no_such_module"],
    ["B71 whose path is missing says so", () => pullFrom("missing"), "module_unavailable"],
    ["B64 S18 that is read-only takes no copy", () => pushTo(daemon.modules.read), "read_only_module"],
    [
      "B64 S18 that is read-only takes no mirror",
      () => pushTo(daemon.modules.read, "", { options: options({ verb: 2 }) }),
      "read_only_module",
    ],
    [
      "B64 S18 that is read-only takes no move",
      () => pushTo(daemon.modules.read, "", { options: options({ verb: 3 }) }),
      "read_only_module",
    ],
  ];
  for (const [name, open, reason] of refused)
    (reason === "read_only_module" ? test : configured).concurrent(
      name,
      async () => void (await refusedAs(ask(open()), daemon, selecting(reason))),
    );

  configured("B64 that hides its name is served under it", async () => {
    using caller = new Caller(daemon);
    expect((await caller.open(pullFrom("hidden"))).protocol).toBe(1);
  });
  configured("B67 that is denied says nothing of what it is", async () => {
    const message = await refusedAs(ask(pullFrom("denied")), daemon, selecting("no_such_module"));
    const other = await refusedAs(ask(pullFrom("unknown")), daemon, selecting("no_such_module"));
    expect(message.replace("denied", "X")).toBe(other.replace("unknown", "X"));
  });
});

const long = "x/".repeat(2100);
const elsewhere: string[] = [
  "..",
  "../outside",
  "a/..",
  "real/../../outside",
  "/etc",
  "//etc",
  "/",
  "x\0y",
  long,
  `${"y".repeat(300)}/z`,
  "./../outside",
  "real/.//../..",
];

describe("S11 a path that leads elsewhere is refused", () => {
  for (const path of elsewhere) {
    const shown = JSON.stringify(path.slice(0, 24));
    test.concurrent(`as a source: ${shown}`, async () =>
      void (await refusedAs(ask(pullFrom(daemon.modules.write, path)), daemon, selecting("source_unusable"))));
    test.concurrent(`as a target: ${shown}`, async () =>
      void (await refusedAs(ask(pushTo(daemon.modules.write, path)), daemon, selecting("target_unusable"))));
  }
  const auxiliary: [string, string][] = ["temp_dir", "backup_dir"].flatMap((field) =>
    ["../outside", "/../outside", "out", "absolute", "in/../../outside", "out/deeper"].map((path): [string, string] => [
      field,
      path,
    ]),
  );
  for (const [field, path] of auxiliary)
    withFiles.concurrent(`S14 as ${field}: ${path}`, async () => {
      const write =
        field === "temp_dir"
          ? { tempDir: Buffer.from(path) }
          : { backupSuffix: Buffer.from("~"), backupDir: Buffer.from(path) };
      await refusedAs(ask(into(daemon, "odd/", { options: options({ write }) })), daemon, selecting("target_unusable"));
    });
  withFiles("S11 S14 nothing was made outside", () => {
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(readFileSync(join(outside, "secret"), "latin1")).toBe("secret\n");
  });
});

describe("S11 a path is one path, however it is written", () => {
  for (const path of ["real/", "./real/", "real//", "real/.", "./real/./", "real/././/"])
    withFiles(JSON.stringify(path), async () => {
      using caller = new Caller(daemon);
      await caller.open(outOf(daemon, `odd/${path}`));
      expect(rowsOf(await caller.until("manifest"))[0]!.name).toBe("inner");
    });
  withFiles("backslashes and drives are names", async () => {
    await refusedAs(ask(outOf(daemon, "odd/C:\\x")), daemon, selecting("source_missing"));
  });
});

describe("S12 a link in a module", () => {
  for (const path of ["out/", "out/secret", "absolute/", "absolute/secret", "in/secret/", "sibling/inner"])
    withFiles(`is not followed by a source: ${path}`, async () => {
      await refusedAs(ask(outOf(daemon, `odd/${path}`)), daemon, selecting("source_missing"));
    });
  for (const path of ["out/", "out/new", "absolute/x/y", "sibling/new/"])
    withFiles(`is not followed by a target: ${path}`, async () => {
      await refusedAs(ask(into(daemon, `odd/${path}`)), daemon, selecting("target_unusable"));
    });
  withFiles("is told as a link, with its text", async () => {
    using caller = new Caller(daemon);
    await caller.open(outOf(daemon, "odd/"));
    const listing = await caller.until("manifest");
    const rows = rowsOf(listing);
    for (const name of ["out", "absolute", "passwd", "sibling"])
      expect(rows.find((row) => row.name === name)!.mode & 0o170000).toBe(0o120000);
    expect(Buffer.from(listing.links).toString("latin1")).toContain("/etc/passwd");
  });
  withFiles("gives no content", async () => {
    using caller = new Caller(daemon);
    await caller.open(outOf(daemon, "odd/"));
    caller.say({ case: "carrier", value: { inStream: true } });
    const rows = rowsOf(await caller.until("manifest"));
    const row = rows.findIndex(({ name }) => name === "passwd");
    caller.say({ case: "need", value: { need: 1, dir: 0, rows: [row], purpose: 1 } });
    const { data } = await caller.until("payload");
    expect(Buffer.from(data).toString("latin1")).not.toContain("root:");
  });
  withFiles("is no way out for a directory that a peer sends under its name", async () => {
    const caller = new Caller(daemon);
    await caller.open(into(daemon, "odd/"));
    caller.say(
      { case: "carrier", value: { inStream: true } },
      { case: "manifest", value: manifest({ dir: 0 }, [{ name: "out", mode: 0o040755 }]) },
      {
        case: "manifest",
        value: manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "secret", mode: 0o120777, link: "evil" }]),
      },
      { case: "scanned", value: { complete: true, entries: 2n } },
    );
    const needs = (async () => {
      for (;;) {
        const { need, rows } = await caller.until("need");
        const records = rows.map((_, item) => record({ item, mode: 0o120777 }));
        caller.say({
          case: "payload",
          value: { data: frame({ type: SHARD, need, item: rows.length }, Buffer.concat(records)) },
        });
      }
    })().catch(() => {});
    await caller.ended(5000).catch(() => {});
    caller.close();
    await needs;
    expect(readFileSync(join(outside, "secret"), "latin1")).toBe("secret\n");
    expect(readdirSync(outside)).toEqual(["secret"]);
    rmSync(at("odd/out"), { recursive: true, force: true });
    symlinkSync(relative(at("odd"), outside), at("odd/out"));
  });
});

/** Pushes these rows; what is asked for is answered by bare records, or `content` for files. */
async function upload(path: string, rows: readonly Row[]): Promise<void> {
  using caller = new Caller(daemon);
  await caller.open(into(daemon, path));
  caller.say(
    { case: "carrier", value: { inStream: true } },
    { case: "manifest", value: manifest({ dir: 0 }, rows) },
    { case: "scanned", value: { complete: true, entries: BigInt(rows.length) } },
  );
  for (;;) {
    const body = await caller.next();
    if (body.case === "finished") break;
    if (body.case !== "need") continue;
    const { need, rows: wanted } = body.value;
    for (const [item, row] of wanted.entries()) {
      const { name, mode } = rows[row]!;
      const isFile = (mode! & 0o170000) === 0o100000;
      if (isFile && wanted.length === 1)
        caller.say({
          case: "payload",
          value: {
            data: shard(need, [{ name: String(name), content: Buffer.from("x"), mode: mode!, mtime: 1_700_000_000 }]),
          },
        });
      else
        caller.say({
          case: "payload",
          value: {
            data: frame({ type: SHARD, need, item: 1 }, record({ item, mode: mode!, mtimeSec: 1_700_000_000n })),
          },
        });
    }
  }
  caller.say({ case: "payload", value: { data: bye(), end: true } }, { case: "closed", value: {} });
  await caller.ended();
}

describe("S19 what is uploaded", () => {
  withFiles("loses its setuid and setgid bits", async () => {
    await upload("setid/", [{ name: "s", mode: 0o106755, size: 1 }]);
    expect(lstatSync(at("setid/s")).mode & 0o7777).toBe(0o755);
  });
  withFiles("is no device, FIFO or socket", async () => {
    await upload("special/", [
      { name: "b", mode: 0o060644, rdev: (8 << 20) | 0 },
      { name: "c", mode: 0o020644, rdev: (1 << 20) | 3 },
      { name: "p", mode: 0o010644 },
      { name: "s", mode: 0o140644 },
    ]);
    expect(readdirSync(at("special"))).toEqual([]);
  });
  withFiles("S17 is a link that leads nowhere for the daemon", async () => {
    await upload("links/", [
      { name: "abs", mode: 0o120777, link: "/etc/passwd" },
      { name: "up", mode: 0o120777, link: relative(at("links"), outside) },
    ]);
    expect(readlinkSync(at("links/abs"))).toBe("/etc/passwd");
    await refusedAs(ask(into(daemon, "links/up/new/")), daemon, selecting("target_unusable"));
    await refusedAs(ask(outOf(daemon, "links/up/")), daemon, selecting("source_missing"));
    expect(existsSync(join(outside, "new"))).toBe(false);
  });
});

withFiles("S37 a directory without permissions refuses, and the daemon goes on", async () => {
  mkdirSync(at("closed"));
  chmodSync(at("closed"), 0);
  using caller = new Caller(daemon);
  caller.say(hello, { case: "open", value: outOf(daemon, "closed/") });
  await caller.until("hello");
  chmodSync(at("closed"), 0o755);
});

watched("B64 the log names what was refused, once each", () => {
  const reasons = new Set(daemon.process!.log("refused").map(({ reason }) => reason));
  for (const reason of [
    "write_only_module",
    "read_only_module",
    "no_such_module",
    "module_unavailable",
    "source_unusable",
    "target_unusable",
  ])
    expect(reasons).toContain(reason);
  expect(daemon.process!.stderr).not.toContain("internal error");
});
