/**
 * The one door to files. Two implementations with the same behaviour: `src/fs/native` drives the C library by
 * submit and reap, `src/fs/portable` does the same on node:fs. Every call is a batch; no call is made per file on
 * the hot path, and no call here throws for what a file system answers: directory-wide errors are negative errnos in
 * the reply, per-entry errors are in `ItemResults`.
 *
 * Descriptors: a `DirHandle` is a held open directory. Everything goes below one, component by component, and never
 * through a symbolic link unless a flag says so. Whoever receives a handle closes it.
 */
import type { BatchHeader, EntryBatch, EntryFields } from "../core/entry-batch.ts";
import type { CopyMethod } from "../core/options.ts";
import type { RowLoops } from "../core/row-loops.ts";
import type { TimeKeeping } from "./filesystems.ts";

/** A descriptor number, or `WORKING_DIRECTORY` for paths that the operator gave. */
export type DirHandle = number & { readonly brand?: "DirHandle" };
export const WORKING_DIRECTORY: DirHandle = -100;
export const NO_HANDLE: DirHandle = -1;

export interface WalkOptions {
  readonly xattrs: boolean;
  readonly acls: boolean;
  /** Rows describe what links point at. */
  readonly follow: boolean;
  /** The directory itself may be a symbolic link. */
  readonly openFollow: boolean;
  /** Make it when missing (0700). One that is listed under another spelling is not it: -EEXIST. */
  readonly create: boolean;
  /** Add u+rwx when missing, see `BatchFlag.madeWritable`. */
  readonly writable: boolean;
  /** Only open it and fill the directory's own row. */
  readonly selfOnly: boolean;
  /**
   * Reading the directory leaves its access time: where it belongs to this process's user, or that is root, and the
   * backend can. A link's is another matter: reading it changes it.
   */
  readonly noAtime?: boolean;
  /**
   * With `xattrs`: also trusted.* and security.*. Default: when this process is root. Roles of one run must agree, or
   * their digests differ.
   */
  readonly privileged?: boolean;
  /** See `Confinement`. */
  readonly confine?: Confinement;
  /** Without `xattrs` and `acls`: rows tell what is allocated for them (`EntryBatch.blocks`). */
  readonly blocks?: boolean;
}

/** Of `stat`; as for a walk. */
export interface StatOptions {
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly follow: boolean;
  readonly privileged?: boolean;
  readonly confine?: Confinement;
  readonly blocks?: boolean;
}

/**
 * `confine`, in walks, stats and settings: a held directory which no link that is followed may lead out of, whatever
 * happens to the tree meanwhile. One that climbs above it, or is absolute, answers -EXDEV, and what it leads to is not
 * looked at. Only where `BackendCapabilities.confinesLinks`; elsewhere such a call rejects.
 */
export type Confinement = DirHandle;

export type WriteMethod = CopyMethod | "delta" | "none" | "rename" | "stream";
/** Index = `FSY_METHOD_*`; a rename moves no data, a stream brings it from another process: they stand behind them. */
export const METHODS: readonly WriteMethod[] = [
  "none",
  "clone",
  "copy_file_range",
  "sendfile",
  "mmap",
  "read_write",
  "delta",
  "rename",
  "stream",
];
/** Index of `rename` in `METHODS`. */
export const METHOD_RENAME = 7;
export const METHOD_STREAM = 8;
/** Index = `FSY_STAGE_*`. */
export const STAGES = [
  "",
  "open",
  "read",
  "create",
  "write",
  "set attributes of",
  "verify",
  "sync",
  "back up",
  "publish",
  "delete",
] as const;

export const Warning = { owner: 1, group: 2, mode: 4, times: 8, xattr: 16, acl: 32, setid: 64 } as const;
export const ItemFlag = { retried: 1, changed: 2, replaced: 4, backedUp: 8 } as const;

