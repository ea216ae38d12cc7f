/**
 * The listing of a directory as a message, and back. Columns stay columns: most of the work is a copy of bytes, and a
 * column whose rows are all alike is one value.
 *
 * What comes from a peer is believed in nothing: each row is checked before it becomes part of a batch.
 */
import { create } from "@bufbuild/protobuf";
import {
  type BatchHeader,
  blankBatch,
  columnBytes,
  compareNames,
  type EntryBatch,
  FileType,
  RowFlag,
} from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import { mapIds, type OwnerNumbers } from "../core/owner-numbers.ts";
import type { PackedRows, RowLoops, TakenKinds } from "../core/row-loops.ts";
import { type Manifest, ManifestSchema } from "./gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const NAME_MOST = 255;
/** A name has a byte, and a zero byte behind it: rows that cost a peer nothing would get memory for nothing. */
const NAME_FEWEST_BYTES = 2;
/** PATH_MAX without its zero byte. */
const LINK_MOST = 4095;
const ERRNO_MOST = 4095;
const SLASH = 0x2f;
const DOT = 0x2e;
const NO_BYTES = new Uint8Array(0);
const KNOWN_FLAGS = RowFlag.sparse | RowFlag.skip | RowFlag.mount | RowFlag.attrFailed | RowFlag.immutable;
const SAFE = Number.MAX_SAFE_INTEGER;

// ---- to a message ---------------------------------------------------------------------------------------------

/** `inodes`: of every row, for a peer on the same machine; otherwise only where names of one inode have to be found. */
export function encodeListing(
  listing: EntryBatch,
  { inodes, loops }: { readonly inodes: boolean; readonly loops: RowLoops | undefined },
): Manifest[] {
  const rows = listing.count + 1;
  const parts: Manifest[] = [];
  for (let from = 0; from < rows; from += LIMITS.manifestRows) {
    const to = Math.min(rows, from + LIMITS.manifestRows);
    const packed = loops?.pack(listing, from, to, inodes) ?? packRows(listing, from, to, inodes);
    const part = create(ManifestSchema, { rows: to - from, ...packed });
    part.more = to < rows;
    parts.push(part);
  }
  parts[0]!.status = listing.status;
  parts[0]!.filesystemType = listing.filesystemType;
  return parts;
}

function packRows(listing: EntryBatch, from: number, to: number, inodes: boolean): PackedRows {
  const u32 = (name: Parameters<EntryBatch["columnOf"]>[0]): Uint8Array =>
    packed(listing.columnOf(name).subarray(from, to));
  const nlinks = listing.columnOf("nlink").subarray(from, to);
  const lengths = listing.columnOf("nameLength").subarray(from, to);
  const linkLengths = listing.columnOf("linkLength").subarray(from, to);
  const flags = listing.columnOf("flags").subarray(from, to);
  let wantsInodes = inodes;
  let hasLinks = false;
  for (let i = 0; i < nlinks.length; i++) {
    if (nlinks[i]! > 1 && listing.type(from + i) !== FileType.directory) wantsInodes = true;
    if (linkLengths[i]! > 0) hasLinks = true;
  }
  return {
    names: packedTexts(listing, from, to, listing.columnOf("nameAt"), lengths),
    nameLengths: packed(narrowed(lengths, Uint16Array)),
    modes: u32("mode"),
    sizes: packed(listing.doublesOf("size").subarray(from, to)),
    mtimeSeconds: packed(listing.doublesOf("mtimeSec").subarray(from, to)),
    mtimeNanos: u32("mtimeNsec"),
    uids: u32("uid"),
    gids: u32("gid"),
    rdevs: u32("rdev"),
    nlinks: packed(nlinks),
    devs: u32("dev"),
    flags: packed(narrowed(flags, Uint8Array)),
    statuses: u32("status"),
    attributes: packedPairs(listing.columnOf("attrLow"), listing.columnOf("attrHigh"), from, to),
    inodes: wantsInodes ? packedPairs(listing.columnOf("inoLow"), listing.columnOf("inoHigh"), from, to) : NO_BYTES,
    linkLengths: hasLinks ? packed(narrowed(linkLengths, Uint16Array)) : NO_BYTES,
    links: hasLinks ? packedTexts(listing, from, to, listing.columnOf("linkAt"), linkLengths) : NO_BYTES,
  };
}

function narrowed<T extends Uint8Array | Uint16Array>(values: Uint32Array, into: new (length: number) => T): T {
  const narrow = new into(values.length);
  for (let i = 0; i < values.length; i++) narrow[i] = values[i]!;
  return narrow;
}

