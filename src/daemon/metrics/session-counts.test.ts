/** What is added up, and how it is written. */
import { expect, test } from "bun:test";
import { newCounters } from "../../core/events.ts";
import { LIMITS } from "../../core/limits.ts";
import { openMetrics } from "./open-metrics.ts";
import { SessionCounts } from "./session-counts.ts";

const OK = { exitCode: 0, exitReason: "ok", message: undefined } as const;
const phases: ReadonlyMap<string, number> = new Map();

function value(counts: SessionCounts, sample: string): number | undefined {
  const line = openMetrics(counts.families())
    .split("\n")
    .find((one) => one.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length + 1));
}

test("a session that runs counts as it stands, one that ended as it ended", () => {
  const counts = new SessionCounts();
  const counters = newCounters();
  const look = () => ({ counters: { ...counters }, bytes: counters.bytesLanded, phases: new Map([["copying", 1500]]) });
  const bytes = 'fastsync_content_bytes_total{module="m",role="target"}';
  counts.expect("m");
  expect(value(counts, bytes)).toBe(0);
  const end = counts.begin("m", "target", look);
  counters.bytesLanded = 10;
  expect(value(counts, bytes)).toBe(10);
  expect(value(counts, 'fastsync_sessions_running{module="m",role="target"}')).toBe(1);
  counters.bytesLanded = 20;
  end({ ...OK, exitCode: 23 });
  end(OK);
  counters.bytesLanded = 99;
  expect(value(counts, bytes)).toBe(20);
  counts.begin("m", "target", look)(OK);
  expect(value(counts, bytes)).toBe(119);
  expect(value(counts, 'fastsync_sessions_running{module="m",role="target"}')).toBe(0);
  expect(value(counts, 'fastsync_sessions_total{module="m",role="target",exit_code="23"}')).toBe(1);
  expect(value(counts, 'fastsync_sessions_total{module="m",role="target",exit_code="0"}')).toBe(1);
  expect(value(counts, 'fastsync_phase_seconds_total{module="m",role="target",phase="copying"}')).toBe(3);
  expect(value(counts, 'fastsync_content_bytes_total{module="m",role="source"}')).toBe(0);
});

test("the root has a name that no module can have; names are escaped", () => {
  const counts = new SessionCounts();
  counts.expect(undefined);
  counts.expect('a"b\\c\nd');
  const text = openMetrics(counts.families());
  expect(text).toContain('fastsync_files_total{module="//",role="source"} 0\n');
  expect(text).toContain('fastsync_files_total{module="a\\"b\\\\c\\nd",role="source"} 0\n');
});

test("labels are bounded: reasons that are not ours, and modules without end", () => {
  const counts = new SessionCounts();
  counts.refused("no_such_module");
  for (let n = 0; n < 100; n++) counts.refused(`anything_${n}`);
  expect(value(counts, 'fastsync_refused_total{reason="no_such_module"}')).toBe(1);
  expect(value(counts, 'fastsync_refused_total{reason="other"}')).toBe(100);
  for (let n = 0; n < LIMITS.metricSeries; n++) counts.expect(`m${n}`);
  for (let n = 0; n < 10; n++)
    counts.begin(`late${n}`, "source", () => ({ counters: newCounters(), bytes: 1, phases }))(OK);
  expect(value(counts, 'fastsync_content_bytes_total{module="///",role="source"}')).toBe(10);
  const series = openMetrics(counts.families())
    .split("\n")
    .filter((line) => line.startsWith("fastsync_files_total"));
  expect(series.length).toBeLessThanOrEqual(LIMITS.metricSeries + 2);
});

test("the end is the end, and each family says what it is before its samples", () => {
  const text = openMetrics([
    { name: "a_bytes", type: "counter", unit: "bytes", help: "Of a.", samples: [{ labels: {}, value: 1.5 }] },
    { name: "b", type: "info", help: "Of b.", samples: [{ labels: { x: "y" }, value: 1 }] },
  ]);
  expect(text).toBe(
    "# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes Of a.\na_bytes_total 1.5\n" +
      '# TYPE b info\n# HELP b Of b.\nb_info{x="y"} 1\n# EOF\n',
  );
});
