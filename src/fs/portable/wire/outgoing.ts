/** What the answers of a source have in common: records, attributes as bytes, and the frames of one file's content. */
import { encodeAttributes } from "../../../core/attribute-blob.ts";
import {
  encodeHeader,
  encodeRecord,
  FRAME_LIMITS,
  FrameType,
  HASH_BYTES,
  HEADER_BYTES,
  type ItemRecord,
  RECORD_BYTES,
  RecordFlag,
} from "../../../core/frames.ts";
import { Warning } from "../../backend.ts";
import { type AttributeSource, readAttributes } from "../attributes.ts";
import type { Entry } from "../entry.ts";
import { E, StatusError, statusOf } from "../errno.ts";
import type { Item } from "../item-results.ts";
import type { Job } from "../job.ts";
import type { Channel } from "./channel.ts";

const NO_BYTES = new Uint8Array(0);
const NO_HASH = new Uint8Array(HASH_BYTES);
/** The results' flags that records share: retried and changed. */
const SHARED_FLAGS = RecordFlag.retried | RecordFlag.changed;

/** Attributes of one item, or why they could not be read. */
export interface Gathered {
  readonly bytes: Uint8Array;
  /** Positive; 0: none. */
  readonly errno: number;
}
export const NOTHING_GATHERED: Gathered = { bytes: NO_BYTES, errno: 0 };

export function gatherAttributes(job: Job, source: AttributeSource, item: Item): Gathered {
  try {
    const bytes = encodeAttributes(readAttributes(source, job.wanted));
    if (bytes.length > FRAME_LIMITS.attributeBytes) throw new StatusError(-E.E2BIG);
    return { bytes, errno: 0 };
  } catch (error) {
    const status = statusOf(error);
    item.warn(job.wanted.xattrs ? Warning.xattr : Warning.acl, status);
    return { bytes: NO_BYTES, errno: -status };
  }
}

export function recordOf(
  number: number,
  want: Entry,
  item: Item,
  attributes: Gathered,
  hash: Uint8Array | undefined,
): ItemRecord {
  const { size, mtimeSec, mtimeNsec, mode, uid, gid } = want;
  const failed = attributes.errno > 0 ? RecordFlag.attributesFailed : 0;
  return {
    item: number,
    status: 0,
    stage: 0,
    flags: (item.flags & SHARED_FLAGS) | failed | (hash === undefined ? 0 : RecordFlag.hashed),
    size,
    mtimeSec,
    mtimeNsec,
    mode,
    uid,
    gid,
    attributeBytes: attributes.bytes.length,
    attributeErrno: attributes.errno,
    bytes: item.bytes,
    hash: hash ?? NO_HASH,
  };
}

/** `item` has failed at the stage it was doing. */
export function failureOf(number: number, item: Item, status: number): ItemRecord {
  return {
    item: number,
    status,
    stage: item.doing === 1 ? 1 : 2,
    flags: item.flags & RecordFlag.changed,
    size: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    attributeBytes: 0,
    attributeErrno: 0,
    bytes: item.bytes,
    hash: NO_HASH,
  };
}

export function sendFile(channel: Channel, need: number, record: ItemRecord, attributes: Uint8Array): Promise<void> {
  const frame = new Uint8Array(HEADER_BYTES + RECORD_BYTES + attributes.length);
  const length = RECORD_BYTES + attributes.length;
  encodeHeader({ type: FrameType.file, need, item: record.item, offset: 0, length }, frame);
  encodeRecord(record, frame, HEADER_BYTES);
  frame.set(attributes, HEADER_BYTES + RECORD_BYTES);
  return channel.write(frame);
}

export function sendEnd(channel: Channel, need: number, record: ItemRecord): Promise<void> {
  const frame = new Uint8Array(HEADER_BYTES + RECORD_BYTES);
  encodeHeader({ type: FrameType.end, need, item: record.item, offset: 0, length: RECORD_BYTES }, frame);
  encodeRecord(record, frame, HEADER_BYTES);
  return channel.write(frame);
}
