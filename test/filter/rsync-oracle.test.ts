/**
 * The filter against rsync itself: random rules over random trees must select the same entries and delete the same.
 * Rules go to rsync by file, since arguments cannot carry every byte.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { type FilterRuleText, type FilterSpec, NO_FILTER } from "../../src/core/filter-spec.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import { parseFilesFrom } from "../../src/filter/files-from.ts";
import { expandMerges, rulesFromExcludeFile } from "../../src/filter/read-rules.ts";
import { rsyncMissing } from "../support/oracle.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { allPaths, bytes, deleted, IN_MEMORY, latin1, offered, writeTree } from "./model-tree.ts";
import { type Case, makeCase, makeListCase } from "./rsync-cases.ts";

const CASES = Number(process.env["FASTSYNC_FILTER_CASES"] ?? 500);
const FIRST_SEED = Number(process.env["FASTSYNC_FILTER_SEED"] ?? 1);
const CONCURRENCY = 4;

function specOf(one: Case): FilterSpec {
  const text = bytes(one.rules.join("\n"));
  const rules: readonly FilterRuleText[] = one.old
    ? rulesFromExcludeFile(text, "rules", "exclude", false)
    : expandMerges([{ text: bytesOf(". rules"), origin: "--filter" }], () => text, false);
  const filesFrom = one.filesFrom === undefined ? undefined : parseFilesFrom(listText(one.filesFrom), true);
  return { ...NO_FILTER, rules, filesFrom };
}

interface Answer {
  readonly offered: Set<string>;
  readonly deleted: Set<string>;
  /** Listed paths that the source lacks. */
  readonly missing: Set<string>;
}

const listText = (paths: readonly string[]): Uint8Array => bytes(paths.join("\0"));

/** rsync makes no parent for a listed path that is missing or excluded; the walk cannot know that in advance. */
function withoutIdleParents(shown: ReadonlySet<string>, listed: readonly Uint8Array[]): Set<string> {
  const isSelected = (path: string): boolean =>
    listed.map(latin1).some((root) => path === root || path === `${root}/` || path.startsWith(`${root}/`));
  const selected = [...shown].filter(isSelected);
  return new Set([...shown].filter((path) => isSelected(path) || selected.some((below) => below.startsWith(path))));
}

function ourAnswer(one: Case, place: string): Answer {
  const roots = { source: bytesOf(`${place}/source/`), target: bytesOf(`${place}/target`) };
  const filter = compileFilter(specOf(one), { deleteExcluded: one.deleteExcluded, roots });
  const shown = offered(one.source, filter.root());
  return {
    offered:
      one.filesFrom === undefined ? shown : withoutIdleParents(shown, parseFilesFrom(listText(one.filesFrom), true)),
    deleted: one.filesFrom === undefined ? deleted(one.target, shown, filter.root()) : new Set(),
    missing: new Set(filter.unseenFiles().map(latin1)),
  };
}

