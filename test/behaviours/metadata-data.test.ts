/** Holes, special files, and the times of reading: what a naive copy fills, waits for, or disturbs. */
import { expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { lstat, setTimes } from "../support/libc.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import {
  BACKENDS,
  because,
  behavioursMissing,
  expectNothingDone,
  itemsOf,
  mirror,
  needsRoot,
  ORDINARY,
  onEachFilesystem,
  ordinaryDir,
  ordinaryMissing,
  run,
  touched,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const NATIVE = BACKENDS.length > 1;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Files of holes: small ones in a row, at either end, alone, and some that are large enough to be split. */
function buildSparse(root: string): void {
  const block = noise(4 * KIB, 7);
  const at = (...positions: number[]) => positions.map((position) => ({ at: position, data: block }));
  new TreeBuilder(root)
    .sparse("holes-64k", 4 * MIB, at(...Array.from({ length: 32 }, (_, i) => i * 128 * KIB)), { mtimeNs: 1n })
    .sparse("hole-first", 2 * MIB, at(2 * MIB - 4 * KIB), { mtimeNs: 2n })
    .sparse("hole-last", 2 * MIB + 17, at(0), { mtimeNs: 3n })
    .sparse("hole-only", 3 * MIB + 1, [], { mtimeNs: 4n })
    .sparse(
      "unaligned",
      1 * MIB,
      [
        { at: 300_001, data: "x" },
        { at: 700_003, data: "y" },
      ],
      { mtimeNs: 5n },
    )
    .sparse("split", 10 * GIB + 1, at(5, 64 * MIB, 5 * GIB + 123, 10 * GIB - 9000), { mtimeNs: 6n })
    .file("full", noise(300_000, 8), { mtimeNs: 7n })
    .file("zeros", new Uint8Array(300_000), { mtimeNs: 8n })
    .finish();
}

onEachFilesystem("sparse files", ({ kind, scratch }) => {
  test("B32 stay sparse by the usual way and by read and write, and are equal", async () => {
    using dir = scratch();
    const source = dir.join("source");
    buildSparse(source);
    for (const flags of [[], ["--copy-method", "read_write"]]) {
      const target = dir.join(`target${flags.length}`);
      await mirror(source, target, flags);
      assertSameTrees(source, target);
      const { allocatedBytes } = takeSnapshot(target, { content: false }).get("split")!;
      expect(allocatedBytes).toBeLessThan(8 * MIB);
    }
  });

  test("B32 a file that is replaced or written in place becomes as sparse as its source", async () => {
    for (const flags of [[], ["--inplace"]]) {
      using dir = scratch();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildSparse(source);
      rmSync(`${source}/split`);
      new TreeBuilder(target)
        .file("hole-first", noise(3 * MIB, 9))
        .file("holes-64k", noise(MIB, 10))
        .finish();
      await mirror(source, target, flags);
      /* What was written in place keeps its blocks; its content is right all the same. */
      assertSameTrees(source, target, { ignore: flags.length > 0 ? ["sparse"] : [] });
    }
  });

  test("B32 --no-sparse writes the holes out, and the content is the same", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildSparse(source);
    rmSync(`${source}/split`);
    await mirror(source, target, ["--no-sparse", "--copy-method", "read_write"]);
    assertSameTrees(source, target, { ignore: ["sparse"] });
    const { size, allocatedBytes } = takeSnapshot(target, { content: false }).get("hole-only")!;
    // ZFS makes holes of zeros by itself.
    if (kind !== "zfs") expect(allocatedBytes).toBeGreaterThanOrEqual(size - 4 * KIB);
    expectNothingDone(await mirror(source, target, ["--no-sparse"]));
  });

  test("B32 blocks that were only reserved read as zeros", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("reserved", noise(100_000, 11)).file("beyond", noise(5000, 12)).finish();
    const reserve = (...words: string[]) => spawnSync("fallocate", words).status;
    expect(reserve("-o", "200000", "-l", "1000000", `${source}/reserved`)).toBe(0);
    expect(reserve("--keep-size", "-o", "0", "-l", "4000000", `${source}/beyond`)).toBe(0);
    await mirror(source, target);
    assertSameTrees(source, target);
  });
});

