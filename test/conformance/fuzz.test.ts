/**
 * Sequences of messages, valid and mutated, into the decoders and the step functions of both roles, in process. Whatever
 * comes, the outcome is a ProtocolViolation or a protocol-error effect, or the role goes on; never anything else. Nothing
 * is executed: effects answer themselves at random, as a backend might.
 */
import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { BatchFlag, buildBatch, type EntryBatch, FileType } from "../../src/core/entry-batch.ts";
import { newCounters } from "../../src/core/events.ts";
import { NO_FILTER } from "../../src/core/filter-spec.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import type { ItemResults } from "../../src/fs/backend.ts";
import { stepSource } from "../../src/session/source-role.ts";
import {
  isSubdirectory,
  type ScannedDirectory,
  type SourceEffect,
  sourceState,
} from "../../src/session/source-state.ts";
import { stepTarget } from "../../src/session/target-role.ts";
import { type TargetEffect, targetState } from "../../src/session/target-state.ts";
import { decodeTarget, SourceReader } from "../../src/session/wire-messages.ts";
import { type SessionMessage, SessionMessageSchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { decodeOptions, encodeOptions } from "../../src/wire/options.ts";
import { ProtocolViolation } from "../../src/wire/protocol-violation.ts";
import { FUZZ_TEST_MS, fuzzing } from "../support/fuzzing.ts";
import { type Body, message } from "./peer/caller.ts";
import { DIRECTORY, LINK, manifest, REGULAR, type Row } from "./peer/listing.ts";
import { options } from "./peer/opening.ts";

const RUNS = 400;
/** Seeds that once failed. */
const SEEDS = [1, 7, 42, 20_261_125];

const id = fc.oneof({ weight: 8, arbitrary: fc.nat(4) }, fc.constantFrom(0xffffffff, 0x7fffffff, 1000));
const row: fc.Arbitrary<Row> = fc.record({
  name: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "d") },
    fc.string({ maxLength: 4 }),
    fc.constantFrom("", ".", "..", "a/b"),
  ),
  mode: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(REGULAR, DIRECTORY) },
    fc.constantFrom(LINK, 0, 0o010644, 0xffffffff),
  ),
  size: fc.oneof({ weight: 8, arbitrary: fc.nat(100_000_000) }, fc.double()),
  mtime: fc.oneof({ weight: 8, arbitrary: fc.nat(1000) }, fc.double()),
  nlink: fc.nat(3),
  ino: fc.bigInt(0n, 3n),
  flags: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(255)),
  status: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer()),
});
const rows = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .uniqueArray(row, { maxLength: 4, selector: ({ name }) => name })
      .map((of) => of.sort((a, b) => (a.name < b.name ? -1 : 1))),
  },
  fc.array(row, { maxLength: 4 }),
);
const manifests: fc.Arbitrary<Body> = fc
  .tuple(id, fc.option(fc.tuple(id, id), { nil: undefined }), rows, fc.boolean())
  .map(([dir, below, of, owned]) => ({
    case: "manifest",
    value: manifest(below === undefined ? { dir } : { dir, parent: below[0] % 5, row: below[1] % 6 }, of, { owned }),
  }));
/** A directory of the root that may well be the next one. */
const child: fc.Arbitrary<Body> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 2 }))
  .map(([dir, at]) => ({ case: "manifest", value: manifest({ dir, parent: 0, row: at }, []) }));
const sourceWord: fc.Arbitrary<Body> = fc.oneof(
  { weight: 12, arbitrary: child },
  { weight: 6, arbitrary: manifests },
  fc.record({
    case: fc.constant("scanned" as const),
    value: fc.record({ complete: fc.boolean(), entries: fc.bigInt(0n, 2n ** 64n - 1n) }),
  }),
  fc.record({
    case: fc.constant("digests" as const),
    value: fc.record({ need: id, digests: fc.array(fc.uint8Array({ maxLength: 17 }), { maxLength: 4 }) }),
  }),
  fc.record({ case: fc.constant("sourceFailure" as const), value: fc.record({ hidesEntries: fc.boolean() }) }),
  fc.record({
    case: fc.constant("closed" as const),
    value: fc.record({ sourcesRemoved: fc.bigInt(0n, 2n ** 64n - 1n) }),
  }),
);
const numbers = fc.array(id, { maxLength: 4 });
const targetWord: fc.Arbitrary<Body> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      case: fc.constant("need" as const),
      value: fc.record({
        need: id,
        dir: id,
        rows: fc.oneof(
          fc.uniqueArray(fc.nat(4), { maxLength: 3 }).map((of) => of.sort()),
          numbers,
        ),
        purpose: fc.nat(7),
        offset: fc.bigInt(0n, 2n ** 64n - 1n),
        length: fc.bigInt(0n, 2n ** 30n),
        blockBytes: fc.nat(2_000_000),
      }),
    }) as fc.Arbitrary<Body>,
  },
  fc.record({ case: fc.constant("settled" as const), value: fc.record({ dirs: numbers }) }),
  fc.record({ case: fc.constant("released" as const), value: fc.record({ dirs: numbers }) }),
  fc.record({ case: fc.constant("receipts" as const), value: fc.record({ dir: id, rows: numbers }) }),
  fc.constant<Body>({ case: "again", value: {} }),
  fc.constant<Body>({ case: "finished", value: {} }),
);

