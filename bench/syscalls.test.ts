/** What a file costs in system calls stays what it was: the regression that no stopwatch shows. */
import { describe, expect, test } from "bun:test";
import {
  compareSyscalls,
  countCalls,
  hasYoungCalls,
  measureSyscalls,
  readGolden,
  SCENARIOS,
  syscallsMissing,
} from "./syscalls.ts";

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

  test("counts a log of strace with interrupted, failed and unnamed calls", () => {
    const log = [
      '12 openat(3, ""..., O_RDONLY <unfinished ...>',
      "13 syscall_0x1d1(0xd, 0x7f63, 0x100) = 0",
      "12 <... openat resumed>)            = 4",
      '1234567 openat(3, ""..., O_RDONLY) = -1 ENOENT (No such file or directory)',
      "12 +++ exited with 0 +++",
    ].join("\n");
    expect([...countCalls(log)]).toEqual([
      ["openat", 2],
      ["listxattrat", 1],
    ]);
  });

  test("knows which kernels have the calls that the golden values count", () => {
    expect(["5.15.0-generic", "6.12.9", "6.13.0", "6.18.44-x", "7.0"].map(hasYoungCalls)).toEqual([
      ...[false, false, true, true, true],
    ]);
  });
});
