/** One entry with every field, from a row of a batch or from stat(2). */
import type fs from "node:fs";
import { type EntryBatch, type EntryFields, FileType, RowFlag } from "../../core/entry-batch.ts";

export type Entry = Required<Omit<EntryFields, "name" | "linkText">> & {
  readonly name: Uint8Array;
  readonly linkText: Uint8Array;
};

/** major << 20 | minor of a dev_t as glibc packs it. */
export function packDevice(dev: bigint): number {
  const major = Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n));
  const minor = Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n));
  return ((major << 20) | (minor & 0xfffff)) >>> 0;
}

const NANOS = 1_000_000_000n;
function floorSeconds(nanos: bigint): bigint {
  const seconds = nanos / NANOS;
  return nanos % NANOS < 0n ? seconds - 1n : seconds;
}

export function entryOfStat(name: Uint8Array, stats: fs.BigIntStats, linkText: Uint8Array = new Uint8Array(0)): Entry {
  const mtimeSec = floorSeconds(stats.mtimeNs);
  const ctimeSec = floorSeconds(stats.ctimeNs);
  const mode = Number(stats.mode);
  const isSparse = (mode & FileType.mask) === FileType.regular && stats.blocks * 512n < stats.size;
  return {
    name,
    linkText,
    size: Number(stats.size),
    mtimeSec: Number(mtimeSec),
    mtimeNsec: Number(stats.mtimeNs - mtimeSec * NANOS),
    ctimeSec: Number(BigInt.asUintN(32, ctimeSec)),
    ctimeNsec: Number(stats.ctimeNs - ctimeSec * NANOS),
    mode,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    nlink: Number(stats.nlink),
    inoLow: Number(BigInt.asUintN(32, stats.ino)),
    inoHigh: Number(BigInt.asUintN(32, stats.ino >> 32n)),
    dev: packDevice(stats.dev),
    rdev: packDevice(stats.rdev),
    attrLow: 0,
    attrHigh: 0,
    flags: isSparse ? RowFlag.sparse : 0,
    status: 0,
  };
}

/** A row copied out of its batch, which may be released while the work goes on. */
export function entryOfRow(batch: EntryBatch, row: number): Entry {
  return {
    name: batch.name(row).slice(),
    linkText: batch.linkText(row).slice(),
    size: batch.size(row),
    mtimeSec: batch.mtimeSec(row),
    mtimeNsec: batch.mtimeNsec(row),
    ctimeSec: batch.ctimeSec(row),
    ctimeNsec: batch.ctimeNsec(row),
    mode: batch.mode(row),
    uid: batch.uid(row),
    gid: batch.gid(row),
    nlink: batch.nlink(row),
    inoLow: batch.inoLow(row),
    inoHigh: batch.inoHigh(row),
    dev: batch.dev(row),
    rdev: batch.rdev(row),
    attrLow: batch.attrLow(row),
    attrHigh: batch.attrHigh(row),
    flags: batch.rowFlags(row),
    status: batch.rowStatus(row),
  };
}

export function typeOf(mode: number | bigint): number {
  return Number(mode) & FileType.mask;
}

export function isSameInode(a: fs.BigIntStats, b: fs.BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** The file is still the one described: type, size, mtime, ctime, inode. */
export function isUnchanged(entry: Entry, stats: fs.BigIntStats): boolean {
  const now = entryOfStat(entry.name, stats);
  return (
    typeOf(entry.mode) === typeOf(now.mode) &&
    entry.size === now.size &&
    entry.mtimeSec === now.mtimeSec &&
    entry.mtimeNsec === now.mtimeNsec &&
    entry.ctimeSec === now.ctimeSec &&
    entry.ctimeNsec === now.ctimeNsec &&
    entry.inoLow === now.inoLow &&
    entry.inoHigh === now.inoHigh
  );
}
