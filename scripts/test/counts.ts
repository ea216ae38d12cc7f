/** What one part of the test run amounted to. */
export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number };

/** Reads a tool's own summary from its output; undefined when it printed none. */
export type CountReader = (output: string, exitCode: number) => Counts | undefined;

/** `bun test` ends with lines ` 12 pass`, ` 1 skip`, ` 0 fail`; a zero line of skip or todo is left out. */
export const bunCounts: CountReader = (output) => {
  const passed = lastNumber(output, /^ *(\d+) pass$/gm);
  if (passed === undefined) return undefined;
  const failed = lastNumber(output, /^ *(\d+) fail$/gm) ?? 0;
  // Errors outside any test (a file that does not load) are failures that `fail` does not count.
  const errors = lastNumber(output, /^ *(\d+) errors?$/gm) ?? 0;
  const skipped = (lastNumber(output, /^ *(\d+) skip$/gm) ?? 0) + (lastNumber(output, /^ *(\d+) todo$/gm) ?? 0);
  return { passed, failed: Math.max(failed, errors), skipped };
};

/**
 * Our own form, `12 passed, 0 failed` with `, 1 skipped` where it applies; the last such line is the total. The C tests
 * say skips in lines of their own, `skip name: reason`.
 */
export const plainCounts: CountReader = (output) => {
  const found = [...output.matchAll(/^ *(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\b/gm)].at(-1);
  if (found === undefined) return undefined;
  const skips = output.match(/^skip \S+: /gm)?.length ?? 0;
  return { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? skips) };
};

/** For a tool that only passes or fails as a whole: its exit code decides. */
export const wholeCounts: CountReader = (_output, exitCode) =>
  exitCode === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };

function lastNumber(output: string, pattern: RegExp): number | undefined {
  const found = [...output.matchAll(pattern)].at(-1);
  return found === undefined ? undefined : Number(found[1]);
}