type Column = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** All values, or the only one, or nothing where all are zero. */
function packed(values: Column): Uint8Array {
  const first = values[0]!;
  let i = 1;
  while (i < values.length && values[i] === first) i++;
  const kept = i < values.length ? values : first === 0 ? undefined : values.subarray(0, 1);
  if (kept === undefined) return NO_BYTES;
  return new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength).slice();
}

function packedPairs(low: Uint32Array, high: Uint32Array, from: number, to: number): Uint8Array {
  let any = false;
  for (let row = from; row < to && !any; row++) any = low[row] !== 0 || high[row] !== 0;
  if (!any) return NO_BYTES;
  const pairs = new Uint32Array((to - from) * 2);
  for (let row = from, at = 0; row < to; row++) {
    pairs[at++] = low[row]!;
    pairs[at++] = high[row]!;
  }
  return new Uint8Array(pairs.buffer);
}

/** Texts with a zero byte behind each: one copy where they lie like that already, as a walk leaves them. */
function packedTexts(
  listing: EntryBatch,
  from: number,
  to: number,
  places: Uint32Array,
  lengths: Uint32Array,
): Uint8Array {
  let total = 0;
  let isContiguous = true;
  for (let i = 0; i < lengths.length; i++) {
    if (lengths[i] === 0) continue;
    if (isContiguous && places[from + i] !== places[from]! + total) isContiguous = false;
    total += lengths[i]! + 1;
  }
  const { bytes, at } = listing;
  const start = at + (places[from] ?? 0);
  if (isContiguous && lengths[0] !== 0) return bytes.slice(start, start + total);
  const texts = new Uint8Array(total);
  let end = 0;
  for (let row = from; row < to; row++) {
    const length = lengths[row - from]!;
    if (length === 0) continue;
    const place = at + places[row]!;
    for (let i = 0; i < length; i++) texts[end + i] = bytes[place + i]!;
    end += length + 1;
  }
  return texts;
}

// ---- from messages --------------------------------------------------------------------------------------------

export interface ListingPolicy extends TakenKinds {
  /** Owner and group numbers of the source's machine to those of this one; asked anew for each listing. */
  readonly owners: () => OwnerNumbers | undefined;
}

export interface BatchMemory {
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  readonly at: number;
}

/** Bytes of each row in a column; a column may also be empty, or, but for pairs, hold one value for all. */
const COLUMNS = {
  modes: 4,
  sizes: 8,
  mtimeSeconds: 8,
  mtimeNanos: 4,
  uids: 4,
  gids: 4,
  rdevs: 4,
  nlinks: 4,
  devs: 4,
  statuses: 4,
  flags: 1,
  nameLengths: 2,
  linkLengths: 2,
  attributes: 8,
  inodes: 8,
} as const;
const PAIRS: ReadonlySet<string> = new Set(["attributes", "inodes"]);

/**
 * A part of a directory that arrives in several: bounded before it is kept. `before`: of the parts so far. Returns what it
 * takes in a batch.
 */
export function checkPart(part: Manifest, before: { readonly rows: number; readonly bytes: number }): number {
  const rowsBefore = before.rows;
  if (part.rows < 1 || part.rows > LIMITS.manifestRows) throw new ProtocolViolation(`a manifest of ${part.rows} rows`);
  if (part.more && part.rows !== LIMITS.manifestRows) throw new ProtocolViolation("a short part of a manifest");
  if (rowsBefore + part.rows > LIMITS.directoryRows) throw new ProtocolViolation("a directory with too many entries");
  const texts = part.names.length + part.links.length;
  const isPossible =
    part.names.length >= part.rows * NAME_FEWEST_BYTES &&
    part.names.length <= part.rows * (NAME_MOST + 1) &&
    part.links.length <= part.rows * (LINK_MOST + 1);
  if (!isPossible) throw new ProtocolViolation(`${texts} bytes of names and links for ${part.rows} rows`);
  for (const [name, width] of Object.entries(COLUMNS) as [keyof typeof COLUMNS, number][]) {
    const { length } = part[name];
    if (length === 0 || length === part.rows * width || (length === width && !PAIRS.has(name))) continue;
    throw new ProtocolViolation(`the column ${name} has ${length} bytes for ${part.rows} rows`);
  }
  const bytes = texts + columnBytes(part.rows);
  if (before.bytes + bytes > LIMITS.openBytes) throw new ProtocolViolation("a directory with too many bytes");
  return bytes;
}

