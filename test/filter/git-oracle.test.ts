/** .gitignore files against `git check-ignore`: the same entries must be ignored, at every depth. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { NO_FILTER } from "../../src/core/filter-spec.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { allPaths, bytes, IN_MEMORY, latin1, type ModelDirectory, offered, writeTree } from "./model-tree.ts";
import { Random, randomPattern, randomTree } from "./random.ts";

const CASES = Number(process.env["FASTSYNC_FILTER_CASES"] ?? 500);
const FIRST_SEED = Number(process.env["FASTSYNC_FILTER_SEED"] ?? 1);
const CONCURRENCY = 4;
const gitMissing = spawnSync("git", ["--version"]).status === 0 ? undefined : "git is not installed";

function randomLine(random: Random, paths: readonly string[]): string {
  if (random.chance(4)) return random.pick(["# a", "", "!", "/", "\\", "   ", "**", "/**", "**/", "***", "!/"]);
  let line = randomPattern(random, paths);
  if (random.chance(8)) line = random.pick(["\\#", "\\!", "\\", " ", "**/", "/**/"]) + line;
  if (random.chance(8))
    line += random.pick([" ", "  ", "\\ ", "\\  ", "\t", "\\", "/**/a", "/**/*", "**", "**/", " \\a "]);
  return random.chance(30) ? `!${line}` : line;
}

function scatterIgnores(random: Random, tree: ModelDirectory, paths: readonly string[], percent: number): void {
  for (const node of tree.values()) if (node.kind === "directory") scatterIgnores(random, node.entries, paths, 30);
  if (!random.chance(percent)) return;
  const lines = Array.from({ length: 1 + random.below(5) }, () => randomLine(random, paths));
  const text = (random.chance(4) ? "\xef\xbb\xbf" : "") + lines.join(random.chance(10) ? "\r\n" : "\n");
  tree.set(".gitignore", { kind: "file", text: bytes(text + (random.chance(50) ? "\n" : "")) });
}

function makeTree(seed: number): ModelDirectory {
  const random = new Random(seed);
  const tree = randomTree(random, { typeSeed: seed, plain: false });
  scatterIgnores(random, tree, allPaths(tree), 100);
  return tree;
}

let scratch: TempDir;
beforeAll(() => {
  scratch = tempDir(IN_MEMORY);
  spawnSync("git", ["init", "-q", "--bare", scratch.join("repository")]);
});
afterAll(() => scratch?.[Symbol.dispose]());

async function ignoredByGit(tree: ModelDirectory, place: string, paths: readonly string[]): Promise<Set<string>> {
  writeTree(tree, bytesOf(place));
  const child = Bun.spawn(
    [
      "git",
      `--git-dir=${scratch.join("repository")}`,
      "--work-tree=.",
      "-c",
      "core.bare=false",
      "check-ignore",
      "--no-index",
      "-z",
      "--stdin",
    ],
    {
      cwd: place,
      env: { PATH: process.env["PATH"], HOME: place, GIT_CONFIG_NOSYSTEM: "1", LC_ALL: "C" },
      stdin: bytes(paths.map((path) => `./${path.replace(/\/$/, "")}`).join("\0")),
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [out, problems, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code > 1) throw new Error(`git check-ignore exited ${code}: ${problems}`);
  return new Set(latin1(out).split("\0").filter(Boolean).map((path) => path.slice(2))); // biome-ignore format: one thought
}

describe.skipIf(gitMissing !== undefined)(
  `as git${gitMissing === undefined ? "" : ` (skipped: ${gitMissing})`}`,
  () => {
    test("random .gitignore files ignore the same", async () => {
      const found: string[] = [];
      const seeds = Array.from({ length: CASES }, (_, i) => FIRST_SEED + i);
      const work = async (): Promise<void> => {
        for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) {
          const tree = makeTree(seed);
          const paths = allPaths(tree);
          const ignored = await ignoredByGit(tree, scratch.join(`case-${seed}`), paths);
          const filter = compileFilter({ ...NO_FILTER, gitignore: true }, { deleteExcluded: false });
          const shown = offered(tree, filter.root());
          for (const path of paths)
            if (shown.has(path) === ignored.has(path.replace(/\/$/, "")))
              found.push(`seed ${seed}: ${path} is ignored by ${shown.has(path) ? "git" : "us"} only`);
        }
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, work));
      expect(found).toEqual([]);
    }, 600_000);
  },
);
