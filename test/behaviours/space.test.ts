/** A full target, and temporary files elsewhere. */
import { expect, setDefaultTimeout } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, type FilesystemKind, mountFilesystem } from "../support/filesystems.ts";
import { ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { buildVarietyTree } from "../support/variety-tree.ts";
import { because, behavioursMissing, mirror, needsRoot, run } from "./behaviour.ts";
import { MIB, pair, quickDir, temporariesIn } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const SMALL: readonly FilesystemKind[] = ["tmpfs", "ext4"];

for (const kind of SMALL) {
  const reason = needsRoot ?? behavioursMissing ?? canMount(kind);
  describe.skipIf(reason !== undefined)(because(`a full ${kind}`, reason), () => {
    test.each([
      ["small files", 400, 32 * 1024, []],
      ["medium files", 6, 3 * MIB, []],
      ["a large file", 1, 52 * MIB, []],
      ["medium files, by the portable twin", 6, 3 * MIB, ["portable"]],
    ] as const)(
      "B53 %s: the run stops, old files are whole, no temporary file is left",
      async (_, count, size, how) => {
        using dir = quickDir();
        const { source } = pair(dir);
        await using full = await mountFilesystem(kind, size > 10 * MIB ? "32M" : "12M");
        const target = join(full.path, "target");
        new TreeBuilder(target).file("a-old", "old").file("z-extra", "an extra").file("file0", "the old one");
        const options = { env: { FASTSYNC_NATIVE: how.length > 0 ? "off" : undefined } };
        new TreeBuilder(source).file("a-old", "the new one");
        for (let i = 0; i < count; i++) writeFileSync(join(source, `file${i}`), noise(size, i + 1));
        const result = await mirror(source, target, [], { ...options, exitCode: 11 });
        expect(result.summary["exit_reason"]).toBe("no_space");
        expect(result.stderr).toContain("no space left");
        expect(temporariesIn(target)).toEqual([]);
        expect(readFileSync(join(target, "z-extra"), "utf8")).toBe("an extra");
        const [have, want] = [takeSnapshot(target), takeSnapshot(source)];
        for (const [path, entry] of have) {
          if (entry.type !== "file" || path === "z-extra") continue;
          const olds = path === "a-old" ? ["old"] : path === "file0" ? ["the old one"] : [];
          const isOld = entry.size < 100 && olds.includes(readFileSync(join(target, path), "utf8"));
          if (!isOld)
            expect([path, entry.content, entry.mtimeNs]).toEqual([
              path,
              want.get(path)!.content,
              want.get(path)!.mtimeNs,
            ]);
        }
        /* With less to copy the next run ends well and takes away what it finds. */
        spawnSync("find", [source, "-name", "file*", "-delete"]);
        new TreeBuilder(source).file("file0", "small");
        await mirror(source, target, ["--max-delete=100%"], options);
        assertSameTrees(source, target);
      },
    );

    test("B53 with --inplace the file that does not fit is named, and others are whole", async () => {
      using dir = quickDir();
      const { source } = pair(dir);
      await using full = await mountFilesystem(kind, "12M");
      const target = join(full.path, "target");
      new TreeBuilder(target).file("big", "old").file("other", "old");
      new TreeBuilder(source).file("big", noise(16 * MIB, 1)).file("other", "the new one");
      const { summary } = await mirror(source, target, ["--inplace"], { exitCode: 11 });
      expect(summary["failures"]).toMatchObject([{ code: "no_space", path: "big" }]);
      expect(["old", "the new one"]).toContain(readFileSync(join(target, "other"), "utf8"));
    });
  });
}

const mountMissing = needsRoot ?? canMount("tmpfs");
describe.skipIf(mountMissing !== undefined)(because("--temp-dir", mountMissing), () => {
  test.each([[[]], [["--copy-method=read_write"]], [["--fsync=file"]]] as const)(
    "B51 on another filesystem: everything arrives with its attributes, nothing stays there %p",
    async (flags) => {
      using dir = quickDir();
      await using other = await mountFilesystem("btrfs", "256M");
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildVarietyTree(source);
      new TreeBuilder(source).file("large", noise(50 * MIB, 3), { mode: 0o640 });
      await mirror(source, target, [`--temp-dir=${other.path}`, ...flags]);
      assertSameTrees(source, target);
      /* The same over existing files. */
      for (const path of ["large", "another"]) writeFileSync(join(source, path), noise(MIB, 5));
      new TreeBuilder(source).file("another", "x", { mode: 0o4711, uid: ORDINARY_USER });
      await mirror(source, target, [`--temp-dir=${other.path}`, ...flags]);
      assertSameTrees(source, target);
      expect(temporariesIn(other.path)).toEqual([]);
      expect(temporariesIn(target)).toEqual([]);
    },
  );

  test.each(["ext4", "ramfs"] as const)(
    "B51 attributes that the temporary filesystem cannot hold still arrive: %s",
    async (kind) => {
      using dir = quickDir();
      await using other = await mountFilesystem(kind, "128M");
      const { source, target } = pair(dir);
      const xattrs = { "user.big": Buffer.alloc(20_000, "x") };
      const build = (seed: number) =>
        new TreeBuilder(source)
          .file("file", `x${seed}`, { uid: ORDINARY_USER, mode: 0o4750, xattrs })
          .file("acl", `y${seed}`, { acl: `user::rw-,user:${ORDINARY_USER}:r--,group::r--,mask::r--,other::---` })
          .file("large", noise(50 * MIB, seed), { mode: 0o640, xattrs })
          .finish();
      /* Into new names, then over what is there. */
      for (const seed of [1, 2]) {
        build(seed);
        await mirror(source, target, [`--temp-dir=${other.path}`, "--verify"]);
        assertSameTrees(source, target);
      }
      expect([...temporariesIn(other.path), ...temporariesIn(target)]).toEqual([]);
    },
  );

  test("B51 a full --temp-dir is a full disk: exit 11, the target as it was", async () => {
    using dir = quickDir();
    await using other = await mountFilesystem("tmpfs", "1M");
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("file", noise(4 * MIB, 1));
    new TreeBuilder(target).file("file", "old");
    await mirror(source, target, [`--temp-dir=${other.path}`], { exitCode: 11 });
    expect(readFileSync(join(target, "file"), "utf8")).toBe("old");
    expect(temporariesIn(other.path)).toEqual([]);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("--temp-dir inside the target", behavioursMissing), () => {
  test("B51 a relative one lies in the target, is made when missing, and is not deleted as extraneous", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("file", noise(MIB, 1)).file("deep/file", "x");
    mkdirSync(target);
    await mirror(source, target, ["--temp-dir=.work"]);
    expect(existsSync(join(target, ".work"))).toBe(true);
    assertSameTrees(source, target, { except: (path) => path === ".work" || path === "" });
    const again = await mirror(source, target, ["--temp-dir=.work"]);
    expect(again.summary).toMatchObject({ files_transferred: 0, files_deleted: 0 });
    await mirror(source, target);
    expect(existsSync(join(target, ".work"))).toBe(false);
  });

  test("B53 a target on a read-only place is one failure of the run, not one for each file", async () => {
    const reason = needsRoot ?? canMount("tmpfs");
    if (reason !== undefined) return;
    using dir = quickDir();
    await using place = await mountFilesystem("tmpfs", "8M");
    const { source } = pair(dir);
    for (let i = 0; i < 50; i++) new TreeBuilder(source).file(`file${i}`, "the new one");
    const target = join(place.path, "target");
    new TreeBuilder(target).file("file3", "old").file("extra", "x");
    spawnSync("mount", ["-o", "remount,ro", place.path]);
    const { summary } = await mirror(source, target, [], { exitCode: 11 });
    expect(summary["exit_reason"]).toBe("read_only");
    expect(summary["files_failed"]).toBe(1);
    expect(readFileSync(join(target, "file3"), "utf8")).toBe("old");
    expect(lstatSync(join(target, "extra")).size).toBe(1);
    await run("check", [`${source}/`, `${target}/`], { exitCode: 1 });
  });
});
