/** Attributes that the target cannot have: the data and everything else arrive, and one line says what is missing. */
import { expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { cstring, getXattr, libc } from "../support/libc.ts";
import type { JsonResult } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { BACKENDS, because, behavioursMissing, expectNothingDone, mirror, onEachFilesystem } from "./behaviour.ts";
import { compilerMissing } from "./c/programs.ts";
import { describe, test } from "./placed-test.ts";

const cannotMount = behavioursMissing ?? canMount("tmpfs");
const ACL = "user::rwx,user:12345:r-x,group::r-x,mask::rwx,other::---";

function buildRich(root: string): void {
  const owner = { uid: 1000, gid: 2000 };
  new TreeBuilder(root)
    .file("plain", "p", { ...owner, mode: 0o640, mtimeNs: 1_000_000_001n })
    .file("d/xattr", noise(100_000, 1), { ...owner, mode: 0o4750, mtimeNs: 2_000_000_002n, xattrs: { "user.x": "1" } })
    .file("d/acl", "a", { ...owner, mtimeNs: 3_000_000_003n, acl: ACL })
    .file("d/both", "b", { ...owner, mtimeNs: 4_000_000_004n, acl: ACL, xattrs: { "user.x": "2", "user.y": "3" } })
    .dir("d", { ...owner, mode: 0o750, mtimeNs: 5_000_000_005n, xattrs: { "user.d": "1" } })
    .dir("", { mtimeNs: 6_000_000_006n })
    .finish();
}

/** The entries that each group of warnings names, by attribute. */
function named({ summary }: JsonResult): Record<string, string[]> {
  const groups = summary["attribute_failures"] as { attribute: string; examples: { path: string }[] }[];
  return Object.fromEntries(
    groups.map(({ attribute, examples }) => [attribute, examples.map(({ path }) => path).sort()]),
  );
}

/** The grouped warnings by attribute and errno, with how many entries they are about. */
function warnings({ summary }: JsonResult): string[] {
  const groups = summary["attribute_failures"] as { attribute: string; errno: number; entries: number }[];
  return groups.map(({ attribute, errno, entries }) => `${attribute} ${errno} ${entries}`).sort();
}

const ENOSPC = 28;
const ENOTSUP = 95;

describe.skipIf(cannotMount !== undefined)(because("attributes that cannot be applied", cannotMount), () => {
  test("B34 a filesystem without extended attributes and ACLs", async () => {
    using dir = tempDir();
    await using ramfs = await mountFilesystem("ramfs", "64M");
    const [source, target] = [dir.join("source"), join(ramfs.path, "target")];
    buildRich(source);
    const first = await mirror(source, target, [], { exitCode: 23 });
    /* The group bits of an ACL are its mask: the nearest that a mode can say. */
    assertSameTrees(source, target, { ignore: ["xattrs", "acl", "default-acl"] });
    expect(warnings(first)).toEqual([`acl ${ENOTSUP} 2`, `xattr ${ENOTSUP} 3`]);
    expect(named(first)).toEqual({ acl: ["d/acl", "d/both"], xattr: ["d", "d/both", "d/xattr"] });
    expect(first.summary).toMatchObject({ exit_reason: "attributes", files_failed: 0, failures: [] });
    expect(first.stderr.match(/^warning: .*$/gm)?.length).toBe(2);
    for (const path of named(first)["xattr"]!) expect(first.stderr.split("\n")).toContain(`  ${path}`);

    const again = await mirror(source, target, [], { exitCode: 23 });
    expect(again.summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0, files_failed: 0 });
    const lenient = await mirror(source, target, ["--no-strict-attrs"]);
    expect(warnings(lenient)).toEqual(warnings(first));
    expectNothingDone(await mirror(source, target, ["--no-xattrs", "--no-acls"]));
  });

  test("B34 of many entries all are counted and the first ten named", async () => {
    using dir = tempDir();
    await using ramfs = await mountFilesystem("ramfs", "64M");
    const [source, target] = [dir.join("source"), join(ramfs.path, "target")];
    const tree = new TreeBuilder(source);
    for (let i = 0; i < 25; i++) tree.file(`d/${i}`, "x", { xattrs: { "user.x": "1" } });
    const result = await mirror(source, target, [], { exitCode: 23 });
    expect(warnings(result)).toEqual([`xattr ${ENOTSUP} 25`]);
    const paths = named(result)["xattr"]!;
    expect(new Set(paths).size).toBe(10);
    for (const path of paths) expect(path).toMatch(/^d\/\d+$/);
    expect(result.stderr.split("\n")).toContain("  and 15 more");
  });

  test("B34 a value too large for the target's filesystem", async () => {
    await using xfs = await mountFilesystem("xfs", "512M");
    await using ext4 = await mountFilesystem("ext4", "64M");
    const [source, target] = [join(xfs.path, "source"), join(ext4.path, "target")];
    new TreeBuilder(source)
      .file("large", noise(100_000, 2), { mode: 0o600, xattrs: { "user.huge": noise(30_000, 3), "user.small": "s" } })
      .file("z/other", "o", { xattrs: { "user.small": "s" } })
      .finish();
    const result = await mirror(source, target, [], { exitCode: 23 });
    expect(warnings(result)).toEqual([`xattr ${ENOSPC} 1`]);
    assertSameTrees(source, target, { except: (path, attribute) => path === "large" && attribute === "xattrs" });
    expect(Object.keys(takeSnapshot(target).get("large")!.xattrs)).toEqual(["user.small"]);
  });

  test("B34 a flag of the target that forbids any change of a file is a failure of that file alone", async () => {
    await using ext4 = await mountFilesystem("ext4", "64M");
    const [source, target] = [join(ext4.path, "source"), join(ext4.path, "target")];
    buildRich(source);
    await mirror(source, target);
    expect(spawnSync("chattr", ["+i", `${target}/d/acl`]).status).toBe(0);
    try {
      expect(libc().chmod(cstring(`${source}/d/acl`), 0o600)).toBe(0);
      new TreeBuilder(source).file("plain", "changed", { mode: 0o640 }).dir("d", { mode: 0o700 }).finish();
      const result = await mirror(source, target, [], { exitCode: 23 });
      assertSameTrees(source, target, { except: (path) => path === "d/acl" });
      expect(result.summary["bytes_transferred"]).toBe(7);
    } finally {
      spawnSync("chattr", ["-i", `${target}/d/acl`]);
    }
    await mirror(source, target);
    assertSameTrees(source, target);
  });
});

