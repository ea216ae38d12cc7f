/** Names change their meaning while a run is at work. The outside never changes, is never opened, and never leaks. */
import { afterAll, expect, setDefaultTimeout } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PLACEMENT, startDaemon, stopDaemons } from "../support/placement.ts";
import { asUserMissing, fastsync, isRoot } from "../support/run.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing } from "./behaviour.ts";
import { compilerMissing, startProgram } from "./c/programs.ts";
import { quickDir } from "./moments.ts";
import { describe, test } from "./placed-test.ts";
import { emptied, FLIPPED_FILES, mirrorWords, modulePathRace, RACES } from "./race-cases.ts";
import { fillTree, RACE_MS, type RaceCell, race, SECRET } from "./races.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);
afterAll(stopDaemons);

const reason = behavioursMissing ?? compilerMissing;
const isPortable = process.env["FASTSYNC_NATIVE"] === "off";

/** Each side of each placement as some user, so that the two backends together have all of them. */
const SOME_CELLS: readonly RaceCell[] = isPortable
  ? [
      { placement: "local", user: "root" },
      { placement: "push", user: "ordinary" },
      { placement: "pull", user: "root" },
    ]
  : [
      { placement: "local", user: "root" },
      { placement: "local", user: "ordinary" },
      { placement: "push", user: "root" },
      { placement: "pull", user: "ordinary" },
    ];

/** FASTSYNC_RACES=all: every placement as every user. */
function chooseCells(): readonly RaceCell[] {
  const placements = PLACEMENT === undefined ? (["local", "push", "pull"] as const) : [PLACEMENT];
  const isAll = PLACEMENT !== undefined || process.env["FASTSYNC_RACES"] === "all";
  const all = placements.flatMap((placement) => (["root", "ordinary"] as const).map((user) => ({ placement, user })));
  const cells = isAll ? all : SOME_CELLS;
  return isRoot() ? cells : cells.filter(({ user }) => user === "ordinary");
}

describe.skipIf(reason !== undefined)(because("races", reason), () => {
  test("S01 the flipper shows both faces of a name to a reader that is not careful", async () => {
    using dir = quickDir();
    new TreeBuilder(dir.path)
      .file("inside/file", "inside")
      .file("outside/file", SECRET)
      .symlink("the-other", "outside");
    await using flipper = await startProgram("flipper", [dir.join("inside"), dir.join("the-other")]);
    const seen = new Map<string, number>();
    for (const endMs = performance.now() + 2000; performance.now() < endMs && seen.size < 2; ) {
      try {
        const text = readFileSync(dir.join("inside/file"), "utf8");
        seen.set(text, (seen.get(text) ?? 0) + 1);
      } catch {}
    }
    expect([...seen.keys()].sort()).toEqual(["inside", SECRET]);
    expect(Number(await flipper.stop())).toBeGreaterThan(2);
  });

  test.each(["source", "target"] as const)(
    "S07 a FIFO in the place of a %s file never blocks the run",
    async (side) => {
      using dir = quickDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      for (const path of [source, target]) fillTree(path, 1, 8);
      const sides = { source, target };
      const tree = new TreeBuilder(dir.path);
      const pairs = FLIPPED_FILES.flatMap((name, index) => [join(sides[side], name), dir.join(`the-other${index}`)]);
      FLIPPED_FILES.forEach((_, index) => void tree.special(`the-other${index}`, "fifo"));
      await using flipper = await startProgram("flipper", pairs);
      const ends = new Set<number>();
      const flags = [[], ["--inplace"], ["--checksum"]];
      let runs = 0;
      for (const endMs = performance.now() + RACE_MS; performance.now() < endMs || runs < flags.length; runs++) {
        if (side === "source") emptied([target]);
        const words = [...mirrorWords({ source, target }), ...flags[runs % flags.length]!];
        ends.add((await fastsync(words, { timeoutMs: 20_000 })).exitCode);
      }
      for (const end of ends) expect([0, 23, 24]).toContain(end);
      expect(Number(await flipper.stop())).toBeGreaterThan(200);
    },
  );

  const cannotServe = PLACEMENT === undefined ? (isRoot() ? undefined : "needs root") : "it has a daemon of its own";
  test.skipIf(cannotServe !== undefined)(
    because("S15 S09 the path of a module: a stranger's link on the way is never followed", cannotServe),
    async () => {
      let daemon: ReturnType<typeof startDaemon> | undefined;
      try {
        const { runs } = await race(
          modulePathRace((path) => {
            daemon = startDaemon({}, path);
            return daemon.port;
          }),
          { placement: "local", user: "root" },
          RACE_MS,
        );
        expect(runs).toBeGreaterThan(1);
      } finally {
        await daemon?.stop();
      }
    },
  );

  for (const cell of chooseCells()) {
    const cannot = cell.user === "ordinary" && isRoot() ? asUserMissing() : undefined;
    const races = RACES.filter(({ where }) => where?.({ ...cell, isPortable }) !== false);
    describe.skipIf(cannot !== undefined)(because(`races, ${cell.placement}, ${cell.user}:`, cannot), () => {
      test.each(races.map((contest) => [contest.title, contest] as const))(
        "%s",
        async (_, contest) => {
          const outcome = await race(contest, cell, RACE_MS);
          expect(outcome.runs).toBeGreaterThan(1);
          expect(outcome.swaps).toBeGreaterThan(200);
        },
        60_000,
      );
    });
  }
});
