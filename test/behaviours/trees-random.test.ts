/** Properties of a mirror over random trees and random changes, on both backends. The seed is in the test's name. */
import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { assertSameTrees, diffTrees } from "../support/diff.ts";
import { PLACEMENT } from "../support/placement.ts";
import { buildRandomTree, mutateRandomTree } from "../support/random-tree.ts";
import type { JsonResult, ProcessOptions } from "../support/run.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import {
  BACKENDS,
  because,
  behavioursMissing,
  buildAsOrdinary,
  expectNothingDone,
  itemsOf,
  jsonPath,
  mirror,
  ORDINARY,
  ordinaryDir,
  ordinaryMissing,
  touched,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

/* The portable twin has all of them already where both backends are tested. */
const SEEDS = BACKENDS.length > 1 && PLACEMENT === undefined ? [1, 2, 3, 4, 5] : [1, 2];
const ROUNDS = 2;

for (const backend of BACKENDS) {
  describe.skipIf(behavioursMissing !== undefined)(because(`random trees, ${backend.name}`, behavioursMissing), () => {
    for (const seed of SEEDS) {
      test(`B01 B02 B41 seed ${seed}: equal after each change, listed beforehand, then at rest`, async () => {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), dir.join("target")];
        buildRandomTree(source, seed);
        await expectMirror(source, target, backend.options);
        for (let round = 1; round <= ROUNDS; round++) {
          mutateRandomTree(source, seed * 100 + round);
          expect(diffTrees(source, target).length).toBeGreaterThan(3);
          /* A change of content must not hide behind an equal size and time. */
          await expectMirror(source, target, backend.options, ["--checksum"]);
        }
      });
    }

    test.skipIf(ordinaryMissing !== undefined)(
      because("B01 B02 B41 as an ordinary user", ordinaryMissing),
      async () => {
        using dir = ordinaryDir();
        const [source, target] = [dir.join("source"), dir.join("target")];
        const options = { ...ORDINARY, ...backend.options };
        await buildAsOrdinary("random-tree.ts", "buildRandomTree", source, 77);
        await expectMirror(source, target, options);
        await buildAsOrdinary("random-tree.ts", "mutateRandomTree", source, 78);
        await expectMirror(source, target, options, ["--checksum"]);
      },
    );
  });
}

/** A dry run that changes nothing lists what the run then does, the trees are equal, and one more run is idle. */
async function expectMirror(
  source: string,
  target: string,
  options: ProcessOptions,
  flags: readonly string[] = [],
): Promise<void> {
  const sourceBefore = takeSnapshot(source);
  const targetBefore = existsSync(target) ? takeSnapshot(target, { content: false }) : undefined;
  const dry = await mirror(source, target, ["--dry-run", ...flags], options);
  expect(existsSync(target)).toBe(targetBefore !== undefined);
  if (targetBefore !== undefined) expect(touched(targetBefore, target)).toEqual([]);

  const real = await mirror(source, target, flags, options);
  assertSameTrees(sourceBefore, source);
  assertSameTrees(source, target);
  const shared = sharedPaths(sourceBefore);
  expect(listed(dry, shared)).toEqual(listed(real, shared));
  expect(promised(dry)).toEqual(promised(real));

  const after = takeSnapshot(target, { content: false });
  expectNothingDone(await mirror(source, target, flags, options));
  expect(touched(after, target)).toEqual([]);
}

/** Paths of files with several names, as the items of a run write them. */
function sharedPaths(tree: Snapshot): Set<string> {
  const shared = [...tree.values()].filter((entry) => entry.group !== "");
  return new Set(shared.map(({ path }) => jsonPath(path)));
}

/** The items, without those of hard-linked files: which of its names comes first, and is the one copied, may vary. */
function listed(result: JsonResult, shared: ReadonlySet<string>): string[] {
  return itemsOf(result).filter((item) => !shared.has(item.slice(item.indexOf(" ") + 1)) || item.startsWith("delete "));
}

/** The numbers of a summary that a dry run knows beforehand, files added up for the same reason. */
function promised({ summary }: JsonResult): Record<string, unknown> {
  const sum = (...names: string[]) => names.reduce((total, name) => total + Number(summary[name]), 0);
  return {
    files: sum("created", "updated", "linked", "repaired", "unchanged"),
    directories: summary["directories_created"],
    deleted: summary["files_deleted"],
  };
}
