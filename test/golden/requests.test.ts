/**
 * What 1,000 files cost in requests to the native library and in blocks of its arena. Both are decided by the code
 * alone, so they are exact; a change that makes them dearer has to say so here.
 */
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findLibrary } from "../../ffi/library.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { RequestRing } from "../../src/fs/native/request-ring.ts";
import { startRun } from "../../src/session/run.ts";
import { optionsFor } from "../session/model.ts";

const isNative = process.env["FASTSYNC_NATIVE"] !== "off" && findLibrary().library !== undefined;
const FILES = 1000;

/** Requests: walks of both sides and of the roots' facts, slices of at most 128 files, the stamp, sweeps: no more. */
const GOLDEN = {
  first: { requests: 17, blocks: 24 },
  noop: { requests: 6, blocks: 11 },
};

async function count(source: string, target: string): Promise<{ requests: number; blocks: number }> {
  const take = spyOn(RequestRing.prototype, "take");
  const alloc = spyOn(RequestRing.prototype, "alloc");
  try {
    const run = await startRun({
      sources: [{ path: bytesOf(`${source}/`) }],
      target: { path: bytesOf(target) },
      options: optionsFor("mirror", false, undefined),
      hooks: {
        onEvent: () => undefined,
        onStart: () => undefined,
        wantsItems: false,
        confirmDeletions: async () => "declined",
      },
      signal: new AbortController().signal,
    });
    expect((await run.summary).exitCode).toBe(0);
    return { requests: take.mock.calls.length, blocks: alloc.mock.calls.length };
  } finally {
    take.mockRestore();
    alloc.mockRestore();
  }
}

describe.skipIf(!isNative)(
  `${FILES} files in one directory${isNative ? "" : " (skipped: the native library does not serve)"}`,
  () => {
    let scratch: string;
    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), "fastsync-golden-"));
      mkdirSync(join(scratch, "source"));
      for (let i = 0; i < FILES; i++) writeFileSync(join(scratch, "source", `file${i}`), "x".repeat(100));
      utimesSync(join(scratch, "source"), 1_600_000_000, 1_600_000_000);
    });
    afterAll(() => rmSync(scratch, { recursive: true, force: true }));

    test("a first mirror costs the golden number of requests, a second the number of its walks", async () => {
      const source = join(scratch, "source");
      const target = join(scratch, "target");
      const first = await count(source, target);
      const noop = await count(source, target);
      expect({ first, noop }).toEqual(GOLDEN);
    });
  },
);
