/**
 * A batch of directory entries: columns in one block of bytes, names as bytes.
 *
 * The layout is that of `fsy_batch` in `ffi/fsy.h` and is the same wherever a batch was made: by a native walk (the
 * block then lies in the arena), by the portable twin, or from the wire. A batch does not own memory it can free;
 * its maker does (see `Backend.release`).
 *
 * Rows 0..count-1 are sorted by name (unsigned bytes, shorter first). Row `count` is the directory itself.
 */

export const BATCH_MAGIC = 0x31425346;
const HEADER_BYTES = 64;
/** Word of the header; 0: not known. */
const KINDS_WORD = 7;
const F64_COLUMNS = 2;

/** Order of the 4-byte columns; the same as the enum in `ffi/fsy.h`, compared by a test. */
export const U32_COLUMNS = [
  "mtimeNsec",
  "ctimeSec",
  "ctimeNsec",
  "mode",
  "uid",
  "gid",
  "nlink",
  "inoLow",
  "inoHigh",
  "dev",
  "rdev",
  "attrLow",
  "attrHigh",
  "nameAt",
  "nameLength",
  "linkAt",
  "linkLength",
  "flags",
  "status",
] as const;
const COLUMN = Object.fromEntries(U32_COLUMNS.map((name, index) => [name, index])) as Record<
  (typeof U32_COLUMNS)[number],
  number
>;
const {
  mtimeNsec: MTIME_NSEC,
  ctimeSec: CTIME_SEC,
  ctimeNsec: CTIME_NSEC,
  mode: MODE,
  uid: UID,
  gid: GID,
  nlink: NLINK,
  inoLow: INO_LOW,
  inoHigh: INO_HIGH,
  dev: DEV,
  rdev: RDEV,
  attrLow: ATTR_LOW,
  attrHigh: ATTR_HIGH,
  nameAt: NAME_AT,
  nameLength: NAME_LENGTH,
  linkAt: LINK_AT,
  linkLength: LINK_LENGTH,
  flags: FLAGS,
  status: STATUS,
} = COLUMN;

export const RowFlag = {
  /** Fewer blocks are allocated than the size needs. */
  sparse: 1,
  /** Present in the source, but not to be transferred nor deleted (size or age limit, special file not wanted). */
  skip: 2,
  /** The entry is a mount point: another filesystem begins here. */
  mount: 4,
  /** xattrs or ACLs could not be read; everything else is true. */
  attrFailed: 8,
  /** Immutable or append-only. */
  immutable: 16,
} as const;

export const BatchFlag = {
  created: 1,
  /** The listing stopped early; `status` says why. What is here is true, but absence proves nothing. */
  partial: 2,
  madeWritable: 4,
  /** (`selfOnly`) ext2/3/4 without room for nanoseconds and years after 2038. */
  smallInodes: 8,
} as const;

/**
 * What there may be among the rows of a batch, its own row left out where nothing else is said. Where it is known a missing bit means that there is
 * none: whoever looks for such rows need not look. Rows that are dropped or changed later never make it wrong.
 */
export const Kind = {
  known: 1,
  directory: 2,
  symlink: 4,
  /** FIFO, socket, device, or of no known type. */
  special: 8,
  /** A status, or attributes that could not be read. */
  failed: 16,
  /** `RowFlag.skip`. */
  skipped: 32,
  /** Several names of one inode that is no directory. */
  linked: 64,
  /** A name that begins like those of temporary files. */
  ours: 128,
  /** More than one owner or group, the directory's own included. */
  owners: 256,
  /** An mtime before 1970 or after 2038, the directory's own included. */
  farTimes: 512,
} as const;

/** File type bits of a mode (stat(2)). */
export const FileType = {
  mask: 0o170000,
  fifo: 0o010000,
  charDevice: 0o020000,
  directory: 0o040000,
  blockDevice: 0o060000,
  regular: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
} as const;

const NO_BYTES = new Uint8Array(0);

export class EntryBatch {
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  /** Byte offset of the block in the three views. */
  readonly at: number;
  /** Entries, without the directory's own row. */
  readonly count: number;
  private readonly rows: number;
  private readonly base8: number;
  private readonly base4: number;

  constructor(bytes: Uint8Array, u32: Uint32Array, f64: Float64Array, at: number) {
    this.bytes = bytes;
    this.u32 = u32;
    this.f64 = f64;
    this.at = at;
    this.count = u32[(at >> 2) + 1]!;
    this.rows = this.count + 1;
    this.base8 = (at + HEADER_BYTES) >> 3;
    this.base4 = (at + HEADER_BYTES + F64_COLUMNS * 8 * this.rows) >> 2;
  }

