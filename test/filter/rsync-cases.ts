/** Random cases for the comparison with rsync: two trees, rule files in them, and rules or a list of files. */
import { cleanPath } from "../../src/filter/files-from.ts";
import { allPaths, bytes, latin1, type ModelDirectory } from "./model-tree.ts";
import { Random, randomPattern, randomTree } from "./random.ts";

export interface Case {
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

/*
 * What rsync does and we do not is kept out of the cases:
 * - an anchored rule of a per-directory file takes wildcards and backslashes in that directory's own path for its own;
 * - only the first `-C` of a run counts, with its sides;
 * - with --files-from, rule files of directories that are only passed through are read in its own way, and listed paths
 *   below a listed directory are taken although a rule excludes a directory between them.
 */

const RULE_FILES = [".f", ".g", ".cvsignore"] as const;

function randomMerge(random: Random): string {
  const flags = random.pick(["", "", "n", "e", "-", "+", "w", "s", "r", "p", "/", "C", "n-", "ns", "es", "ep"]);
  return `${random.pick([":", ":", flags === "" ? "dir-merge" : "dir-merge,"])}${flags} ${random.pick(RULE_FILES)}`;
}

function randomRule(random: Random, paths: readonly string[]): string {
  const pattern = randomPattern(random, paths);
  if (random.chance(4)) return "!";
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

export function makeCase(seed: number): Case {
  const random = new Random(seed);
  const merges = random.chance(55) ? 1 + random.below(2) : 0;
  const options = { typeSeed: seed, plain: merges > 0 };
  const source = randomTree(random, options);
  const target = randomTree(random, options);
  const paths = [...allPaths(source), ...allPaths(target)];
  const old = merges === 0 && random.chance(25);
  const rules = Array.from({ length: 1 + random.below(6) }, () => {
    if (!old) return randomRule(random, paths);
    return `${random.pick(["", "", "", "- ", "+ "])}${randomPattern(random, paths)}`;
  });
  const insert = (rule: string): void => void rules.splice(random.below(rules.length + 1), 0, rule);
  for (let i = 0; i < merges; i++) insert(randomMerge(random));
  if (!old && random.chance(10)) insert(random.pick(["-C", "-sC", "exclude,C"]));
  const files = RULE_FILES.filter((name) => rules.some((rule) => /^(:|dir-merge)/.test(rule) && rule.endsWith(name)));
  scatterRules(random, source, paths, files);
  scatterRules(random, target, paths, files);
  return { seed, source, target, rules, old, deleteExcluded: random.chance(20), filesFrom: undefined };
}

/** A case of --files-from. */
export function makeListCase(seed: number): Case {
  const random = new Random(seed);
  const source = randomTree(random, { typeSeed: seed, plain: false });
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