/** `memory` gives room for a batch of so many bytes. Throws ProtocolViolation. */
export function decodeListing(
  parts: readonly Manifest[],
  policy: ListingPolicy,
  memory: (bytes: number) => BatchMemory,
  loops: RowLoops | undefined,
): EntryBatch {
  const first = parts[0]!;
  let rows = 0;
  let texts = 0;
  for (const part of parts) {
    rows += part.rows;
    texts += part.names.length + part.links.length;
  }
  if (first.status > 0 || first.status < -ERRNO_MOST)
    throw new ProtocolViolation("a directory with a status that is no errno");
  const total = (columnBytes(rows) + texts + 63) & ~63;
  const header: BatchHeader = { status: first.status, filesystemType: first.filesystemType };
  const batch = blankBatch(rows, total, header, memory(total));
  let row = 0;
  let textAt = columnBytes(rows);
  for (const part of parts) {
    if (loops?.unpack(batch, row, part.rows, textAt, part) !== true) fillRows(batch, row, part, textAt);
    row += part.rows;
    textAt += part.names.length + part.links.length;
  }
  const owners = policy.owners();
  if (owners !== undefined) {
    mapIds(batch.columnOf("uid"), owners.uid);
    mapIds(batch.columnOf("gid"), owners.gid);
  }
  if (loops?.check(batch, policy) !== true) checkRows(batch, policy);
  return batch;
}

function fillRows(batch: EntryBatch, from: number, part: Manifest, textAt: number): void {
  const { rows } = part;
  const column = (name: Parameters<EntryBatch["columnOf"]>[0]): Uint32Array =>
    batch.columnOf(name).subarray(from, from + rows);
  spread(column("mode"), part.modes, "modes");
  spread(batch.doublesOf("size").subarray(from, from + rows), part.sizes, "sizes");
  spread(batch.doublesOf("mtimeSec").subarray(from, from + rows), part.mtimeSeconds, "mtime_seconds");
  spread(column("mtimeNsec"), part.mtimeNanos, "mtime_nanos");
  spread(column("uid"), part.uids, "uids");
  spread(column("gid"), part.gids, "gids");
  spread(column("rdev"), part.rdevs, "rdevs");
  spread(column("nlink"), part.nlinks, "nlinks");
  spread(column("dev"), part.devs, "devs");
  spread(column("status"), part.statuses, "statuses");
  spreadBytes(column("flags"), part.flags, "flags");
  spreadPairs(column("attrLow"), column("attrHigh"), part.attributes, "attributes");
  spreadPairs(column("inoLow"), column("inoHigh"), part.inodes, "inodes");
  placeTexts(batch, column("nameAt"), column("nameLength"), part.names, part.nameLengths, textAt, "names");
  const linksAt = textAt + part.names.length;
  placeTexts(batch, column("linkAt"), column("linkLength"), part.links, part.linkLengths, linksAt, "links");
}

function aligned(bytes: Uint8Array, size: number): ArrayBufferLike {
  if (bytes.byteOffset % size === 0) return bytes.buffer;
  // A Buffer's own slice would be a view.
  return Uint8Array.prototype.slice.call(bytes).buffer;
}

function spread(to: Uint32Array | Float64Array, from: Uint8Array, name: string): void {
  if (from.length === 0) return;
  const width = to.BYTES_PER_ELEMENT;
  if (from.length !== width && from.length !== to.byteLength)
    throw new ProtocolViolation(`the column ${name} has ${from.length} bytes for ${to.length} rows`);
  const buffer = aligned(from, width);
  const at = buffer === from.buffer ? from.byteOffset : 0;
  const values =
    to instanceof Uint32Array
      ? new Uint32Array(buffer, at, from.length / width)
      : new Float64Array(buffer, at, from.length / width);
  if (values.length === to.length) to.set(values);
  else to.fill(values[0]!);
}

function spreadBytes(to: Uint32Array, from: Uint8Array, name: string): void {
  if (from.length === 0) return;
  if (from.length === to.length) to.set(from);
  else if (from.length === 1) to.fill(from[0]!);
  else throw new ProtocolViolation(`the column ${name} has ${from.length} bytes for ${to.length} rows`);
}

function spreadPairs(low: Uint32Array, high: Uint32Array, from: Uint8Array, name: string): void {
  if (from.length === 0) return;
  if (from.length !== low.length * 8)
    throw new ProtocolViolation(`the column ${name} has ${from.length} bytes for ${low.length} rows`);
  const buffer = aligned(from, 4);
  const values = new Uint32Array(buffer, buffer === from.buffer ? from.byteOffset : 0, low.length * 2);
  for (let i = 0; i < low.length; i++) {
    low[i] = values[2 * i]!;
    high[i] = values[2 * i + 1]!;
  }
}

