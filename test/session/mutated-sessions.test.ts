/**
 * Honest sessions of the simulator, mutated (mutate.ts), into the decoders and the step functions of either side. Whatever
 * arrives is taken, with all that holds for a session, or ends it as a protocol error: no other exception, no memory
 * beyond what the messages themselves are worth, and no effect that names what was not offered.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { fromBinary } from "@bufbuild/protobuf";
import { findLibrary } from "../../ffi/library.ts";
import {
  BatchFlag,
  buildBatch,
  columnBytes,
  type EntryBatch,
  type EntryFields,
  FileType,
} from "../../src/core/entry-batch.ts";
import { newCounters } from "../../src/core/events.ts";
import { NO_FILTER } from "../../src/core/filter-spec.ts";
import { LIMITS } from "../../src/core/limits.ts";
import { compileFilter } from "../../src/filter/compile.ts";
import type { ItemResults } from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import type { SourceMessage } from "../../src/session/messages.ts";
import { stepSource } from "../../src/session/source-role.ts";
import { type ScannedDirectory, type SourceEffect, sourceState } from "../../src/session/source-state.ts";
import { stepTarget } from "../../src/session/target-role.ts";
import { type TargetDir, type TargetEffect, targetState } from "../../src/session/target-state.ts";
import { decodeTarget, SourceReader, say } from "../../src/session/wire-messages.ts";
import { type SessionMessage, SessionMessageSchema } from "../../src/wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../../src/wire/protocol-violation.ts";
import { eachSeed, FUZZ_TEST_MS } from "../support/fuzzing.ts";
import { type ModelNode, optionsFor, randomGenerator } from "./model.ts";
import { mutated, pick } from "./mutate.ts";
import { honestSession, type Transcript } from "./transcripts.ts";

const RUNS = 2000;
const SESSIONS = 60;
const sessions = new Map<number, Transcript>();
const sessionOf = (seed: number): Transcript => {
  const number = seed % SESSIONS;
  const found = sessions.get(number) ?? honestSession(number + 1);
  sessions.set(number, found);
  return found;
};

const { library } = findLibrary();
const native = library === undefined ? undefined : new NativeBackend(library, 1);
afterAll(() => native?.shutdown());

const outcomes = { ended: 0, wentOn: 0 };

/** Undefined: bytes that are no message at all, which a connection refuses before any of this. */
function arrived(bytes: Uint8Array): SessionMessage | undefined {
  try {
    return fromBinary(SessionMessageSchema, bytes);
  } catch {
    return undefined;
  }
}

/** False: the session ended as it may. */
function lawful(play: () => boolean): void {
  let ended = false;
  try {
    ended = !play();
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error;
    ended = true;
  }
  if (ended) outcomes.ended++;
  else outcomes.wentOn++;
}

const highest = (rows: ArrayLike<number>): number => Array.from(rows).reduce((a, b) => Math.max(a, b), 0);

function isName(name: Uint8Array): boolean {
  const text = Buffer.from(name).toString("latin1");
  return text !== "" && text !== "." && text !== ".." && text.length <= 255 && !/[/\0]/.test(text);
}

// ---- the target ---------------------------------------------------------------------------------------------------

const policy = { owners: () => undefined, stripSetid: true, devices: false, specials: false };
const memoryOf = (bytes: number) => {
  const buffer = new ArrayBuffer((bytes + 63) & ~63);
  return { bytes: new Uint8Array(buffer), u32: new Uint32Array(buffer), f64: new Float64Array(buffer), at: 0 };
};