  get totalBytes(): number {
    return this.u32[(this.at >> 2) + 2]!;
  }
  /** Descriptor of the directory, or -1. The receiver closes it. */
  get dirfd(): number {
    return this.u32[(this.at >> 2) + 3]! | 0;
  }
  /** 0, or a negative errno when the directory could not be opened or read to its end. */
  get status(): number {
    return this.u32[(this.at >> 2) + 4]! | 0;
  }
  get flags(): number {
    return this.u32[(this.at >> 2) + 5]!;
  }
  /** statfs f_type of the directory; 0 when unknown. */
  get filesystemType(): number {
    return this.u32[(this.at >> 2) + 6]!;
  }
  /** Whether a row may be of one of these `Kind`s (bits). False is certain; true may mean that it is not known. */
  mayHave(kinds: number): boolean {
    const known = this.u32[(this.at >> 2) + KINDS_WORD]!;
    return known === 0 || (known & kinds) !== 0;
  }
  private addKinds(kinds: number): void {
    const word = (this.at >> 2) + KINDS_WORD;
    if (this.u32[word] !== 0) this.u32[word] = this.u32[word]! | kinds;
  }
  /** The row of the directory itself. */
  get self(): number {
    return this.count;
  }

  /** The values of one 4-byte column for all rows, the directory's own included; a view. */
  columnOf(name: (typeof U32_COLUMNS)[number]): Uint32Array {
    const from = this.base4 + COLUMN[name] * this.rows;
    return this.u32.subarray(from, from + this.rows);
  }
  /** Sizes, or whole seconds of the modification times, of all rows; a view. */
  doublesOf(name: "size" | "mtimeSec"): Float64Array {
    const from = this.base8 + (name === "size" ? 0 : this.rows);
    return this.f64.subarray(from, from + this.rows);
  }

  private column(column: number, row: number): number {
    return this.u32[this.base4 + column * this.rows + row]!;
  }
  private setColumn(column: number, row: number, value: number): void {
    this.u32[this.base4 + column * this.rows + row] = value;
  }

  size(row: number): number {
    return this.f64[this.base8 + row]!;
  }
  /** Whole seconds since 1970, may be negative. */
  mtimeSec(row: number): number {
    return this.f64[this.base8 + this.rows + row]!;
  }
  mtimeNsec(row: number): number {
    return this.column(MTIME_NSEC, row);
  }
  ctimeSec(row: number): number {
    return this.column(CTIME_SEC, row);
  }
  ctimeNsec(row: number): number {
    return this.column(CTIME_NSEC, row);
  }
  /** Mode with type bits. */
  mode(row: number): number {
    return this.column(MODE, row);
  }
  type(row: number): number {
    return this.column(MODE, row) & FileType.mask;
  }
  uid(row: number): number {
    return this.column(UID, row);
  }
  gid(row: number): number {
    return this.column(GID, row);
  }
  nlink(row: number): number {
    return this.column(NLINK, row);
  }
  inoLow(row: number): number {
    return this.column(INO_LOW, row);
  }
  inoHigh(row: number): number {
    return this.column(INO_HIGH, row);
  }
  /** major << 20 | minor */
  dev(row: number): number {
    return this.column(DEV, row);
  }
  rdev(row: number): number {
    return this.column(RDEV, row);
  }
  attrLow(row: number): number {
    return this.column(ATTR_LOW, row);
  }
  attrHigh(row: number): number {
    return this.column(ATTR_HIGH, row);
  }
  /** What is allocated, in units of 512 bytes; of a batch that was made with `blocks`. */
  blocks(row: number): number {
    return this.column(ATTR_LOW, row) + this.column(ATTR_HIGH, row) * 2 ** 32;
  }
  rowFlags(row: number): number {
    return this.column(FLAGS, row);
  }
  setRowFlags(row: number, flags: number): void {
    this.setColumn(FLAGS, row, flags);
    if ((flags & RowFlag.skip) !== 0) this.addKinds(Kind.skipped);
  }
  /** 0, or a negative errno of this entry's stat. */
  rowStatus(row: number): number {
    return this.column(STATUS, row) | 0;
  }
  setRowStatus(row: number, status: number): void {
    this.setColumn(STATUS, row, status);
    if (status !== 0) this.addKinds(Kind.failed);
  }
  /** Replaces what `fields` has; name and link text stay. */
  renew(row: number, fields: Omit<Partial<EntryFields>, "name" | "linkText">): void {
    this.u32[(this.at >> 2) + KINDS_WORD] = 0;
    for (const name of U32_COLUMNS) {
      const value = name in fields ? fields[name as keyof typeof fields] : undefined;
      if (value !== undefined) this.setColumn(COLUMN[name], row, value);
    }
    if (fields.size !== undefined) this.f64[this.base8 + row] = fields.size;
    if (fields.mtimeSec !== undefined) this.f64[this.base8 + this.rows + row] = fields.mtimeSec;
  }
  /** Offset of the name in `bytes`. */
  nameAt(row: number): number {
    return this.at + this.column(NAME_AT, row);
  }
  nameLength(row: number): number {
    return this.column(NAME_LENGTH, row);
  }
  /** A view of the name; valid as long as the block is. */
  name(row: number): Uint8Array {
    const from = this.nameAt(row);
    return this.bytes.subarray(from, from + this.nameLength(row));
  }
  /** A view of the symlink's text; empty for other entries. */
  linkText(row: number): Uint8Array {
    const at = this.column(LINK_AT, row);
    if (at === 0) return NO_BYTES;
    return this.bytes.subarray(this.at + at, this.at + at + this.column(LINK_LENGTH, row));
  }

