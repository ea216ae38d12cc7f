/**
 * Members of the ustar archive within a shard: regular files with names of bytes, long ones by GNU's long-name member.
 * Only what docs/protocol.md describes is read; anything else that tar knows is a `ProtocolError`.
 */
import { refuse } from "./frames.ts";

export const BLOCK_BYTES = 512;
/** Two blocks of zeros. */
export const ARCHIVE_END_BYTES = 2 * BLOCK_BYTES;
const NAME_BYTES = 100;
const NAME_MAX = 255;
const SIZE_AT = 124;
const CHECKSUM_AT = 148;
const TYPE_AT = 156;
const MAGIC_AT = 257;
const REGULAR = 0x30;
const LONG_NAME = 0x4c;
const ID_MAX = 0o7777777;
const TIME_MAX = 0o77777777777;
const LONG_LINK = new TextEncoder().encode("././@LongLink");
const POSIX_MAGIC = new TextEncoder().encode("ustar\x0000");
const GNU_MAGIC = new TextEncoder().encode("ustar  \0");

export interface MemberFields {
  readonly name: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSec: number;
}

export interface Member {
  readonly name: Uint8Array;
  readonly size: number;
  /** Where the content begins, and where the next member does. */
  readonly contentAt: number;
  readonly next: number;
}

export function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Bytes before the content of a member with a name of that length. */
export function memberHeaderBytes(nameBytes: number): number {
  return nameBytes > NAME_BYTES ? 2 * BLOCK_BYTES + padded(nameBytes + 1) : BLOCK_BYTES;
}

/** Writes all that stands before the content, at `at`; returns where the content begins. */
export function writeMemberHeader(to: Uint8Array, at: number, member: MemberFields): number {
  let next = at;
  if (member.name.length > NAME_BYTES) {
    const size = member.name.length + 1;
    const link = { name: LONG_LINK, mode: 0o644, uid: 0, gid: 0, size, mtimeSec: 0 };
    writeBlock(to.subarray(next, next + BLOCK_BYTES), link, LONG_NAME);
    next += BLOCK_BYTES;
    to.fill(0, next, next + padded(size));
    to.set(member.name, next);
    next += padded(size);
  }
  writeBlock(to.subarray(next, next + BLOCK_BYTES), member, REGULAR);
  return next + BLOCK_BYTES;
}

function writeBlock(block: Uint8Array, { name, mode, uid, gid, size, mtimeSec }: MemberFields, type: number): void {
  block.fill(0);
  block.set(name.subarray(0, NAME_BYTES));
  writeOctal(block, NAME_BYTES, 7, mode & 0o7777);
  writeOctal(block, 108, 7, uid > ID_MAX ? 0 : uid);
  writeOctal(block, 116, 7, gid > ID_MAX ? 0 : gid);
  writeOctal(block, SIZE_AT, 11, size);
  writeOctal(block, 136, 11, Math.min(Math.max(mtimeSec, 0), TIME_MAX));
  block[TYPE_AT] = type;
  block.set(POSIX_MAGIC, MAGIC_AT);
  writeOctal(block, CHECKSUM_AT, 6, checksum(block));
  block[CHECKSUM_AT + 7] = 0x20;
}

function writeOctal(block: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = digits - 1; i >= 0; i--) {
    block[at + i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  block[at + digits] = 0;
}

/** The sum of all bytes, those of the checksum itself taken as spaces. */
function checksum(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK_BYTES; i++) if (i < CHECKSUM_AT || i >= CHECKSUM_AT + 8) sum += block[i]!;
  return sum;
}

/** The member at `at`; the name is a view of `archive`. */
export function readMember(archive: Uint8Array, at: number): Member {
  let block = blockAt(archive, at);
  let next = at + BLOCK_BYTES;
  let name: Uint8Array | undefined;
  if (block[TYPE_AT] === LONG_NAME) {
    const size = readOctal(block, SIZE_AT, 12);
    if (size < NAME_BYTES + 2 || size > NAME_MAX + 1) refuse("a long name of a wrong length");
    if (next + padded(size) > archive.length) refuse("an archive is cut off");
    name = archive.subarray(next, next + size - 1);
    if (archive[next + size - 1] !== 0 || name.includes(0)) refuse("a long name without its end");
    next += padded(size);
    block = blockAt(archive, next);
    next += BLOCK_BYTES;
  }
  if (block[TYPE_AT] !== REGULAR) refuse("a member that is no regular file");
  const size = readOctal(block, SIZE_AT, 12);
  if (next + padded(size) > archive.length) refuse("an archive is cut off");
  return { name: name ?? shortName(block), size, contentAt: next, next: next + padded(size) };
}

function shortName(block: Uint8Array): Uint8Array {
  const end = block.indexOf(0);
  return block.subarray(0, end < 0 || end > NAME_BYTES ? NAME_BYTES : end);
}

function blockAt(archive: Uint8Array, at: number): Uint8Array {
  if (at + BLOCK_BYTES > archive.length) refuse("an archive is cut off");
  const block = archive.subarray(at, at + BLOCK_BYTES);
  const magic = block.subarray(MAGIC_AT, MAGIC_AT + 8);
  if (Buffer.compare(magic, POSIX_MAGIC) !== 0 && Buffer.compare(magic, GNU_MAGIC) !== 0) refuse("not a ustar member");
  if (readOctal(block, CHECKSUM_AT, 8) !== checksum(block)) refuse("a member's checksum is wrong");
  return block;
}

/** Octal digits, ended by NUL, space or the field's end. */
function readOctal(block: Uint8Array, at: number, width: number): number {
  let value = 0;
  let i = 0;
  for (; i < width; i++) {
    const digit = block[at + i]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  const end = block[at + i];
  if (i === 0 || (i < width && end !== 0 && end !== 0x20)) refuse("a member's number is not octal");
  return value;
}

/** The archive must end at `at` with two blocks of zeros, and nothing behind them. */
export function checkArchiveEnd(archive: Uint8Array, at: number): void {
  if (archive.length !== at + ARCHIVE_END_BYTES) refuse("an archive of a wrong length");
  for (let i = at; i < archive.length; i++) if (archive[i] !== 0) refuse("an archive without its end");
}
