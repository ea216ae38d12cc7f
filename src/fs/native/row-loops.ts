/** `RowLoops` in C, over batches that lie in the arena. */
import { NO_ROOM, PACK_COLUMN_COUNT, PACK_WITH_INODES, RowCheck } from "../../../ffi/fsy.ts";
import type { EntryBatch } from "../../core/entry-batch.ts";
import {
  PACKED_COLUMNS,
  type PackedColumn,
  type PackedRows,
  type RowLoops,
  type RowMatch,
  type TakenKinds,
} from "../../core/row-loops.ts";
import type { RequestRing } from "./request-ring.ts";

const FIRST_ROOM_BYTES = 64 << 10;

export class NativeRowLoops implements RowLoops {
  private readonly ring: RequestRing;
  private readonly lengths = new Uint32Array(PACK_COLUMN_COUNT);
  private readonly table = new Uint32Array(2 * PACK_COLUMN_COUNT);
  private scratch = new Uint8Array(FIRST_ROOM_BYTES);

  constructor(ring: RequestRing) {
    this.ring = ring;
  }

  match(source: EntryBatch, target: EntryBatch): RowMatch | undefined {
    if (source.count === 0 || !this.ring.holds(source.u32) || !this.ring.holds(target.u32)) return undefined;
    const targetRows = new Int32Array(source.count);
    const alike = new Uint8Array(source.count);
    const alikeCount = this.ring.calls.matchRows(source.at, target.at, targetRows, alike);
    return alikeCount < 0 ? undefined : { targetRows, alike, alikeCount };
  }

  pack(listing: EntryBatch, from: number, to: number, inodes: boolean): PackedRows | undefined {
    if (!this.ring.holds(listing.u32)) return undefined;
    const flags = inodes ? PACK_WITH_INODES : 0;
    let total: number;
    for (;;) {
      total = this.ring.calls.packRows(listing.at, from, to, flags, this.scratch, this.lengths);
      if (total !== NO_ROOM) break;
      this.scratch = new Uint8Array(this.scratch.length * 2);
    }
    if (total < 0) return undefined;
    const packed = this.scratch.slice(0, total);
    const columns: Partial<Record<PackedColumn, Uint8Array>> = {};
    let at = 0;
    for (let i = 0; i < PACK_COLUMN_COUNT; i++) {
      const end = at + this.lengths[i]!;
      columns[PACKED_COLUMNS[i]!] = packed.subarray(at, end);
      at = end;
    }
    return columns as PackedRows;
  }

  unpack(batch: EntryBatch, from: number, rows: number, textAt: number, packed: PackedRows): boolean {
    if (!this.ring.holds(batch.u32)) return false;
    // They are views of one message; where they are not, it is no loss to go the other way.
    const { buffer } = packed.names;
    for (let i = 0; i < PACK_COLUMN_COUNT; i++) {
      const column = packed[PACKED_COLUMNS[i]!];
      if (column.length > 0 && column.buffer !== buffer) return false;
      this.table[2 * i] = column.length > 0 ? column.byteOffset : 0;
      this.table[2 * i + 1] = column.length;
    }
    return this.ring.calls.unpackRows(batch.at, from, rows, textAt, buffer, this.table) === 0;
  }

  check(batch: EntryBatch, taken: TakenKinds): boolean {
    if (!this.ring.holds(batch.u32)) return false;
    const flags =
      (taken.stripSetid ? RowCheck.stripSetid : 0) |
      (taken.devices ? RowCheck.devices : 0) |
      (taken.specials ? RowCheck.specials : 0);
    return this.ring.calls.checkRows(batch.at, flags) === 0;
  }
}
