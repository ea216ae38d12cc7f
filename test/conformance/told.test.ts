/**
 * What a daemon tells of a run, made up of anything, down to what people and scripts see of it: every line of --json fits
 * the schema, and nothing steers a terminal.
 */
import { describe, expect, test } from "bun:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { JsonPrinter } from "../../src/cli/report/json-printer.ts";
import type { Output } from "../../src/cli/report/output.ts";
import type { Printer } from "../../src/cli/report/printer.ts";
import { TextPrinter } from "../../src/cli/report/text-printer.ts";
import { newCounters } from "../../src/core/events.ts";
import { applyProgress, decodeEvent, decodeSummary } from "../../src/wire/events.ts";
import { type Summary, SummarySchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../../src/wire/protocol-violation.ts";
import { type EVENTS, published } from "../support/events-schema.ts";
import { fuzzing } from "../support/fuzzing.ts";
import { type Body, message } from "./peer/caller.ts";

const text = fc.oneof(
  fc.constantFrom(
    "",
    "ok",
    "partial",
    "no_space",
    "create",
    "differ",
    "copying",
    "native",
    "clone",
    "xattr",
    "__proto__",
    "created",
  ),
  fc.constantFrom(
    "\u001b[2J\u001b[1;31m",
    "a\nb\r",
    "\u0000",
    "\u009b31m",
    "\u202eevil",
    '{"type":"summary"}\n',
    "x".repeat(5000),
  ),
  fc.string({ unit: "binary", maxLength: 8 }),
);
const bytes = fc.oneof(
  fc.constantFrom("a", "../x", "/etc", "\u001b[2J", "").map((path) => Buffer.from(path)),
  fc.uint8Array({ maxLength: 8 }),
);
const u64 = fc.oneof(fc.bigInt(0n, 9n), fc.constantFrom((1n << 64n) - 1n, 1n << 63n, 1n << 53n));
const number = fc.oneof(fc.nat(9), fc.double(), fc.constantFrom(-1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60));
const i32 = fc.oneof(fc.nat(200), fc.constantFrom(-1, -(2 ** 31), 2 ** 31 - 1));
const u32 = fc.oneof(fc.nat(200), fc.constantFrom(0xffffffff));

const counts = fc.array(fc.record({ name: text, count: u64 }), { maxLength: 3 });
const counters = fc.dictionary(fc.oneof(text, fc.constantFrom(...Object.keys(newCounters()))), number, { maxKeys: 4 });
const progress = fc.record({ phase: text, counters, scanComplete: fc.boolean() });
const failure = fc.record({ code: text, side: fc.nat(3), path: bytes, operation: text, errno: i32, message: text });
const summary = fc.record({
  exitCode: fc.oneof(fc.constantFrom(0, 1, 11, 23), fc.nat(300)),
  exitReason: text,
  message: text,
  counters: progress,
  durationMs: number,
  skipped: counts,
  methods: counts,
  refused: fc.array(fc.record({ method: text, reason: text, files: u64 }), { maxLength: 2 }),
  plan: counts,
  attributeWarnings: fc.array(
    fc.record({ attribute: text, errno: i32, entries: u64, examples: fc.array(bytes, { maxLength: 12 }) }),
    { maxLength: 2 },
  ),
  failures: fc.array(failure, { maxLength: 2 }),
  unmatchedPatterns: fc.array(text, { maxLength: 2 }),
  backend: text,
  workers: u32,
  dryRun: fc.boolean(),
  network: fc.option(fc.record({ inStream: fc.boolean(), streams: u32, bytes: u64, firstContentMs: number }), {
    nil: undefined,
  }),
}) as fc.Arbitrary<MessageInitShape<typeof SummarySchema>>;
const items = fc.array(
  fc.record({
    name: bytes,
    mode: fc.oneof(fc.constantFrom(0o100644, 0o040755, 0o120777), u32),
    size: u64,
    reason: text,
  }),
  { maxLength: 3 },
);
const event: fc.Arbitrary<Body> = fc.oneof(
  fc.tuple(text, bytes, items, fc.boolean()).map(
    ([action, directory, of, withReasons]): Body => ({
      case: "items",
      value: {
        action,
        directory,
        names: of.map(({ name }) => name),
        modes: of.map(({ mode }) => mode),
        sizes: of.map(({ size }) => size),
        reasons: withReasons ? of.map(({ reason }) => reason) : [],
      },
    }),
  ),
  fc
    .array(bytes, { maxLength: 2 })
    .map((paths): Body => ({ case: "deletions", value: { paths, directories: [true] } })),
  failure.map((value): Body => ({ case: "failure", value: value as never })),
  fc.record({ warning: fc.boolean(), code: text, message: text }).map((value): Body => ({ case: "notice", value })),
);

/** Whatever goes to a terminal or a file: lines of text and nothing else. */
class Paper {
  written = "";
  private add(part: string): void {
    this.written += part;
  }
  readonly output = {
    isTerminal: false,
    colour: false,
    line: (line: string) => this.add(`${line}\n`),
    write: (part: string) => this.add(part),
    flush: () => {},
  } as unknown as Output;
}

function tell(printer: Printer, told: readonly Body[], last: Summary): void {
  printer.start({
    sources: [{ path: Buffer.from("s/"), kind: "contents" }],
    target: Buffer.from("t"),
    targetExists: true,
  });
  for (const body of told) {
    try {
      for (const one of decodeEvent(message(body)) ?? []) printer.event(one);
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
    }
  }
  const now = newCounters();
  if (last.counters !== undefined) applyProgress(last.counters, now);
  const done = { filesDone: 0, filesTotal: 0, bytesDone: 0, bytesTotal: 0, bytesCompared: 0, bytesToCompare: 0 };
  const entries = { entriesExamined: 0, deleted: 0, toDelete: 0, sourcesRemoved: 0, different: 0, failed: 0 };
  const rate = {
    elapsedMs: 1,
    scanComplete: false,
    bytesPerSecond: 0,
    averageBytesPerSecond: 0,
    secondsLeft: undefined,
  };
  printer.progress({ phase: now.phase, ...done, ...entries, ...rate }, now);
  printer.end(decodeSummary(last));
}

const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

describe("S33 whatever a daemon tells", () => {
  test("is lines of the schema", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), summary, (told, last) => {
        const paper = new Paper();
        tell(new JsonPrinter(paper.output, { verb: "mirror", dryRun: false }), told, create(SummarySchema, last));
        expect(paper.written).not.toMatch(CONTROL);
        const lines = paper.written.split("\n").filter((line) => line !== "");
        for (const line of lines) {
          const parsed = JSON.parse(line) as { type: (typeof EVENTS)[number]; reasons?: unknown };
          // Reasons of a later version are words that nobody here knows.
          if (!published(parsed.reasons === undefined ? parsed : { ...parsed, reasons: [] }))
            throw new Error(`${line}\n${JSON.stringify(published.errors)}`);
        }
        expect(
          lines.filter((line) => line.includes('"type":"summary"') && line.startsWith('{"schema":1,"type":"summary"')),
        ).toHaveLength(1);
      }),
      fuzzing(1500),
    );
  });

  test("steers no terminal", () => {
    const options = { items: true, reasons: true, verbose: true, quiet: false, notes: [], live: undefined };
    fc.assert(
      fc.property(fc.array(event, { maxLength: 4 }), summary, (told, last) => {
        const out = new Paper();
        const err = new Paper();
        const printer = new TextPrinter(out.output, err.output, { verb: "mirror", dryRun: false }, options as never);
        tell(printer, told, create(SummarySchema, last));
        for (const { written } of [out, err]) expect(written).not.toMatch(CONTROL);
        // One line for one thing: a name cannot pretend to be another line.
        expect(out.written + err.written).not.toMatch(/^\{"type":"summary"\}$/m);
      }),
      fuzzing(1500),
    );
  });
});
