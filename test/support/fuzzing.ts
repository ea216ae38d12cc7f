/**
 * How long generated inputs are tried. FASTSYNC_FUZZ_SECONDS=60 gives each such test that time, with seeds of its own;
 * without it a test has a fixed number of them, so that a run costs what it did before. FASTSYNC_FUZZ_SEED=n begins with
 * that seed: a failure names it.
 */
import type { Parameters } from "fast-check";

const SECONDS = Number(process.env["FASTSYNC_FUZZ_SECONDS"] ?? 0);
const SEED = process.env["FASTSYNC_FUZZ_SEED"];

/** The time limit of a test that fuzzes. */
export const FUZZ_TEST_MS = 60_000 + SECONDS * 1000;

/** For `fc.assert`: fast-check names the seed of a failure itself. */
export function fuzzing<T>(runs: number): Parameters<T> {
  const seed = SEED === undefined ? {} : { seed: Number(SEED) };
  if (SECONDS === 0) return { numRuns: runs, ...seed };
  return {
    numRuns: Number.MAX_SAFE_INTEGER,
    interruptAfterTimeLimit: SECONDS * 1000,
    markInterruptAsFailure: false,
    ...seed,
  };
}

/** Calls `one` with seeds; what it throws names the seed. */
export function eachSeed(runs: number, one: (seed: number) => void): void {
  const endMs = performance.now() + SECONDS * 1000;
  const first = SEED === undefined ? (SECONDS === 0 ? 1 : (Math.random() * 2 ** 31) | 1) : Number(SEED);
  for (let i = 0; SECONDS === 0 ? i < runs : performance.now() < endMs; i++) {
    try {
      one(first + i);
    } catch (error) {
      throw new Error(`FASTSYNC_FUZZ_SEED=${first + i}: ${error instanceof Error ? error.stack : error}`);
    }
  }
}
