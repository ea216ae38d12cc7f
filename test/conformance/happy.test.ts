/** What a well-behaved peer experiences, as golden transcripts: a protocol change shows here first. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Caller, type OpenFields, readExactly } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, fileOf, withFiles } from "./peer/daemon.ts";
import { bye, frame, parseFrames, record, SHARD, shard } from "./peer/frames.ts";
import { DIRECTORY, LINK, manifest, type Row } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { into, outOf } from "./peer/sessions.ts";
import { expectGolden, Transcript } from "./peer/transcript.ts";

let daemon: Daemon;
const MTIME = 1_700_000_000;
const at = (path: string): string => fileOf(daemon, path);
beforeAll(async () => {
  daemon = await daemonUnderTest();
  if (daemon.directory === undefined) return;
  for (const name of ["src", "m"]) {
    mkdirSync(at(name));
    writeFileSync(at(`${name}/a`), "alpha\n", { mode: 0o644 });
    writeFileSync(at(`${name}/b`), "beta\n", { mode: 0o600 });
    for (const path of [`${name}/a`, `${name}/b`, name]) utimesSync(at(path), MTIME, MTIME);
  }
});
afterAll(() => daemon[Symbol.asyncDispose]());

const tree: Row[] = [
  { name: "a", size: 6 },
  { name: "d", mode: DIRECTORY },
  { name: "l", mode: LINK, link: "a" },
];
const whole = { case: "scanned", value: { complete: true, entries: 3n } } as const;

function recorded(): { caller: Caller; transcript: Transcript } {
  const caller = new Caller(daemon);
  const transcript = new Transcript();
  caller.record = transcript.onRequest;
  return { caller, transcript };
}

/** Plays a source until "finished". */
async function push(caller: Caller, open: OpenFields): Promise<void> {
  await caller.open(open);
  caller.say(
    { case: "carrier", value: { inStream: true } },
    { case: "manifest", value: manifest({ dir: 0 }, tree) },
    { case: "manifest", value: manifest({ dir: 1, parent: 0, row: 1 }, []) },
    whole,
  );
  for (;;) {
    const body = await caller.next();
    if (body.case === "finished") break;
    if (body.case === "confirm") caller.say({ case: "confirmed", value: { answer: "accepted" } });
    if (body.case !== "need") continue;
    const { need, rows } = body.value;
    const content = Buffer.from("alpha\n");
    const file = record({ item: 0, size: 6n, mtimeSec: BigInt(MTIME), mode: 0o100644 });
    const link = record({ item: rows.length - 1, mtimeSec: BigInt(MTIME), mode: LINK });
    const archived = shard(need, [{ name: "a", content, mode: 0o100644, mtime: MTIME }]).subarray(32 + 80);
    const parts = rows.map((row) => (row === 0 ? file : link));
    const data = frame(
      { type: SHARD, need, item: rows.length },
      Buffer.concat([...parts, ...(rows.includes(0) ? [archived] : [])]),
    );
    caller.say({ case: "payload", value: { data } });
  }
  caller.say({ case: "payload", value: { data: bye(), end: true } }, { case: "closed", value: {} });
}

test("a push of a small tree, then nothing to do", async () => {
  for (const name of ["push", "nothing-to-do"]) {
    const { caller, transcript } = recorded();
    await push(caller, into(daemon, "golden/", { wantsItems: true, wantsReasons: true }));
    const { summary, status } = await caller.ended();
    expect([status.code, summary?.exitReason]).toEqual([0, "ok"]);
    expectGolden(`${name}.txt`, transcript.text(caller.heard, daemon));
    caller.close();
  }
  if (daemon.directory !== undefined) expect(readFileSync(at("golden/a"), "latin1")).toBe("alpha\n");
});

withFiles("a mirror asks before it deletes", async () => {
  for (let i = 0; i < 150; i++) writeFileSync(at(`golden/extra${String(i).padStart(3, "0")}`), "");
  const { caller, transcript } = recorded();
  const { wantsItems, ...open } = into(daemon, "golden/", {
    options: options({ verb: 2, delete: { enabled: true, limit: { case: "count", value: 1000n } } }),
  });
  expect(wantsItems).toBeUndefined();
  await push(caller, open);
  expect((await caller.ended()).summary?.exitReason).toBe("ok");
  expectGolden("mirror.txt", transcript.text(caller.heard, daemon));
  caller.close();
});

