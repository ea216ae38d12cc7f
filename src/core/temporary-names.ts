/** Names of temporary files, as `ffi/publish.c` and the portable twin make them. */
import type { EntryBatch } from "./entry-batch.ts";

const TEMP_PREFIX = new TextEncoder().encode(".fastsync.");

/** `.fastsync.<16 hex>.tmp` or `.part`: made by a run, and by nothing else. */
export function isTemporaryName(batch: EntryBatch, row: number): boolean {
  const length = batch.nameLength(row);
  if (length !== TEMP_PREFIX.length + 20 && length !== TEMP_PREFIX.length + 21) return false;
  const at = batch.nameAt(row);
  const { bytes } = batch;
  for (let i = 0; i < TEMP_PREFIX.length; i++) if (bytes[at + i] !== TEMP_PREFIX[i]) return false;
  for (let i = TEMP_PREFIX.length; i < TEMP_PREFIX.length + 16; i++) {
    const byte = bytes[at + i]!;
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) return false;
  }
  const suffix = String.fromCharCode(...bytes.subarray(at + TEMP_PREFIX.length + 16, at + length));
  return suffix === ".tmp" || suffix === ".part";
}

/** The part of a large file, which a later run may go on from. `row` has a temporary name. */
export function isPartName(batch: EntryBatch, row: number): boolean {
  return batch.bytes[batch.nameAt(row) + batch.nameLength(row) - 1] === 0x74; // the t of .part
}
