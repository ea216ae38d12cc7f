/**
 * What can be asked about a place without a session, and how the answers look: the same whether the place is local
 * (`admin/local.ts`) or behind a daemon (`admin/remote.ts`). Answers that may be long come in parts, which are made as they are
 * taken: whoever takes no more stops the work.
 */
import type { FailureCode } from "./events.ts";

/** Entries as columns; value i of each belongs to path i. */
export interface Entries {
  /** Relative to the place of the call; empty: the place itself. */
  readonly paths: Uint8Array[];
  /** With type bits. */
  readonly modes: number[];
  readonly sizes: number[];
  /** Bytes that are allocated. */
  readonly diskSizes: number[];
  readonly mtimeSeconds: number[];
  readonly mtimeNanos: number[];
  readonly uids: number[];
  readonly gids: number[];
  readonly linkCounts: number[];
  /** Texts of symbolic links, empty for other entries; or none at all. */
  readonly links: Uint8Array[];
  /** Names that were not told before in this call. */
  readonly users: Map<number, Uint8Array>;
  readonly groups: Map<number, Uint8Array>;
}

export interface PathFailure {
  /** Relative to the place; empty: the place itself. */
  readonly path: Uint8Array;
  readonly code: FailureCode;
  readonly operation: string;
  /** Positive; 0: none applies. */
  readonly errno: number;
  readonly message: string;
}

export interface ListRequest {
  /** Names that begin with a dot too. */
  readonly all: boolean;
  /** Only names behind this one; empty: from the first. */
  readonly after: Uint8Array;
  /** 0: no limit. */
  readonly limit: number;
  /** The entry itself, also when it is a directory. */
  readonly self: boolean;
}

export interface FindRequest {
  readonly names: readonly Uint8Array[];
  readonly paths: readonly Uint8Array[];
  /** Letters, see `TYPE_LETTERS`; empty: any. */
  readonly types: string;
  readonly minSize: number | undefined;
  readonly maxSize: number | undefined;
  /** Seconds since 1970. */
  readonly modifiedAfter: number | undefined;
  readonly modifiedBefore: number | undefined;
  readonly maxDepth: number | undefined;
  /** 0: no limit. */
  readonly limit: number;
  readonly oneFileSystem: boolean;
}

export interface EntriesPart {
  readonly entries: Entries;
  readonly failures: readonly PathFailure[];
  /** There is more behind the limit. */
  readonly more: boolean;
  /** Of a list: the place is a directory, and these are its entries. */
  readonly isDirectory: boolean;
}

export interface UsageRequest {
  /** Levels that are told; undefined: all. */
  readonly maxDepth: number | undefined;
  readonly oneFileSystem: boolean;
}

export interface DirectoryUsage {
  readonly path: Uint8Array;
  /** Allocated, directories included. */
  readonly diskBytes: number;
  /** Sizes of files and symbolic links. */
  readonly apparentBytes: number;
  readonly files: number;
  readonly directories: number;
}

export interface UsagePart {
  readonly directories: readonly DirectoryUsage[];
  readonly failures: readonly PathFailure[];
}

export interface FilesystemStats {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
  /** 0: no such bound. */
  readonly totalInodes: number;
  readonly freeInodes: number;
  readonly filesystem: string;
  readonly readOnly: boolean;
}

export interface RemoveRequest {
  readonly recursive: boolean;
  readonly dryRun: boolean;
  readonly tellEntries: boolean;
}

export interface RemovedPath {
  /** As it was asked for. */
  readonly path: Uint8Array;
  /** Nothing is left of it. */
  readonly removed: boolean;
  readonly entries: number;
  readonly diskBytes: number;
  /** With type bits; 0: nothing is there, or the daemon does not tell. */
  readonly mode: number;
  readonly isDirectory: boolean;
}

export interface RemovePart {
  readonly paths: readonly RemovedPath[];
  readonly failures: readonly PathFailure[];
  readonly entries: readonly Uint8Array[];
  /** Of the entries, with type bits; none: the daemon does not tell. */
  readonly entryModes: readonly number[];
}

export interface Completions {
  readonly names: readonly Uint8Array[];
  readonly more: boolean;
}

export interface ModuleInfo {
  readonly name: string;
  readonly comment: string;
  readonly readOnly: boolean;
  readonly writeOnly: boolean;
  readonly available: boolean;
}

/** Of one tree: a directory of this machine, or a module. Everything throws RunError for a place that cannot be used. */
export interface TreeCalls {
  list(path: Uint8Array, request: ListRequest): AsyncIterable<EntriesPart>;
  find(path: Uint8Array, request: FindRequest): AsyncIterable<EntriesPart>;
  usage(path: Uint8Array, request: UsageRequest): AsyncIterable<UsagePart>;
  filesystem(path: Uint8Array): Promise<FilesystemStats>;
  complete(path: Uint8Array, request: { limit: number; directoriesOnly: boolean }): Promise<Completions>;
  remove(paths: readonly Uint8Array[], request: RemoveRequest): AsyncIterable<RemovePart>;
}

/** As find(1) has them; the order is that of `FileType`'s values in `typeLetter`. */
export const TYPE_LETTERS = "fdlpscb";
