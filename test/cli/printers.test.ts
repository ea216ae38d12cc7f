/** What people and scripts get to see, word by word. */
import { describe, expect, test } from "bun:test";
import { JsonPrinter, jsonText } from "../../src/cli/report/json-printer.ts";
import { Output } from "../../src/cli/report/output.ts";
import { LiveLine } from "../../src/cli/report/progress-line.ts";
import { summaryLines } from "../../src/cli/report/summary-text.ts";
import { bannerText, type TextOptions, TextPrinter } from "../../src/cli/report/text-printer.ts";
import type { Failure, RunEvent } from "../../src/core/events.ts";
import { bareSummary } from "../../src/core/events.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { sampleBatch, sampleCounters, sampleSummary } from "./fake-run.ts";
import { jsonLines } from "./processes.ts";

class Screen {
  text = "";
  readonly output: Output;
  constructor(options: { isTerminal?: boolean; colour?: boolean } = {}) {
    this.output = new Output(
      (bytes) => {
        this.text += Buffer.from(bytes).toString();
        return bytes.length;
      },
      { isTerminal: options.isTerminal ?? false, colour: options.colour ?? false },
    );
  }
}

const BATCH = sampleBatch();
const ALL_ROWS = [0, 1, 2, 3, 4, BATCH.self];
const PLACEMENT = {
  sources: [{ path: bytesOf("photos"), kind: "contents" as const }],
  target: bytesOf("/mnt/backup/photos/"),
  targetExists: false,
};
const FAILURE: Failure = {
  code: "permission",
  side: "source",
  path: bytesOf("a\u009bb"),
  operation: "open",
  errno: 13,
  message: "permission denied",
};

function items(action: Extract<RunEvent, { kind: "items" }>["action"], reasons?: readonly string[]): RunEvent {
  return {
    kind: "items",
    action,
    directory: bytesOf("d"),
    batch: BATCH,
    rows: ALL_ROWS,
    ...(reasons === undefined ? {} : { reasons }),
  };
}

function textPrinter(over: Partial<TextOptions> & { dryRun?: boolean; colour?: boolean; terminal?: boolean } = {}) {
  const screenOptions = { isTerminal: over.terminal ?? false, colour: over.colour ?? false };
  const out = new Screen(screenOptions);
  const err = new Screen(screenOptions);
  const printer = new TextPrinter(
    out.output,
    err.output,
    { verb: "mirror", dryRun: over.dryRun ?? false },
    { verbose: false, quiet: false, items: true, reasons: false, stats: false, notes: [], live: undefined, ...over },
  );
  return { out, err, printer };
}

