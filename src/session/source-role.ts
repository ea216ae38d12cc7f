/**
 * The source role as a step function: (state, event) -> effects. It touches no file and no socket.
 *
 *     keep a stack of directories still to be offered, the next one on top (depth first: bounds what is open)
 *     while fewer than the limit are unsettled: pop one, scan it
 *     scanned: send its listing; push its subdirectories in reverse order
 *     settled: room for another scan
 *     released: close it
 *     (--prune-empty-dirs: a directory of nothing but directories is held back until something is found below it; when
 *     nothing is, the target hears that its row came to nothing)
 *     stack empty and nothing being scanned: say "scanned", with whether every listing was whole
 */
import type { ContentRange } from "../core/content-range.ts";
import { type EntryBatch, FileType, Kind, RowFlag } from "../core/entry-batch.ts";
import type { SkipCounts } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type DirId,
  type MergeFile,
  type NeedId,
  type NeedPurpose,
  PROTOCOL_VERSION,
  type SourceMessage,
  type TargetMessage,
} from "./messages.ts";
import { type HeldDirectory, hasToStand, hold, offerAncestors, prune } from "./source-pruning.ts";

/** What a scan found: made by the runner, kept by the state until the directory is released. */
export interface ScannedDirectory<Handle> {
  readonly listing: EntryBatch;
  /** Access for the runner; the state only hands it back. */
  readonly handle: Handle;
  readonly entered: boolean;
  readonly owned: boolean;
  readonly mergeFiles: readonly MergeFile[];
  readonly skipped: SkipCounts;
  /** Rows that could not be read at all: each was reported as a failure. */
  readonly hidden: boolean;
}

export interface OpenDirectory<Handle> {
  readonly id: DirId;
  readonly parent: DirId;
  scanned: ScannedDirectory<Handle>;
  settled: boolean;
  /** Rows that were said to be durable. */
  receipts: number;
}

interface PendingDirectory {
  readonly id: DirId;
  readonly parent: DirId;
  readonly parentRow: number;
}

/** Deletions make room once. */
const PASSES_MOST = 2;
/** Content, attributes and digests of a row may be asked for; a row of a large file by range. */
const UNANSWERED_PER_ENTRY = 4;

export interface OfferWindow {
  readonly directories: number;
  /** One directory may exceed it, so that any directory can be handled. */
  readonly entries: number;
  /**
   * Directories at the very beginning, until the target has answered for one below the root or asked for something. Two
   * processes share what processors there are: listings by the hundred would keep the target from asking for the first
   * file, and this side from hearing of it.
   */
  readonly first?: number;
}
/** When such a beginning ends at the latest. */
export const FIRST_OFFERS_MS = 60;
const LOCAL_WINDOW: OfferWindow = { directories: LIMITS.unsettledDirectories, entries: LIMITS.unsettledEntries };
/** A long line needs more on its way. */
export const FAR_WINDOW: OfferWindow = { directories: LIMITS.offeredDirectories, entries: LIMITS.unsettledEntries };
/** On a short one an answer is there before the source misses it. */
export const NEAR_WINDOW: OfferWindow = { ...FAR_WINDOW, first: 3 };

export interface SourceState<Handle> {
  phase: "hello" | "offering" | "offered" | "closed" | "failed";
  pass: number;
  nextId: DirId;
  rootId: DirId;
  readonly stack: PendingDirectory[];
  readonly open: Map<DirId, OpenDirectory<Handle>>;
  scanning: number;
  unsettledDirectories: number;
  unsettledEntries: number;
  complete: boolean;
  entries: number;
  /** Needs that the runner is answering, with their rows. */
  readonly answering: Map<NeedId, number>;
  unansweredRows: number;
  /** Entries of the directories that are open. */
  openEntries: number;
  readonly removesSources: boolean;
  /** Directories without a file in them or below are not offered. */
  readonly prunesEmpty: boolean;
  /** With `prunesEmpty`: scanned, and not offered as long as nothing but directories is known of them. */
  readonly held: Map<DirId, HeldDirectory<Handle>>;
  /** How much may be offered and not yet settled. */
  readonly window: OfferWindow;
  /** The most directories that are offered and not settled: `window.first` in the beginning, then its `directories`. */
  directoriesMost: number;
  removing: number;
  sourcesRemoved: number;
  finishing: boolean;
  isStopped: boolean;
}