/** One result per row, in the order of the request. Columns are `count` long. Free with `release`. */
export interface ItemResults {
  readonly count: number;
  /** 0 or a negative errno. */
  status(index: number): number;
  /** Index into `STAGES`. */
  stage(index: number): number;
  /** Index into `METHODS`. */
  method(index: number): number;
  /** Bit mask `1 << method` of methods that fell through. */
  refused(index: number): number;
  /** Positive errno of the last of them; 0: none was refused. */
  refusedErrno(index: number): number;
  /** `Warning` bits. */
  warnings(index: number): number;
  warningErrno(index: number): number;
  /** `ItemFlag` bits. */
  flags(index: number): number;
  /** Payload bytes that moved. */
  bytes(index: number): number;
  /** Size of the file as it was read. */
  size(index: number): number;
  /** For hash requests: 16 or 32 bytes. */
  digest(index: number): Uint8Array;
  release(): void;
}

/** How files are written; made once per run with `Backend.writeOptions`. */
export interface WriteSettings {
  readonly perms: boolean;
  readonly times: boolean;
  readonly dirTimes: boolean;
  readonly linkTimes: boolean;
  readonly owner: boolean;
  readonly group: boolean;
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly sparse: boolean;
  readonly inplace: boolean;
  readonly fsync: boolean;
  readonly verify: "none" | "compare" | "readback";
  readonly noAtime: boolean;
  readonly follow: boolean;
  readonly delta: boolean;
  /** undefined: all, in the ladder's order. */
  readonly methods: readonly CopyMethod[] | undefined;
  readonly chownUid: number | undefined;
  readonly chownGid: number | undefined;
  /** Owner and group are those of the row, also where the file has others by the time it is read. */
  readonly rowOwners: boolean;
  readonly umask: number;
  readonly backupSuffix: Uint8Array;
  /** See `WalkOptions.privileged`. */
  readonly privileged?: boolean;
  /** See `Confinement`; it stays open as long as the settings are used. */
  readonly confine?: Confinement;
}
/** An opaque, backend-made form of `WriteSettings`. */
export interface PreparedSettings {
  readonly settings: WriteSettings;
  readonly token: number;
}

export interface CopyRequest {
  readonly source: DirHandle;
  readonly target: DirHandle;
  readonly backup?: DirHandle;
  readonly temp?: DirHandle;
  readonly batch: EntryBatch;
  /**
   * Row numbers; add `ROW_EXISTS` when something stands under the name in the target. Without it a name that is taken is
   * replaced too, but not when it is listed under another spelling: then the answer is -EEXIST.
   */
  readonly rows: Uint32Array;
  readonly settings: PreparedSettings;
  /** Target name of a single row, when it is not the row's own name. */
  readonly targetName?: Uint8Array;
}
export const ROW_EXISTS = 0x80000000;

export interface LargeRequest extends CopyRequest {
  /** Adopt the part that an interrupted run left. */
  readonly resume: boolean;
}

export interface LargeFile {
  readonly status: number;
  readonly stage: number;
  readonly source: number;
  readonly temp: number;
  /** Everything is already there: the source was cloned. */
  readonly cloned: boolean;
  readonly size: number;
  /** Bytes that the temporary file already has (not yet verified); ranges below must be copied with `compare`. */
  readonly basisBytes: number;
  readonly refused: number;
  readonly refusedErrno: number;
}

export interface RangeResult {
  readonly status: number;
  readonly stage: number;
  readonly bytes: number;
  /** Index into `METHODS`. */
  readonly method: number;
  readonly refused: number;
}

/** Id of a need within its session; frames of the answer carry it. 1..2^32-1. */
export type NeedNumber = number;

/** How a stream between two processes ended. */
export interface StreamEnd {
  /** 0: by BYE, or because it was told to; else a negative errno, -EPROTO for a peer that broke the protocol. */
  readonly status: number;
  /** What was wrong, for the log; empty when nothing was. */
  readonly detail: string;
  /** Bytes in both directions, frames included. */
  readonly bytes: number;
}

/** A connected socket that carries frames in one direction; see docs/protocol.md. */
export interface WireStream {
  readonly ended: Promise<StreamEnd>;
  /** Bytes so far, frames included. */
  bytes(): number;
  /** Sending: finishes the request at hand, says BYE, closes. Receiving: stops at once. Idempotent. */
  end(): void;
}

