import { expect, test } from "bun:test";
import type { Cell, Table } from "./harness.ts";
import { judge, median } from "./statistics.ts";
import type { Bar } from "./workload.ts";

function cell(name: string, walls: readonly number[], failures: string[] = [], maxRssKiB = 1000): Cell {
  const costs = walls.map((wallMs) => ({ wallMs, userMs: 0, sysMs: 0, maxRssKiB, exitCode: 0 }));
  return { name, role: "peer", missing: undefined, verify: "full", costs, failures };
}

function table(...cells: Cell[]): Table {
  return { workload: "S", title: "", filesystem: "xfs", cells };
}

const ratio: Bar = { kind: "ratio", subject: "own", against: ["slow", "fast"], max: 0.5 };

test("the median of odd, even and no values", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test("a ratio is taken to the fastest peer", () => {
  const peers = [cell("slow", [100]), cell("fast", [10])];
  expect(judge(table(cell("own", [5]), ...peers), ratio)).toMatchObject({ result: "pass", measured: "0.50" });
  expect(judge(table(cell("own", [6]), ...peers), ratio)).toMatchObject({ result: "FAIL", measured: "0.60" });
});

test("a case that failed once has no figure", () => {
  const peers = [cell("slow", [100]), cell("fast", [10])];
  expect(judge(table(cell("own", [1], ["another tree"]), ...peers), ratio).result).toBe("not measured");
  expect(judge(table(cell("own", [40]), cell("slow", [100]), cell("fast", [10], ["exit 1"])), ratio).result).toBe(
    "pass",
  );
});

test("walls and peak RSS are held to their limits, RSS by its highest run", () => {
  const own = table(cell("own", [60, 70, 50], [], 195_313), cell("twice", [1], [], 220_000));
  expect(judge(own, { kind: "wall", subject: "own", maxMs: 60 }).result).toBe("pass");
  expect(judge(own, { kind: "wall", subject: "own", maxMs: 59 }).result).toBe("FAIL");
  expect(judge(own, { kind: "rss", subject: "own", maxMB: 200 }).result).toBe("FAIL");
  expect(judge(own, { kind: "rss", subject: "own", maxMB: 201 }).result).toBe("pass");
  expect(judge(own, { kind: "growth", subject: "twice", from: "own", max: 1.1 }).result).toBe("FAIL");
  expect(judge(own, { kind: "growth", subject: "twice", from: "own", max: 1.2 }).result).toBe("pass");
});