export interface ScannedEvent<Handle> {
  readonly kind: "scanned";
  readonly id: DirId;
  readonly parent: DirId;
  readonly parentRow: number;
  readonly directory: ScannedDirectory<Handle>;
}

export type SourceEvent<Handle> =
  | { readonly kind: "start" }
  | { readonly kind: "message"; readonly message: TargetMessage }
  | ScannedEvent<Handle>
  /** `message`: what is left to say; the payload of another process was sent already. */
  | { readonly kind: "answered"; readonly need: NeedId; readonly message?: SourceMessage }
  | { readonly kind: "removed"; readonly count: number }
  /** FIRST_OFFERS_MS have passed. */
  | { readonly kind: "widen" }
  | { readonly kind: "stop" };

export type SourceEffect<Handle> =
  | { readonly kind: "send"; readonly message: SourceMessage }
  | {
      readonly kind: "scan";
      readonly id: DirId;
      readonly parentId: DirId;
      readonly parent: ScannedDirectory<Handle> | undefined;
      readonly parentRow: number;
    }
  | {
      readonly kind: "content";
      readonly need: NeedId;
      readonly directory: ScannedDirectory<Handle>;
      readonly rows: Uint32Array;
      readonly purpose: Exclude<NeedPurpose, "digest">;
      readonly range: ContentRange | undefined;
    }
  | {
      readonly kind: "digest";
      readonly need: NeedId;
      readonly directory: ScannedDirectory<Handle>;
      readonly rows: Uint32Array;
    }
  | { readonly kind: "remove"; readonly directory: ScannedDirectory<Handle>; readonly rows: Uint32Array }
  /** The directory and all below it are finished: close it, and with `removeIfEmpty` remember it for removal. */
  | { readonly kind: "release"; readonly id: DirId; readonly directory: ScannedDirectory<Handle> }
  | { readonly kind: "describe-scan" }
  | { readonly kind: "finish" }
  | { readonly kind: "protocol-error"; readonly reason: string };

export function sourceState<Handle>(options: {
  removesSources: boolean;
  prunesEmpty?: boolean;
  window?: OfferWindow;
}): SourceState<Handle> {
  const window = options.window ?? LOCAL_WINDOW;
  return {
    phase: "hello",
    pass: 1,
    nextId: 0,
    rootId: 0,
    stack: [],
    open: new Map(),
    scanning: 0,
    unsettledDirectories: 0,
    unsettledEntries: 0,
    complete: true,
    entries: 0,
    answering: new Map(),
    unansweredRows: 0,
    openEntries: 0,
    removesSources: options.removesSources,
    prunesEmpty: options.prunesEmpty ?? false,
    held: new Map(),
    window,
    directoriesMost: window.first ?? window.directories,
    removing: 0,
    sourcesRemoved: 0,
    finishing: false,
    isStopped: false,
  };
}

export function stepSource<Handle>(state: SourceState<Handle>, event: SourceEvent<Handle>): SourceEffect<Handle>[] {
  if (state.phase === "failed" || state.phase === "closed") return [];
  const effects: SourceEffect<Handle>[] = [];
  switch (event.kind) {
    case "start":
      effects.push({
        kind: "send",
        message: { kind: "hello", protocolMin: PROTOCOL_VERSION, protocolMax: PROTOCOL_VERSION },
      });
      break;
    case "message":
      onMessage(state, event.message, effects);
      break;
    case "scanned":
      onScanned(state, event, effects);
      break;
    case "answered":
      state.unansweredRows -= state.answering.get(event.need) ?? 0;
      state.answering.delete(event.need);
      if (event.message !== undefined) effects.push({ kind: "send", message: event.message });
      break;
    case "removed":
      state.removing--;
      state.sourcesRemoved += event.count;
      break;
    case "widen":
      state.directoriesMost = state.window.directories;
      break;
    case "stop":
      // What was offered is finished; nothing new is, whatever room the window has or will get. An interrupted scan
      // proves no absence.
      state.isStopped = true;
      state.stack.length = 0;
      state.complete = false;
      state.held.clear();
      break;
  }
  pump(state, effects);
  return effects;
}

