/** What a file costs in system calls stays what it was: the regression that no stopwatch shows. */
import { describe, expect, test } from "bun:test";
import { compareSyscalls, measureSyscalls, parseCounts, readGolden, SCENARIOS, syscallsMissing } from "./syscalls.ts";

function missing(): string | undefined {
  const golden = readGolden();
  if (golden === undefined) return "no golden values are recorded: bun bench/syscalls.ts --write";
  if (golden.arch !== process.arch) return `the golden values are of ${golden.arch}`;
  return syscallsMissing();
}

const reason = missing();

test.skipIf(reason !== undefined)(
  `system calls per file are the golden ones${reason ? ` (skipped: ${reason})` : ""}`,
  async () => {
    const golden = readGolden()!;
    const measured = await measureSyscalls();
    for (const scenario of SCENARIOS)
      expect(compareSyscalls(golden.scenarios[scenario], measured.scenarios[scenario])).toEqual([]);
  },
  120_000,
);

describe("the comparison of counts", () => {
  const golden = { total: 8, calls: { openat: 2, linkat: 1 } };

  test("takes small differences for noise", () => {
    expect(compareSyscalls(golden, { total: 8.03, calls: { openat: 2.04, linkat: 1 } })).toEqual([]);
  });

  test("names a call that became dearer, cheaper or new", () => {
    expect(compareSyscalls(golden, { total: 8, calls: { openat: 3, statx: 1 } })).toEqual([
      "openat: 3.00 a file, golden 2.00",
      "linkat: 0.00 a file, golden 1.00",
      "statx: 1.00 a file, golden 0.00",
    ]);
  });

  test("reads strace's table with and without errors", () => {
    const table = [
      "% time     seconds  usecs/call     calls    errors syscall",
      "------ ----------- ----------- --------- --------- ----------------",
      " 98.11    0.038000           2     18432      1024 openat",
      "  1.00    0.000100           1        12           linkat",
      "100.00    0.038100           2     18444      1024 total",
    ].join("\n");
    expect([...parseCounts(table)]).toEqual([
      ["openat", 18432],
      ["linkat", 12],
    ]);
  });
});
