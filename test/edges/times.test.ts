/** Times that a filesystem cannot keep, or keeps in steps: nothing is copied again and again for them. */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { because, expectNothingDone, touched } from "../behaviours/behaviour.ts";
import { assertSameTrees } from "../support/diff.ts";
import { FILESYSTEMS, type FilesystemKind } from "../support/filesystems.ts";
import { lstat, setTimes } from "../support/libc.ts";
import { stopDaemons } from "../support/placement.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { mirrorWords, missing, twoFilesystems, WAYS } from "./edge.ts";

afterAll(stopDaemons);

const SECOND = 1_000_000_000n;
const at = (seconds: number, ns = 0): bigint => BigInt(seconds) * SECOND + BigInt(ns);
const TIMES: Readonly<Record<string, bigint>> = {
  "year-1700": at(-8_520_336_000, 5),
  "before-1901": at(-(2 ** 31) - 1, 999_999_999),
  "year-1901": at(-(2 ** 31)),
  "year-1960": at(-315_619_200, 123_456_789),
  "just-before-1970": at(-1, 999_999_999),
  "year-1970": at(0, 1),
  "before-1980": at(315_532_799, 999_999_999),
  "year-2024": at(1_704_067_201, 123_456_789),
  "odd-second": at(1_704_067_203),
  "year-2038": at(2 ** 31 - 1, 999_999_999),
  "after-2038": at(2 ** 31, 1),
  "year-2106": at(2 ** 32 - 1, 7),
  "after-2106": at(2 ** 32, 7),
  "after-2107": at(4_354_819_200),
  "year-2446": at(15_032_385_535, 3),
  "after-2446": at(15_032_385_536, 3),
  "after-2486": at(16_299_260_426),
  "year-3000": at(32_503_680_000, 1),
};

/** Files, directories and links of each time. */
function build(root: string, withLinks: boolean): void {
  const tree = new TreeBuilder(root);
  for (const [name, mtimeNs] of Object.entries(TIMES)) {
    tree.file(`${name}.file`, name, { mode: 0o755, mtimeNs });
    tree.file(`${name}.dir/inside`, name, { mode: 0o755, mtimeNs }).dir(`${name}.dir`, { mtimeNs });
    if (withLinks) tree.symlink(`${name}.link`, name, { mtimeNs });
  }
  tree.finish();
}

/** What the filesystem makes of each time by itself. */
function keptTimes(directory: string): Record<string, bigint> {
  const kept: Record<string, bigint> = {};
  mkdirSync(directory);
  for (const [name, mtimeNs] of Object.entries(TIMES)) {
    const path = join(directory, name);
    writeFileSync(path, "");
    setTimes(path, mtimeNs);
    kept[name] = lstat(path).mtimeNs;
  }
  return kept;
}

const TARGETS: readonly FilesystemKind[] = [
  ...(["xfs", "xfs-2038", "ext4", "ext4-128", "btrfs", "tmpfs", "vfat", "exfat"] as const),
  ...FILESYSTEMS.filter((kind) => kind === "zfs"),
];
/** They have the owner and mode of the mount, and no links. */
const PLAIN: ReadonlySet<FilesystemKind> = new Set(["vfat", "exfat"]);
/** How they keep times is found out by a run that writes. */
const MEASURED: ReadonlySet<FilesystemKind> = new Set(["xfs-2038", "exfat"]);
const flagsFor = (kind: FilesystemKind): string[] =>
  PLAIN.has(kind) ? ["--no-perms", "--no-owner", "--no-group", "--no-xattrs", "--no-acls"] : [];

for (const kind of TARGETS) {
  const reason = missing("tmpfs", kind);
  describe.skipIf(reason !== undefined)(because(`times on ${kind}`, reason), () => {
    for (const way of WAYS) {
      test(`B02 B26 of any year are kept as near as can be, and the next run is at rest, ${way.name}`, async () => {
        await using trees = await twoFilesystems("tmpfs", kind);
        const { source, target } = trees;
        build(source, !PLAIN.has(kind));
        const words = mirrorWords(source, target, ...flagsFor(kind));
        await way.run("mirror", words);
        const kept = keptTimes(`${target}-reference`);
        for (const [name, mtimeNs] of Object.entries(kept)) {
          const files = [`${name}.file`, `${name}.dir/inside`, `${name}.dir`];
          for (const path of PLAIN.has(kind) ? files : [...files, `${name}.link`])
            expect([path, lstat(`${target}/${path}`).mtimeNs]).toEqual([path, mtimeNs]);
        }
        const before = takeSnapshot(target, { content: false });
        expectNothingDone(await way.run("mirror", words));
        expectNothingDone(await way.run("mirror", [...words, "--update"]));
        expect(touched(before, target)).toEqual([]);
        /* It touches nothing, so it goes by what the type of the filesystem tells. */
        if (!MEASURED.has(kind))
          await way.run(
            "check",
            words.filter((word) => word !== "--yes"),
          );
      });
    }

    test("B12 B13 what differs within the range, or comes back into it, is still found", async () => {
      await using trees = await twoFilesystems("tmpfs", kind);
      const { source, target } = trees;
      build(source, false);
      const [run] = WAYS.map((way) => way.run);
      const words = mirrorWords(source, target, ...flagsFor(kind));
      await run!("mirror", words);
      new TreeBuilder(source)
        .file("year-2024.file", "YEAR-2024", { mode: 0o755, mtimeNs: TIMES["year-2024"]! + 5n * SECOND })
        .file("year-3000.file", "YEAR-3000", { mode: 0o755, mtimeNs: at(1_500_000_000) })
        .file("year-1700.file", "longer than before", { mode: 0o755, mtimeNs: at(-8_520_336_000) })
        .file("odd-second.file", "ODD-SECOND", { mode: 0o755, mtimeNs: at(32_503_680_000) })
        .finish();
      const { summary } = await run!("mirror", words);
      expect(summary).toMatchObject({ updated: 4, created: 0, files_deleted: 0 });
      for (const name of ["year-2024", "year-3000", "year-1700", "odd-second"])
        expect(takeSnapshot(target).get(`${name}.file`)!.content).toBe(
          takeSnapshot(source).get(`${name}.file`)!.content,
        );
      expectNothingDone(await run!("mirror", words));
    });
  });
}

