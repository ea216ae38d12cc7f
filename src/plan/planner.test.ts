import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { listingOf } from "../../test/support/listings.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import { AUTOMATIC_TRANSFER, type CopyMethod } from "../core/options.ts";
import { ROW_EXISTS } from "../fs/backend.ts";
import { LOCAL_LIMITS, localLimits, Planner, streamLimits, type Task, toldLimits } from "./planner.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

function files(...sizes: number[]): EntryBatch {
  return listingOf(sizes.map((size, index) => [String(index).padStart(6, "0"), { size }]));
}

function repeated(size: number, count: number): EntryBatch {
  return files(...Array.from({ length: count }, () => size));
}

function allRows(batch: EntryBatch): Uint32Array {
  return Uint32Array.from({ length: batch.count }, (_, row) => row);
}

function planned(planner: Planner, batch: EntryBatch): Task[] {
  return planner.plan(batch, allRows(batch));
}

describe("classes", () => {
  test.each([
    ["empty", 0, "shard"],
    ["just below 1 MiB", MIB - 1, "shard"],
    ["1 MiB", MIB, "bundle"],
    ["just below the size that is split", LIMITS.splitFileBytes - 1, "bundle"],
    ["the size that is split", LIMITS.splitFileBytes, "large"],
    ["beyond 4 GiB", 5 * 1024 * MIB, "large"],
  ] as const)("a file of %s is of its class", (_, size, kind) => {
    const tasks = planned(new Planner(LOCAL_LIMITS), files(size));
    expect(tasks).toEqual([{ kind, rows: Uint32Array.of(0), bytes: size }]);
  });

  test.each([FileType.symlink, FileType.fifo, FileType.blockDevice, FileType.socket])(
    "what is no file counts as an empty one: %o",
    (type) => {
      const batch = listingOf([["x", { mode: type | 0o644, size: 100 * MIB }]]);
      expect(planned(new Planner(LOCAL_LIMITS), batch)).toEqual([{ kind: "shard", rows: Uint32Array.of(0), bytes: 0 }]);
    },
  );

  test("what may be on its way is the most of a task of several files, and of a file that comes whole", () => {
    const told = { ...AUTOMATIC_TRANSFER, bufferBytes: 4 * MIB };
    const plan = (sizes: number[], transfer = told): [string, number][] =>
      planned(new Planner(toldLimits(streamLimits(false, transfer.bufferBytes), transfer)), files(...sizes)).map(
        ({ kind, bytes }) => [kind, bytes],
      );
    expect(plan([3 * MIB, 3 * MIB, MIB])).toEqual([
      ["bundle", 3 * MIB],
      ["bundle", 4 * MIB],
    ]);
    expect(plan(Array(5).fill(MIB - 1))).toEqual([
      ["shard", 4 * (MIB - 1)],
      ["shard", MIB - 1],
    ]);
    expect(plan([4 * MIB, 4 * MIB + 1])).toEqual([
      ["large", 4 * MIB + 1],
      ["bundle", 4 * MIB],
    ]);
    expect(plan([9 * MIB, LIMITS.stripeFileBytes], AUTOMATIC_TRANSFER)).toEqual([
      ["large", LIMITS.stripeFileBytes],
      ["bundle", 9 * MIB],
    ]);
  });

  test.each<[string, readonly CopyMethod[] | undefined, boolean]>([
    ["all", undefined, true],
    ["read_write", ["read_write"], true],
    ["clone, mmap", ["clone", "mmap"], true],
    ["clone", ["clone"], false],
    ["sendfile", ["sendfile"], false],
    ["clone, sendfile", ["clone", "sendfile"], false],
  ])("a large file is split only by a method that writes ranges: %s", (_, methods, splits) => {
    const [task] = planned(new Planner(localLimits(methods)), files(100 * MIB));
    expect(task!.kind).toBe(splits ? "large" : "bundle");
  });
});

