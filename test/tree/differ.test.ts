/** The differ must bite: each attribute is changed alone on a faithful copy, and exactly that must be reported. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { ACCESS_ACL, DEFAULT_ACL, encodeAcl } from "../support/acl.ts";
import { type Attribute, assertSameTrees, diffTrees } from "../support/diff.ts";
import { cstring, libc, libcMissing, lstat, removeXattr, setTimes, setXattr } from "../support/libc.ts";
import { isRoot } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";

const ACL = "user::rw-,user:1234:r--,group::r--,mask::r--,other::---";

function build(root: string, device: [number, number] = [1, 3]): void {
  const tree = new TreeBuilder(root);
  tree.file("dir/file", "content", { mode: 0o640, mtimeNs: 1_000_000_001n, xattrs: { "user.one": "1" } });
  tree.file("dir/with-acl", "", { mtimeNs: 2n, acl: ACL });
  tree.file("dir/a", "linked", { mtimeNs: 3n }).hardlink("dir/b", "dir/a");
  tree.file("dir/c", "linked", { mtimeNs: 3n });
  tree.symlink("dir/link", "file", { mtimeNs: 4n });
  tree.special("dir/fifo", "fifo", [0, 0], { mtimeNs: 5n });
  if (isRoot()) tree.special("dir/device", "char", device, { mtimeNs: 6n });
  tree.sparse("dir/sparse", 4 << 20, [{ at: 1 << 20, data: "data" }], { mtimeNs: 7n });
  tree.file(Buffer.from([0x64, 0x69, 0x72, 0x2f, 0xff, 0x0a]), "", { mtimeNs: 8n });
  tree.dir("dir/inherits", { mtimeNs: 9n, defaultAcl: "user::rwx,group::r-x,other::---" });
  tree.dir("dir/empty", { mtimeNs: 9n });
  tree.dir("dir", { mode: 0o750, mtimeNs: 10n }).dir("", { mtimeNs: 11n });
  tree.finish();
}

interface Mutation {
  readonly name: string;
  /** `path: attribute` of every line that must come, and no other. */
  readonly expect: readonly `${string}: ${Attribute}`[];
  readonly needsRoot?: true;
  readonly apply: (root: string) => void;
}

/** Changes an entry and puts the times back, so that only the change itself can be seen. */
function keepingTimes(root: string, change: () => void, ...paths: string[]): void {
  const times = ["dir", ...paths].map((path) => [path, lstat(`${root}/${path}`).mtimeNs] as const);
  change();
  for (const [path, mtimeNs] of times) setTimes(`${root}/${path}`, mtimeNs);
}

function overwrite(path: string, text: string, at: number): void {
  const fd = openSync(path, "r+");
  writeSync(fd, text, at);
  closeSync(fd);
}

function relink(root: string, name: string, existing: string): void {
  keepingTimes(root, () => {
    rmSync(`${root}/${name}`);
    libc().link(cstring(`${root}/${existing}`), cstring(`${root}/${name}`));
  });
}

