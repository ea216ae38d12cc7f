/**
 * Frames of the data plane as bytes, see docs/protocol.md: the header of 32 bytes, the record of 80 bytes, and the
 * bounds of everything that a peer may say. Decoding checks each field; what does not fit is a `ProtocolError`.
 */

export const HEADER_BYTES = 32;
export const RECORD_BYTES = 80;
export const HASH_BYTES = 16;
const MAGIC = 0x31445346;
const CRC_AT = 28;
const TWO_32 = 2 ** 32;
const NSEC_MAX = 999_999_999;
const ERRNO_MAX = 4095;

const MIB = 1 << 20;
export const FRAME_LIMITS = {
  shardBytes: 4 * MIB,
  fileBytes: 4 * MIB,
  dataBytes: 8 * MIB,
  /** Blocks of a basis, at most as long as a DATA frame. */
  blockBytesFewest: 4096,
  /** Attributes of one item, all together. */
  attributeBytes: 2 * MIB,
  attributeNameBytes: 255,
  attributeValueBytes: 65_536,
  /** Files from this size on go as FILE, not in shards. */
  shardFileBytes: MIB,
  /** Items with more attributes than this go as FILE. */
  shardAttributeBytes: 256 * 1024,
  /** A shard that holds so much is closed. */
  shardFullBytes: MIB,
} as const;

export const FrameType = { shard: 1, file: 2, data: 3, end: 4, bye: 5 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

export const RecordFlag = { retried: 1, changed: 2, hashed: 4, again: 8, attributesFailed: 16 } as const;
const RECORD_FLAGS = 31;

/** The peer broke the protocol. The stream, and with it the session, cannot go on. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

export function refuse(reason: string): never {
  throw new ProtocolError(reason);
}

export interface FrameHeader {
  readonly type: FrameType;
  /** 1..2^32-1; 0 in BYE. */
  readonly need: number;
  /** SHARD: number of records. */
  readonly item: number;
  /** DATA: position in the file. */
  readonly offset: number;
  /** Payload bytes that follow. */
  readonly length: number;
}

export interface ItemRecord {
  readonly item: number;
  /** 0, or a negative errno. */
  readonly status: number;
  /** 1 open, 2 read; 0 when status is 0. */
  readonly stage: number;
  /** `RecordFlag` bits. */
  readonly flags: number;
  readonly size: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly attributeBytes: number;
  /** Positive with `attributesFailed`, else 0. */
  readonly attributeErrno: number;
  /** END: content bytes that were sent in DATA frames. */
  readonly bytes: number;
  /** `HASH_BYTES`, meaningful with `hashed`. */
  readonly hash: Uint8Array;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
function putUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}
function takeUint64(view: DataView, at: number, what: string): number {
  const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
  return Number.isSafeInteger(value) ? value : refuse(`${what} is not below 2^53`);
}

/** Writes the header at `at`. */
export function encodeHeader(header: FrameHeader, to: Uint8Array, at = 0): void {
  const bytes = to.subarray(at, at + HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, header.type, true);
  view.setUint32(8, header.need, true);
  view.setUint32(12, header.item, true);
  putUint64(view, 16, header.offset);
  view.setUint32(24, header.length, true);
  view.setUint32(CRC_AT, Bun.hash.crc32(bytes.subarray(0, CRC_AT)), true);
}

export function decodeHeader(from: Uint8Array): FrameHeader {
  if (from.length < HEADER_BYTES) refuse("a header is cut off");
  const view = viewOf(from);
  if (view.getUint32(0, true) !== MAGIC) refuse("bad magic");
  if (view.getUint32(CRC_AT, true) !== Bun.hash.crc32(from.subarray(0, CRC_AT))) refuse("bad header checksum");
  const type = view.getUint8(4);
  if (!isFrameType(type)) refuse(`unknown frame type ${type}`);
  if (view.getUint8(5) !== 0) refuse("unknown frame flags");
  if (view.getUint16(6, true) !== 0) refuse("reserved bytes are set");
  const need = view.getUint32(8, true);
  const item = view.getUint32(12, true);
  const offset = takeUint64(view, 16, "an offset");
  const length = view.getUint32(24, true);
  checkLength(type, item, length);
  if (type === FrameType.bye ? need !== 0 || item !== 0 : need === 0) refuse("a need id does not fit the frame");
  if (type !== FrameType.data && offset !== 0) refuse("an offset where none belongs");
  if (!Number.isSafeInteger(offset + length)) refuse("a file cannot be that long");
  return { type, need, item, offset, length };
}