/** What a source answers a need with. Every row becomes an item. */
export type SendRequest = {
  readonly need: NeedNumber;
  /** Directory below which the rows are read; the directory itself is the row `batch.self`. */
  readonly source: DirHandle;
  /** The source's own listing. */
  readonly batch: EntryBatch;
  readonly rows: Uint32Array;
  /** Item of each row; absent: row i is item i. */
  readonly items?: Uint32Array;
  readonly settings: PreparedSettings;
} & (
  | { readonly purpose: "content" | "attributes" }
  /**
   * One row: the file must still be what the row says; its attributes. It is another one: the row says from then on what
   * it is now, and so does the answer.
   */
  | { readonly purpose: "commit" }
  /** One row: a stretch of its content. */
  | {
      readonly purpose: "range";
      readonly offset: number;
      readonly length: number;
      /** XXH3-128 of each `blockBytes` of the target's stretch (the last one may be shorter); absent: send all data. */
      readonly basis?: { readonly blockBytes: number; readonly digests: Uint8Array };
    }
);

/** What a target does with the answer to a need. */
export interface ReceiveRequest extends Omit<CopyRequest, "source"> {
  readonly need: NeedNumber;
  /** `content` writes the rows, `attributes` repairs them (row `batch.self`: the directory `target` itself). */
  readonly purpose: "content" | "attributes";
}

export interface ProbeResult {
  readonly sameFilesystem: boolean;
  /** By method: 0 works, negative errno: why not, 1: not tried. */
  readonly methods: Readonly<Record<CopyMethod, number>>;
  readonly tmpfile: number;
  readonly xattrs: number;
  readonly acls: number;
  readonly hardLinks: number;
  readonly symlinks: number;
  readonly specials: number;
  readonly sparse: number;
  readonly caseInsensitive: boolean;
  readonly timeGranularityNs: number;
  readonly targetFilesystemType: number;
  readonly sourceFilesystemType: number;
  readonly targetDev: number;
  readonly sourceDev: number;
}

/** What an implementation can carry; where it cannot, the session says so instead of pretending. */
export interface BackendCapabilities {
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly specials: boolean;
  readonly hardLinks: boolean;
  readonly sparse: boolean;
  /** Links can be followed without leaving a directory, see `Confinement`. */
  readonly confinesLinks: boolean;
  /** Steps in which mtimes can be set. */
  readonly timeGranularityNs: number;
  readonly methods: readonly CopyMethod[];
}

export interface Backend {
  readonly kind: "native" | "portable";
  /** Why this one serves: `native library ffi/build/libfsy.so`, `FASTSYNC_NATIVE=off`, `no compiler`, ... */
  readonly reason: string;
  readonly capabilities: BackendCapabilities;
  readonly workers: number;
  /** Requests that may wait at the same time; callers stay below. */
  readonly maxOutstanding: number;

  setWorkers(workers: number): void;
  setRate(bytesPerSecond: number): void;
  /** Payload bytes landed so far, large files in progress included. */
  bytesDone(): number;
  /** Everything outstanding answers -ECANCELED soon, and streams end with it: one that stopped in a frame is of no use. */
  cancel(): void;
  /**
   * Cancels, streams too, and resolves when nothing uses a descriptor or a batch any more, nor what callers sent on
   * hearing that (their cleaning up). What is sent afterwards runs again.
   */
  quiet(): Promise<void>;

  /** Loops over its batches that it does faster than TypeScript. */
  readonly loops: RowLoops | undefined;

