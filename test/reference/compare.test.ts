/** What is taken for equal, beside rsync. */
import type { TreeBuilder } from "../support/tree.ts";
import { besideRsync, type Case } from "./beside.ts";

const SECOND = 1_000_000_000n;
const THEN = 1_400_000_000n * SECOND;

type Version = readonly [content: string, mtimeNs: bigint];
/** Pairs of files that differ in one way each: source, target. */
const PAIRS: Readonly<Record<string, readonly [Version | undefined, Version | undefined]>> = {
  equal: [
    ["same", THEN],
    ["same", THEN],
  ],
  "sub/bytes": [
    ["aaaa", THEN],
    ["bbbb", THEN],
  ],
  size: [
    ["longer", THEN],
    ["short", THEN],
  ],
  "plus-1ns": [
    ["same", THEN + 1n],
    ["same", THEN],
  ],
  "plus-2s": [
    ["aaaa", THEN + 2n * SECOND],
    ["bbbb", THEN],
  ],
  "minus-2s": [
    ["aaaa", THEN - 2n * SECOND],
    ["bbbb", THEN],
  ],
  "plus-3s": [
    ["aaaa", THEN + 3n * SECOND],
    ["bbbb", THEN],
  ],
  older: [
    ["aaaa", THEN + 60n * SECOND],
    ["b", THEN],
  ],
  newer: [
    ["aaaa", THEN],
    ["b", THEN + 60n * SECOND],
  ],
  new: [["aaaa", THEN], undefined],
  "sub/new": [["aaaa", THEN], undefined],
  extra: [undefined, ["bbbb", THEN]],
};

const side = (which: 0 | 1) => (tree: TreeBuilder) => {
  for (const [name, pair] of Object.entries(PAIRS)) {
    const version = pair[which];
    if (version !== undefined) tree.file(name, version[0], { mtimeNs: version[1] });
  }
};

const same = (rows: string, flags: readonly string[], more: Partial<Case> = {}): Case => ({
  rows,
  title: flags.join(" ") || "no flag",
  source: side(0),
  target: side(1),
  ours: flags,
  // A nanosecond is a difference to us.
  theirs: ["--modify-window=-1", ...flags],
  ...more,
});

besideRsync("comparing", [
  same("B12", []),
  same("B12", [], {
    title: "unless --modify-window=-1 says so, a nanosecond is no difference to it",
    theirs: [],
    differences: ["plus-1ns: mtime: "],
  }),
  same("B12", ["--checksum"]),
  same("B13", ["--size-only"]),
  same("B13", ["--ignore-times"]),
  same("B13", ["--modify-window=2"]),
  same("B14", ["--update"]),
  same("B14", ["--existing"]),
  same("B14", ["--ignore-existing"]),
  same("B14", ["--existing", "--ignore-existing"]),
]);
