/** A session made by hand: tells a fixed story to whichever face listens, without touching a file. */

import { buildBatch } from "../../src/core/entry-batch.ts";
import { bareSummary, type Counters, newCounters, type RunSummary } from "../../src/core/events.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { RunError } from "../../src/core/run-error.ts";
import type { RunRequest, StartRun } from "../../src/session/api.ts";

export type Story =
  | "normal"
  | "up-to-date"
  | "failing"
  | "endless"
  | "deaf"
  | "crash"
  | "late-crash"
  | "lost"
  | "flood"
  | "delete"
  | "filter-error"
  | "refused"
  | "refused-late"
  | "different";

export const FILE = 0o100644;
export const DIRECTORY = 0o040755;
export const SYMLINK = 0o120777;

export function sampleBatch() {
  return buildBatch([
    { name: bytesOf("a.txt"), size: 1234, mode: FILE },
    { name: new Uint8Array([0x62, 0xff]), size: 5, mode: FILE },
    { name: bytesOf("link"), mode: SYMLINK, linkText: bytesOf("a.txt") },
    { name: bytesOf("new\nline\u009b"), size: 0, mode: FILE },
    { name: bytesOf("sub"), mode: DIRECTORY },
    { name: bytesOf("dir"), mode: DIRECTORY },
  ]);
}

export function sampleSummary(counters: Readonly<Counters>, over: Partial<RunSummary> = {}): RunSummary {
  return {
    ...bareSummary({ exitCode: 0, exitReason: "ok", message: undefined }, counters, 2000),
    backend: "native",
    workers: 4,
    ...over,
  };
}

export function sampleCounters(): Counters {
  return {
    ...newCounters(),
    phase: "finishing",
    directoriesExamined: 2,
    entriesExamined: 1006,
    filesExamined: 1004,
    scanComplete: true,
    filesToTransfer: 3,
    bytesToTransfer: 1239,
    filesTransferred: 3,
    bytesTransferred: 1239,
    bytesLogical: 1239,
    created: 3,
    unchanged: 1001,
    directoriesCreated: 1,
  };
}

export function fakeStartRun(story: Story): StartRun {
  return async (request) => {
    if (story === "filter-error") throw Object.assign(new Error("--exclude: bad pattern"), { name: "FilterError" });
    if (story === "refused") throw new RunError(3, "source_missing", "source gone cannot be used");
    const counters = newCounters();
    request.hooks.onStart(counters);
    return {
      placement: {
        sources: request.sources.map(({ path }) => ({ path, kind: "contents" as const })),
        target: request.target.path,
        targetExists: false,
      },
      // Events come after the caller has the placement.
      summary: Bun.sleep(0).then(() => tell(story, request, counters)),
    };
  };
}

async function tell(story: Story, { hooks, signal, options }: RunRequest, counters: Counters): Promise<RunSummary> {
  const done = (over: Partial<RunSummary> = {}): RunSummary =>
    sampleSummary(counters, { dryRun: options.dryRun, ...over });
  switch (story) {
    case "filter-error":
    case "up-to-date":
      Object.assign(counters, { entriesExamined: 1006, unchanged: 1006, scanComplete: true });
      return done();
    case "normal": {
      Object.assign(counters, sampleCounters());
      const batch = sampleBatch();
      if (hooks.wantsItems) {
        hooks.onEvent({
          kind: "items",
          action: "create",
          directory: bytesOf("d"),
          batch,
          rows: [0, 1, 2, 3, batch.self],
        });
      }
      return done({ methods: { clone: 3 } });
    }
    case "flood": {
      const batch = sampleBatch();
      for (let i = 0; i < 20_000; i++) {
        hooks.onEvent({ kind: "items", action: "create", directory: bytesOf(`d${i}`), batch, rows: [0] });
      }
      Object.assign(counters, { filesTransferred: 20_000, created: 20_000 });
      return done();
    }
    case "failing": {
      Object.assign(counters, sampleCounters(), { failed: 2 });
      const failure = {
        code: "permission" as const,
        side: "source" as const,
        path: bytesOf("secret\u001b[31m"),
        operation: "open",
        errno: 13,
        message: "permission denied",
      };
      hooks.onEvent({ kind: "failure", failure });
      hooks.onEvent({ kind: "notice", level: "warning", code: "deletions_disabled", message: "nothing was deleted" });
      return done({ exitCode: 23, exitReason: "partial", message: "2 items failed", failures: [failure] });
    }
    case "delete": {
      const answer = await hooks.confirmDeletions({
        entries: 12,
        targetEntries: 300,
        sample: [bytesOf("old/a"), bytesOf("old/\u001bb")],
      });
      if (answer !== "accepted")
        return done({ exitCode: 25, exitReason: "deletion_refused", message: `deletions ${answer}` });
      hooks.onEvent({ kind: "delete", path: bytesOf("old/a"), directory: false });
      Object.assign(counters, { deleted: 12 });
      return done();
    }
    case "refused":
    case "refused-late":
      throw new RunError(3, "source_missing", "source gone cannot be used");
    case "different":
      Object.assign(counters, { entriesExamined: 10, created: 1 });
      return done({ exitCode: 1, exitReason: "different", message: "1 differ" });
    case "crash":
      throw new Error("boom");
    case "late-crash":
      setTimeout(() => {
        throw new Error("boom later");
      }, 10);
      return await new Promise(() => setInterval(() => {}, 1000));
    case "lost":
      return process.exit(0);
    case "endless":
      await until(signal, counters);
      return done({ exitCode: 20, exitReason: "interrupted", message: "interrupted" });
    case "deaf":
      return await until(new AbortController().signal, counters).then(() => done());
  }
}

/** Works a little each moment until it is told to stop. */
function until(signal: AbortSignal, counters: Counters): Promise<void> {
  counters.phase = "copying";
  counters.filesToTransfer = 1000;
  counters.bytesToTransfer = 1e9;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      counters.filesTransferred++;
      counters.bytesTransferred += 1000;
      counters.bytesLogical += 1000;
      if (!signal.aborted) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });
}
