/** The loops over rows in C against those in TypeScript: the same answer for every listing, and for every lie of a peer. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { findLibrary } from "../../ffi/library.ts";
import { compareDirectory } from "../../src/compare/compare-directory.ts";
import {
  blankBatch,
  compareNames,
  type EntryBatch,
  type EntryFields,
  FileType,
  Kind,
  RowFlag,
  U32_COLUMNS,
} from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { PACKED_COLUMNS, type RowLoops } from "../../src/core/row-loops.ts";
import { WORKING_DIRECTORY } from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { type Manifest, ManifestSchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { decodeListing, encodeListing } from "../../src/wire/manifest.ts";
import { ProtocolViolation } from "../../src/wire/protocol-violation.ts";
import { compareRules } from "../support/compare-rules.ts";
import { setTimes } from "../support/libc.ts";
import { tempDir } from "../support/temp.ts";
import { WALK } from "./harness.ts";

const { library } = findLibrary();
if (library === undefined) throw new Error("build the native library first (bun build.ts --native-only)");
const backend = new NativeBackend(library, 1);
const { loops } = backend;
afterAll(() => backend.shutdown());

// ---- listings that meet each other ------------------------------------------------------------------------------

const name = fc
  .array(fc.constantFrom(0x01, 0x2e, 0x61, 0x7f, 0x80, 0xff), { minLength: 1, maxLength: 4 })
  .map((bytes) => Uint8Array.from(bytes))
  .filter((bytes) => !["2e", "2e2e"].includes(Buffer.from(bytes).toString("hex")));
const type = fc.constantFrom<number>(
  ...[FileType.regular, FileType.regular, FileType.regular, FileType.directory, FileType.symlink],
  ...[FileType.fifo, FileType.charDevice],
);
const one = fc.constantFrom(0, 1);
const linkText = fc.constantFrom("a", "b/c").map(bytesOf);
/** Two values of each field, so that entries are now the same, now different in one thing. */
const fields: fc.Arbitrary<Omit<EntryFields, "name">> = fc
  .record({
    type,
    mode: fc.constantFrom(0o644, 0o4755),
    size: one,
    mtimeSec: fc.constantFrom(-1, 1e9),
    mtimeNsec: one,
    uid: one,
    gid: one,
    nlink: fc.constantFrom(1, 2),
    inoLow: one,
    rdev: one,
    attrHigh: one,
    flags: fc.constantFrom(0, 0, 0, RowFlag.skip, RowFlag.attrFailed, RowFlag.sparse),
    status: fc.constantFrom(0, 0, 0, 0, -13),
    linkText,
  })
  .map(({ type: kind, mode, linkText: text, ...rest }) => ({
    ...rest,
    mode: kind | mode,
    ...(kind === FileType.symlink ? { linkText: text } : {}),
  }));
const equalFields = fc.constant({ mode: FileType.regular | 0o644, size: 1, nlink: 1 });
const entries = fc
  .uniqueArray(fc.tuple(name, fc.oneof(fields, equalFields)), {
    maxLength: 30,
    selector: ([bytes]) => Buffer.from(bytes).toString("hex"),
  })
  .map((rows) => rows.map(([of, made]) => ({ ...made, name: of })).sort((a, b) => order(a.name, b.name)));

function order(a: Uint8Array, b: Uint8Array): number {
  return compareNames(a, 0, a.length, b, 0, b.length);
}

/** Runs `use` with batches in the arena, and gives them back. */
function withBatches<T>(lists: readonly (readonly EntryFields[])[], use: (...batches: EntryBatch[]) => T): T {
  const self = { name: bytesOf("."), mode: FileType.directory | 0o755 };
  const batches = lists.map((list) => backend.makeBatch([...list, self], { filesystemType: 7 }));
  try {
    return use(...batches);
  } finally {
    for (const batch of batches) backend.releaseBatch(batch);
  }
}

