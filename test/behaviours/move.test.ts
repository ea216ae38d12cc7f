/** A source goes only when its own copy is whole and durable. */
import { expect, setDefaultTimeout } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { PLACEMENT } from "../support/placement.ts";
import { describe as describeResult, fastsync, startFastsync } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { buildVarietyTree } from "../support/variety-tree.ts";
import { because, behavioursMissing, itemsOf, ORDINARY, ordinaryDir, ordinaryMissing, run } from "./behaviour.ts";
import { MIB, pair, quickDir, temporariesIn, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** Within one filesystem names are renamed unless a method is asked for. */
const COPYING = ["--copy-method", "read_write"] as const;

describe.skipIf(behavioursMissing !== undefined)(because("move", behavioursMissing), () => {
  test.each([[[]], [COPYING]] as const)(
    "B46 a whole tree changes its place, with everything it records %p",
    async (flags) => {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildVarietyTree(source);
      const before = takeSnapshot(source);
      const { summary } = await run("move", [...flags, `${source}/`, `${target}/`]);
      assertSameTrees(before, target);
      expect([...takeSnapshot(source).keys()]).toEqual([""]);
      const directories = [...before.values()].filter((entry) => entry.type === "directory").length;
      expect(summary["sources_removed"]).toBe(before.size - directories);
    },
  );

  const reason = canMount("tmpfs");
  test.skipIf(reason !== undefined)(because("B46 the same to another filesystem", reason), async () => {
    using dir = tempDir();
    await using other = await mountFilesystem("tmpfs", "64M");
    const [source, target] = [dir.join("source"), join(other.path, "target")];
    buildVarietyTree(source);
    const before = takeSnapshot(source);
    await run("move", [source, `${other.path}/`]);
    assertSameTrees(before, join(other.path, "source"));
    expect(existsSync(source)).toBe(false);
    expect(existsSync(target)).toBe(false);
  });

  const ramfsMissing = canMount("ramfs");
  test.skipIf(ramfsMissing !== undefined)(
    because("B46 B34 what lacks attributes in the target keeps its source, unless that is accepted", ramfsMissing),
    async () => {
      using dir = tempDir();
      await using other = await mountFilesystem("ramfs", "64M");
      const source = dir.join("source");
      const xattrs = { "user.precious": "precious" };
      new TreeBuilder(source)
        .file("plain", "x")
        .file("with", "y", { xattrs })
        .file("bare/plain", "z")
        .dir("dir", { xattrs })
        .finish();
      const { summary } = await run("move", [`${source}/`, `${other.path}/target/`], { exitCode: 23 });
      expect(summary).toMatchObject({ exit_reason: "attributes", sources_removed: 2, attribute_warnings: 2 });
      expect([...takeSnapshot(source).keys()]).toEqual(["", "dir", "with"]);
      expect(readFileSync(join(other.path, "target/with"), "utf8")).toBe("y");
      await run("move", [`${source}/`, `${other.path}/target/`], { exitCode: 23 });
      expect([...takeSnapshot(source).keys()]).toEqual(["", "dir", "with"]);
      await run("move", ["--no-strict-attrs", `${source}/`, `${other.path}/target/`]);
      expect([...takeSnapshot(source).keys()]).toEqual([""]);
    },
  );

  test("B46 what stands in the target already is compared, and the source goes as well", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("same", "same", { mtimeNs: 5n }).file("newer", "the new one").file("deep/file", "x");
    new TreeBuilder(target).file("same", "same", { mtimeNs: 5n }).file("newer", "old").file("deep/other", "x");
    const before = takeSnapshot(source);
    const { summary } = await run("move", [`${source}/`, `${target}/`]);
    expect(summary).toMatchObject({ unchanged: 1, updated: 1, created: 1, sources_removed: 3 });
    assertSameTrees(before, target, { except: (path) => path === "deep/other" });
    expect([...takeSnapshot(source).keys()]).toEqual([""]);
  });

  test("B46 what is left out stays in the source, with the directories that hold it", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("a/file", "x")
      .file("a/left.log", "x")
      .file("b/deep/left.log", "x")
      .file("c/deep/file", "x")
      .file("large", Buffer.alloc(5000));
    const result = await run("move", ["--exclude=*.log", "--max-size=4K", `${source}/`, `${target}/`]);
    expect([...takeSnapshot(source).keys()]).toEqual([
      "",
      "a",
      "a/left.log",
      "b",
      "b/deep",
      "b/deep/left.log",
      "large",
    ]);
    expect([...takeSnapshot(target).keys()].filter((path) => path.includes("file"))).toEqual(["a/file", "c/deep/file"]);
    expect(result.summary["sources_removed"]).toBe(2);
  });

  test.each([["--ignore-existing"], ["--existing"], ["--update"]])(
    "B46 %s leaves in the source what it does not copy",
    async (flag) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      new TreeBuilder(source).file("there", "the older", { mtimeNs: 5n }).file("new", "x");
      new TreeBuilder(target).file("there", "newer");
      await run("move", [flag, `${source}/`, `${target}/`]);
      expect(existsSync(join(source, "there"))).toBe(flag !== "--existing");
      expect(existsSync(join(source, "new"))).toBe(flag === "--existing");
      expect(readFileSync(join(target, "there"), "utf8")).toBe(flag === "--existing" ? "the older" : "newer");
    },
  );

  test("B46 --dry-run lists and touches neither side", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("a/file", "x").symlink("link", "a");
    const before = takeSnapshot(source);
    const listed = await run("move", ["--dry-run", `${source}/`, `${target}/`]);
    assertSameTrees(before, source);
    expect(existsSync(target)).toBe(false);
    const done = await run("move", [`${source}/`, `${target}/`]);
    const made = (items: readonly string[]) => items.filter((item) => item.startsWith("create"));
    expect(made(itemsOf(listed))).toEqual(made(itemsOf(done)));
  });

  test("B46 several sources and single files go, each on its own", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path).file("one/file", "1").file("two/file", "2").file("three", "3").file("kept", "x");
    await run("move", [dir.join("one"), dir.join("two"), dir.join("three"), `${dir.join("target")}/`]);
    expect([...takeSnapshot(dir.path).keys()]).toEqual([
      "",
      "kept",
      "target",
      "target/one",
      "target/one/file",
      "target/three",
      "target/two",
      "target/two/file",
    ]);
    await run("move", [dir.join("kept"), dir.join("renamed")]);
    expect([existsSync(dir.join("kept")), readFileSync(dir.join("renamed"), "utf8")]).toEqual([false, "x"]);
  });

  test("B46 two names of one file: the target's own is not unlinked", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("file", "x");
    mkdirSync(target);
    spawnSync("ln", [join(source, "file"), join(target, "file")]);
    const result = await fastsync(["move", `${source}/`, `${target}/`]);
    if (![0, 23].includes(result.exitCode)) throw new Error(describeResult(result));
    expect(readFileSync(join(target, "file"), "utf8")).toBe("x");
  });

  test("B46 a source that changes after its copy stays", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    for (let i = 0; i < 40; i++)
      writeFileSync(join(source, `file${String(i).padStart(2, "0")}`), noise(MIB / 4, i + 1));
    const running = startFastsync(["move", ...COPYING, "--bwlimit", "10M", `${source}/`, `${target}/`]);
    await until(() => existsSync(join(target, "file00")) && existsSync(join(target, "file05")), "the first copies");
    writeFileSync(join(source, "file00"), "written after it was copied");
    const result = await running.result;
    expect(readFileSync(join(source, "file00"), "utf8")).toBe("written after it was copied");
    if (result.exitCode !== 23) throw new Error(describeResult(result));
    expect(result.stderr).toContain("file00");
    expect([...takeSnapshot(source).keys()]).toEqual(["", "file00"]);
  });

  test.each(["SIGINT", "SIGKILL"] as const)(
    "B46 %s at any moment: every file is whole on one side at least",
    async (signal) => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      const names = Array.from({ length: 60 }, (_, i) => `d${i % 6}/file${i}`);
      const tree = new TreeBuilder(source);
      names.forEach((name, i) => void tree.file(name, noise(MIB / 8, i + 1)));
      const before = takeSnapshot(source);
      for (const delayMs of [10, 150, 350]) {
        const running = startFastsync(["move", "--yes", ...COPYING, "--bwlimit", "12M", `${source}/`, `${target}/`]);
        await until(() => existsSync(target), "the target");
        await Bun.sleep(delayMs);
        running.kill(signal);
        await running.result;
        const [here, there] = [takeSnapshot(source), takeSnapshot(target)];
        for (const name of names) {
          const want = before.get(name)!.content;
          if (here.get(name)?.content !== want && there.get(name)?.content !== want) throw new Error(`${name} is lost`);
          expect([undefined, want]).toContain(there.get(name)?.content);
        }
      }
      await run("move", [`${source}/`, `${target}/`]);
      /* The directories' own times moved with what was taken out of them. */
      assertSameTrees(before, target, { except: (path, attribute) => attribute === "mtime" && !path.includes("file") });
      expect(temporariesIn(target)).toEqual([]);
      expect([...takeSnapshot(source).keys()]).toEqual([""]);
    },
  );
});

