/** What a target refuses: names, sizes, kinds of entries, attributes, any change at all. The rest arrives, and is at rest. */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { because, expectNothingDone, mirror, ORDINARY, ordinaryDir, ordinaryMissing } from "../behaviours/behaviour.ts";
import { assertSameTrees } from "../support/diff.ts";
import { mountFilesystem } from "../support/filesystems.ts";
import { lstat } from "../support/libc.ts";
import { stopDaemons } from "../support/placement.ts";
import { ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { failed, failures, mirrorWords, missing, twoFilesystems, WAYS } from "./edge.ts";

afterAll(stopDaemons);

const T = 1_600_000_000_000_000_000n;
const PLAIN = ["--no-perms", "--no-owner", "--no-group", "--no-xattrs", "--no-acls"];
const [EPERM, EFBIG] = [1, 27];
const GIB = 2 ** 30;

/** Temporaries that a run left behind. */
function leftovers(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[]).filter((name) => name.includes(".fastsync."));
}

for (const kind of ["vfat", "exfat"] as const) {
  const reason = missing("tmpfs", kind);
  describe.skipIf(reason !== undefined)(because(`a plain filesystem, ${kind}`, reason), () => {
    for (const way of WAYS) {
      test(`B34 names that it refuses are failures of their own, the rest arrives, ${way.name}`, async () => {
        await using trees = await twoFilesystems("tmpfs", kind, "64M");
        const { source, target } = trees;
        const refused = ["a:b", "deep/st*r", 'quo"te', "pi|pe"];
        const tree = new TreeBuilder(source);
        for (const name of [...refused, "fine", "deep/fine"]) tree.file(name, name, { mtimeNs: T });
        tree.file("w?y/inside", "i", { mtimeNs: T }).finish();
        const words = mirrorWords(source, target, ...PLAIN);
        const first = await way.run("mirror", words, 23);
        expect(failed(first)).toEqual([...refused, "w?y"].sort());
        expect(readdirSync(target, { recursive: true }).sort()).toEqual(["deep", "deep/fine", "fine"]);
        const again = await way.run("mirror", words, 23);
        expect(failed(again)).toEqual(failed(first));
        expect(again.summary).toMatchObject({ files_transferred: 0, files_deleted: 0 });
        expect(leftovers(target)).toEqual([]);
      });

      test(`B22 B34 links, special files, owners and modes are refused: data stay, and are not sent again, ${way.name}`, async () => {
        await using trees = await twoFilesystems("tmpfs", kind, "64M");
        const { source, target } = trees;
        new TreeBuilder(source)
          .file("leader", noise(100_000, 1), { mode: 0o640, uid: 1000, gid: 2000, mtimeNs: T })
          .hardlink("z/follower", "leader")
          .hardlink("z/third", "leader")
          .symlink("link", "leader", { mtimeNs: T })
          .special("fifo", "fifo", [0, 0], { mtimeNs: T })
          .file("with-xattr", "x", { xattrs: { "user.x": "1" }, mtimeNs: T })
          .finish();
        const first = await way.run("mirror", mirrorWords(source, target), 23);
        expect(failed(first)).toEqual(["fifo", "link"]);
        expect(first.summary["skipped"]).toMatchObject({ hard_link_copied: 2 });
        for (const name of ["leader", "z/follower", "z/third"])
          expect(readFileSync(join(target, name)).equals(Buffer.from(noise(100_000, 1)))).toBe(true);
        const groups = first.summary["attribute_failures"] as { attribute: string; entries: number }[];
        expect(groups.length).toBeGreaterThan(0);
        const again = await way.run("mirror", mirrorWords(source, target), 23);
        expect(again.summary).toMatchObject({
          files_transferred: 0,
          bytes_transferred: 0,
          linked: 0,
          files_deleted: 0,
        });
        /* Without what it cannot have there is nothing left to say. */
        rmSync(join(source, "link"));
        rmSync(join(source, "fifo"));
        const words = mirrorWords(source, target, ...PLAIN);
        const lenient = await way.run("mirror", words);
        expect(lenient.summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0, files_failed: 0 });
        expect(leftovers(target)).toEqual([]);
      });
    }
  });
}

