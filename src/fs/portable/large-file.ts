/**
 * One large file in steps, as `ffi/large.c` does it: begin opens the source and the part, range copies a stretch,
 * commit checks that the source stayed the same and publishes. The part's name is made of a hash of the target's
 * name, so that the next run finds it; it is adopted only when it is a regular file of ours with one link.
 */
import fs from "node:fs";
import { Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { bytesOf } from "../../core/paths.ts";
import { ItemFlag, type LargeFile, NO_HANDLE, type RangeResult } from "../backend.ts";
import { copyDifferences, copyRange, copySparse, openFlow, verifyContent } from "./copy-data.ts";
import { below, closeHandle, fstat, lstatOrNothing, O_NOFOLLOW, O_NONBLOCK } from "./directories.ts";
import { type Entry, entryOfStat, isSameInode, isUnchanged, typeOf } from "./entry.ts";
import { attempt, E, StatusError, statusOf } from "./errno.ts";
import { hashStretch } from "./hash-file.ts";
import { Item } from "./item-results.ts";
import { type Job, openJob, PLAIN_SETTINGS } from "./job.ts";
import { libc } from "./libc.ts";
import { attributesOfOpen, mayReadWrite, openSource } from "./local-content.ts";
import { stateOf } from "./metadata.ts";
import { backUp, checkTakesBack, dropTemp, isSameFile, openTemp, type Temp } from "./publish.ts";
import type { Slices } from "./slices.ts";
import { finish, type Landed, publishTemp } from "./write-regular.ts";

const C = fs.constants;

/** The temporary files of large files under way, by descriptor. Absent: written in place. */
export type OpenParts = Map<number, Temp>;

function partName(name: Uint8Array): Uint8Array {
  return bytesOf(`.fastsync.${Bun.hash.xxHash3(name).toString(16).padStart(16, "0")}.part`);
}

export async function beginLarge(
  job: Job,
  parts: OpenParts,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  resume: boolean,
): Promise<LargeFile> {
  const item = new Item();
  let source = -1;
  let target: number | undefined;
  let part: ReturnType<typeof openPart> | undefined;
  try {
    if (job.slices.canceled) throw new StatusError(-E.ECANCELED);
    if (job.source !== NO_HANDLE) source = openUnchanged(job, entry, item);
    // Nothing but the row says what it is.
    else if (typeOf(entry.mode) !== FileType.regular || !(entry.size >= 0 && Number.isSafeInteger(entry.size))) {
      throw new StatusError(-E.EINVAL);
    }
    let has = 0;
    item.doing = Stage.create;
    if (job.settings.inplace && exists) {
      target = openExisting(job, name);
      if (target !== undefined) {
        const old = fstat(target);
        if (source >= 0 && isSameInode(old, fstat(source))) throw new StatusError(-E.EINVAL);
        has = Number(old.size);
        if (job.backup >= 0) await backUp(job, name, true, item);
      }
    }
    item.doing = Stage.create;
    const isInPlace = target !== undefined;
    if (target === undefined) {
      part = openPart(job, name, resume);
      target = part.temp.fd;
      has = part.bytes;
      parts.set(target, part.temp);
    }
    item.doing = Stage.write;
    // In place the file only grows here: cutting off the old end waits for the commit.
    if (has > entry.size ? !isInPlace : has < entry.size) fs.ftruncateSync(target, entry.size);
    const basisBytes = Math.min(has, entry.size);
    return {
      status: 0,
      stage: 0,
      source,
      temp: target,
      cloned: false,
      size: entry.size,
      basisBytes,
      refused: 0,
      refusedErrno: 0,
    };
  } catch (error) {
    const status = statusOf(error);
    closeHandle(source);
    if (target !== undefined) {
      parts.delete(target);
      // Larger than the filesystem allows: a new part has nothing to go on from.
      if (part?.bytes === 0) dropTemp(part.temp);
      else closeHandle(target);
    }
    return failedLarge(status, item.doing);
  }
}

/** Throws -EBUSY when it is no longer the file of the row; `onChanged` hears what it is instead. */
export function openUnchanged(
  job: Job,
  entry: Entry,
  item: Item,
  onChanged: (stats: fs.BigIntStats) => void = () => {},
): number {
  item.doing = Stage.openSource;
  const fd = openSource(job, entry.name);
  item.doing = Stage.read;
  const stats = fstat(fd);
  if (isUnchanged(entry, stats)) return fd;
  closeHandle(fd);
  item.flags |= ItemFlag.changed;
  onChanged(stats);
  throw new StatusError(-E.EBUSY);
}

export function failedLarge(status: number, stage: number): LargeFile {
  return { status, stage, source: -1, temp: -1, cloned: false, size: 0, basisBytes: 0, refused: 0, refusedErrno: 0 };
}

function openExisting(job: Job, name: Uint8Array): number | undefined {
  const path = below(job.target, name);
  const stats = lstatOrNothing(path);
  if (stats === undefined || typeOf(stats.mode) !== FileType.regular) return undefined;
  return fs.openSync(path, C.O_RDWR | O_NOFOLLOW | O_NONBLOCK);
}

/** An earlier run's part, or a new one under its name; a stranger's file there is left alone. */
function openPart(job: Job, target: Uint8Array, resume: boolean): { temp: Temp; bytes: number } {
  checkTakesBack(job.temp);
  const name = partName(target);
  const path = below(job.temp, name);
  let fd = -1;
  try {
    fd = fs.openSync(path, C.O_RDWR | C.O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  } catch (error) {
    const status = statusOf(error);
    if ([-E.ENOSPC, -E.EDQUOT, -E.EROFS, -E.EACCES].includes(status)) throw error;
    return { temp: openTemp(job).temp, bytes: 0 };
  }
  const stats = fstat(fd);
  const isOurs =
    (libc === undefined || libc.lock(fd) === 0) &&
    typeOf(stats.mode) === FileType.regular &&
    Number(stats.uid) === job.euid &&
    stats.nlink === 1n &&
    isSameFile(path, stats);
  if (!isOurs) {
    closeHandle(fd);
    return { temp: openTemp(job).temp, bytes: 0 };
  }
  try {
    if (!resume) fs.ftruncateSync(fd, 0);
    if ((Number(stats.mode) & 0o7777) !== 0o600) fs.fchmodSync(fd, 0o600);
  } catch (error) {
    closeHandle(fd);
    throw error;
  }
  return { temp: { fd, directory: job.temp, name }, bytes: resume ? Number(stats.size) : 0 };
}

export async function copyLargeRange(
  job: Job,
  file: LargeFile,
  offset: number,
  length: number,
  compare: boolean,
): Promise<RangeResult> {
  const item = new Item();
  const flow = openFlow(job, file.source, file.temp, compare);
  let status = 0;
  try {
    if (!(offset >= 0 && length >= 0 && offset + length <= Number.MAX_SAFE_INTEGER)) throw new StatusError(-E.EINVAL);
    if (job.slices.canceled) throw new StatusError(-E.ECANCELED);
    item.doing = Stage.write;
    if (!mayReadWrite(job)) throw new StatusError(-E.EOPNOTSUPP);
    const isSparse = (entryOfStat(new Uint8Array(0), fstat(file.source)).flags & RowFlag.sparse) !== 0;
    if (job.settings.sparse && isSparse) await copySparse(flow, offset, length, compare, item);
    else if (compare) await copyDifferences(flow, offset, length, item);
    else await copyRange(flow, offset, length, item);
    item.doing = Stage.read;
    // Shorter than it was: the commit would refuse it anyway.
    if (flow.ended) throw new StatusError(-E.EBUSY);
  } catch (error) {
    status = statusOf(error);
  }
  return { status, stage: status === 0 ? 0 : item.doing, bytes: flow.moved, method: flow.method, refused: 0 };
}

/** Throws; closes both descriptors in any case. */
export async function commitLarge(
  job: Job,
  parts: OpenParts,
  file: LargeFile,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  try {
    item.doing = Stage.publish;
    if (job.slices.canceled) throw new StatusError(-E.ECANCELED);
    item.doing = Stage.read;
    if (!isUnchanged(entry, fstat(file.source))) {
      item.flags |= ItemFlag.changed;
      throw new StatusError(-E.EBUSY);
    }
    const verify = () => verifyContent(job, file.source, file.temp, entry.size, item);
    const landed = { want: entry, attributes: attributesOfOpen(file.source), verify };
    await publishLarge(job, parts, file, landed, name, exists, item);
  } finally {
    closeLarge(parts, file);
  }
}

/** Finishes and publishes what the ranges brought. Throws; the descriptors stay open. */
export async function publishLarge(
  job: Job,
  parts: OpenParts,
  file: LargeFile,
  landed: Landed,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  item.doing = Stage.write;
  const stats = fstat(file.temp);
  if (Number(stats.size) !== landed.want.size) fs.ftruncateSync(file.temp, landed.want.size);
  const temp = parts.get(file.temp);
  const now = stateOf(stats, temp === undefined);
  await finish(job, landed, file.temp, now, name, exists, item);
  if (temp === undefined) {
    item.flags |= ItemFlag.replaced;
    return;
  }
  item.doing = Stage.publish;
  if (!isSameFile(below(temp.directory, temp.name), stats)) throw new StatusError(-E.ESTALE);
  await publishTemp(job, temp, landed, name, exists, item);
}

export function abortLarge(parts: OpenParts, file: LargeFile, keepPart: boolean): void {
  const temp = parts.get(file.temp);
  if (temp !== undefined && !keepPart) {
    const path = below(temp.directory, temp.name);
    attempt(() => {
      if (isSameFile(path, fstat(file.temp))) fs.unlinkSync(path);
    });
  }
  closeLarge(parts, file);
}

export function closeLarge(parts: OpenParts, file: LargeFile): void {
  parts.delete(file.temp);
  closeHandle(file.source);
  closeHandle(file.temp);
}

/** XXH3-128 of each block of a stretch of the temporary, one after the other; or a negative errno. */
export async function hashBlocks(
  slices: Slices,
  file: LargeFile,
  offset: number,
  length: number,
  blockBytes: number,
): Promise<Uint8Array | number> {
  const isSane = offset >= 0 && length >= 0 && Number.isSafeInteger(offset + length) && blockBytes > 0;
  if (!isSane || !Number.isSafeInteger(blockBytes)) return -E.EINVAL;
  try {
    const job = openJob(slices, PLAIN_SETTINGS, { source: NO_HANDLE, target: NO_HANDLE });
    const digests: Uint8Array[] = [];
    for (let done = 0; done < length; done += blockBytes) {
      digests.push(await hashStretch(job, file.temp, offset + done, Math.min(blockBytes, length - done)));
    }
    return new Uint8Array(Buffer.concat(digests));
  } catch (error) {
    return statusOf(error);
  }
}
