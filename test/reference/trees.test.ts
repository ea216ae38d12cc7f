/** Trees, names and places beside rsync. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { buildDeepTree } from "../support/deep-tree.ts";
import { assertSameTrees } from "../support/diff.ts";
import { fastsyncCommand } from "../support/program.ts";
import { describe as shown, start } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import type { TempDir } from "../support/temp.ts";
import type { TreeBuilder } from "../support/tree.ts";
import { buildVarietyTree } from "../support/variety-tree.ts";
import { besideRsync, build, run } from "./beside.ts";

const ODD = [
  " ",
  "a b",
  "tab\tname",
  "new\nline",
  "'single'",
  '"double"',
  "$HOME",
  "`id`",
  "back\\slash",
  "-rf",
  "--delete",
];
const NAMES: (string | Uint8Array)[] = [
  ...[...ODD, "*", "?", "[a]", "a.", "a..", "...", "~", "#a", ":a", "a:b", "!x"],
  ...[Buffer.of(0xff), Buffer.of(0xf9, 0x61), Buffer.of(0xc3), Buffer.of(0xe2, 0x82), Buffer.of(0x1b, 0x5b, 0x9b)],
];

function oddNames(tree: TreeBuilder): void {
  for (const name of NAMES) {
    tree.file(name, "x");
    tree.file(Buffer.concat([Buffer.from("deep/"), Buffer.from(name), Buffer.from("/"), Buffer.from(name)]), "y");
    tree.symlink(Buffer.concat([Buffer.from("links/"), Buffer.from(name)]), name);
  }
}

const LONG = "n".repeat(255);
const UMLAUTS = "ö".repeat(127);
const deep = (tree: TreeBuilder): void => buildDeepTree(tree.root, "d".repeat(175), 70);

besideRsync(
  "trees",
  [
    { rows: "B01", title: "a tree of every kind of entry", source: (tree) => void buildVarietyTree(tree.root) },
    { rows: "B06 B07", title: "names of any bytes", source: oddNames },
    {
      rows: "B06 B07",
      title: "names of any bytes, extraneous",
      source: (tree) => void tree.file("kept"),
      target: oddNames,
      ours: ["--max-delete=100%"],
    },
    {
      rows: "B08",
      title: "names of 255 bytes",
      source: (tree) => void tree.file(`${LONG}/${UMLAUTS}`, "new").symlink(UMLAUTS, LONG).file(`d/${LONG}`, "changed"),
      target: (tree) => void tree.file(`d/${LONG}`, "old"),
    },
  ],
  (scratch) => {
    const file = (dir: TempDir): void => writeFileSync(dir.join("file"), "content");

    test("B04 rsync agrees: with its --mkpath parents are made, by a dry run nothing is", async () => {
      using dir = scratch();
      file(dir);
      const before = takeSnapshot(dir.path);
      for (const [who, words] of [
        ["ours", ["copy"]],
        ["theirs", ["-a", "--mkpath"]],
      ] as const) {
        const places = ["file", `${who}/parent/name`];
        await run(who, [...words, "--dry-run", ...places], 0, { cwd: dir.path });
        assertSameTrees(before, dir.path, { ignore: ["mtime"], except: (path) => path.startsWith("ours") });
        await run(who, [...words, ...places], 0, { cwd: dir.path });
        expect(readFileSync(dir.join(`${who}/parent/name`), "utf8")).toBe("content");
      }
      assertSameTrees(dir.join("theirs"), dir.join("ours"), { ignore: ["mtime"] });
    });

    test("B04 rsync differs: without --mkpath it makes the last component only", async () => {
      using dir = scratch();
      file(dir);
      await run("theirs", ["-a", "file", "theirs/parent/name"], 3, { cwd: dir.path });
      expect(existsSync(dir.join("theirs"))).toBe(false);
    });

    test("B05 rsync differs: paths longer than PATH_MAX end its run with 23, neither copied nor deleted", async () => {
      using dir = scratch();
      build(dir.join("source"), deep, dir);
      const words = (from: string, to: string): string[] => [`${dir.join(from)}/`, `${dir.join(to)}/`];
      await run("ours", ["mirror", "--yes", ...words("source", "ours")]);
      assertSameTrees(dir.join("source"), dir.join("ours"));
      await run("theirs", ["-a", ...words("source", "theirs")], 23);
      mkdirSync(dir.join("empty"));
      writeFileSync(dir.join("empty/kept"), "");
      await run("theirs", ["-a", "--delete", ...words("empty", "ours")], 23);
      await run("ours", ["mirror", "--yes", "--max-delete=100%", ...words("empty", "ours")]);
      assertSameTrees(dir.join("empty"), dir.join("ours"));
    });

    test("B09 rsync agrees: a source given ten times is copied once", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("a/one", "1").file("two", "2"), dir);
      const ten = Array.from({ length: 10 }, () => "source/");
      const ours = await run("ours", ["copy", "--json", ...ten, "ours"], 0, { cwd: dir.path });
      const theirs = await run("theirs", ["-a", "--stats", ...ten, "theirs"], 0, { cwd: dir.path });
      expect(ours.stdout).toContain('"files_transferred":2,');
      expect(theirs.stdout).toContain("Number of regular files transferred: 2\n");
      assertSameTrees(dir.join("theirs"), dir.join("ours"));
    });

    test("B10 rsync agrees: 1,100 inherited descriptors", async () => {
      using dir = scratch();
      build(
        dir.join("source"),
        (tree) => Array.from({ length: 40 }, (_, i) => tree.file(`d${i % 5}/${i}`, `${i}`)),
        dir,
      );
      const script = 'ulimit -n 4096; for i in $(seq 10 1110); do eval "exec $i</dev/null"; done; exec "$@"';
      const source = `${dir.join("source")}/`;
      for (const command of [
        [...fastsyncCommand(), "mirror", "--yes", source, dir.join("ours")],
        ["rsync", "-a", source, dir.join("theirs")],
      ])
        expect(shown(await start(["bash", "-c", script, "bash", ...command]).result)).toStartWith("exit 0");
      assertSameTrees(dir.join("theirs"), dir.join("ours"));
    });

    test("S33 rsync agrees: names that look like flags, after --", async () => {
      using dir = scratch();
      mkdirSync(dir.join("-source"));
      writeFileSync(dir.join("-source/--delete"), "x");
      // To rsync a time of the same second is the right one.
      utimesSync(dir.join("-source"), 1_600_000_000, 1_600_000_000);
      await run("ours", ["copy", "--", "-source/", "--ours"], 0, { cwd: dir.path });
      await run("theirs", ["-a", "--", "-source/", "--theirs"], 0, { cwd: dir.path });
      assertSameTrees(dir.join("--theirs"), dir.join("--ours"));
    });
  },
);