const noExt = missing("ext4", "ext2", "tmpfs");

describe.skipIf(noExt !== undefined)(because("a file that is too large", noExt), () => {
  for (const way of WAYS) {
    test(`B53 is a failure of its own that takes no space and leaves nothing, ${way.name}`, async () => {
      await using trees = await twoFilesystems("tmpfs", "ext2", "64M");
      const { source, target } = trees;
      new TreeBuilder(source)
        .sparse("deep/huge", 20 * GIB, [{ at: 19 * GIB, data: "x" }], { mtimeNs: T })
        .file("deep/fine", "f", { mtimeNs: T })
        .file("other", "o", { mtimeNs: T })
        .finish();
      const words = mirrorWords(source, target);
      const first = await way.run("mirror", words, 23);
      expect(failures(first)).toMatchObject([{ path: "deep/huge", errno: EFBIG, code: "limit" }]);
      assertSameTrees(source, target, { content: false, except: (path) => path === "deep/huge" });
      expect(leftovers(target)).toEqual([]);
      const again = await way.run("mirror", words, 23);
      expect(failures(again)).toMatchObject([{ path: "deep/huge", errno: EFBIG }]);
      expect(again.summary).toMatchObject({ files_transferred: 0, files_deleted: 0 });
    });
  }
});

/** Sets flags for the time of `work`, and takes them away again whatever happens. */
async function flagged(flags: string, paths: readonly string[], work: () => Promise<void>): Promise<void> {
  const result = spawnSync("chattr", [`+${flags}`, ...paths], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
  try {
    await work();
  } finally {
    spawnSync("chattr", [`-${flags}`, ...paths]);
  }
}

describe.skipIf(noExt !== undefined)(because("immutable and append-only", noExt), () => {
  for (const way of WAYS) {
    test(`B34 entries of the source are copied like any other, without the flags, ${way.name}`, async () => {
      await using ext4 = await mountFilesystem("ext4", "64M");
      const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
      new TreeBuilder(source).file("i", "i", { mtimeNs: T }).file("d/a", "a", { mtimeNs: T }).finish();
      await flagged("i", [join(source, "i")], () =>
        flagged("a", [join(source, "d/a"), join(source, "d")], async () => {
          await way.run("mirror", mirrorWords(source, target));
          assertSameTrees(source, target);
          expectNothingDone(await way.run("mirror", mirrorWords(source, target)));
        }),
      );
      writeFileSync(join(target, "d/a"), "can be changed");
    });

    test(`B34 B41 files of the target: updates and deletions of them fail by name, all others go on, ${way.name}`, async () => {
      for (const flag of ["i", "a"]) {
        await using ext4 = await mountFilesystem("ext4", "64M");
        const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
        const names = ["changed", "repaired", "deleted", "free", "gone"];
        const build = (root: string) => {
          const tree = new TreeBuilder(root);
          for (const name of names) tree.file(`d/${name}`, name, { mode: 0o644, mtimeNs: T });
          tree.dir("d", { mtimeNs: T }).dir("", { mtimeNs: T }).finish();
        };
        build(source);
        build(target);
        for (const name of ["deleted", "gone"]) rmSync(join(source, "d", name));
        new TreeBuilder(source)
          .file("d/changed", "changed content", { mtimeNs: T })
          .file("d/free", "free content", { mtimeNs: T })
          .file("d/repaired", "repaired", { mode: 0o600, mtimeNs: T })
          .dir("d", { mtimeNs: T })
          .finish();
        const held = ["changed", "repaired", "deleted"].map((name) => join(target, "d", name));
        await flagged(flag, held, async () => {
          const result = await way.run("mirror", mirrorWords(source, target), 23);
          expect(failures(result).filter(({ errno }) => errno !== EPERM)).toEqual([]);
          expect(failed(result)).toEqual(["d/changed", "d/deleted"]);
          const groups = result.summary["attribute_failures"] as { attribute: string; entries: number }[];
          expect(groups.filter(({ attribute }) => attribute === "mode")).toMatchObject([{ entries: 1 }]);
          expect(result.summary).toMatchObject({ updated: 1, files_deleted: 1 });
          expect(readFileSync(join(target, "d/free"), "latin1")).toBe("free content");
          expect(readFileSync(join(target, "d/changed"), "latin1")).toBe("changed");
          expect(existsSync(join(target, "d/gone"))).toBe(false);
          expect(leftovers(target)).toEqual([]);
        });
        await way.run("mirror", mirrorWords(source, target));
        assertSameTrees(source, target);
      }
    });

    test(`B34 B41 an append-only directory takes new names at the most, and no temporary stays, ${way.name}`, async () => {
      await using ext4 = await mountFilesystem("ext4", "64M");
      const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
      const noiseBytes = noise(200_000, 3);
      const build = (root: string) => {
        const tree = new TreeBuilder(root);
        for (const name of ["old", "link-to-be", "free"]) tree.file(`d/${name}`, name, { mtimeNs: T });
        tree.symlink("d/link", "old", { mtimeNs: T }).file("e/x", "x", { mtimeNs: T }).finish();
      };
      build(source);
      build(target);
      rmSync(join(source, "d/free"));
      rmSync(join(source, "d/link"));
      new TreeBuilder(source)
        .file("d/old", noiseBytes, { mtimeNs: T })
        .symlink("d/link", "elsewhere", { mtimeNs: T })
        .file("d/new", noiseBytes, { mtimeNs: T })
        .hardlink("d/new-link", "d/new")
        .special("d/fifo", "fifo", [0, 0], { mtimeNs: T })
        .file("e/x", "other", { mtimeNs: T })
        .finish();
      await flagged("a", [join(target, "d")], async () => {
        const result = await way.run("mirror", mirrorWords(source, target), 23);
        expect(leftovers(target)).toEqual([]);
        for (const { errno } of failures(result)) expect(errno).toBe(EPERM);
        for (const path of ["d/old", "d/link", "d/fifo", "d/free"]) expect(failed(result)).toContain(path);
        expect(readFileSync(join(target, "d/old"), "latin1")).toBe("old");
        expect(readFileSync(join(target, "e/x"), "latin1")).toBe("other");
        for (const name of ["new", "new-link"])
          if (existsSync(join(target, "d", name)))
            expect(readFileSync(join(target, "d", name)).equals(Buffer.from(noiseBytes))).toBe(true);
          else expect(failed(result)).toContain(`d/${name}`);
      });
      await way.run("mirror", mirrorWords(source, target));
      assertSameTrees(source, target);
    });

    test(`B34 an immutable directory stays as it is, its neighbours do not, ${way.name}`, async () => {
      await using ext4 = await mountFilesystem("ext4", "64M");
      const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
      new TreeBuilder(target).file("d/old", "old", { mtimeNs: T }).file("d/extra", "x").file("e/extra", "x").finish();
      new TreeBuilder(source)
        .file("d/old", "changed", { mtimeNs: T })
        .file("d/new", "new", { mtimeNs: T })
        .file("e/new", "new", { mtimeNs: T })
        .dir("d", { mode: 0o700, mtimeNs: T })
        .finish();
      await flagged("i", [join(target, "d")], async () => {
        const before = takeSnapshot(join(target, "d"));
        const result = await way.run("mirror", mirrorWords(source, target), 23);
        for (const { errno } of failures(result)) expect(errno).toBe(EPERM);
        expect(failed(result)).toEqual(["d/extra", "d/new", "d/old"]);
        expect([...takeSnapshot(join(target, "d")).keys()]).toEqual([...before.keys()]);
        expect(readdirSync(join(target, "e"))).toEqual(["new"]);
      });
      await way.run("mirror", mirrorWords(source, target));
      assertSameTrees(source, target);
    });
  }
});

const noOwners = missing("tmpfs", "ext4");

describe.skipIf(noOwners !== undefined)(because("owners at the end of their range", noOwners), () => {
  for (const way of WAYS) {
    test(`B28 numbers up to 4294967294 are kept, and compared, ${way.name}`, async () => {
      await using ext4 = await mountFilesystem("ext4", "64M");
      const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
      const tree = new TreeBuilder(source);
      const ids = [0, 65_534, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2];
      for (const id of ids) tree.file(`f${id}`, "x", { uid: id, gid: id, mode: 0o4755, mtimeNs: T });
      tree
        .dir("d", { uid: 2 ** 32 - 2, gid: 2 ** 31, mode: 0o2775, mtimeNs: T })
        .dir("", { mtimeNs: T })
        .finish();
      await way.run("mirror", mirrorWords(source, target));
      assertSameTrees(source, target);
      expectNothingDone(await way.run("mirror", mirrorWords(source, target)));
    });
  }

  test("B28 --chown to the number that means nobody is refused, not taken for «leave it»", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("f", "x", { uid: 5, gid: 6 }).finish();
    const [way] = WAYS;
    const result = await way!
      .run("mirror", mirrorWords(source, target, "--chown=4294967295:4294967295"), 2)
      .catch((error: unknown) => String(error));
    if (typeof result !== "string") expect(existsSync(target)).toBe(false);
    else if (existsSync(join(target, "f"))) throw new Error(result);
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("an ordinary user's limits", ordinaryMissing), () => {
  test("B34 B43 a target directory of somebody else takes nothing, and everything else arrives", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const own = { uid: ORDINARY_USER, gid: ORDINARY_USER };
    new TreeBuilder(source)
      .file("closed/new", "n", { ...own, mtimeNs: T })
      .file("open/new", "n", { ...own, mtimeNs: T })
      .finish();
    new TreeBuilder(target)
      .file("closed/old", "o")
      .dir("closed", { mode: 0o755 })
      .dir("open", own)
      .dir("", own)
      .finish();
    chownSync(join(target, "closed"), 0, 0);
    for (const path of ["", "closed", "open"]) chownSync(join(source, path), ORDINARY_USER, ORDINARY_USER);
    const result = await mirror(source, target, [], { ...ORDINARY, exitCode: 23 });
    expect(failed(result)).toEqual(["closed/new", "closed/old"]);
    expect(readdirSync(join(target, "closed"))).toEqual(["old"]);
    expect(readFileSync(join(target, "open/new"), "latin1")).toBe("n");
  });

  test("B25 B43 a source directory that may be listed and not searched: named, nothing deleted, the rest arrives", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("closed/a", "a", { mtimeNs: T }).file("open", "o", { mtimeNs: T }).finish();
    chmodSync(join(source, "closed"), 0o744);
    new TreeBuilder(target).file("closed/b", "b").file("extra", "x").finish();
    for (const path of ["", "closed", "closed/b", "extra"]) chownSync(join(target, path), ORDINARY_USER, ORDINARY_USER);
    const result = await mirror(source, target, ["--no-owner", "--no-group"], { ...ORDINARY, exitCode: 23 });
    expect(failed(result)).toContain("closed/a");
    expect(existsSync(join(target, "extra"))).toBe(true);
    expect(existsSync(join(target, "closed/b"))).toBe(true);
    expect(readFileSync(join(target, "open"), "latin1")).toBe("o");
  });

  test("B27 below a set-gid directory and with an odd umask modes and groups are the source's", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source)
      .file("d/open", "o", { mode: 0o666, mtimeNs: T })
      .file("d/closed", "c", { mode: 0o404, mtimeNs: T })
      .dir("d", { mode: 0o777, mtimeNs: T })
      .finish();
    mkdirSync(target);
    chownSync(target, ORDINARY_USER, 1);
    chmodSync(target, 0o2777);
    const flags = ["--no-owner", "--no-group"];
    const masked = { ...ORDINARY, prefix: ["sh", "-c", 'umask 0357; exec "$@"', "sh"] };
    await mirror(source, target, flags, masked);
    expect(statSync(join(target, "d/open")).mode & 0o7777).toBe(0o666);
    expect(statSync(join(target, "d/closed")).mode & 0o7777).toBe(0o404);
    expect(lstat(join(target, "d")).mode & 0o777).toBe(0o777);
    expectNothingDone(await mirror(source, target, flags, masked));
  });
});
