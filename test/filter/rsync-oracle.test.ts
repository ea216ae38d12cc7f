/**
 * The filter against rsync itself: random rules over random trees must select the same entries and delete the same.
 * Rules go to rsync by file, since arguments cannot carry every byte.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { type FilterRuleText, type FilterSpec, NO_FILTER } from "../../src/core/filter-spec.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import { cleanPath, parseFilesFrom } from "../../src/filter/files-from.ts";
import { expandMerges, rulesFromExcludeFile } from "../../src/filter/read-rules.ts";
import { rsyncMissing } from "../support/oracle.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { allPaths, bytes, deleted, latin1, type ModelDirectory, offered, writeTree } from "./model-tree.ts";
import { Random, randomPattern, randomTree } from "./random.ts";

const CASES = Number(process.env["FASTSYNC_FILTER_CASES"] ?? 500);
const FIRST_SEED = Number(process.env["FASTSYNC_FILTER_SEED"] ?? 1);
const CONCURRENCY = 4;

interface Case {
  readonly seed: number;
  readonly source: ModelDirectory;
  readonly target: ModelDirectory;
  /** Lines of a rule file. */
  readonly rules: readonly string[];
  /** The rules are patterns for --exclude-from. */
  readonly old: boolean;
  readonly deleteExcluded: boolean;
  readonly filesFrom: readonly string[] | undefined;
}

/**
 * What rsync does and we do not, kept out of the cases:
 * - an anchored rule of a per-directory file takes wildcards and backslashes in that directory's own path for its own;
 * - only the first `-C` of a run counts, with its sides.
 */
