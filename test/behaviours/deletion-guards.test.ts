/** What keeps a mirror from wiping its target: each guard holds by itself, and only its own flag lifts it. */
import { expect, setDefaultTimeout } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { describe as describeResult, fastsync, fastsyncOnTerminal } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import {
  because,
  behavioursMissing,
  mirror,
  needsRoot,
  ORDINARY,
  ordinaryDir,
  ordinaryMissing,
  run,
} from "./behaviour.ts";
import { pair } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

function fill(root: string, count: number, prefix = "file"): void {
  const tree = new TreeBuilder(root);
  for (let i = 0; i < count; i++) tree.file(`${prefix}${i}`, `${prefix} ${i}`);
}

describe.skipIf(behavioursMissing !== undefined)(because("guards", behavioursMissing), () => {
  test("B42 more deletions than --max-delete: exit 25, none is made, the copies are", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 3);
    fill(target, 5, "extra");
    const { summary } = await mirror(source, target, ["--max-delete=2"], { exitCode: 25 });
    expect(summary).toMatchObject({ exit_reason: "deletion_refused", files_deleted: 0, files_transferred: 3 });
    for (let i = 0; i < 5; i++) expect(existsSync(join(target, `extra${i}`))).toBe(true);
    assertSameTrees(source, target, { except: (path) => path === "" || path.startsWith("extra") });
    await mirror(source, target, ["--max-delete=5"]);
    assertSameTrees(source, target);
  });

  test("B42 --max-delete as a share of the target, and 0", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 6);
    await mirror(source, target);
    fill(target, 4, "extra");
    await mirror(source, target, ["--max-delete=0"], { exitCode: 25 });
    await mirror(source, target, ["--max-delete=39%"], { exitCode: 25 });
    expect(takeSnapshot(target).size).toBe(11);
    await mirror(source, target, ["--max-delete=40%"]);
    assertSameTrees(source, target);
  });

  test("B42 over 100 and over half of the target needs --max-delete; one of both alone does not", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 100);
    await mirror(source, target);
    fill(target, 101, "extra");
    const refused = await mirror(source, target, [], { exitCode: 25 });
    expect(refused.stderr).toContain("--max-delete 101");
    expect(takeSnapshot(target, { content: false }).size).toBe(202);
    /* As many that stay: no longer over half. */
    for (const root of [source, target]) new TreeBuilder(root).file("one-more", "x");
    await mirror(source, target);
    assertSameTrees(source, target);
    /* A few files may all be replaced by others. */
    for (const root of [source, target]) rmSync(root, { recursive: true });
    fill(source, 1);
    fill(target, 100, "extra");
    await mirror(source, target);
    assertSameTrees(source, target);
  });

  test("B42 what is below a directory counts, not the directory alone", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 10);
    fill(join(target), 10);
    mkdirSync(join(target, "extra"));
    fill(join(target, "extra"), 200);
    const before = takeSnapshot(join(target, "extra"));
    await mirror(source, target, [], { exitCode: 25 });
    assertSameTrees(before, join(target, "extra"));
    await mirror(source, target, ["--max-delete=200"], { exitCode: 25 });
    await mirror(source, target, ["--max-delete=201"]);
    assertSameTrees(source, target);
  });

  test("B43 an empty source does not empty the target, whichever way it is written", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(target, 3);
    fill(join(target), 3);
    const before = takeSnapshot(target);
    const refused = await mirror(source, target, [], { exitCode: 25 });
    expect(refused.stderr).toContain("--allow-empty-source");
    assertSameTrees(before, target, { except: (path) => path === "" });
    await run("mirror", ["--yes", "--max-delete=100%", `${source}/.`, target], { exitCode: 25 });
    assertSameTrees(before, target, { except: (path) => path === "" });
    await mirror(source, target, ["--allow-empty-source"]);
    expect(takeSnapshot(target).size).toBe(1);
  });

  test("B43 an empty source given without a slash does not empty its place in the target", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    mkdirSync(target);
    mkdirSync(join(target, "source"));
    fill(join(target, "source"), 3);
    const before = takeSnapshot(join(target, "source"));
    await run("mirror", ["--yes", source, `${target}/`], { exitCode: 25 });
    assertSameTrees(before, join(target, "source"), { except: (path) => path === "" });
    await run("mirror", ["--yes", "--allow-empty-source", source, `${target}/`]);
    expect(takeSnapshot(join(target, "source")).size).toBe(1);
  });

  test("B43 a source that filters leave empty, or that is missing, deletes nothing", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 3);
    fill(target, 3, "extra");
    const before = takeSnapshot(target);
    await mirror(source, target, ["--exclude=file*"], { exitCode: 25 });
    await mirror(dir.join("missing"), target, [], { exitCode: 3 });
    await mirror(join(source, "file0"), target, [], { exitCode: 3 });
    assertSameTrees(before, target, { except: (path) => path === "" });
  });

  test("B41 unattended and without --yes: copies are made, nothing is deleted, exit 25 names --yes", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 3);
    fill(target, 2, "extra");
    const result = await fastsync(["mirror", `${source}/`, `${target}/`]);
    if (result.exitCode !== 25) throw new Error(describeResult(result));
    expect(result.stderr).toContain("--yes");
    expect(existsSync(join(target, "extra1"))).toBe(true);
    assertSameTrees(source, target, { except: (path) => path === "" || path.startsWith("extra") });
    /* Nothing to delete: nothing to ask. */
    await mirror(source, target);
    expect((await fastsync(["mirror", `${source}/`, `${target}/`])).exitCode).toBe(0);
  });

  test.each([
    ["n\n", 25],
    ["\n", 25],
    ["\u0004", 25],
    ["yes please\n", 25],
    ["y\n", 0],
    ["YES\n", 0],
  ])("B41 the question on a terminal, answered by %j, ends in exit %d", async (reply, exitCode) => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source, 3);
    fill(target, 2, "extra");
    const answers = [{ prompt: "Delete? [y/N]", reply }];
    const result = await fastsyncOnTerminal(["mirror", `${source}/`, `${target}/`], answers);
    expect(result.output).toContain("2 entries of 2");
    expect(result.output).toContain("extra0");
    expect([result.exitCode, existsSync(join(target, "extra0"))]).toEqual([exitCode, exitCode === 25]);
    expect(readFileSync(join(target, "file0"), "utf8")).toBe("file 0");
  });

  test("B46 places that overlap are refused before anything is touched", async () => {
    using dir = tempDir();
    const tree = new TreeBuilder(dir.path)
      .file("a/sub/file", "x")
      .file("a/file", "x")
      .symlink("link", "a")
      .file("b/b", "x");
    tree.finish();
    const before = takeSnapshot(dir.path);
    const path = (name: string) => dir.join(name);
    for (const words of [
      ["mirror", `${path("a")}/`, `${path("a")}/`],
      ["mirror", `${path("a")}/`, path("link")],
      ["mirror", `${path("link")}/`, `${path("a")}/.`],
      ["mirror", `${path("a")}/`, path("a/sub")],
      ["mirror", `${path("a")}/`, path("a/new/deep")],
      ["mirror", `${path("a/sub")}/`, path("a")],
      ["mirror", `${path("a/sub")}/`, path("link")],
      ["mirror", path("a"), path("")],
      ["move", `${path("a")}/`, path("a")],
      ["move", `${path("a")}/`, path("a/sub")],
      ["move", `${path("a")}/`, path("a/new")],
      ["move", path("a"), path("a/sub/")],
      ["move", path("a"), path("")],
      ["move", path("a/file"), path("a/file")],
      ["move", path("a/file"), path("link")],
      ["copy", `${path("a")}/`, path("a")],
      ["copy", path("a/file"), path("link/file")],
    ]) {
      const result = await fastsync([...words.slice(0, 1), "--yes", ...words.slice(1)]);
      if (result.exitCode !== 3) throw new Error(`${words.join(" ")}\n${describeResult(result)}`);
      assertSameTrees(before, dir.path);
    }
  });

  test("B46 a target below the source that a filter leaves out is taken", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path).file("a/file", "x").file("a/backup/old", "x");
    await run("mirror", ["--yes", "--exclude=/backup", `${dir.join("a")}/`, dir.join("a/backup")]);
    expect([...takeSnapshot(dir.join("a/backup")).keys()]).toEqual(["", "file"]);
    expect(existsSync(dir.join("a/file"))).toBe(true);
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("guards of an ordinary user", ordinaryMissing), () => {
  test("B43 a directory of the source that cannot be read disables every deletion of the run", async () => {
    using dir = ordinaryDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("denied/file", "x").file("open/file", "x");
    new TreeBuilder(target).file("denied/file", "x").file("open/extra", "x").file("extra", "x");
    spawnSync("chown", ["-R", "65534:65534", dir.path]);
    chmodSync(join(source, "denied"), 0);
    const { summary, stderr } = await mirror(source, target, ["--max-delete=100%"], { ...ORDINARY, exitCode: 23 });
    expect(summary).toMatchObject({ files_deleted: 0, files_failed: 1 });
    expect(stderr).toContain("nothing is deleted");
    for (const path of ["denied/file", "open/extra", "extra", "open/file"])
      expect(existsSync(join(target, path))).toBe(true);
    /* A directory that may be listed but not searched hides its entries, too. */
    chmodSync(join(source, "denied"), 0o400);
    await mirror(source, target, [], { ...ORDINARY, exitCode: 23 });
    expect(existsSync(join(target, "extra"))).toBe(true);
    chmodSync(join(source, "denied"), 0o700);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });

  test("B43 a file of the source that cannot be read keeps its older copy", async () => {
    using dir = ordinaryDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("denied", "the new one").file("file", "x");
    new TreeBuilder(target).file("denied", "old");
    spawnSync("chown", ["-R", "65534:65534", dir.path]);
    chmodSync(join(source, "denied"), 0);
    const result = await mirror(source, target, [], { ...ORDINARY, exitCode: 23 });
    expect(result.events).toContainEqual(
      expect.objectContaining({ type: "error", code: "permission", path: "denied" }),
    );
    expect(readFileSync(join(target, "denied"), "utf8")).toBe("old");
    expect(readFileSync(join(target, "file"), "utf8")).toBe("x");
  });

  test.each([[[]], [["--no-times"]], [["--no-dir-times"]]] as const)(
    "B41 a read-only directory of the target gives up its extras and keeps its mode %p",
    async (flags) => {
      using dir = ordinaryDir();
      const { source, target } = pair(dir);
      new TreeBuilder(source).file("both/file", "x");
      new TreeBuilder(target)
        .file("both/extra", "x")
        .file("mine/extra", "x")
        .file("mine/kept.log", "x")
        .file("gone/extra", "x");
      spawnSync("chown", ["-R", "65534:65534", dir.path]);
      for (const path of [join(source, "both"), join(target, "both"), join(target, "mine"), join(target, "gone")])
        chmodSync(path, 0o555);
      await mirror(source, target, ["--exclude=*.log", ...flags], ORDINARY);
      expect([...takeSnapshot(target).keys()]).toEqual(["", "both", "both/file", "mine", "mine/kept.log"]);
      expect([lstatSync(join(target, "both")).mode & 0o777, lstatSync(join(target, "mine")).mode & 0o777]).toEqual([
        0o555, 0o555,
      ]);
    },
  );

  test("B43 a target directory that cannot be entered is a failure by name, with all that is below it left out", async () => {
    using dir = ordinaryDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("denied/a/b/file", "x").file("denied/c/file", "x").file("file", "x");
    mkdirSync(target);
    spawnSync("chown", ["-R", "65534:65534", dir.path]);
    mkdirSync(join(target, "denied"), { mode: 0o700 });
    const { summary } = await mirror(source, target, [], { ...ORDINARY, exitCode: needsRoot === undefined ? 23 : 0 });
    if (needsRoot === undefined) expect(summary).toMatchObject({ files_failed: 1, files_transferred: 1 });
    expect(readFileSync(join(target, "file"), "utf8")).toBe("x");
  });
});

