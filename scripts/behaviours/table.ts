/** The table of docs/behaviours.md from what the runs showed. */
import { COLUMNS, type Column } from "../../test/behaviours/row-tests.ts";
import { type Place, ROWS, type Row } from "../../test/behaviours/rows.ts";
import type { Evidence } from "./evidence.ts";

/** What stands in a cell, before the number of its tests. */
export const VERDICTS = ["holds", "in part", "fails", "skipped", "not there yet", "not run", "–"] as const;
export type Verdict = (typeof VERDICTS)[number];
export const REFERENCE_VERDICTS = ["agrees", "differs", "fails", "not applicable", "not run"] as const;

export interface RowResult {
  readonly row: Row;
  readonly cells: Readonly<Record<Column, Cell>>;
  readonly reference: string;
  /** As whom and on what filesystems it was shown. */
  readonly shown: string;
  readonly notes: readonly string[];
}

interface Cell {
  readonly verdict: Verdict;
  readonly passed: number;
  readonly skipped: number;
}

export const HEAD = ["row", "what", ...COLUMNS, "rsync", "shown", "note"] as const;

export function judge(evidence: readonly Evidence[]): RowResult[] {
  return ROWS.map((row) =>
    judgeRow(
      row,
      evidence.filter((one) => one.row === row.id),
    ),
  );
}

function judgeRow(row: Row, all: readonly Evidence[]): RowResult {
  const own = all.filter(({ column }) => column !== undefined);
  const cells = Object.fromEntries(
    COLUMNS.map((column) => [
      column,
      judgeCell(
        row,
        column,
        own.filter((one) => one.column === column),
      ),
    ]),
  ) as Record<Column, Cell>;
  const { verdict, notes } = judgeReference(
    row,
    all.filter(({ reference }) => reference !== undefined),
  );
  return {
    row,
    cells,
    reference: verdict,
    shown: shownBy(own.filter(({ state }) => state === "passed")),
    notes: [
      ...(row.open === undefined ? [] : [row.open]),
      ...(row.note === undefined ? [] : [row.note]),
      ...remarks(own),
      ...notes,
    ],
  };
}

/** The portable twin is asked wherever both sides are in one process. */
export function isAsked(row: Row, column: Column): boolean {
  return row.places.includes(column === "portable" ? "local" : (column as Place));
}

function judgeCell(row: Row, column: Column, found: readonly Evidence[]): Cell {
  const count = (state: Evidence["state"]): number => found.filter((one) => one.state === state).length;
  const [passed, failed, skipped] = [count("passed"), count("failed"), count("skipped")];
  const verdict = ((): Verdict => {
    if (failed > 0) return "fails";
    if (passed > 0) return row.open === undefined ? "holds" : "in part";
    if (!isAsked(row, column)) return "–";
    if (skipped > 0) return "skipped";
    return row.open === undefined ? "not run" : "not there yet";
  })();
  return { verdict, passed, skipped };
}

function judgeReference(row: Row, found: readonly Evidence[]): { verdict: string; notes: string[] } {
  const failed = found.filter(({ state }) => state === "failed");
  if (failed.length > 0) return { verdict: "fails", notes: failed.map(({ title }) => `fails beside rsync: ${title}`) };
  const passed = found.filter(({ state }) => state === "passed").map(({ reference }) => reference!);
  const differing = [...new Set(passed.filter(({ verdict }) => verdict === "differs").map(({ text }) => text))];
  if (differing.length > 0) return { verdict: "differs", notes: differing.map((text) => `rsync differs: ${text}`) };
  if (passed.length > 0) return { verdict: "agrees", notes: [] };
  if (row.noReference === undefined) return { verdict: "not run", notes: [] };
  return { verdict: "not applicable", notes: row.noReference === row.open ? [] : [`rsync: ${row.noReference}`] };
}

/** What was skipped and what failed, where and why. */
function remarks(own: readonly Evidence[]): string[] {
  const lines = new Map<string, Set<Column>>();
  for (const { state, column, title, reason } of own) {
    if (state === "passed") continue;
    const line = state === "failed" ? `fails: ${title}` : `a test is skipped: ${reason ?? title}`;
    lines.set(line, (lines.get(line) ?? new Set()).add(column!));
  }
  return [...lines].map(([line, columns]) => `${[...columns].join(", ")}: ${line}`);
}

function shownBy(passed: readonly Evidence[]): string {
  const users = ["root", "ordinary user"].filter((user) => passed.some((one) => one.user === user));
  const kinds = ["xfs", "xfs-noreflink", "ext4", "btrfs", "tmpfs", "ramfs"];
  const filesystems = kinds.filter((kind) => passed.some(({ filesystem }) => filesystem === kind));
  return [users.join(", "), filesystems.join(", ")].filter((part) => part !== "").join("; ");
}

export function tableLines(results: readonly RowResult[]): string[] {
  return [
    line([...HEAD]),
    `|${HEAD.map(() => "---").join("|")}|`,
    ...results.map(({ row, cells, reference, shown, notes }) =>
      line([
        row.level === "must" ? row.id : `${row.id} (should)`,
        row.what,
        ...COLUMNS.map((column) => cellText(cells[column])),
        reference,
        shown,
        notes.join("; "),
      ]),
    ),
  ];
}

function cellText({ verdict, passed, skipped }: Cell): string {
  if (passed === 0) return verdict;
  return `${verdict} (${passed}${skipped === 0 ? "" : `, ${skipped} skipped`})`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replace(/\s+/g, " ").replaceAll("|", "\\|")).join(" | ")} |`;
}

/** Rows by how they stand in the places where they are asked for. */
export function summaryLines(results: readonly RowResult[]): string[] {
  const asked = ({ row, cells }: RowResult): Verdict[] =>
    COLUMNS.filter((column) => isAsked(row, column)).map((column) => cells[column].verdict);
  const groups: [string, (verdicts: Verdict[], result: RowResult) => boolean][] = [
    [
      "fail somewhere",
      (verdicts, { cells }) =>
        Object.values(cells).some(({ verdict }) => verdict === "fails") || verdicts.includes("fails"),
    ],
    ["were not run in some place", (verdicts) => verdicts.includes("not run")],
    ["hold wherever they are asked for", (verdicts) => verdicts.every((verdict) => verdict === "holds")],
    ["hold, with a placement in which they cannot be shown", (verdicts) => verdicts.includes("holds")],
    ["hold in part", (verdicts) => verdicts.includes("in part")],
    ["are not there yet", (verdicts) => verdicts.includes("not there yet")],
    ["could not be run here", () => true],
  ];
  let rest = results;
  return groups.flatMap(([what, fits]) => {
    const found = rest.filter((result) => fits(asked(result), result));
    rest = rest.filter((result) => !found.includes(result));
    if (found.length === 0) return [];
    const musts = found.filter(({ row }) => row.level === "must").length;
    const ids = what.startsWith("hold wherever") ? "" : `: ${found.map(({ row }) => row.id).join(", ")}`;
    return [`- ${found.length} rows (${musts} of those that must) ${what}${ids}`];
  });
}