describe("text", () => {
  test("the banner", () => {
    const facts = { verb: "mirror" as const, dryRun: false };
    expect(bannerText(facts, PLACEMENT)).toBe("mirror photos/ -> /mnt/backup/photos/ (new)");
    expect(bannerText({ ...facts, dryRun: true }, { ...PLACEMENT, targetExists: true })).toBe(
      "dry run: mirror photos/ -> /mnt/backup/photos/",
    );
    const sources = ["a", "b\n", "c", "d"].map((name) => ({ path: bytesOf(name), kind: "entry" as const }));
    expect(bannerText({ verb: "copy", dryRun: false }, { ...PLACEMENT, sources })).toBe(
      "copy a, b\\012 and 2 more -> /mnt/backup/photos/ (new)",
    );
    expect(bannerText({ verb: "check", dryRun: false }, { ...PLACEMENT, targetExists: true })).toBe(
      "check photos/ against /mnt/backup/photos/",
    );
  });

  test("items", () => {
    const { out, err, printer } = textPrinter();
    printer.event(items("create"));
    printer.event({ kind: "delete", path: bytesOf("old"), directory: true });
    out.output.flush();
    expect(out.text).toBe(
      [
        "create  d/a.txt",
        "create  d/b\\377",
        "create  d/link -> a.txt",
        "create  d/new\\012line\\302\\233",
        "create  d/sub/",
        "create  d/",
        "delete  old/",
        "",
      ].join("\n"),
    );
    expect(err.text).toBe("");
  });

  test("items of a dry run, with reasons, and the root", () => {
    const { out, printer } = textPrinter({ dryRun: true, reasons: true });
    printer.event({
      kind: "items",
      action: "update",
      directory: new Uint8Array(0),
      batch: BATCH,
      rows: [0, BATCH.self],
      reasons: ["size,mtime", ""],
    });
    out.output.flush();
    expect(out.text).toBe("would update  a.txt  (size, mtime)\nwould update  ./\n");
  });

  test("failures come once in a log, and at once too on a terminal", () => {
    for (const terminal of [false, true]) {
      const { out, err, printer } = textPrinter({ terminal });
      printer.event({ kind: "failure", failure: FAILURE });
      expect(err.text).toBe(terminal ? "fastsync: a\\302\\233b: cannot open: permission denied (source)\n" : "");
      err.text = "";
      printer.start(PLACEMENT);
      const counters = { ...sampleCounters(), failed: 3 };
      printer.end(
        sampleSummary(counters, {
          exitCode: 23,
          exitReason: "partial",
          message: "3 items failed",
          failures: [FAILURE, { ...FAILURE, side: "target", operation: "", path: bytesOf("x") }],
          attributeWarnings: [
            { attribute: "owner", errno: 1, entries: 1200, examples: [FAILURE.path, bytesOf("")] },
            { attribute: "acl", errno: 95, entries: 1, examples: [bytesOf("d/acl")] },
          ],
          unmatchedPatterns: ["--exclude: *.bak"],
        }),
      );
      expect(err.text).toBe(
        [
          "Failed (3):",
          "  a\\302\\233b: cannot open: permission denied (source)",
          "  x: permission denied (target)",
          "  and 1 more; --json and --log-file list each",
          "  Denied: run fastsync as a user who may (sudo), or let the daemon's user in.",
          "warning: could not set owner on 1,200 entries: permission denied; only root may, and --no-owner does not try",
          "  a\\302\\233b",
          "  .",
          "  and 1,198 more",
          "warning: could not set acl on 1 entry: not supported by the filesystem",
          "  d/acl",
          "fastsync: warning: pattern matched nothing: --exclude: *.bak",
          "fastsync: 3 items failed (exit 23)",
          "",
        ].join("\n"),
      );
      expect(out.text).toContain("Failed       3 (named above)\n");
    }
  });

  test("-q prints errors and nothing else", () => {
    const { out, err, printer } = textPrinter({ quiet: true, items: false });
    printer.start(PLACEMENT);
    printer.event(items("create"));
    printer.event({ kind: "notice", level: "info", code: "x", message: "fyi" });
    printer.end(sampleSummary(sampleCounters()));
    expect(out.text + err.text).toBe("");
    const failing = textPrinter({ quiet: true, items: false });
    failing.printer.end(sampleSummary({ ...sampleCounters(), failed: 1 }, { exitCode: 23, failures: [FAILURE] }));
    expect(failing.out.text).toBe("");
    expect(failing.err.text).toStartWith("Failed (1):\n");
  });

  test("red only for trouble, only where colour is taken", () => {
    const { err, out, printer } = textPrinter({ colour: true, terminal: true });
    printer.event({ kind: "notice", level: "warning", code: "x", message: "careful\u001b[2J" });
    printer.event(items("create"));
    out.output.flush();
    expect(err.text).toBe("fastsync: \u001b[31mwarning: careful\\033[2J\u001b[39m\n");
    expect(out.text).not.toContain("\u001b");
  });

  test("notes and infos with --verbose only", () => {
    for (const verbose of [false, true]) {
      const { out, printer } = textPrinter({ verbose, notes: ["zero-copy: on"] });
      printer.start(PLACEMENT);
      printer.event({ kind: "notice", level: "info", code: "x", message: "using buffered copy" });
      out.output.flush();
      expect(out.text.split("\n").slice(1, -1)).toEqual(verbose ? ["zero-copy: on", "using buffered copy"] : []);
    }
  });

  test("the live line steps aside for other text", () => {
    const screen = new Screen({ isTerminal: true });
    const live = new LiveLine(
      (text) => screen.output.writeNow(text),
      () => 80,
    );
    screen.output.beforeWrite = () => live.clear();
    const printer = new TextPrinter(
      screen.output,
      screen.output,
      { verb: "copy", dryRun: false },
      { verbose: true, quiet: false, items: true, reasons: false, stats: false, notes: [], live },
    );
    printer.progress({
      phase: "scanning",
      elapsedMs: 0,
      entriesExamined: 7,
      scanComplete: false,
      filesDone: 0,
      filesTotal: 0,
      bytesDone: 0,
      bytesTotal: 0,
      bytesCompared: 0,
      bytesToCompare: 0,
      deleted: 0,
      toDelete: 0,
      sourcesRemoved: 0,
      different: 0,
      failed: 0,
      bytesPerSecond: 0,
      averageBytesPerSecond: 0,
      secondsLeft: undefined,
    });
    printer.event({ kind: "notice", level: "warning", code: "x", message: "careful" });
    expect(screen.text).toBe("\rscanning  7 scanned\u001b[K\r\u001b[Kfastsync: warning: careful\n");
  });
});

