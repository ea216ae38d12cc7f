import { expect, test } from "bun:test";
import type { Cell, Measured, Table } from "./harness.ts";
import { partOf, renderPart, replacePart } from "./report.ts";
import type { Workload } from "./workload.ts";

const COST: Measured = { wallMs: 100, userMs: 10, sysMs: 5, maxRssKiB: 2048, exitCode: 0 };

function cell(name: string, role: Cell["role"], costs: readonly Measured[], failures: string[] = []): Cell {
  return { name, role, verify: "full", missing: undefined, costs: [...costs], failures };
}

function rendered(...cells: Cell[]): string {
  const table: Table = { workload: "net-S-push", title: "a title", filesystem: "xfs", cells };
  const workload: Workload = {
    id: "net-S-push",
    title: "",
    filesystems: ["xfs"],
    size: "1G",
    prepare: () => [],
    bars: () => [{ kind: "ratio", subject: "fastsync", against: ["rsync -a"], max: 0.65 }],
  };
  const machine = { lines: ["a machine"], busy: false };
  return renderPart({ part: "net", machine, tables: [table], workloads: [workload], runs: 5, quick: false });
}

test("a part is replaced alone, whichever was there first", () => {
  const local = replacePart("", "local", "local text 1");
  const both = replacePart(local, "net", "net text 1");
  expect([partOf(both, "local"), partOf(both, "net")]).toEqual(["local text 1", "net text 1"]);
  const again = replacePart(both, "local", "local text 2");
  expect([partOf(again, "local"), partOf(again, "net")]).toEqual(["local text 2", "net text 1"]);
  expect(replacePart(replacePart("", "net", "net text 1"), "local", "local text 2")).toBe(again);
  expect(again.split("# Results").length).toBe(2);
});

test("a report without a part says so", () => {
  expect(partOf(replacePart("", "local", "text"), "net")).toBeUndefined();
});

test("a peer that is faster is a losing cell, and the bar is missed", () => {
  const text = rendered(
    cell("fastsync", "subject", [COST]),
    cell("rsync -a", "peer", [{ ...COST, wallMs: 50 }]),
    cell("floor in C", "floor", [{ ...COST, wallMs: 10 }]),
  );
  expect(text).toContain("| net-S-push | xfs | fastsync: at most 0.65 of rsync -a | 2.00 | **FAIL** |");
  expect(text).toContain("| rsync -a | 50.0 | 50.0 | 2.00 x | 15 | 2 | 1 | full | **fastsync loses** |");
  expect(text).toContain("| floor in C | 10.0 | 10.0 | 10.00 x | 15 | 2 | 1 | full |  |");
});

test("figures of the other end have columns where a case has them, and rows stay as wide as their head", () => {
  const figures = { otherCpuMs: 30, otherRssKiB: 4096, streams: 4, wireBytes: 2048 };
  const text = rendered(
    { ...cell("fastsync", "subject", [{ ...COST, figures }]), bytes: 10 << 20 },
    cell("rsync -a", "peer", [], ["exit 1: no | such"]),
    { ...cell("other", "peer", []), missing: "not installed" },
  );
  expect(text).toContain("| fastsync | 100.0 | 100.0 |  | 15 | 2 | 100 | 30 | 4 | 4 | 2 | 1 | full |  |");
  expect(text).toContain("**failed**: exit 1: no \\| such");
  expect(text).toContain("not run: not installed");
  const rows = text.slice(text.indexOf("| case")).trim().split("\n");
  const widths = rows.map((row) => row.replaceAll("\\|", "").split("|").length);
  expect(new Set(widths).size).toBe(1);
});
