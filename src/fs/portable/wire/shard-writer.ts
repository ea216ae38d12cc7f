/** A shard in the making: records, attributes and ustar bytes of many small items, see docs/protocol.md. */
import {
  encodeHeader,
  encodeRecord,
  FRAME_LIMITS,
  FrameType,
  HEADER_BYTES,
  type ItemRecord,
  RECORD_BYTES,
} from "../../../core/frames.ts";
import { ARCHIVE_END_BYTES, memberHeaderBytes, padded, writeMemberHeader } from "../../../core/ustar.ts";

/** What a shard holds before it is full, and one more member with the longest name. */
const TAR_BYTES =
  FRAME_LIMITS.shardFullBytes + memberHeaderBytes(255) + FRAME_LIMITS.shardFileBytes + ARCHIVE_END_BYTES;

export class ShardWriter {
  private readonly tar = Buffer.allocUnsafeSlow(TAR_BYTES);
  private tarBytes = 0;
  private records: ItemRecord[] = [];
  private attributes: Uint8Array[] = [];
  private attributeBytes = 0;

  get isEmpty(): boolean {
    return this.records.length === 0;
  }
  get isFull(): boolean {
    const bytes = this.records.length * RECORD_BYTES + this.attributeBytes + this.tarBytes;
    return bytes >= FRAME_LIMITS.shardFullBytes;
  }

  /** Room for the content of the next member; nothing is added before `addMember`. */
  room(name: Uint8Array, size: number): Buffer {
    const at = this.tarBytes + memberHeaderBytes(name.length);
    return this.tar.subarray(at, at + size);
  }

  add(record: ItemRecord, attributes: Uint8Array): void {
    // How many bytes of content were sent is said at the end of a FILE, and nowhere else.
    this.records.push({ ...record, bytes: 0 });
    if (attributes.length > 0) this.attributes.push(attributes);
    this.attributeBytes += attributes.length;
  }

  /** Its content stands in `room` already. */
  addMember(name: Uint8Array, record: ItemRecord, attributes: Uint8Array): void {
    this.add(record, attributes);
    const { mode, uid, gid, size, mtimeSec } = record;
    const contentAt = writeMemberHeader(this.tar, this.tarBytes, { name, mode, uid, gid, size, mtimeSec });
    this.tarBytes = contentAt + padded(size);
    this.tar.fill(0, contentAt + size, this.tarBytes);
  }

  /** The whole frame in pieces; they must be sent before anything is added again. */
  close(need: number): Uint8Array[] {
    const head = new Uint8Array(HEADER_BYTES + this.records.length * RECORD_BYTES + this.attributeBytes);
    let at = HEADER_BYTES;
    for (const record of this.records) {
      encodeRecord(record, head, at);
      at += RECORD_BYTES;
    }
    for (const attributes of this.attributes) {
      head.set(attributes, at);
      at += attributes.length;
    }
    if (this.tarBytes > 0) {
      this.tar.fill(0, this.tarBytes, this.tarBytes + ARCHIVE_END_BYTES);
      this.tarBytes += ARCHIVE_END_BYTES;
    }
    const length = head.length - HEADER_BYTES + this.tarBytes;
    encodeHeader({ type: FrameType.shard, need, item: this.records.length, offset: 0, length }, head);
    const pieces = [head, this.tar.subarray(0, this.tarBytes)];
    this.records = [];
    this.attributes = [];
    this.attributeBytes = 0;
    this.tarBytes = 0;
    return pieces;
  }
}