describe("the summary in words", () => {
  const facts = { verb: "mirror" as const, dryRun: false };
  test("of a full run", () => {
    const counters = { ...sampleCounters(), updated: 2, repaired: 4, linked: 5, deleted: 6, failed: 1, vanished: 1 };
    const summary = sampleSummary(
      { ...counters, bytesLogical: 5 * 1024 ** 3, bytesTransferred: 1024 ** 3 },
      {
        skipped: { excluded: 7, mount_in_target: 1, missing_in_target: 2 },
        methods: { clone: 3, read_write: 1000 },
        refused: [{ method: "copy_file_range", reason: "EXDEV", files: 1000 }],
        plan: { shards: 2, bundles: 1, large: 1, direct: 0 },
        durationMs: 2500,
      },
    );
    const lines = [
      "Examined     1,006 entries in 2.50 s",
      "Transferred  3 files, 5.00 GiB (2.00 GiB/s), of which 1.00 GiB moved",
      "Created      3 new",
      "Updated      2 replaced",
      "Directories  1 new",
      "Linked       5 hard links",
      "Repaired     4 attributes only",
      "Unchanged    1,001",
      "Deleted      6",
      "Skipped      7 excluded, 1 mount point in the target, 2 not in the target",
      "Vanished     1",
      "Failed       1 (named above)",
      "Copied by    clone 3, read_write 1,000",
      "Refused      copy_file_range: EXDEV",
      "Planned as   2 shards, 1 bundle, 1 large file",
      "Engine       native, 4 workers",
    ];
    expect(summaryLines(summary, facts, true)).toEqual(lines);
    expect(summaryLines(summary, facts, false)).toEqual(
      lines.filter((line) => !/^(Refused|Planned|Engine)/.test(line)),
    );
  });
  test("of a run with nothing to do", () => {
    const counters = {
      ...bareSummary({ exitCode: 0, exitReason: "ok", message: undefined }).counters,
      entriesExamined: 100_000,
      unchanged: 100_000,
    };
    expect(summaryLines(sampleSummary(counters, { durationMs: 80 }), facts, false)).toEqual([
      "Up to date: 100,000 examined in 0.080 s",
    ]);
    // Nothing done, but not well.
    expect(summaryLines(sampleSummary(counters, { exitCode: 25 }), facts, false)[0]).toStartWith("Examined");
  });
  test("of a dry run", () => {
    const counters = { ...sampleCounters(), filesTransferred: 0, bytesLogical: 0, bytesTransferred: 0, deleted: 2 };
    expect(summaryLines(sampleSummary(counters, { dryRun: true }), { verb: "mirror", dryRun: true }, false)).toEqual([
      "Examined     1,006 entries in 2.00 s",
      "Transferred  3 files, 1.21 KiB (would be)",
      "Created      3 would be new",
      "Directories  1 would be new",
      "Unchanged    1,001",
      "Deleted      2 would be deleted",
    ]);
  });
  test("of a check", () => {
    const check = { verb: "check" as const, dryRun: false };
    const counters = sampleCounters();
    expect(summaryLines(sampleSummary(counters), check, false)).toEqual(["Equal: 1,006 examined in 2.00 s"]);
    expect(summaryLines(sampleSummary(counters, { exitCode: 1 }), check, false)).toEqual([
      "Different: 1,006 examined in 2.00 s",
    ]);
    expect(summaryLines(sampleSummary(counters, { exitCode: 23, skipped: { special: 1 } }), check, false)).toEqual([
      "Not known: 1,006 examined in 2.00 s",
      "Skipped      1 special file",
    ]);
  });
});

