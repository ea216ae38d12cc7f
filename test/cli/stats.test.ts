/** The block of `--stats`, `--log-file`, and the failures at the end: what stands in them is what happened. */
import { describe, expect, test } from "bun:test";
import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { statsLines } from "../../src/cli/report/stats-text.ts";
import { failureLines, summaryLines } from "../../src/cli/report/summary-text.ts";
import type { Failure } from "../../src/core/events.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { expectLines } from "../support/events-schema.ts";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { sampleCounters, sampleSummary } from "./fake-run.ts";
import { jsonLines } from "./processes.ts";

describe("the text", () => {
  const counters = {
    ...sampleCounters(),
    symlinksExamined: 3,
    specialsExamined: 1,
    bytesExamined: 10 * 1024 ** 2,
    bytesLogical: 2 * 1024 ** 2,
    bytesTransferred: 1024 ** 2,
    deleted: 6,
  };
  const phases = { scanning: 500, copying: 1400, deleting: 0 };

  test("of a mirror", () => {
    expect(statsLines(sampleSummary(counters), { verb: "mirror", dryRun: false }, phases)).toEqual([
      "Statistics",
      "Source       1,000 files, 2 directories, 3 symbolic links, 1 special file",
      "Source size  10.0 MiB (10,485,760 bytes)",
      "New          3 files, 1 directory",
      "Replaced     0 files",
      "Repaired     0 entries, attributes only",
      "Linked       0 names",
      "Unchanged    1,001 entries",
      "Deleted      6 entries",
      "Failed       0, vanished 0",
      "Compared     0 B by content",
      "Transferred  3 files, 2.00 MiB (2,097,152 bytes)",
      "Literal      1.00 MiB (1,048,576 bytes) moved",
      "Matched      1.00 MiB (1,048,576 bytes) shared, already there or holes",
      "Engine       native, 4 workers",
      "Speedup      10.00, the size of the source by what moved",
      "Time         2.00 s: scanning 0.50 s, copying after the scan 1.40 s",
      "Rate         1.00 MiB/s",
    ]);
  });
  test("over a network, of a move, of a dry run, of nothing", () => {
    const network = { carrier: "streams", streams: 2, bytes: 512 * 1024, firstContentMs: 120 } as const;
    const lines = statsLines(sampleSummary(counters, { network }), { verb: "move", dryRun: false }, phases);
    expect(lines).toContain("Network      512 KiB on 2 streams, first content after 0.12 s");
    expect(lines).toContain("Speedup      20.00, the size of the source by what moved");
    expect(lines).toContain("Removed      0 sources");
    expect(statsLines(sampleSummary(counters), { verb: "mirror", dryRun: true }, {})[0]).toBe(
      "Statistics (nothing was changed)",
    );
    const tried = statsLines(sampleSummary(counters), { verb: "move", dryRun: true }, {});
    expect(tried).toContain("Deleted      6 entries (would be)");
    expect(tried).toContain("Removed      each source that arrives (would be)");
    expect(summaryLines(sampleSummary(counters), { verb: "move", dryRun: true }, false)).toContain(
      "Removed      each source that arrives (would be)",
    );
    const compared = statsLines(sampleSummary(counters), { verb: "check", dryRun: true }, {});
    expect(compared).toContain("Source only  3 files, 1 directory");
    expect(compared).toContain("Different    0 files");
    expect(compared).toContain("Target only  6 entries");
    const idle = { ...counters, bytesTransferred: 0 };
    expect(statsLines(sampleSummary(idle), { verb: "copy", dryRun: false }, phases)).toContain(
      "Speedup      nothing had to move",
    );
  });
  test("how it was done stands in the statistics, once", () => {
    const work = { methods: { clone: 3 }, plan: { shards: 2, bundles: 0, large: 0, direct: 0 } };
    const summary = sampleSummary(counters, { ...work, refused: [{ method: "clone", reason: "no", files: 1 }] });
    const facts = { verb: "copy", dryRun: false } as const;
    for (const line of ["Copied by    clone 3", "Planned as   2 shards", "Refused      clone: no"]) {
      expect(statsLines(summary, facts, {})).toContain(line);
      expect(summaryLines(summary, facts, true, false)).not.toContain(line);
      expect(summaryLines(summary, facts, true)).toContain(line);
    }
  });
  test("of failures is bounded, and says how many more there are and where", () => {
    const failures = Array.from(
      { length: 1000 },
      (_, i): Failure => ({
        code: "io",
        side: "target",
        path: bytesOf(`f${i}`),
        operation: "write",
        errno: 5,
        message: "no",
      }),
    );
    const lines = failureLines(sampleSummary({ ...counters, failed: 2500 }, { failures }));
    expect([lines.length, lines[0], lines[50]]).toEqual([52, "Failed (2,500):", "  f49: cannot write: no (target)"]);
    expect(lines[51]).toBe("  and 2,450 more; --json and --log-file list each");
    const told = summaryLines(
      sampleSummary({ ...counters, failed: 2500 }, { failures }),
      { verb: "copy", dryRun: false },
      false,
    );
    expect(told).toContain("Failed       2,500 (the first 50 named above)");
  });
});

