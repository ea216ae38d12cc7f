/** Random trees are reproducible, their changes real, and rsync follows them under the differ's eyes. */
import { describe, expect, test } from "bun:test";
import { assertSameTrees, diffTrees } from "../support/diff.ts";
import { libcMissing } from "../support/libc.ts";
import { rsyncMirror, rsyncMissing } from "../support/oracle.ts";
import { buildRandomTree, mutateRandomTree } from "../support/random-tree.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";

describe.skipIf(libcMissing !== undefined)("random trees", () => {
  test("are the same for the same seed and differ for another", () => {
    using dir = tempDir();
    buildRandomTree(dir.join("a"), 1);
    buildRandomTree(dir.join("b"), 1);
    buildRandomTree(dir.join("c"), 2);
    expect(takeSnapshot(dir.join("a")).size).toBe(61);
    expect(diffTrees(dir.join("a"), dir.join("b"))).toEqual([]);
    expect(diffTrees(dir.join("a"), dir.join("c"))).not.toEqual([]);
  });

  test.skipIf(rsyncMissing !== undefined)(
    "change, and rsync makes an equal tree of each change",
    () => {
      for (let seed = 1; seed <= 6; seed++) {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), dir.join("target")];
        buildRandomTree(source, seed);
        rsyncMirror(source, target);
        mutateRandomTree(source, seed + 100);
        expect(diffTrees(source, target).length).toBeGreaterThan(5);
        rsyncMirror(source, target, ["--delete", "--force", "--checksum"]);
        assertSameTrees(source, target);
      }
    },
    60_000,
  );
});