describe.skipIf(ordinaryMissing !== undefined)(because("move of an ordinary user", ordinaryMissing), () => {
  test.each([[[]], [COPYING]] as const)(
    "B46 what could not be copied or removed stays, and is named %p",
    async (flags) => {
      using dir = ordinaryDir();
      const { source, target } = pair(dir);
      new TreeBuilder(source).file("denied", "x").file("kept/file", "x").file("fine/file", "x");
      new TreeBuilder(target).file("full/file", "x");
      spawnSync("chown", ["-R", "65534:65534", dir.path]);
      chmodSync(join(source, "denied"), 0);
      chmodSync(join(source, "kept"), 0o500);
      const result = await run("move", [...flags, `${source}/`, `${target}/`], { ...ORDINARY, exitCode: 23 });
      /* A rename needs no permission of the file's own. */
      if (flags.length > 0 || PLACEMENT !== undefined) expect(lstatSync(join(source, "denied")).size).toBe(1);
      else expect(lstatSync(join(target, "denied")).size).toBe(1);
      expect(readFileSync(join(source, "kept/file"), "utf8")).toBe("x");
      expect(readFileSync(join(target, "kept/file"), "utf8")).toBe("x");
      expect(existsSync(join(source, "fine"))).toBe(false);
      expect(result.events).toContainEqual(
        expect.objectContaining({ type: "error", path: "kept/file", side: "source" }),
      );
    },
  );
});
