/** Frames that a source must not send, in the control plane and on a data stream. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, fileOf, watched } from "./peer/daemon.ts";
import { archive, bye, DATA, END, FILE, frame, record, SHARD, shard } from "./peer/frames.ts";
import { manifest } from "./peer/listing.ts";
import { into, PROTOCOL, pushing, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const MTIME = 1_700_000_000;
const A = { name: "a", content: Buffer.from("aaaa"), mode: 0o100644, mtime: MTIME };
const B = { name: "b", content: Buffer.from("bbbb"), mode: 0o100644, mtime: MTIME };
/** Small files a and b: rows, and items, 0 and 1 of the one need. */
const listing = manifest({ dir: 0 }, [
  { name: "a", size: 4 },
  { name: "b", size: 4 },
]);

const recordOf = (item: number, more = {}): Buffer =>
  record({ item, size: 4n, mtimeSec: BigInt(MTIME), mode: 0o100644, ...more });
const one = (need: number, rec: Buffer, files: Parameters<typeof archive>[0] = [A]): Buffer =>
  frame({ type: SHARD, need, item: 1 }, Buffer.concat([rec, archive(files)]));
const file = (need: number, ...rest: Buffer[]): Buffer[] => [frame({ type: FILE, need }, recordOf(0)), ...rest];
const data = (need: number, offset: bigint, content: Uint8Array): Buffer =>
  frame({ type: DATA, need, offset }, content);
const corrupted = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 0x41;
  return copy;
};

const cases: [string, (need: number) => Buffer[]][] = [
  ["bad magic", (need) => [frame({ type: SHARD, need, magic: 0x32445346 })]],
  ["a bad checksum", (need) => [corrupted(shard(need, [A, B]), 28)]],
  ["a flipped bit in the need", (need) => [corrupted(shard(need, [A, B]), 8)]],
  ["an unknown type", (need) => [frame({ type: 6, need })]],
  ["type 0", (need) => [frame({ type: 0, need })]],
  ["unknown flags", (need) => [frame({ type: DATA, need, flags: 1 })]],
  ["reserved bytes", (need) => [frame({ type: DATA, need, reserved: 1 })]],
  ["a shard of 5 MiB", (need) => [frame({ type: SHARD, need, item: 1, length: 5 << 20 })]],
  ["a shard of 4 GiB", (need) => [frame({ type: SHARD, need, item: 1, length: 0xffffffff })]],
  ["DATA of 9 MiB", (need) => [...file(need), frame({ type: DATA, need, length: 9 << 20 })]],
  ["a FILE of 4 GiB", (need) => [frame({ type: FILE, need, length: 0xffffffff })]],
  ["a FILE without a record", (need) => [frame({ type: FILE, need })]],
  ["an END of 81 bytes", (need) => [...file(need), frame({ type: END, need }, Buffer.alloc(81))]],
  ["a BYE with a payload", () => [frame({ type: 5 }, Buffer.from("x"))]],
  ["a shard without records", (need) => [frame({ type: SHARD, need, item: 0 }, recordOf(0))]],
  ["more records than bytes", (need) => [frame({ type: SHARD, need, item: 2 }, recordOf(0))]],
  ["4 billion records", (need) => [frame({ type: SHARD, need, item: 0xffffffff }, recordOf(0))]],
  ["an item out of range", (need) => [one(need, recordOf(2))]],
  ["item 4 billion", (need) => [one(need, recordOf(0xffffffff))]],
  ["an item twice", (need) => [one(need, recordOf(0)), one(need, recordOf(0))]],
  [
    "an item twice in a shard",
    (need) => [frame({ type: SHARD, need, item: 2 }, Buffer.concat([recordOf(0), recordOf(0), archive([A, A])]))],
  ],
  ["a positive status", (need) => [one(need, recordOf(0, { status: 5, stage: 1 }), [])]],
  ["a status that is no errno", (need) => [one(need, recordOf(0, { status: -5000, stage: 1 }), [])]],
  ["a failure without a stage", (need) => [one(need, recordOf(0, { status: -5 }), [])]],
  ["a stage without a failure", (need) => [one(need, recordOf(0, { stage: 1 }))]],
  ["unknown flags of a record", (need) => [one(need, recordOf(0, { flags: 32 }))]],
  ["a size beyond 2^53", (need) => [one(need, recordOf(0, { size: 1n << 53n }))]],
  ["a size beyond 2^63", (need) => [one(need, recordOf(0, { size: (1n << 64n) - 1n }))]],
  ["10^9 ns", (need) => [one(need, recordOf(0, { mtimeNsec: 1e9 }))]],
  ["a time beyond 2^53", (need) => [one(need, recordOf(0, { mtimeSec: (1n << 63n) - 1n }))]],
  ["attributes of 4 GiB", (need) => [one(need, recordOf(0, { attributeBytes: 0xffffffff }))]],
  ["attributes that are not there", (need) => [one(need, recordOf(0, { attributeBytes: 8 }), [])]],
  ["an attribute error without its flag", (need) => [one(need, recordOf(0, { attributeErrno: 5 }))]],
  [
    "an archive cut off",
    (need) => [frame({ type: SHARD, need, item: 1 }, Buffer.concat([recordOf(0), archive([A]).subarray(0, 600)]))],
  ],
  ["no archive", (need) => [one(need, recordOf(0), [])]],
  ["a member too many", (need) => [one(need, recordOf(0), [A, B])]],
  ["a member of another name", (need) => [one(need, recordOf(0), [B])]],
  ["a member that climbs", (need) => [one(need, recordOf(0), [{ ...A, name: "../a" }])]],
  ["a member with an absolute name", (need) => [one(need, recordOf(0), [{ ...A, name: "/tmp/a" }])]],
  ["a member of another size than its record", (need) => [one(need, recordOf(0, { size: 5n }))]],
  ["a member larger than the archive", (need) => [one(need, recordOf(0), [{ ...A, size: 0o77777777 }])]],
  ["a member with a broken sum", (need) => [corrupted(one(need, recordOf(0)), 32 + 80 + 148)]],
  ["need 0", () => [shard(0, [A])]],
  ["DATA without FILE", (need) => [data(need, 0n, A.content)]],
  ["END without FILE", (need) => [frame({ type: END, need }, recordOf(0))]],
  ["FILE in a FILE", (need) => file(need, ...file(need))],
  ["a shard in a FILE", (need) => file(need, shard(need, [A, B]))],
  ["a BYE in a FILE", (need) => file(need, bye())],
  ["DATA of another item", (need) => file(need, frame({ type: DATA, need, item: 1 }, A.content))],
  ["an END of another item", (need) => file(need, frame({ type: END, need, item: 1 }, recordOf(1)))],
  ["DATA that goes back", (need) => file(need, data(need, 4n, A.content), data(need, 0n, A.content))],
  ["DATA that overlaps", (need) => file(need, data(need, 0n, A.content), data(need, 3n, A.content))],
  ["DATA at 2^63", (need) => file(need, data(need, 1n << 63n, A.content))],
  ["DATA at 2^53", (need) => file(need, data(need, (1n << 53n) - 2n, A.content))],
  [
    "DATA beyond the size at END",
    (need) => file(need, data(need, 100n, A.content), frame({ type: END, need }, recordOf(0, { bytes: 4n }))),
  ],
  [
    "an END with a wrong count of bytes",
    (need) => file(need, data(need, 0n, A.content), frame({ type: END, need }, recordOf(0, { bytes: 5n }))),
  ],
  ["a record that is a directory", (need) => [one(need, recordOf(0, { flags: 1, mode: 0o040755 }))]],
  ["a record that is a link", (need) => [one(need, recordOf(0, { flags: 1, mode: 0o120777 }))]],
  ["a mode beyond its bits", (need) => [one(need, recordOf(0, { flags: 1, mode: 0xffffffff }))]],
  ["HTTP", () => [Buffer.from("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")]],
  ["noise", () => [Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 131) & 255))]],
];

