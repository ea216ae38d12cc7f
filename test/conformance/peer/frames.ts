/** Frames of the data plane by hand, from docs/protocol.md alone. */
import { crc32 } from "node:zlib";

export const SHARD = 1;
export const FILE = 2;
export const DATA = 3;
export const END = 4;
export const BYE = 5;

export interface HeaderFields {
  readonly type: number;
  readonly need?: number;
  readonly item?: number;
  readonly offset?: bigint;
  /** Other than the payload's. */
  readonly length?: number;
  readonly flags?: number;
  readonly reserved?: number;
  readonly magic?: number;
  readonly crc?: number;
}

export function frame(fields: HeaderFields, payload: Uint8Array = new Uint8Array(0)): Buffer {
  const header = Buffer.alloc(32);
  header.writeUInt32LE(fields.magic ?? 0x31445346, 0);
  header.writeUInt8(fields.type, 4);
  header.writeUInt8(fields.flags ?? 0, 5);
  header.writeUInt16LE(fields.reserved ?? 0, 6);
  header.writeUInt32LE(fields.need ?? 0, 8);
  header.writeUInt32LE(fields.item ?? 0, 12);
  header.writeBigUInt64LE(fields.offset ?? 0n, 16);
  header.writeUInt32LE(fields.length ?? payload.length, 24);
  header.writeUInt32LE(fields.crc ?? crc32(header.subarray(0, 28)), 28);
  return Buffer.concat([header, payload]);
}

export interface RecordFields {
  readonly item: number;
  readonly status?: number;
  readonly stage?: number;
  readonly flags?: number;
  readonly size?: bigint;
  readonly mtimeSec?: bigint;
  readonly mtimeNsec?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly attributeBytes?: number;
  readonly attributeErrno?: number;
  readonly bytes?: bigint;
}

export function record(fields: RecordFields): Buffer {
  const bytes = Buffer.alloc(80);
  bytes.writeUInt32LE(fields.item, 0);
  bytes.writeInt32LE(fields.status ?? 0, 4);
  bytes.writeUInt32LE(fields.stage ?? 0, 8);
  bytes.writeUInt32LE(fields.flags ?? 0, 12);
  bytes.writeBigUInt64LE(fields.size ?? 0n, 16);
  bytes.writeBigInt64LE(fields.mtimeSec ?? 0n, 24);
  bytes.writeUInt32LE(fields.mtimeNsec ?? 0, 32);
  bytes.writeUInt32LE(fields.mode ?? 0o100644, 36);
  bytes.writeUInt32LE(fields.uid ?? 0, 40);
  bytes.writeUInt32LE(fields.gid ?? 0, 44);
  bytes.writeUInt32LE(fields.attributeBytes ?? 0, 48);
  bytes.writeUInt32LE(fields.attributeErrno ?? 0, 52);
  bytes.writeBigUInt64LE(fields.bytes ?? 0n, 56);
  return bytes;
}

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, "0")}\0`;

export interface Member {
  readonly name: string;
  readonly content: Uint8Array;
  readonly mode: number;
  readonly mtime: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Other than the content's. */
  readonly size?: number;
}

export function archive(members: readonly Member[]): Buffer {
  const blocks: Buffer[] = [];
  for (const { name, content, mode, mtime, uid, gid, size } of members) {
    const header = Buffer.alloc(512);
    header.write(name, 0, "latin1");
    header.write(octal(mode & 0o7777, 8), 100, "latin1");
    header.write(octal(uid ?? 0, 8), 108, "latin1");
    header.write(octal(gid ?? 0, 8), 116, "latin1");
    header.write(octal(size ?? content.length, 12), 124, "latin1");
    header.write(octal(mtime, 12), 136, "latin1");
    header.write("        0", 148, "latin1");
    header.write("ustar\x0000", 257, "latin1");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    blocks.push(header, Buffer.from(content), Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return members.length === 0 ? Buffer.alloc(0) : Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** A shard that answers items 0.. of a need with these files. */
export function shard(need: number, members: readonly Member[]): Buffer {
  const records = members.map(({ content, mode, mtime, uid, gid }, item) =>
    record({
      item,
      size: BigInt(content.length),
      mtimeSec: BigInt(mtime),
      mode,
      uid: uid ?? 0,
      gid: gid ?? 0,
      bytes: 0n,
    }),
  );
  return frame({ type: SHARD, need, item: members.length }, Buffer.concat([...records, archive(members)]));
}

export const bye = (): Buffer => frame({ type: BYE });

/** The 64 bytes that open a stream. */
export function greetingBytes(index: number, sessionId: Uint8Array, token: Uint8Array): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write("FSDH", 0, "latin1");
  bytes.writeUInt16LE(1, 4);
  bytes.writeUInt16LE(index, 6);
  bytes.set(sessionId.subarray(0, 16), 8);
  bytes.set(token.subarray(0, 32), 24);
  return bytes;
}

export interface ParsedFrame {
  readonly type: number;
  readonly need: number;
  readonly item: number;
  readonly offset: bigint;
  readonly payload: Buffer;
  readonly header: Buffer;
}

/** Whole frames of a stretch of bytes, and what is left of it. Throws when a header is not what the document says. */
export function parseFrames(bytes: Buffer): { frames: ParsedFrame[]; rest: Buffer } {
  const frames: ParsedFrame[] = [];
  let at = 0;
  while (bytes.length - at >= 32) {
    const header = bytes.subarray(at, at + 32);
    if (header.readUInt32LE(0) !== 0x31445346) throw new Error("bad magic");
    if (header.readUInt32LE(28) !== crc32(header.subarray(0, 28))) throw new Error("bad checksum");
    if (header.readUInt8(5) !== 0 || header.readUInt16LE(6) !== 0) throw new Error("flags or reserved bytes are set");
    const length = header.readUInt32LE(24);
    if (bytes.length - at < 32 + length) break;
    frames.push({
      type: header.readUInt8(4),
      need: header.readUInt32LE(8),
      item: header.readUInt32LE(12),
      offset: header.readBigUInt64LE(16),
      payload: bytes.subarray(at + 32, at + 32 + length),
      header,
    });
    at += 32 + length;
  }
  return { frames, rest: bytes.subarray(at) };
}
