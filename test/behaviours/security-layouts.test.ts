/** Links that somebody planted, and links that the operator made: the first are never gone through, the second work. */
import { expect, setDefaultTimeout } from "bun:test";
import { existsSync, lchownSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, itemsOf, mirror, needsRoot, run } from "./behaviour.ts";
import { pair } from "./moments.ts";
import { describe, test } from "./placed-test.ts";
import { fillOutside } from "./races.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

describe.skipIf(behavioursMissing !== undefined)(because("planted links", behavioursMissing), () => {
  test.each([[[]], [["--inplace"]], [["--checksum"]], [["--backup"]]] as const)(
    "S08 a link in the target where the source has a directory is replaced, not gone through: %p",
    async (flags) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      const outside = dir.join("outside");
      fillOutside(outside);
      new TreeBuilder(source).file("sub/file0", "new").file("sub/new", "new").file("sub/inner/extra", "new");
      new TreeBuilder(target).symlink("sub", outside);
      const before = takeSnapshot(outside);
      await mirror(source, target, flags);
      assertSameTrees(before, outside);
      expect(lstatSync(join(target, "sub")).isDirectory()).toBe(true);
      assertSameTrees(join(source, "sub"), join(target, "sub"));
    },
  );

  test.each([[[]], [["--inplace"]], [["--checksum"]], [["--ignore-times"]]] as const)(
    "S08 a link in the target where the source has a file is replaced, not written through: %p",
    async (flags) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      const outside = dir.join("outside");
      fillOutside(outside);
      new TreeBuilder(source).file("a", "the new a").file("b", "the new b");
      new TreeBuilder(target).symlink("a", join(outside, "file0")).symlink("b", join(outside, "made-here"));
      const before = takeSnapshot(outside);
      await mirror(source, target, flags);
      assertSameTrees(before, outside);
      assertSameTrees(source, target);
    },
  );

  test("S08 an extraneous link to a directory is unlinked, not descended", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const outside = dir.join("outside");
    fillOutside(outside);
    new TreeBuilder(source).file("keep", "keep");
    new TreeBuilder(target)
      .symlink("extra", outside)
      .symlink("deep/below/extra", outside)
      .symlink("dangling", "nowhere")
      .file("deep/file", "x");
    const before = takeSnapshot(outside);
    const result = await mirror(source, target);
    assertSameTrees(before, outside);
    assertSameTrees(source, target);
    expect(itemsOf(result).filter((item) => item.startsWith("delete"))).toEqual([
      "delete dangling",
      "delete deep",
      "delete deep/below",
      "delete deep/below/extra",
      "delete deep/file",
      "delete extra",
    ]);
  });

  test("S08 move takes a link in the source as a link and leaves what it points at", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const outside = dir.join("outside");
    fillOutside(outside);
    new TreeBuilder(source).symlink("sub", outside).file("file", "x");
    const before = takeSnapshot(outside);
    await run("move", [`${source}/`, `${target}/`]);
    assertSameTrees(before, outside);
    expect(readlinkSync(join(target, "sub"))).toBe(outside);
    expect(existsSync(join(source, "sub"))).toBe(false);
  });

  test("S08 files that serve as temporary names are not gone through either", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const outside = dir.join("outside");
    fillOutside(outside);
    new TreeBuilder(source).sparse("big", 64 << 20, [{ at: 50 << 20, data: "data" }]);
    const part = `.fastsync.${Bun.hash.xxHash3("big").toString(16).padStart(16, "0")}.part`;
    new TreeBuilder(target).symlink(part, join(outside, "file0")).file("big", "old");
    const before = takeSnapshot(outside);
    await mirror(source, target, ["--copy-method", "read_write"]);
    assertSameTrees(before, outside);
    expect(readFileSync(join(target, "big")).length).toBe(64 << 20);
  });
});