describe("slices", () => {
  test("of at most 128 files", () => {
    const tasks = planned(new Planner(LOCAL_LIMITS), repeated(1, 300));
    expect(tasks.map(({ kind, rows }) => [kind, rows.length])).toEqual([
      ["shard", 128],
      ["shard", 128],
      ["shard", 44],
    ]);
  });

  test("of small files end at the shard's 8 MiB, later at 16 MiB", () => {
    const planner = new Planner(LOCAL_LIMITS);
    expect(planned(planner, repeated(512 * KIB, 32)).map(({ bytes }) => bytes)).toEqual([8 * MIB, 8 * MIB]);
    while (planner.mix.shards < 31) planned(planner, repeated(512 * KIB, 16));
    planned(planner, repeated(512 * KIB, 16));
    expect(planned(planner, repeated(512 * KIB, 32)).map(({ bytes }) => bytes)).toEqual([16 * MIB]);
  });

  test("of medium files end at 16 MiB", () => {
    const tasks = planned(new Planner(LOCAL_LIMITS), repeated(4 * MIB, 6));
    expect(tasks.map(({ kind, bytes }) => [kind, bytes])).toEqual([
      ["bundle", 16 * MIB],
      ["bundle", 8 * MIB],
    ]);
  });

  test("keep the marks of their rows", () => {
    const batch = files(1, 2 * MIB, 60 * MIB);
    const marked = allRows(batch).map((row) => (row | ROW_EXISTS) >>> 0);
    const tasks = new Planner(LOCAL_LIMITS).plan(batch, marked);
    expect(tasks.map(({ kind, rows }) => [kind, rows[0]])).toEqual([
      ["large", (2 | ROW_EXISTS) >>> 0],
      ["shard", ROW_EXISTS],
      ["bundle", (1 | ROW_EXISTS) >>> 0],
    ]);
  });

  test("hold every row exactly once, in order, within their bounds, whatever the sizes", () => {
    const size = fc.oneof(
      fc.nat(64 * KIB),
      fc.nat(MIB),
      fc.integer({ min: MIB - 1, max: 20 * MIB }),
      fc.integer({ min: LIMITS.splitFileBytes - 1, max: LIMITS.splitFileBytes + 1 }),
    );
    fc.assert(
      fc.property(fc.array(fc.array(size, { maxLength: 300 }), { minLength: 1, maxLength: 4 }), (directories) => {
        const planner = new Planner(LOCAL_LIMITS);
        for (const sizes of directories) {
          const batch = files(...sizes);
          const tasks = planned(planner, batch);
          const rows = tasks.flatMap((task) => [...task.rows]);
          expect(rows.toSorted((a, b) => a - b)).toEqual([...allRows(batch)]);
          for (const task of tasks) {
            expect([...task.rows]).toEqual([...task.rows].toSorted((a, b) => a - b));
            expect(task.bytes).toBe(task.rows.reduce((sum, row) => sum + batch.size(row), 0));
            expect(task.rows.length).toBeGreaterThan(0);
            expect(task.rows.length).toBeLessThanOrEqual(task.kind === "large" ? 1 : LIMITS.sliceFiles);
            // A task ends with the file that fills it, so all but that file are below the bound.
            const last = batch.size(task.rows.at(-1)!);
            if (task.kind !== "large") expect(task.bytes - last).toBeLessThan(LIMITS.sliceBytes);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

/** Bytes in each unit that the planner closed, when it is fed these files in small steps. */
function closedUnits(unit: "shards" | "bundles", step: EntryBatch, steps: number): number[] {
  const planner = new Planner(LOCAL_LIMITS);
  const bytes = allRows(step).reduce((sum, row) => sum + step.size(row), 0);
  const closed: number[] = [];
  let open = 0;
  for (let i = 0; i < steps; i++) {
    const before = planner.mix[unit];
    planned(planner, step);
    open += bytes;
    if (planner.mix[unit] === before) continue;
    closed.push(open);
    open = 0;
  }
  return closed;
}

function times(count: number, bytes: number): number[] {
  return Array.from({ length: count }, () => bytes);
}

describe("units", () => {
  test("shards: 8 MiB, then 32 from 256 MiB on, then 64 from 768 MiB on", () => {
    const closed = closedUnits("shards", repeated(512 * KIB, 16), (824 + 128) / 8);
    expect(closed).toEqual([...times(31, 8 * MIB), ...times(16, 32 * MIB), ...times(3, 64 * MIB)]);
  });

  test("shards: 2,048 files, however small", () => {
    const planner = new Planner(LOCAL_LIMITS);
    for (let directory = 0; directory < 16; directory++) planned(planner, repeated(0, 127));
    expect(planner.finalMix()).toEqual({ shards: 1, bundles: 0, large: 0, direct: 0 });
    planned(planner, repeated(0, 16));
    expect(planner.mix.shards).toBe(1);
    planned(planner, repeated(0, 1));
    expect(planner.finalMix()).toEqual({ shards: 2, bundles: 0, large: 0, direct: 0 });
  });

  test("bundles: 128 MiB, then 384 from 512 MiB on", () => {
    const closed = closedUnits("bundles", repeated(16 * MIB, 1), (384 + 2 * 384) / 16);
    expect(closed).toEqual([...times(3, 128 * MIB), ...times(2, 384 * MIB)]);
  });

  test("large files are one each, and open units count at the end", () => {
    const planner = new Planner(LOCAL_LIMITS);
    planned(planner, files(100 * MIB, 200 * MIB, 1, 2 * MIB));
    expect(planner.finalMix()).toEqual({ shards: 1, bundles: 1, large: 2, direct: 0 });
  });
});

describe("a tiny job", () => {
  test.each([
    ["nothing", [], { shards: 0, bundles: 0, large: 0, direct: 0 }],
    ["8 files", times(8, 1), { shards: 0, bundles: 0, large: 0, direct: 8 }],
    ["9 files", times(9, 1), { shards: 1, bundles: 0, large: 0, direct: 0 }],
    ["100 MiB", [100 * MIB], { shards: 0, bundles: 0, large: 0, direct: 1 }],
    ["more than 100 MiB", [100 * MIB, 1], { shards: 1, bundles: 0, large: 1, direct: 0 }],
  ])("%s", (_, sizes, mix) => {
    const planner = new Planner(LOCAL_LIMITS);
    planned(planner, files(...sizes));
    expect(planner.tiny).toBe(mix.shards === 0);
    expect(planner.finalMix()).toEqual(mix);
  });

  test("stops being one with its ninth file, over directories", () => {
    const planner = new Planner(LOCAL_LIMITS);
    planned(planner, repeated(1, 5));
    expect(planner.finalMix().direct).toBe(5);
    planned(planner, repeated(1, 5));
    expect(planner.finalMix()).toEqual({ shards: 1, bundles: 0, large: 0, direct: 0 });
  });
});
