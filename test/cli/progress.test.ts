import { describe, expect, test } from "bun:test";
import type { RunFacts } from "../../src/cli/report/printer.ts";
import { LiveLine, progressText } from "../../src/cli/report/progress-line.ts";
import { type Progress, ProgressMeter } from "../../src/cli/report/progress-meter.ts";
import { type Counters, newCounters } from "../../src/core/events.ts";

const PROGRESS: Progress = {
  phase: "copying",
  elapsedMs: 10_000,
  entriesExamined: 123_456,
  scanComplete: true,
  filesDone: 12_345,
  filesTotal: 20_000,
  bytesDone: 1.2 * 1024 ** 3,
  bytesTotal: 4.5 * 1024 ** 3,
  bytesCompared: 0,
  bytesToCompare: 0,
  deleted: 0,
  toDelete: 0,
  sourcesRemoved: 0,
  different: 0,
  failed: 2,
  bytesPerSecond: 350 * 1024 ** 2,
  averageBytesPerSecond: 0,
  secondsLeft: 11.2,
};

const COPY: RunFacts = { verb: "copy", dryRun: false };

describe("the text", () => {
  test("says what is known", () => {
    expect(progressText(PROGRESS, COPY)).toBe(
      "copying  26%  12,345/20,000 files  1.20 GiB/4.50 GiB  350 MiB/s  2 failed  0:12 left",
    );
    // No share and no time of half a total.
    expect(progressText({ ...PROGRESS, scanComplete: false, secondsLeft: undefined, failed: 0 }, COPY)).toBe(
      "copying  123,456 scanned  12,345/20,000+ files  1.20 GiB/4.50 GiB+  350 MiB/s",
    );
    expect(progressText({ ...PROGRESS, averageBytesPerSecond: 1024 ** 2, failed: 0 }, COPY)).toEndWith(
      "350 MiB/s  (1.00 MiB/s average)  0:12 left",
    );
  });
  test("of files without content", () => {
    const empty: Progress = { ...PROGRESS, bytesDone: 0, bytesTotal: 0, bytesPerSecond: 0, failed: 0, secondsLeft: 1 };
    expect(progressText(empty, COPY)).toBe("copying  61%  12,345/20,000 files  0:01 left");
  });
  test("of deletions, with their number", () => {
    const deleting: Progress = {
      ...PROGRESS,
      phase: "deleting",
      failed: 0,
      secondsLeft: 3,
      deleted: 7,
      toDelete: 1234,
    };
    expect(progressText(deleting, { verb: "mirror", dryRun: false })).toBe("deleting  7/1,234 deleted");
    expect(progressText({ ...deleting, deleted: 1234 }, { verb: "mirror", dryRun: false })).toBe(
      "deleting  1,234 deleted",
    );
  });
  test("of a move, a check, a dry run, and contents that are compared", () => {
    const some: Progress = { ...PROGRESS, failed: 0, secondsLeft: undefined };
    expect(progressText({ ...some, sourcesRemoved: 9 }, { verb: "move", dryRun: false })).toBe(
      "moving  26%  12,345/20,000 files  1.20 GiB/4.50 GiB  350 MiB/s  9 removed",
    );
    const comparing: Progress = { ...some, different: 3, bytesCompared: 1024, bytesToCompare: 4096 };
    expect(progressText(comparing, { verb: "check", dryRun: false })).toBe(
      "comparing  123,456 scanned  3 differ  1.00 KiB/4.00 KiB compared",
    );
    expect(progressText({ ...comparing, scanComplete: false }, { verb: "copy", dryRun: true })).toBe(
      "comparing  123,456 scanned  3 would change  1.00 KiB/4.00 KiB+ compared",
    );
    expect(progressText(comparing, COPY)).toContain("  1.00 KiB/4.00 KiB compared");
    expect(progressText({ ...comparing, bytesCompared: 4096 }, COPY)).not.toContain("compared");
  });
  test("fits any width, dropping the least first", () => {
    for (let width = 1; width < 120; width++)
      expect(progressText(PROGRESS, COPY, width).length).toBeLessThanOrEqual(width);
    expect(progressText(PROGRESS, COPY, 200)).toContain("26%  [#####---------------]  12,345");
    expect(progressText(PROGRESS, COPY, 84)).not.toContain("[");
    expect(progressText(PROGRESS, COPY, 40)).toBe("copying  26%  12,345/20,000 files");
    expect(progressText(PROGRESS, COPY, 20)).toBe("copying  26%");
    expect(progressText(PROGRESS, COPY, 3)).toBe("cop");
  });
  test("the live line redraws only what changed, clears itself, and follows the width", () => {
    let written = "";
    let columns = 21;
    const live = new LiveLine(
      (text) => {
        written += text;
      },
      () => columns,
    );
    const draw = (): void => live.draw((width) => progressText(PROGRESS, COPY, width));
    live.clear();
    live.resized();
    draw();
    draw();
    expect(written).toBe("\rcopying  26%\u001b[K");
    written = "";
    columns = 41;
    live.resized();
    expect(written).toBe("\r\u001b[K\rcopying  26%  12,345/20,000 files\u001b[K");
    written = "";
    live.clear();
    live.clear();
    live.resized();
    expect(written).toBe("\r\u001b[K");
  });
});

