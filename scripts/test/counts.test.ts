import { expect, test } from "bun:test";
import { bunCounts, plainCounts } from "./counts.ts";

test("the summary of bun test is read, with skips and errors", () => {
  expect(bunCounts("\n 12 pass\n 3 skip\n 1 todo\n 2 fail\n 40 expect() calls\n", 0)).toEqual({
    passed: 12,
    failed: 2,
    skipped: 4,
  });
  expect(bunCounts(" 0 pass\n 0 fail\n 1 error\n", 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("the last summary counts, so that a test's own output cannot stand in for it", () => {
  expect(bunCounts(" 99 pass\nnoise\n 1 pass\n 0 fail\n", 0)?.passed).toBe(1);
  expect(plainCounts("3 passed, 0 failed\n5 passed, 1 failed, 2 skipped\n", 0)).toEqual({
    passed: 5,
    failed: 1,
    skipped: 2,
  });
});

test("skips that the C tests announce line by line are counted", () => {
  expect(plainCounts("skip big: no room\n19 passed, 0 failed (some skipped, see above)\n", 0)?.skipped).toBe(1);
});

test("no summary is told apart from an empty one", () => {
  expect(bunCounts("Segmentation fault", 0)).toBeUndefined();
  expect(plainCounts("", 0)).toBeUndefined();
});
