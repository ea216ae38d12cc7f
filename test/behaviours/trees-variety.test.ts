/** The first promise: a mirror holds everything that a filesystem records, and a second run has nothing to do. */
import { expect } from "bun:test";
import { assertSameTrees } from "../support/diff.ts";
import { rsyncMirror, rsyncMissing } from "../support/oracle.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { buildVarietyTree } from "../support/variety-tree.ts";
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

onEachFilesystem("variety tree", ({ scratch }) => {
  test("B01 a mirror is equal in everything, to the source and to rsync's mirror of it", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    expect(buildVarietyTree(source).skipped).toEqual([]);
    const before = takeSnapshot(source);
    const { summary } = await mirror(source, target);
    assertSameTrees(before, source);
    assertSameTrees(before, target);
    expect(summary).toMatchObject({ files_failed: 0, attribute_warnings: 0, skipped: {} });
    expect(summary["entries_examined"]).toBe(before.size - 1);
    if (rsyncMissing !== undefined) return;
    rsyncMirror(source, dir.join("reference"));
    assertSameTrees(dir.join("reference"), target);
  });

  test("B02 a second run transfers nothing and touches no inode", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildVarietyTree(source);
    await mirror(source, target);
    const before = takeSnapshot(target, { content: false });
    const again = await mirror(source, target);
    expectNothingDone(again);
    expect(again.stderr).toContain(`Up to date: ${before.size - 1} examined`);
    expect(touched(before, target)).toEqual([]);
  });

  test.skipIf(rsyncMissing !== undefined)(
    because("B02 rsync agrees: what it mirrored is up to date, and the reverse", rsyncMissing),
    async () => {
      using dir = scratch();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildVarietyTree(source);
      rsyncMirror(source, target);
      const before = takeSnapshot(target, { content: false });
      expectNothingDone(await mirror(source, target));
      rsyncMirror(source, target);
      expect(touched(before, target)).toEqual([]);
    },
  );
});

describe.skipIf(ordinaryMissing !== undefined)(because("variety tree of an ordinary user", ordinaryMissing), () => {
  test("B01 B02 a mirror is equal, a second run does nothing", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    await buildAsOrdinary("variety-tree.ts", "buildVarietyTree", source, { privileged: false });
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target, [], ORDINARY));
    expect(touched(before, target)).toEqual([]);
  });
});