/** Reads with the loops in C, and without: the same listing, or neither. */
class BothReaders {
  /** Bytes of what has arrived. */
  heard = 0;
  #rowsHeard = 0;
  readonly #plain = new SourceReader({
    learn: () => {},
    policy,
    loops: undefined,
    memory: (bytes) => memoryOf(this.#counted(bytes)),
  });
  readonly #native =
    native &&
    new SourceReader({
      learn: () => {},
      policy,
      loops: native.loops,
      memory: (bytes) => native.batchMemory(this.#counted(bytes)),
    });

  #counted(bytes: number): number {
    // A row of 2 bytes of name has the columns of a row; more than that nobody can make us take.
    expect(bytes).toBeLessThanOrEqual(columnBytes(this.#rowsHeard) + this.heard + 64);
    return bytes;
  }

  read(message: SessionMessage): SourceMessage | undefined {
    if (message.body.case === "manifest")
      this.#rowsHeard += Math.min(message.body.value.names.length / 2, LIMITS.manifestRows);
    const plain = attempt(() => this.#plain.read(message));
    const loops = this.#native && attempt(() => this.#native!.read(message));
    if (loops !== undefined) {
      expect(loops.violation === undefined).toBe(plain.violation === undefined);
      if (plain.read?.kind === "directory" && loops.read?.kind === "directory") {
        expect(columnsOf(loops.read.listing)).toEqual(columnsOf(plain.read.listing));
        native!.releaseBatch(loops.read.listing);
      }
    }
    if (plain.violation !== undefined) throw plain.violation;
    return plain.read;
  }
}

function attempt<T>(read: () => T): { read?: T; violation?: ProtocolViolation } {
  try {
    return { read: read() };
  } catch (error) {
    if (error instanceof ProtocolViolation) return { violation: error };
    throw error;
  }
}

function columnsOf(listing: EntryBatch): unknown {
  const rows = Array.from({ length: listing.count + 1 }, (_, row) => row);
  const texts = rows.map((row) => [Buffer.from(listing.name(row)), Buffer.from(listing.linkText(row))]);
  const numbers = rows.map((row) => [
    ...[listing.mode(row), listing.size(row), listing.mtimeSec(row), listing.mtimeNsec(row), listing.uid(row)],
    ...[listing.gid(row), listing.nlink(row), listing.rowFlags(row), listing.rowStatus(row)],
  ]);
  return { texts, numbers, status: listing.status };
}

/** A few names of their own, so that there is something to replace and to delete. */
function targetListing(random: () => number, created: boolean): EntryBatch {
  const kinds = [FileType.regular, FileType.directory, FileType.symlink];
  const names = created ? [] : ["a", "b", "c", "d", "x", "y"].filter(() => random() < 0.5);
  const entries: EntryFields[] = names.map((name) => ({
    name: Buffer.from(name),
    mode: pick(random, kinds) | 0o755,
    size: Math.floor(random() * 20),
    mtimeSec: Math.floor(random() * 4),
    inoLow: Math.floor(random() * 100),
    nlink: 1,
  }));
  const self: EntryFields = { name: Buffer.from("."), mode: FileType.directory | 0o755 };
  return buildBatch([...entries, self], { dirfd: 9, flags: created ? BatchFlag.created : 0 });
}

const resultsOf = (random: () => number, count: number): ItemResults => {
  const statuses = Array.from({ length: count }, () => (random() < 0.1 ? -5 : 0));
  return new Proxy({} as ItemResults, {
    get: (_, key) => (key === "count" ? count : key === "status" ? (i: number) => statuses[i] : () => 0),
  });
};

class TargetPlay {
  readonly #random: () => number;
  readonly #state;
  readonly #listed = new Map<TargetDir, EntryBatch>();
  readonly #waiting: (() => void)[] = [];
  #failed = false;

  constructor(seed: number, { verb }: Transcript) {
    this.#random = randomGenerator(seed * 3 + 1);
    const options = optionsFor(verb, false, undefined);
    this.#state = targetState({
      options,
      rules: {
        options: options.compare,
        preserve: options.preserve,
        windowNs: 0,
        mayChown: false,
        groups: new Set(),
        deletes: options.delete.enabled,
      },
      rootFilter: compileFilter(NO_FILTER, { deleteExcluded: false }).root(),
      wantsItems: true,
      wantsReasons: true,
      counters: newCounters(),
      payload: "streams",
      sharesInodes: false,
    });
    this.feed({ kind: "message", message: { kind: "hello", protocolMin: 1, protocolMax: 1 } });
  }

  feed(event: Parameters<typeof stepTarget>[1]): void {
    for (const effect of stepTarget(this.#state, event)) this.#perform(effect);
    const counts = [...this.#state.dirs.values()].flatMap(({ children, pending }) => [children, pending]);
    expect(Math.min(this.#state.outstanding, ...counts)).toBeGreaterThanOrEqual(0);
  }

  /** Some of what was begun ends, in any order. */
  breathe(all = false): void {
    for (let left = all ? 10_000 : 3; this.#waiting.length > 0 && left > 0; left--)
      this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1)[0]!();
  }

  get goesOn(): boolean {
    return !this.#failed;
  }

  #rows(dir: TargetDir, rows: ArrayLike<number>): void {
    expect(highest(rows)).toBeLessThanOrEqual(dir.source.count);
  }

  #offered(dir: TargetDir): void {
    if (dir.parent === undefined) return;
    expect(isName(dir.name)).toBe(true);
    const { source } = dir.parent;
    expect(Buffer.from(source.name(dir.parentRow)).equals(Buffer.from(dir.name))).toBe(true);
    expect(source.type(dir.parentRow)).toBe(FileType.directory);
  }

  #later(event: () => Parameters<typeof stepTarget>[1]): void {
    this.#waiting.push(() => this.feed(event()));
  }

  #perform(effect: TargetEffect): void {
    const random = this.#random;
    switch (effect.kind) {
      case "send":
      case "report":
      case "finish":
        return;
      case "protocol-error":
        this.#failed = true;
        return;
      case "close":
        this.#listed.delete(effect.dir);
        return;
      case "open": {
        const { dir, removeFirst } = effect;
        this.#offered(dir);
        const above = dir.parent && this.#listed.get(dir.parent);
        expect(removeFirst).toBeLessThan(above?.count ?? 1);
        this.#later(() => {
          const batch = targetListing(random, random() < 0.5);
          this.#listed.set(dir, batch);
          return { kind: "opened", dir, batch };
        });
        return;
      }
      case "copy":
        this.#rows(effect.dir, effect.rows);
        expect(Array.from(effect.rows).every((row) => isName(effect.dir.source.name(row)))).toBe(true);
        this.#later(() => ({ ...effect, kind: "copied", results: resultsOf(random, effect.rows.length) }));
        return;
      case "repair":
        this.#rows(effect.dir, effect.rows);
        this.#later(() => ({ ...effect, kind: "repaired", results: resultsOf(random, effect.rows.length) }));
        return;
      case "stamp":
        this.#offered(effect.dir);
        this.#later(() => ({ kind: "stamped", dir: effect.dir, results: resultsOf(random, 1) }));
        return;
      case "link":
        this.#rows(effect.dir, [effect.row]);
        for (const name of Buffer.from(effect.leader).toString("latin1").split("/"))
          expect(isName(Buffer.from(name, "latin1"))).toBe(true);
        this.#later(() => ({ kind: "linked", dir: effect.dir, row: effect.row, status: random() < 0.2 ? -2 : 0 }));
        return;
      case "digest":
        this.#rows(effect.dir, effect.rows);
        this.#later(() => ({
          kind: "digested",
          need: effect.need,
          digests: Array.from(effect.rows, () => new Uint8Array(16)),
        }));
        return;
      case "collect":
        for (const row of effect.rows) expect(row).toBeLessThan(this.#listed.get(effect.dir)!.count);
        this.#later(() => ({
          kind: "collected",
          dir: effect.dir,
          collected: { records: [], entries: 0, deletable: effect.rows, protectedEntries: 0, mounts: 0, failures: [] },
        }));
        return;
      case "sweep":
        for (const row of effect.rows) expect(row).toBeLessThan(this.#listed.get(effect.dir)!.count);
        this.#later(() => ({ kind: "swept", dir: effect.dir }));
        return;
      case "confirm":
        this.#later(() => ({
          kind: "confirmed",
          answer: pick(random, ["accepted", "declined", "unattended"] as const),
        }));
        return;
      case "delete":
        // Only a mirror, only after everything was offered, and only names of the target's own.
        expect(this.#state.options.verb).toBe("mirror");
        expect(this.#state.scanned?.complete).toBe(true);
        for (const { names } of effect.records)
          for (const name of names) expect("abcdxy").toContain(Buffer.from(name).toString());
        this.#later(() => ({ kind: "deleted", entries: 0, failures: [] }));
        return;
      case "sync":
        this.#later(() => ({ kind: "synced", status: 0 }));
    }
  }
}