for (const kind of ["ext4-128", "vfat", "exfat"] as const) {
  const reason = missing("xfs", kind);
  describe.skipIf(reason !== undefined)(because(`steps of ${kind}`, reason), () => {
    test("B13 what came from finer steps is at rest in both directions", async () => {
      await using trees = await twoFilesystems("xfs", kind);
      const { source, target } = trees;
      const tree = new TreeBuilder(source);
      for (let i = 0; i < 50; i++)
        tree.file(`d/${i}`, `${i}`, { mode: 0o755, mtimeNs: at(1_600_000_000 + i, i * 19_999_999) });
      tree.dir("d", { mtimeNs: at(1_600_000_001, 999_999_999) }).finish();
      const [run] = WAYS.map((way) => way.run);
      await run!("mirror", mirrorWords(source, target, ...flagsFor(kind)));
      expectNothingDone(await run!("mirror", mirrorWords(source, target, ...flagsFor(kind))));
      /* Back, over what it came from, and to where there is nothing. A source is not written to, so not measured. */
      const before = takeSnapshot(source);
      const window = MEASURED.has(kind) ? ["--modify-window=2"] : [];
      expectNothingDone(await run!("mirror", mirrorWords(target, source, ...flagsFor(kind), ...window)));
      expect(touched(before, source)).toEqual([]);
      const other = `${source}-other`;
      await run!("mirror", mirrorWords(target, other, ...flagsFor(kind)));
      assertSameTrees(target, other, { ignore: ["uid", "gid", "mode"] });
      expectNothingDone(await run!("mirror", mirrorWords(target, other, ...flagsFor(kind))));
    });
  });
}

const SFTP_SERVER = "/usr/lib/openssh/sftp-server";
const sftpMissing =
  missing("tmpfs") ??
  (Bun.which("sshfs") === null
    ? "sshfs is not installed"
    : existsSync(SFTP_SERVER)
      ? undefined
      : `there is no ${SFTP_SERVER}`);

describe.skipIf(sftpMissing !== undefined)(because("times behind a server that wraps them around", sftpMissing), () => {
  test.each(WAYS)("B02 B13 whole seconds, and 32 bits of them, are found out: $name", async ({ run }) => {
    await using trees = await twoFilesystems("tmpfs", "tmpfs");
    using dir = tempDir();
    const mounted = dir.join("mounted");
    for (const path of [trees.target, mounted]) mkdirSync(path);
    // No ssh: its place is taken by the server that it would start.
    writeFileSync(dir.join("ssh"), `#!/bin/sh\nexec ${SFTP_SERVER}\n`, { mode: 0o755 });
    const made = spawnSync("sshfs", ["-o", `ssh_command=${dir.join("ssh")}`, `nobody:${trees.target}`, mounted]);
    expect([made.status, String(made.stderr)]).toEqual([0, ""]);
    try {
      const tree = new TreeBuilder(trees.source);
      for (let i = 0; i < 20; i++) tree.file(`d/${i}`, `${i}`, { mtimeNs: at(1_600_000_000 + i, 1 + i * 19_999_999) });
      tree.dir("d", { mtimeNs: at(1_600_000_001, 999_999_999) }).finish();
      const words = mirrorWords(trees.source, mounted);
      await run("mirror", words);
      expectNothingDone(await run("mirror", words));
      new TreeBuilder(trees.source).file("d/3", "x", { mtimeNs: at(1_600_000_009) }).finish();
      expect((await run("mirror", words)).summary).toMatchObject({ updated: 1, created: 0 });
    } finally {
      spawnSync("umount", [mounted]);
    }
  });
});
