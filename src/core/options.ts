/** What a run is asked to do: the resolved form of the command line, free of text parsing. Both roles read it. */
import type { FilterSpec } from "./filter-spec.ts";
import type { OwnerRule } from "./owner-rule.ts";

export type Verb = "copy" | "mirror" | "move" | "check";

export type CopyMethod = "clone" | "copy_file_range" | "sendfile" | "mmap" | "read_write";

export interface CompareOptions {
  readonly checksum: boolean;
  readonly sizeOnly: boolean;
  readonly ignoreTimes: boolean;
  /** mtimes that differ by at most this many nanoseconds count as equal. */
  readonly modifyWindowNs: number;
  /** Leave every existing target entry alone. */
  readonly ignoreExisting: boolean;
  /** Create nothing new. */
  readonly existing: boolean;
  /** Leave targets alone that are newer than their source. */
  readonly update: boolean;
}

export interface PreserveOptions {
  readonly perms: boolean;
  readonly times: boolean;
  readonly dirTimes: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly hardLinks: boolean;
  /** FIFOs, sockets and devices. */
  readonly specials: boolean;
  readonly sparse: boolean;
  readonly numericIds: boolean;
  /** Owner and group that replace the source's; either may be absent. */
  readonly chownUid: number | undefined;
  readonly chownGid: number | undefined;
  /** Owners that become others; the first rule that is about one decides. */
  readonly userMap: readonly OwnerRule[];
  readonly groupMap: readonly OwnerRule[];
}

export interface DeleteOptions {
  readonly enabled: boolean;
  /** Also delete what the filters exclude. */
  readonly excluded: boolean;
  /**
   * The most entries that may be deleted: a count, a share of the target's entries, or the built-in guard (over 100
   * and over half of the target).
   */
  readonly limit: { kind: "guard" } | { kind: "count"; count: number } | { kind: "percent"; percent: number };
  readonly allowEmptySource: boolean;
}

export interface WriteOptions {
  readonly inplace: boolean;
  readonly tempDir: Uint8Array | undefined;
  /** Keep what is replaced or deleted: beside it with the suffix, or below `directory`. */
  readonly backup: { suffix: Uint8Array; directory: Uint8Array | undefined } | undefined;
  readonly resume: boolean;
  readonly fsync: "none" | "file" | "end";
  readonly verify: "none" | "compare" | "readback";
  /** Payload bytes per second; 0: unlimited. */
  readonly rateBytesPerSecond: number;
  /** 0: chosen by the device and the work. */
  readonly workers: number;
  /** Only these methods may move data; undefined: all, in the ladder's order. */
  readonly methods: readonly CopyMethod[] | undefined;
}

/** How content travels; 0 in any of them: as it follows from the work. */
export interface TransferOptions {
  /** Length of the ranges of a large file, a multiple of `LIMITS.basisBlockBytes`. */
  readonly chunkBytes: number;
  /** The most content that is on its way at a time: asked for, and not in its file yet. */
  readonly bufferBytes: number;
  /** Files below travel whole, many at a time. */
  readonly smallFileBytes: number;
  /** What the kernel is to hold for a data connection, on its way out and in. */
  readonly sendBufferBytes: number;
  readonly receiveBufferBytes: number;
}

export const AUTOMATIC_TRANSFER: TransferOptions = {
  chunkBytes: 0,
  bufferBytes: 0,
  smallFileBytes: 0,
  sendBufferBytes: 0,
  receiveBufferBytes: 0,
};

/** Content must not stay in the kernel on its way out: then it is read and written by this process. */
export function avoidsSendfile({ write }: Pick<RunOptions, "write">): boolean {
  return write.methods !== undefined && !write.methods.includes("sendfile");
}

/** Whose run a look for `explain` is about; `any`: no verb was named. */
export const EXPLAINS = ["copy", "mirror", "move", "any"] as const;
export type ExplainedVerb = (typeof EXPLAINS)[number];

export interface RunOptions {
  readonly verb: Verb;
  readonly dryRun: boolean;
  readonly compare: CompareOptions;
  readonly preserve: PreserveOptions;
  readonly delete: DeleteOptions;
  readonly write: WriteOptions;
  readonly transfer: TransferOptions;
  readonly filter: FilterSpec;
  readonly oneFileSystem: boolean;
  /** Sources may be directories. */
  readonly recursive: boolean;
  readonly copyLinks: boolean;
  readonly safeLinks: boolean;
  /** Leave out directories that have nothing but directories in them and below. */
  readonly pruneEmptyDirs: boolean;
  /** Attributes that cannot be applied make the run partial (exit 23). */
  readonly strictAttrs: boolean;
  /** How often a run that failed in a way that may pass is tried again, and the pause before. */
  readonly retry: { readonly attempts: number; readonly waitMs: number };
}
