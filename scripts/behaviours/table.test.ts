import { describe, expect, test } from "bun:test";
import type { Run } from "../../test/behaviours/row-tests.ts";
import { evidenceOf } from "./evidence.ts";
import type { State } from "./junit.ts";
import { judge, type RowResult, summaryLines, tableLines } from "./table.ts";

type Told = readonly [run: Run, titles: readonly string[], state?: State, file?: string];

function judged(...told: readonly Told[]): RowResult[] {
  return judge(
    told.flatMap(([run, titles, state = "passed", file = "test/behaviours/x.test.ts"]) =>
      evidenceOf([{ file, titles, state }], run, "root"),
    ),
  );
}
const rowOf = (results: readonly RowResult[], id: string): RowResult => results.find(({ row }) => row.id === id)!;

describe("a row", () => {
  test("holds where its tests passed, and is not run where there are none", () => {
    const { cells, shown } = rowOf(
      judged(
        ["native", ["variety on xfs", "B01 x"]],
        ["native", ["of an ordinary user", "B01 y"]],
        ["push", ["B01 x"]],
      ),
      "B01",
    );
    expect([cells.local, cells.push, cells.pull, cells.daemon].map(({ verdict }) => verdict)).toEqual([
      "holds",
      "holds",
      "not run",
      "–",
    ]);
    expect(cells.local.passed).toBe(2);
    expect(shown).toBe("root, ordinary user; xfs");
  });

  test("fails with one failure, and the note says which and where", () => {
    const result = rowOf(judged(["native", ["B02 a"]], ["native", ["group", "B02 b"], "failed"]), "B02");
    expect(result.cells.local.verdict).toBe("fails");
    expect(result.notes).toEqual(["local: fails: group / B02 b"]);
  });

  test("never holds by tests that were skipped", () => {
    const title = "B10 many (not in this placement: one process)";
    const result = rowOf(judged(["native", [title], "skipped"]), "B10");
    expect(result.cells.local.verdict).toBe("skipped");
    expect(result.notes).toEqual(["local: a test is skipped: one process"]);
  });

  test("holds in part, or is not there yet, where something of it is open", () => {
    const results = judged(["native", ["B18 links"]]);
    expect(rowOf(results, "B18").cells.local.verdict).toBe("in part");
    expect(rowOf(results, "B18").cells.push.verdict).toBe("not there yet");
    expect(rowOf(results, "B18").notes).toContain("there is no --copy-dirlinks");
    expect(rowOf(results, "B65").cells.daemon.verdict).toBe("not there yet");
  });

  test("is named by the nearest title that names one", () => {
    const results = judged(["native", ["B49 group", "B15 own"]], ["native", ["B49 group", "without"]]);
    expect(rowOf(results, "B15").cells.local.passed).toBe(1);
    expect(rowOf(results, "B49").cells.local.passed).toBe(1);
  });

  test("of daemons is shown by what is about daemons", () => {
    const result = rowOf(judged(["native", ["S30 a token", "x"], "passed", "test/conformance/x.test.ts"]), "S30");
    expect(result.cells.daemon.verdict).toBe("in part");
    expect(result.cells.local.verdict).toBe("–");
  });
});

describe("rsync", () => {
  test("agrees, differs, or was not asked, and why", () => {
    const results = judged(
      ["native", ["B12 rsync agrees: --checksum"]],
      ["native", ["B42 rsync agrees: one"]],
      ["native", ["B42 rsync differs: it stops later"]],
      ["native", ["B13 rsync agrees: --size-only"], "failed"],
    );
    expect(rowOf(results, "B12")).toMatchObject({ reference: "agrees", notes: [] });
    expect(rowOf(results, "B12").cells.local.verdict).toBe("not run");
    expect(rowOf(results, "B42")).toMatchObject({ reference: "differs", notes: ["rsync differs: it stops later"] });
    expect(rowOf(results, "B13").reference).toBe("fails");
    expect(rowOf(results, "B57").reference).toBe("not applicable");
    expect(rowOf(results, "B17").reference).toBe("not run");
  });
});

test("the table has a line for each row, and the summary counts each once", () => {
  const results = judged(["native", ["B01 a | b\nc"], "failed"]);
  const lines = tableLines(results);
  expect(lines.length).toBe(results.length + 2);
  expect(lines[2]).toContain("a \\| b c");
  const counted = summaryLines(results).map((line) => Number(/^- (\d+) rows/.exec(line)![1]));
  expect(counted.reduce((sum, count) => sum + count, 0)).toBe(results.length);
});
