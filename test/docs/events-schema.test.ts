/** The published schema of `--json` held against what the program prints, and the guide held against the schema. */
import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import { JsonPrinter } from "../../src/cli/json-printer.ts";
import type { Output } from "../../src/cli/output.ts";
import { SKIP_REASONS } from "../../src/core/events.ts";
import { ExitCode } from "../../src/core/exit-codes.ts";
import { sampleCounters, sampleSummary } from "../cli/fake-run.ts";
import { jsonLines, run as runFake } from "../cli/processes.ts";
import { type Argument, fastsync, type ProcessOptions, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly allOf?: readonly { readonly $ref: string }[];
  readonly enum?: readonly unknown[];
  readonly $defs?: Readonly<Record<string, Schema>>;
}

const DOCS = resolve(import.meta.dir, "../../docs");
const TEXT = readFileSync(`${DOCS}/schema/events.schema.json`, "utf8");
const SCHEMA = JSON.parse(TEXT) as Schema & { readonly $defs: Readonly<Record<string, Schema>> };
const EVENTS = ["start", "progress", "item", "delete", "error", "summary"] as const;
/** Parts that others are made of: closed where they are used. */
const OPEN_PARTS = new Set(["counters"]);

/** What a consumer may check with. */
const published = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(JSON.parse(TEXT));
/** Knows no field beside those that the schema names. */
const closed = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(closedSchema());

function closedSchema(): object {
  const copy = JSON.parse(TEXT) as { $defs: Record<string, Record<string, unknown>> };
  for (const [name, part] of Object.entries(copy.$defs))
    if (part["properties"] !== undefined && !OPEN_PARTS.has(name)) part["unevaluatedProperties"] = false;
  return copy;
}

/** Every line fits; types seen are returned. */
function expectLines(lines: readonly Record<string, unknown>[]): Set<string> {
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) {
    if (!closed(line))
      throw new Error(`${JSON.stringify(line)}\n${JSON.stringify(closed.errors, null, 1).slice(0, 3000)}`);
    expect(published(line)).toBe(true);
  }
  const types = lines.map((line) => String(line["type"]));
  expect(types.filter((type) => type === "summary")).toEqual(["summary"]);
  expect(types.at(-1)).toBe("summary");
  return new Set(types);
}

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

test("reasons of skipped entries are those of the program", () => {
  expect(SCHEMA.$defs["skip_reason"]!.enum).toEqual([...SKIP_REASONS]);
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

  test("its example lines fit the schema", () => {
    const lines = [...guide.matchAll(/^\{"schema".*\}$/gm)].map(
      ([text]) => JSON.parse(text) as Record<string, unknown>,
    );
    expect(lines.length).toBeGreaterThan(2);
    for (const one of lines) expect([one, closed(one)]).toEqual([one, true]);
  });
});

function fieldsOf(schema: Schema): string[] {
  const own = Object.keys(schema.properties ?? {});
  const parts = (schema.allOf ?? []).flatMap(({ $ref }) => fieldsOf(SCHEMA.$defs[$ref.split("/").at(-1)!]!));
  return [...own, ...parts];
}
