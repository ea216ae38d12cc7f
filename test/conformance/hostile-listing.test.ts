/** Listings that a source must not send: each ends its session, and nothing of it becomes a file. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import type { Body } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, fileOf, watched } from "./peer/daemon.ts";
import { DIRECTORY, LINK, type ManifestFields, manifest, REGULAR, type Row } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";
import { PROTOCOL, pushing, refusedAs } from "./peer/sessions.ts";

let daemon: Daemon;
beforeAll(async () => {
  daemon = await daemonUnderTest();
});
afterAll(() => daemon[Symbol.asyncDispose]());

const root = (rows: readonly Row[], more: ManifestFields = {}): ManifestFields => manifest({ dir: 0 }, rows, more);
const cases: [string, () => ManifestFields[]][] = [];
const refuses = (name: string, make: () => ManifestFields[]): void => void cases.push([name, make]);

for (const name of ["", ".", "..", "/", "a/b", "../x", "/etc", "a\0b", "x".repeat(256)])
  refuses(`the name ${JSON.stringify(name.slice(0, 8))}`, () => [root([{ name }])]);
refuses("names out of order", () => [root([{ name: "b" }, { name: "a" }])]);
refuses("a name twice", () => [root([{ name: "a" }, { name: "a" }])]);
refuses("signed order of bytes", () => [root([{ name: "\xff" }, { name: "a" }])]);
refuses("a directory that is not itself", () => [manifest({ dir: 0 }, [], {}, { name: "x", mode: DIRECTORY })]);
refuses("a directory without its own row", () => [manifest({ dir: 0 }, [], {}, { name: "", mode: DIRECTORY })]);
for (const size of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, 1e300])
  refuses(`a size of ${size}`, () => [root([{ name: "a", size }])]);
for (const mtime of [0.5, 2 ** 53, -(2 ** 53), Number.NaN, Number.NEGATIVE_INFINITY])
  refuses(`a time of ${mtime}`, () => [root([{ name: "a", mtime }])]);
for (const nsec of [1e9, 0xffffffff]) refuses(`${nsec} ns`, () => [root([{ name: "a", nsec }])]);
for (const status of [1, 2, 0x7fffffff]) refuses(`a row's status of ${status}`, () => [root([{ name: "a", status }])]);
refuses("a status that is no errno", () => [root([{ name: "a", status: -5000 }])]);
refuses("a listing's status of 5", () => [root([], { status: 5 })]);
for (const mode of [0, 0o644, 0o030644, 0o070000, 0o150000, 0o1100644, 0xffffffff])
  refuses(`the mode ${mode.toString(8)}`, () => [root([{ name: "a", mode }])]);
for (const flags of [32, 64, 128]) refuses(`the flag ${flags}`, () => [root([{ name: "a", flags }])]);
refuses("a link of 5,000 bytes", () => [root([{ name: "a", mode: LINK, link: "x".repeat(5000) }])]);
refuses("a link without a text", () => [root([{ name: "a", mode: LINK }])]);
refuses("a link with a zero byte", () => [root([{ name: "a", mode: LINK, link: "x\0y" }])]);
refuses("a link text of a file", () => [root([{ name: "a", mode: REGULAR, link: "x" }])]);
refuses("no rows", () => [root([], { rows: 0 })]);
refuses("more rows than a message may have", () => [root([], { rows: 16_385 })]);
refuses("4 billion rows", () => [root([], { rows: 0xffffffff })]);
refuses("more rows than columns", () => [root([{ name: "a" }], { rows: 9 })]);
for (const column of [
  "modes",
  "sizes",
  "mtimeSeconds",
  "mtimeNanos",
  "uids",
  "flags",
  "statuses",
  "inodes",
  "links",
] as const)
  refuses(`${column} of 13 bytes`, () => [root([{ name: "a" }], { [column]: Buffer.alloc(13, 1) })]);
refuses("lengths that do not fit the names", () => [
  root([{ name: "abc" }], { nameLengths: Buffer.from([255, 0, 1, 0]) }),
]);
refuses("a name of 65,535 bytes", () => [root([{ name: "abc" }], { nameLengths: Buffer.from([255, 255, 1, 0]) })]);
refuses("8 MiB of names for one row", () => [root([], { names: Buffer.alloc(8 << 20, 97) })]);
refuses("a filter file of 2 MiB", () => [
  root([], { mergeFiles: [{ name: Buffer.from(".f"), text: Buffer.alloc(2 << 20) }] }),
]);
refuses("10,000 filter files", () => [
  root([], {
    mergeFiles: Array.from({ length: 10_000 }, () => ({ name: Buffer.from(".f"), text: Buffer.from("- x") })),
  }),
]);
refuses("the name of a user of 300 bytes", () => [root([], { users: [{ id: 1, name: Buffer.alloc(300, 97) }] })]);
refuses("100,000 names of users", () => [
  root([], { users: Array.from({ length: 100_000 }, (_, id) => ({ id, name: Buffer.from("root") })) }),
]);
refuses("a part of another directory", () => {
  const rows = Array.from({ length: 16_384 }, (_, i) => ({ name: `f${String(i).padStart(6, "0")}` }));
  const whole = root(rows.slice(0, 16_383), { more: true });
  return [whole, manifest({ dir: 1 }, [])];
});
refuses("a short part", () => [root([{ name: "a" }], { more: true })]);

const sub: Row = { name: "d", mode: DIRECTORY };
refuses("a second root", () => [root([]), manifest({ dir: 1 }, [])]);
refuses("a directory twice", () => [
  root([sub]),
  manifest({ dir: 1, parent: 0, row: 0 }, []),
  manifest({ dir: 1, parent: 0, row: 0 }, []),
]);
refuses("one row as two directories", () => [
  root([sub, { name: "e", mode: DIRECTORY }]),
  manifest({ dir: 1, parent: 0, row: 0 }, []),
  manifest({ dir: 2, parent: 0, row: 0 }, []),
]);
refuses("a parent that was never offered", () => [root([sub]), manifest({ dir: 1, parent: 7, row: 0 }, [])]);
refuses("its own parent", () => [root([sub]), manifest({ dir: 1, parent: 1, row: 0 }, [])]);
refuses("a child first", () => [manifest({ dir: 1, parent: 0, row: 0 }, [])]);
for (const [what, row] of [
  ["row 5", 5],
  ["its own row", 1],
  ["no row", -1],
  ["row 4 billion", 0xfffffffe],
] as const)
  refuses(`a directory at ${what}`, () => [root([sub]), manifest({ dir: 1, parent: 0, row }, [])]);
for (const [what, row] of [
  ["a file", { name: "d" }],
  ["a link", { name: "d", mode: LINK, link: "/etc" }],
  ["a row that could not be read", { name: "d", mode: DIRECTORY, status: -13 }],
  ["a row that is not to be transferred", { name: "d", mode: DIRECTORY, flags: 2 }],
] as const)
  refuses(`${what} as a parent`, () => [
    root([row, { name: "e", mode: DIRECTORY }]),
    manifest({ dir: 1, parent: 0, row: 0 }, [{ name: "x" }]),
  ]);
refuses("a directory whose own row is a file", () => [
  root([sub]),
  manifest({ dir: 1, parent: 0, row: 0 }, [], {}, { name: ".", mode: REGULAR }),
]);

describe("S23 S24 a listing with", () => {
  for (const [name, make] of cases)
    test.concurrent(name, async () => {
      const path = `listing-${cases.findIndex(([other]) => other === name)}`;
      const caller = await pushing(daemon, `${path}/`);
      // One after the other: whatever the first ones lead to has happened.
      for (const value of make()) caller.say({ case: "manifest", value });
      await refusedAs(caller, daemon, PROTOCOL);
      if (daemon.directory === undefined) return;
      const made = fileOf(daemon, path);
      for (const entry of existsSync(made) ? readdirSync(made) : []) expect(["d", "e"]).toContain(entry);
    });
});

const pruned = (dir: number, ...rows: readonly number[]): Body => ({ case: "pruned", value: { dir, rows: [...rows] } });

/** With `pruneEmptyDirs`, unless it says otherwise: a root with a directory `d`, and what is said behind it. */
const PRUNED: readonly (readonly [string, readonly Body[], boolean?])[] = [
  ["where nothing is to be pruned", [pruned(0, 0)], false],
  ["in a directory that is none", [pruned(7, 0)]],
  ["at a row that is none", [pruned(0, 9)]],
  ["at the directory itself", [pruned(0, 2)]],
  ["at a file", [pruned(0, 1)]],
  ["twice", [pruned(0, 0), pruned(0, 0)]],
  ["twice at once", [pruned(0, 0, 0)]],
  ["and offered", [pruned(0, 0), { case: "manifest", value: manifest({ dir: 1, parent: 0, row: 0 }, []) }]],
  ["when it was offered", [{ case: "manifest", value: manifest({ dir: 1, parent: 0, row: 0 }, []) }, pruned(0, 0)]],
  ["by the hundred thousand", [{ case: "pruned", value: { dir: 0, rows: Array(100_000).fill(0) } }]],
  ["when everything was offered", [{ case: "scanned", value: { complete: true } }, pruned(0, 0)]],
];

describe("S23 S24 a row is pruned", () => {
  for (const [number, [name, bodies, isAsked = true]] of PRUNED.entries())
    test.concurrent(name, async () => {
      const opening = { options: options({ pruneEmptyDirs: isAsked }) };
      const caller = await pushing(daemon, `pruned-${number}/`, opening);
      caller.say({ case: "manifest", value: root([sub, { name: "f" }]) });
      for (const body of bodies) caller.say(body);
      await refusedAs(caller, daemon, PROTOCOL);
    });
});

watched("S23 S37 nobody crashed", () => {
  expect(daemon.process!.isAlive).toBe(true);
  expect(daemon.process!.stderr).not.toContain("internal error");
});
