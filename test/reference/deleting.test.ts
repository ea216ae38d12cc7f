/** Deleting, replacing, moving and backups beside rsync. */
import { expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { because, itemsOf, mirror, needsRoot } from "../behaviours/behaviour.ts";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import type { TreeBuilder } from "../support/tree.ts";
import { besideRsync, build, run } from "./beside.ts";

function kept(tree: TreeBuilder): void {
  for (let i = 0; i < 12; i++) tree.file(`kept/file${i}`, `file ${i}`);
}
function withExtras(tree: TreeBuilder): void {
  kept(tree);
  tree
    .file("extra", "x")
    .file("kept/inner/extra", "x")
    .symlink("kept/link", "file0")
    .special("kept/fifo", "fifo")
    .file("gone/a/b/c/file", "x")
    .dir("gone/a/empty")
    .dir("denied", { mode: 0o500 });
}

besideRsync(
  "deleting",
  [
    { rows: "B41", title: "extraneous entries and subtrees go", source: kept, target: withExtras },
    {
      rows: "B41",
      title: "an ordinary user's read-only directories give up their extras",
      source: (tree) => void tree.file("d/kept").dir("d", { mode: 0o755 }),
      target: (tree) => void tree.file("d/kept").file("d/extra").dir("d", { mode: 0o555 }),
      asUser: "owner",
    },
    {
      rows: "B45",
      title: "types change places",
      source: (tree) =>
        void tree.file("was-dir", "f").file("was-file/in", "x").file("was-link", "f").symlink("was-full", "x"),
      target: (tree) =>
        void tree
          .dir("was-dir")
          .file("was-file")
          .symlink("was-link", "was-file")
          .file("was-full/deep/er")
          .file("was-file-too"),
    },
    {
      rows: "B47",
      title: "--backup-dir keeps the same by the same paths; its directories there are 0755, ours private",
      source: (tree) => void tree.file("file", "the new one").symlink("link", "new").file("d/file", "the new one"),
      target: (tree) =>
        void tree
          .file("file", "old", { mode: 0o640 })
          .symlink("link", "old")
          .file("d/file", "old")
          .file("d/extra", "e"),
      ours: ["--backup-dir=kept"],
      theirs: ["--backup", "--backup-dir=kept"],
      differences: ["kept/d: mode: 0755 != 0700"],
      except: (_, attribute) => attribute === "mtime",
    },
    {
      rows: "B47",
      title: "--backup keeps it beside",
      source: (tree) => void tree.file("file", "the new one").symlink("link", "new"),
      target: (tree) => void tree.file("file", "old", { mode: 0o640 }).symlink("link", "old").file("d/extra", "e"),
      ours: ["--backup"],
      theirs: ["--backup"],
      except: (_, attribute) => attribute === "mtime",
    },
  ],
  (scratch) => {
    const flagsOf = (source: string, target: string): string[] => [`${source}/`, `${target}/`];

    test("B41 rsync agrees: a dry run lists what the other deletes", async () => {
      using dir = scratch();
      const [source, target] = [dir.join("source"), dir.join("target")];
      build(source, kept, dir);
      build(target, withExtras, dir);
      const before = takeSnapshot(target);
      const ours = await mirror(source, target, ["--dry-run"]);
      const theirs = await run("theirs", ["-anii", "--delete", ...flagsOf(source, target)]);
      const listed = theirs.stdout.split("\n").filter((line) => line.startsWith("*deleting"));
      const deleted = listed.map((line) => line.replace(/^\*deleting +/, "").replace(/\/$/, "")).sort();
      expect(itemsOf(ours).filter((item) => item.startsWith("delete "))).toEqual(
        deleted.map((path) => `delete ${path}`),
      );
      assertSameTrees(before, target);
    });

    test("B42 rsync differs: it deletes up to --max-delete and then stops, we delete none; both exit 25", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("kept"), dir);
      for (const who of ["ours", "theirs"])
        build(dir.join(who), (tree) => Array.from({ length: 5 }, (_, i) => tree.file(`extra${i}`)), dir);
      const source = dir.join("source");
      await run("ours", ["mirror", "--yes", "--max-delete=2", ...flagsOf(source, dir.join("ours"))], 25);
      await run("theirs", ["-a", "--delete", "--max-delete=2", ...flagsOf(source, dir.join("theirs"))], 25);
      expect(readdirSync(dir.join("ours")).length).toBe(6);
      expect(readdirSync(dir.join("theirs")).length).toBe(4);
    });

    test.skipIf(needsRoot !== undefined)(
      because(
        "B43 rsync differs: unless --delete-after is given it deletes before it finds what it cannot read",
        needsRoot,
      ),
      async () => {
        using dir = scratch();
        const asUser = { asUser: 65_534 };
        build(dir.join("source"), (tree) => void tree.file("a").file("closed/file"), dir);
        const targets = ["ours", "after", "theirs"];
        for (const who of targets)
          build(dir.join(who), (tree) => void tree.file("a", "old").file("closed/file").file("extra"), dir);
        for (const root of ["source", ...targets])
          for (const path of takeSnapshot(dir.join(root)).keys())
            chownSync(dir.join(`${root}/${path}`), 65_534, 65_534);
        chmodSync(dir.join("source/closed"), 0);
        const places = (who: string): string[] => flagsOf(dir.join("source"), dir.join(who));
        await run("ours", ["mirror", "--yes", ...places("ours")], 23, asUser);
        await run("theirs", ["-a", "--delete-after", ...places("after")], 23, asUser);
        await run("theirs", ["-a", "--delete", ...places("theirs")], 23, asUser);
        for (const who of targets) expect(readFileSync(dir.join(`${who}/a`), "utf8")).toBe("");
        expect(targets.map((who) => existsSync(dir.join(`${who}/extra`)))).toEqual([true, true, false]);
      },
    );

    const reason = canMount("tmpfs");
    test.skipIf(reason !== undefined)(
      because(
        "B44 rsync differs: without --one-file-system it empties what is mounted in the target, we do not",
        reason,
      ),
      async () => {
        using dir = scratch();
        build(dir.join("source"), (tree) => void tree.file("kept"), dir);
        const source = dir.join("source");
        for (const [who, flags] of [
          ["ours", []],
          ["ours", ["--one-file-system"]],
          ["theirs", ["--one-file-system"]],
          ["theirs", []],
        ] as const) {
          const target = dir.join(`${who}${flags.length}`);
          mkdirSync(dir.join(`${who}${flags.length}/mounted`), { recursive: true });
          await using other = await mountFilesystem("tmpfs", "16M");
          const bind = Bun.spawnSync(["mount", "--bind", other.path, `${target}/mounted`]);
          expect(bind.exitCode).toBe(0);
          try {
            build(`${target}/mounted`, (tree) => void tree.file("precious"), dir);
            const base = who === "ours" ? ["mirror", "--yes"] : ["-a", "--delete"];
            const words = [...base, ...flags, ...flagsOf(source, target)];
            const isEmptied = who === "theirs" && flags.length === 0;
            // What is in use cannot be removed: it says so at the end.
            await run(who, words, isEmptied ? 23 : 0);
            expect([who, flags, existsSync(`${target}/mounted/precious`)]).toEqual([who, flags, !isEmptied]);
          } finally {
            Bun.spawnSync(["umount", `${target}/mounted`]);
          }
        }
      },
    );

    test("B46 rsync differs: --remove-source-files leaves the directories, move takes them too", async () => {
      using dir = scratch();
      for (const who of ["ours", "theirs"])
        build(dir.join(`from-${who}`), (tree) => void tree.file("d/e/file", "x").symlink("d/link", "e"), dir);
      await run("ours", ["move", "--yes", ...flagsOf(dir.join("from-ours"), dir.join("ours"))]);
      await run("theirs", ["-a", "--remove-source-files", ...flagsOf(dir.join("from-theirs"), dir.join("theirs"))]);
      assertSameTrees(dir.join("theirs"), dir.join("ours"));
      expect(existsSync(dir.join("from-ours/d"))).toBe(false);
      expect([...takeSnapshot(dir.join("from-theirs")).keys()]).toEqual(["", "d", "d/e"]);
    });

    test("B46 rsync agrees: a move onto itself is an error, and destroys nothing", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("d/file", "x"), dir);
      const before = takeSnapshot(dir.join("source"));
      const words = flagsOf(dir.join("source"), dir.join("source"));
      await run("ours", ["move", "--yes", ...words], 3);
      assertSameTrees(before, dir.join("source"));
      await run("theirs", ["-a", "--remove-source-files", ...words], 23);
      assertSameTrees(before, dir.join("source"));
    });
  },
);