const mountMissing = needsRoot ?? canMount("tmpfs") ?? canMount("xfs");
describe.skipIf(mountMissing !== undefined)(because("mounts", mountMissing), () => {
  test.each([[[]], [["--one-file-system"]], [["--max-delete=100%"]]] as const)(
    "B44 a filesystem mounted inside the target is neither entered nor removed: %p",
    async (flags) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      fill(source, 2);
      new TreeBuilder(target).dir("extra/mounted").dir("mounted").file("extra/file", "x");
      await using deep = await mountFilesystem("tmpfs", "1M");
      await using top = await mountFilesystem("tmpfs", "1M");
      const places = [join(target, "extra/mounted"), join(target, "mounted")];
      [deep, top].forEach((filesystem, index) => {
        new TreeBuilder(filesystem.path).file("precious", "x");
        expect(spawnSync("mount", ["--bind", filesystem.path, places[index]!]).status).toBe(0);
      });
      try {
        const { summary } = await mirror(source, target, flags);
        for (const place of places) expect(readFileSync(join(place, "precious"), "utf8")).toBe("x");
        expect(existsSync(join(target, "extra/file"))).toBe(false);
        expect(summary["skipped"]).toMatchObject({ mount_in_target: 2 });
      } finally {
        for (const place of places) spawnSync("umount", [place]);
      }
    },
  );

  test("B44 files of an overlay are no mounts, though its layers are on different filesystems; a mounted file is one", async () => {
    using dir = tempDir();
    await using lower = await mountFilesystem("tmpfs", "4M");
    await using upper = await mountFilesystem("xfs", "300M");
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("keep", "x").file("d/keep", "x");
    new TreeBuilder(lower.path).file("keep", "x").file("d/keep", "x").file("d/gone", "x").file("gone", "x");
    new TreeBuilder(lower.path).file("mounted", "x");
    new TreeBuilder(upper.path).dir("upper").dir("work").file("other", "precious");
    mkdirSync(target);
    const layers = `lowerdir=${lower.path},upperdir=${upper.path}/upper,workdir=${upper.path}/work,xino=off`;
    expect(spawnSync("mount", ["-t", "overlay", "-o", layers, "overlay", target]).status).toBe(0);
    try {
      expect(spawnSync("mount", ["--bind", join(upper.path, "other"), join(target, "mounted")]).status).toBe(0);
      const devices = ["d", "d/gone"].map((name) => lstatSync(join(target, name)).dev);
      expect(devices[0]).not.toBe(devices[1]!);
      const { summary } = await mirror(source, target, ["--one-file-system"]);
      expect(summary["files_deleted"]).toBe(2);
      expect(summary["skipped"]).toEqual({ mount_in_target: 1 });
      expect([...takeSnapshot(target, { content: false }).keys()].sort()).toEqual([
        "",
        "d",
        "d/keep",
        "keep",
        "mounted",
      ]);
      expect(readFileSync(join(target, "mounted"), "utf8")).toBe("precious");
      const back = dir.join("back");
      await mirror(target, back, ["--one-file-system", "--exclude=mounted"]);
      expect([...takeSnapshot(back).keys()].sort()).toEqual(["", "d", "d/keep", "keep"]);
    } finally {
      spawnSync("umount", [join(target, "mounted")]);
      spawnSync("umount", [target]);
    }
  });

  test("B44 B46 a second path of a directory, by a bind mount, is known for what it is", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path).file("a/source/file", "x").file("a/source/sub/inside", "x").file("a/other", "x");
    const [above, target] = [dir.join("a"), dir.join("target")];
    const source = join(above, "source");
    mkdirSync(target);
    const before = takeSnapshot(above);
    const alias = async (of: string, words: readonly string[], exitCode: number): Promise<void> => {
      expect(spawnSync("mount", ["--bind", of, target]).status).toBe(0);
      try {
        const result = await fastsync(words);
        if (result.exitCode !== exitCode) throw new Error(`${words.join(" ")}\n${describeResult(result)}`);
      } finally {
        spawnSync("umount", [target]);
      }
    };
    await alias(above, ["mirror", "--yes", `${source}/`, target], 3);
    await alias(above, ["mirror", "--yes", source, `${target}/`], 3);
    await alias(source, ["mirror", "--yes", `${source}/`, target], 3);
    await alias(source, ["move", `${source}/`, target], 3);
    assertSameTrees(before, above);
    /* Below the source it shows only during the walk: copies are made, nothing is deleted. */
    await alias(join(source, "sub"), ["mirror", "--yes", `${source}/`, target], 25);
    expect(readFileSync(join(source, "sub/inside"), "utf8")).toBe("x");
  });
});