describe.skipIf(needsRoot !== undefined)(because("links of other users", needsRoot), () => {
  const theirs = (path: string, text: string): void => {
    symlinkSync(text, path);
    lchownSync(path, ORDINARY_USER, ORDINARY_USER);
  };

  test("S09 B23 a target that is another user's link is refused, the operator's own is followed", async () => {
    using dir = tempDir();
    const { source } = pair(dir);
    new TreeBuilder(source).file("file", "x");
    const outside = dir.join("outside");
    mkdirSync(outside);
    theirs(dir.join("planted"), outside);
    symlinkSync(outside, dir.join("own"));
    await mirror(source, dir.join("planted"), [], { exitCode: 3 });
    await mirror(source, join(dir.join("planted"), "below"), [], { exitCode: 3 });
    expect(takeSnapshot(outside).size).toBe(1);
    await mirror(source, dir.join("own"));
    assertSameTrees(source, outside);
    expect(lstatSync(dir.join("own")).isSymbolicLink()).toBe(true);
  });

  test.each(["--temp-dir", "--backup-dir"])(
    "S09 %s through another user's link is refused, leaf and parent, and nothing is made behind it",
    async (flag) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      new TreeBuilder(source).file("file", "the new one");
      new TreeBuilder(target).file("file", "old").file("extra", "extra");
      const outside = dir.join("outside");
      new TreeBuilder(outside).file("file", "outside");
      const before = takeSnapshot(outside);
      theirs(dir.join("planted"), outside);
      theirs(join(target, "planted"), outside);
      for (const path of [dir.join("planted"), dir.join("planted/below"), "planted", "planted/below"])
        await mirror(source, target, [`${flag}=${path}`, "--exclude=/planted"], { exitCode: 3 });
      assertSameTrees(before, outside);
      expect(readFileSync(join(target, "file"), "utf8")).toBe("old");
    },
  );

  test.each(["--files-from", "--exclude-from", "--include-from"])(
    "S09 %s through another user's link is refused",
    async (flag) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      new TreeBuilder(source).file("file", "x");
      new TreeBuilder(dir.path).file("lists/list", "file\n");
      theirs(dir.join("planted"), "lists/list");
      theirs(dir.join("planted-parent"), "lists");
      symlinkSync("lists", dir.join("own"));
      for (const path of ["planted", "planted-parent/list"]) {
        const result = await mirror(source, target, [`${flag}=${dir.join(path)}`], { exitCode: 1 });
        expect(result.stderr).toContain("another user");
      }
      await mirror(source, target, [`${flag}=${dir.join("own/list")}`]);
    },
  );

  test("S09 a per-directory filter file that is a link is not read", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(dir.path).file("secret", "- kept-by-the-secret\n");
    new TreeBuilder(source).file("kept-by-the-secret", "x").symlink(".rules", dir.join("secret"));
    const result = await mirror(source, target, ["--filter=dir-merge .rules"]);
    expect(existsSync(join(target, "kept-by-the-secret"))).toBe(true);
    expect(result.stderr).not.toContain("kept-by-the-secret");
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("layouts that are meant", behavioursMissing), () => {
  test("S10 source and target given by links with and without a slash, relative, with .. and through a linked parent", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path)
      .file("real/data/file", "x")
      .file("real/data/sub/deep", "y")
      .symlink("data", "real/data")
      .symlink("linked", "real")
      .dir("disk/backup")
      .symlink("backup", "disk/backup")
      .dir("here/below");
    const options = { cwd: dir.join("here/below") };
    const expected = dir.join("real/data");
    for (const from of [
      "../../data/",
      "../../linked/data/",
      "../../here/../data/",
      `${dir.join("data")}/`,
      "../../real/./data/.",
    ]) {
      await run("mirror", ["--yes", from, "../../backup"], options);
      assertSameTrees(expected, dir.join("disk/backup"));
      await run("mirror", ["--yes", from, "../../linked/new"], options);
      assertSameTrees(expected, dir.join("real/new"));
    }
    /* Without a slash a link is an entry of its own. */
    await run("mirror", ["--yes", "../../data", "../../entries/"], options);
    expect(readlinkSync(dir.join("entries/data"))).toBe("real/data");
  });

  test("S10 links inside the tree, to siblings and above, arrive as they are and stay out of the way", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("shared/lib/a", "a")
      .symlink("app/lib", "../shared/lib")
      .symlink("app/self", ".")
      .symlink("up", "..")
      .symlink("absolute", source);
    await mirror(source, target);
    assertSameTrees(source, target);
    const again = await mirror(source, target);
    expect(again.summary["files_transferred"]).toBe(0);
    expect(itemsOf(again)).toEqual([]);
  });

  test("S10 --copy-links goes through links inside the tree and out of it", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(dir.path).file("outside/file", "outside");
    new TreeBuilder(source).file("shared/lib/a", "a").symlink("lib", "shared/lib").symlink("out", "../outside");
    await mirror(source, target, ["--copy-links"]);
    expect(readFileSync(join(target, "lib/a"), "utf8")).toBe("a");
    expect(readFileSync(join(target, "out/file"), "utf8")).toBe("outside");
    expect(lstatSync(join(target, "lib")).isSymbolicLink()).toBe(false);
  });

  test("S10 --temp-dir, --backup-dir and lists through links of one's own", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("file", "the new one");
    new TreeBuilder(target).file("file", "old").file("extra", "extra");
    new TreeBuilder(dir.path).dir("real/temp").dir("real/kept").symlink("linked", "real");
    await mirror(source, target, [`--temp-dir=${dir.join("linked/temp")}`, `--backup-dir=${dir.join("linked/kept")}`]);
    assertSameTrees(source, target);
    expect(readFileSync(dir.join("real/kept/file"), "utf8")).toBe("old");
    expect(readFileSync(dir.join("real/kept/extra"), "utf8")).toBe("extra");
  });
});