const MUTATIONS: readonly Mutation[] = [
  {
    name: "an entry is missing",
    expect: ["dir/c: presence"],
    apply: (root) => keepingTimes(root, () => rmSync(`${root}/dir/c`)),
  },
  {
    name: "an entry is extra, its name not UTF-8",
    expect: ["dir/\\376: presence"],
    apply: (root) => {
      const path = Buffer.concat([Buffer.from(`${root}/dir/`), Buffer.from([0xfe])]);
      keepingTimes(root, () => writeFileSync(path, ""));
    },
  },
  {
    name: "a hostile name lost a byte",
    expect: ["dir/\\377\\012: presence", "dir/\\377: presence"],
    apply: (root) => {
      const path = (...bytes: number[]) => cstring(Buffer.concat([Buffer.from(`${root}/dir/`), Buffer.from(bytes)]));
      keepingTimes(root, () => libc().rename(path(0xff, 0x0a), path(0xff)));
    },
  },
  {
    name: "a directory became a file",
    expect: ["dir/empty: type"],
    apply: (root) =>
      keepingTimes(root, () => {
        rmSync(`${root}/dir/empty`, { recursive: true });
        writeFileSync(`${root}/dir/empty`, "");
      }),
  },
  { name: "mode", expect: ["dir/file: mode"], apply: (root) => chmodSync(`${root}/dir/file`, 0o641) },
  { name: "setuid", expect: ["dir/c: mode"], apply: (root) => chmodSync(`${root}/dir/c`, 0o4644) },
  { name: "mode of a directory", expect: ["dir: mode"], apply: (root) => chmodSync(`${root}/dir`, 0o751) },
  { name: "owner", needsRoot: true, expect: ["dir/c: uid"], apply: (root) => chownSync(`${root}/dir/c`, 7, 0) },
  { name: "group", needsRoot: true, expect: ["dir/c: gid"], apply: (root) => chownSync(`${root}/dir/c`, 0, 7) },
  {
    name: "owner of a link",
    needsRoot: true,
    expect: ["dir/link: uid"],
    apply: (root) => libc().lchown(cstring(`${root}/dir/link`), 7, 0),
  },
  { name: "mtime by 1 ns", expect: ["dir/file: mtime"], apply: (root) => setTimes(`${root}/dir/file`, 1_000_000_002n) },
  { name: "mtime of a directory", expect: ["dir/empty: mtime"], apply: (root) => setTimes(`${root}/dir/empty`, 1n) },
  { name: "mtime of the root", expect: ["(root): mtime"], apply: (root) => setTimes(root, 1n) },
  { name: "mtime of a link", expect: ["dir/link: mtime"], apply: (root) => setTimes(`${root}/dir/link`, 1n) },
  {
    name: "one byte of content",
    expect: ["dir/file: content"],
    apply: (root) => keepingTimes(root, () => overwrite(`${root}/dir/file`, "C", 0), "dir/file"),
  },
  {
    name: "one byte in a hole",
    expect: ["dir/sparse: content"],
    apply: (root) => keepingTimes(root, () => overwrite(`${root}/dir/sparse`, "x", 3 << 20), "dir/sparse"),
  },
  {
    name: "data moved within a sparse file",
    expect: ["dir/sparse: content"],
    apply: (root) =>
      keepingTimes(
        root,
        () => {
          overwrite(`${root}/dir/sparse`, "\0\0\0\0", 1 << 20);
          overwrite(`${root}/dir/sparse`, "data", 2 << 20);
        },
        "dir/sparse",
      ),
  },
  {
    name: "a zero appended",
    expect: ["dir/file: size", "dir/file: content"],
    apply: (root) => keepingTimes(root, () => overwrite(`${root}/dir/file`, "\0", 7), "dir/file"),
  },
  {
    name: "holes filled with zeros",
    expect: ["dir/sparse: sparse"],
    apply: (root) =>
      keepingTimes(root, () => overwrite(`${root}/dir/sparse`, "\0".repeat(1 << 20), 2 << 20), "dir/sparse"),
  },
  {
    name: "text of a link",
    expect: ["dir/link: link"],
    apply: (root) =>
      keepingTimes(
        root,
        () => {
          rmSync(`${root}/dir/link`);
          libc().symlink(cstring("elif"), cstring(`${root}/dir/link`));
        },
        "dir/link",
      ),
  },
  {
    name: "a hard link became a copy",
    expect: ["dir/a: group", "dir/b: group"],
    apply: (root) =>
      keepingTimes(root, () => {
        rmSync(`${root}/dir/b`);
        writeFileSync(`${root}/dir/b`, "linked");
        setTimes(`${root}/dir/b`, 3n);
      }),
  },
  { name: "a copy became a hard link", expect: ["dir/c: group"], apply: (root) => relink(root, "dir/c", "dir/a") },
  {
    name: "the value of an attribute",
    expect: ["dir/file: xattrs"],
    apply: (root) => setXattr(`${root}/dir/file`, "user.one", "2"),
  },
  {
    name: "an empty attribute more",
    expect: ["dir/empty: xattrs"],
    apply: (root) => setXattr(`${root}/dir/empty`, "user.new", ""),
  },
  {
    name: "an attribute less",
    expect: ["dir/file: xattrs"],
    apply: (root) => removeXattr(`${root}/dir/file`, "user.one"),
  },
  {
    name: "an attribute of a link",
    needsRoot: true,
    expect: ["dir/link: xattrs"],
    apply: (root) => setXattr(`${root}/dir/link`, "trusted.new", "1"),
  },
  {
    name: "an ACL entry",
    expect: ["dir/with-acl: acl"],
    apply: (root) => setXattr(`${root}/dir/with-acl`, ACCESS_ACL, encodeAcl(ACL.replace("1234:r--", "1234:---"))),
  },
  {
    name: "a default ACL",
    expect: ["dir/inherits: default-acl"],
    apply: (root) => removeXattr(`${root}/dir/inherits`, DEFAULT_ACL),
  },
  {
    name: "the number of a device",
    needsRoot: true,
    expect: ["dir/device: rdev"],
    apply: (root) =>
      keepingTimes(root, () => {
        rmSync(`${root}/dir/device`);
        libc().mknod(cstring(`${root}/dir/device`), 0o020600, 0x0105);
        setTimes(`${root}/dir/device`, 6n);
      }),
  },
];

