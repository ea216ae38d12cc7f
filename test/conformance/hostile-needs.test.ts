/** A target that asks for what it must not, answers what it was not told, or says things twice. */
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { NeedPurpose, type NeedSchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import type { Body, Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, fileOf, watched, withFiles } from "./peer/daemon.ts";
import { options } from "./peer/opening.ts";
import { healthy, outOf, PROTOCOL, pulling, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  if (daemon.directory === undefined) return;
  const at = (name: string) => fileOf(daemon, `src/${name}`);
  mkdirSync(at("d"), { recursive: true });
  for (const name of ["a", "b", "d/c"]) writeFileSync(at(name), name.repeat(100));
});
afterAll(() => daemon[Symbol.asyncDispose]());

/** Directory 0 holds a, b and d (rows 0 to 2); directory 1 is d. */
const need = (value: Exclude<MessageInitShape<typeof NeedSchema>, { $typeName: string }>): Body => ({
  case: "need",
  value: { need: 1, dir: 0, rows: [0], purpose: NeedPurpose.CONTENT, ...value },
});
const range = (value: Parameters<typeof need>[0]): Body =>
  need({ purpose: NeedPurpose.RANGE, offset: 0n, length: 100n, ...value });
const settled = (...dirs: number[]): Body => ({ case: "settled", value: { dirs } });
const released = (...dirs: number[]): Body => ({ case: "released", value: { dirs } });

const cases: [string, Body[], number?][] = [
  ["a need for a row out of range", [need({ rows: [4] })]],
  ["a need for row 4 billion", [need({ rows: [0xffffffff] })]],
  ["a need for a directory that was never offered", [need({ dir: 9 })]],
  ["a need for directory 4 billion", [need({ dir: 0xffffffff })]],
  ["a need for a directory that is settled", [settled(0), need({})]],
  ["a need for a directory that is released", [released(1), need({ dir: 1 })]],
  ["need 0", [need({ need: 0 })]],
  ["a need twice", [need({}), need({})]],
  ["a need without rows", [need({ rows: [] })]],
  ["rows out of order", [need({ rows: [1, 0] })]],
  ["a row twice", [need({ rows: [1, 1] })]],
  ["more rows than a need may have", [need({ rows: Array.from({ length: 16_385 }, (_, i) => i) })]],
  ["a need without a purpose", [need({ purpose: NeedPurpose.UNSPECIFIED })]],
  ["a need with an unknown purpose", [need({ purpose: 9 as NeedPurpose })]],
  ["a range of nothing", [range({ length: 0n })]],
  ["a range of 65 MiB", [range({ length: BigInt(65 << 20) })]],
  ["a range beyond 2^53", [range({ offset: (1n << 53n) - 1n })]],
  ["a range beyond 2^63", [range({ offset: (1n << 64n) - 1n, length: (1n << 64n) - 1n })]],
  ["a range of two rows", [range({ rows: [0, 1] })]],
  ["blocks of 1 byte", [range({ blockBytes: 1, blockDigests: Buffer.alloc(1600) })]],
  ["blocks of 4 GiB", [range({ blockBytes: 0xffffffff, blockDigests: Buffer.alloc(16) })]],
  ["digests without blocks", [range({ blockDigests: Buffer.alloc(16) })]],
  ["digests of a wrong length", [range({ blockBytes: 65_536, blockDigests: Buffer.alloc(15) })]],
  ["a commit of two rows", [need({ rows: [0, 1], purpose: NeedPurpose.COMMIT })]],
  ["settled for a directory that was never offered", [settled(7)]],
  ["settled twice", [settled(0), settled(0)]],
  ["settled twice at once", [settled(0, 0)]],
  ["released for a directory that was never offered", [released(7)]],
  ["released twice", [released(1, 1)]],
  [
    "again while directories are offered",
    [
      { case: "again", value: {} },
      { case: "again", value: {} },
      { case: "again", value: {} },
    ],
  ],
  ["receipts of a copy", [{ case: "receipts", value: { dir: 0, rows: [0] } }]],
  ["a listing from a target", [{ case: "manifest", value: {} }]],
  ["digests from a target", [{ case: "digests", value: {} }]],
  ["content from a target", [{ case: "payload", value: { data: Buffer.alloc(32) } }]],
  ["credit for what was never sent", [{ case: "payloadCredit", value: { bytes: 0xffffffff } }]],
  ["receipts of rows that are none", [{ case: "receipts", value: { dir: 0, rows: [9] } }], 3],
  ["receipts of row 4 billion", [{ case: "receipts", value: { dir: 0, rows: [0xffffffff] } }], 3],
  ["receipts of a directory that is none", [{ case: "receipts", value: { dir: 9, rows: [0] } }], 3],
  ["receipts of more rows than there are", [{ case: "receipts", value: { dir: 0, rows: Array(100).fill(1) } }], 3],
];

/** A pull whose two directories were offered. */
async function offered(verb = 1): Promise<Caller> {
  const { caller } = await pulling(daemon, outOf(daemon, "src/", { options: options({ verb }) }));
  await caller.until("scanned");
  return caller;
}

describe("S23 S24 a target that sends", () => {
  for (const [name, bodies, verb] of cases)
    withFiles.concurrent(name, async () => {
      const caller = await offered(verb === 3 ? 3 : 1);
      caller.say(...bodies);
      await refusedAs(caller, daemon, PROTOCOL);
    });
});

withFiles("100,000 needs at a time are too many", async () => {
  const caller = await offered();
  for (let from = 1; from <= 100_000; from += 4000)
    caller.say(...Array.from({ length: 4000 }, (_, i) => range({ need: from + i })));
  // Who still talks when it is told may miss it.
  const { refusal } = await caller.ended();
  expect(refusal?.reason ?? "protocol").toBe("protocol");
  await healthy(daemon);
});

withFiles("the source is as it was", async () => {
  expect(await Bun.file(fileOf(daemon, "src/a")).text()).toBe("a".repeat(100));
});
watched("nobody crashed", () => {
  expect(daemon.process!.isAlive).toBe(true);
  expect(daemon.process!.stderr).not.toContain("internal error");
});