describe("a run", () => {
  test("counts kinds, sizes, and what is compared by content", async () => {
    using dir = tempDir();
    const source = dir.join("source");
    mkdirSync(`${source}/sub`, { recursive: true });
    writeFileSync(`${source}/a`, "x".repeat(3000));
    writeFileSync(`${source}/sub/b`, "y".repeat(2000));
    linkSync(`${source}/a`, `${source}/sub/again`);
    symlinkSync("a", `${source}/link`);
    expect(Bun.spawnSync(["mkfifo", `${source}/fifo`]).exitCode).toBe(0);
    const words = [`${source}/`, dir.join("target")];
    const first = await fastsync(["mirror", "--stats", ...words]);
    expect(first.exitCode).toBe(0);
    expect(first.stdout).toContain("\nSource       3 files, 2 directories, 1 symbolic link, 1 special file\n");
    expect(first.stdout).toContain("\nSource size  7.81 KiB (8,000 bytes)\n");
    expect(first.stdout).toMatch(/\nTime {9}[\d.]+ s(: |\n)/);
    writeFileSync(dir.join("target/extra"), "");
    const second = await fastsync(["mirror", "--yes", "--checksum", "--json", ...words]);
    const lines = jsonLines(second.stdout);
    expectLines(lines);
    expect(lines.at(-1)).toMatchObject({
      ...{ symlinks_examined: 1, specials_examined: 1, bytes_examined: 8000 },
      ...{ bytes_to_compare: lines.at(-1)!["bytes_compared"], entries_to_delete: 1, files_deleted: 1 },
    });
    expect(Number(lines.at(-1)!["bytes_compared"])).toBeGreaterThanOrEqual(5000);
    expect(Object.keys(lines.at(-1)!["phases_ms"] as object)).toContain("deleting");
  });

  test("--log-file holds each item and the summary, run after run, for its owner only", async () => {
    using dir = tempDir();
    mkdirSync(dir.join("source"));
    writeFileSync(dir.join("source/a"), "a");
    const log = dir.join("log");
    for (const expected of [1, 2]) {
      const { exitCode, stdout } = await fastsync(["copy", "--log-file", log, dir.join("source/"), dir.join("target")]);
      expect(exitCode).toBe(0);
      expect(stdout).not.toContain("{");
      const lines = jsonLines(readFileSync(log, "utf8"));
      expect(lines.filter(({ type }) => type === "summary")).toHaveLength(expected);
      expect(lines.filter(({ type, path }) => type === "item" && path === "a")).toHaveLength(1);
    }
    expect(statSync(log).mode & 0o777).toBe(0o600);
    const wrong = await fastsync(["copy", "--log-file", dir.join("no/log"), dir.join("source/"), dir.join("target")]);
    expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining("--log-file: cannot write to")]);
  });

  test("a log that cannot be written in full is no success", async () => {
    using dir = tempDir();
    writeFileSync(dir.join("a"), "a");
    const { exitCode, stderr } = await fastsync(["copy", "--log-file", "/dev/full", dir.join("a"), dir.join("b")]);
    expect([exitCode, stderr]).toEqual([11, expect.stringContaining("the log could not be written")]);
    expect(readFileSync(dir.join("b"), "utf8")).toBe("a");
  });
});