function isKnownToDiffer(rules: readonly string[], paths: readonly string[]): boolean {
  const merges = rules.some((rule) => /^(:|dir-merge)/.test(rule));
  return (
    (merges && paths.some((path) => /[\\*?[]/.test(path))) ||
    rules.filter((rule) => /^(-s?|exclude,)C/.test(rule)).length > 1
  );
}

const RULE_FILES = [".f", ".g", ".cvsignore"] as const;

function randomMerge(random: Random): string {
  const flags = random.pick(["", "", "n", "e", "-", "+", "w", "s", "r", "p", "/", "C", "n-", "ns"]);
  return `${random.pick([":", ":", flags === "" ? "dir-merge" : "dir-merge,"])}${flags} ${random.pick(RULE_FILES)}`;
}

function randomRule(random: Random, paths: readonly string[]): string {
  const pattern = randomPattern(random, paths);
  if (random.chance(4)) return "!";
  if (random.chance(3)) return random.pick(["-C", "-sC", "exclude,C"]);
  if (random.chance(10)) return randomMerge(random);
  const name = random.pick(["-", "-", "-", "+", "+", "H", "S", "P", "R", "exclude", "include", "hide", "protect"]);
  let flags = "";
  if (random.chance(10)) flags += "!";
  if (random.chance(10)) flags += "p";
  if (random.chance(8)) flags += "/";
  if (name.length > 1 ? !/hide|protect/.test(name) : "-+".includes(name))
    if (random.chance(15)) flags += random.pick(["s", "r", "sr"]);
  const comma = flags !== "" && name.length > 1 ? "," : "";
  return `${name}${comma}${flags}${random.pick([" ", " ", "_"])}${pattern}`;
}

/** Rule files of directories: plain, since which template reads them is not known here. */
function scatterRules(random: Random, tree: ModelDirectory, paths: readonly string[], names: readonly string[]): void {
  for (const node of tree.values()) if (node.kind === "directory") scatterRules(random, node.entries, paths, names);
  for (const name of names) {
    if (!random.chance(40)) continue;
    const lines = Array.from({ length: 1 + random.below(3) }, () => {
      const pattern = randomPattern(random, paths).replaceAll(/\s/g, "?");
      if (random.chance(8)) return "!";
      if (name === ".f" && random.chance(8)) return random.pick([":_.g", ":n_.g", ":e_.g", ":C", ":_.f"]);
      if (name !== ".cvsignore" && random.chance(5)) return `-/_${pattern}`;
      return name === ".cvsignore" ? pattern : `${random.pick(["-", "-", "+"])}_${pattern}`;
    });
    tree.set(name, { kind: "file", text: bytes(lines.join("\n")) });
  }
}

function makeCase(seed: number): Case {
  const random = new Random(seed);
  for (;;) {
    const one = anyCase(random, seed);
    if (!isKnownToDiffer(one.rules, [...allPaths(one.source), ...allPaths(one.target)])) return one;
  }
}

function anyCase(random: Random, seed: number): Case {
  const source = randomTree(random, seed);
  const target = randomTree(random, seed);
  const paths = [...allPaths(source), ...allPaths(target)];
  const old = random.chance(15);
  const rules = Array.from({ length: 1 + random.below(6) }, () => {
    if (!old) return randomRule(random, paths);
    return `${random.pick(["", "", "", "- ", "+ "])}${randomPattern(random, paths)}`;
  });
  if (!old && random.chance(35)) rules.splice(random.below(rules.length + 1), 0, randomMerge(random));
  const files = RULE_FILES.filter((name) => rules.some((rule) => /^(:|dir-merge)/.test(rule) && rule.endsWith(name)));
  scatterRules(random, source, paths, files);
  scatterRules(random, target, paths, files);
  return { seed, source, target, rules, old, deleteExcluded: random.chance(20), filesFrom: undefined };
}

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

/**
 * A case of --files-from. rsync reads rule files of directories that are only passed through in its own way, and goes
 * on to listed paths below listed directories that a rule excludes: neither is generated.
 */
function makeListCase(seed: number): Case {
  const random = new Random(seed);
  const source = randomTree(random, seed);
  const paths = allPaths(source);
  const withRules = random.chance(60);
  const rules = withRules
    ? Array.from(
        { length: 1 + random.below(3) },
        () => `${random.pick(["- ", "- ", "+ "])}${randomPattern(random, paths)}`,
      )
    : [];
  const listed = Array.from({ length: 1 + random.below(5) }, () => {
    const path = random.pick(paths);
    const known = random.chance(85) ? path : `${path.replace(/\/$/, "")}${random.pick(["x", "/gone", "y/z"])}`;
    return random.pick([known, known, `/${known}`, known.replace(/\/$/, ""), `../${known}`, `//x/..//${known}`]);
  });
  const clean = (path: string): string => latin1(cleanPath(bytes(path)));
  const isNested = (path: string): boolean => listed.some((other) => clean(path).startsWith(`${clean(other)}/`));
  const filesFrom = withRules ? listed.filter((path) => !isNested(path)) : listed;
  return { seed, source, target: new Map(), rules, old: false, deleteExcluded: false, filesFrom };
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
  scratch = tempDir("/dev/shm");
});
afterAll(() => scratch?.[Symbol.dispose]());

/** Runs cases side by side; returns what disagrees. */
async function disagreements(cases: readonly Case[]): Promise<string[]> {
  const found: string[] = [];
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
  return found;
}

describe.skipIf(rsyncMissing !== undefined)(
  `as rsync${rsyncMissing === undefined ? "" : ` (skipped: ${rsyncMissing})`}`,
  () => {
    test("random rules select and delete the same", async () => {
      const cases = Array.from({ length: CASES }, (_, i) => makeCase(FIRST_SEED + i));
      expect(await disagreements(cases)).toEqual([]);
    }, 600_000);

    test("random lists of files select the same and miss the same", async () => {
      const cases = Array.from({ length: Math.ceil(CASES / 2) }, (_, i) => makeListCase(1_000_000 + FIRST_SEED + i));
      expect(await disagreements(cases)).toEqual([]);
    }, 600_000);
  },
);
