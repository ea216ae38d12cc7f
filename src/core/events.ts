/**
 * What a run tells its face while it works and when it ends. One stream, two printers (text and NDJSON).
 * Items come in batches: nothing here is made per file.
 */
import type { EntryBatch } from "./entry-batch.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { CopyMethod } from "./options.ts";

/* Words that scripts may rely on: `docs/schema/events.schema.json` lists the same. */

export const PHASES = ["scanning", "copying", "linking", "deleting", "finishing"] as const;
export type Phase = (typeof PHASES)[number];

/** What happened, or in a dry run what would happen, to an entry. */
export const ACTIONS = [
  "create" /* nothing was there */,
  "update" /* content replaced */,
  "repair" /* only metadata changed */,
  "link" /* became another name of a file */,
  "delete",
  "differ" /* check: the two sides are not equal */,
] as const;
export type Action = (typeof ACTIONS)[number];

export interface ItemsEvent {
  readonly kind: "items";
  readonly action: Action;
  /** The directory's path relative to the root of the run; empty for the root. */
  readonly directory: Uint8Array;
  readonly batch: EntryBatch;
  /** Row numbers; row `batch.self` is the directory itself. Valid only during the call. */
  readonly rows: ArrayLike<number>;
  /** Per row, why (dry runs, check, --itemize): comma-separated words such as `size,mtime`; absent where not asked. */
  readonly reasons?: readonly string[];
}

/** Deletions are known by name only. */
export interface DeleteEvent {
  readonly kind: "delete";
  readonly path: Uint8Array;
  readonly directory: boolean;
}

export const FAILURE_CODES = [
  ...([
    "permission",
    "not_found",
    "vanished",
    "changed_while_reading",
    "no_space",
    "read_only",
    "io",
    "exists",
  ] as const),
  ...(["not_empty", "loop", "name", "unsupported", "verify", "canceled", "limit", "other"] as const),
] as const;
export type FailureCode = (typeof FAILURE_CODES)[number];

export interface Failure {
  readonly code: FailureCode;
  readonly side: "source" | "target";
  /** Relative to the root of the run. */
  readonly path: Uint8Array;
  /** What was being done: `open`, `read`, `create`, ... */
  readonly operation: string;
  /** Positive errno, 0 where none applies. */
  readonly errno: number;
  /** A sentence for people, without the path. */
  readonly message: string;
}

export interface FailureEvent {
  readonly kind: "failure";
  readonly failure: Failure;
}

export interface NoticeEvent {
  readonly kind: "notice";
  readonly level: "info" | "warning";
  /** A stable word for scripts, such as `deletions_disabled`. */
  readonly code: string;
  readonly message: string;
}

export interface PhaseEvent {
  readonly kind: "phase";
  readonly phase: Phase;
}

export type RunEvent = ItemsEvent | DeleteEvent | FailureEvent | NoticeEvent | PhaseEvent;

/** Live counters; the session writes them, faces poll them. All numbers are exact at the end. */
export interface Counters {
  phase: Phase;
  directoriesExamined: number;
  /** Source entries of every type seen, directories included. */
  entriesExamined: number;
  /** Regular files and other non-directories of the source seen. */
  filesExamined: number;
  /** Of those: symbolic links, and what is neither that nor a regular file. */
  symlinksExamined: number;
  specialsExamined: number;
  /** Sizes of the regular files of the source seen. */
  bytesExamined: number;
  scanComplete: boolean;
  /** Sizes of the files whose contents have to be compared, known so far; and of those that were. */
  bytesToCompare: number;
  bytesCompared: number;
  /** Known so far to need content. */
  filesToTransfer: number;
  bytesToTransfer: number;
  filesTransferred: number;
  /** Payload bytes that moved. */
  bytesTransferred: number;
  /** Payload bytes in the target right now, files in progress and clones included: for progress, not for the account. */
  bytesLanded: number;
  /** Logical size of what was transferred (a clone moves 0 bytes but counts here). */
  bytesLogical: number;
  created: number;
  updated: number;
  repaired: number;
  linked: number;
  unchanged: number;
  directoriesCreated: number;
  /** Entries that are about to be deleted; known when all was copied and the guards had no objection. */
  entriesToDelete: number;
  deleted: number;
  sourcesRemoved: number;
  failed: number;
  vanished: number;
  attributeWarnings: number;
}

/** The counters of a run that has not begun. */
export function newCounters(): Counters {
  return {
    phase: "scanning",
    directoriesExamined: 0,
    entriesExamined: 0,
    filesExamined: 0,
    symlinksExamined: 0,
    specialsExamined: 0,
    bytesExamined: 0,
    scanComplete: false,
    bytesToCompare: 0,
    bytesCompared: 0,
    filesToTransfer: 0,
    bytesToTransfer: 0,
    filesTransferred: 0,
    bytesTransferred: 0,
    bytesLanded: 0,
    bytesLogical: 0,
    created: 0,
    updated: 0,
    repaired: 0,
    linked: 0,
    unchanged: 0,
    directoriesCreated: 0,
    entriesToDelete: 0,
    deleted: 0,
    sourcesRemoved: 0,
    failed: 0,
    vanished: 0,
    attributeWarnings: 0,
  };
}

