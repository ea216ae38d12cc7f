/** Symbolic and hard links beside rsync. */
import { expect, test } from "bun:test";
import { lchownSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { because, needsRoot } from "../behaviours/behaviour.ts";
import { assertSameTrees } from "../support/diff.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { noise, type TreeBuilder } from "../support/tree.ts";
import { besideRsync, build, run } from "./beside.ts";

const THEN = 1_400_000_000_000_000_001n;

function symbolic(tree: TreeBuilder): void {
  tree
    .file("file", "f", { mtimeNs: THEN })
    .symlink("d/to-file", "../file", { mtimeNs: THEN })
    .symlink("dangling", "no/where")
    .symlink("absolute", "/etc/passwd")
    .symlink("climbs", "../../../outside")
    .symlink("bytes", Buffer.of(0xff, 0xf9, 0x20, 0x0a))
    .symlink("long", "x".repeat(1000))
    .symlink("itself", "itself");
}

/** Two groups over several directories, and names that the same content does not make a group. */
function hard(tree: TreeBuilder): void {
  tree
    .file("a/b/c/one", noise(100_000, 1))
    .hardlink("d/e/f/two", "a/b/c/one")
    .hardlink("three", "a/b/c/one")
    .file("x/one", "small")
    .hardlink("y/two", "x/one")
    .file("alone", "small");
}

besideRsync(
  "links",
  [
    { rows: "B17", title: "symbolic links, their text and time", source: symbolic },
    {
      rows: "B17",
      title: "links change places with files and directories",
      source: (tree) => void tree.symlink("a", "b").file("b", "now a file").file("c/inside").symlink("d", "other"),
      target: (tree) => void tree.file("a", "x").symlink("b", "c").symlink("c", "d").symlink("d", "one"),
    },
    {
      rows: "B18",
      title: "--copy-links",
      source: (tree, dir) =>
        void tree
          .file("real/file", "content")
          .symlink("to-file", "real/file")
          .symlink("to-directory", "real")
          .symlink("absolute", dir.join("source/real/file")),
      ours: ["--copy-links"],
      theirs: ["--copy-links"],
    },
    {
      rows: "B18",
      title: "--copy-links with a dangling link: the rest arrives, nothing is deleted",
      source: (tree) => void tree.file("a", "a").symlink("dangling", "nowhere").file("z", "z"),
      target: (tree) => void tree.file("extra"),
      ours: ["--copy-links"],
      theirs: ["--copy-links"],
      exits: [23, 23],
    },
    { rows: "B20", title: "names of one inode", source: hard },
    {
      rows: "B20",
      title: "without hard links",
      source: hard,
      ours: ["--no-hard-links"],
      theirs: ["--no-hard-links"],
      also: ({ ours }) => expect([...takeSnapshot(ours).values()].every(({ group }) => group === "")).toBe(true),
    },
    {
      rows: "B21",
      title: "names that are there already, apart or together",
      source: hard,
      // The sizes differ: of names that all count as equal the one that is looked at first decides, in any order.
      target: (tree) =>
        void tree
          .file("three", noise(100_000, 1))
          .file("x/one", "smaller")
          .hardlink("alone", "x/one")
          .file("y/two", "another"),
    },
    {
      rows: "S08",
      title: "links planted in the target",
      source: (tree) => void tree.file("d/inside", "x").file("file", "new"),
      target: (tree, dir) => {
        build(dir.join("outside"), (outside) => void outside.file("inside", "precious").file("other", "precious"), dir);
        tree.symlink("d", "../outside").symlink("file", "../outside/other").symlink("extra", "../outside");
      },
      also: ({ dir }) => {
        const outside = [...takeSnapshot(dir.join("outside")).values()].filter(({ type }) => type === "file");
        expect(outside.map(({ size }) => size)).toEqual([8, 8]);
      },
    },
    {
      rows: "S10",
      title: "links inside the tree, to siblings and above",
      source: (tree) =>
        void tree
          .file("lib/v2/file", "x")
          .symlink("lib/current", "v2")
          .symlink("bin/lib", "../lib/current")
          .symlink("top", "."),
      target: (tree) =>
        void tree.file("lib/v1/file", "x").symlink("lib/current", "v1").symlink("bin/lib", "../lib/current"),
    },
  ],
  (scratch) => {
    test("B21 rsync agrees: single files that are names of one inode", async () => {
      using dir = scratch();
      build(dir.join("source"), hard, dir);
      const names = ["a/b/c/one", "three"].map((name) => dir.join(`source/${name}`));
      for (const who of ["ours", "theirs"]) mkdirSync(dir.join(who));
      await run("ours", ["copy", ...names, dir.join("ours/")]);
      await run("theirs", ["-aH", ...names, dir.join("theirs/")]);
      assertSameTrees(dir.join("theirs"), dir.join("ours"), { except: (path) => path === "" });
      expect(takeSnapshot(dir.join("ours")).get("three")!.group).toBe("one");
    });

    test("B23 S10 rsync agrees: a target that is the operator's own link is followed, and stays one", async () => {
      using dir = scratch();
      build(dir.join("source"), symbolic, dir);
      for (const who of ["ours", "theirs"] as const) {
        mkdirSync(dir.join(`disk-${who}`));
        symlinkSync(`disk-${who}`, dir.join(who));
      }
      await run("ours", ["mirror", "--yes", `${dir.join("source")}/`, dir.join("ours")]);
      await run("theirs", ["-a", "--delete", `${dir.join("source")}/`, dir.join("theirs")]);
      assertSameTrees(dir.join("disk-theirs"), dir.join("disk-ours"));
      expect(readlinkSync(dir.join("ours"))).toBe("disk-ours");
    });

    const planted = (title: string) => because(title, needsRoot);
    test.skipIf(needsRoot !== undefined)(
      planted("B23 S09 rsync agrees: a target that is another user's link"),
      async () => {
        using dir = scratch();
        writeFileSync(dir.join("file"), "x");
        for (const who of ["ours", "theirs"] as const) {
          mkdirSync(dir.join(`disk-${who}`));
          symlinkSync(`disk-${who}`, dir.join(who));
          lchownSync(dir.join(who), 1234, 1234);
        }
        await run("ours", ["copy", dir.join("file"), `${dir.join("ours")}/`], 3);
        await run("theirs", ["-a", dir.join("file"), `${dir.join("theirs")}/`], 3);
        for (const who of ["ours", "theirs"]) expect(readdirSync(dir.join(`disk-${who}`))).toEqual([]);
      },
    );

    test.skipIf(needsRoot !== undefined)(
      planted("S09 rsync agrees: --temp-dir through another user's link"),
      async () => {
        using dir = scratch();
        build(dir.join("source"), (tree) => void tree.file("file", "x"), dir);
        mkdirSync(dir.join("elsewhere"));
        symlinkSync("elsewhere", dir.join("temp"));
        lchownSync(dir.join("temp"), 1234, 1234);
        const flag = `--temp-dir=${dir.join("temp")}`;
        const ours = await run("ours", ["mirror", "--yes", flag, `${dir.join("source")}/`, dir.join("ours")], 3);
        const theirs = await run("theirs", ["-a", flag, `${dir.join("source")}/`, dir.join("theirs")], 23);
        expect(ours.stderr + theirs.stderr).not.toBe("");
        expect(readdirSync(dir.join("elsewhere"))).toEqual([]);
      },
    );
  },
);
