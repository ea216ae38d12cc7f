/** What files cost in requests, arena blocks, FFI calls and objects stays what it was: see `counts.ts`. */
import { describe, expect, test } from "bun:test";
import { findLibrary } from "../../ffi/library.ts";
import type { RunCounts } from "./count-run.ts";
import { SCENARIOS } from "./count-run.ts";
import { compareCounts, measureCounts, readGolden } from "./counts.ts";

const isNative = process.env["FASTSYNC_NATIVE"] !== "off" && findLibrary().library !== undefined;

test.skipIf(!isNative)(
  `a first mirror and an idle one cost what the golden values say${isNative ? "" : " (skipped: the native library does not serve)"}`,
  () => {
    const golden = readGolden();
    const measured = measureCounts();
    for (const scenario of SCENARIOS)
      expect(compareCounts(golden[scenario], measured[scenario]).map((line) => `${scenario}: ${line}`)).toEqual([]);
  },
  120_000,
);

describe("the comparison of counts", () => {
  const golden: RunCounts = {
    requests: 17,
    blocks: 24,
    ffi: { fsy_alloc: 24, fsy_reap: 29 },
    objects: { Object: 150, Promise: 30 },
  };

  test("takes what timing explains for noise", () => {
    const measured = { ...golden, ffi: { fsy_alloc: 24, fsy_reap: 36 }, objects: { Object: 190, Promise: 60 } };
    expect(compareCounts(golden, measured)).toEqual([]);
  });

  test("names what became dearer, cheaper or new", () => {
    const measured = {
      requests: 18,
      blocks: 23,
      ffi: { fsy_alloc: 25, fsy_free: 1, fsy_reap: 1029 },
      objects: { Object: 1150, Promise: 30 },
    };
    expect(compareCounts(golden, measured)).toEqual([
      "requests: 18 for 1,000 files, golden 17",
      "arena blocks: 23 for 1,000 files, golden 24",
      "FFI calls of fsy_alloc: 25 for 1,000 files, golden 24",
      "FFI calls of fsy_free: 1 for 1,000 files, golden 0",
      "FFI calls of fsy_reap: 1029 for 1,000 files, golden 29 (within 12)",
      "objects of type Object: 1150 for 1,000 files, golden 150 (within 60)",
      "objects in all: 1180 for 1,000 files, golden 180 (within 150)",
    ]);
  });
});
