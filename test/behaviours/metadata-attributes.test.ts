/** Extended attributes and access control lists, entry by entry. */
import { expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DEFAULT_ACL, encodeAcl } from "../support/acl.ts";
import { assertSameTrees } from "../support/diff.ts";
import { getXattr, listXattrs, setXattr } from "../support/libc.ts";
import { isRoot } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type Attributes, noise, TreeBuilder } from "../support/tree.ts";
import {
  because,
  buildAsOrdinary,
  expectNothingDone,
  mirror,
  ORDINARY,
  onEachFilesystem,
  ordinaryDir,
  ordinaryMissing,
  touched,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const DEEP = "a/b/c/d";
const ACL = "user::rwx,user:12345:r-x,user:23456:-w-,group::r-x,group:3456:rwx,mask::rwx,other::---";
const DEFAULT = "user::rwx,user:777:rwx,group::r-x,mask::rwx,other::--x";

/** Attributes of every namespace on every type that takes them, at depth. */
function buildXattrs(root: string, largeBytes: number): void {
  const secret = { "trusted.t": "trusted", "security.fastsync": "security" };
  const odd = { "user.empty": "", "user.\u00e9\u65e5": "name", "user.binary": Uint8Array.of(0, 255, 10, 0) };
  new TreeBuilder(root)
    .file(`${DEEP}/file`, "x", { xattrs: { "user.u": "user", ...odd, ...secret } })
    .file("large-value", "x", { xattrs: { "user.large": noise(largeBytes, 3) } })
    .file("many", "x", {
      xattrs: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`user.number${i}`, `${i}`])),
    })
    .file(`${DEEP}/big-file`, noise(300_000, 4), { xattrs: { "user.u": "on a larger file" } })
    .file("none", "x")
    .dir(DEEP, { xattrs: { "user.d": "directory", ...secret } })
    .symlink(`${DEEP}/link`, "file", { xattrs: { "trusted.l": "link" } })
    .special(`${DEEP}/fifo`, "fifo", [0, 0], { xattrs: { "trusted.f": "fifo" } })
    .dir("", { xattrs: { "user.root": "the root" } })
    .finish();
}

function buildAcls(root: string): void {
  new TreeBuilder(root)
    .file(`${DEEP}/file`, "x", { acl: ACL })
    .file(`${DEEP}/plain`, "x", { mode: 0o604 })
    .file("large", noise(300_000, 5), { acl: ACL })
    .dir(`${DEEP}/both`, { acl: ACL, defaultAcl: DEFAULT })
    .dir("default-only", { defaultAcl: DEFAULT, mode: 0o2750 })
    .dir("access-only", { acl: ACL })
    .finish();
}