function fail<Handle>(state: SourceState<Handle>, effects: SourceEffect<Handle>[], reason: string): void {
  state.phase = "failed";
  effects.push({ kind: "protocol-error", reason });
}

function onMessage<Handle>(state: SourceState<Handle>, message: TargetMessage, effects: SourceEffect<Handle>[]): void {
  switch (message.kind) {
    case "hello":
      if (state.phase !== "hello") return fail(state, effects, "a second hello");
      if (message.protocolMin > PROTOCOL_VERSION || message.protocolMax < PROTOCOL_VERSION) {
        return fail(
          state,
          effects,
          `the target speaks protocol ${message.protocolMin}..${message.protocolMax}, this side ${PROTOCOL_VERSION}`,
        );
      }
      beginPass(state);
      return;
    case "need": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || (directory.settled && !isAboutItself(directory.scanned.listing, message)))
        return fail(state, effects, `a need in directory ${message.dir}, which is not open`);
      const { listing } = directory.scanned;
      for (let i = 0; i < message.rows.length; i++) {
        const row = message.rows[i]!;
        if (row > listing.count) return fail(state, effects, `a need for row ${row} of ${listing.count}`);
      }
      state.directoriesMost = state.window.directories;
      const { need, rows, purpose, range } = message;
      const isLarge = purpose === "range" || purpose === "commit";
      if ((isLarge && rows.length !== 1) || (purpose === "range") !== (range !== undefined))
        return fail(state, effects, `need ${need} does not say what it wants`);
      if (state.finishing || state.answering.has(need)) return fail(state, effects, `need ${need} out of turn`);
      state.answering.set(need, rows.length);
      state.unansweredRows += rows.length;
      // In an orderly session a row waits for little more than its content: what is kept for a peer is bounded by what
      // is open anyway.
      if (
        state.answering.size > LIMITS.unansweredNeeds ||
        state.unansweredRows > LIMITS.unansweredNeeds + UNANSWERED_PER_ENTRY * state.openEntries
      )
        return fail(state, effects, `${state.answering.size} needs at a time`);
      if (purpose === "digest") effects.push({ kind: "digest", need, directory: directory.scanned, rows });
      else effects.push({ kind: "content", need, directory: directory.scanned, rows, purpose, range });
      return;
    }
    case "settled": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || directory.settled)
        return fail(state, effects, `directory ${message.dir} settled twice`);
      directory.settled = true;
      if (directory.parent !== -1) state.directoriesMost = state.window.directories;
      state.unsettledDirectories--;
      state.unsettledEntries -= directory.scanned.listing.count;
      return;
    }
    case "receipts": {
      const directory = state.open.get(message.dir);
      if (directory === undefined || !state.removesSources)
        return fail(state, effects, `receipts for directory ${message.dir} out of turn`);
      const { count } = directory.scanned.listing;
      directory.receipts += message.rows.length;
      if (directory.receipts > count + 1 || message.rows.some((row) => row > count))
        return fail(state, effects, `receipts for directory ${message.dir} that are not of its rows`);
      state.removing++;
      effects.push({ kind: "remove", directory: directory.scanned, rows: message.rows });
      return;
    }
    case "released": {
      const directory = state.open.get(message.dir);
      if (directory === undefined) return fail(state, effects, `directory ${message.dir} released twice`);
      if (!directory.settled) {
        state.unsettledDirectories--;
        state.unsettledEntries -= directory.scanned.listing.count;
      }
      state.open.delete(message.dir);
      state.openEntries -= directory.scanned.listing.count + 1;
      effects.push({ kind: "release", id: message.dir, directory: directory.scanned });
      return;
    }
    case "again":
      if (state.phase !== "offered" || state.finishing || state.pass >= PASSES_MOST)
        return fail(state, effects, "another pass was asked for before this one ended");
      state.pass++;
      beginPass(state);
      return;
    case "finished":
      if (state.finishing) return fail(state, effects, "finished twice");
      // Ahead of time when the target had to stop: what is still open is closed by the runner's end.
      state.finishing = true;
      state.stack.length = 0;
      return;
  }
}