/** Copies the texts as they are and notes where each begins. */
function placeTexts(
  batch: EntryBatch,
  places: Uint32Array,
  lengths: Uint32Array,
  texts: Uint8Array,
  textLengths: Uint8Array,
  at: number,
  name: string,
): void {
  const wide = new Uint32Array(lengths.length);
  if (textLengths.length === 2) wide.fill(textLengths[0]! | (textLengths[1]! << 8));
  else if (textLengths.length === 2 * wide.length)
    for (let i = 0; i < wide.length; i++) wide[i] = textLengths[2 * i]! | (textLengths[2 * i + 1]! << 8);
  else if (textLengths.length !== 0) throw new ProtocolViolation(`the lengths of ${name} do not fit the rows`);
  lengths.set(wide);
  let used = 0;
  for (let i = 0; i < lengths.length; i++) {
    const length = lengths[i]!;
    if (length === 0) continue;
    places[i] = at + used;
    used += length + 1;
  }
  if (used !== texts.length) throw new ProtocolViolation(`${name} of ${texts.length} bytes, ${used} said`);
  batch.bytes.set(texts, batch.at + at);
}

function checkRows(batch: EntryBatch, policy: TakenKinds): void {
  const { bytes, count, self } = batch;
  if (batch.nameLength(self) !== 1 || bytes[batch.nameAt(self)] !== DOT)
    throw new ProtocolViolation("the last row is not the directory itself");
  for (let row = 0; row <= count; row++) {
    if (row < count) checkName(batch, row);
    const size = batch.size(row);
    if (!(size >= 0 && size <= SAFE && Number.isInteger(size))) throw new ProtocolViolation(`a size of ${size}`);
    const seconds = batch.mtimeSec(row);
    if (!Number.isInteger(seconds) || seconds > SAFE || seconds < -SAFE)
      throw new ProtocolViolation(`a time of ${seconds} s`);
    if (batch.mtimeNsec(row) > 999_999_999) throw new ProtocolViolation(`a time of ${batch.mtimeNsec(row)} ns`);
    const status = batch.rowStatus(row);
    if (status > 0 || status < -ERRNO_MOST) throw new ProtocolViolation("a row with a status that is no errno");
    if ((batch.rowFlags(row) & ~KNOWN_FLAGS) !== 0) throw new ProtocolViolation("a row with unknown flags");
    checkType(batch, row, policy);
  }
  if (batch.rowStatus(self) === 0 && batch.type(self) !== FileType.directory)
    throw new ProtocolViolation("a directory that is none");
}

function checkName(batch: EntryBatch, row: number): void {
  const { bytes } = batch;
  const at = batch.nameAt(row);
  const length = batch.nameLength(row);
  if (length === 0 || length > NAME_MOST) throw new ProtocolViolation(`a name of ${length} bytes`);
  if (bytes[at] === DOT && (length === 1 || (length === 2 && bytes[at + 1] === DOT)))
    throw new ProtocolViolation("a name that is . or ..");
  for (let i = at; i < at + length; i++) {
    const byte = bytes[i];
    if (byte === 0 || byte === SLASH) throw new ProtocolViolation("a name with a slash or a zero byte");
  }
  if (bytes[at + length] !== 0) throw new ProtocolViolation("a name without its end");
  if (row === 0) return;
  const order = compareNames(bytes, batch.nameAt(row - 1), batch.nameLength(row - 1), bytes, at, length);
  if (order >= 0) throw new ProtocolViolation("names out of order");
}

function checkType(batch: EntryBatch, row: number, policy: TakenKinds): void {
  const link = batch.linkText(row);
  const mode = batch.mode(row);
  if (mode >>> 16 !== 0) throw new ProtocolViolation("a mode beyond its bits");
  switch (batch.type(row)) {
    case FileType.regular:
      if (policy.stripSetid && (mode & 0o6000) !== 0) batch.columnOf("mode")[row] = mode & ~0o6000;
      break;
    case FileType.directory:
      break;
    case FileType.symlink:
      if (link.length > LINK_MOST || (link.length === 0 && batch.rowStatus(row) === 0))
        throw new ProtocolViolation(`a link of ${link.length} bytes`);
      // It could not be read, and has no text that could end rightly.
      if (link.length === 0) return;
      if (link.includes(0) || batch.bytes[batch.at + batch.columnOf("linkAt")[row]! + link.length] !== 0)
        throw new ProtocolViolation("a link with a zero byte");
      return;
    case FileType.fifo:
    case FileType.socket:
      if (!policy.specials) batch.setRowFlags(row, batch.rowFlags(row) | RowFlag.skip);
      break;
    case FileType.charDevice:
    case FileType.blockDevice:
      if (!policy.devices) batch.setRowFlags(row, batch.rowFlags(row) | RowFlag.skip);
      break;
    default:
      if (batch.rowStatus(row) === 0) throw new ProtocolViolation(`an entry of type ${mode & FileType.mask}`);
  }
  if (link.length > 0) throw new ProtocolViolation("a link text for what is no link");
}