function playTarget(seed: number): boolean {
  const session = sessionOf(seed);
  const reader = new BothReaders();
  const play = new TargetPlay(seed, session);
  const random = randomGenerator(seed);
  for (const bytes of mutated(random, session.bySource)) {
    const message = arrived(bytes);
    if (message === undefined) return false;
    reader.heard += bytes.length;
    const decoded = reader.read(message);
    if (decoded !== undefined) play.feed({ kind: "message", message: decoded });
    play.breathe();
    if (!play.goesOn) return false;
  }
  play.breathe(true);
  return play.goesOn;
}

// ---- the source ---------------------------------------------------------------------------------------------------

function listingOf(node: ModelNode): EntryBatch {
  const type = { file: FileType.regular, directory: FileType.directory, symlink: FileType.symlink };
  const fields = (name: string, of: ModelNode): EntryFields => ({
    name: Buffer.from(name),
    mode: type[of.kind] | of.mode,
    size: of.content.length,
    mtimeSec: of.mtime,
    inoLow: of.inode,
    nlink: 1,
    ...(of.kind === "symlink" ? { linkText: Buffer.from(of.content) } : {}),
  });
  return buildBatch(
    [
      ...[...node.children].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, of]) => fields(name, of)),
      fields(".", node),
    ],
    {},
  );
}

