/** The shapes of `bench/workloads/scale.ts`, small: the same ways through the program, in seconds. */
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { because, behavioursMissing, expectNothingDone, needsRoot } from "../behaviours/behaviour.ts";
import { buildDeepTree } from "../support/deep-tree.ts";
import { assertSameTrees } from "../support/diff.ts";
import { mountFilesystem } from "../support/filesystems.ts";
import { lstat } from "../support/libc.ts";
import { stopDaemons } from "../support/placement.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { mirrorWords, missing, WAYS } from "./edge.ts";

afterAll(stopDaemons);

const T = 1_600_000_000_000_000_000n;
const [KIB, MIB, TIB] = [2 ** 10, 2 ** 20, 2 ** 40];

/**
 * Mirror, idle mirror, mirror with a deletion, check: by each way, each into a target of its own. The first target is
 * held to the source by the tests' own means, the others to that by the program's.
 */
async function everyVerb(source: string, target: string, entries: number): Promise<void> {
  for (const [i, way] of WAYS.entries()) {
    const into = `${target}${i}`;
    const words = mirrorWords(source, into);
    const { summary } = await way.run("mirror", words);
    expect(Number(summary["created"]) + Number(summary["linked"])).toBe(entries);
    if (i === 0) assertSameTrees(source, into);
    expectNothingDone(await way.run("mirror", words));
    new TreeBuilder(into).file("extraneous", "x").finish();
    expect((await way.run("mirror", words)).summary).toMatchObject({ files_deleted: 1, files_transferred: 0 });
    await way.run("check", [`${source}/`, `${into}/`]);
  }
}

describe.skipIf(behavioursMissing !== undefined)(because("many", behavioursMissing), () => {
  test("B01 B02 20,000 files, half of them in one directory", async () => {
    using dir = tempDir("/dev/shm");
    const tree = new TreeBuilder(dir.join("source"));
    for (let i = 0; i < 20_000; i++)
      tree.file(i < 10_000 ? `wide/file${i}` : `d${i % 10}/file${i}`, "", { mtimeNs: T + BigInt(i) });
    tree.finish();
    await everyVerb(dir.join("source"), dir.join("target"), 20_000);
  });

  test("B20 B21 5,000 names of 50 files in 10 directories", async () => {
    using dir = tempDir("/dev/shm");
    const tree = new TreeBuilder(dir.join("source"));
    const nameOf = (i: number) => `d${Math.floor(i / 500)}/name${i}`;
    for (let i = 0; i < 5_000; i++)
      if (i < 50) tree.file(nameOf(i), noise(512, i), { mtimeNs: T });
      else tree.hardlink(nameOf(i), nameOf(i % 50));
    tree.finish();
    await everyVerb(dir.join("source"), dir.join("target"), 5_000);
    expect(lstat(join(dir.join("target0"), nameOf(0))).nlink).toBe(100);
  });

  test("B05 paths of 4,000 and of 8,000 bytes", async () => {
    using dir = tempDir("/dev/shm");
    const source = dir.join("source");
    new TreeBuilder(source).dir("long").dir("longer").finish();
    buildDeepTree(join(source, "long"), "x".repeat(199), 20);
    buildDeepTree(join(source, "longer"), "y".repeat(199), 40);
    await everyVerb(source, dir.join("target"), 60);
  });
});

const noXfs = needsRoot ?? missing("xfs", "xfs-noreflink");

describe.skipIf(noXfs !== undefined)(because("large", noXfs), () => {
  test("B32 a sparse file of 1 TiB with data at odd places", async () => {
    await using xfs = await mountFilesystem("xfs-noreflink", "512M");
    const source = join(xfs.path, "source");
    const pieces = [1, 4095, 70_001, 3 * MIB + 17, 2 ** 31 - 3, 2 ** 32 + 5, TIB / 3, TIB - 100 * KIB - 1];
    const data = pieces.map((at, i) => ({ at: Math.floor(at), data: noise(60 * KIB + i, i + 1) }));
    new TreeBuilder(source).sparse("disk", TIB, data, { mtimeNs: T }).finish();
    for (const [i, way] of WAYS.entries()) {
      const target = join(xfs.path, `target${i}`);
      const { summary } = await way.run("mirror", mirrorWords(source, target));
      expect(summary).toMatchObject({ created: 1, bytes_logical: TIB });
      const { size, blocks } = lstat(join(target, "disk"));
      expect([size, blocks * 512 < 16 * MIB]).toEqual([TIB, true]);
      assertSameTrees(source, target);
      expectNothingDone(await way.run("mirror", mirrorWords(source, target)));
    }
  });

  test("B29 1,000 extended attributes of one file, 4 of each of 100", async () => {
    await using xfs = await mountFilesystem("xfs", "512M");
    const source = join(xfs.path, "source");
    const attributes = (count: number, salt: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`user.name${i}`, `value ${i} of ${salt}`]));
    const tree = new TreeBuilder(source).file("many", "m", { xattrs: attributes(1_000, 0), mtimeNs: T });
    for (let i = 0; i < 100; i++) tree.file(`some/${i}`, "s", { xattrs: attributes(4, i), mtimeNs: T });
    tree.finish();
    await everyVerb(source, join(xfs.path, "target"), 101);
  });
});
