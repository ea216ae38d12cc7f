import { describe, expect, test } from "bun:test";
import { StreamTuner } from "./stream-tuner.ts";

const MIB = 1 << 20;

/** Runs a tuner against a line whose rate depends on the number of streams; returns streams over time. */
function run(
  rateOf: (streams: number) => number,
  options: { most: number; seconds: number; waits?: boolean },
  tuner = new StreamTuner(options.most),
): number[] {
  let streams = 4;
  let bytes = 0;
  const seen: number[] = [];
  for (let nowMs = 0; nowMs < options.seconds * 1000; nowMs += 100) {
    bytes += rateOf(streams) / 10;
    const decision = tuner.sample({ nowMs, bytes, streams, isWaiting: options.waits ?? true });
    if (decision.kind === "grow") streams += decision.by;
    if (decision.kind === "shrink") streams -= decision.by;
    seen.push(streams);
  }
  return seen;
}

describe("streams", () => {
  test("grow as long as each makes it faster, up to the most", () => {
    expect(run((streams) => streams * 50 * MIB, { most: 16, seconds: 20 }).at(-1)).toBe(16);
  });
  test("a full line: tried once, taken back, and left alone for a while", () => {
    const seen = run(() => 100 * MIB, { most: 16, seconds: 8 });
    expect(Math.max(...seen)).toBe(6);
    expect(seen.at(-1)).toBe(4);
    expect(seen.filter((streams, i) => i > 0 && streams > seen[i - 1]!)).toHaveLength(1);
  });
  test("stop where more no longer help", () => {
    const seen = run((streams) => Math.min(streams, 8) * 50 * MIB, { most: 16, seconds: 9 });
    expect(seen.at(-1)).toBeGreaterThanOrEqual(6);
    expect(seen.at(-1)).toBeLessThanOrEqual(9);
  });
  test("nothing waits: nothing is tried", () => {
    expect(new Set(run((streams) => streams * MIB, { most: 16, seconds: 5, waits: false }))).toEqual(new Set([4]));
  });
  test("never beyond the most", () => {
    expect(Math.max(...run((streams) => streams * MIB, { most: 5, seconds: 20 }))).toBe(5);
  });
  test("what was found is told: nothing before a try has ended, then what helped", () => {
    const found = (rateOf: (streams: number) => number, seconds: number): number | undefined => {
      const tuner = new StreamTuner(16);
      run(rateOf, { most: 16, seconds }, tuner);
      return tuner.found;
    };
    expect(found((streams) => streams * 50 * MIB, 1)).toBeUndefined();
    expect(found((streams) => streams * 50 * MIB, 20)).toBe(16);
    expect(found(() => 100 * MIB, 8)).toBe(4);
  });
});
