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
  /** Make it when missing (0700). */
  readonly create: boolean;
  /** Add u+rwx when missing, see `BatchFlag.madeWritable`. */
  readonly writable: boolean;
  /** Only open it and fill the directory's own row. */
  readonly selfOnly: boolean;
  /**
   * With `xattrs`: also trusted.* and security.*. Default: when this process is root. Roles of one run must agree, or
   * their digests differ.
   */
  readonly privileged?: boolean;
}

export type WriteMethod = CopyMethod | "delta" | "none" | "rename";
/** Index = `FSY_METHOD_*`; a rename moves no data and stands behind them. */
export const METHODS: readonly WriteMethod[] = [
  "none",
  "clone",
  "copy_file_range",
  "sendfile",
  "mmap",
  "read_write",
  "delta",
  "rename",
];
/** Index of `rename` in `METHODS`. */
export const METHOD_RENAME = 7;
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
  readonly umask: number;
  readonly backupSuffix: Uint8Array;
  /** See `WalkOptions.privileged`. */
  readonly privileged?: boolean;
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
  /** Row numbers; add `ROW_EXISTS` when something stands under the name in the target. */
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
  /** Everything outstanding answers -ECANCELED soon. */
  cancel(): void;

  walk(parent: DirHandle, name: Uint8Array, options: WalkOptions): Promise<EntryBatch>;
  stat(
    parent: DirHandle,
    names: readonly Uint8Array[],
    options: { xattrs: boolean; acls: boolean; follow: boolean; privileged?: boolean },
  ): Promise<EntryBatch>;
  /** A handle, or a negative errno. Relative, component by component. `operator`: see ffi/fsy.h. */
  resolve(parent: DirHandle, path: Uint8Array, options: { create: boolean; operator: boolean }): Promise<number>;
  prepare(settings: WriteSettings): PreparedSettings;
  copy(request: CopyRequest): Promise<ItemResults>;
  /** Applies metadata of the rows to entries that exist; row `batch.self` is the target directory itself. */
  repair(request: CopyRequest): Promise<ItemResults>;
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
  /** Gives the file at `leader` (relative to `root`) the name `name` in `directory`. 0 or a negative errno. */
  link(root: DirHandle, leader: Uint8Array, directory: DirHandle, name: Uint8Array): Promise<number>;
  hash(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    algorithm: "xxh3-128" | "sha256",
    settings: PreparedSettings,
  ): Promise<ItemResults>;
  rename(source: DirHandle, target: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults>;
  sync(handle: DirHandle, wholeFilesystem: boolean): Promise<number>;
  probe(source: DirHandle, target: DirHandle): Promise<ProbeResult>;
  /** Removes stale temporary files; those of living runs answer -EWOULDBLOCK. */
  sweep(directory: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults>;
  /** Closes without waiting. */
  close(handles: readonly DirHandle[]): void;
  /** Gives the batch's memory back; the batch must not be used again. */
  releaseBatch(batch: EntryBatch): void;
  /** A batch made from fields, in memory that requests accept. */
  makeBatch(entries: readonly EntryFields[], header?: BatchHeader): EntryBatch;
  shutdown(): Promise<void>;
}
