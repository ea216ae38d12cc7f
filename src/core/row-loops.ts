/**
 * Loops over all rows of a listing that a backend may do at once where its memory is. TypeScript has each of them too:
 * what is refused here (a batch of other memory, a row that may not be) is gone over there, which finds the words.
 */
import type { EntryBatch } from "./entry-batch.ts";

/** Columns of a manifest, in the order of `FSY_PACK_*` in `ffi/fsy.h`. */
export const PACKED_COLUMNS = [
  "names",
  "nameLengths",
  "modes",
  "sizes",
  "mtimeSeconds",
  "mtimeNanos",
  "uids",
  "gids",
  "rdevs",
  "nlinks",
  "devs",
  "flags",
  "statuses",
  "attributes",
  "inodes",
  "linkLengths",
  "links",
] as const;
export type PackedColumn = (typeof PACKED_COLUMNS)[number];
export type PackedRows = Readonly<Record<PackedColumn, Uint8Array>>;

/** A source's listing held against its target's. */
export interface RowMatch {
  /** For each source row the target row of the same name, or -1. */
  readonly targetRows: Int32Array;
  /** 1 where both could be read, neither is a directory, and nothing that is ever compared differs. */
  readonly alike: Uint8Array;
  /** How many are. */
  readonly alikeCount: number;
}

/** What is taken from a peer; rows of other kinds are marked as not wanted. */
export interface TakenKinds {
  /** Files arrive without setuid and setgid. */
  readonly stripSetid: boolean;
  readonly devices: boolean;
  /** FIFOs and sockets. */
  readonly specials: boolean;
}

export interface RowLoops {
  match(source: EntryBatch, target: EntryBatch): RowMatch | undefined;
  /** Rows `from`..`to` - 1. `inodes`: of all of them, not only where one has several names. */
  pack(listing: EntryBatch, from: number, to: number, inodes: boolean): PackedRows | undefined;
  /** Columns from a peer into rows `from`..`from + rows - 1`, texts to offset `textAt` of the block. */
  unpack(batch: EntryBatch, from: number, rows: number, textAt: number, packed: PackedRows): boolean;
  /** Whether all rows may be believed; applies what is taken. */
  check(batch: EntryBatch, taken: TakenKinds): boolean;
}
