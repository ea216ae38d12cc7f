import { expect, test } from "bun:test";
import { Failures } from "./failures.ts";

test("a failed test is kept with the error above it, once, and what passed is not", () => {
  const failures = new Failures();
  const log = "(pass) one [1ms]\nerror: two is not three\n  at two.ts:2\n(fail) two [2ms]\n(pass) three [1ms]\nrest\n";
  // As it comes from a pipe: cut anywhere.
  for (const chunk of [log.slice(0, 25), log.slice(25, 60), log.slice(60)]) failures.add(chunk);
  failures.add("1 tests failed:\n(fail) two [2ms]\n");
  expect(failures.lines()).toEqual(["error: two is not three", "  at two.ts:2", "(fail) two [2ms]", ""]);
});

test("the C tests say it in one line", () => {
  const failures = new Failures();
  failures.add("== asan (cc)\nFAIL b: b.c:7: x == y\n1 passed, 1 failed\n");
  expect(failures.lines()).toEqual(["== asan (cc)", "FAIL b: b.c:7: x == y", ""]);
});

test("a tool that names no test is quoted from its end", () => {
  const failures = new Failures();
  failures.add("src/a.ts(1,2): error TS1\nFound 1 error");
  expect(failures.lines()).toEqual(["src/a.ts(1,2): error TS1", "Found 1 error"]);
});
