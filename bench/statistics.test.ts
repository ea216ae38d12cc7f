import { expect, test } from "bun:test";
import type { Cell, Table } from "./harness.ts";
import { judge, median } from "./statistics.ts";
import type { Bar, Figures } from "./workload.ts";

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

test("the other end's memory has a bar of its own, and no figure is not measured", () => {
  const own = withFigures("own", [1, 1], [{ otherRssKiB: 100 }, { otherRssKiB: 244_141 }]);
  const bar: Bar = { kind: "rss", subject: "own", maxMB: 250, end: "other" };
  expect(judge(table(own), bar)).toMatchObject({ result: "FAIL", measured: "250 MB" });
  expect(judge(table(own), { ...bar, maxMB: 251 }).result).toBe("pass");
  expect(judge(table(cell("own", [1])), bar).result).toBe("not measured");
});

test("the other end's memory is held against its own of another case", () => {
  const few = withFigures("few", [1], [{ otherRssKiB: 100 }]);
  const many = withFigures("many", [1], [{ otherRssKiB: 130 }]);
  const bar: Bar = { kind: "growth", subject: "many", from: "few", max: 1.3, end: "other" };
  expect(judge(table(few, many), bar)).toMatchObject({ result: "pass", measured: "1.30" });
  expect(judge(table(few, many), { ...bar, max: 1.2 }).result).toBe("FAIL");
  expect(judge(table(cell("few", [1]), many), bar).result).toBe("not measured");
});

test("ten times the entries may take ten times the processor time", () => {
  const taking = (name: string, ms: number): Cell => {
    const [cost] = cell(name, [1]).costs;
    return { ...cell(name, []), costs: [{ ...cost!, userMs: ms / 2, sysMs: ms / 4, figures: { otherCpuMs: ms / 4 } }] };
  };
  const cells = table(taking("few", 10), taking("many", 120));
  const bar: Bar = { kind: "linear", subject: "many", from: "few", times: 10, max: 1.2 };
  expect(judge(cells, bar)).toMatchObject({ result: "pass", measured: "1.20" });
  expect(judge(cells, { ...bar, max: 1.1 }).result).toBe("FAIL");
  expect(judge(table(taking("few", 10)), bar).result).toBe("not measured");
});

test("a rate is what a case moves in its median time", () => {
  const own = { ...cell("own", [4000, 5000, 6000]), bytes: 1 << 30 };
  const bar: Bar = { kind: "rate", subject: "own", minMiBPerSecond: 200 };
  expect(judge(table(own), bar)).toMatchObject({ result: "pass", measured: "205 MiB/s" });
  expect(judge(table(own), { ...bar, minMiBPerSecond: 205 }).result).toBe("FAIL");
  expect(judge(table(cell("own", [5000])), bar).result).toBe("not measured");
});

test("two are near whichever is slower", () => {
  const judged = (own: number, other: number) =>
    judge(table(cell("own", [own]), cell("other", [other])), {
      kind: "near",
      subject: "own",
      other: "other",
      max: 1.15,
    });
  expect(judged(115, 100).result).toBe("pass");
  expect(judged(100, 115).result).toBe("pass");
  expect(judged(116, 100)).toMatchObject({ result: "FAIL", measured: "1.16" });
  expect(judged(100, 116)).toMatchObject({ result: "FAIL", measured: "0.86" });
});

test("a figure is the same or it is not", () => {
  const bar: Bar = { kind: "same", subject: "own", other: "other", figure: "streams" };
  const other = withFigures("other", [1, 1, 1], [{ streams: 4 }, { streams: 4 }, { streams: 6 }]);
  expect(judge(table(withFigures("own", [1], [{ streams: 4 }]), other), bar).result).toBe("pass");
  const grown = withFigures("own", [1], [{ streams: 6 }]);
  expect(judge(table(grown, other), bar)).toMatchObject({ result: "FAIL", measured: "6 and 4" });
  expect(judge(table(cell("own", [1]), other), bar).result).toBe("not measured");
});

test("round trips are what a delay adds to many files and not to few", () => {
  const bar: Bar = {
    kind: "trips",
    subject: "many far",
    few: "few far",
    without: { subject: "many near", few: "few near" },
    roundTripMs: 50,
    max: 8,
  };
  const cells = [cell("few far", [500]), cell("many near", [1000]), cell("few near", [100])];
  expect(judge(table(cell("many far", [1800]), ...cells), bar)).toMatchObject({ result: "pass", measured: "8.0" });
  expect(judge(table(cell("many far", [1801]), ...cells), bar).result).toBe("FAIL");
  expect(judge(table(...cells), bar).result).toBe("not measured");
});

function withFigures(name: string, walls: readonly number[], figures: readonly Figures[]): Cell {
  const plain = cell(name, walls);
  return { ...plain, costs: plain.costs.map((cost, i) => ({ ...cost, figures: figures[i]! })) };
}
