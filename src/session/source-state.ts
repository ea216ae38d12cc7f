/** What the source role knows, what it hears and what it has done: for its step function, and for those that help it. */
import type { ContentRange } from "../core/content-range.ts";
import { type EntryBatch, FileType, Kind, RowFlag } from "../core/entry-batch.ts";
import type { SkipCounts, SkipReason } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { DirId, MergeFile, NeedId, NeedPurpose, SourceMessage, TargetMessage } from "./messages.ts";
import { OfferedWhole } from "./open-directories.ts";

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
  /** See `OfferedWhole`. */
  unoffered: number;
  unfinished: number;
  /** Rows that were said to be durable. */
  receipts: number;
}

interface PendingDirectory {
  readonly id: DirId;
  readonly parent: DirId;
  readonly parentRow: number;
}

export interface OfferWindow {
  readonly directories: number;
  /** One directory may exceed it, so that any directory can be handled. */
  readonly entries: number;
  /**
   * Directories that may be open, finished ones with unfinished ones below them included. Beyond it one is offered at a
   * time, and only when those that are open wait for it: strictly depth first fewest are. Default: whatever is.
   */
  readonly open?: number;
  /** Of a move: open ones that wait for nothing but to be made durable together, at most. Default: the usual number. */
  readonly flush?: number;
  /**
   * Directories at the very beginning, until the target has answered for one below the root or asked for something. Two
   * processes share what processors there are: listings by the hundred would keep the target from asking for the first
   * file, and this side from hearing of it.
   */
  readonly first?: number;
}
/** When such a beginning ends at the latest. */
export const FIRST_OFFERS_MS = 60;
export const LOCAL_WINDOW: OfferWindow = { directories: LIMITS.unsettledDirectories, entries: LIMITS.unsettledEntries };
/** A long line needs more on its way. */
export const FAR_WINDOW: OfferWindow = { directories: LIMITS.offeredDirectories, entries: LIMITS.unsettledEntries };
/** On a short one an answer is there before the source misses it. */
export const NEAR_WINDOW: OfferWindow = { ...FAR_WINDOW, first: 3 };

/** With `--prune-empty-dirs`, as long as nothing but directories is known of it. */
export interface HeldDirectory<Handle> extends Omit<ScannedEvent<Handle>, "kind"> {
  /** Subdirectories of which it is not known yet whether they come to nothing. */
  unknown: number;
  /** Rows of those that did, and what was left out in them. */
  readonly pruned: number[];
  readonly prunedSkipped: Partial<Record<SkipReason, number>>;
}

export interface SourceState<Handle> {
  phase: "hello" | "offering" | "offered" | "closed" | "failed";
  pass: number;
  nextId: DirId;
  rootId: DirId;
  readonly stack: PendingDirectory[];
  readonly open: Map<DirId, OpenDirectory<Handle>>;
  /** Not kept with `prunesEmpty`. */
  readonly whole: OfferedWhole<DirId>;
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
  const open: SourceState<Handle>["open"] = new Map();
  return {
    phase: "hello",
    pass: 1,
    nextId: 0,
    rootId: 0,
    stack: [],
    open,
    whole: new OfferedWhole(open),
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

/** Tells the target of a directory, and takes its needs from then on. */
export function offer<Handle>(
  state: SourceState<Handle>,
  { id, parent, parentRow, directory }: Omit<ScannedEvent<Handle>, "kind">,
  effects: SourceEffect<Handle>[],
): void {
  const { listing, entered, owned, mergeFiles, skipped } = directory;
  const opened = { id, parent, scanned: directory, settled: false, unoffered: 0, unfinished: 0, receipts: 0 };
  state.open.set(id, opened);
  if (!state.prunesEmpty) state.whole.offered(opened, state.isStopped ? 0 : subdirectoriesOf(listing));
  state.openEntries += listing.count + 1;
  state.unsettledDirectories++;
  state.unsettledEntries += listing.count;
  effects.push({
    kind: "send",
    message: { kind: "directory", id, parent, parentRow, listing, entered, owned, mergeFiles, skipped },
  });
}

function subdirectoriesOf(listing: EntryBatch): number {
  let count = 0;
  for (let row = listing.mayHave(Kind.directory) ? listing.count - 1 : -1; row >= 0; row--)
    if (isSubdirectory(listing, row)) count++;
  return count;
}

/** Rows that follow as directories of their own; both roles must agree on this. */
export function isSubdirectory(listing: EntryBatch, row: number): boolean {
  return (
    listing.type(row) === FileType.directory &&
    listing.rowStatus(row) === 0 &&
    (listing.rowFlags(row) & RowFlag.skip) === 0
  );
}