/** As it arrives; now and then some bytes of it are others, where it can still be decoded. */
const arriving = (word: fc.Arbitrary<Body>): fc.Arbitrary<SessionMessage> =>
  fc
    .tuple(word, fc.option(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), { freq: 8, nil: undefined }))
    .map(([body, flips]) => {
      const bytes = toBinary(SessionMessageSchema, message(body));
      for (const [at, byte] of flips ?? []) if (bytes.length > 0) bytes[at % bytes.length] = byte;
      try {
        return fromBinary(SessionMessageSchema, bytes);
      } catch {
        return create(SessionMessageSchema);
      }
    });

/** Runs it; a violation is an end as good as any. */
function lawful(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolViolation) return;
    throw error;
  }
}

const memory = (bytes: number) => {
  const buffer = new ArrayBuffer((bytes + 63) & ~63);
  return { bytes: new Uint8Array(buffer), u32: new Uint32Array(buffer), f64: new Float64Array(buffer), at: 0 };
};
const policy = { owners: () => undefined, stripSetid: true, devices: false, specials: false };

/** Everything went well. */
const DONE = new Proxy({} as ItemResults, { get: () => () => 0 });
/** So that most of what follows has a place to be. */
const ROOT = message({
  case: "manifest",
  value: manifest({ dir: 0 }, [{ name: "a", size: 5 }, ...["b", "c"].map((name) => ({ name, mode: DIRECTORY }))]),
});

function playTarget(messages: readonly SessionMessage[], verb: number): void {
  const reader = new SourceReader({ learn: () => {}, policy, memory, loops: undefined });
  const runOptions = decodeOptions(encodeOptions({ ...decodeOptions(create0(verb)) }));
  const state = targetState({
    options: runOptions,
    rules: {
      options: runOptions.compare,
      preserve: runOptions.preserve,
      windowNs: 0,
      mayChown: false,
      groups: new Set(),
      deletes: runOptions.delete.enabled,
    },
    rootFilter: compileFilter(NO_FILTER, { deleteExcluded: false }).root(),
    wantsItems: true,
    counters: newCounters(),
    payload: "streams",
    sharesInodes: false,
  });
  const offered = new Map<number, Set<number>>();
  const subdirectories = new Map<number, number>();
  const perform = (effects: readonly TargetEffect[]): void => {
    for (const effect of effects) {
      if (effect.kind === "send" && effect.message.kind === "released") {
        const { dir } = effect.message;
        // Everything below it is finished: each of its directories arrived, and only once.
        // (A number that is used again after that is not noticed: it would take memory for every directory.)
        expect(offered.get(dir)?.size ?? 0).toBe(subdirectories.get(dir)!);
        offered.delete(dir);
        subdirectories.delete(dir);
      }
      if (effect.kind === "open") {
        const batch: EntryBatch = buildBatch([{ name: Buffer.from("."), mode: FileType.directory | 0o755 }], {
          dirfd: 9,
          flags: BatchFlag.created,
        });
        perform(stepTarget(state, { kind: "opened", dir: effect.dir, batch }));
      }
      if (effect.kind === "sweep") perform(stepTarget(state, { kind: "swept", dir: effect.dir }));
      if (effect.kind === "stamp") perform(stepTarget(state, { kind: "stamped", dir: effect.dir, results: DONE }));
      if (effect.kind === "copy") perform(stepTarget(state, { ...effect, kind: "copied", results: DONE }));
      if (effect.kind === "confirm") perform(stepTarget(state, { kind: "confirmed", answer: "declined" }));
      if (effect.kind === "sync") perform(stepTarget(state, { kind: "synced", status: 0 }));
    }
  };
  perform(stepTarget(state, { kind: "message", message: { kind: "hello", protocolMin: 1, protocolMax: 1 } }));
  for (const of of [ROOT, ...messages]) {
    const decoded = reader.read(of);
    if (decoded?.kind === "directory" && !subdirectories.has(decoded.id)) {
      const { id, parent, parentRow, listing } = decoded;
      const rows = Array.from({ length: listing.count }, (_, at) => at);
      subdirectories.set(id, rows.filter((at) => isSubdirectory(listing, at)).length);
      offered.set(parent, (offered.get(parent) ?? new Set()).add(parentRow));
    }
    if (decoded !== undefined) perform(stepTarget(state, { kind: "message", message: decoded }));
    for (const dir of state.dirs.values()) expect(dir.children).toBeGreaterThanOrEqual(0);
  }
}