describe.skipIf(libcMissing !== undefined)(`the differ${libcMissing ? ` (skipped: ${libcMissing})` : ""}`, () => {
  let original: TempDir;
  beforeAll(() => {
    original = tempDir();
    build(original.path);
  });
  afterAll(() => original[Symbol.dispose]());

  test("finds two builds of one tree equal", () => {
    using copy = tempDir();
    build(copy.path);
    expect(diffTrees(original.path, copy.path)).toEqual([]);
  });

  for (const mutation of MUTATIONS) {
    test.skipIf(mutation.needsRoot === true && !isRoot())(`sees ${mutation.name}`, () => {
      using copy = tempDir();
      build(copy.path);
      mutation.apply(copy.path);
      const seen = diffTrees(original.path, copy.path).map((line) => line.replace(/^((?:.|\n)*?: [a-z-]+): .*$/, "$1"));
      expect(seen.sort()).toEqual([...mutation.expect].sort());
    });
  }

  test("leaves out what it is told to ignore", () => {
    using copy = tempDir();
    build(copy.path);
    chmodSync(`${copy.path}/dir/file`, 0o600);
    expect(diffTrees(original.path, copy.path, { ignore: ["mode"] })).toEqual([]);
    expect(diffTrees(original.path, copy.path, { except: (path) => path === "dir/file" })).toEqual([]);
    expect(() => assertSameTrees(original.path, copy.path)).toThrow("dir/file: mode: 0640 != 0600");
  });

  test("takes more holes than the source has for equal", () => {
    using copy = tempDir();
    build(copy.path);
    overwriteZeros(copy.path);
    expect(diffTrees(original.path, copy.path)).toContainEqual(expect.stringContaining("sparse"));
    expect(diffTrees(copy.path, original.path)).toEqual([]);
  });

  test("reads a record taken before a change", () => {
    using copy = tempDir();
    build(copy.path);
    const before = takeSnapshot(copy.path);
    chmodSync(`${copy.path}/dir/file`, 0o600);
    expect(diffTrees(before, copy.path)).toEqual(["dir/file: mode: 0640 != 0600"]);
  });
});

function overwriteZeros(root: string): void {
  keepingTimes(root, () => overwrite(`${root}/dir/sparse`, "\0".repeat(1 << 20), 2 << 20), "dir/sparse");
}
