/** Filters and lists beside rsync; random rules are held against it by test/filter. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { assertSameTrees, diffTrees } from "../support/diff.ts";
import type { TreeBuilder } from "../support/tree.ts";
import { besideRsync, build, type Case, run } from "./beside.ts";

const FILES = ["Read.ME", "a.log", "a.txt", "build", "deep/a.log", "deep/build/inside", "deep/er/x1", "deep/er/xa"];
const more = ["deep/er/a.txt", "other/build/keep/a.txt", "empty/only.log"];

function fill(tree: TreeBuilder): void {
  for (const file of [...FILES, ...more]) tree.file(file, file);
}
function fillTarget(tree: TreeBuilder): void {
  fill(tree);
  tree.file("gone/file").file("gone/kept.log").file("cache/deep/file").file("a.txt", "changed");
}

/** rsync leaves the root alone where it is not listed. */
const EXCEPT_ROOT = { except: (path: string) => path === "" };

function withRules(tree: TreeBuilder): void {
  fill(tree);
  tree.file("deep/.rules", "- a.*\n- /build\n").file("a.keep");
}

const filtered = (rows: string, ...flags: string[]): Case => ({
  rows,
  title: flags.join(" "),
  source: fill,
  target: fillTarget,
  ours: ["--max-delete=100%", ...flags],
  theirs: flags,
  except: (path, attribute) => path === "gone" && attribute === "mtime",
});

besideRsync(
  "selecting",
  [
    filtered("B36", "--exclude=*.log"),
    filtered("B36", "--exclude=/a.*"),
    filtered("B36", "--exclude=build/"),
    filtered("B36", "--exclude=/deep/**.txt"),
    filtered("B36", "--exclude=deep/*/a.txt"),
    filtered("B36", "--exclude=x[!a]"),
    filtered("B36", "--exclude=READ.me"),
    filtered("B36", "--include=/a.log", "--exclude=*.log"),
    filtered("B36", "--include=*/", "--include=a.txt", "--exclude=*"),
    filtered("B37", "--exclude=*.log", "--exclude=cache/"),
    filtered("B37", "--exclude=*.log", "--exclude=cache/", "--delete-excluded"),
    {
      rows: "B39",
      title: "a rule file in a directory counts there and below, with --delete-after",
      source: withRules,
      target: fillTarget,
      ours: ["--filter=: .rules"],
      theirs: ["--filter=: .rules", "--delete-after"],
    },
    {
      rows: "B39",
      title: "without --delete-after its deletions go by the rule files that the target has beforehand",
      source: withRules,
      target: fillTarget,
      ours: ["--filter=: .rules"],
      theirs: ["--filter=: .rules"],
      differences: [
        "deep/a.log: presence: extra file",
        "deep/build: presence: extra directory",
        "deep/build/inside: presence: extra file",
        "deep/er/a.txt: presence: extra file",
      ],
    },
    {
      rows: "B40",
      title: "--prune-empty-dirs",
      source: (tree) =>
        void tree
          .dir("empty/er")
          .file("full/er/file", "x")
          .dir("full/empty")
          .file("logs/deep/a.log", "log")
          .symlink("linked/link", "nowhere"),
      target: (tree) => void tree.dir("empty/er").dir("full/empty/too").file("logs/deep/a.log", "log"),
      ours: ["--prune-empty-dirs", "--exclude=*.log"],
      theirs: ["--prune-empty-dirs", "--exclude=*.log"],
    },
    {
      rows: "B40",
      title: "--min-size and --max-size",
      source: (tree) =>
        void tree.file("d/small", "x").file("d/medium", "x".repeat(2000)).file("large", "x".repeat(5000)),
      target: (tree) => void tree.file("d/small", "old").file("large", "old"),
      ours: ["--min-size=1K", "--max-size=4K"],
      theirs: ["--min-size=1K", "--max-size=4K"],
    },
  ],
  (scratch) => {
    test("B38 rsync agrees: --files-from takes what is listed, and nothing above the source", async () => {
      using dir = scratch();
      build(dir.join("source"), fill, dir);
      writeFileSync(dir.join("outside"), "outside");
      writeFileSync(dir.join("list"), "deep/er/x1\n/a.txt\nother/build/keep/a.txt\n");
      const flags = [`--files-from=${dir.join("list")}`, `${dir.join("source")}/`];
      await run("ours", ["copy", ...flags, `${dir.join("ours")}/`]);
      await run("theirs", ["-a", ...flags, `${dir.join("theirs")}/`]);
      assertSameTrees(dir.join("theirs"), dir.join("ours"), EXCEPT_ROOT);
    });

    test("B38 rsync agrees: entries that end with NUL", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("a\nb").file("c").file("d"), dir);
      writeFileSync(dir.join("list"), "a\nb\0c\0");
      const flags = ["--from0", `--files-from=${dir.join("list")}`, `${dir.join("source")}/`];
      await run("ours", ["copy", ...flags, `${dir.join("ours")}/`]);
      await run("theirs", ["-a", ...flags, `${dir.join("theirs")}/`]);
      assertSameTrees(dir.join("theirs"), dir.join("ours"), EXCEPT_ROOT);
      expect(await Bun.file(dir.join("ours/a\nb")).exists()).toBe(true);
    });

    test("B38 rsync differs: # begins a comment for it even where entries end with NUL", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("#c").file("d"), dir);
      writeFileSync(dir.join("list"), "#c\0d\0");
      const flags = ["--from0", `--files-from=${dir.join("list")}`, `${dir.join("source")}/`];
      await run("ours", ["copy", ...flags, `${dir.join("ours")}/`]);
      await run("theirs", ["-a", ...flags, `${dir.join("theirs")}/`]);
      expect(diffTrees(dir.join("theirs"), dir.join("ours"), EXCEPT_ROOT)).toEqual(["#c: presence: extra file"]);
    });

    test("B38 rsync agrees: .. in a list does not rise above the source", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("outside", "inside").file("deep/file", "x"), dir);
      writeFileSync(dir.join("outside"), "outside");
      writeFileSync(dir.join("list"), "../outside\ndeep/../deep/file\n");
      const flags = [`--files-from=${dir.join("list")}`, `${dir.join("source")}/`];
      await run("ours", ["copy", ...flags, `${dir.join("ours")}/`]);
      await run("theirs", ["-a", ...flags, `${dir.join("theirs")}/`]);
      assertSameTrees(dir.join("theirs"), dir.join("ours"), { ignore: ["mtime"] });
      expect(await Bun.file(dir.join("ours/outside")).text()).toBe("inside");
    });
  },
);
