/**
 * What trees of unusual size cost: time of each verb, and the peak RSS of every process. The same tree at a tenth of its
 * size runs beside it, so that time per entry and memory can be held against each other. Peers: `rsync -aHAXS`.
 */
import { rmSync, writeFileSync } from "node:fs";
import type { FilesystemKind } from "../../test/support/filesystems.ts";
import { removeTree } from "../../test/support/temp.ts";
import { fastsyncMirror, RSYNC_FULL, rsync, subjectCommand } from "../commands.ts";
import { type Ends, fastsyncOver, openEnds, rsyncOver } from "../remote.ts";
import type { Bar, Case, Place, Workload } from "../workload.ts";

const TENTH = "a tenth: ";
/** The verbs of one tree, in their order; each builds on the last. */
const VERBS = { first: "first", noop: "no-op", deletion: "with a deletion", check: "check" } as const;
const WAYS = { local: "fastsync", push: "fastsync push" } as const;

function nameOf(way: keyof typeof WAYS, verb: keyof typeof VERBS, part = ""): string {
  return `${part}${WAYS[way]}, ${VERBS[verb]}`;
}

interface Scale {
  readonly name: string;
  readonly title: string;
  readonly size: string;
  /** Default: XFS. */
  readonly filesystem?: FilesystemKind;
  /** Makes the tree at `source`, `share` of its full size. */
  readonly make: (place: Place, share: number) => void;
  /** How many times the entries of a tenth the whole tree has; absent: time does not follow the number of entries. */
  readonly times?: number;
  /** Which tree peers copy; default: the whole. */
  readonly peers?: "tenth" | "none";
  /** Peak RSS of each process. */
  readonly maxMB: number;
  /** Peak RSS of the whole tree, times that of a tenth. */
  readonly growth: number;
}

const TREES: readonly Scale[] = [
  {
    name: "directory",
    title: "300,000 empty files in one directory",
    size: "6G",
    make: ({ tools, source, scale }, share) => tools.gen("files", source, scale(300_000 * share), 1, 0, 0),
    times: 10,
    maxMB: 600,
    growth: 6,
  },
  {
    name: "deep",
    title: "paths of 8,000 bytes: 50 chains of 40 directories, names of 200 bytes, a file in each",
    size: "2G",
    make: ({ tools, source, scale }, share) => tools.gen("chains", source, scale(50 * share), 40, 200),
    times: 10,
    maxMB: 250,
    growth: 1.5,
  },
  {
    name: "sparse",
    title: "1 x 1 TiB sparse with 8 MiB of data in 37 pieces",
    /* Where a file can be cloned there is nothing to see. */
    filesystem: "xfs-noreflink",
    size: "2G",
    /* rsync reads holes as zeros: a TiB of them, at both ends. */
    peers: "none",
    make: ({ tools, source, scale }, share) => {
      tools.gen("files", source, 0, 0, 0, 0);
      tools.gen("sparse", `${source}/disk.img`, scale(Math.floor(2 ** 40 * share)), 37 * 227_329, 37);
    },
    maxMB: 250,
    growth: 1.5,
  },
  {
    name: "links",
    title: "100,000 names of 1,000 files, in 100 directories",
    size: "2G",
    make: ({ tools, source, scale }, share) => tools.gen("links", source, scale(100_000 * share), scale(1_000), 1_000),
    times: 10,
    maxMB: 250,
    /* What waits in the window of unsettled directories is 1,000 names a directory here. */
    growth: 2,
  },
  {
    name: "xattrs",
    title: "10,000 extended attributes: 4 on each of 1,500 files, 4,000 on one",
    size: "2G",
    make: ({ tools, source, scale }, share) =>
      tools.gen("xattrs", source, scale(1_500 * share), 4, scale(4_000 * share)),
    times: 10,
    maxMB: 250,
    growth: 1.5,
  },
  {
    name: "files",
    title: "2,000,000 empty files in 2,000 directories",
    size: "14G",
    make: ({ tools, source, scale }, share) =>
      tools.gen("files", source, scale(2_000_000 * share), scale(2_000 * share), 0, 0),
    times: 10,
    /* On the whole tree rsync takes longer than all the rest of this part. */
    peers: "tenth",
    maxMB: 250,
    growth: 1.5,
  },
];