async function rsyncAnswer(one: Case, place: string): Promise<Answer | string> {
  mkdirSync(place);
  writeTree(one.source, bytesOf(`${place}/source`));
  writeTree(one.target, bytesOf(`${place}/target`));
  writeFileSync(`${place}/rules`, bytes(one.rules.join("\n")));
  const args = ["rsync", "-a", "-ii", "-8", "--out-format=%i %n"];
  // The rule file is read as soon as its option is seen, so what says how to read it comes first.
  if (one.filesFrom !== undefined) args.push("--from0");
  args.push(one.old ? "--exclude-from=rules" : "--filter=. rules");
  if (one.filesFrom !== undefined) {
    writeFileSync(`${place}/list`, listText(one.filesFrom));
    args.push("-r", "--files-from=list");
    writeFileSync(`${place}/rules`, bytes(one.rules.join("\0")));
  } else args.push("--delete-before");
  if (one.deleteExcluded) args.push("--delete-excluded");
  const child = Bun.spawn([...args, "source/", "target/"], {
    cwd: place,
    env: { PATH: process.env["PATH"], HOME: place, LC_ALL: "C" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, problems, code] = await Promise.all([
    new Response(child.stdout).bytes(),
    new Response(child.stderr).bytes(),
    child.exited,
  ]);
  const missing = [...latin1(problems).matchAll(/link_stat "(.*)" failed/g)].map((match) => match[1]!);
  if (code !== 0 && !(code === 23 && missing.length > 0)) return `exit ${code}: ${latin1(problems)}`;
  const answer: Answer = {
    offered: new Set(),
    deleted: new Set(),
    missing: new Set(missing.map((path) => path.slice(place.length + "/source/".length))),
  };
  for (const line of latin1(out).split("\n")) {
    const path = line.slice(12);
    if (line.length <= 12 || path === "./" || line.startsWith("cannot delete")) continue;
    (line.startsWith("*deleting") ? answer.deleted : answer.offered).add(path);
  }
  return answer;
}

/** What one has and the other lacks, for the message. */
function differences(ours: Answer, theirs: Answer): string[] {
  const lines: string[] = [];
  for (const what of ["offered", "deleted", "missing"] as const) {
    for (const path of ours[what]) if (!theirs[what].has(path)) lines.push(`${what} by us only: ${path}`);
    for (const path of theirs[what]) if (!ours[what].has(path)) lines.push(`${what} by rsync only: ${path}`);
  }
  return lines;
}

let scratch: TempDir;
beforeAll(() => {
  scratch = tempDir(IN_MEMORY);
});
afterAll(() => scratch?.[Symbol.dispose]());

interface Verdict {
  readonly disagreements: readonly string[];
  /** Cases that both sides ran and in which something was left out or protected. */
  readonly telling: number;
}

/** Runs cases side by side. */
async function compare(cases: readonly Case[]): Promise<Verdict> {
  const found: string[] = [];
  let telling = 0;
  const queue = [...cases];
  const work = async (): Promise<void> => {
    for (let one = queue.pop(); one !== undefined; one = queue.pop()) {
      const place = scratch.join(`case-${one.seed}`);
      const theirs = await rsyncAnswer(one, place);
      let ours: Answer | string;
      try {
        ours = ourAnswer(one, place);
      } catch (error) {
        ours = `refused: ${(error as Error).message}`;
      }
      if (typeof ours === "string" && typeof theirs === "string") continue;
      if (typeof ours !== "string" && ours.offered.size < allPaths(one.source).length) telling++;
      const differ =
        typeof ours === "string"
          ? [ours]
          : typeof theirs === "string"
            ? [`rsync ${theirs}`]
            : differences(ours, theirs);
      if (differ.length > 0)
        found.push(
          [
            `seed ${one.seed}${one.deleteExcluded ? " --delete-excluded" : ""}`,
            ...one.rules,
            ...(one.filesFrom ?? []).map((path) => `list: ${path}`),
            ...differ,
          ].join("\n  "),
        );
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return { disagreements: found, telling };
}

describe.skipIf(rsyncMissing !== undefined)(
  `as rsync${rsyncMissing === undefined ? "" : ` (skipped: ${rsyncMissing})`}`,
  () => {
    test("B36 B37 B39 rsync agrees: random rules select and delete the same", async () => {
      const cases = Array.from({ length: CASES }, (_, i) => makeCase(FIRST_SEED + i));
      const { disagreements, telling } = await compare(cases);
      expect(disagreements).toEqual([]);
      // Else the cases would prove nothing.
      expect(telling).toBeGreaterThan(CASES * 0.4);
    }, 600_000);

    test("B38 rsync agrees: random lists of files select the same and miss the same", async () => {
      const cases = Array.from({ length: Math.ceil(CASES / 2) }, (_, i) => makeListCase(1_000_000 + FIRST_SEED + i));
      const { disagreements, telling } = await compare(cases);
      expect(disagreements).toEqual([]);
      // Else the cases would prove nothing.
      expect(telling).toBeGreaterThan(CASES * 0.3);
    }, 600_000);
  },
);