  walk(parent: DirHandle, name: Uint8Array, options: WalkOptions): Promise<EntryBatch>;
  stat(parent: DirHandle, names: readonly Uint8Array[], options: StatOptions): Promise<EntryBatch>;
  /** A handle, or a negative errno. Relative, component by component. `operator`: see ffi/fsy.h. */
  resolve(parent: DirHandle, path: Uint8Array, options: { create: boolean; operator: boolean }): Promise<number>;
  prepare(settings: WriteSettings): PreparedSettings;
  copy(request: CopyRequest): Promise<ItemResults>;
  /**
   * Applies metadata of the rows to entries that exist; row `batch.self` is the target directory itself. With `source`
   * NO_HANDLE the rows have no attributes: those that the target's entries carry go, the directory's own too. Settings
   * without `xattrs` and `acls` leave them alone.
   */
  repair(request: CopyRequest): Promise<ItemResults>;
  /** With `source` NO_HANDLE the content comes from another process: `receiveRange` and `receiveCommit` follow. */
  largeBegin(request: LargeRequest): Promise<LargeFile>;
  largeRange(
    file: LargeFile,
    offset: number,
    length: number,
    compare: boolean,
    settings: PreparedSettings,
  ): Promise<RangeResult>;
  largeCommit(file: LargeFile, request: LargeRequest): Promise<ItemResults>;
  largeAbort(file: LargeFile, request: LargeRequest, keepPart: boolean): Promise<void>;
  /** `same`: only what is still the entry of the row (device, inode, size, mtime), else -ESTALE. */
  remove(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    options: { same: boolean; backup?: DirHandle; settings?: PreparedSettings },
  ): Promise<ItemResults>;
  /**
   * Gives the file at `leader` (relative to `root`) the name `name` in `directory`, in the place of what stands there.
   * 0 or a negative errno. `exists`: the name is listed there. `kept`: where what stands there is kept.
   */
  link(
    root: DirHandle,
    leader: Uint8Array,
    directory: DirHandle,
    name: Uint8Array,
    exists: boolean,
    kept?: { readonly backup: DirHandle; readonly settings: PreparedSettings },
  ): Promise<number>;
  hash(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    algorithm: "xxh3-128" | "sha256",
    settings: PreparedSettings,
  ): Promise<ItemResults>;
  /**
   * Hands a connected stream socket to the backend, which duplicates the descriptor: the caller closes its own. No other
   * reader or writer may use it from then on. `idleMs`: a peer that takes or gives nothing for so long while a frame is
   * under way ends the stream with -ETIMEDOUT; between frames a receiving stream waits for ever.
   */
  openStream(fd: number, direction: "send" | "receive", options: { idleMs: number }): WireStream;
  /**
   * Sends by whichever sending stream is free first, in the order of the calls. The results say what the items became
   * for the source; the target hears the same in the records. Rejects nothing: when no stream is left all items answer
   * -EPIPE.
   */
  send(request: SendRequest): Promise<ItemResults>;
  /**
   * Expects the answer to a need on any receiving stream. To be called before the need is sent. Items that no longer can
   * come (the last receiving stream ended) answer -EPIPE. `signal`less: `cancel()` answers -ECANCELED.
   */
  receive(request: ReceiveRequest): Promise<ItemResults>;
  /** Expects the content of a range of a large file that was begun without a source. */
  receiveRange(
    need: NeedNumber,
    file: LargeFile,
    offset: number,
    length: number,
    settings: PreparedSettings,
  ): Promise<RangeResult>;
  /**
   * Expects the answer to a commit need, then finishes the file as `largeCommit` does. Closes its descriptors. When the
   * source's file is another one now (-EBUSY, `ItemFlag.changed`) the row has its size, mtime and permissions
   * afterwards, and the file can be begun again. A `file` whose `temp` is NO_HANDLE only asks: where nothing changed the
   * answer is -EBADF.
   */
  receiveCommit(need: NeedNumber, file: LargeFile, request: LargeRequest): Promise<ItemResults>;
  /** XXH3-128 of each `blockBytes` of a stretch of the large file's temporary, 16 bytes each; or a negative errno. */
  hashBlocks(file: LargeFile, offset: number, length: number, blockBytes: number): Promise<Uint8Array | number>;
  rename(source: DirHandle, target: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults>;
  sync(handle: DirHandle, wholeFilesystem: boolean): Promise<number>;
  probe(source: DirHandle, target: DirHandle): Promise<ProbeResult>;
  /**
   * How times are kept in a directory that may be written in; nothing of the trial can be seen there afterwards. Undefined
   * when that cannot be tried.
   */
  probeTimes(directory: DirHandle): Promise<TimeKeeping | undefined>;
  /** Removes stale temporary files; those of living runs answer -EWOULDBLOCK. */
  sweep(directory: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults>;
  /** Closes without waiting. */
  close(handles: readonly DirHandle[]): void;
  /** Gives the batch's memory back; the batch must not be used again. */
  releaseBatch(batch: EntryBatch): void;
  /** Memory that requests accept, 64-byte aligned, for a batch to be built in (see `EntryBatch`). Not zeroed. */
  batchMemory(bytes: number): { bytes: Uint8Array; u32: Uint32Array; f64: Float64Array; at: number };
  /** A batch made from fields, in memory that requests accept. */
  makeBatch(entries: readonly EntryFields[], header?: BatchHeader): EntryBatch;
  shutdown(): Promise<void>;
}