class SourcePlay {
  readonly #random: () => number;
  readonly #state;
  readonly #tree: ModelNode;
  readonly #open = new Set<ScannedDirectory<ModelNode>>();
  readonly #waiting: (() => void)[] = [];
  readonly #removes: boolean;
  #failed = false;

  constructor(seed: number, { verb, source }: Transcript) {
    this.#random = randomGenerator(seed * 5 + 1);
    this.#removes = verb === "move";
    this.#tree = source();
    this.#state = sourceState<ModelNode>({ removesSources: this.#removes });
    this.feed({ kind: "message", message: { kind: "hello", protocolMin: 1, protocolMax: 1 } });
  }

  feed(event: Parameters<typeof stepSource<ModelNode>>[1]): void {
    for (const effect of stepSource(this.#state, event)) this.#perform(effect);
    const { unansweredRows, unsettledDirectories, unsettledEntries, openEntries, removing, scanning } = this.#state;
    const counts = [unansweredRows, unsettledDirectories, unsettledEntries, openEntries, removing, scanning];
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(0);
    expect(this.#state.answering.size).toBeLessThanOrEqual(LIMITS.unansweredNeeds + 1);
  }

  breathe(all = false): void {
    for (let left = all ? 10_000 : 3; this.#waiting.length > 0 && left > 0; left--)
      this.#waiting.splice(Math.floor(this.#random() * this.#waiting.length), 1)[0]!();
  }

  get goesOn(): boolean {
    return !this.#failed;
  }

  #names(directory: ScannedDirectory<ModelNode>, rows: Uint32Array): void {
    expect(this.#open.has(directory)).toBe(true);
    expect(highest(rows)).toBeLessThanOrEqual(directory.listing.count);
  }

  #perform(effect: SourceEffect<ModelNode>): void {
    switch (effect.kind) {
      case "scan": {
        const { parent, parentRow, id, parentId } = effect;
        this.#waiting.push(() => {
          const name = parent === undefined ? "" : Buffer.from(parent.listing.name(parentRow)).toString();
          const handle = parent === undefined ? this.#tree : parent.handle.children.get(name);
          expect(handle?.kind).toBe("directory");
          const directory: ScannedDirectory<ModelNode> = {
            listing: listingOf(handle!),
            handle: handle!,
            entered: true,
            owned: true,
            mergeFiles: [],
            skipped: {},
            hidden: false,
          };
          this.#open.add(directory);
          this.feed({ kind: "scanned", id, parent: parentId, parentRow, directory });
        });
        return;
      }
      case "content":
        this.#names(effect.directory, effect.rows);
        if (effect.range !== undefined) {
          const { offset, length, basis } = effect.range;
          expect(
            offset >= 0 && length > 0 && length <= LIMITS.rangeMostBytes && Number.isSafeInteger(offset + length),
          ).toBe(true);
          if (basis !== undefined) expect(basis.digests.length).toBe(Math.ceil(length / basis.blockBytes) * 16);
        }
        this.#waiting.push(() => this.feed({ kind: "answered", need: effect.need }));
        return;
      case "digest":
        this.#names(effect.directory, effect.rows);
        this.#waiting.push(() =>
          this.feed({
            kind: "answered",
            need: effect.need,
            message: { kind: "digests", need: effect.need, digests: [] },
          }),
        );
        return;
      case "remove":
        expect(this.#removes).toBe(true);
        this.#names(effect.directory, effect.rows);
        this.#waiting.push(() => this.feed({ kind: "removed", count: effect.rows.length }));
        return;
      case "release":
        expect(this.#open.delete(effect.directory)).toBe(true);
        return;
      case "protocol-error":
        this.#failed = true;
        return;
      case "send":
      case "describe-scan":
      case "finish":
    }
  }
}

function playSource(seed: number): boolean {
  const session = sessionOf(seed);
  const play = new SourcePlay(seed, session);
  const random = randomGenerator(seed);
  for (const bytes of mutated(random, session.byTarget)) {
    play.breathe(random() < 0.7);
    const message = arrived(bytes);
    if (message === undefined) return false;
    for (const decoded of decodeTarget(message)) play.feed({ kind: "message", message: decoded });
    if (!play.goesOn) return false;
  }
  play.breathe(true);
  return play.goesOn;
}

describe("S23 S24 S27 S31 mutated sessions", () => {
  for (const [side, play] of [
    ["target", playTarget],
    ["source", playSource],
  ] as const)
    test(
      `the ${side} takes them, or ends them as a protocol error`,
      () => {
        outcomes.ended = outcomes.wentOn = 0;
        eachSeed(RUNS, (seed) => lawful(() => play(seed)));
        // Both happen, or the mutations are worth nothing.
        const all = outcomes.ended + outcomes.wentOn;
        expect(outcomes.ended / all).toBeGreaterThan(0.2);
        expect(outcomes.wentOn / all).toBeGreaterThan(0.1);
      },
      FUZZ_TEST_MS,
    );

  test("sessions that nobody has changed are taken whole", () => {
    for (let number = 0; number < SESSIONS; number++) {
      const session = sessionOf(number);
      const reader = new BothReaders();
      for (const message of session.bySource) {
        reader.heard += 1 << 20;
        expect(() => reader.read(message)).not.toThrow();
      }
      for (const message of session.byTarget) expect(() => decodeTarget(message)).not.toThrow();
    }
  });

  test("rows that cost the peer nothing get no memory", () => {
    const reader = new BothReaders();
    const rows = LIMITS.manifestRows;
    const free = { rows, more: true, nameLengths: Uint8Array.of(1, 0), modes: Uint8Array.of(0, 0x81, 0, 0) };
    const part = (names: Uint8Array) => say({ case: "manifest", value: { ...free, names } });
    expect(() => reader.read(part(new Uint8Array(0)))).toThrow(ProtocolViolation);
    expect(() => reader.read(part(new Uint8Array(2 * rows - 1)))).toThrow(ProtocolViolation);
    expect(new BothReaders().read(part(new Uint8Array(2 * rows)))).toBeUndefined();
  });
});