  /**
   * Keeps only the rows that `keep` accepts, in order, in place. The directory's own row stays. Returns the batch to
   * use from now on: the count is part of the layout, so the old object must not be used again.
   */
  filter(keep: (row: number) => boolean): EntryBatch {
    let row = 0;
    while (row < this.count && keep(row)) row++;
    if (row === this.count) return this;
    const kept: number[] = Array.from({ length: row }, (_, index) => index);
    for (row++; row < this.count; row++) if (keep(row)) kept.push(row);
    kept.push(this.count);
    const rows = kept.length;
    // Columns only move towards the front, and each column's new place ends before the next old one begins.
    for (let column = 0; column < F64_COLUMNS; column++) {
      const from = this.base8 + column * this.rows;
      const to = this.base8 + column * rows;
      for (let i = 0; i < rows; i++) this.f64[to + i] = this.f64[from + kept[i]!]!;
    }
    const newBase4 = (this.at + HEADER_BYTES + F64_COLUMNS * 8 * rows) >> 2;
    for (let column = 0; column < U32_COLUMNS.length; column++) {
      const from = this.base4 + column * this.rows;
      const to = newBase4 + column * rows;
      for (let i = 0; i < rows; i++) this.u32[to + i] = this.u32[from + kept[i]!]!;
    }
    this.u32[(this.at >> 2) + 1] = rows - 1;
    return new EntryBatch(this.bytes, this.u32, this.f64, this.at);
  }
}

/** Bytes of a batch of so many rows (the directory's own included) without its names and link texts. */
export function columnBytes(rows: number): number {
  return HEADER_BYTES + rows * (F64_COLUMNS * 8 + U32_COLUMNS.length * 4);
}

/**
 * An empty batch of `rows` rows over memory of `total` bytes: the header is set, all columns are zero, and names and
 * link texts belong behind `columnBytes(rows)`.
 */
export function blankBatch(
  rows: number,
  total: number,
  header: BatchHeader,
  { bytes, u32, f64, at }: { bytes: Uint8Array; u32: Uint32Array; f64: Float64Array; at: number },
): EntryBatch {
  const head = at >> 2;
  u32.fill(0, head, head + (columnBytes(rows) >> 2));
  u32[head] = BATCH_MAGIC;
  u32[head + 1] = rows - 1;
  u32[head + 2] = total;
  u32[head + 3] = header.dirfd ?? -1;
  u32[head + 4] = header.status ?? 0;
  u32[head + 5] = header.flags ?? 0;
  u32[head + 6] = header.filesystemType ?? 0;
  return new EntryBatch(bytes, u32, f64, at);
}

/** What one entry says, for makers of batches that do not come from a native walk. */
export interface EntryFields {
  readonly name: Uint8Array;
  readonly size?: number;
  readonly mtimeSec?: number;
  readonly mtimeNsec?: number;
  readonly ctimeSec?: number;
  readonly ctimeNsec?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly nlink?: number;
  readonly inoLow?: number;
  readonly inoHigh?: number;
  readonly dev?: number;
  readonly rdev?: number;
  readonly attrLow?: number;
  readonly attrHigh?: number;
  readonly linkText?: Uint8Array;
  readonly flags?: number;
  readonly status?: number;
}

