/** Removing, moving and linking entries, and sweeping temporary files that dead runs left (`ffi/delete.c`). */
import fs from "node:fs";
import { Stage } from "../../../ffi/fsy.ts";
import { FileType } from "../../core/entry-batch.ts";
import { type DirHandle, ItemFlag } from "../backend.ts";
import { below, checkName, closeHandle, fstat, lstat, lstatOrNothing, O_NOFOLLOW, O_NONBLOCK } from "./directories.ts";
import { type Entry, entryOfStat, isSameInode, typeOf } from "./entry.ts";
import { attempt, E, must, StatusError } from "./errno.ts";
import { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import { libc } from "./libc.ts";
import { openParent } from "./open-beneath.ts";
import { backUp, checkSpelling, checkTakesBack, publishName, renameNew, tempName } from "./publish.ts";

/** Age from which a link, FIFO or device counts as left behind where directories cannot be locked (NFS). */
const SWEEP_AGE_MS = 3600_000;
const TEMP_NAME = /^\.fastsync\.[0-9a-f]{16}\.(tmp|part)$/;

/** The subject stands below `job.target`. */
export async function removeEntry(job: Job, entry: Entry, same: boolean, item: Item): Promise<void> {
  item.doing = Stage.delete;
  const path = below(job.target, entry.name);
  const isDirectory = typeOf(entry.mode) === FileType.directory;
  if (same && !isStillThat(entry, lstat(path))) throw new StatusError(-E.ESTALE);
  if (job.backup >= 0 && !isDirectory) {
    item.doing = Stage.backup;
    const backup = Buffer.concat([entry.name, job.suffix]);
    if (backup.length > 255) throw new StatusError(-E.ENAMETOOLONG);
    if (attempt(() => fs.renameSync(path, below(job.backup, backup))) === 0) {
      item.flags |= ItemFlag.backedUp;
      // Renaming onto another link of the same inode does nothing.
      const left = lstatOrNothing(path);
      if (left === undefined || !isInode(entry, left)) return;
    } else await backUp(job, entry.name, true, item);
  }
  item.doing = Stage.delete;
  if (isDirectory) fs.rmdirSync(path);
  else fs.unlinkSync(path);
}

function isInode(entry: Entry, stats: fs.BigIntStats): boolean {
  const now = entryOfStat(entry.name, stats);
  return now.inoLow === entry.inoLow && now.inoHigh === entry.inoHigh && now.dev === entry.dev;
}

/** Device, inode and type; for files also size and mtime, which a directory changes with every entry deleted. */
function isStillThat(entry: Entry, stats: fs.BigIntStats): boolean {
  if (!isInode(entry, stats) || typeOf(stats.mode) !== typeOf(entry.mode)) return false;
  if (typeOf(entry.mode) === FileType.directory) return true;
  const now = entryOfStat(entry.name, stats);
  return now.size === entry.size && now.mtimeSec === entry.mtimeSec && now.mtimeNsec === entry.mtimeNsec;
}

export function moveEntry(source: DirHandle, target: DirHandle, name: Uint8Array, item: Item): void {
  item.doing = Stage.publish;
  must(renameNew(below(source, name), below(target, name)));
}

/** Gives the file at `leader` below `root` the name `name`, replacing what stands there. Throws. */
export async function linkEntry(
  job: Job,
  root: DirHandle,
  leader: Uint8Array,
  name: Uint8Array,
  exists: boolean,
): Promise<void> {
  must(checkName(name));
  const { directory, last } = openParent(root, leader);
  try {
    must(checkName(last));
    const from = below(directory, last);
    const to = below(job.target, name);
    const ours = lstat(from);
    if (typeOf(ours.mode) === FileType.directory) throw new StatusError(-E.EISDIR);
    const status = attempt(() => fs.linkSync(from, to));
    if (status !== -E.EEXIST) {
      must(status);
      return;
    }
    if (!exists) checkSpelling(job, name);
    const theirs = lstatOrNothing(to);
    if (theirs !== undefined && isSameInode(ours, theirs)) return;
    checkTakesBack(job.target);
    const temp = tempName();
    fs.linkSync(from, below(job.target, temp));
    try {
      must(await publishName(job, job.target, temp, name, true, new Item()));
    } finally {
      // A rename between links of one inode leaves both names.
      attempt(() => fs.unlinkSync(below(job.target, temp)));
    }
  } finally {
    closeHandle(directory);
  }
}

/** Whether no living run makes such names here, see `holdNames`. */
function maySweepUnlockable(directory: DirHandle, stats: fs.BigIntStats): boolean {
  const locked = libc === undefined ? -E.ENOSYS : libc.lock(directory);
  const isOld = Date.now() - Number(stats.ctimeMs) >= SWEEP_AGE_MS;
  return locked === 0 || (locked !== -E.EWOULDBLOCK && isOld);
}

export function sweepEntry(directory: DirHandle, name: Uint8Array, item: Item): void {
  item.doing = Stage.delete;
  if (!TEMP_NAME.test(Buffer.from(name).toString("latin1"))) throw new StatusError(-E.EINVAL);
  const path = below(directory, name);
  const stats = lstat(path);
  const type = typeOf(stats.mode);
  if (type === FileType.directory) throw new StatusError(-E.EISDIR);
  if (type !== FileType.regular || libc === undefined) {
    try {
      if (!maySweepUnlockable(directory, stats)) throw new StatusError(-E.EWOULDBLOCK);
      fs.unlinkSync(path);
    } finally {
      // Not unlocked: this run may hold names here itself, and to ask for more has cost it what it had.
      libc?.lockShared(directory);
    }
    return;
  }
  const fd = fs.openSync(path, fs.constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    // -EWOULDBLOCK: its run is alive.
    must(libc.lock(fd));
    // A living run may have renamed it meanwhile and made another.
    if (!isSameInode(fstat(fd), lstat(path))) throw new StatusError(-E.EWOULDBLOCK);
    fs.unlinkSync(path);
  } finally {
    closeHandle(fd);
  }
}
