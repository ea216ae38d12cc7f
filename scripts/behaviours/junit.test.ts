import { expect, test } from "bun:test";
import { readJunit } from "./junit.ts";

test("files, groups, tests, and what became of them", () => {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="4">
  <testsuite name="test/a.test.ts" file="test/a.test.ts" tests="4">
    <testcase name="alone" classname="" time="0.1" file="test/a.test.ts" line="3" />
    <testsuite name="a group &amp; more on xfs" file="test/a.test.ts" line="5">
      <testsuite name="inner">
        <testcase name="B01 is &lt;this&gt; &quot;so&quot;&#10;" file="test/a.test.ts"><failure type="AssertionError" /></testcase>
      </testsuite>
      <testcase name="left out" file="test/a.test.ts"><skipped /></testcase>
    </testsuite>
    <testcase name="last" />
  </testsuite>
</testsuites>`;
  expect(readJunit(xml)).toEqual([
    { file: "test/a.test.ts", titles: ["alone"], state: "passed" },
    { file: "test/a.test.ts", titles: ["a group & more on xfs", "inner", 'B01 is <this> "so"\n'], state: "failed" },
    { file: "test/a.test.ts", titles: ["a group & more on xfs", "left out"], state: "skipped" },
    { file: "test/a.test.ts", titles: ["last"], state: "passed" },
  ]);
});
