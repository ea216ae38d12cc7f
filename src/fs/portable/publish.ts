/**
 * Temporary files, backups, and the one step that makes a file visible (`ffi/publish.c`): a new name by
 * rename-without-replacing, an existing one by rename over it, after its backup when asked. A temporary file is locked
 * as long as its run lives, so that no sweeper takes it; where it cannot be, its directory is.
 *
 * A new name may be taken by an entry that is listed under another spelling, where case or Unicode forms do not count:
 * that one stays.
 */
import fs from "node:fs";
import { Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { bytesOf } from "../../core/paths.ts";
import { type DirHandle, ItemFlag } from "../backend.ts";
import { hasAttributes, wantsAttributes } from "./attributes.ts";
import { copyEntry } from "./copy-entry.ts";
import {
  below,
  closeHandle,
  descriptorPath,
  fstat,
  isListed,
  lstat,
  lstatOrNothing,
  O_NOFOLLOW,
} from "./directories.ts";
import { entryOfStat, isSameInode, typeOf } from "./entry.ts";
import { attempt, E, must, StatusError, statusOf } from "./errno.ts";
import { Item } from "./item-results.ts";
import { type Job, wholeJob } from "./job.ts";
import { libc } from "./libc.ts";
import { readLink } from "./listing.ts";
import { type State, stateOf } from "./metadata.ts";

const C = fs.constants;
const TRIES = 100;
const NO_LINKS = new Set([-E.EXDEV, -E.EPERM, -E.EMLINK, -E.EOPNOTSUPP, -E.ENOTSUP, -E.ENOSYS]);

export interface Temp {
  readonly fd: number;
  readonly directory: DirHandle;
  readonly name: Uint8Array;
}

/**
 * Before a temporary is made that cannot be locked itself (a link, a FIFO, a device): locks its directory, as long as
 * the handle is open, against sweeping such names.
 */
export function holdNames(directory: DirHandle): void {
  libc?.lockShared(directory);
}

export function tempName(): Uint8Array {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  const hex = (word: number): string => word.toString(16).padStart(8, "0");
  return bytesOf(`.fastsync.${hex(high!)}${hex(low!)}.tmp`);
}

/** A new file under a temporary name, and what it looks like. */
export function openTemp(job: Job): { temp: Temp; now: State } {
  checkTakesBack(job.temp);
  for (let i = 0; i < TRIES; i++) {
    const name = tempName();
    let fd: number;
    try {
      fd = fs.openSync(below(job.temp, name), C.O_RDWR | C.O_CREAT | C.O_EXCL | O_NOFOLLOW, 0o600);
    } catch (error) {
      if (statusOf(error) === -E.EEXIST) continue;
      throw error;
    }
    libc?.lock(fd);
    const stats = fstat(fd);
    if (stats.nlink === 0n) {
      // A sweeper was faster than the lock.
      closeHandle(fd);
      continue;
    }
    const inherits =
      wantsAttributes(job.wanted) && hasAttributes({ path: descriptorPath(fd), follow: true }, job.wanted);
    const now = { ...stateOf(stats, false), mayHaveAttributes: inherits };
    return { temp: { fd, directory: job.temp, name }, now };
  }
  throw new StatusError(-E.EEXIST);
}

/** In an append-only directory a temporary would stay for ever: throws -EPERM. */
export function checkTakesBack(directory: DirHandle): void {
  if (libc?.isAppendOnly(directory) === true) throw new StatusError(-E.EPERM);
}

/** Throws -EEXIST where a name that was to be new is taken by an entry of another spelling. */
export function checkSpelling(job: Job, name: Uint8Array): void {
  if (!isListed(job.target, name) && lstatOrNothing(below(job.target, name)) !== undefined)
    throw new StatusError(-E.EEXIST);
}

export function dropTemp(temp: Temp): void {
  attempt(() => fs.unlinkSync(below(temp.directory, temp.name)));
  closeHandle(temp.fd);
}

/** Gives an entry a name that nobody has; -EEXIST when it is taken. */
export function renameNew(from: Buffer, to: Buffer): number {
  const status = libc === undefined ? -E.ENOSYS : libc.renameNew(from, to);
  if (status === 0 || (status !== -E.EINVAL && status !== -E.ENOSYS)) return status;
  return attempt(() => {
    if (typeOf(lstat(from).mode) !== FileType.directory) {
      const linked = attempt(() => fs.linkSync(from, to));
      if (linked === 0) return fs.unlinkSync(from);
      if (!NO_LINKS.has(linked) || linked === -E.EXDEV) must(linked);
    }
    if (lstatOrNothing(to) !== undefined) throw new StatusError(-E.EEXIST);
    fs.renameSync(from, to);
  });
}

/** Renames over whatever stands there, except a directory that is not empty. */
function renameOver(from: Buffer, to: Buffer): number {
  const status = attempt(() => fs.renameSync(from, to));
  if (status !== -E.EISDIR && status !== -E.EEXIST && status !== -E.ENOTEMPTY) return status;
  const removed = attempt(() => fs.rmdirSync(to));
  if (removed < 0) return removed === -E.EEXIST ? -E.ENOTEMPTY : removed;
  return attempt(() => fs.renameSync(from, to));
}

/**
 * Makes what stands under a temporary name visible. The temporary name is gone afterwards, also on failure, except
 * for -EXDEV: the temporary directory is on another filesystem.
 */
export async function publishName(
  job: Job,
  directory: DirHandle,
  temp: Uint8Array,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<number> {
  item.doing = Stage.publish;
  const from = below(directory, temp);
  const to = below(job.target, name);
  try {
    if (!exists) {
      const status = renameNew(from, to);
      if (status === 0 || status === -E.EXDEV) return status;
      // Somebody was faster: it is a replacement now.
      if (status !== -E.EEXIST) must(status);
      checkSpelling(job, name);
    }
    if (job.backup >= 0 && !(item.flags & ItemFlag.backedUp)) await backUp(job, name, false, item);
    item.doing = Stage.publish;
    const status = renameOver(from, to);
    if (status === -E.EXDEV) return status;
    must(status);
    item.flags |= ItemFlag.replaced;
    return 0;
  } catch (error) {
    attempt(() => fs.unlinkSync(from));
    throw error;
  }
}

/** Keeps what stands under `name` as name + suffix in the backup directory. */
export async function backUp(job: Job, name: Uint8Array, byCopy: boolean, item: Item): Promise<void> {
  item.doing = Stage.backup;
  const backup = Buffer.concat([name, job.suffix]);
  if (backup.length > 255) throw new StatusError(-E.ENAMETOOLONG);
  const from = below(job.target, name);
  const stats = lstatOrNothing(from);
  // Only an empty directory can be replaced: nothing to keep.
  if (stats === undefined || typeOf(stats.mode) === FileType.directory) return;
  let status: number = -E.EXDEV;
  if (!byCopy) {
    const to = below(job.backup, backup);
    status = attempt(() => fs.linkSync(from, to));
    if (status === -E.EEXIST) {
      const temp = below(job.backup, tempName());
      status = attempt(() => fs.linkSync(from, temp));
      if (status === 0) {
        status = renameOver(temp, to);
        // Renaming onto the same inode leaves both names.
        attempt(() => fs.unlinkSync(temp));
      }
    }
  }
  if (status < 0 && !NO_LINKS.has(status)) must(status);
  if (status < 0) await backUpByCopy(job, name, backup, stats);
  item.doing = Stage.backup;
  item.flags |= ItemFlag.backedUp;
}

async function backUpByCopy(job: Job, name: Uint8Array, backup: Uint8Array, stats: fs.BigIntStats): Promise<void> {
  const whole = wholeJob(job, job.target, job.backup);
  const isLink = typeOf(stats.mode) === FileType.symlink;
  const entry = entryOfStat(name, stats, isLink ? readLink(below(job.target, name)) : undefined);
  const exists = lstatOrNothing(below(job.backup, backup)) !== undefined;
  // Its attributes are not known yet: they have to be read.
  const unread = { ...entry, flags: entry.flags | RowFlag.attrFailed };
  await copyEntry(whole, unread, backup, exists, new Item());
}

export function isSameFile(path: Buffer, stats: fs.BigIntStats): boolean {
  const named = lstatOrNothing(path);
  return named !== undefined && isSameInode(named, stats);
}