describe.skipIf(needsRoot !== undefined)(because("special files as root", needsRoot), () => {
  function buildSpecials(root: string): void {
    new TreeBuilder(root)
      .special("fifo", "fifo", [0, 0], { mode: 0o620, mtimeNs: 1n })
      .special("deep/fifo", "fifo", [0, 0], { uid: 5, gid: 6, mtimeNs: 2n })
      .special("deep/socket", "socket", [0, 0], { mode: 0o777, mtimeNs: 3n })
      .special("deep/zero", "char", [1, 5], { mode: 0o666, mtimeNs: 4n })
      .special("deep/large-numbers", "block", [4000, 500_000], { mode: 0o640, mtimeNs: 5n })
      .file("deep/file", "x", { mtimeNs: 6n })
      .finish();
  }

  test("B33 are made, compared by number, and replaced when it differs; none is opened", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildSpecials(source);
    const { summary } = await mirror(source, target, ["--checksum", "--verify=readback"]);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ created: 6, bytes_transferred: 1, skipped: {} });
    const before = takeSnapshot(target);
    expectNothingDone(await mirror(source, target, ["--checksum"]));
    expect(touched(before, target)).toEqual([]);

    rmSync(`${source}/deep/zero`);
    rmSync(`${source}/fifo`);
    new TreeBuilder(source).special("deep/zero", "char", [1, 3], { mode: 0o666, mtimeNs: 4n }).file("fifo", "a file");
    expect(itemsOf(await mirror(source, target)).filter((item) => /^(create|update)/.test(item))).toEqual([
      "update deep/zero",
      "update fifo",
    ]);
    assertSameTrees(source, target);
  });

  test("B33 what is named as the target and is a device or a FIFO is neither written into nor replaced", async () => {
    using dir = tempDir();
    const target = dir.join("target");
    new TreeBuilder(dir.join("source")).file("file", "x").special("fifo", "fifo", [0, 0]);
    new TreeBuilder(target)
      .special("zero", "char", [1, 5])
      .special("pipe", "fifo", [0, 0])
      .special("s", "socket", [0, 0]);
    const before = takeSnapshot(target);
    for (const source of ["file", "fifo"])
      for (const name of ["zero", "pipe", "s"]) {
        const refused = await run("copy", [dir.join(`source/${source}`), `${target}/${name}`], { exitCode: 3 });
        expect(refused.summary["exit_reason"]).toBe("target_unusable");
        expect(refused.summary["message"]).toContain("is a device, FIFO or socket");
      }
    expect(touched(before, target)).toEqual([]);
  });

  test("B33 --no-specials leaves them out with a count, and keeps those of the target", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildSpecials(source);
    new TreeBuilder(target).special("fifo", "fifo").file("deep/zero", "kept as it is").finish();
    const { summary } = await mirror(source, target, ["--no-specials"]);
    expect([...takeSnapshot(target).keys()].sort()).toEqual(["", "deep", "deep/file", "deep/zero", "fifo"]);
    expect(summary["skipped"]).toEqual({ special: 5 });
  });

  test("B33 as arguments, and where a file stood", async () => {
    using dir = tempDir();
    buildSpecials(dir.join("source"));
    await run("copy", ["source/fifo", "source/deep/zero", "copies/"], { cwd: dir.path });
    assertSameTrees(dir.join("source/fifo"), dir.join("copies/fifo"));
    assertSameTrees(dir.join("source/deep/zero"), dir.join("copies/zero"));
    await run("copy", ["source/fifo", "source/deep/file"], { cwd: dir.path });
    assertSameTrees(dir.join("source/fifo"), dir.join("source/deep/file"));
  });

  test("B33 an ordinary user's run makes what it may, counts devices, and completes", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildSpecials(source);
    const { summary } = await mirror(source, target, [], ORDINARY);
    expect([...takeSnapshot(target).keys()].sort()).toEqual([
      "",
      "deep",
      "deep/fifo",
      "deep/file",
      "deep/socket",
      "fifo",
    ]);
    expect(summary["skipped"]).toEqual({ device: 2 });
    expectNothingDone(await mirror(source, target, [], ORDINARY));
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("special files of an ordinary user", ordinaryMissing), () => {
  test("B33 FIFOs and sockets, also where nobody will ever write into them", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const script = 'mkdir -p "$1/d"; mkfifo "$1/d/fifo" "$1/fifo"; touch "$1/file"';
    expect(spawnSync("sh", ["-c", script, "sh", source]).status).toBe(0);
    await mirror(source, target, ["--checksum"], ORDINARY);
    assertSameTrees(source, target, { ignore: needsRoot === undefined ? ["uid", "gid"] : [] });
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("access times", behavioursMissing), () => {
  test("B35 reading a source, also with --checksum and --verify, leaves its access times", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const files = { small: 10, medium: 300_000, split: 49 * MIB };
    const tree = new TreeBuilder(source);
    for (const [name, size] of Object.entries(files)) tree.file(name, noise(size, size));
    tree.finish();
    /* Older than the time of modification: relatime would move it. */
    const old = () => Object.keys(files).map((name) => setTimes(`${source}/${name}`, 5_000_000_000n, 3_000_000_000n));
    old();
    for (const flags of [
      [],
      ["--checksum"],
      ["--ignore-times", "--verify"],
      ["--ignore-times", "--copy-method", NATIVE ? "mmap" : "read_write"],
    ]) {
      await mirror(source, target, flags);
      const times = Object.keys(files).map((name) => lstat(`${source}/${name}`).atimeNs);
      expect([flags, times]).toEqual([flags, times.map(() => 3_000_000_000n)]);
    }
  });
});
