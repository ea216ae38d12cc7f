import { describe, expect, test } from "bun:test";
import { bareSummary, type Counters, newCounters, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { beginAgain, EarlierAttempts } from "./attempts.ts";

const ENDING = { exitCode: ExitCode.partial, exitReason: "partial", message: undefined };
function summary(counters: Partial<Counters>, more: Partial<RunSummary> = {}): RunSummary {
  return { ...bareSummary(ENDING, { ...newCounters(), ...counters }), ...more };
}
const travelled = (streams: number, bytes: number, firstContentMs: number | undefined) =>
  ({ carrier: "streams", streams, bytes, firstContentMs }) as const;

describe("attempts of one run", () => {
  test("one attempt is the run", () => {
    const only = summary({ unchanged: 3 }, { methods: { stream: 2 }, network: travelled(4, 9, 5) });
    expect(new EarlierAttempts().total(only)).toEqual(only);
  });
  test("what the first transferred is unchanged for the next, but not for the run", () => {
    const earlier = new EarlierAttempts();
    earlier.add(summary({ unchanged: 3 }, { methods: { stream: 5 }, network: travelled(4, 100, 7) }));
    earlier.add(summary({ unchanged: 8 }, { methods: {}, network: travelled(2, 0, undefined) }));
    const total = earlier.total(summary({ unchanged: 8 }, { methods: { stream: 1 }, network: travelled(3, 20, 2) }));
    expect(total.counters.unchanged).toBe(3);
    expect(total.methods).toEqual({ stream: 6 });
    expect(total.network).toEqual(travelled(4, 120, 7));
  });
  test("so is what one brought that was lost", () => {
    const earlier = new EarlierAttempts();
    const counters = { ...newCounters(), filesTransferred: 4, linked: 1, unchanged: 1 };
    earlier.addLost(counters);
    beginAgain(counters);
    expect(counters).toMatchObject({ filesToTransfer: 4, unchanged: 0, linked: 1 });
    expect(earlier.total(summary({ unchanged: 7 })).counters.unchanged).toBe(2);
    // Of a move it is not there to be unchanged.
    earlier.addLost({ ...counters, sourcesRemoved: 5 });
    expect(earlier.total(summary({ unchanged: 7 })).counters.unchanged).toBe(7);
  });
});
