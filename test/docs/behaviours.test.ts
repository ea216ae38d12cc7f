/**
 * docs/behaviours.md is what was shown, and this holds it to what can be shown: to the list of rows, and to the tests
 * that there are. It runs none of them.
 */
import { describe, expect, test } from "bun:test";
import { REFERENCE_VERDICTS, VERDICTS } from "../../scripts/behaviours/table.ts";
import { COLUMNS, type Column, type RowFile, rowFile, rowFiles } from "../behaviours/row-tests.ts";
import { ROWS, type Row, rowsOf } from "../behaviours/rows.ts";
import { tableRows, textOf } from "./documents.ts";

interface Line {
  readonly id: string;
  readonly what: string;
  readonly cells: Readonly<Record<Column, string>>;
  readonly reference: string;
  readonly note: string;
}

const files = rowFiles();
const lines = tableRows(textOf("docs/behaviours.md"), /^[BS]\d\d/).map((cells): Line => {
  const [id = "", what = "", ...rest] = cells;
  return {
    id,
    what,
    cells: Object.fromEntries(COLUMNS.map((column, i) => [column, rest[i]!])) as Record<Column, string>,
    reference: rest[COLUMNS.length]!,
    note: rest.slice(COLUMNS.length + 2).join(" | "),
  };
});

const naming = (id: string): RowFile[] => files.filter(({ rows }) => rows.has(id));
const isTestedIn = (id: string, column: Column): boolean => naming(id).some(({ columns }) => columns.includes(column));
const columnsOf = ({ places }: Row): Column[] =>
  places.flatMap((at) => (at === "local" ? ["local", "portable"] : [at]));

describe("the rows", () => {
  test("are numbered without a gap", () => {
    const numbered = (letter: string, last: number): string[] =>
      Array.from({ length: last }, (_, i) => `${letter}${String(i + 1).padStart(2, "0")}`);
    expect(ROWS.map(({ id }) => id)).toEqual([...numbered("B", 75), ...numbered("S", 38)]);
  });

  test("that a test names are on the list", () => {
    const known = new Set(ROWS.map(({ id }) => id));
    for (const { path, rows } of files)
      for (const id of rows) expect([path, id, known.has(id)]).toEqual([path, id, true]);
  });

  test("have a test in each place where they are asked for, or say what is not there", () => {
    for (const row of ROWS)
      for (const column of columnsOf(row))
        if (row.open === undefined)
          expect([row.id, column, isTestedIn(row.id, column)]).toEqual([row.id, column, true]);
  });

  test("are held against rsync, or say why not", () => {
    for (const { id, open, noReference } of ROWS) {
      const isCompared = files.some(({ references }) => references.has(id));
      const isExplained = noReference !== undefined || (open !== undefined && naming(id).length === 0);
      expect([id, isCompared !== isExplained]).toEqual([id, true]);
    }
  });
});

describe("docs/behaviours.md", () => {
  test("has every row, in order, in the list's own words", () => {
    expect(lines.map(({ id, what }) => [id, what])).toEqual(
      ROWS.map(({ id, what, level }) => [level === "must" ? id : `${id} (should)`, what]),
    );
  });

  test("says nothing that it has no word for", () => {
    const begins = (cell: string, verdicts: readonly string[]): boolean =>
      verdicts.some((verdict) => cell === verdict || cell.startsWith(`${verdict} (`));
    for (const { id, cells, reference } of lines) {
      for (const column of COLUMNS)
        expect([id, cells[column], begins(cells[column], VERDICTS)]).toEqual([id, cells[column], true]);
      expect([id, reference, begins(reference, REFERENCE_VERDICTS)]).toEqual([id, reference, true]);
    }
  });

  test("calls nothing held that no test names in that place", () => {
    for (const { id, cells } of lines)
      for (const column of COLUMNS) {
        if (!/^(holds|in part)/.test(cells[column])) continue;
        expect([id, column, isTestedIn(id.slice(0, 3), column)]).toEqual([id, column, true]);
      }
  });

  test("calls nothing held that is open, and shows why", () => {
    for (const [at, { open, id }] of ROWS.entries()) {
      if (open === undefined) continue;
      expect([id, COLUMNS.filter((column) => lines[at]!.cells[column].startsWith("holds"))]).toEqual([id, []]);
      expect(lines[at]!.note).toContain(open);
    }
  });

  test("says at its beginning which rows were not run everywhere", () => {
    const told = /^- .* (?:fail somewhere|were not run in some place): (.*)$/gm;
    const ids = [...textOf("docs/behaviours.md").matchAll(told)].flatMap(([, list]) => list!.split(", "));
    for (const { id, cells, reference } of lines)
      if ([...Object.values(cells), reference].includes("not run")) expect(ids).toContain(id.slice(0, 3));
  });

  test("names a reason for whatever fails or was skipped", () => {
    for (const { id, cells, note } of lines)
      for (const column of COLUMNS)
        if (/^(fails|skipped)/.test(cells[column])) expect([id, note.includes(column)]).toEqual([id, true]);
  });
});

describe("titles", () => {
  test("name rows at their beginning only", () => {
    expect(rowsOf("B01 B02: two")).toEqual(["B01", "B02"]);
    expect(rowsOf("S09 B23 a target")).toEqual(["S09", "B23"]);
    for (const title of ["B160 a requirement", "of B01", "B1 x", "S0123", ""]) expect(rowsOf(title)).toEqual([]);
  });

  test("are found in every form in which tests have them", () => {
    const text = `test("B01 x", f); describe(\`S30 S31 \${y}\`, f); put({ row: "B13", rows: 'B14 B15' }); x("B160 z", "no B20");
test("B09 rsync agrees: y", f)`;
    const { rows, references, columns, runs } = rowFile("test/behaviours/a.test.ts", `${text} from "./placed-test.ts"`);
    expect([...rows].sort()).toEqual(["B01", "B09", "B13", "B14", "B15", "S30", "S31"]);
    expect([...references]).toEqual(["B09"]);
    expect(columns).toEqual(["local", "portable", "push", "pull"]);
    expect(runs).toEqual(["native", "portable", "push", "pull"]);
    expect(rowFile("test/network/a.test.ts", text).columns).toEqual(["daemon"]);
  });
});
