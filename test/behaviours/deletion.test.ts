/** A mirror deletes what only the target has, and nothing else. */
import { expect, setDefaultTimeout } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing, itemsOf, mirror, run } from "./behaviour.ts";
import { pair } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const OLD = 1_400_000_000_000_000_000n;

/** Things that only the target has, of every kind and depth; inside a directory that stays, too. */
function addExtras(target: string): string[] {
  new TreeBuilder(target)
    .file("extra", "x")
    .file("kept/extra", "x", { mode: 0o400 })
    .file("kept/inner/extra", "x")
    .symlink("kept/link", "file")
    .special("kept/fifo", "fifo")
    .file("gone/a/b/c/file", "x")
    .dir("gone/a/empty")
    .dir("denied", { mode: 0o500 })
    .finish();
  return [
    "denied",
    "extra",
    "gone",
    "gone/a",
    "gone/a/b",
    "gone/a/b/c",
    "gone/a/b/c/file",
    "gone/a/empty",
    "kept/extra",
    "kept/fifo",
    "kept/inner",
    "kept/inner/extra",
    "kept/link",
  ];
}

function fillSource(source: string): void {
  const tree = new TreeBuilder(source);
  for (let i = 0; i < 12; i++) tree.file(`kept/file${i}`, `file ${i}`, { mtimeNs: OLD });
  tree.dir("kept", { mtimeNs: OLD }).file("top", "top", { mtimeNs: OLD });
  tree.finish();
}