export const SCALE: readonly Workload[] = TREES.map((tree) => ({
  id: `scale-${tree.name}`,
  title: tree.title,
  filesystems: [tree.filesystem ?? "xfs"],
  size: tree.size,
  sequential: true,
  prepare: async (place) => {
    const tenth = { ...place, source: `${place.mount}/tenth`, target: `${place.mount}/tenth-target` };
    tree.make(tenth, 0.1);
    tree.make(place, 1);
    const ends = await openEnds(place);
    return [
      ...fastsyncLocal(tenth, TENTH),
      ...fastsyncPush(tenth, ends, TENTH),
      ...(tree.peers === "tenth" ? [...rsyncLocal(tenth, TENTH), ...rsyncPush(tenth, ends, TENTH)] : []),
      ...fastsyncLocal(place, ""),
      ...(tree.peers === undefined ? rsyncLocal(place, "") : []),
      ...fastsyncPush(place, ends, ""),
      ...(tree.peers === undefined ? rsyncPush(place, ends, "") : []),
    ];
  },
  bars: () => barsOf(tree),
}));

function barsOf({ times, maxMB, growth }: Scale): Bar[] {
  const bars: Bar[] = [];
  for (const way of ["local", "push"] as const) {
    for (const verb of ["first", "noop"] as const) {
      const [subject, from] = [nameOf(way, verb), nameOf(way, verb, TENTH)];
      bars.push({ kind: "rss", subject, maxMB }, { kind: "growth", subject, from, max: growth });
      if (way === "push")
        bars.push(
          { kind: "rss", subject, maxMB, end: "other" },
          { kind: "growth", subject, from, max: growth, end: "other" },
        );
      if (times !== undefined) bars.push({ kind: "linear", subject, from, times, max: 1.5 });
    }
  }
  return bars;
}

/** A name that only the target has. */
function addExtraneous({ target }: Pick<Place, "target">): void {
  writeFileSync(`${target}/extraneous`, "x");
}

function fastsyncLocal(place: Place, part: string): Case[] {
  const { source, target } = place;
  const again = () => {};
  const mirror = (verb: keyof typeof VERBS, before: () => void): Case => ({
    ...fastsyncMirror(place, [], { before }),
    trees: { source, target },
    name: nameOf("local", verb, part),
  });
  const [first, noop] = [mirror("first", () => removeTree(target)), mirror("noop", again)];
  if (part !== "") return [first, noop];
  const check = mirror("check", again);
  return [
    first,
    noop,
    mirror("deletion", () => addExtraneous(place)),
    { ...check, command: [...subjectCommand(), "check", `${source}/`, `${target}/`] },
  ];
}

/** Each run has a fresh daemon, whose peak RSS is then this run's. */
function fastsyncPush(place: Place, ends: Ends, part: string): Case[] {
  const push = (verb: keyof typeof VERBS, prepare: () => void): Case =>
    fastsyncOver(place, ends, "push", [], {
      verb: verb === "check" ? "check" : "mirror",
      name: nameOf("push", verb, part),
      // One file that is as it was asks for no stream.
      isIdle: verb === "noop" || verb === "check",
      before: async () => {
        prepare();
        await ends.daemon.restart();
      },
    });
  const [first, noop] = [push("first", () => removeTree(place.target)), push("noop", () => {})];
  if (part !== "") return [first, noop];
  return [first, noop, push("deletion", () => addExtraneous(place)), push("check", () => {})];
}

function rsyncLocal(place: Place, part: string): Case[] {
  const { source, target } = place;
  const once = (verb: "first" | "noop", before: () => void): Case => ({
    ...rsync(place, RSYNC_FULL, { before }),
    trees: { source, target },
    name: `${part}${RSYNC_FULL}, ${VERBS[verb]}`,
  });
  return [
    once("first", () => removeTree(place.target)),
    once("noop", () => rmSync(`${place.target}/extraneous`, { force: true })),
  ];
}

/** One line of rsync: that with TCP_NODELAY differs in nothing that matters here. */
function rsyncPush(place: Place, ends: Ends, part: string): Case[] {
  const lines = (verb: "first" | "noop", before: () => void): Case[] =>
    rsyncOver(place, { ...ends, rsyncds: ends.rsyncds.slice(0, 1) }, "push", RSYNC_FULL, { before }).map((one) => ({
      ...one,
      name: `${part}${RSYNC_FULL} push, ${VERBS[verb]}`,
    }));
  return [...lines("first", () => removeTree(place.target)), ...lines("noop", () => {})];
}
