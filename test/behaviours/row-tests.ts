/** Which test files prove rows, and what a run of them proves: read from their text, without running anything. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const ROOT = resolve(import.meta.dir, "../..");

/** How the tests of a file are run. */
export const RUNS = ["native", "portable", "push", "pull"] as const;
export type Run = (typeof RUNS)[number];

/** What the table has a column for. */
export const COLUMNS = ["local", "portable", "push", "pull", "daemon"] as const;
export type Column = (typeof COLUMNS)[number];

export interface RowFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly rows: ReadonlySet<string>;
  readonly runs: readonly Run[];
  readonly columns: readonly Column[];
  /** Rows that it compares with rsync. */
  readonly references: ReadonlySet<string>;
}

/** Daemons, and what daemons and their callers are made of. */
const ABOUT_DAEMONS =
  /^(test\/(network|conformance|daemon|fuzz)|src\/(daemon|session|link|wire))\/|^test\/behaviours\/security-copy-links/;
/** What the portable twin may do otherwise than the library; what chooses its backends itself is run once. */
const WITH_BOTH = /^test\/(behaviours|edges)\//;
/** They choose the portable twin. */
const OF_THE_TWIN = /^test\/faults\/portable/;
/** They name rows to try the table itself. */
const ABOUT_THE_TABLE = /^(scripts\/behaviours|test\/docs)\//;

/** A literal that begins with ids, or is one: a title, or what a title is made of. */
const LITERAL = /["'`]([BS]\d\d(?:[ :,]+[BS]\d\d)*)(?=["'`]|[ :,])([^"'`\n]*)/g;

export function columnOf(path: string, run: Run): Column {
  if (ABOUT_DAEMONS.test(path)) return "daemon";
  if (OF_THE_TWIN.test(path)) return "portable";
  return run === "native" ? "local" : run;
}

function runsOf(path: string, text: string): readonly Run[] {
  const isPlaced = text.includes("placed-test.ts");
  return RUNS.filter((run) => {
    if (run === "native") return true;
    if (run === "portable") return WITH_BOTH.test(path);
    return isPlaced && !ABOUT_DAEMONS.test(path);
  });
}

/** Every test file that names a row. */
export function rowFiles(): RowFile[] {
  return [...new Bun.Glob("{test,src,scripts}/**/*.test.ts").scanSync(ROOT)]
    .filter((path) => !ABOUT_THE_TABLE.test(path))
    .sort()
    .map((path) => rowFile(path, textWithCases(path)))
    .filter(({ rows }) => rows.size > 0);
}

/** A test file, and what it takes its cases and their titles from. */
function textWithCases(path: string): string {
  const text = readFileSync(join(ROOT, path), "utf8");
  const cases = [...text.matchAll(/from "(\.\/[a-z-]*cases\.ts)"/g)].map(([, name]) =>
    join(ROOT, dirname(path), name!),
  );
  return [text, ...cases.map((file) => readFileSync(file, "utf8"))].join("\n");
}

export function rowFile(path: string, text: string): RowFile {
  const rows = new Set<string>();
  const references = new Set<string>();
  const isReference = path.startsWith("test/reference/");
  for (const [, ids = "", rest = ""] of text.matchAll(LITERAL))
    for (const id of ids.match(/[BS]\d\d/g) ?? []) {
      rows.add(id);
      if (isReference || rest.startsWith(" rsync ")) references.add(id);
    }
  const runs = runsOf(path, text);
  const columns = isReference ? [] : [...new Set(runs.map((run) => columnOf(path, run)))];
  return { path, rows, runs, columns, references };
}