export interface BatchHeader {
  readonly dirfd?: number;
  readonly status?: number;
  readonly flags?: number;
  readonly filesystemType?: number;
}

/** Bytes that a batch of these entries (the directory's own row included in the array) occupies. */
export function batchBytes(entries: readonly EntryFields[]): number {
  let bytes = HEADER_BYTES + entries.length * (F64_COLUMNS * 8 + U32_COLUMNS.length * 4);
  for (const entry of entries) {
    bytes += entry.name.length + 1;
    if (entry.linkText !== undefined) bytes += entry.linkText.length + 1;
  }
  return (bytes + 63) & ~63;
}

/**
 * Builds a batch in `views` at byte offset `at` (64-byte aligned, room for `batchBytes`), or in fresh memory. The last
 * entry is the directory itself. The caller sorts.
 */
export function buildBatch(
  entries: readonly EntryFields[],
  header: BatchHeader = {},
  views?: { bytes: Uint8Array; u32: Uint32Array; f64: Float64Array; at: number },
): EntryBatch {
  const total = batchBytes(entries);
  let target = views;
  if (target === undefined) {
    const buffer = new ArrayBuffer(total);
    target = { bytes: new Uint8Array(buffer), u32: new Uint32Array(buffer), f64: new Float64Array(buffer), at: 0 };
  }
  const { bytes, u32, f64, at } = target;
  const rows = entries.length;
  const head = at >> 2;
  u32.fill(0, head, head + HEADER_BYTES / 4);
  u32[head] = BATCH_MAGIC;
  u32[head + 1] = rows - 1;
  u32[head + 2] = total;
  u32[head + 3] = header.dirfd ?? -1;
  u32[head + 4] = header.status ?? 0;
  u32[head + 5] = header.flags ?? 0;
  u32[head + 6] = header.filesystemType ?? 0;
  const base8 = (at + HEADER_BYTES) >> 3;
  const base4 = (at + HEADER_BYTES + F64_COLUMNS * 8 * rows) >> 2;
  let blob = HEADER_BYTES + rows * (F64_COLUMNS * 8 + U32_COLUMNS.length * 4);
  for (let row = 0; row < rows; row++) {
    const entry = entries[row]!;
    const set = (column: number, value: number | undefined): void => {
      u32[base4 + column * rows + row] = value ?? 0;
    };
    f64[base8 + row] = entry.size ?? 0;
    f64[base8 + rows + row] = entry.mtimeSec ?? 0;
    set(MTIME_NSEC, entry.mtimeNsec);
    set(CTIME_SEC, entry.ctimeSec);
    set(CTIME_NSEC, entry.ctimeNsec);
    set(MODE, entry.mode);
    set(UID, entry.uid);
    set(GID, entry.gid);
    set(NLINK, entry.nlink ?? 1);
    set(INO_LOW, entry.inoLow);
    set(INO_HIGH, entry.inoHigh);
    set(DEV, entry.dev);
    set(RDEV, entry.rdev);
    set(ATTR_LOW, entry.attrLow);
    set(ATTR_HIGH, entry.attrHigh);
    set(FLAGS, entry.flags);
    set(STATUS, entry.status);
    set(NAME_AT, blob);
    set(NAME_LENGTH, entry.name.length);
    bytes.set(entry.name, at + blob);
    bytes[at + blob + entry.name.length] = 0;
    blob += entry.name.length + 1;
    if (entry.linkText === undefined) {
      set(LINK_AT, 0);
      set(LINK_LENGTH, 0);
    } else {
      set(LINK_AT, blob);
      set(LINK_LENGTH, entry.linkText.length);
      bytes.set(entry.linkText, at + blob);
      bytes[at + blob + entry.linkText.length] = 0;
      blob += entry.linkText.length + 1;
    }
  }
  return new EntryBatch(bytes, u32, f64, at);
}

/** Copies one row's fields out, for merging listings and for tests. */
export function rowFields(batch: EntryBatch, row: number): EntryFields {
  const link = batch.linkText(row);
  return {
    name: batch.name(row).slice(),
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
    ...(batch.type(row) === FileType.symlink ? { linkText: link.slice() } : {}),
  };
}

/** Orders two names as batches are ordered: unsigned bytes, a prefix first. */
export function compareNames(
  a: Uint8Array,
  aAt: number,
  aLength: number,
  b: Uint8Array,
  bAt: number,
  bLength: number,
): number {
  const shared = aLength < bLength ? aLength : bLength;
  for (let i = 0; i < shared; i++) {
    const difference = a[aAt + i]! - b[bAt + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