export interface DeletionPlan {
  /** Entries that would be deleted, directories included. */
  readonly entries: number;
  /** Entries that the target has in all. */
  readonly targetEntries: number;
  /** Up to ten examples. */
  readonly sample: readonly Uint8Array[];
}

/** Why entries were left out. */
export const SKIP_REASONS = [
  "excluded",
  "size",
  "age",
  "special",
  "device",
  "unsafe_link",
  "empty_directory",
  "temporary",
  "target_inside_source",
  "earlier_source",
  "existing",
  "newer",
  "missing_in_target",
  "protected",
  "mount_in_target",
  "hard_link_copied",
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];
export type SkipCounts = Readonly<Partial<Record<SkipReason, number>>>;

export function skipEntries(skipped: SkipCounts): [SkipReason, number][] {
  return Object.entries(skipped) as [SkipReason, number][];
}

export interface RunSummary {
  readonly exitCode: ExitCode;
  /** A stable word: `ok`, `partial`, `vanished`, `deletion_refused`, `interrupted`, `source_missing`, ... */
  readonly exitReason: string;
  /** A sentence for people when the exit code is not 0. */
  readonly message: string | undefined;
  /** The run goes on without us, between two daemons: its id, and whose log tells how it ends. */
  readonly job?: { readonly id: string; readonly daemon: string };
  readonly counters: Readonly<Counters>;
  readonly durationMs: number;
  readonly skipped: SkipCounts;
  /** Files by the method that moved them. */
  readonly methods: Readonly<Partial<Record<CopyMethod | "delta" | "rename" | "stream", number>>>;
  /** Fast methods that fell through: why, and how many files tried before the pair of filesystems was known for it. */
  readonly refused: readonly { readonly method: CopyMethod; readonly reason: string; readonly files: number }[];
  readonly plan: { readonly shards: number; readonly bundles: number; readonly large: number; readonly direct: number };
  /** Attributes that could not be applied, grouped. */
  readonly attributeWarnings: readonly {
    readonly attribute: string;
    readonly errno: number;
    readonly entries: number;
    /** Paths of the first of them, relative to the root of the run. */
    readonly examples: readonly Uint8Array[];
  }[];
  /** The first failures in full; `counters.failed` has the number. */
  readonly failures: readonly Failure[];
  /** Filter patterns that matched nothing. */
  readonly unmatchedPatterns: readonly string[];
  /** The engine; undefined where the run ended without telling of it. */
  readonly backend: "native" | "portable" | undefined;
  readonly workers: number | undefined;
  /** Of a run between two processes. */
  readonly network?: NetworkSummary | undefined;
  readonly dryRun: boolean;
}

export interface NetworkSummary {
  /** Streams of its own, or the control connection. */
  readonly carrier: "streams" | "in_stream";
  /** The most that were open at a time. */
  readonly streams: number;
  /** Content with its frames, as it travelled. */
  readonly bytes: number;
  /** From the target's start to the first content that it had whole; undefined: none came. */
  readonly firstContentMs: number | undefined;
  /** Of the line, the shortest that a data connection saw; undefined: none was opened by this side. */
  readonly roundTripMs?: number | undefined;
  /** Streams of which trying has shown that they help; undefined: it was not tried, or did not come to an end. */
  readonly foundStreams?: number | undefined;
}

/** How the face of a run takes part in it. */
export interface RunHooks {
  readonly onEvent: (event: RunEvent) => void;
  /** True when the printer wants `items` events (verbose, dry run, JSON, check). */
  readonly wantsItems: boolean;
  /** With `wantsItems`: items of a real run say why too, which costs a second look at each row that changed. */
  readonly wantsReasons?: boolean;
  /**
   * Asked once, before the first deletion, after the guards. `declined`: exit 25 and the run keeps everything;
   * `unattended`: nobody can be asked and --yes is missing, same effect, other message.
   */
  readonly confirmDeletions: (plan: DeletionPlan) => Promise<"accepted" | "declined" | "unattended">;
  /** Handed over before the first event. */
  readonly onStart: (counters: Readonly<Counters>) => void;
}

/** The summary of a run that ended without giving one: a wrong command line, a crash, a lost connection. */
export function bareSummary(
  ending: Pick<RunSummary, "exitCode" | "exitReason" | "message">,
  counters: Readonly<Counters> = newCounters(),
  durationMs = 0,
): RunSummary {
  return {
    ...ending,
    counters,
    durationMs,
    skipped: {},
    methods: {},
    refused: [],
    plan: { shards: 0, bundles: 0, large: 0, direct: 0 },
    attributeWarnings: [],
    failures: [],
    unmatchedPatterns: [],
    backend: undefined,
    workers: undefined,
    dryRun: false,
  };
}
