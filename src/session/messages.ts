/**
 * What the two roles say to each other. The source offers directories and answers needs; the target compares, asks,
 * writes, and alone decides what to delete. Which process opened the connection plays no part here.
 *
 *     source                                   target
 *       hello        ------------------------>
 *                    <------------------------  hello
 *       directory*   ------------------------>            listing of one directory; parents before children
 *       pruned*      ------------------------>            rows of it that will not come as directories
 *                    <------------------------  need*     rows whose content, attributes or digests are wanted
 *       content*     ------------------------>            one answer per need
 *                    <------------------------  settled   no needs remain among the directory's own entries
 *                    <------------------------  receipts  (move) rows that are durable in the target
 *                    <------------------------  released  the directory and all below it are finished
 *       scanned      ------------------------>            every directory was offered; complete or not
 *                    <------------------------  again     (rare) deletions made room: offer everything once more
 *                    <------------------------  finished
 *       closed       ------------------------>
 */
import type { ContentRange } from "../core/content-range.ts";
import type { EntryBatch } from "../core/entry-batch.ts";
import type { Failure, SkipCounts } from "../core/events.ts";
import type { DirHandle } from "../fs/backend.ts";

/** Number of a directory in this session; the root is 0. Given by the source, never used again. */
export type DirId = number;
export type NeedId = number;

export const PROTOCOL_VERSION = 1;

/**
 * Where the content of rows can be had: in one process the open source directory itself, so that clones and kernel
 * copies apply. Between two processes no such message is sent: the answer to a need is its payload in frames.
 */
export interface Content {
  readonly parts: readonly { readonly handle: DirHandle; readonly rows: Uint32Array }[];
}

export interface MergeFile {
  readonly name: Uint8Array;
  readonly text: Uint8Array;
}

export type SourceMessage =
  | { readonly kind: "hello"; readonly protocolMin: number; readonly protocolMax: number }
  | {
      readonly kind: "directory";
      readonly id: DirId;
      readonly parent: DirId;
      /** Row of this directory in its parent's listing; -1 for the root. */
      readonly parentRow: number;
      /** Sorted; its status says whether it is whole. */
      readonly listing: EntryBatch;
      /** False for a mount point that --one-file-system leaves out: made, but nothing is known of its contents. */
      readonly entered: boolean;
      /** Names the target has and the listing lacks may be deleted here. */
      readonly owned: boolean;
      /** Filter files of this directory, so that the target protects by the very same rules. */
      readonly mergeFiles: readonly MergeFile[];
      /** Rows left out by a reason that the summary counts. */
      readonly skipped: SkipCounts;
    }
  /** Rows of a directory that are directories, and come to nothing: with --prune-empty-dirs they are not offered. */
  | { readonly kind: "pruned"; readonly dir: DirId; readonly rows: Uint32Array; readonly skipped: SkipCounts }
  | { readonly kind: "content"; readonly need: NeedId; readonly content: Content }
  | { readonly kind: "digests"; readonly need: NeedId; readonly digests: readonly (Uint8Array | undefined)[] }
  | { readonly kind: "failure"; readonly failure: Failure; readonly hidesEntries: boolean }
  | {
      readonly kind: "scanned";
      /** Every directory was read to its end. Only then may absence mean anything. */
      readonly complete: boolean;
      /** Entries offered below the source arguments, these not counted. */
      readonly entries: number;
      readonly unmatchedPatterns: readonly string[];
    }
  | { readonly kind: "closed"; readonly sourcesRemoved: number };

/** `range` and `commit`: a large file that comes from another process, see `engine/receive-large.ts`. */
export type NeedPurpose = "content" | "attributes" | "digest" | "range" | "commit";

export type TargetMessage =
  | { readonly kind: "hello"; readonly protocolMin: number; readonly protocolMax: number }
  | {
      readonly kind: "need";
      readonly need: NeedId;
      readonly dir: DirId;
      readonly rows: Uint32Array;
      readonly purpose: NeedPurpose;
      readonly range?: ContentRange;
    }
  | { readonly kind: "settled"; readonly dir: DirId }
  | { readonly kind: "receipts"; readonly dir: DirId; readonly rows: Uint32Array }
  | { readonly kind: "released"; readonly dir: DirId }
  | { readonly kind: "again" }
  | { readonly kind: "finished" };
