/** Files with several names: one inode in the target as in the source, sent once, whatever the batches and workers. */
import { expect } from "bun:test";
import { linkSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { lstat } from "../support/libc.ts";
import { fastsync } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, expectNothingDone, mirror, onEachFilesystem, run, touched } from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const DEEP = "a/b/c/d/e/f/g/h";
const MIB = 1 << 20;

function buildGroups(root: string): void {
  new TreeBuilder(root)
    .file(`${DEEP}/first`, noise(70_000, 1), { mode: 0o640, mtimeNs: 1_000_000_001n, xattrs: { "user.x": "1" } })
    .hardlink("z/y/x/second", `${DEEP}/first`)
    .hardlink("third", `${DEEP}/first`)
    .file("alone", noise(70_000, 1), { mtimeNs: 1_000_000_001n })
    .symlink("a/link", "third", { mtimeNs: 3n })
    .hardlink("z/link", "a/link")
    .finish();
}

const names = (root: string, ...paths: string[]) => paths.map((path) => lstat(`${root}/${path}`));

onEachFilesystem("hard links", ({ scratch }) => {
  test("B20 names in different deep directories are one inode, and are not without hard links", async () => {
    using dir = scratch();
    const [source, target, other] = [dir.join("source"), dir.join("target"), dir.join("other")];
    buildGroups(source);
    const { summary } = await mirror(source, target);
    const [first, second, third, alone] = names(target, `${DEEP}/first`, "z/y/x/second", "third", "alone");
    expect([second!.ino, third!.ino]).toEqual([first!.ino, first!.ino]);
    expect([first!.nlink, alone!.nlink]).toEqual([3, 1]);
    expect(alone!.ino).not.toBe(first!.ino);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ linked: 3, bytes_logical: 140_000 });

    await mirror(source, other, ["--no-hard-links"]);
    const apart = names(other, `${DEEP}/first`, "z/y/x/second", "third", "a/link", "z/link");
    expect(new Set(apart.map((stat) => stat.ino)).size).toBe(5);
    expect(apart.map((stat) => stat.nlink)).toEqual([1, 1, 1, 1, 1]);
    assertSameTrees(source, other, { ignore: ["group"] });
    expectNothingDone(await mirror(source, other, ["--no-hard-links"]));
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("hard link groups", behavioursMissing), () => {
  test("B21 groups over many batches, directories and workers; each content is sent once", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const tree = new TreeBuilder(source);
    const [groups, size] = [150, 1000];
    for (let i = 0; i < groups; i++) tree.file(`d${i % 7}/file${i}`, noise(size, i + 1), { mtimeNs: BigInt(i) });
    for (let i = 0; i < groups; i++)
      for (let j = 1; j <= 4; j++) tree.hardlink(`d${(i + j) % 7}/deep/link${i}-${j}`, `d${i % 7}/file${i}`);
    tree.file("wide/file", "", { mtimeNs: 1n });
    for (let i = 0; i < 300; i++) tree.hardlink(`wide/name${i}`, "wide/file");
    tree.finish();
    const { summary } = await mirror(source, target, ["--workers", "8"]);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({
      created: groups + 1,
      linked: groups * 4 + 300,
      bytes_transferred: groups * size,
      bytes_logical: groups * size,
    });
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target, ["--workers", "8"]));
    expect(touched(before, target)).toEqual([]);
  });

  test("B21 a split file with several names is sent once", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source)
      .file("b/large", noise(49 * MIB, 5), { mtimeNs: 5n })
      .hardlink("a/name", "b/large")
      .hardlink("c/name", "b/large")
      .finish();
    const { summary } = await mirror(source, target, ["--copy-method", "read_write"]);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ created: 1, linked: 2, bytes_transferred: 49 * MIB });
  });

  test("B21 a member that is there already is kept, and missing ones are linked to it without data", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildGroups(source);
    await mirror(source, target);
    /* The first name by order stays: then its directory is sure to be compared with it in place. */
    for (const path of ["z/y/x/second", "z/link"]) rmSync(`${target}/${path}`);
    const { summary } = await mirror(source, target);
    assertSameTrees(source, target);
    expect(Number(summary["linked"]) + Number(summary["created"])).toBeGreaterThanOrEqual(2);
  });

  test("B21 names that were apart become one", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("x/one", "same", { mtimeNs: 9n }).file("y/two", "same", { mtimeNs: 9n }).finish();
    await mirror(source, target);
    rmSync(`${source}/y/two`);
    new TreeBuilder(source).hardlink("y/two", "x/one").finish();
    await mirror(source, target);
    assertSameTrees(source, target);
  });

  /* Equal files may go on sharing an inode in the target; what is then done to one must not reach the other. */
  for (const { change, flags } of [
    { change: { text: "same", mode: 0o600, mtimeNs: 9n }, flags: [] },
    { change: { text: "same", mode: 0o600, mtimeNs: 9n }, flags: ["--checksum"] },
    { change: { text: "else", mode: 0o644, mtimeNs: 9n }, flags: ["--checksum", "--inplace"] },
    { change: { text: "longer than before", mode: 0o644, mtimeNs: 10n }, flags: [] },
    { change: { text: "longer than before", mode: 0o644, mtimeNs: 10n }, flags: ["--inplace"] },
  ])
    test(`B21 names that were one come apart before one is changed: ${change.text} ${change.mode.toString(8)} ${flags}`, async () => {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      const names = ["a/0", "x/one", "z/2"];
      const tree = new TreeBuilder(source).file("x/one", "same", { mode: 0o644, mtimeNs: 9n });
      tree.hardlink("a/0", "x/one").hardlink("z/2", "x/one").finish();
      await mirror(source, target);
      rmSync(source, { recursive: true });
      const apart = new TreeBuilder(source);
      for (const name of names) apart.file(name, "same", { mode: 0o644, mtimeNs: 9n });
      const { text, ...attributes } = change;
      apart.file("x/one", text, attributes).finish();
      const { exitCode } = await mirror(source, target, flags);
      expect(exitCode).toBe(0);
      assertSameTrees(source, target, { ignore: ["group"] });
      expect(lstat(`${target}/x/one`).nlink).toBe(1);
    });

  test("B21 a change of content reaches all names and keeps them together, by each comparison", async () => {
    for (const flags of [[], ["--checksum"], ["--inplace"], ["--checksum", "--inplace"], ["--ignore-times"]]) {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildGroups(source);
      await mirror(source, target);
      const mtimeNs = flags.includes("--checksum") ? 1_000_000_001n : 2_000_000_002n;
      new TreeBuilder(source).file("third", noise(70_000, 99), { mode: 0o640, mtimeNs }).finish();
      const { summary } = await mirror(source, target, ["--copy-method", "read_write", ...flags]);
      assertSameTrees(source, target);
      if (flags[0] !== "--ignore-times") expect(summary["bytes_transferred"]).toBe(70_000);
    }
  });

  test("B21 of an excluded first name the others still form a group", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildGroups(source);
    await mirror(source, target, ["--exclude", "/a"]);
    const [second, third] = names(target, "z/y/x/second", "third");
    expect([second!.ino, second!.nlink]).toEqual([third!.ino, 2]);
  });

  test("B21 single-file arguments that are names of one inode", async () => {
    using dir = tempDir();
    buildGroups(dir.join("source"));
    const words = [`source/${DEEP}/first`, "source/third", "source/alone", "target/"];
    const { summary } = await run("copy", words, { cwd: dir.path });
    const [first, third, alone] = names(dir.join("target"), "first", "third", "alone");
    expect([first!.ino, first!.nlink, alone!.nlink]).toEqual([third!.ino, 2, 1]);
    expect(summary).toMatchObject({ files_failed: 0, linked: 1 });
  });

  test("B21 a single file of several names arrives, alone", async () => {
    using dir = tempDir();
    buildGroups(dir.join("source"));
    await run("copy", ["source/third", "one"], { cwd: dir.path });
    assertSameTrees(dir.join("source/third"), dir.join("one"));
    expect(lstat(dir.join("one")).nlink).toBe(1);
    const again = await run("copy", ["source/third", "one"], { cwd: dir.path });
    expectNothingDone(again);
  });
});