function isFrameType(type: number): type is FrameType {
  return type >= FrameType.shard && type <= FrameType.bye;
}

function checkLength(type: FrameType, item: number, length: number): void {
  switch (type) {
    case FrameType.shard:
      if (length > FRAME_LIMITS.shardBytes) refuse("a shard is too long");
      if (item === 0 || item * RECORD_BYTES > length) refuse("a shard does not hold its records");
      return;
    case FrameType.file:
      if (length > FRAME_LIMITS.fileBytes || length < RECORD_BYTES) refuse("a FILE frame of a wrong length");
      return;
    case FrameType.data:
      if (length > FRAME_LIMITS.dataBytes) refuse("a DATA frame is too long");
      if (length === 0) refuse("a DATA frame without content");
      return;
    case FrameType.end:
      if (length !== RECORD_BYTES) refuse("an END frame of a wrong length");
      return;
    case FrameType.bye:
      if (length !== 0) refuse("a BYE frame with a payload");
      return;
  }
}

export function encodeRecord(record: ItemRecord, to: Uint8Array, at = 0): void {
  const bytes = to.subarray(at, at + RECORD_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, record.item, true);
  view.setInt32(4, record.status, true);
  view.setUint32(8, record.stage, true);
  view.setUint32(12, record.flags, true);
  putUint64(view, 16, record.size);
  view.setBigInt64(24, BigInt(record.mtimeSec), true);
  view.setUint32(32, record.mtimeNsec, true);
  view.setUint32(36, record.mode, true);
  view.setUint32(40, record.uid, true);
  view.setUint32(44, record.gid, true);
  view.setUint32(48, record.attributeBytes, true);
  view.setUint32(52, record.attributeErrno, true);
  putUint64(view, 56, record.bytes);
  bytes.fill(0, 64);
  bytes.set(record.hash.subarray(0, HASH_BYTES), 64);
}

/** The hash is copied out; nothing refers to `from` afterwards. */
export function decodeRecord(from: Uint8Array, at = 0): ItemRecord {
  if (at + RECORD_BYTES > from.length) refuse("a record is cut off");
  const bytes = from.subarray(at, at + RECORD_BYTES);
  const view = viewOf(bytes);
  const mtimeSec = Number(view.getBigInt64(24, true));
  if (!Number.isSafeInteger(mtimeSec)) refuse("a time out of range");
  const record: ItemRecord = {
    item: view.getUint32(0, true),
    status: view.getInt32(4, true),
    stage: view.getUint32(8, true),
    flags: view.getUint32(12, true),
    size: takeUint64(view, 16, "a size"),
    mtimeSec,
    mtimeNsec: view.getUint32(32, true),
    mode: view.getUint32(36, true),
    uid: view.getUint32(40, true),
    gid: view.getUint32(44, true),
    attributeBytes: view.getUint32(48, true),
    attributeErrno: view.getUint32(52, true),
    bytes: takeUint64(view, 56, "a count of bytes"),
    hash: bytes.slice(64),
  };
  checkRecord(record);
  return record;
}

function checkRecord({ status, stage, flags, mtimeNsec, attributeBytes, attributeErrno }: ItemRecord): void {
  if (status > 0 || status < -ERRNO_MAX) refuse("a status that is no errno");
  if (status === 0 ? stage !== 0 : stage !== 1 && stage !== 2) refuse("a stage that does not fit the status");
  if ((flags & ~RECORD_FLAGS) !== 0) refuse("unknown record flags");
  if (mtimeNsec > NSEC_MAX) refuse("nanoseconds out of range");
  if (attributeBytes > FRAME_LIMITS.attributeBytes) refuse("too many bytes of attributes");
  const hasFailed = (flags & RecordFlag.attributesFailed) !== 0;
  if (hasFailed ? attributeErrno < 1 || attributeErrno > ERRNO_MAX : attributeErrno !== 0) {
    refuse("an attribute error that does not fit the flags");
  }
  if (hasFailed && attributeBytes > 0) refuse("attributes beside their failure");
}
