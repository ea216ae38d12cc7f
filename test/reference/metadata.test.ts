/** Modes, owners, times and attributes beside rsync. */
import { expect, test } from "bun:test";
import { chownSync, lstatSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { because, needsRoot } from "../behaviours/behaviour.ts";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { lstat, setTimes } from "../support/libc.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { noise, type TreeBuilder } from "../support/tree.ts";
import { besideRsync, build, run } from "./beside.ts";

const SECOND = 1_000_000_000n;
const THEN = 1_400_000_000n * SECOND;
const MODES = [0o000, 0o111, 0o200, 0o400, 0o444, 0o555, 0o640, 0o777, 0o1644, 0o2755, 0o4755, 0o7777];
const ACL = "user::rwx,user:12345:r-x,group::r-x,mask::rwx,other::---";
const DEFAULT = "user::rwx,user:54321:rwx,group::r-x,mask::rwx,other::r-x";

const modes =
  (which: readonly number[], change = 0) =>
  (tree: TreeBuilder) => {
    let at = "";
    for (let depth = 0; depth < 3; depth++) {
      for (const mode of which) {
        tree.file(`${at}file${mode.toString(8)}`, "x", { mode: mode ^ change });
        tree
          .file(`${at}dir${mode.toString(8)}/inside`, "x")
          .dir(`${at}dir${mode.toString(8)}`, { mode: mode ^ change });
      }
      at += `level${depth}/`;
      tree.dir(at.slice(0, -1), { mode: 0o555 });
    }
  };

function times(tree: TreeBuilder): void {
  let at = "";
  for (let depth = 0; depth < 6; depth++) {
    tree.file(`${at}new`, "n").file(`${at}kept`, "longer", { mtimeNs: THEN });
    at += `d${depth}/`;
    tree.dir(at.slice(0, -1), { mtimeNs: THEN + BigInt(depth) * SECOND + 5n });
  }
  tree.dir("", { mtimeNs: THEN + 77n });
}

function owners(tree: TreeBuilder): void {
  for (const [i, id] of [0, 1, 65534, 54321, 2_000_000_000].entries()) {
    const owner = { uid: id, gid: id + i };
    tree.file(`file${i}`, "x", owner).symlink(`link${i}`, "x", owner).special(`fifo${i}`, "fifo", [0, 0], owner);
    tree.dir(`dir${i}`, owner);
  }
}

function attributes(tree: TreeBuilder): void {
  const xattrs = { "user.a": "1", "user.empty": "", "security.b": "2", "trusted.c": Buffer.of(0, 255) };
  tree
    .file("d/file", "x", { xattrs })
    .dir("d", { xattrs })
    .symlink("link", "x", { xattrs: { "trusted.l": "3" } })
    .special("fifo", "fifo", [0, 0], { xattrs: { "trusted.f": "4" } })
    .file("large", "x", { xattrs: { "user.large": noise(30_000, 7) } });
}

function acls(tree: TreeBuilder): void {
  tree
    .file("d/with", "x", { acl: ACL })
    .file("d/without", "x")
    .dir("d", { acl: ACL, defaultAcl: DEFAULT })
    .dir("e/f", { defaultAcl: DEFAULT });
}

function setids(tree: TreeBuilder): void {
  const owner = { uid: 1234, gid: 2345 };
  tree.file("setuid", "x", { ...owner, mode: 0o4755 }).file("setgid", "x", { ...owner, mode: 0o2755 });
  tree.file("both", "x", { ...owner, mode: 0o6777 });
}

besideRsync(
  "metadata",
  [
    { rows: "B25", title: "every mode at every depth, as root", source: modes(MODES) },
    {
      rows: "B25",
      title: "modes that changed, as root",
      source: modes(MODES),
      target: modes(MODES, 0o7027),
    },
    {
      rows: "B25",
      title: "read-only files and directories, as an ordinary user",
      source: modes([0o500, 0o555, 0o700, 0o755]),
      asUser: "owner",
    },
    {
      rows: "B26",
      title: "directory times after entries came, changed and went",
      source: times,
      target: (tree) => void tree.file("d0/d1/kept", "x").file("d0/gone/deep/er").file("gone"),
    },
    { rows: "B27", title: "set-id bits with their owner", source: setids },
    {
      rows: "B27",
      title: "an ordinary user's copies of others' set-id programs keep their bits, ours do not",
      source: setids,
      asUser: "stranger",
      differences: ["both: mode: 06777 != 0777", "setgid: mode: 02755 != 0755", "setuid: mode: 04755 != 0755"],
    },
    { rows: "B28", title: "owners by number", source: owners },
    {
      rows: "B28",
      title: "--usermap and --groupmap",
      source: owners,
      ours: ["--usermap=1:70,5000-70000:72,*:73", "--groupmap=0:5,1-65535:9"],
      theirs: ["--usermap=1:70,5000-70000:72,*:73", "--groupmap=0:5,1-65535:9"],
    },
    { rows: "B28", title: "--chown", source: owners, ours: ["--chown=1234:2345"], theirs: ["--chown=1234:2345"] },
    {
      rows: "B28",
      title: "--no-owner --no-group",
      source: owners,
      ours: ["--no-owner", "--no-group"],
      theirs: ["--no-owner", "--no-group"],
    },
    {
      rows: "B29",
      title: "extended attributes come, change and go",
      source: attributes,
      target: (tree) =>
        void tree
          .file("d/file", "x", { xattrs: { "user.a": "old", "user.extra": "gone", "trusted.extra": "gone" } })
          .symlink("link", "x", { xattrs: { "trusted.gone": "3" } }),
    },
    {
      rows: "B29",
      title: "attributes of an ordinary user's own files",
      source: (tree) => void tree.file("d/file", "x", { xattrs: { "user.a": "1" } }),
      asUser: "owner",
    },
    {
      rows: "B30",
      title: "access and default lists come, change and go",
      source: acls,
      target: (tree) => void tree.file("d/without", "x", { acl: ACL }).file("d/with", "x").dir("e/f", { acl: ACL }),
    },
    {
      rows: "B30",
      title: "new below a default list that is not kept",
      source: (tree) => void tree.file("d/new", "x", { mode: 0o640 }).dir("d", { mode: 0o750 }),
      target: (tree) => void tree.dir("", { defaultAcl: DEFAULT }),
      // rsync takes the attribute in which XFS keeps a list for one of root's, and removes it.
      ours: ["--no-acls", "--no-perms", "--no-xattrs"],
      theirs: ["--no-acls", "--no-perms", "--no-xattrs"],
    },
    {
      rows: "B32",
      title: "sparse files, new and replaced",
      source: (tree) =>
        void tree
          .sparse("holes", 8 << 20, [
            { at: 1 << 20, data: noise(70_000, 1) },
            { at: 6 << 20, data: "end" },
          ])
          .sparse("all-hole", 4 << 20, [])
          .file("dense", noise(1 << 20, 2)),
      target: (tree) => void tree.file("holes", noise(2 << 20, 3)),
    },
    {
      rows: "B33",
      title: "FIFOs, sockets and devices",
      source: (tree) =>
        void tree
          .special("fifo", "fifo")
          .special("d/socket", "socket")
          .special("d/char", "char", [1, 3])
          .special("d/block", "block", [7, 200])
          .file("z", "x"),
      target: (tree) => void tree.special("d/char", "char", [1, 5]).file("fifo", "was a file"),
    },
  ],
  (scratch) => {
    test("B27 rsync differs: as root without the owner it makes programs that run as root, we take the bits", async () => {
      using dir = scratch();
      build(dir.join("source"), setids, dir);
      const flags = ["--no-owner", "--no-group"];
      await run("ours", ["mirror", "--yes", ...flags, `${dir.join("source")}/`, dir.join("ours")], 23);
      await run("theirs", ["-a", ...flags, `${dir.join("source")}/`, dir.join("theirs")]);
      const mode = (path: string): string => (statSync(dir.join(path)).mode & 0o7777).toString(8);
      expect(mode("ours/setuid")).toBe("755");
      expect(mode("theirs/setuid")).toBe("4755");
    });

    test("B28 rsync differs: an unknown --chown is a warning to it, we refuse; neither makes it root", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("file", "x", { uid: 1234, gid: 1234 }), dir);
      const words = [`${dir.join("source")}/`, dir.join("target")];
      await run("ours", ["mirror", "--yes", "--chown=no-such-user-here", ...words], 1);
      await run("theirs", ["-a", "--chown=no-such-user-here", ...words]);
      expect(statSync(dir.join("target/file")).uid).toBe(1234);
    });

    const reason = canMount("ramfs");
    test.skipIf(reason !== undefined)(
      because("B34 rsync agrees: a filesystem without extended attributes gets everything else, exit 23", reason),
      async () => {
        using dir = scratch();
        await using ramfs = await mountFilesystem("ramfs", "64M");
        build(dir.join("source"), attributes, dir);
        await run("ours", ["mirror", "--yes", `${dir.join("source")}/`, join(ramfs.path, "ours")], 23);
        await run("theirs", ["-aX", `${dir.join("source")}/`, join(ramfs.path, "theirs")], 23);
        assertSameTrees(join(ramfs.path, "theirs"), join(ramfs.path, "ours"));
        assertSameTrees(dir.join("source"), join(ramfs.path, "ours"), { ignore: ["xattrs"] });
      },
    );

    test.skipIf(needsRoot !== undefined)(
      because("B33 rsync agrees: an ordinary user's devices are left out, the rest arrives", needsRoot),
      async () => {
        using dir = scratch();
        build(
          dir.join("source"),
          (tree) => void tree.special("char", "char", [1, 3]).file("z", "x").special("fifo", "fifo"),
          dir,
        );
        for (const path of ["source/char", "source/z", "source/fifo"]) expect(lstatSync(dir.join(path)).uid).toBe(0);
        const options = { asUser: 65_534 };
        for (const who of ["ours", "theirs"]) {
          mkdirSync(dir.join(who));
          chownSync(dir.join(who), 65_534, 65_534);
        }
        await run("ours", ["mirror", "--yes", `${dir.join("source")}/`, dir.join("ours")], 0, options);
        await run("theirs", ["-a", `${dir.join("source")}/`, dir.join("theirs")], 0, options);
        expect([...takeSnapshot(dir.join("ours")).keys()]).toEqual([...takeSnapshot(dir.join("theirs")).keys()]);
      },
    );

    test("B35 rsync agrees: with its --open-noatime reading leaves access times", async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("file", noise(100_000, 1)), dir);
      const accessed = 1_000_000_000n * SECOND;
      setTimes(dir.join("source/file"), THEN, accessed);
      await run("ours", ["mirror", "--yes", "--checksum", `${dir.join("source")}/`, dir.join("ours")]);
      await run("theirs", ["-a", "--open-noatime", `${dir.join("source")}/`, dir.join("theirs")]);
      expect(statSync(dir.join("source/file"), { bigint: true }).atimeNs).toBe(accessed);
      expect(lstat(dir.join("ours/file")).mtimeNs).toBe(THEN);
    });
  },
);