const cannotMount = behavioursMissing ?? canMount("btrfs-few-links");

describe.skipIf(cannotMount !== undefined)(because("hard links refused", cannotMount), () => {
  const NAMES = 3000;
  const nameOf = (i: number): string => `name${String(i).padStart(5, "0")}`;

  /** How many names of such a length an inode can have in one directory. */
  function mostNames(directory: string): number {
    mkdirSync(directory);
    writeFileSync(`${directory}/${nameOf(0)}`, "");
    for (let i = 1; i < NAMES; i++) {
      try {
        linkSync(`${directory}/${nameOf(0)}`, `${directory}/${nameOf(i)}`);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toBe("EMLINK");
        return i;
      }
    }
    throw new Error("as many as are asked for");
  }

  test("B22 names that the filesystem refuses to link are copied and counted, and the run succeeds", async () => {
    await using few = await mountFilesystem("btrfs-few-links", "128M");
    using dir = tempDir("/dev/shm");
    const most = mostNames(`${few.path}/reference`);
    const tree = new TreeBuilder(dir.join("source")).file(`d/${nameOf(0)}`, "content", { mtimeNs: 5n });
    for (let i = 1; i < NAMES; i++) tree.hardlink(`d/${nameOf(i)}`, `d/${nameOf(0)}`);
    const target = `${few.path}/target`;
    /* Not through --json: a line for each name says nothing more. */
    const result = await fastsync(["mirror", "--yes", `${dir.join("source")}/`, target]);
    expect([result.exitCode, result.stderr]).toEqual([0, ""]);
    const copies = (NAMES - most).toLocaleString("en-US");
    expect(result.stdout).toMatch(new RegExp(`^Skipped +${copies} hard links became copies$`, "m"));
    const made = readdirSync(`${target}/d`).sort();
    expect(made.length).toBe(NAMES);
    const links = [made[0], made.at(-1)].map((name) => lstat(`${target}/d/${name}`).nlink);
    expect(links).toEqual([most, 1]);
  });
});
