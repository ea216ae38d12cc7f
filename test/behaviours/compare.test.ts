/** What counts as equal, and how each flag moves exactly that decision. */
import { expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { assertSameTrees, diffTrees } from "../support/diff.ts";
import { setTimes } from "../support/libc.ts";
import { startFastsync } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import {
  because,
  behavioursMissing,
  expectNothingDone,
  itemsOf,
  mirror,
  run,
  touched,
  waitUntilWritten,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const SECOND = 1_000_000_000n;
const THEN = 1_500_000_000n * SECOND;
const MIB = 1 << 20;

/** A tree of pairs of files that differ in one way each. */
function buildPairs(dir: TempDir): { source: string; target: string } {
  const [source, target] = [dir.join("source"), dir.join("target")];
  const x = new TreeBuilder(source);
  const y = new TreeBuilder(target);
  const put = (name: string, a: [string, bigint] | undefined, b: [string, bigint] | undefined) => {
    if (a !== undefined) x.file(name, a[0], { mtimeNs: a[1] });
    if (b !== undefined) y.file(name, b[0], { mtimeNs: b[1] });
  };
  put("equal", ["same", THEN], ["same", THEN]);
  put("sub/bytes", ["aaaa", THEN], ["bbbb", THEN]);
  put("size", ["longer", THEN], ["short", THEN]);
  put("plus-1ns", ["same", THEN + 1n], ["same", THEN]);
  put("plus-2s", ["aaaa", THEN + 2n * SECOND], ["bbbb", THEN]);
  put("minus-2s", ["aaaa", THEN - 2n * SECOND], ["bbbb", THEN]);
  put("plus-3s", ["aaaa", THEN + 3n * SECOND], ["bbbb", THEN]);
  put("older-target", ["aaaa", THEN + 60n * SECOND], ["b", THEN]);
  put("newer-target", ["aaaa", THEN], ["b", THEN + 60n * SECOND]);
  put("new", ["aaaa", THEN], undefined);
  put("sub/new-dir/new", ["aaaa", THEN], undefined);
  put("extra", undefined, ["bbbb", THEN]);
  for (const [tree, names] of [
    [x, ["sub", "sub/new-dir", ""]],
    [y, ["sub", ""]],
  ] as const)
    for (const name of names) tree.dir(name, { mtimeNs: THEN });
  x.finish();
  y.finish();
  return { source, target };
}

const ALL_CONTENT = ["older-target", "newer-target", "size", "plus-2s", "plus-3s", "minus-2s", "plus-1ns"];
const NEW = ["new", "sub/new-dir/new"];

/** By flags: which files are rewritten or made, and which only repaired. */
const DECISIONS: readonly {
  row: string;
  flags: readonly string[];
  written: readonly string[];
  repaired: readonly string[];
}[] = [
  { row: "B12", flags: [], written: [...ALL_CONTENT, ...NEW], repaired: [] },
  {
    row: "B12",
    flags: ["--checksum"],
    written: [...ALL_CONTENT.filter((name) => name !== "plus-1ns"), "sub/bytes", ...NEW],
    repaired: ["plus-1ns"],
  },
  {
    row: "B13",
    flags: ["--size-only"],
    written: ["size", "older-target", "newer-target", ...NEW],
    repaired: ["plus-1ns", "plus-2s", "plus-3s", "minus-2s"],
  },
  { row: "B13", flags: ["--ignore-times"], written: [...ALL_CONTENT, "equal", "sub/bytes", ...NEW], repaired: [] },
  {
    row: "B13",
    flags: ["--modify-window=2"],
    written: ["size", "older-target", "newer-target", "plus-3s", ...NEW],
    repaired: [],
  },
  {
    row: "B13",
    flags: ["--modify-window=1ns"],
    written: [...ALL_CONTENT.filter((name) => name !== "plus-1ns"), ...NEW],
    repaired: [],
  },
  {
    row: "B14",
    flags: ["--update"],
    written: [...ALL_CONTENT.filter((name) => name !== "newer-target" && name !== "minus-2s"), ...NEW],
    repaired: [],
  },
  { row: "B14", flags: ["--existing"], written: ALL_CONTENT, repaired: [] },
  { row: "B14", flags: ["--ignore-existing"], written: NEW, repaired: [] },
  { row: "B14", flags: ["--existing", "--ignore-existing"], written: [], repaired: [] },
];

describe.skipIf(behavioursMissing !== undefined)(because("comparing", behavioursMissing), () => {
  for (const { row, flags, written, repaired } of DECISIONS) {
    test(`${row} ${flags.join(" ") || "no flag"} decides exactly this, and deletes the extraneous`, async () => {
      using dir = tempDir();
      const { source, target } = buildPairs(dir);
      const before = takeSnapshot(target);
      const dry = await mirror(source, target, ["--dry-run", ...flags]);
      assertSameTrees(before, target);
      const real = await mirror(source, target, flags);
      expect(itemsOf(dry)).toEqual(itemsOf(real));

      const of = (...actions: string[]) =>
        real.events
          .filter(
            (event) => event.type === "item" && event["kind"] === "file" && actions.includes(`${event["action"]}`),
          )
          .map((event) => `${event["path"]}`)
          .sort();
      expect(of("create", "update")).toEqual([...written].sort());
      expect(of("repair")).toEqual([...repaired].sort());
      const stays = diffTrees(before, target).map((line) => line.slice(0, line.indexOf(":")));
      for (const name of ["extra", ...written.filter((name) => name !== "equal"), ...repaired])
        expect(stays).toContain(name);
      expect(real.summary).toMatchObject({ files_deleted: 1, files_failed: 0 });
      for (const name of written) expect(readFileSync(`${target}/${name}`)).toEqual(readFileSync(`${source}/${name}`));
      for (const [path, entry] of takeSnapshot(target))
        if (entry.type === "file" && !written.includes(path) && !repaired.includes(path))
          expect([path, entry.content, entry.mtimeNs]).toEqual([
            path,
            before.get(path)!.content,
            before.get(path)!.mtimeNs,
          ]);
    });
  }

  test("B12 check finds what mirror would do, and only with --checksum what it would not", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("a/file", "aaaa", { mtimeNs: THEN }).dir("a", { mtimeNs: THEN }).finish();
    await mirror(source, target);
    new TreeBuilder(target).file("a/file", "bbbb", { mtimeNs: THEN }).dir("a", { mtimeNs: THEN }).finish();
    await run("check", [`${source}/`, target]);
    const { events } = await run("check", ["--checksum", `${source}/`, target], { exitCode: 1 });
    expect(events.filter((event) => event.type === "item")).toMatchObject([{ path: "a/file", reasons: ["content"] }]);
    expectNothingDone(await mirror(source, target));
    expect(readFileSync(`${target}/a/file`, "utf8")).toBe("bbbb");
    await mirror(source, target, ["--checksum"]);
    expect(readFileSync(`${target}/a/file`, "utf8")).toBe("aaaa");
  });

  test("B12 a change of metadata alone moves no data and keeps the inode", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("a/file", noise(300_000, 1), { mtimeNs: THEN, mode: 0o644 }).finish();
    await mirror(source, target);
    const before = takeSnapshot(target);
    for (const attributes of [
      { mode: 0o600 },
      { xattrs: { "user.new": "1" } },
      { acl: "user::rw-,user:5:r--,group::r--,mask::r--,other::---" },
    ]) {
      new TreeBuilder(source).file("a/file", noise(300_000, 1), { mtimeNs: THEN, ...attributes }).finish();
      const { summary } = await mirror(source, target);
      expect(summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0, repaired: 1 });
      assertSameTrees(source, target);
      expect(takeSnapshot(target).get("a/file")!.stat.ino).toBe(before.get("a/file")!.stat.ino);
    }
  });

  test("B14 --existing makes no directories, links or specials either", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("a/b/file", "").symlink("link", "x").special("fifo", "fifo").finish();
    new TreeBuilder(target).finish();
    setTimes(target, takeSnapshot(source).get("")!.mtimeNs);
    const before = takeSnapshot(target);
    const { summary } = await mirror(source, target, ["--existing"]);
    expect(touched(before, target)).toEqual([]);
    expect(summary["skipped"]).toMatchObject({ missing_in_target: 3 });
  });

  for (const flags of [[], ["--temp-dir", "temp"], ["--resume"]]) {
    test(`B15 what a killed ${["--update", ...flags].join(" ")} leaves is no newer file`, async () => {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      const files = { split: 50 * MIB, medium: 3 * MIB, other: 5 * MIB };
      const tree = new TreeBuilder(source);
      for (const [name, size] of Object.entries(files)) tree.file(name, noise(size, size), { mtimeNs: THEN });
      tree.finish();
      new TreeBuilder(target).file("medium", "the older state", { mtimeNs: THEN - SECOND }).finish();
      const words = ["mirror", "--yes", "--update", ...flags, "--bwlimit", "16M", `${source}/`, target];
      const child = startFastsync(words, { cwd: dir.path });
      await waitUntilWritten(child.pid, 2 * MIB);
      child.kill("SIGKILL");
      expect((await child.result).signal).toBe("SIGKILL");
      /* Whatever is there under a final name is whole: the old state or the new one. */
      for (const name of readdirSync(target)) {
        if (!(name in files)) continue;
        const is = readFileSync(`${target}/${name}`);
        if (is.toString() !== "the older state") expect(is.equals(readFileSync(`${source}/${name}`))).toBe(true);
      }
      await mirror(source, target, ["--update", ...flags], { cwd: dir.path });
      /* A relative --temp-dir is made below the target; nothing is left in it. */
      assertSameTrees(source, target, { except: (path) => path === "temp" });
    });
  }

  test("B15 --update refuses --inplace, whose interrupted file would pass for a newer one", async () => {
    using dir = tempDir();
    const { source, target } = buildPairs(dir);
    const before = takeSnapshot(target);
    await mirror(source, target, ["--update", "--inplace"], { exitCode: 1 });
    assertSameTrees(before, target);
  });
});