/* There is no ZFS here: a preloaded library stands for it. The portable twin asks the C library by its handle, past it. */
const noShim =
  cannotMount ?? compilerMissing ?? (BACKENDS.length > 1 ? undefined : "only the native library sees the shim");

function buildShim(dir: TempDir): string {
  const path = dir.join("nfs4-shim.so");
  const code = join(import.meta.dir, "c/nfs4-shim.c");
  const result = spawnSync("cc", ["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", path, code, "-ldl"]);
  if (result.status !== 0) throw new Error(`${result.stderr}`);
  return path;
}

describe.skipIf(noShim !== undefined)(because("NFSv4 ACLs", noShim), () => {
  onEachFilesystem(
    "NFSv4 ACLs",
    ({ scratch }) => {
      const HIDDEN = "user.nfs4_acl_xdr__";
      const OPAQUE = Uint8Array.from({ length: 84 }, (_, i) => (i * 37) & 0xff);

      function build(root: string): void {
        const xattrs = { [HIDDEN]: OPAQUE, "user.other": "x" };
        new TreeBuilder(root)
          .file("d/file", "x", { mode: 0o640, xattrs })
          .file("plain", "p")
          .dir("d", { xattrs })
          .finish();
      }

      test("B31 are carried byte for byte where both ends have them, and not without ACLs", async () => {
        using dir = scratch();
        const env = { LD_PRELOAD: buildShim(dir), NFS4_SHIM: "both" };
        const [source, target] = [dir.join("source"), dir.join("target")];
        build(source);
        await mirror(source, target, [], { env });
        assertSameTrees(source, target);
        for (const path of ["d", "d/file"]) expect(getXattr(`${target}/${path}`, HIDDEN)).toEqual(OPAQUE);
        expectNothingDone(await mirror(source, target, [], { env }));
        await mirror(source, dir.join("other"), ["--no-acls"], { env });
        for (const path of ["d", "d/file"]) expect(getXattr(dir.join(`other/${path}`), HIDDEN)).toBeUndefined();
      });

      test("B31 are one warning with a count where the target has none", async () => {
        using dir = scratch();
        const env = { LD_PRELOAD: buildShim(dir), NFS4_SHIM: "source" };
        const [source, target] = [dir.join("source"), dir.join("target")];
        build(source);
        const result = await mirror(source, target, [], { env, exitCode: 23 });
        expect(warnings(result)).toEqual([`acl ${ENOTSUP} 2`]);
        assertSameTrees(source, target, { ignore: ["xattrs"] });
        expect(getXattr(`${target}/d/file`, "user.other")).toBeDefined();
        await mirror(source, dir.join("other"), ["--no-strict-attrs"], { env });
      });
    },
    ["xfs"],
  );
});
