/** The published schema of `--json` held against what the program prints, and the guide held against the schema. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { JsonPrinter } from "../../src/cli/report/json-printer.ts";
import type { Output } from "../../src/cli/report/output.ts";
import { ACTIONS, FAILURE_CODES, PHASES, SKIP_REASONS } from "../../src/core/events.ts";
import { ExitCode } from "../../src/core/exit-codes.ts";
import { expectLookLines } from "../admin/support/look-schema.ts";
import { sampleBatch, sampleCounters, sampleSummary } from "../cli/fake-run.ts";
import { jsonLines, run as runFake } from "../cli/processes.ts";
import {
  closed,
  closedDaemons,
  DAEMONS_SCHEMA,
  DOCS,
  EVENTS,
  expectLines,
  fieldsOf,
  published,
  SCHEMA,
} from "../support/events-schema.ts";
import { type Argument, fastsync, type ProcessOptions, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const SOURCES = resolve(import.meta.dir, "../../src");

async function real(words: readonly Argument[], exitCode: number, options: ProcessOptions = {}) {
  const result = await fastsync([...words, "--json"], options);
  if (result.exitCode !== exitCode) throw new Error(`exit ${result.exitCode}: ${result.stderr}`);
  const lines = jsonLines(result.stdout);
  const types = expectLines(lines);
  expect(lines.at(-1)).toMatchObject({ exit_code: exitCode });
  return { lines, types };
}

function makeSource(dir: TempDir): string {
  const source = dir.join("source");
  mkdirSync(`${source}/sub`, { recursive: true });
  writeFileSync(`${source}/file`, "text");
  writeFileSync(`${source}/sub/other`, "more");
  writeFileSync(Buffer.concat([Buffer.from(`${source}/name`), Buffer.from([0xff])]), "bytes");
  symlinkSync("file", `${source}/link`);
  return source;
}

describe("what the program prints fits the schema", () => {
  test("a mirror that creates, updates, repairs and deletes, and its dry run", async () => {
    using dir = tempDir();
    const source = makeSource(dir);
    const target = dir.join("target");
    const first = await real(["mirror", "--yes", `${source}/`, target], 0);
    expect(first.types).toEqual(new Set(["start", "item", "summary"]));
    expect(first.lines.some((line) => line["path_b64"] !== undefined)).toBe(true);
    writeFileSync(`${source}/file`, "another text");
    chmodSync(`${source}/sub/other`, 0o600);
    writeFileSync(`${target}/extra`, "");
    mkdirSync(`${target}/old`);
    for (const flag of ["--dry-run", "--itemize"]) {
      const { lines, types } = await real(["mirror", "--yes", flag, `${source}/`, target], 0);
      expect(types).toEqual(new Set(["start", "item", "delete", "summary"]));
      expect(lines.filter(({ type }) => type === "delete").map(({ kind }) => kind)).toEqual(["other", "directory"]);
      expect(new Set(lines.map(({ action }) => action).filter(Boolean))).toEqual(new Set(["update", "repair"]));
    }
  });

  test("a check that finds differences", async () => {
    using dir = tempDir();
    const source = makeSource(dir);
    await real(["copy", `${source}/`, dir.join("target")], 0);
    writeFileSync(dir.join("target/file"), "x");
    writeFileSync(dir.join("target/extra"), "");
    const { lines } = await real(["check", `${source}/`, dir.join("target")], 1);
    expect(lines).toContainEqual(expect.objectContaining({ action: "differ", path: "extra", reasons: ["extra"] }));
  });

  test("a move, and hard links", async () => {
    using dir = tempDir();
    const source = makeSource(dir);
    expect(Bun.spawnSync(["ln", `${source}/file`, `${source}/sub/again`]).exitCode).toBe(0);
    const { lines } = await real(["copy", `${source}/`, dir.join("target")], 0);
    expect(lines).toContainEqual(expect.objectContaining({ action: "link" }));
    await real(["move", `${source}/`, dir.join("moved")], 0);
  });

  test("refused deletions: notices", async () => {
    using dir = tempDir();
    const source = makeSource(dir);
    mkdirSync(dir.join("target"));
    writeFileSync(dir.join("target/extra"), "");
    const { lines } = await real(["mirror", `${source}/`, dir.join("target")], 25);
    expect(lines.at(-1)?.["notices"]).toEqual([expect.objectContaining({ code: "unattended", level: "warning" })]);
  });

  test("a file that fails", async () => {
    using dir = tempDir();
    const source = makeSource(dir);
    mkdirSync(dir.join("target/file/inside"), { recursive: true });
    const { lines, types } = await real(["copy", `${source}/`, dir.join("target")], 23);
    expect(types.has("error")).toBe(true);
    expect(lines.at(-1)?.["failures"]).toHaveLength(1);
  });

  test("a summary with every list filled, as the printer writes it", () => {
    const lines: string[] = [];
    const output = { line: (text: string) => lines.push(text), flush: () => {} };
    const printer = new JsonPrinter(output as unknown as Output, { verb: "move", dryRun: false });
    const failure = {
      code: "io",
      side: "target",
      operation: "write",
      errno: 5,
      message: "input/output error",
    } as const;
    printer.end(
      sampleSummary(sampleCounters(), {
        exitCode: 23,
        exitReason: "attributes",
        message: "no",
        skipped: { excluded: 2 },
        methods: { clone: 3, rename: 1, delta: 1 },
        refused: [{ method: "clone", reason: "not supported by the filesystem (EOPNOTSUPP)", files: 1 }],
        attributeWarnings: [
          { attribute: "owner", errno: 1, entries: 2, examples: [new Uint8Array([0x61]), new Uint8Array([0xff])] },
        ],
        failures: [{ ...failure, path: new Uint8Array([0x61, 0xff]) }],
        unmatchedPatterns: ["*.x"],
      }),
    );
    expectLines(lines.map((text) => JSON.parse(text) as Record<string, unknown>));
  });

  test("usage errors, refusals and a missing source", async () => {
    using dir = tempDir();
    for (const words of [["mirror"], ["copy", "--frob", "A", "B"]]) {
      const { types } = await real(words, 1);
      expect(types).toEqual(new Set(["error", "summary"]));
    }
    await real(["copy", dir.join("gone"), dir.join("target")], 3);
  });

  test("progress each second, and an interrupted run", async () => {
    using dir = tempDir();
    const source = dir.join("source");
    mkdirSync(source);
    writeFileSync(`${source}/big`, "");
    truncateSync(`${source}/big`, 64 << 20);
    const words = ["copy", "--no-sparse", "--copy-method=read_write", "--bwlimit=8M", "--json", `${source}/`];
    const running = startFastsync([...words, dir.join("target")]);
    await Bun.sleep(2500);
    running.kill("SIGINT");
    const { exitCode, stdout } = await running.result;
    expect(exitCode).toBe(ExitCode.interrupted);
    expect(expectLines(jsonLines(stdout))).toEqual(new Set(["start", "progress", "item", "summary"]));
  });

  test.each([
    "normal",
    "up-to-date",
    "failing",
    "delete",
    "refused",
    "refused-late",
    "different",
    "late-crash",
    "lost",
  ])("a made-up run: %s", async (story) => {
    const { out } = await runFake(["mirror", "--yes", "--json", "A", "B"], { story });
    expectLines(jsonLines(out));
  });
});

describe("the schema can fail", () => {
  const line = (type: string): Record<string, unknown> => {
    switch (type) {
      case "item":
        return { schema: 1, type, action: "create", path: "a", kind: "file", size: 1 };
      case "delete":
        return { schema: 1, type, path: "a", kind: "other" };
      default:
        return { schema: 1, type: "error", code: "usage", message: "no" };
    }
  };

  test("good lines pass", () => {
    for (const type of ["item", "delete", "error"]) expect([type, closed(line(type))]).toEqual([type, true]);
  });

  test.each([
    ["another schema", { ...line("item"), schema: 2 }],
    ["an unknown type", { ...line("item"), type: "thing" }],
    ["an unknown action", { ...line("item"), action: "made" }],
    ["no path", { ...line("delete"), path: undefined }],
    ["a size that is no number", { ...line("item"), size: "1" }],
    ["a side without a path", { ...line("error"), side: "source" }],
    ["a code of an entry that is none", { ...line("error"), side: "source", path: "a", operation: "", errno: 1 }],
    ["nothing but a type", { schema: 1, type: "summary" }],
  ])("%s does not", (_, wrong) => {
    expect(published(JSON.parse(JSON.stringify(wrong)))).toBe(false);
  });

  test("an unnamed field is noticed here, and accepted by the published schema", () => {
    const more = { ...line("item"), colour: "red" };
    expect([closed(more), published(more)]).toEqual([false, true]);
  });
});

describe("the schema and the program's types", () => {
  const values = (name: string): unknown[] => [...SCHEMA.$defs[name]!.enum!].sort();

  test("have the same words", () => {
    expect(values("skip_reason")).toEqual([...SKIP_REASONS].sort());
    expect(values("failure_code")).toEqual([...FAILURE_CODES].sort());
    expect([...SCHEMA.$defs["progress"]!.properties!["phase"]!.enum!].sort()).toEqual([...PHASES].sort());
    const actions = SCHEMA.$defs["item"]!.properties!["action"]!.enum!;
    expect([...actions].sort()).toEqual(ACTIONS.filter((action) => action !== "delete").sort());
  });

  /** What the printer writes when there is something to say in every field. */
  function everything(): Map<string, Set<string>> {
    const fields = new Map<string, Set<string>>();
    const line = (text: string): void => {
      const { type, ...rest } = JSON.parse(text) as { type: string };
      const known = fields.get(type) ?? new Set(["type"]);
      fields.set(type, known);
      for (const key of Object.keys(rest)) known.add(key);
    };
    const output = { line, flush: () => {} } as unknown as Output;
    const bytes = Uint8Array.of(0x61, 0xff);
    const counters = sampleCounters();
    const zeroCopy = { allowed: true, decidedBy: "--zero-copy" };
    const printer = new JsonPrinter(output, { verb: "move", dryRun: false, zeroCopy });
    printer.start({ sources: [{ path: bytes, kind: "entry" }], target: bytes, targetExists: true });
    const items = { kind: "items", directory: new Uint8Array(0), batch: sampleBatch(), rows: [0, 1] } as const;
    printer.event({ ...items, action: "create", reasons: ["size,mtime", ""] });
    printer.event({ kind: "delete", path: bytes, directory: true });
    const failure = { code: "io", side: "target", path: bytes, operation: "write", errno: 5, message: "no" } as const;
    printer.event({ kind: "failure", failure });
    printer.event({ kind: "notice", level: "info", code: "retry", message: "once more" });
    printer.event({ kind: "phase", phase: "linking" });
    const progress = { bytesDone: 1, bytesPerSecond: 1, secondsLeft: undefined, elapsedMs: 1 };
    printer.progress(progress as Parameters<typeof printer.progress>[0], counters);
    const network = { carrier: "streams", streams: 1, bytes: 1, firstContentMs: 1 } as const;
    printer.end(sampleSummary(counters, { job: { id: "ab", daemon: "nas:1" }, exitCode: 23, message: "no", network }));
    return fields;
  }

  test.each(EVENTS)("have the same fields in %s: none that is never written, none that is not described", (type) => {
    expect([...everything().get(type)!].sort()).toEqual([...new Set(fieldsOf(SCHEMA.$defs[type]!))].sort());
  });
});