describe("figures never go backwards", () => {
  // A fixed generator: the same runs each time.
  function* random(seed: number): Generator<number> {
    let state = seed;
    while (true) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      yield state / 2 ** 32;
    }
  }
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("run %d", (seed) => {
    const next = random(seed);
    const draw = () => next.next().value as number;
    const meter = new ProgressMeter();
    const counters: Counters = { ...newCounters(), phase: "copying" };
    let elapsedMs = 0;
    let last: Progress | undefined;
    let estimates = 0;
    for (let step = 0; step < 400; step++) {
      elapsedMs += 50 + 100 * draw();
      if (step < 40) {
        counters.filesToTransfer += Math.floor(100 * draw());
        counters.bytesToTransfer += Math.floor(1e6 * draw());
      } else {
        counters.scanComplete = true;
      }
      // Stalls, bursts, and counters that are corrected downwards.
      const burst = draw() < 0.3 ? 0 : draw() * 20_000;
      counters.bytesLogical = Math.max(0, Math.min(counters.bytesToTransfer, counters.bytesLogical + burst - 500));
      counters.bytesTransferred = Math.floor(counters.bytesLogical * draw());
      counters.filesTransferred = Math.min(
        counters.filesToTransfer,
        counters.filesTransferred + Math.floor(8 * draw()),
      );
      const progress = meter.sample(counters, elapsedMs);
      if (last !== undefined) {
        expect(progress.bytesDone).toBeGreaterThanOrEqual(last.bytesDone);
        expect(progress.filesDone).toBeGreaterThanOrEqual(last.filesDone);
        if (progress.secondsLeft !== undefined) expect(progress.secondsLeft).toBeGreaterThanOrEqual(0);
      }
      if (progress.secondsLeft !== undefined) estimates++;
      expect(progress.bytesPerSecond).toBeGreaterThanOrEqual(0);
      expect(progress.bytesDone).toBeLessThanOrEqual(progress.bytesTotal);
      last = progress;
    }
    expect(estimates).toBeGreaterThan(0);
  });
  test("a steady run is estimated well", () => {
    const meter = new ProgressMeter();
    const counters: Counters = {
      ...newCounters(),
      phase: "copying",
      scanComplete: true,
      filesToTransfer: 100,
      bytesToTransfer: 100e6,
    };
    let last: Progress | undefined;
    for (let tick = 1; tick <= 50; tick++) {
      counters.filesTransferred = tick;
      counters.bytesLogical = tick * 1e6;
      last = meter.sample(counters, tick * 100);
    }
    expect(last!.secondsLeft!).toBeCloseTo(5, 1);
    expect(last!.bytesPerSecond / 1e7).toBeCloseTo(1, 1);
  });
  const steady = (): {
    meter: ProgressMeter;
    counters: Counters;
    run: (seconds: number, bytes: number) => Progress;
  } => {
    const meter = new ProgressMeter();
    const counters: Counters = {
      ...newCounters(),
      phase: "copying",
      scanComplete: true,
      filesToTransfer: 1,
      bytesToTransfer: 1e9,
    };
    let elapsedMs = 0;
    const run = (seconds: number, bytes: number): Progress => {
      let last: Progress | undefined;
      for (let tick = 0; tick < seconds * 10; tick++) {
        elapsedMs += 100;
        counters.bytesLanded += bytes / 10;
        last = meter.sample(counters, elapsedMs);
      }
      return last!;
    };
    return { meter, counters, run };
  };
  test("the time left grows when the line becomes slower, and is not said while nothing moves", () => {
    const { run } = steady();
    const fast = run(5, 50e6).secondsLeft!;
    expect(fast).toBeGreaterThan(12);
    expect(fast).toBeLessThan(18);
    const slow = run(20, 2e6).secondsLeft!;
    expect(slow).toBeGreaterThan(200);
    expect(run(6, 0).secondsLeft).toBeUndefined();
    expect(run(5, 50e6).secondsLeft).toBeDefined();
  });
  test("of a check the time left is that of the contents to compare", () => {
    const meter = new ProgressMeter({ onlyLooks: true });
    const counters: Counters = { ...newCounters(), phase: "copying", scanComplete: true, bytesToCompare: 1e9 };
    counters.bytesToTransfer = 5e9; // what a run would have to do
    counters.filesToTransfer = 7;
    let last: Progress | undefined;
    for (let tick = 1; tick <= 50; tick++) {
      counters.bytesCompared = tick * 10e6;
      last = meter.sample(counters, tick * 100);
    }
    expect(last!.secondsLeft!).toBeCloseTo(5, 0);
    expect(progressText(last!, { verb: "check", dryRun: false })).toMatch(/477 MiB\/954 MiB compared {2}0:0[56] left$/);
  });
  test("between estimates it is counted down, without jumping about", () => {
    const { run } = steady();
    let before = run(5, 10e6).secondsLeft!;
    for (let second = 0; second < 20; second++) {
      const now = run(1, second % 2 === 0 ? 9.5e6 : 10.5e6).secondsLeft!;
      expect(now).toBeLessThan(before);
      before = now;
    }
  });
  test("no estimate before the scan is complete", () => {
    const meter = new ProgressMeter();
    const counters = { ...newCounters(), filesToTransfer: 10, bytesToTransfer: 100, bytesLogical: 50 };
    expect(meter.sample(counters, 5000).secondsLeft).toBeUndefined();
  });
});
