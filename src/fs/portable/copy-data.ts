/**
 * Moving the content of one open file into another: plain, with holes kept, or writing only blocks that differ.
 *
 *   plain   read a chunk, write it
 *   sparse  data extents only (SEEK_DATA); where the system cannot tell, blocks of 64 KiB that are all zero are skipped
 *   delta   read a block of both, write it where they differ
 *
 * Whether the source stayed the same meanwhile is the caller's question.
 */
import fs from "node:fs";
import { Method, Stage } from "../../../ffi/fsy.ts";
import { fstat } from "./directories.ts";
import { again, E, must, StatusError } from "./errno.ts";
import type { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import { libc } from "./libc.ts";

const CHUNK = 1 << 20;
const DELTA_BLOCK = 128 << 10;
const ZERO_BLOCK = 64 << 10;
const HOLE_BLOCK = 4 << 10;
const zeros = Buffer.alloc(CHUNK);
/** Taken per call: requests interleave at every chunk. */
const spareChunks: Buffer[] = [];

export interface Flow {
  readonly job: Job;
  readonly source: number;
  readonly target: number;
  /** The target has old content: holes must be made. */
  readonly basis: boolean;
  /** Payload bytes. */
  moved: number;
  /** Index of the method that moved bytes last. */
  method: number;
  /** The source ended before the range did. */
  ended: boolean;
}

export function openFlow(job: Job, source: number, target: number, basis: boolean): Flow {
  return { job, source, target, basis, moved: 0, method: Method.none, ended: false };
}

/** Bytes read, fewer only at the end of the file. */
export function readFull(fd: number, to: Uint8Array, offset: number): number {
  let done = 0;
  while (done < to.length) {
    const at = done;
    const got = again(() => fs.readSync(fd, to, at, to.length - at, offset + at));
    if (got === 0) break;
    done += got;
  }
  return done;
}

export function writeFull(fd: number, from: Uint8Array, offset: number): void {
  for (let done = 0; done < from.length; ) {
    const at = done;
    const put = again(() => fs.writeSync(fd, from, at, from.length - at, offset + at));
    if (put === 0) throw new StatusError(-E.EIO);
    done += put;
  }
}

export async function withChunk<T>(work: (chunk: Buffer) => Promise<T>): Promise<T> {
  const chunk = spareChunks.pop() ?? Buffer.allocUnsafeSlow(CHUNK);
  try {
    return await work(chunk);
  } finally {
    if (spareChunks.length < 4) spareChunks.push(chunk);
  }
}

function land(flow: Flow, bytes: number, method: number): void {
  flow.moved += bytes;
  flow.method = method;
  flow.job.slices.bytesDone += bytes;
}

/** Copies offset..offset+length. `skipZeros`: leave out blocks that are all zero. */
export async function copyRange(
  flow: Flow,
  offset: number,
  length: number,
  item: Item,
  skipZeros = false,
): Promise<void> {
  await withChunk(async (chunk) => {
    for (let done = 0; done < length; ) {
      const want = Math.min(CHUNK, length - done);
      await flow.job.slices.pace(want);
      item.doing = Stage.read;
      const got = readFull(flow.source, chunk.subarray(0, want), offset + done);
      item.doing = Stage.write;
      if (skipZeros) writeNonZero(flow, chunk.subarray(0, got), offset + done);
      else {
        writeFull(flow.target, chunk.subarray(0, got), offset + done);
        if (got > 0) land(flow, got, Method.readWrite);
      }
      done += got;
      if (got < want) {
        flow.ended = true;
        return;
      }
    }
  });
}

function writeNonZero(flow: Flow, data: Buffer, offset: number): void {
  for (let at = 0; at < data.length; at += ZERO_BLOCK) {
    const block = data.subarray(at, at + ZERO_BLOCK);
    if (block.equals(zeros.subarray(0, block.length))) continue;
    writeFull(flow.target, block, offset + at);
    land(flow, block.length, Method.readWrite);
  }
}

/** Writes what arrived at `offset` where the target's old content differs from it. */
export function writeDifferences(target: number, data: Uint8Array, offset: number): void {
  const old = Buffer.allocUnsafe(Math.min(DELTA_BLOCK, data.length));
  for (let at = 0; at < data.length; at += DELTA_BLOCK) {
    const ours = data.subarray(at, at + DELTA_BLOCK);
    const theirs = old.subarray(0, ours.length);
    if (readFull(target, theirs, offset + at) !== ours.length || !theirs.equals(ours)) {
      writeFull(target, ours, offset + at);
    }
  }
}

/** Writes what arrived at `offset` of an empty target; blocks that are all zero stay holes. */
export function writeData(target: number, data: Uint8Array, offset: number): void {
  for (let from = 0; from < data.length; ) {
    let to = from;
    while (to < data.length && !isZero(data.subarray(to, to + HOLE_BLOCK))) to += HOLE_BLOCK;
    if (to > from) writeFull(target, data.subarray(from, to), offset + from);
    from = to + HOLE_BLOCK;
  }
}
function isZero(block: Uint8Array): boolean {
  return zeros.compare(block, 0, block.length, 0, block.length) === 0;
}

/** Same for a target that holds something like the source. */
export async function copyDifferences(flow: Flow, offset: number, length: number, item: Item): Promise<void> {
  await withChunk(async (chunk) => {
    const ours = chunk.subarray(0, DELTA_BLOCK);
    const theirs = chunk.subarray(DELTA_BLOCK, 2 * DELTA_BLOCK);
    for (let done = 0; done < length; ) {
      const at = offset + done;
      const want = Math.min(DELTA_BLOCK - (at % DELTA_BLOCK), length - done);
      await flow.job.slices.pace(want);
      item.doing = Stage.read;
      const got = readFull(flow.source, ours.subarray(0, want), at);
      item.doing = Stage.write;
      const has = readFull(flow.target, theirs.subarray(0, got), at);
      flow.method = Method.delta;
      if (has !== got || !ours.subarray(0, got).equals(theirs.subarray(0, got))) {
        writeFull(flow.target, ours.subarray(0, got), at);
        land(flow, got, Method.delta);
      }
      done += got;
      if (got < want) {
        flow.ended = true;
        return;
      }
    }
  });
}

/** Data extents only. `compare`: within them only what differs. */
export async function copySparse(
  flow: Flow,
  offset: number,
  length: number,
  compare: boolean,
  item: Item,
): Promise<void> {
  const end = offset + length;
  const move = (from: number, bytes: number): Promise<void> =>
    compare ? copyDifferences(flow, from, bytes, item) : copyRange(flow, from, bytes, item, !flow.basis && !libc);
  for (let at = offset; at < end; ) {
    await flow.job.slices.breathe();
    let data = libc === undefined ? -E.EINVAL : libc.nextData(flow.source, at);
    if (data === -E.ENXIO) return makeHole(flow, at, end - at, item);
    if (data === -E.EINVAL) return move(at, end - at);
    item.doing = Stage.read;
    must(data);
    data = Math.min(data, end);
    await makeHole(flow, at, data - at, item);
    if (data === end) return;
    const hole = libc === undefined ? end : libc.nextHole(flow.source, data);
    if (hole === -E.ENXIO) {
      flow.ended = true;
      return;
    }
    const stop = Math.min(must(hole), end);
    await move(data, stop - data);
    if (flow.ended) return;
    at = stop;
  }
}

/** A hole in the source where the target may have old data. */
export async function makeHole(flow: Flow, offset: number, length: number, item: Item): Promise<void> {
  if (!flow.basis || length <= 0) return;
  item.doing = Stage.write;
  const status = libc === undefined ? -E.EOPNOTSUPP : libc.punchHole(flow.target, offset, length);
  if (status === 0) return;
  if (![-E.EOPNOTSUPP, -E.ENOSYS, -E.EINVAL].includes(status)) must(status);
  // Behind the end, truncation makes the hole.
  const end = Math.min(offset + length, Number(fstat(flow.target).size));
  for (let at = offset; at < end; at += CHUNK) {
    await flow.job.slices.breathe();
    writeFull(flow.target, zeros.subarray(0, Math.min(CHUNK, end - at)), at);
  }
}

/** Makes reading the target mean reading the disk, where that was asked for. */
export function prepareReadback(job: Job, target: number): void {
  if (job.settings.verify !== "readback") return;
  fs.fdatasyncSync(target);
  libc?.dropCache(target);
}

/** Compares the content of both; throws -EBADMSG where they differ. */
export async function verifyContent(job: Job, source: number, target: number, size: number, item: Item): Promise<void> {
  item.doing = Stage.verify;
  prepareReadback(job, target);
  if (Number(fstat(target).size) !== size) throw new StatusError(-E.EBADMSG);
  await withChunk(async (chunk) => {
    const half = CHUNK / 2;
    for (let at = 0; at < size; at += half) {
      await job.slices.breathe();
      const want = Math.min(half, size - at);
      const ours = chunk.subarray(0, want);
      const theirs = chunk.subarray(half, half + want);
      const isSame =
        readFull(source, ours, at) === want && readFull(target, theirs, at) === want && ours.equals(theirs);
      if (!isSame) throw new StatusError(-E.EBADMSG);
    }
  });
}