describe("docs/scripting.md", () => {
  const guide = readFileSync(`${DOCS}/scripting.md`, "utf8");

  test.each(EVENTS)("names every field of %s", (type) => {
    for (const field of fieldsOf(SCHEMA.$defs[type]!)) expect(guide).toContain(`\`${field}\``);
  });

  test("names every value of every list", () => {
    for (const name of ["failure_code", "reason", "verb", "skip_reason", "zero_copy_decided_by"])
      for (const value of SCHEMA.$defs[name]!.enum!) expect(guide).toContain(`\`${value}\``);
  });

  test("names every exit code", () => {
    for (const code of Object.values(ExitCode)) expect(guide).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
    expect(SCHEMA.$defs["summary"]!.properties!["exit_code"]!.enum).toEqual(Object.values(ExitCode));
  });

  /** Words that are written where a run is refused or remarked upon. */
  const written = (pattern: RegExp): string[] => {
    const files = [...new Bun.Glob("**/*.ts").scanSync(SOURCES)].filter((name) => !name.endsWith(".test.ts"));
    const text = files.map((name) => readFileSync(`${SOURCES}/${name}`, "utf8")).join("\n");
    return [...new Set([...text.matchAll(pattern)].map(([, word]) => word!))];
  };

  test("names every reason of an end", () => {
    const reasons = [
      ...written(/new RunError\(\s*[\w.]+(?:\([^)]*\))?,\s*"([a-z_]+)"/g),
      ...written(/exitReason: "([a-z_]+)"/g),
    ];
    expect(reasons.length).toBeGreaterThan(30);
    const table = guide.slice(0, guide.indexOf("When several apply"));
    for (const reason of reasons) expect([reason, table.includes(`\`${reason}\``)]).toEqual([reason, true]);
  });

  test("names every code of a notice", () => {
    const codes = [
      ...written(/level: "(?:info|warning)",\s*code: "([a-z_]+)"/g),
      ...written(/\{\s*code: "([a-z_]+)",\s*message/g),
    ];
    expect(codes.length).toBeGreaterThan(7);
    const list = guide.slice(guide.indexOf("Codes of notices"));
    for (const code of codes) expect([code, list.includes(`\`${code}\``)]).toEqual([code, true]);
  });

  test("its example lines fit the schema", () => {
    const linesOf = (text: string): Record<string, unknown>[] =>
      [...text.matchAll(/^\{"schema".*\}$/gm)].map(([line]) => JSON.parse(line) as Record<string, unknown>);
    const lines = linesOf(guide.slice(0, guide.indexOf("## Verbs that look")));
    const looks = linesOf(guide.slice(guide.indexOf("## Verbs that look")));
    expect([lines.length > 2, looks.length > 2]).toEqual([true, true]);
    for (const one of lines) {
      const isEvent = (EVENTS as readonly unknown[]).includes(one["type"]);
      expect([one, (isEvent ? closed : closedDaemons)(one)]).toEqual([one, true]);
    }
    expectLookLines(looks);
  });

  test("names every field of what is told of daemons", () => {
    for (const record of Object.values(DAEMONS_SCHEMA.$defs))
      for (const field of fieldsOf(record)) expect(guide).toContain(`\`${field}\``);
  });
});
