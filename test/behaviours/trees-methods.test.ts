/**
 * What lands is the same however it got there: by each copy method, from each batch shape, in each way of writing. The
 * methods that ran are read from the summary, so that a quiet fallback cannot pass for the method itself.
 */
import { afterAll, beforeAll, expect } from "bun:test";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, type MountedFilesystem, mountFilesystem } from "../support/filesystems.ts";
import { isRoot } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { type Attributes, noise, TreeBuilder } from "../support/tree.ts";
import { BACKENDS, because, behavioursMissing, mirror, run } from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const METHODS = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"] as const;
/** Copies within one filesystem only. */
const WITHIN = new Set<string>(["clone", "copy_file_range"]);

const MIB = 1 << 20;
/** Beyond 48 MiB a file is split into ranges. */
const SPLIT_BYTES = 48 * MIB + 12_345;
const SMALL_FILES = 200;

const reason = behavioursMissing ?? canMount("xfs");
/* The portable twin knows one method. */
const cases = BACKENDS.flatMap((backend) =>
  (backend.name === "native library" ? METHODS : (["read_write"] as const)).map((method) => ({ backend, method })),
);

describe.skipIf(reason !== undefined)(because("every way of copying", reason), () => {
  let disk: MountedFilesystem;
  let other: MountedFilesystem;
  let source: TempDir;
  beforeAll(async () => {
    disk = await mountFilesystem("xfs", "1G");
    other = await mountFilesystem("tmpfs", "256M");
    source = tempDir(disk.path);
    buildShapes(source.path);
  });
  afterAll(async () => {
    source?.[Symbol.dispose]();
    await disk?.[Symbol.asyncDispose]();
    await other?.[Symbol.asyncDispose]();
  });

  for (const { backend, method } of cases) {
    test(`B01 ${method}, ${backend.name}: new, replaced, in place, through another filesystem`, async () => {
      using dir = tempDir(disk.path);
      const target = dir.join("target");
      const write = async (flags: readonly string[], methods: string = method) => {
        const { summary } = await mirror(source.path, target, ["--copy-method", methods, ...flags], backend.options);
        assertSameTrees(source.path, target);
        return { ran: Object.keys(summary["methods"] as object), updated: summary["updated"] };
      };

      expect(await write([])).toEqual({ ran: [method], updated: 0 });
      const inodes = takeSnapshot(target, { content: false });
      const files = [...inodes.values()].filter((entry) => entry.type === "file").length;

      disturb(target);
      expect(await write([])).toEqual({ ran: [method], updated: files });

      disturb(target);
      const kept = takeSnapshot(target, { content: false });
      expect(await write(["--inplace"])).toEqual({ ran: [method], updated: files });
      for (const [path, entry] of takeSnapshot(target, { content: false }))
        expect([path, entry.stat.ino]).toEqual([path, kept.get(path)!.stat.ino]);

      disturb(target);
      using temp = tempDir(other.path);
      /* Data leaves the filesystem, so methods that cannot do that have to fall back. */
      const allowed = WITHIN.has(method) ? `${method},read_write` : method;
      const { updated } = await write(["--temp-dir", temp.path], allowed);
      expect(updated).toBe(files);
      expect(takeSnapshot(temp.path).size).toBe(1);
    });

    test(`B01 ${method}, ${backend.name}: a single file`, async () => {
      using dir = tempDir(disk.path);
      for (const name of ["small/0", "medium/0", "large"]) {
        const flags = ["--copy-method", method];
        const { summary } = await run("copy", [...flags, source.join(name), dir.join("one")], backend.options);
        assertSameTrees(source.join(name), dir.join("one"));
        expect(Object.keys(summary["methods"] as object)).toEqual([method]);
        expect(summary).toMatchObject({ files_transferred: 1, files_examined: 1 });
      }
    });
  }
});

/** Attributes that programs forget on one path or the other; all differ from file to file. */
function attributes(number: number): Attributes {
  return {
    mode: [0o640, 0o4711, 0o2755, 0o400, 0o1666][number % 5]!,
    ...(isRoot() ? { uid: 1000 + (number % 7), gid: 2000 + (number % 11) } : {}),
    mtimeNs: 1_500_000_000_123_456_789n + BigInt(number) * 1_000_000_007n,
    xattrs: { "user.number": `${number}`, ...(isRoot() ? { "trusted.number": `${number}` } : {}) },
    ...(number % 3 === 0 ? { acl: `user::rwx,user:${3000 + number}:r-x,group::r-x,mask::rwx,other::---` } : {}),
  };
}

function buildShapes(root: string): void {
  const tree = new TreeBuilder(root);
  for (let i = 0; i < SMALL_FILES; i++) tree.file(`small/${i}`, noise(1 + ((i * 997) % 30_000), i + 1), attributes(i));
  [64 * 1024, MIB - 1, MIB, MIB + 1, 3 * MIB].forEach((size, i) => {
    tree.file(`medium/${i}`, noise(size, 500 + i), attributes(1000 + i));
  });
  tree.file("large", noise(SPLIT_BYTES, 600), attributes(2000));
  for (const name of ["small", "medium"]) tree.dir(name, attributes(3000));
  tree.finish();
}

/** Makes every file of the target another one in content, size, mode, owner, time and attributes. */
function disturb(target: string): void {
  const builder = new TreeBuilder(target);
  const owner = isRoot() ? { uid: 7, gid: 8 } : {};
  for (const entry of takeSnapshot(target, { content: false }).values()) {
    if (entry.type !== "file") continue;
    const xattrs = { "user.extra": "stale", "user.number": "stale" };
    const acl = "user::rw-,user:4000:rwx,group::r--,mask::rwx,other::r--";
    builder.file(entry.path, noise(Math.min(entry.size + 9, 2 * MIB), 999), { ...owner, xattrs, acl, mtimeNs: 5n });
  }
  builder.finish();
}
