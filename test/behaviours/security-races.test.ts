/** Names change their meaning while a run is at work. The outside never changes and never leaks. */
import { expect, setDefaultTimeout } from "bun:test";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { asUserMissing, fastsync, isRoot } from "../support/run.ts";
import type { TempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing } from "./behaviour.ts";
import { compilerMissing, startProgram } from "./c/programs.ts";
import { quickDir } from "./moments.ts";
import { describe, test } from "./placed-test.ts";
import { fillOutside, fillTree, type Race, type RacePlaces, race, SECRET } from "./races.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const reason = behavioursMissing ?? compilerMissing;
const MS = 2000;

function mirrorWords({ source, target }: Pick<RacePlaces, "source" | "target">): string[] {
  return ["mirror", "--yes", "--max-delete", "100%", "--allow-empty-source", "--json", `${source}/`, `${target}/`];
}

/** Several chances in each run. */
const FLIPPED = ["flips0", "flips1", "flips2", "flips3", "flips4", "flips5"] as const;
const FLIPPED_FILES = ["file0", "file3", "file7", "attributes", "hard-a", "fifo"] as const;

function below(root: string, names: readonly string[]): string[] {
  return names.map((name) => join(root, name));
}

function emptied(paths: readonly string[]): void {
  for (const path of paths) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(path);
  }
}

/** Two versions of the source, so that every run has something to replace and to mend. */
function buildVersions(dir: TempDir, names: readonly string[]): void {
  for (const version of [0, 1]) for (const name of names) fillTree(dir.join(`versions/${version}/${name}`), version, 8);
}

function versionWords({ dir, target }: RacePlaces, round: number): string[] {
  return mirrorWords({ source: dir.join(`versions/${round % 2}`), target });
}

const RACES: readonly (readonly [string, Race])[] = [
  [
    "S01 S02 source directories: the outside is neither listed nor read",
    {
      build: ({ source, outside }) => {
        for (const name of FLIPPED) for (const inner of ["", "more/below"]) fillTree(join(source, name, inner), 1, 8);
        for (const inner of ["", "more/below"]) fillOutside(join(outside, inner));
      },
      flips: ({ source, outside }) => ({ names: below(source, FLIPPED), linkTo: outside }),
      before: ({ target }) => emptied([target]),
      words: mirrorWords,
    },
  ],
  [
    "S03 S05 target directories: nothing is made outside",
    {
      build: ({ source, outside, target }) => {
        for (const name of FLIPPED) for (const inner of ["", "more/below"]) fillTree(join(source, name, inner), 1, 8);
        emptied(below(target, FLIPPED));
        fillOutside(outside);
        mkdirSync(join(outside, "more"));
      },
      flips: ({ target, outside }) => ({ names: below(target, FLIPPED), linkTo: outside }),
      before: (_places, _round, real) => emptied(real),
      words: mirrorWords,
    },
  ],
  [
    "S03 S04 target directories: nothing outside is replaced, nor are its attributes",
    {
      build: ({ outside, target, dir }) => {
        buildVersions(dir, FLIPPED);
        for (const name of FLIPPED) fillTree(join(target, name), 1, 8);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ names: below(target, FLIPPED), linkTo: outside }),
      words: versionWords,
    },
  ],
  [
    "S04 target directories, by --inplace, which opens what is there",
    {
      build: ({ outside, target, dir }) => {
        buildVersions(dir, FLIPPED);
        for (const name of FLIPPED) fillTree(join(target, name), 1, 8);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ names: below(target, FLIPPED), linkTo: outside }),
      words: (places, round) => [...versionWords(places, round), "--inplace"],
    },
  ],
  [
    "S06 the delete pass: only names inside the tree go",
    {
      build: ({ source, outside, target }) => {
        emptied(below(source, FLIPPED));
        for (const name of FLIPPED) fillTree(join(target, name), 1, 8);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ names: below(target, FLIPPED), linkTo: outside }),
      before: (_places, round, real) => {
        emptied(real);
        for (const path of real) fillTree(path, round, 8);
      },
      words: mirrorWords,
    },
  ],
  [
    "S06 the delete pass below directories that only the target has: only names inside the tree go",
    {
      build: ({ source, outside, target }) => {
        fillTree(source, 1, 2);
        for (const name of FLIPPED) fillTree(join(target, "extra", name), 1, 8);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ names: below(join(target, "extra"), FLIPPED), linkTo: outside }),
      before: ({ target }, round, real) => {
        mkdirSync(join(target, "extra"), { recursive: true });
        emptied(real);
        for (const path of real) fillTree(path, round, 8);
      },
      words: mirrorWords,
    },
  ],
  [
    "S06 source removal by move: only names inside the tree go",
    {
      build: ({ source, outside }) => {
        for (const name of FLIPPED) fillTree(join(source, name), 1, 8);
        fillOutside(outside);
      },
      flips: ({ source, outside }) => ({ names: below(source, FLIPPED), linkTo: outside }),
      before: ({ target }, round, real) => {
        emptied([target, ...real]);
        for (const path of real) fillTree(path, round, 8);
      },
      /* A choice of methods rules renames out: files are copied, then unlinked. */
      words: ({ source, target }) => [
        "move",
        "--yes",
        "--json",
        "--copy-method",
        "read_write",
        `${source}/`,
        `${target}/`,
      ],
    },
  ],
  [
    "S07 source files: a link in their place is not followed",
    {
      build: ({ source, outside }) => {
        fillTree(source, 1);
        fillOutside(outside);
      },
      flips: ({ source, outside }) => ({ names: below(source, FLIPPED_FILES), linkTo: join(outside, "file3") }),
      before: ({ target }) => emptied([target]),
      words: mirrorWords,
    },
  ],
  [
    "S04 S07 target files: a link in their place is never written through, nor given attributes",
    {
      build: ({ outside, target, dir }) => {
        buildVersions(dir, [""]);
        fillTree(target, 1);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ names: below(target, FLIPPED_FILES), linkTo: join(outside, "file3") }),
      words: (places, round) => [...versionWords(places, round), ...(round % 3 === 0 ? ["--inplace"] : [])],
    },
  ],
];

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

  test("S07 a FIFO in the place of a source file never blocks the run", async () => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    mkdirSync(source);
    fillTree(source, 1);
    const tree = new TreeBuilder(dir.path);
    const pairs = FLIPPED_FILES.flatMap((name, index) => [join(source, name), dir.join(`the-other${index}`)]);
    FLIPPED_FILES.forEach((_, index) => void tree.special(`the-other${index}`, "fifo"));
    await using flipper = await startProgram("flipper", pairs);
    const ends = new Set<number>();
    for (const endMs = performance.now() + MS; performance.now() < endMs; ) {
      emptied([target]);
      ends.add((await fastsync(mirrorWords({ source, target }), { timeoutMs: 20_000 })).exitCode);
    }
    for (const end of ends) expect([0, 23, 24]).toContain(end);
    expect(Number(await flipper.stop())).toBeGreaterThan(1000);
  });

  const users = isRoot() ? (["root", "ordinary"] as const) : (["ordinary"] as const);
  for (const user of users) {
    const cannot = user === "ordinary" && isRoot() ? asUserMissing() : undefined;
    describe.skipIf(cannot !== undefined)(because(`races of ${user}`, cannot), () => {
      test.each(RACES)(
        "%s",
        async (_, contest) => {
          const outcome = await race(contest, user, MS);
          expect(outcome.runs).toBeGreaterThan(1);
          expect(outcome.swaps).toBeGreaterThan(1000);
        },
        60_000,
      );
    });
  }
});