/** Plays a target that wants every row of directory 0 below `rows`, with or without receipts. */
async function pull(caller: Caller, open: OpenFields, isMove: boolean): Promise<void> {
  await caller.open(open);
  caller.say({ case: "carrier", value: { inStream: true } });
  await caller.until("scanned");
  caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0, 1], purpose: 1 } });
  await caller.until("payload");
  caller.say({ case: "settled", value: { dirs: [0] } });
  if (isMove) caller.say({ case: "receipts", value: { dir: 0, rows: [0, 1] } });
  caller.say({ case: "released", value: { dirs: [0] } }, { case: "finished", value: {} });
  while (!(await caller.until("payload")).end);
  caller.end();
  await caller.ended();
}

withFiles("a pull", async () => {
  const { caller, transcript } = recorded();
  await pull(caller, outOf(daemon, "src/"), false);
  expectGolden("pull.txt", transcript.text(caller.heard, daemon));
  caller.close();
});

withFiles("a move, whose sources go with their receipts", async () => {
  const { caller, transcript } = recorded();
  await pull(caller, outOf(daemon, "m/", { options: options({ verb: 3 }) }), true);
  expectGolden("move.txt", transcript.text(caller.heard, daemon));
  caller.close();
  expect(() => readFileSync(at("m/a"))).toThrow();
});

withFiles("frames of a data stream, byte by byte; GNU tar lists the archive in them", async () => {
  using caller = new Caller(daemon);
  await caller.open(
    outOf(daemon, "src/", { options: options({ preserve: { owner: false, group: false, numericIds: true } }) }),
  );
  const socket = await caller.dial(0);
  caller.say({ case: "carrier", value: { inStream: false } });
  await caller.until("scanned");
  caller.say({ case: "need", value: { need: 1, dir: 0, rows: [0, 1], purpose: 1 } });
  const header = (await readExactly(socket, 32))!;
  const payload = (await readExactly(socket, header.readUInt32LE(24)))!;
  caller.say(
    { case: "settled", value: { dirs: [0] } },
    { case: "released", value: { dirs: [0] } },
    { case: "finished", value: {} },
  );
  await caller.until("closed");
  const goodbye = (await readExactly(socket, 32))!;
  const { frames } = parseFrames(Buffer.concat([header, payload, goodbye]));
  expect(frames.map(({ type }) => type)).toEqual([1, 5]);
  const records = [0, 1].map((i) => Buffer.from(payload.subarray(i * 80, i * 80 + 80)));
  // Whoever runs the test owns the files.
  for (const bytes of records) bytes.fill(0, 40, 48);
  const dump = (what: string, bytes: Buffer): string =>
    `# ${what}\n${bytes
      .toString("hex")
      .replace(/(.{32})/g, "$1\n")
      .trim()}\n`;
  expectGolden(
    "shard.hex",
    [
      dump("header: SHARD, need 1, 2 records", header),
      dump("record of item 0: a, 6 bytes (owner and group zeroed)", records[0]!),
      dump("record of item 1: b, 5 bytes (owner and group zeroed)", records[1]!),
      dump("header: BYE", goodbye),
    ].join("\n"),
  );
  const file = join(mkdtempSync(join(tmpdir(), "fastsync-tar-")), "shard.tar");
  writeFileSync(file, payload.subarray(160));
  const listed = Bun.spawnSync(["tar", "--utc", "--full-time", "-tvf", file]).stdout.toString();
  const extracted = Bun.spawnSync(["tar", "-xOf", file]).stdout.toString();
  rmSync(file);
  expect(listed.split("\n").map((line) => line.replace(/ \S+\/\S+ +/, " "))).toEqual([
    "-rw-r--r-- 6 2023-11-14 22:13:20 a",
    "-rw------- 5 2023-11-14 22:13:20 b",
    "",
  ]);
  expect(extracted).toBe("alpha\nbeta\n");
});