function create0(verb: number) {
  return fromOpen(options({ verb }));
}
function fromOpen(of: ReturnType<typeof options>) {
  const body = message({ case: "open", value: { options: of } }).body;
  if (body.case !== "open") throw new Error("an open");
  return body.value.options!;
}

const LISTING = buildBatch([
  { name: Buffer.from("a"), mode: REGULAR, size: 5 },
  { name: Buffer.from("b"), mode: DIRECTORY },
  { name: Buffer.from("c"), mode: DIRECTORY },
  { name: Buffer.from("."), mode: DIRECTORY },
]);
const FLAT = buildBatch([
  { name: Buffer.from("x"), mode: REGULAR },
  { name: Buffer.from("."), mode: DIRECTORY },
]);

function playSource(messages: readonly SessionMessage[], removesSources: boolean): void {
  const state = sourceState<number>({ removesSources });
  const perform = (effects: readonly SourceEffect<number>[]): void => {
    for (const effect of effects) {
      if (effect.kind === "scan") {
        const listing = effect.parentId < 0 ? LISTING : FLAT;
        const directory: ScannedDirectory<number> = {
          listing,
          handle: 1,
          entered: true,
          owned: true,
          mergeFiles: [],
          skipped: {},
          hidden: false,
        };
        perform(
          stepSource(state, {
            kind: "scanned",
            id: effect.id,
            parent: effect.parentId,
            parentRow: effect.parentRow,
            directory,
          }),
        );
      }
      if (effect.kind === "content" || effect.kind === "digest" || effect.kind === "remove") {
        const { count } = effect.directory.listing;
        for (const of of effect.rows) expect(of).toBeLessThanOrEqual(count);
      }
      // Every other need stays open for a while.
      if (effect.kind === "content" && effect.need % 2 === 0)
        perform(stepSource(state, { kind: "answered", need: effect.need }));
    }
  };
  perform(stepSource(state, { kind: "message", message: { kind: "hello", protocolMin: 1, protocolMax: 1 } }));
  for (const of of messages)
    for (const decoded of decodeTarget(of)) perform(stepSource(state, { kind: "message", message: decoded }));
  expect(state.unansweredRows).toBeGreaterThanOrEqual(0);
  expect(state.unsettledDirectories).toBeGreaterThanOrEqual(0);
  expect(state.openEntries).toBeGreaterThanOrEqual(0);
}

describe("S37 whatever a source says", () => {
  const property = fc.property(
    fc.array(arriving(sourceWord), { maxLength: 12 }),
    fc.constantFrom(1, 2, 3, 4),
    (messages, verb) => {
      lawful(() => playTarget(messages, verb));
    },
  );
  test("the target's role stands it", () => fc.assert(property, fuzzing(RUNS)), FUZZ_TEST_MS);
  for (const seed of SEEDS) test(`seed ${seed}`, () => fc.assert(property, { seed, numRuns: 200 }));
});

describe("S37 whatever a target says", () => {
  const property = fc.property(fc.array(arriving(targetWord), { maxLength: 12 }), fc.boolean(), (messages, moves) => {
    lawful(() => playSource(messages, moves));
  });
  test("the source's role stands it", () => fc.assert(property, fuzzing(RUNS)), FUZZ_TEST_MS);
  for (const seed of SEEDS) test(`seed ${seed}`, () => fc.assert(property, { seed, numRuns: 200 }));
});