/** A push that was asked for a and b. */
async function asked(caller: Caller): Promise<number> {
  caller.say({ case: "manifest", value: listing }, { case: "scanned", value: { complete: true, entries: 2n } });
  const { need, rows } = await caller.until("need");
  expect(rows).toEqual([0, 1]);
  return need;
}

/** Only these two names, whatever was sent; and no temporary file. As far as the files can be seen. */
function expectClean(path: string): void {
  if (daemon.directory === undefined) return;
  for (const name of readdirSync(fileOf(daemon, path))) expect(["a", "b"]).toContain(name);
}

describe("S23 S24 in the control plane", () => {
  cases.forEach(([name, make], i) => {
    test.concurrent(name, async () => {
      const caller = await pushing(daemon, `frames-${i}/`);
      const need = await asked(caller);
      caller.say({ case: "payload", value: { data: Buffer.concat(make(need)) } });
      await refusedAs(caller, daemon, PROTOCOL);
      expectClean(`frames-${i}`);
    });
  });
  test.concurrent("a message of 2 MiB", async () => {
    const caller = await pushing(daemon, "frames-long/");
    caller.say({ case: "payload", value: { data: Buffer.alloc(2 << 20) } });
    await refusedAs(caller, daemon, PROTOCOL);
  });
  test.concurrent("content after its end", async () => {
    const caller = await pushing(daemon, "frames-end/");
    await asked(caller);
    caller.say({ case: "payload", value: { end: true } }, { case: "payload", value: { data: Buffer.alloc(32) } });
    await refusedAs(caller, daemon, PROTOCOL);
  });
});

describe("S23 S24 on a data stream", () => {
  cases.forEach(([name, make], i) => {
    // The bytes are read by the same code: some of each sort.
    if (i % 3 !== 0) return;
    test.concurrent(name, async () => {
      const path = `stream-${i}`;
      const caller = new Caller(daemon);
      await caller.open(into(daemon, `${path}/`));
      const socket = await caller.dial(0);
      caller.say({ case: "carrier", value: { inStream: false } });
      const need = await asked(caller);
      // In pieces, as a network may deliver it.
      const bytes = Buffer.concat(make(need));
      for (let at = 0; at < bytes.length; at += 1000) socket.write(bytes.subarray(at, at + 1000));
      await refusedAs(caller, daemon, PROTOCOL);
      expectClean(path);
    });
  });
});

watched("nobody crashed, and nothing is outside", () => {
  expect(daemon.process!.isAlive).toBe(true);
  expect(daemon.process!.stderr).not.toContain("internal error");
  expect(readdirSync(daemon.process!.directory).sort()).toEqual(["config.toml", "outside", "ro", "rw"]);
});
