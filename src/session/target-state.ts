/** What the target role knows while a session runs, and the effects it can ask for. */
import type { DirectoryDifference } from "../compare/compare-directory.ts";
import type { CompareRules } from "../compare/rules.ts";
import type { EntryBatch } from "../core/entry-batch.ts";
import type { Counters, DeletionPlan, Failure, RunEvent, SkipReason } from "../core/events.ts";
import type { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { joinPath } from "../core/paths.ts";
import type { RowLoops } from "../core/row-loops.ts";
import type { Collected, ExtraneousRecord } from "../engine/extraneous.ts";
import type { DirectoryFilter } from "../filter/filter.ts";
import type { DirHandle, ItemResults } from "../fs/backend.ts";
import { localLimits, Planner, streamLimits, type TaskKind, toldLimits } from "../plan/planner.ts";
import type { Content, DirId, NeedId, NeedPurpose, SourceMessage, TargetMessage } from "./messages.ts";
import type { SpellingGuess } from "./spellings.ts";

export type DirectoryMessage = Extract<SourceMessage, { kind: "directory" }>;

/** `TargetDir.selfNeed` of a directory without attributes of its own, whose counterpart has to lose those it has. */
export const BARE: NeedId = -1;

export interface TargetDir {
  readonly id: DirId;
  readonly parent: TargetDir | undefined;
  readonly parentRow: number;
  readonly name: Uint8Array;
  readonly source: EntryBatch;
  readonly entered: boolean;
  readonly owned: boolean;
  filter: DirectoryFilter;
  target: EntryBatch | undefined;
  /** -1: not open (a dry run of a directory that does not exist, or a failed one). */
  handle: DirHandle;
  created: boolean;
  difference: DirectoryDifference | undefined;
  /** Nothing is to be done here and below: skipped by an option, or impossible. */
  discarded: boolean;
  /** Needs and effects that have not ended. */
  pending: number;
  /** Rows that arrived as directories of their own, one byte each; undefined: none yet. */
  offered: Uint8Array | undefined;
  /** Rows that are directories and will not arrive: with --prune-empty-dirs nothing is in them. */
  pruned: number[];
  /** Subdirectories that have not been released. */
  children: number;
  settled: boolean;
  /** `Difference` bits of the directory itself. */
  selfDifference: number;
  /** An entry in it was made, replaced or renamed (in a dry run: would be), so that its mtime moved. */
  touched: boolean;
  /** Its mode was lifted for the work in it and has to be given back. */
  madeWritable: boolean;
  stamping: boolean;
  /** Access to the source directory's own attributes, where they have to be carried over. */
  selfContent: Content | undefined;
  /** The need that brings them from another process; 0: they are not touched; `BARE`: there are none to bring. */
  selfNeed: NeedId;
  /** Rows that are as they should be in the target: what a move may unlink. */
  receipts: number[];
  /** The directory did not get all the attributes of its source, which a move then keeps. */
  lacksAttributes: boolean;
  /** Target rows of unfinished large files: swept at the directory's end, when those that serve have been adopted. */
  parts: number[];
  path: Uint8Array | undefined;
}

/** Names of one source inode. The first name seen is copied and becomes the leader of the others. */
export interface HardLinkGroup {
  state: "undecided" | "pending" | "done";
  leaderPath: Uint8Array;
  /** Inode of the leader in the target while it is known and unchanged; -1: it is a new file. */
  targetDev: number;
  targetInoLow: number;
  targetInoHigh: number;
  /** Its leader's attributes could not all be applied: a move keeps the sources of all names, which have them. */
  lacksAttributes: boolean;
  /** `isLinked`: the name is one of the leader's inode already, and waits for what its repair comes to. */
  waiting: { dir: TargetDir; row: number; isLinked: boolean }[];
}

export interface Need {
  readonly dir: TargetDir;
  readonly rows: Uint32Array;
  readonly purpose: NeedPurpose;
  readonly task: TaskKind | "self";
  /** Digest needs: the target's own digests, once they are there, and the source's. */
  own: (Uint8Array | undefined)[] | undefined;
  theirs: readonly (Uint8Array | undefined)[] | undefined;
}

export interface AttributeWarning {
  readonly attribute: string;
  readonly errno: number;
  entries: number;
  /** Paths of the first of them. */
  readonly examples: Uint8Array[];
}

export interface TargetState {
  phase: "hello" | "receiving" | "deciding" | "deleting" | "syncing" | "closing" | "done" | "failed";
  readonly options: RunOptions;
  /** More may become known of how the target keeps times. */
  rules: CompareRules;
  readonly loops: RowLoops | undefined;
  readonly rootFilter: DirectoryFilter;
  readonly wantsItems: boolean;
  readonly wantsReasons: boolean;
  readonly counters: Counters;
  readonly planner: Planner;
  /** Who reads and who writes, for people; an empty one, or none: not known. */
  readonly doers: Readonly<Record<"source" | "target", string>> | undefined;
  /** How content comes: through the source's open directories, or in frames that answer a need. */
  readonly payload: "handles" | "streams";
  /** What may stand in the root's listing when it comes from another process: names (latin1), and whether directories. */
  readonly asked: ReadonlyMap<string, boolean> | undefined;
  /** Device and inode numbers of source and target mean the same: both are on one machine. */
  readonly sharesInodes: boolean;
  /** The run ends with the source's last word; false: with our own "finished", because whoever waits for the end hears it. */
  readonly waitsForClosed: boolean;
  pass: number;
  /** The pass whose root was offered last. */
  rootPass: number;
  readonly dirs: Map<DirId, TargetDir>;
  /** Directories that arrived before their parent was compared, by parent. */
  readonly waiting: Map<DirId, DirectoryMessage[]>;
  /** The ids of those, with the entries of each. */
  readonly waitingIds: Map<DirId, number>;
  /** Rows that come to nothing, of those. */
  readonly waitingPruned: Map<DirId, number[]>;
  readonly needs: Map<NeedId, Need>;
  nextNeed: NeedId;
  readonly links: Map<string, HardLinkGroup>;
  scanned: Extract<SourceMessage, { kind: "scanned" }> | undefined;
  /** Something in the source could not be read: absence proves nothing in this run. */
  sourceIncomplete: boolean;
  readonly extraneous: ExtraneousRecord[];
  extraneousEntries: number;
  /** `counters.deleted` when these deletions began. */
  deletedBefore: number;
  targetEntries: number;
  /** Names where a directory must be deleted before a file can take its place. */
  conflicts: number;
  deletionRefused: string | undefined;
  /** Moves: finished directories whose content is not yet durable. */
  awaitingSync: TargetDir[];
  awaitingEntries: number;
  /** Directories of a move that are made durable at a time. */
  readonly flushDirectories: number;
  syncing: boolean;
  stopped: boolean;
  /** A condition of the whole target (full, read-only) that ended the run. */
  fatal: { readonly exitCode: ExitCode; readonly reason: string; readonly message: string } | undefined;
  /** Effects outstanding, whatever they are. */
  outstanding: number;
  readonly skipped: Map<SkipReason, number>;
  readonly methods: Map<string, number>;
  /** Methods that fell through to the next, with the last errno and how many files tried them. */
  readonly refused: Map<string, { errno: number; files: number }>;
  readonly warnings: Map<string, AttributeWarning>;
  readonly failures: Failure[];
  /** `dev:inoHigh:inoLow` of directories that serve the run itself and are never extraneous. */
  readonly keptInodes: Set<string>;
  sourcesRemoved: number;
}

export type TargetEvent =
  | { readonly kind: "start" }
  | { readonly kind: "message"; readonly message: SourceMessage }
  | { readonly kind: "opened"; readonly dir: TargetDir; readonly batch: EntryBatch }
  /** The listing with names as the source spells them; undefined: they are different entries. */
  | { readonly kind: "respelled"; readonly dir: TargetDir; readonly batch: EntryBatch | undefined }
  | {
      readonly kind: "copied";
      readonly dir: TargetDir;
      readonly task: TaskKind;
      readonly rows: Uint32Array;
      readonly results: ItemResults;
    }
  | { readonly kind: "repaired"; readonly dir: TargetDir; readonly rows: Uint32Array; readonly results: ItemResults }
  | { readonly kind: "linked"; readonly dir: TargetDir; readonly row: number; readonly status: number }
  | { readonly kind: "digested"; readonly need: NeedId; readonly digests: (Uint8Array | undefined)[] }
  | { readonly kind: "collected"; readonly dir: TargetDir; readonly collected: Collected }
  | { readonly kind: "swept"; readonly dir: TargetDir }
  | { readonly kind: "stamped"; readonly dir: TargetDir; readonly results: ItemResults }
  | { readonly kind: "confirmed"; readonly answer: "accepted" | "declined" | "unattended" }
  | { readonly kind: "deleted"; readonly entries: number; readonly failures: readonly Failure[] }
  | { readonly kind: "synced"; readonly status: number }
  | { readonly kind: "stop" };

export type TargetEffect =
  | { readonly kind: "send"; readonly message: TargetMessage }
  | { readonly kind: "report"; readonly event: RunEvent }
  | {
      readonly kind: "open";
      readonly dir: TargetDir;
      readonly create: boolean /** Row of the parent's target listing that must go first, or -1. */;
      readonly removeFirst: number;
    }
  | { readonly kind: "respell"; readonly dir: TargetDir; readonly guesses: readonly SpellingGuess[] }
  | {
      readonly kind: "copy";
      readonly dir: TargetDir;
      readonly source: DirHandle;
      /** The need whose answer is the content; 0: it is read below `source`. */
      readonly need: NeedId;
      readonly rows: Uint32Array;
      readonly task: TaskKind;
    }
  | {
      readonly kind: "repair";
      readonly dir: TargetDir;
      readonly source: DirHandle;
      readonly need: NeedId;
      readonly rows: Uint32Array;
    }
  | { readonly kind: "link"; readonly dir: TargetDir; readonly row: number; readonly leader: Uint8Array }
  | { readonly kind: "digest"; readonly need: NeedId; readonly dir: TargetDir; readonly rows: Uint32Array }
  | { readonly kind: "collect"; readonly dir: TargetDir; readonly rows: readonly number[] }
  | { readonly kind: "sweep"; readonly dir: TargetDir; readonly rows: readonly number[] }
  | { readonly kind: "stamp"; readonly dir: TargetDir }
  | { readonly kind: "close"; readonly dir: TargetDir }
  | { readonly kind: "confirm"; readonly plan: DeletionPlan }
  | { readonly kind: "delete"; readonly records: readonly ExtraneousRecord[] }
  | { readonly kind: "sync" }
  | { readonly kind: "finish" }
  | { readonly kind: "protocol-error"; readonly reason: string };

export function targetState(options: {
  options: RunOptions;
  rules: CompareRules;
  loops?: RowLoops | undefined;
  rootFilter: DirectoryFilter;
  wantsItems: boolean;
  wantsReasons?: boolean;
  counters: Counters;
  doers?: TargetState["doers"];
  payload?: TargetState["payload"];
  asked?: TargetState["asked"];
  sharesInodes?: boolean;
  waitsForClosed?: boolean;
  flushDirectories?: number;
}): TargetState {
  return {
    phase: "hello",
    options: options.options,
    rules: options.rules,
    loops: options.loops,
    rootFilter: options.rootFilter,
    wantsItems: options.wantsItems,
    wantsReasons: options.wantsReasons ?? false,
    counters: options.counters,
    planner: new Planner(
      toldLimits(
        options.payload === "streams"
          ? streamLimits(options.options.write.resume, options.options.transfer.bufferBytes)
          : localLimits(options.options.write.methods),
        options.options.transfer,
      ),
    ),
    doers: options.doers,
    payload: options.payload ?? "handles",
    asked: options.asked,
    sharesInodes: options.sharesInodes ?? true,
    waitsForClosed: (options.waitsForClosed ?? true) || options.options.verb === "move",
    pass: 1,
    rootPass: 0,
    dirs: new Map(),
    waiting: new Map(),
    waitingIds: new Map(),
    waitingPruned: new Map(),
    needs: new Map(),
    nextNeed: 1,
    links: new Map(),
    scanned: undefined,
    sourceIncomplete: false,
    extraneous: [],
    extraneousEntries: 0,
    deletedBefore: 0,
    targetEntries: 0,
    conflicts: 0,
    deletionRefused: undefined,
    awaitingSync: [],
    awaitingEntries: 0,
    flushDirectories: Math.min(options.flushDirectories ?? Infinity, LIMITS.moveFlushDirectories),
    syncing: false,
    stopped: false,
    fatal: undefined,
    outstanding: 0,
    skipped: new Map(),
    methods: new Map(),
    refused: new Map(),
    warnings: new Map(),
    failures: [],
    keptInodes: new Set(),
    sourcesRemoved: 0,
  };
}

/** Path relative to the root of the run; empty for the root. */
export function pathOf(dir: TargetDir): Uint8Array {
  if (dir.path === undefined)
    dir.path = dir.parent === undefined ? new Uint8Array(0) : joinPath(pathOf(dir.parent), dir.name);
  return dir.path;
}

export function rowPath(dir: TargetDir, row: number): Uint8Array {
  return row === dir.source.self ? pathOf(dir) : joinPath(pathOf(dir), dir.source.name(row));
}

/** A run that shows what it would do. `check` is one as well. */
export function touchesNothing(state: TargetState): boolean {
  return state.options.dryRun || state.options.verb === "check";
}

export function addTo<K>(map: Map<K, number>, key: K, count: number): void {
  if (count !== 0) map.set(key, (map.get(key) ?? 0) + count);
}
