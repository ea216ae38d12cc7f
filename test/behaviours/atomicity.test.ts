/** Whoever reads a target while it is replaced sees the old or the new file, never a mixture and never none. */
import { expect, setDefaultTimeout } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { startFastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, mirror, ORDINARY, ordinaryDir, ordinaryMissing } from "./behaviour.ts";
import { compilerMissing, startProgram } from "./c/programs.ts";
import { MIB, pair, quickDir, temporariesIn, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

function inodeOf(path: string): bigint {
  return lstatSync(path, { bigint: true }).ino;
}

const reason = behavioursMissing ?? compilerMissing;

describe.skipIf(reason !== undefined)(because("atomicity", reason), () => {
  test.each([
    ["small", 3000, []],
    ["medium", 3 * MIB, []],
    ["large", 50 * MIB, []],
    ["medium, from a temporary directory", 3 * MIB, ["--temp-dir=temp"]],
    ["medium, with a backup", 3 * MIB, ["--backup"]],
    ["medium, by the portable twin", 3 * MIB, ["portable"]],
  ] as const)("B48 %s: a reader sees whole versions only", async (_, size, flags) => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    const portable = flags.some((flag) => flag === "portable");
    const options = { env: { FASTSYNC_NATIVE: portable ? "off" : undefined } };
    const words = flags.filter((flag) => flag !== "portable");
    writeFileSync(join(source, "file"), Buffer.alloc(size, "0"));
    await mirror(source, target, words, options);
    const versions = size > 10 * MIB ? "12" : "1234";
    const notes = dir.join("seen");
    await using watcher = await startProgram("watcher", [join(target, "file"), String(size), notes]);
    const inodes = new Set([inodeOf(join(target, "file"))]);
    for (const version of versions) {
      writeFileSync(join(source, "file"), Buffer.alloc(size, version));
      await mirror(source, target, [...words, "--ignore-times"], options);
      inodes.add(inodeOf(join(target, "file")));
      // On a busy machine the watcher's turn comes late.
      await until(() => readFileSync(notes, "latin1").includes(version), `version ${version}`);
    }
    const [reads, seen, torn, missing] = (await watcher.stop()).split(" ");
    expect({ torn, missing }).toEqual({ torn: "0", missing: "0" });
    expect(Number(reads)).toBeGreaterThan(versions.length);
    expect(seen).toBe(`0${versions}`);
    expect(inodes.size).toBeGreaterThan(1);
  });

  test("B48 --inplace writes into the file: it stays the same inode, for all its names", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("small", "the new one")
      .file("medium", noise(2 * MIB, 1))
      .file("large", noise(50 * MIB, 2));
    new TreeBuilder(target)
      .file("small", "old")
      .file("medium", noise(3 * MIB, 3))
      .file("large", noise(49 * MIB, 4));
    for (const name of ["small", "medium", "large"]) {
      const path = join(target, name);
      const before = inodeOf(path);
      await mirror(join(source), target, ["--inplace"]);
      expect(inodeOf(path)).toBe(before);
    }
    assertSameTrees(source, target);
    for (const name of ["small", "medium", "large"]) {
      const before = inodeOf(join(target, name));
      writeFileSync(join(source, name), "shorter than before");
      await mirror(source, target);
      expect(inodeOf(join(target, name))).not.toBe(before);
    }
    assertSameTrees(source, target);
  });

  test("B48 a new file has no name before it is whole", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    for (const [name, size] of [
      ["medium", 12 * MIB],
      ["large", 50 * MIB],
    ] as const) {
      writeFileSync(join(source, name), noise(size, 1));
      const running = startFastsync(["mirror", "--bwlimit", "50M", `${source}/`, `${target}/`]);
      let done = false;
      void running.result.finally(() => {
        done = true;
      });
      await until(() => {
        const stat = lstatSync(join(target, name), { throwIfNoEntry: false });
        if (stat !== undefined) expect([stat.size, stat.mode & 0o777]).toEqual([size, 0o644]);
        return done;
      }, "the end");
    }
    assertSameTrees(source, target);
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("read-only targets", ordinaryMissing), () => {
  test.each([[[]], [["--inplace"]]] as const)(
    "B52 a target of mode 0444, also in a directory of mode 0555, is updated: %p",
    async (flags) => {
      using dir = ordinaryDir();
      const { source, target } = pair(dir);
      for (const [root, text] of [
        [source, "the new one"],
        [target, "old"],
      ] as const) {
        new TreeBuilder(root)
          .file("file", text, { mode: 0o444 })
          .file("closed/file", text, { mode: 0o444 })
          .file("closed/medium", noise(MIB, text.length), { mode: 0o444 });
        spawnSync("chown", ["-R", "65534:65534", dir.path]);
        chmodSync(join(root, "closed"), 0o555);
      }
      new TreeBuilder(target).file("extra", "x");
      await mirror(source, target, flags, ORDINARY);
      assertSameTrees(source, target);
    },
  );

  test("B52 an --inplace update that was stopped does not leave the target writable", async () => {
    using dir = ordinaryDir("/dev/shm");
    const { source, target } = pair(dir);
    const path = join(target, "file");
    mkdirSync(target);
    for (const size of [24 * MIB, 50 * MIB]) {
      writeFileSync(join(source, "file"), Buffer.alloc(size, "n"));
      Bun.spawnSync(["rm", "-f", path]);
      writeFileSync(path, Buffer.alloc(size, "o"));
      spawnSync("chown", ["-R", "65534:65534", dir.path]);
      chmodSync(path, 0o444);
      const words = ["mirror", "--inplace", "--ignore-times", "--bwlimit", "25M", `${source}/`, `${target}/`];
      const running = startFastsync(words, ORDINARY);
      await until(() => readFileSync(path).includes("n"), "the first new bytes");
      running.kill("SIGTERM");
      expect((await running.result).exitCode).toBe(20);
      expect(lstatSync(path).mode & 0o777).toBe(0o444);
      expect(readFileSync(path).includes("o")).toBe(true);
      await mirror(source, target, ["--inplace", "--ignore-times"], ORDINARY);
      assertSameTrees(source, target, { ignore: ["mode"] });
    }
    expect(existsSync(path)).toBe(true);
    expect(temporariesIn(target)).toEqual([]);
  });

  test("B52 a directory that was opened for a change has its mode back after a stop", async () => {
    using dir = ordinaryDir("/dev/shm");
    const { source, target } = pair(dir);
    for (const root of [source, target]) mkdirSync(join(root, "closed"), { recursive: true });
    writeFileSync(join(source, "closed/file"), noise(24 * MIB, 1));
    spawnSync("chown", ["-R", "65534:65534", dir.path]);
    for (const root of [source, target]) chmodSync(join(root, "closed"), 0o555);
    const running = startFastsync(["mirror", "--bwlimit", "20M", `${source}/`, `${target}/`], ORDINARY);
    await until(() => (lstatSync(join(target, "closed")).mode & 0o200) !== 0, "the open directory");
    await Bun.sleep(100);
    running.kill("SIGTERM");
    expect((await running.result).exitCode).toBe(20);
    expect(lstatSync(join(target, "closed")).mode & 0o777).toBe(0o555);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("descriptors", behavioursMissing), () => {
  test("B48 a run leaves no temporary file behind, whatever it wrote", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    const tree = new TreeBuilder(source);
    for (let i = 0; i < 30; i++)
      tree
        .file(`file${i}`, noise(i * 9000, i))
        .symlink(`link${i}`, `${i}`)
        .special(`fifo${i}`, "fifo");
    await mirror(source, target);
    for (let i = 0; i < 30; i++) writeFileSync(join(source, `file${i}`), noise(i * 9000 + 7, i));
    await mirror(source, target, ["--backup"]);
    expect(temporariesIn(target)).toEqual([]);
  });
});
