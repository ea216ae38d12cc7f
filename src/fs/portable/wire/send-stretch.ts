/**
 * The content of a stretch of an open file as DATA frames: the extents that hold data, or, where the target told the
 * digests of its blocks, the blocks that differ.
 */
import { encodeHeader, FRAME_LIMITS, FrameType, HASH_BYTES, HEADER_BYTES } from "../../../core/frames.ts";
import { readFull } from "../copy-data.ts";
import { E, must, StatusError } from "../errno.ts";
import type { Item } from "../item-results.ts";
import { libc } from "../libc.ts";
import type { Slices } from "../slices.ts";
import { Xxh3_128 } from "../xxh3-128.ts";
import type { Channel } from "./channel.ts";
import type { SendTask } from "./send-queue.ts";

const FRAME_BYTES = 1 << 20;
const zeros = new Uint8Array(FRAME_BYTES);

export interface Basis {
  readonly blockBytes: number;
  readonly digests: Uint8Array;
}

/** Where the frames of one file or range go. */
export interface Outlet {
  readonly channel: Channel;
  readonly slices: Slices;
  readonly task: SendTask;
  readonly item: Item;
  readonly number: number;
  readonly fd: number;
  /** Takes all content in order, holes as zeros. */
  readonly hash: Xxh3_128 | undefined;
}

/** Room for a frame of so much content; the header stands before it. */
function frameRoom(bytes: number): Buffer {
  return Buffer.allocUnsafe(HEADER_BYTES + bytes);
}

async function sendData(outlet: Outlet, frame: Buffer, offset: number, length: number): Promise<void> {
  const { channel, task, item, number } = outlet;
  encodeHeader({ type: FrameType.data, need: task.request.need, item: number, offset, length }, frame);
  await channel.write(frame.subarray(0, HEADER_BYTES + length));
  item.bytes += length;
  if (task.canceled) throw new StatusError(-E.ECANCELED);
}

/** Sends what holds data within the stretch; false: the file ended before the stretch did. */
export async function sendStretch(
  outlet: Outlet,
  offset: number,
  length: number,
  keepsHoles: boolean,
): Promise<boolean> {
  const { slices, hash, fd } = outlet;
  const end = offset + length;
  const frame = frameRoom(Math.min(FRAME_BYTES, length));
  for (let at = offset; at < end; ) {
    const data = keepsHoles ? nextExtent(fd, at, end) : { from: at, to: end };
    if (data === undefined) return false;
    hashZeros(hash, data.from - at);
    for (at = data.from; at < data.to; ) {
      const want = Math.min(FRAME_BYTES, data.to - at);
      await slices.pace(want);
      const content = frame.subarray(HEADER_BYTES, HEADER_BYTES + want);
      const got = readFull(fd, content, at);
      hash?.update(content.subarray(0, got));
      if (got > 0) await sendData(outlet, frame, at, got);
      at += got;
      if (got < want) return false;
    }
  }
  return true;
}

/** The next data at or behind `at`, empty at `end`; undefined: the file ends before. */
function nextExtent(fd: number, at: number, end: number): { from: number; to: number } | undefined {
  const data = libc === undefined ? -E.EINVAL : libc.nextData(fd, at);
  if (data === -E.EINVAL) return { from: at, to: end };
  if (data === -E.ENXIO) return { from: end, to: end };
  const from = Math.min(must(data), end);
  if (from === end || libc === undefined) return { from, to: end };
  const hole = libc.nextHole(fd, from);
  return hole === -E.ENXIO ? undefined : { from, to: Math.min(must(hole), end) };
}

function hashZeros(hash: Xxh3_128 | undefined, bytes: number): void {
  for (let left = bytes; hash !== undefined && left > 0; left -= FRAME_BYTES) {
    hash.update(zeros.subarray(0, Math.min(left, FRAME_BYTES)));
  }
}

/** Throws -EINVAL for a basis that does not fit the stretch. */
export function checkBasis({ blockBytes, digests }: Basis, length: number): void {
  const isSane =
    Number.isSafeInteger(blockBytes) &&
    blockBytes >= FRAME_LIMITS.blockBytesFewest &&
    blockBytes <= FRAME_LIMITS.dataBytes;
  if (!isSane || digests.length !== Math.ceil(length / blockBytes) * HASH_BYTES) throw new StatusError(-E.EINVAL);
}

/** Sends the blocks whose digests differ from the basis, neighbours together; false as above. */
export async function sendDifferences(outlet: Outlet, offset: number, length: number, basis: Basis): Promise<boolean> {
  const { slices, hash, fd } = outlet;
  const { blockBytes, digests } = basis;
  const room = Math.max(FRAME_BYTES, blockBytes);
  const frame = frameRoom(room);
  let pending = 0;
  const flush = async (before: number): Promise<void> => {
    if (pending > 0) await sendData(outlet, frame, before - pending, pending);
    pending = 0;
  };
  for (let done = 0, block = 0; done < length; block++) {
    const want = Math.min(blockBytes, length - done);
    const at = offset + done;
    if (pending + want > room) await flush(at);
    await slices.pace(want);
    const content = frame.subarray(HEADER_BYTES + pending, HEADER_BYTES + pending + want);
    const got = readFull(fd, content, at);
    if (got < want) return false;
    hash?.update(content);
    const theirs = digests.subarray(block * HASH_BYTES, (block + 1) * HASH_BYTES);
    if (Buffer.compare(new Xxh3_128().update(content).digest(), theirs) !== 0) pending += want;
    else await flush(at);
    done += want;
  }
  await flush(offset + length);
  return true;
}