describe("match", () => {
  const flag = fc.boolean();
  const options = fc.record({
    ...{ checksum: flag, sizeOnly: flag, ignoreTimes: flag, ignoreExisting: flag, existing: flag, update: flag },
  });
  const preserve = fc.record({ chownUid: fc.constantFrom(undefined, 1), perms: flag, times: flag, owner: flag });

  test("the difference of two directories is the same with and without", () => {
    fc.assert(
      fc.property(entries, entries, fc.array(flag), options, preserve, (source, other, kept, chosen, held) => {
        // Half of the rows are the source's own, so that there is something alike.
        const own = source.filter((_, index) => kept[index] !== false);
        const known = new Set(own.map((entry) => Buffer.from(entry.name).toString("hex")));
        const foreign = other.filter((entry) => !known.has(Buffer.from(entry.name).toString("hex")));
        const target = [...own, ...foreign].sort((a, b) => order(a.name, b.name));
        const rules = compareRules({ options: chosen, preserve: held, deletes: true });
        withBatches([source, target], (a, b) => {
          const expected = compareDirectory(rules, a!, b!);
          expect(compareDirectory(rules, a!, b!, loops)).toEqual(expected);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("what is alike is found, and nothing else", () => {
    const file = { mode: FileType.regular | 0o644, size: 5, mtimeSec: 10, mtimeNsec: 3, uid: 1, gid: 2, attrLow: 9 };
    const changes: readonly Partial<EntryFields>[] = [
      ...[{ mode: FileType.regular | 0o600 }, { mode: FileType.fifo | 0o644 }, { size: 6 }, { mtimeSec: 11 }],
      ...[{ mtimeNsec: 4 }, { uid: 2 }, { gid: 1 }, { attrLow: 8 }, { attrHigh: 1 }, { rdev: 1 }, { status: -13 }],
      { flags: RowFlag.attrFailed },
    ];
    const names = ["same", ...changes.map((_, index) => `x${String.fromCharCode(97 + index)}`)];
    const source = names.map((text) => ({ ...file, name: bytesOf(text) }));
    const target = names.map((text, index) => ({ ...file, ...(changes[index - 1] ?? {}), name: bytesOf(text) }));
    withBatches([source, target], (a, b) => {
      const match = loops.match(a!, b!)!;
      expect([...match.alike]).toEqual(names.map((_, index) => (index === 0 ? 1 : 0)));
      expect(match.alikeCount).toBe(1);
      expect([...match.targetRows]).toEqual([...names.keys()]);
    });
  });

  test("a batch of other memory is not looked at", () => {
    const buffer = new ArrayBuffer(4096);
    const views = { bytes: new Uint8Array(buffer), u32: new Uint32Array(buffer), f64: new Float64Array(buffer), at: 0 };
    const foreign = blankBatch(1, 4096, {}, views);
    expect(loops.match(foreign, foreign)).toBeUndefined();
    expect(loops.pack(foreign, 0, 1, true)).toBeUndefined();
    expect(loops.check(foreign, { stripSetid: false, devices: true, specials: true })).toBe(false);
  });
});

// ---- to the wire and back -----------------------------------------------------------------------------------------

const policy = { owners: () => undefined, stripSetid: true, devices: false, specials: false };
const memory = (bytes: number) => backend.batchMemory(bytes);

/** What a listing became: its columns, names and links; or that it was refused. */
function decoded(parts: readonly Manifest[], by: RowLoops | undefined): unknown {
  let made: EntryBatch | undefined;
  try {
    const batch = decodeListing(parts, policy, memory, by);
    made = batch;
    const rows = [...Array(batch.count + 1).keys()];
    return {
      columns: U32_COLUMNS.map((column) => [...batch.columnOf(column)]),
      sizes: [...batch.doublesOf("size")],
      seconds: [...batch.doublesOf("mtimeSec")],
      texts: rows.map((row) => [Buffer.from(batch.name(row)), Buffer.from(batch.linkText(row))]),
    };
  } catch (error) {
    if (error instanceof ProtocolViolation) return "refused";
    throw error;
  } finally {
    if (made !== undefined) backend.releaseBatch(made);
  }
}

describe("pack and unpack", () => {
  test("a listing is the same message", () => {
    fc.assert(
      fc.property(entries, fc.boolean(), (list, inodes) => {
        withBatches([list], (batch) => {
          const bytes = (by: RowLoops | undefined) =>
            encodeListing(batch!, { inodes, loops: by }).map((part) => toBinary(ManifestSchema, part));
          expect(bytes(loops)).toEqual(bytes(undefined));
        });
      }),
      { numRuns: 300 },
    );
  });

  test("a listing that is larger than the first room for it", () => {
    const long = Array.from({ length: 2000 }, (_, i) => ({
      name: bytesOf(`${10_000 + i}${"n".repeat(200)}`),
      size: i,
    }));
    withBatches([long], (batch) => {
      const parts = encodeListing(batch!, { inodes: true, loops });
      expect(parts.map((part) => toBinary(ManifestSchema, part))).toEqual(
        encodeListing(batch!, { inodes: true, loops: undefined }).map((part) => toBinary(ManifestSchema, part)),
      );
    });
  });

  /** A column of a good message with something done to it. */
  const lie = fc.record({
    column: fc.constantFrom(...PACKED_COLUMNS),
    at: fc.nat(),
    byte: fc.integer({ min: 0, max: 255 }),
    how: fc.constantFrom("flip", "flip", "flip", "shorten", "empty", "lengthen"),
  });

  test("a link that could not be read is a row like any other, one with a text beyond all is not", () => {
    const link = { name: bytesOf("l"), mode: FileType.symlink | 0o777, status: -13 };
    const parts = (text: string) =>
      withBatches([[{ ...link, ...(text === "" ? {} : { linkText: bytesOf(text) }) }]], (batch) =>
        encodeListing(batch!, { inodes: false, loops: undefined }),
      );
    for (const by of [undefined, loops]) {
      expect(decoded(parts(""), by)).not.toBe("refused");
      expect(decoded(parts("x".repeat(4095)), by)).not.toBe("refused");
      expect(decoded(parts("x".repeat(4096)), by)).toBe("refused");
    }
  });

  test("what TypeScript refuses is refused, and what it takes is the same", () => {
    let refused = 0;
    fc.assert(
      fc.property(entries, fc.array(lie, { maxLength: 3 }), (list, lies) => {
        const honest = withBatches([list], (batch) => encodeListing(batch!, { inodes: true, loops: undefined })[0]!);
        const part = honest as { -readonly [K in keyof Manifest]: Manifest[K] };
        for (const { column, at, byte, how } of lies) {
          const bytes = Uint8Array.from(part[column]);
          if (how === "flip" && bytes.length > 0) bytes[at % bytes.length] = byte;
          part[column] =
            how === "empty" ? new Uint8Array(0) : how === "shorten" ? bytes.subarray(1) : extended(bytes, how, byte);
        }
        const expected = decoded([part], undefined);
        if (expected === "refused") refused++;
        expect(decoded([part], loops)).toEqual(expected);
        // As columns come from a message: views of one buffer.
        expect(decoded([inOneBuffer(part)], loops)).toEqual(expected);
      }),
      { numRuns: 1500 },
    );
    expect(refused).toBeGreaterThan(200);
  });
});

function extended(bytes: Uint8Array, how: string, byte: number): Uint8Array {
  return how === "lengthen" ? Uint8Array.from([...bytes, byte]) : bytes;
}

function inOneBuffer(part: Manifest): Manifest {
  const whole = new Uint8Array(1 << 16);
  let at = 3;
  const copy: Record<string, unknown> = { ...part };
  for (const [key, value] of Object.entries(part)) {
    if (!(value instanceof Uint8Array)) continue;
    whole.set(value, at);
    copy[key] = whole.subarray(at, at + value.length);
    at += value.length + 1;
  }
  return copy as unknown as Manifest;
}

describe("kinds", () => {
  test("a walk tells what it saw", async () => {
    using dir = tempDir();
    const walked = async (): Promise<(kinds: number) => boolean> => {
      const batch = await backend.walk(WORKING_DIRECTORY, bytesOf(dir.path), WALK);
      const had = Object.values(Kind).filter((kind) => batch.mayHave(kind));
      backend.close([batch.dirfd]);
      backend.releaseBatch(batch);
      return (kind) => had.some((one) => one === kind);
    };
    writeFileSync(join(dir.path, "file"), "x");
    const plain = await walked();
    for (const kind of Object.values(Kind)) expect([kind, plain(kind)]).toEqual([kind, kind === Kind.known]);
    mkdirSync(join(dir.path, "sub"));
    symlinkSync("x", join(dir.path, "link"));
    writeFileSync(join(dir.path, ".fastsync.0123456789abcdef.tmp"), "");
    Bun.spawnSync(["mkfifo", join(dir.path, "fifo")]);
    Bun.spawnSync(["ln", join(dir.path, "file"), join(dir.path, "other")]);
    setTimes(join(dir.path, "file"), -1n);
    const mixed = await walked();
    for (const kind of [Kind.directory, Kind.symlink, Kind.special, Kind.linked, Kind.ours, Kind.farTimes])
      expect([kind, mixed(kind)]).toEqual([kind, true]);
    for (const kind of [Kind.failed, Kind.skipped, Kind.owners]) expect([kind, mixed(kind)]).toEqual([kind, false]);
  });

  test("what is changed later is known as well; where nothing is known there may be anything", () => {
    const file = { name: bytesOf("a"), mode: FileType.regular | 0o644 };
    withBatches([[file]], (batch) => {
      expect(batch!.mayHave(Kind.directory)).toBe(true);
      expect(loops.check(batch!, policy)).toBe(true);
      expect(batch!.mayHave(Kind.directory | Kind.skipped | Kind.failed)).toBe(false);
      batch!.setRowFlags(0, RowFlag.skip);
      expect(batch!.mayHave(Kind.skipped)).toBe(true);
      expect(batch!.mayHave(Kind.failed)).toBe(false);
      batch!.setRowStatus(0, -5);
      expect(batch!.mayHave(Kind.failed)).toBe(true);
      expect(batch!.mayHave(Kind.directory)).toBe(false);
      batch!.renew(0, { mode: FileType.directory | 0o755 });
      expect(batch!.mayHave(Kind.directory)).toBe(true);
    });
  });

  test("of what came from a peer", () => {
    fc.assert(
      fc.property(entries, (list) => {
        withBatches([list], (batch) => {
          if (!loops.check(batch!, { stripSetid: false, devices: true, specials: true })) return;
          const has = (found: (row: number) => boolean) => [...Array(batch!.count).keys()].some(found);
          const b = batch!;
          expect(b.mayHave(Kind.directory)).toBe(has((row) => b.type(row) === FileType.directory));
          expect(b.mayHave(Kind.skipped)).toBe(has((row) => (b.rowFlags(row) & RowFlag.skip) !== 0));
          expect(b.mayHave(Kind.linked)).toBe(has((row) => b.nlink(row) > 1 && b.type(row) !== FileType.directory));
          expect(b.mayHave(Kind.owners)).toBe(
            has((row) => b.uid(row) !== b.uid(b.self) || b.gid(row) !== b.gid(b.self)),
          );
        });
      }),
      { numRuns: 200 },
    );
  });
});
