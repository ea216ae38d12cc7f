/**
 * What 1,000 small files in one directory cost beside system calls, held by `golden-counts.json`:
 *
 *   requests, blocks   requests to the native library and blocks of its arena, of a run over 1,000 files
 *   ffi                calls into the library in that run, by function
 *   objects            what 1,000 further files make JavaScript allocate, by type: objects of a run over 2,000 less
 *                      those of a run over 1,000. Counted are cells of the heap; the storage of arrays and buffers is
 *                      not, nor what only the optimising compiler would have kept from being made
 *
 * `bun test/golden/counts.ts` prints the medians of five measurements beside the golden values; `--write` records them.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  COUNTING_ENVIRONMENT,
  type Counts,
  type Measured,
  type RunCounts,
  SCENARIOS,
  type Scenario,
} from "./count-run.ts";

export type Golden = Readonly<Record<Scenario, RunCounts>>;

const GOLDEN_PATH = resolve(import.meta.dir, "golden-counts.json");

/** How often the thread looks for answers depends on how soon they come: at most twice for each request. */
const TIMED_CALLS: Readonly<Record<string, number>> = { fsy_submit: 4, fsy_reap: 12 };
/** Each time the thread waits for an answer makes eight objects; an object a file would be a thousand. */
const OBJECTS_SLACK = 60;
const ALL_OBJECTS_SLACK = 150;

export function readGolden(): Golden {
  return JSON.parse(readFileSync(GOLDEN_PATH, "utf8")) as Golden;
}

export function measureCounts(): Golden {
  const { stdout, stderr, status } = spawnSync(process.execPath, [resolve(import.meta.dir, "count-run.ts")], {
    encoding: "utf8",
    env: { ...process.env, ...COUNTING_ENVIRONMENT },
  });
  if (status !== 0) throw new Error(`the counting run: exit ${status}: ${stderr}`);
  const measured = JSON.parse(stdout) as Measured;
  return Object.fromEntries(
    SCENARIOS.map((name) => {
      const { few, many } = measured[name];
      return [name, { ...few, ffi: withoutZeros(few.ffi), objects: withoutZeros(less(many.objects, few.objects)) }];
    }),
  ) as unknown as Golden;
}

/**
 * A line for every count that left its golden value by more than what timing explains, either way: a gain is recorded
 * with `--write`, so that it cannot be lost again unseen.
 */
export function compareCounts(golden: RunCounts, measured: RunCounts): string[] {
  const lines: string[] = [];
  const compare = (name: string, expected: number, got: number, slack: number) => {
    if (Math.abs(got - expected) <= slack) return;
    lines.push(`${name}: ${got} for 1,000 files, golden ${expected}${slack === 0 ? "" : ` (within ${slack})`}`);
  };
  compare("requests", golden.requests, measured.requests, 0);
  compare("arena blocks", golden.blocks, measured.blocks, 0);
  for (const name of namesOf(golden.ffi, measured.ffi))
    compare(`FFI calls of ${name}`, golden.ffi[name] ?? 0, measured.ffi[name] ?? 0, TIMED_CALLS[name] ?? 0);
  for (const type of namesOf(golden.objects, measured.objects))
    compare(`objects of type ${type}`, golden.objects[type] ?? 0, measured.objects[type] ?? 0, OBJECTS_SLACK);
  compare("objects in all", sum(golden.objects), sum(measured.objects), ALL_OBJECTS_SLACK);
  return lines;
}

function namesOf(...counts: readonly Counts[]): string[] {
  return [...new Set(counts.flatMap((each) => Object.keys(each)))].sort();
}

function less(many: Counts, few: Counts): Counts {
  return Object.fromEntries(namesOf(many, few).map((name) => [name, (many[name] ?? 0) - (few[name] ?? 0)]));
}

function withoutZeros(counts: Counts): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

function sum(counts: Counts): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** Count by count, so that what is recorded lies in the middle of what timing makes of it. */
function medianOf(all: readonly Golden[]): Golden {
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
  const merge = (counts: readonly Counts[]): Counts =>
    withoutZeros(
      Object.fromEntries(namesOf(...counts).map((name) => [name, median(counts.map((each) => each[name] ?? 0))])),
    );
  const one = (runs: readonly RunCounts[]): RunCounts => ({
    requests: median(runs.map(({ requests }) => requests)),
    blocks: median(runs.map(({ blocks }) => blocks)),
    ffi: merge(runs.map(({ ffi }) => ffi)),
    objects: merge(runs.map(({ objects }) => objects)),
  });
  return { first: one(all.map(({ first }) => first)), noop: one(all.map(({ noop }) => noop)) };
}

if (import.meta.main) {
  const measured = medianOf(Array.from({ length: 5 }, measureCounts));
  if (process.argv.includes("--write")) writeFileSync(GOLDEN_PATH, `${JSON.stringify(measured, null, 2)}\n`);
  for (const scenario of SCENARIOS) {
    const { requests, blocks, ffi, objects } = measured[scenario];
    console.log(`${scenario}: ${requests} requests, ${blocks} blocks, ${sum(ffi)} FFI calls, ${sum(objects)} objects`);
    console.log(JSON.stringify({ ffi, objects }));
    for (const line of compareCounts(readGolden()[scenario], measured[scenario])) console.log(`  ${line}`);
  }
}
