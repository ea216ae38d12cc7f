import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { listingOf } from "../../test/support/listings.ts";
import { ByteBudget } from "../core/byte-budget.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type Backend,
  ItemFlag,
  type ItemResults,
  type LargeFile,
  type LargeRequest,
  METHODS,
  type PreparedSettings,
  type RangeResult,
  ROW_EXISTS,
} from "../fs/backend.ts";
import { copyLargeFile, failedItem, lengthOfMost, type Ranging, splitRanges } from "./large-file.ts";

const MIB = 1 << 20;
const READ_WRITE = METHODS.indexOf("read_write");
const COPY_FILE_RANGE = METHODS.indexOf("copy_file_range");
const CLONE = METHODS.indexOf("clone");

describe("splitRanges", () => {
  test("covers the file exactly, in order, within its bounds", () => {
    const size = fc.oneof(fc.nat(3 * LIMITS.minRangeBytes), fc.integer({ min: 0, max: 2 ** 40 }));
    fc.assert(
      fc.property(size, fc.integer({ min: 0, max: 64 }), (bytes, workers) => {
        const ranges = [...splitRanges(bytes, workers)];
        const longest = bytes <= LIMITS.rangeBytes * LIMITS.rangesMost ? LIMITS.rangeBytes : 2 * LIMITS.rangeBytes;
        expect(ranges.length).toBeLessThanOrEqual(LIMITS.rangesMost);
        let at = 0;
        for (const { offset, length } of ranges) {
          if (offset !== at || length <= 0 || length > longest) throw new Error(`${offset} ${length} at ${at}`);
          at += length;
        }
        expect(at).toBe(bytes);
        const whole = ranges.slice(0, -1);
        expect(new Set(whole.map(({ length }) => length)).size).toBeLessThanOrEqual(1);
        for (const { length } of whole.slice(0, 1)) {
          expect(length).toBeGreaterThanOrEqual(LIMITS.minRangeBytes);
          expect(length % MIB).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ["an empty file has none", 0, 4, []],
    ["a short file is one", 1, 4, [1]],
    ["never shorter than 8 MiB but for the last", 17 * MIB, 8, [8, 8, 1].map((length) => length * MIB)],
    ["two for each worker", 64 * MIB, 2, [16, 16, 16, 16].map((length) => length * MIB)],
    ["never longer than 32 MiB", 96 * MIB, 1, [32, 32, 32].map((length) => length * MIB)],
    ["the last has what is left", 64 * MIB + 1, 2, [17 * MIB, 17 * MIB, 17 * MIB, 13 * MIB + 1]],
  ])("%s", (_, size, workers, lengths) => {
    expect([...splitRanges(size, workers)].map(({ length }) => length)).toEqual(lengths);
  });
});

test("however large a file is, its ranges are few, and none is made before its turn", () => {
  const size = Number.MAX_SAFE_INTEGER;
  const ranges = splitRanges(size, 2);
  expect(ranges.next().value!.length).toBe(lengthOfMost(size));
  expect(Math.ceil(size / lengthOfMost(size))).toBeLessThanOrEqual(LIMITS.rangesMost);
});

interface Script {
  /** Per attempt. */
  readonly begin?: readonly Partial<LargeFile>[];
  readonly range?: (offset: number, attempt: number) => Partial<RangeResult> | Promise<Partial<RangeResult>>;
  readonly commit?: readonly ItemResults[];
  /** What stands under the name when it is looked at again. */
  readonly fresh?: EntryBatch;
  readonly workers?: number;
}

const SIZE = 64 * MIB;
const FRESH_SIZE = 40 * MIB;

function committed(over: Partial<Record<"status" | "flags" | "method" | "bytes", number>> = {}): ItemResults {
  return {
    ...failedItem(over.status ?? 0, 0),
    flags: () => over.flags ?? 0,
    method: () => over.method ?? 0,
    bytes: () => over.bytes ?? 0,
    size: () => SIZE,
  };
}

/** A backend that does what the script says, and writes down what it was asked. */
function fake(script: Script = {}) {
  const log: string[] = [];
  const requests: LargeRequest[] = [];
  const ranges: { offset: number; length: number; compare: boolean }[] = [];
  let most = 0;
  let running = 0;
  let released = 0;
  const backend = {
    workers: script.workers ?? 2,
    async largeBegin(request: LargeRequest): Promise<LargeFile> {
      requests.push(request);
      log.push("begin");
      return {
        status: 0,
        stage: 0,
        source: 3,
        temp: 4,
        cloned: false,
        size: SIZE,
        basisBytes: 0,
        refused: 0,
        refusedErrno: 0,
        ...script.begin?.[requests.length - 1],
      };
    },
    async largeRange(_file: LargeFile, offset: number, length: number, compare: boolean): Promise<RangeResult> {
      most = Math.max(most, ++running);
      ranges.push({ offset, length, compare });
      const result = await script.range?.(offset, requests.length);
      await Promise.resolve();
      running--;
      return { status: 0, stage: 0, bytes: length, method: READ_WRITE, refused: 0, ...result };
    },
    async largeCommit(): Promise<ItemResults> {
      log.push("commit");
      return script.commit?.[requests.length - 1] ?? committed();
    },
    async largeAbort(_file: LargeFile, _request: LargeRequest, keepPart: boolean): Promise<void> {
      expect(running).toBe(0); // descriptors are closed by it
      log.push(keepPart ? "abort, keep" : "abort, drop");
    },
    async stat(_parent: number, names: readonly Uint8Array[]): Promise<EntryBatch> {
      log.push(`stat ${Buffer.from(names[0]!).toString()}`);
      return script.fresh ?? listingOf([["big", { size: FRESH_SIZE }]]);
    },
    releaseBatch(): void {
      released++;
    },
  } as unknown as Backend;
  return { backend, log, requests, ranges, most: () => most, released: () => released };
}

const REQUEST: LargeRequest = {
  source: 1,
  target: 2,
  batch: listingOf([["aaa"], ["big", { size: SIZE }]]),
  rows: Uint32Array.of((1 | ROW_EXISTS) >>> 0),
  settings: { settings: { xattrs: true, acls: true, follow: false }, token: 0 } as unknown as PreparedSettings,
  resume: true,
};
const NEVER = new AbortController().signal;

const AUTOMATIC: Ranging = { chunkBytes: 0, budget: new ByteBudget(0) };

async function run(script: Script = {}, signal: AbortSignal = NEVER, ranging: Ranging = AUTOMATIC) {
  const { backend, ...seen } = fake(script);
  const landed: number[] = [];
  const results = await copyLargeFile(backend, REQUEST, ranging, (bytes) => landed.push(bytes), signal);
  return { results, landed: landed.reduce((sum, bytes) => sum + bytes, 0), ...seen };
}

const CHANGED = committed({ status: -E.BUSY, flags: ItemFlag.changed });

describe("copyLargeFile", () => {
  test("ranges are as long as was said, and no more of them under way than the budget has room for", async () => {
    const { ranges, most, landed } = await run({}, NEVER, { chunkBytes: 5 * MIB, budget: new ByteBudget(5 * MIB) });
    expect(ranges.map(({ length }) => length)).toEqual([...splitRanges(SIZE, 2, 5 * MIB)].map(({ length }) => length));
    expect(ranges[0]!.length).toBe(5 * MIB);
    expect(most()).toBe(1);
    expect(landed).toBe(SIZE);
  });
  test("copies every range once, as many at a time as there are workers, and publishes", async () => {
    const { results, log, ranges, landed, most } = await run();
    expect(log).toEqual(["begin", "commit"]);
    expect(ranges.map(({ offset, length }) => ({ offset, length }))).toEqual([...splitRanges(SIZE, 2)]);
    expect(most()).toBe(2);
    expect(landed).toBe(SIZE);
    expect([results.status(0), results.bytes(0), results.method(0)]).toEqual([0, SIZE, READ_WRITE]);
  });

  test("a clone ends it at once", async () => {
    const clone = committed({ method: CLONE });
    const { results, log, ranges, landed } = await run({ begin: [{ cloned: true }], commit: [clone] });
    expect(log).toEqual(["begin", "commit"]);
    expect(ranges).toEqual([]);
    expect(landed).toBe(0);
    expect([results.status(0), results.bytes(0), results.method(0)]).toEqual([0, 0, CLONE]);
  });

  test("what cannot be opened begins nothing", async () => {
    const { results, log } = await run({ begin: [{ status: -E.ACCES, stage: 1 }] });
    expect(log).toEqual(["begin"]);
    expect([results.status(0), results.stage(0)]).toEqual([-E.ACCES, 1]);
  });

  test("only ranges that begin in the basis are compared", async () => {
    const { ranges } = await run({ begin: [{ basisBytes: 20 * MIB }] });
    expect(ranges.map(({ offset, compare }) => [offset / MIB, compare])).toEqual([
      [0, true],
      [16, true],
      [32, false],
      [48, false],
    ]);
  });

  test("the method that moved data is told, and those that fell through", async () => {
    const refused = 1 << CLONE;
    const { results } = await run({
      begin: [{ refused, refusedErrno: E.XDEV }],
      range: (offset) => ({ method: offset === 0 ? COPY_FILE_RANGE : 0, refused: 1 << READ_WRITE }),
    });
    expect(results.method(0)).toBe(COPY_FILE_RANGE);
    expect(results.refused(0)).toBe(refused | (1 << READ_WRITE));
    expect(results.refusedErrno(0)).toBe(E.XDEV);
  });

  test("a failure stops further ranges, keeps the part and publishes nothing", async () => {
    const { results, log, ranges } = await run({
      range: (offset) => (offset === 0 ? { status: -E.IO, stage: 2, bytes: 0 } : {}),
    });
    expect(log).toEqual(["begin", "abort, keep"]);
    expect(ranges.length).toBe(2); // the other worker's first was under way
    expect([results.status(0), results.stage(0), results.flags(0)]).toEqual([-E.IO, 2, 0]);
  });

  test.each([E.NOSPC, E.DQUOT])("a full disk keeps no part: errno %i", async (errno) => {
    const { log, results } = await run({ range: () => ({ status: -errno, stage: 4, bytes: 0 }) });
    expect(log).toEqual(["begin", "abort, drop"]);
    expect(results.status(0)).toBe(-errno);
  });

  test("the first of several failures is told", async () => {
    const { results } = await run({
      range: async (offset) => {
        if (offset > 0) await Bun.sleep(5);
        return { status: offset === 0 ? -E.IO : -E.NOSPC, stage: 4, bytes: 0 };
      },
    });
    expect(results.status(0)).toBe(-E.IO);
  });

  test("an abort ends it between ranges, and keeps the part", async () => {
    const stop = new AbortController();
    const { results, log, ranges } = await run(
      {
        range: () => {
          stop.abort();
          return {};
        },
      },
      stop.signal,
    );
    expect(log).toEqual(["begin", "abort, keep"]);
    expect(ranges.length).toBeLessThanOrEqual(2);
    expect(results.status(0)).toBe(-E.CANCELED);
  });

  test("one that was aborted before copies nothing", async () => {
    const { results, log, ranges } = await run({}, AbortSignal.abort());
    expect(log).toEqual(["begin", "abort, keep"]);
    expect(ranges).toEqual([]);
    expect(results.status(0)).toBe(-E.CANCELED);
  });
});

describe("a source that changed", () => {
  test("is copied once more as it is now", async () => {
    const { results, log, requests, released } = await run({
      begin: [{}, { size: FRESH_SIZE }],
      commit: [CHANGED, committed()],
    });
    expect(log).toEqual(["begin", "commit", "stat big", "begin", "commit"]);
    const again = requests[1]!;
    expect(again.batch.size(again.rows[0]! & ~ROW_EXISTS)).toBe(FRESH_SIZE);
    expect(again.rows[0]! >>> 31).toBe(1); // something still stands under the name
    expect(results.status(0)).toBe(0);
    expect(results.flags(0) & ItemFlag.retried).toBe(ItemFlag.retried);
    expect(results.bytes(0)).toBe(FRESH_SIZE);
    expect(released()).toBe(1);
  });

  test("is seen by a range as well", async () => {
    const { log, results } = await run({
      range: (_, attempt) => (attempt === 1 ? { status: -E.BUSY, stage: 2, bytes: 0 } : {}),
    });
    expect(log).toEqual(["begin", "abort, keep", "stat big", "begin", "commit"]);
    expect(results.status(0)).toBe(0);
  });

  test("fails when it changes again", async () => {
    const { results, log } = await run({ commit: [CHANGED, CHANGED, committed()] });
    expect(log.filter((call) => call === "begin")).toHaveLength(2);
    expect(results.status(0)).toBe(-E.BUSY);
    expect(results.flags(0)).toBe(ItemFlag.changed);
  });

  test.each([
    ["is gone", listingOf([["big", { status: -E.NOENT }]])],
    ["is a link now", listingOf([["big", { mode: FileType.symlink | 0o777 }]])],
  ])("is not read again when it %s", async (_, fresh) => {
    const { results, log, released } = await run({ commit: [CHANGED], fresh });
    expect(log).toEqual(["begin", "commit", "stat big"]);
    expect(results.status(0)).toBe(-E.BUSY);
    expect(released()).toBe(1);
  });

  test("is not read again after a stop", async () => {
    const stop = new AbortController();
    const changed: ItemResults = {
      ...CHANGED,
      status: () => {
        stop.abort();
        return -E.BUSY;
      },
    };
    const { log } = await run({ commit: [changed] }, stop.signal);
    expect(log).toEqual(["begin", "commit"]);
  });
});
