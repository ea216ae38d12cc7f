/** Names change their meaning while a run is at work. The outside never changes and never leaks. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { asUserMissing, isRoot } from "../support/run.ts";
import { TreeBuilder } from "../support/tree.ts";
import { because, behavioursMissing } from "./behaviour.ts";
import { compilerMissing, startProgram } from "./c/programs.ts";
import { quickDir } from "./moments.ts";
import { fillOutside, fillTree, type Race, type RacePlaces, race, SECRET } from "./races.ts";

const reason = behavioursMissing ?? compilerMissing;
const MS = 2500;

function mirrorWords({ source, target }: RacePlaces): string[] {
  return ["mirror", "--yes", "--max-delete", "100%", "--allow-empty-source", "--json", `${source}/`, `${target}/`];
}

const RACES: readonly (readonly [string, Race])[] = [
  [
    "S01 S02 a source directory: the outside is neither listed nor read",
    {
      build: ({ source, outside }) => {
        fillTree(source, 1, 4);
        fillTree(join(source, "flips"), 1);
        fillTree(join(source, "flips/more/below"), 1);
        fillOutside(outside);
        fillOutside(join(outside, "more/below"));
      },
      flips: ({ source, outside }) => ({ name: join(source, "flips"), linkTo: outside }),
      before: ({ target }) => rmSync(target, { recursive: true, force: true }),
      words: mirrorWords,
    },
  ],
  [
    "S03 S05 a target directory: nothing is made outside",
    {
      build: ({ source, outside, target }) => {
        for (const path of ["flips", "flips/more", "flips/more/below"]) fillTree(join(source, path), 1);
        mkdirSync(join(target, "flips"));
        fillOutside(outside);
        mkdirSync(join(outside, "more"));
      },
      flips: ({ target, outside }) => ({ name: join(target, "flips"), linkTo: outside }),
      before: (_places, _round, real) => {
        rmSync(real, { recursive: true, force: true });
        mkdirSync(real);
      },
      words: mirrorWords,
    },
  ],
  [
    "S03 S04 a target directory: nothing outside is replaced, nor are its attributes",
    {
      build: ({ source, outside, target, dir }) => {
        fillTree(join(source, "flips"), 0);
        fillTree(join(target, "flips"), 1);
        fillTree(dir.join("versions/0/flips"), 0);
        fillTree(dir.join("versions/1/flips"), 1);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ name: join(target, "flips"), linkTo: outside }),
      words: ({ dir, target }, round) =>
        mirrorWords({ source: dir.join(`versions/${round % 2}`), target } as RacePlaces),
    },
  ],
  [
    "S04 the same by --inplace, which opens what is there",
    {
      build: ({ outside, target, dir }) => {
        fillTree(join(target, "flips"), 1);
        fillTree(dir.join("versions/0/flips"), 0);
        fillTree(dir.join("versions/1/flips"), 1);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ name: join(target, "flips"), linkTo: outside }),
      words: ({ dir, target }, round) => [
        ...mirrorWords({ source: dir.join(`versions/${round % 2}`), target } as RacePlaces),
        "--inplace",
      ],
    },
  ],
  [
    "S06 the delete pass: only names inside the tree go",
    {
      build: ({ source, outside, target }) => {
        mkdirSync(join(source, "flips"));
        fillTree(join(target, "flips"), 1);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ name: join(target, "flips"), linkTo: outside }),
      before: (_places, round, real) => {
        rmSync(real, { recursive: true, force: true });
        fillTree(real, round);
      },
      words: mirrorWords,
    },
  ],
  [
    "S06 source removal by move: only names inside the tree go",
    {
      build: ({ source, outside }) => {
        fillTree(join(source, "flips"), 1);
        fillOutside(outside);
      },
      flips: ({ source, outside }) => ({ name: join(source, "flips"), linkTo: outside }),
      before: ({ target }, round, real) => {
        for (const path of [target, real]) rmSync(path, { recursive: true, force: true });
        fillTree(real, round);
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
    "S07 a source file: a link in its place is not followed",
    {
      build: ({ source, outside }) => {
        fillTree(source, 1);
        fillOutside(outside);
      },
      flips: ({ source, outside }) => ({ name: join(source, "file3"), linkTo: join(outside, "file3") }),
      before: ({ target }) => rmSync(target, { recursive: true, force: true }),
      words: mirrorWords,
    },
  ],
  [
    "S07 a target file: a link in its place is never written through",
    {
      build: ({ outside, target, dir }) => {
        fillTree(dir.join("versions/0"), 0);
        fillTree(dir.join("versions/1"), 1);
        fillTree(target, 1);
        fillOutside(outside);
      },
      flips: ({ target, outside }) => ({ name: join(target, "file3"), linkTo: join(outside, "file3") }),
      words: ({ dir, target }, round) => [
        ...mirrorWords({ source: dir.join(`versions/${round % 2}`), target } as RacePlaces),
        ...(round % 3 === 0 ? ["--inplace"] : []),
      ],
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
