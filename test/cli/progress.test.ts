import { describe, expect, test } from "bun:test";
import { LiveLine, progressText } from "../../src/cli/progress-line.ts";
import { type Progress, ProgressMeter } from "../../src/cli/progress-meter.ts";
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
  deleted: 0,
  failed: 2,
  bytesPerSecond: 350 * 1024 ** 2,
  secondsLeft: 11.2,
};

describe("the text", () => {
  test("says what is known", () => {
    expect(progressText(PROGRESS)).toBe(
      "copying  12,345/20,000 files  1.20 GiB/4.50 GiB  26%  350 MiB/s  2 failed  0:12 left",
    );
    expect(progressText({ ...PROGRESS, scanComplete: false, secondsLeft: undefined, failed: 0 })).toBe(
      "copying  123,456 scanned  12,345/20,000+ files  1.20 GiB/4.50 GiB+  350 MiB/s",
    );
    expect(progressText({ ...PROGRESS, phase: "deleting", filesTotal: 0, failed: 0, deleted: 7 })).toBe(
      "deleting  7 deleted",
    );
  });
  test("fits any width, dropping the least first", () => {
    for (let width = 1; width < 100; width++) expect(progressText(PROGRESS, width).length).toBeLessThanOrEqual(width);
    expect(progressText(PROGRESS, 40)).toBe("copying  12,345/20,000 files  26%");
    expect(progressText(PROGRESS, 20)).toBe("copying  26%");
    expect(progressText(PROGRESS, 3)).toBe("cop");
  });
  test("the live line redraws only what changed, and clears itself", () => {
    let written = "";
    const live = new LiveLine(
      (text) => {
        written += text;
      },
      () => 21,
    );
    live.clear();
    live.draw(PROGRESS);
    live.draw(PROGRESS);
    live.clear();
    live.clear();
    expect(written).toBe("\rcopying  26%\u001b[K\r\u001b[K");
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
        if (last.secondsLeft !== undefined) {
          expect(progress.secondsLeft).toBeDefined();
          expect(progress.secondsLeft!).toBeLessThanOrEqual(last.secondsLeft);
        }
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
  test("no estimate before the scan is complete", () => {
    const meter = new ProgressMeter();
    const counters = { ...newCounters(), filesToTransfer: 10, bytesToTransfer: 100, bytesLogical: 50 };
    expect(meter.sample(counters, 5000).secondsLeft).toBeUndefined();
  });
});