describe.skipIf(behavioursMissing !== undefined)(because("deletion", behavioursMissing), () => {
  test("B41 deep extras go, and the times of directories that stay are the source's", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fillSource(source);
    await mirror(source, target);
    const extras = addExtras(target);
    const result = await mirror(source, target);
    assertSameTrees(source, target);
    expect(itemsOf(result).filter((item) => item.startsWith("delete"))).toEqual(extras.map((path) => `delete ${path}`));
    expect(result.summary["files_deleted"]).toBe(extras.length);
    expect(result.summary["files_transferred"]).toBe(0);
  });

  test("B41 --dry-run prints the very list of the real run and touches nothing", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fillSource(source);
    await mirror(source, target);
    addExtras(target);
    new TreeBuilder(source).file("kept/file3", "changed").file("new/file", "new").symlink("new/link", "file");
    const [before, sourceBefore] = [takeSnapshot(target), takeSnapshot(source)];
    const listed = await mirror(source, target, ["--dry-run"]);
    assertSameTrees(before, target);
    assertSameTrees(sourceBefore, source);
    const done = await mirror(source, target);
    assertSameTrees(source, target);
    expect(itemsOf(listed)).toEqual(itemsOf(done));
    for (const count of ["files_transferred", "files_deleted", "created", "updated", "directories_created"])
      expect([count, listed.summary[count]]).toEqual([count, done.summary[count]]);
    expect(listed.summary["bytes_transferred"]).toBe(0);
  });

  test("B41 copy and move delete nothing that only the target has", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fillSource(source);
    mkdirSync(target);
    const extras = addExtras(target);
    await run("copy", [`${source}/`, `${target}/`]);
    await run("move", ["--yes", `${source}/`, `${target}/`]);
    for (const path of extras) expect(lstatSync(join(target, path))).toBeDefined();
    expect(existsSync(join(source, "kept"))).toBe(false);
  });

  test("B41 mirror of a source without a slash deletes below its own place only", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fillSource(source);
    new TreeBuilder(target).file("beside/file", "x").file("source/extra", "x");
    await run("mirror", ["--yes", source, `${target}/`]);
    assertSameTrees(source, join(target, "source"));
    expect(readFileSync(join(target, "beside/file"), "utf8")).toBe("x");
  });

  test("B45 a file takes the place of a directory that is not empty only in a mirror", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("a", "now a file").file("b", "now a file").symlink("c", "a").file("later", "x");
    new TreeBuilder(target).file("a/full", "x").dir("b").file("c/deep/full", "x");
    const copied = await run("copy", [`${source}/`, `${target}/`], { exitCode: 23 });
    expect(
      copied.events.filter((event) => event.type === "error").map((event) => [event["code"], event["path"]]),
    ).toEqual([
      ["not_empty", "a"],
      ["not_empty", "c"],
    ]);
    expect(readFileSync(join(target, "a/full"), "utf8")).toBe("x");
    expect(readFileSync(join(target, "b"), "utf8")).toBe("now a file");
    expect(readFileSync(join(target, "later"), "utf8")).toBe("x");
    await mirror(source, target);
    assertSameTrees(source, target);
  });

  test("B45 a directory takes the place of a file, and a file of a link, without going through it", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("was-file/inside", "x")
      .file("was-fifo/inside", "x")
      .file("was-link", "now a file")
      .special("was-link-too", "fifo")
      .symlink("was-file-too", "x");
    new TreeBuilder(target)
      .file("was-file", "x")
      .special("was-fifo", "fifo")
      .file("pointed-at", "stays")
      .symlink("was-link", "pointed-at")
      .symlink("was-link-too", "pointed-at")
      .file("was-file-too", "x");
    await run("copy", [`${source}/`, `${target}/`]);
    assertSameTrees(source, target, { except: (path) => path === "pointed-at" });
    expect(readFileSync(join(target, "pointed-at"), "utf8")).toBe("stays");
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("backups", behavioursMissing), () => {
  /** A target whose every entry is going to be replaced or deleted. */
  function build(source: string, target: string): void {
    new TreeBuilder(source).file("file", "the new one").symlink("link", "new").file("deep/file", "the new one");
    new TreeBuilder(target)
      .file("file", "old", { mode: 0o640, mtimeNs: OLD })
      .symlink("link", "old")
      .file("deep/file", "old")
      .file("extra/inside", "extra")
      .special("fifo", "fifo")
      .symlink("extra-link", "nowhere");
  }

  test("B47 --backup keeps what is replaced and what is deleted beside it, and the next mirror does not delete it", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source, target);
    const before = takeSnapshot(target);
    await mirror(source, target, ["--backup"]);
    expect(readFileSync(join(target, "file"), "utf8")).toBe("the new one");
    const after = takeSnapshot(target);
    for (const path of ["file", "link", "deep/file", "fifo", "extra-link"]) {
      const kept = after.get(`${path}~`)!;
      const was = before.get(path)!;
      expect([kept.type, kept.mode, kept.content, kept.link, kept.mtimeNs]).toEqual([
        was.type,
        was.mode,
        was.content,
        was.link,
        was.mtimeNs,
      ]);
    }
    expect(readFileSync(join(target, "extra/inside~"), "utf8")).toBe("extra");
    await mirror(source, target, ["--backup"]);
    expect(readFileSync(join(target, "file~"), "utf8")).toBe("old");
    expect(readFileSync(join(target, "extra/inside~"), "utf8")).toBe("extra");
  });

  test.each(["kept", "kept//by//date/", "absolute"])(
    "B47 --backup-dir=%s takes what is replaced and deleted, by its path",
    async (where) => {
      using dir = tempDir();
      const { source, target } = pair(dir);
      build(source, target);
      const before = takeSnapshot(target);
      const backups = where === "absolute" ? dir.join("absolute") : join(target, where);
      await mirror(source, target, [`--backup-dir=${where === "absolute" ? backups : where}`]);
      assertSameTrees(source, target, { except: (path) => path === "" || path.startsWith("kept") });
      assertSameTrees(before, backups, {
        except: (path, attribute) =>
          path === "" || (attribute !== "content" && lstatSync(join(backups, path)).isDirectory()),
      });
      /* Neither a second run deletes the backups, nor is there anything to do. */
      const again = await mirror(source, target, [`--backup-dir=${where === "absolute" ? backups : where}`]);
      expect(again.summary).toMatchObject({ files_deleted: 0, files_transferred: 0 });
      expect(readFileSync(join(backups, "file"), "utf8")).toBe("old");
    },
  );

  test.each(["--backup", "--backup-dir=old"])("B47 B20 %s keeps what becomes a name of another file", async (flag) => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("a", "new").hardlink("d/b", "a").hardlink("d/there", "a").finish();
    new TreeBuilder(target).file("d/b", "the old one").symlink("d/there", "elsewhere").finish();
    await mirror(source, target, [flag]);
    const names = ["a", "d/b", "d/there"].map((name) => lstatSync(join(target, name)).ino);
    expect(new Set(names).size).toBe(1);
    const at = (name: string): string => (flag === "--backup" ? `${name}~` : `old/${name}`);
    expect(readFileSync(join(target, at("d/b")), "utf8")).toBe("the old one");
    expect(readlinkSync(join(target, at("d/there")))).toBe("elsewhere");
  });

  test("B47 --backup-dir has no directories in which nothing is kept, but those that were there", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source)
      .file("a/b/c/new", "new")
      .file("a/changed", "new")
      .file("there/new", "new")
      .file("x/y", "new");
    new TreeBuilder(target).file("a/changed", "the old one").dir("old/there");
    await mirror(source, target, ["--backup-dir=old"]);
    assertSameTrees(source, target, { except: (path) => path === "" || path.startsWith("old") });
    expect([...takeSnapshot(join(target, "old")).keys()].sort()).toEqual(["", "a", "a/changed", "there"]);
  });

  const reason = canMount("tmpfs");
  test.skipIf(reason !== undefined)(because("B47 --backup-dir on another filesystem", reason), async () => {
    using dir = tempDir();
    await using other = await mountFilesystem("tmpfs", "16M");
    const { source, target } = pair(dir);
    build(source, target);
    const before = takeSnapshot(target);
    await mirror(source, target, [`--backup-dir=${other.path}/kept`]);
    assertSameTrees(source, target);
    assertSameTrees(before, `${other.path}/kept`, {
      except: (path, attribute) =>
        path === "" || (attribute !== "content" && lstatSync(join(other.path, "kept", path)).isDirectory()),
    });
  });

  test("B47 with --backup a file that takes the place of a full directory keeps what was inside", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("a", "now a file");
    new TreeBuilder(target).file("a/inside", "kept");
    await mirror(source, target, ["--backup-dir=old"]);
    expect(readFileSync(join(target, "a"), "utf8")).toBe("now a file");
    expect(readFileSync(join(target, "old/a/inside"), "utf8")).toBe("kept");
  });

  test("B47 --suffix names the copies, and a second backup replaces the first", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    for (const text of ["one", "three", "fifteen"]) {
      new TreeBuilder(source).file("file", text).symlink("link", text);
      const path = join(source, "link");
      expect(readlinkSync(path)).toBe(text);
      await mirror(source, target, ["--backup", "--suffix=.before"]);
      Bun.spawnSync(["rm", path]);
    }
    expect(readFileSync(join(target, "file.before"), "utf8")).toBe("three");
    expect(readlinkSync(join(target, "link.before"))).toBe("three");
  });
});