describe("json", () => {
  const NOW = new Date("2030-01-02T03:04:05.678Z");
  function jsonPrinter() {
    const screen = new Screen();
    const printer = new JsonPrinter(screen.output, { verb: "mirror", dryRun: false }, () => NOW);
    return { screen, printer };
  }

  test("one object a line, schema 1, every type", () => {
    const { screen, printer } = jsonPrinter();
    printer.start(PLACEMENT);
    printer.event(items("create", ["missing", "size,mtime", "", "", "", ""]));
    printer.event(items("delete"));
    printer.event({ kind: "delete", path: bytesOf("old"), directory: false });
    printer.event({ kind: "failure", failure: FAILURE });
    printer.event({ kind: "phase", phase: "deleting" });
    printer.event({ kind: "notice", level: "warning", code: "deletions_disabled", message: "m" });
    printer.progress(
      {
        phase: "copying",
        elapsedMs: 1000.4,
        entriesExamined: 1,
        scanComplete: true,
        filesDone: 1,
        filesTotal: 2,
        bytesDone: 10,
        bytesTotal: 20,
        bytesCompared: 0,
        bytesToCompare: 0,
        deleted: 0,
        toDelete: 0,
        sourcesRemoved: 0,
        different: 0,
        failed: 0,
        bytesPerSecond: 9.7,
        averageBytesPerSecond: 0,
        secondsLeft: 1.2,
      },
      sampleCounters(),
    );
    printer.end(sampleSummary(sampleCounters(), { failures: [FAILURE] }));
    const lines = jsonLines(screen.text);
    for (const line of lines) expect(line["schema"]).toBe(1);
    expect(lines.map((line) => line["type"])).toEqual([
      "start",
      ...Array(6).fill("item"),
      ...Array(7).fill("delete"),
      "error",
      "progress",
      "summary",
    ]);
    expect(lines[0]).toEqual({
      schema: 1,
      type: "start",
      version: expect.any(String),
      time: "2030-01-02T03:04:05.678Z",
      verb: "mirror",
      command: "mirror",
      dry_run: false,
      sources: [{ path: "photos", kind: "contents" }],
      target: { path: "/mnt/backup/photos/", exists: false },
    });
    expect(lines.slice(1, 7)).toEqual([
      { schema: 1, type: "item", action: "create", path: "d/a.txt", kind: "file", size: 1234, reasons: ["missing"] },
      {
        schema: 1,
        type: "item",
        action: "create",
        path: "d/b\ufffd",
        path_b64: Buffer.from("d/b\xff", "latin1").toString("base64"),
        kind: "file",
        size: 5,
        reasons: ["size", "mtime"],
      },
      { schema: 1, type: "item", action: "create", path: "d/link", kind: "symlink", reasons: [] },
      { schema: 1, type: "item", action: "create", path: "d/new\nline\u009b", kind: "file", size: 0, reasons: [] },
      { schema: 1, type: "item", action: "create", path: "d/sub", kind: "directory", reasons: [] },
      { schema: 1, type: "item", action: "create", path: "d", kind: "directory", reasons: [] },
    ]);
    expect(lines[14]).toEqual({
      schema: 1,
      type: "error",
      code: "permission",
      side: "source",
      path: "a\u009bb",
      operation: "open",
      errno: 13,
      message: "permission denied",
    });
    expect(lines[15]).toMatchObject({ bytes_done: 10, bytes_per_second: 10, seconds_left: 2, elapsed_ms: 1000 });
  });

  test("the summary has every field of the run's", () => {
    const { screen, printer } = jsonPrinter();
    printer.event({ kind: "notice", level: "warning", code: "deletions_disabled", message: "m" });
    printer.end(
      sampleSummary(sampleCounters(), {
        exitCode: 23,
        exitReason: "partial",
        message: "no",
        skipped: { excluded: 2 },
        methods: { clone: 3 },
        refused: [{ method: "clone", reason: "EXDEV", files: 1 }],
        attributeWarnings: [
          { attribute: "owner", errno: 1, entries: 2, examples: [bytesOf("a"), new Uint8Array([0xff])] },
        ],
        unmatchedPatterns: ["*.x"],
      }),
      { scanning: 12, deleting: 3 },
    );
    printer.end(sampleSummary(sampleCounters()));
    expect(jsonLines(screen.text)).toEqual([
      {
        schema: 1,
        type: "summary",
        exit_code: 23,
        exit_reason: "partial",
        phases_ms: { scanning: 12, deleting: 3 },
        message: "no",
        dry_run: false,
        directories_examined: 2,
        entries_examined: 1006,
        files_examined: 1004,
        symlinks_examined: 0,
        specials_examined: 0,
        bytes_examined: 0,
        bytes_to_compare: 0,
        bytes_compared: 0,
        scan_complete: true,
        files_to_transfer: 3,
        bytes_to_transfer: 1239,
        files_transferred: 3,
        bytes_transferred: 1239,
        bytes_logical: 1239,
        created: 3,
        updated: 0,
        repaired: 0,
        linked: 0,
        unchanged: 1001,
        directories_created: 1,
        entries_to_delete: 0,
        files_deleted: 0,
        sources_removed: 0,
        files_failed: 0,
        vanished: 0,
        attribute_warnings: 0,
        duration_ms: 2000,
        skipped: { excluded: 2 },
        methods: { clone: 3 },
        refused: [{ method: "clone", reason: "EXDEV", files: 1 }],
        plan: { shards: 0, bundles: 0, large: 0, direct: 0 },
        attribute_failures: [
          {
            attribute: "owner",
            errno: 1,
            entries: 2,
            examples: [{ path: "a" }, { path: "\ufffd", path_b64: "/w==" }],
          },
        ],
        failures: [],
        unmatched_patterns: ["*.x"],
        backend: "native",
        workers: 4,
        verb: "mirror",
        command: "mirror",
        notices: [{ level: "warning", code: "deletions_disabled", message: "m" }],
      },
    ]);
  });

  test("whether the kernel may copy, and who decided, in the start and in the summary", () => {
    for (const [zeroCopy, fields] of [
      [{ allowed: true, decidedBy: undefined }, { zero_copy: true }],
      [
        { allowed: false, decidedBy: "FASTSYNC_NO_ZERO_COPY" },
        { zero_copy: false, zero_copy_decided_by: "FASTSYNC_NO_ZERO_COPY" },
      ],
    ] as const) {
      const screen = new Screen();
      const printer = new JsonPrinter(screen.output, { verb: "copy", dryRun: false, zeroCopy });
      printer.start(PLACEMENT);
      printer.end(sampleSummary(sampleCounters()));
      const lines = jsonLines(screen.text);
      expect(lines).toHaveLength(2);
      for (const { zero_copy, zero_copy_decided_by } of lines)
        expect(JSON.parse(JSON.stringify({ zero_copy, zero_copy_decided_by }))).toEqual(fields);
    }
  });

  test("an end without a word claims no engine, and not that a dry run was none", () => {
    const screen = new Screen();
    const printer = new JsonPrinter(screen.output, { verb: "mirror", dryRun: true });
    printer.end(bareSummary({ exitCode: 20, exitReason: "interrupted", message: "no" }, sampleCounters()));
    const [line] = jsonLines(screen.text);
    expect(line).toMatchObject({ dry_run: true, files_transferred: 3 });
    expect(line).not.toHaveProperty("backend");
    expect(line).not.toHaveProperty("workers");
  });

  test("no character in it can steer a terminal", () => {
    const hostile = "\u0000\u001b[2J\u007f\u009b\u2028\u202e\u2066\n";
    const text = jsonText({ path: hostile });
    expect(text).toMatch(/^[\u0020-\u007e]*$/);
    expect(JSON.parse(text)).toEqual({ path: hostile });
  });
});