/** A directory's own attributes are applied when everything below it is finished. */
function isAboutItself(listing: EntryBatch, message: Extract<TargetMessage, { kind: "need" }>): boolean {
  return message.purpose === "attributes" && message.rows.length === 1 && message.rows[0] === listing.self;
}

function beginPass<Handle>(state: SourceState<Handle>): void {
  state.phase = "offering";
  state.rootId = state.nextId++;
  state.entries = 0;
  state.stack.push({ id: state.rootId, parent: -1, parentRow: -1 });
}

function onScanned<Handle>(
  state: SourceState<Handle>,
  event: ScannedEvent<Handle>,
  effects: SourceEffect<Handle>[],
): void {
  const { directory, id } = event;
  const { listing } = directory;
  state.scanning--;
  if (listing.status !== 0 || directory.hidden) state.complete = false;
  // Its parent was held back when the stop came: the target does not know it.
  if (state.isStopped && event.parent >= 0 && !state.open.has(event.parent))
    return void effects.push({ kind: "release", id, directory });
  // A source that is given as an entry stands in the listing of its parent: it does not fill itself.
  if (directory.owned) state.entries += listing.count;
  if (state.prunesEmpty && !state.isStopped) {
    if (!hasToStand(event)) {
      if (listing.count === 0) return prune(state, event, effects);
      hold(state, event);
      return pushSubdirectories(state, id, listing);
    }
    offerAncestors(state, event.parent, effects);
  }
  offer(state, event, effects);
  if (!state.isStopped) pushSubdirectories(state, id, listing);
}

/** Tells the target of a directory, and takes its needs from then on. */
export function offer<Handle>(
  state: SourceState<Handle>,
  { id, parent, parentRow, directory }: Omit<ScannedEvent<Handle>, "kind">,
  effects: SourceEffect<Handle>[],
): void {
  const { listing, entered, owned, mergeFiles, skipped } = directory;
  state.open.set(id, { id, parent, scanned: directory, settled: false, receipts: 0 });
  state.openEntries += listing.count + 1;
  state.unsettledDirectories++;
  state.unsettledEntries += listing.count;
  effects.push({
    kind: "send",
    message: { kind: "directory", id, parent, parentRow, listing, entered, owned, mergeFiles, skipped },
  });
}

function pushSubdirectories<Handle>(state: SourceState<Handle>, id: DirId, listing: EntryBatch): void {
  for (let row = listing.mayHave(Kind.directory) ? listing.count - 1 : -1; row >= 0; row--) {
    if (isSubdirectory(listing, row)) state.stack.push({ id: state.nextId++, parent: id, parentRow: row });
  }
}

/** Rows that follow as directories of their own; both roles must agree on this. */
export function isSubdirectory(listing: EntryBatch, row: number): boolean {
  return (
    listing.type(row) === FileType.directory &&
    listing.rowStatus(row) === 0 &&
    (listing.rowFlags(row) & RowFlag.skip) === 0
  );
}

function pump<Handle>(state: SourceState<Handle>, effects: SourceEffect<Handle>[]): void {
  if (state.phase === "offering") {
    while (
      state.stack.length > 0 &&
      (state.unsettledDirectories + state.scanning === 0 ||
        (state.unsettledDirectories + state.scanning < state.directoriesMost &&
          state.unsettledEntries < state.window.entries))
    ) {
      const next = state.stack.pop()!;
      const parent = state.open.get(next.parent)?.scanned ?? state.held.get(next.parent)?.directory;
      state.scanning++;
      effects.push({
        kind: "scan",
        id: next.id,
        parentId: next.parent,
        parent,
        parentRow: next.parentRow,
      });
    }
    if (state.stack.length === 0 && state.scanning === 0) {
      state.phase = "offered";
      effects.push({ kind: "describe-scan" });
    }
  }
  if (state.finishing && state.answering.size === 0 && state.removing === 0 && state.phase === "offered") {
    state.phase = "closed";
    effects.push({ kind: "finish" });
  }
}