onEachFilesystem("attributes", ({ kind, scratch }) => {
  test("B29 of every namespace, on files, directories, links and FIFOs, new and changed", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    /* ext4 keeps them in one block, btrfs in one leaf. */
    buildXattrs(source, { xfs: 60_000, tmpfs: 60_000, btrfs: 12_000 }[kind as string] ?? 2_000);
    await mirror(source, target);
    assertSameTrees(source, target);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target));
    expect(touched(before, target)).toEqual([]);

    const changed = Buffer.from(source);
    setXattr(Buffer.concat([changed, Buffer.from(`/${DEEP}/file`)]), "user.u", "another value");
    for (const path of ["none", DEEP, ""]) {
      setXattr(`${target}/${path}`, "user.extra", "must go");
      setXattr(`${target}/${path}`, "trusted.extra", "must go");
    }
    const { summary } = await mirror(source, target);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0, attribute_warnings: 0 });
  });

  test("B29 --no-xattrs copies none and leaves those of the target", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildXattrs(source, 100);
    new TreeBuilder(target).file("none", "other content", { xattrs: { "user.mine": "stays" } }).finish();
    await mirror(source, target, ["--no-xattrs", "--inplace"]);
    assertSameTrees(source, target, { ignore: ["xattrs"] });
    const present = [...takeSnapshot(target)].filter(([, entry]) => Object.keys(entry.xattrs).length > 0);
    expect(present.map(([path]) => path)).toEqual(["none"]);
    expectNothingDone(await mirror(source, target, ["--no-xattrs"]));
  });

  test("B30 access and default lists of each entry, repaired and removed", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildAcls(source);
    await mirror(source, target);
    assertSameTrees(source, target);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target));
    expect(touched(before, target)).toEqual([]);

    new TreeBuilder(target)
      .file(`${DEEP}/plain`, "x", { acl: ACL, mtimeNs: takeSnapshot(source).get(`${DEEP}/plain`)!.mtimeNs })
      .dir("access-only", { defaultAcl: DEFAULT })
      .dir(DEEP, { acl: ACL, defaultAcl: DEFAULT })
      .finish();
    const { summary } = await mirror(source, target);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0 });
  });

  test("B30 what is new below a default list: the source's list, or with --no-acls the inherited one", async () => {
    using dir = scratch();
    const source = dir.join("source");
    new TreeBuilder(source)
      .file("file", "x", { mode: 0o640 })
      .file("d/e/file", "x", { mode: 0o640 })
      .file("large", noise(300_000, 5), { mode: 0o644 })
      .special("fifo", "fifo", [0, 0], { mode: 0o600 })
      .dir("d/e", { mode: 0o750 })
      .dir("d", { mode: 0o755 })
      .finish();
    for (const target of ["kept", "inherited", "by-directory"]) {
      mkdirSync(dir.join(target));
      setXattr(dir.join(target), DEFAULT_ACL, encodeAcl(DEFAULT));
    }
    await mirror(source, dir.join("kept"));
    assertSameTrees(source, dir.join("kept"));

    await mirror(source, dir.join("inherited"), ["--no-acls"]);
    assertSameTrees(source, dir.join("inherited"), { ignore: ["acl", "default-acl"] });
    const inherited = takeSnapshot(dir.join("inherited"));
    for (const path of ["file", "d/e/file", "large"]) expect(inherited.get(path)!.acl).toContain("user:777:");
    for (const path of ["d", "d/e"]) expect(inherited.get(path)!.defaultAcl).toBe(inherited.get("")!.defaultAcl);
    expectNothingDone(await mirror(source, dir.join("inherited"), ["--no-acls"]));

    /* As a program that creates them would have it: the list decides, not the umask. */
    await mirror(source, dir.join("by-directory"), ["--no-acls", "--no-perms"]);
    const made = takeSnapshot(dir.join("by-directory"));
    for (const [path, others] of [
      ["d", "--x"],
      ["d/e", "---"],
    ] as const) {
      const acl = `user::rwx,user:777:rwx,group::r-x,mask::r-x,other::${others}`;
      expect([path, made.get(path)!.acl]).toEqual([path, acl]);
      expect(made.get(path)!.defaultAcl).toBe(made.get("")!.defaultAcl);
    }
    for (const path of ["file", "d/e/file", "large"]) expect(made.get(path)!.acl).toContain("user:777:rwx");
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("attributes of an ordinary user", ordinaryMissing), () => {
  const attributes: Attributes = { xattrs: { "user.u": "1" }, acl: ACL };

  test("B29 B30 own files, read-only ones too, and without what is not for users", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const entries = [
      ["writable", 0o644],
      ["read-only", 0o444],
      ["executable", 0o555],
    ] as const;
    await buildAsOrdinary("random-tree.ts", "buildRandomTree", source, 5);
    for (const [name, mode] of entries) {
      new TreeBuilder(source).file(name, "x", { xattrs: attributes.xattrs!, mode });
      new TreeBuilder(source).file(`${name}-acl`, "x", { ...attributes });
    }
    if (isRoot()) {
      const { uid, gid } = statSync(dir.path);
      for (const [name] of entries)
        for (const suffix of ["", "-acl"]) {
          new TreeBuilder(source).file(`${name}${suffix}`, "x", { uid, gid });
          setXattr(`${source}/${name}${suffix}`, "trusted.hidden", "from users");
        }
    }
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target, { ignore: isRoot() ? ["xattrs"] : [] });
    for (const [name] of entries) {
      expect(listXattrs(Buffer.from(`${target}/${name}`))).toEqual(["user.u"]);
      expect(getXattr(`${target}/${name}-acl`, "user.u")).toEqual(Uint8Array.from(Buffer.from("1")));
    }
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target, [], ORDINARY));
    expect(touched(before, target)).toEqual([]);
  });

  test.each(["read-only", "writable"])("B29 B34 of %s files and directories that are there change", async (kind) => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const [file, directory] = kind === "read-only" ? [0o444, 0o555] : [0o644, 0o755];
    for (const [root, value] of [
      [source, "new"],
      [target, "old"],
    ] as const) {
      const extraneous = root === target ? { "user.gone": "x" } : {};
      const xattrs = { "user.u": value, ...extraneous };
      const times = { mtimeNs: 5_000_000_000n };
      new TreeBuilder(root)
        .file("file", "x", { xattrs, ...times })
        .dir("d", { xattrs, ...times })
        .finish();
      spawnSync("chown", ["-R", "65534:65534", dir.path]);
      chmodSync(join(root, "file"), file);
      chmodSync(join(root, "d"), directory);
    }
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });
});
