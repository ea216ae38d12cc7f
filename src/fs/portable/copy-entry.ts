/**
 * One entry of a copy request: a regular file with its data, a symbolic link, or a special file. See
 * `ffi/copy_file.c`, whose rules these are: the source is looked at again after reading, and read once more if it
 * changed; if it changed again nothing is published.
 */
import fs from "node:fs";
import { Method, Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { ItemFlag } from "../backend.ts";
import { type Carrier, wantsAttributes } from "./attributes.ts";
import { copyDifferences, copyRange, copySparse, openFlow, verifyContent } from "./copy-data.ts";
import {
  below,
  closeHandle,
  descriptorPath,
  fstat,
  lstat,
  lstatOrNothing,
  O_NOFOLLOW,
  O_NONBLOCK,
} from "./directories.ts";
import { type Entry, entryOfStat, isSameInode, isUnchanged, typeOf } from "./entry.ts";
import { attempt, E, must, StatusError, statusOf } from "./errno.ts";
import { holdEntry } from "./hold-entry.ts";
import type { Item } from "./item-results.ts";
import { type Job, openJob } from "./job.ts";
import { libc } from "./libc.ts";
import { applyMetadata, type State, stateOf } from "./metadata.ts";
import { backUp, dropTemp, openTemp, publishName, type Temp, tempName } from "./publish.ts";

const C = fs.constants;
const O_NOATIME = process.platform === "linux" ? 0o1000000 : 0;
let isNoAtimeRefused = false;

/** Throws; stage and status are then in `item` and the error. */
export async function copyEntry(job: Job, entry: Entry, name: Uint8Array, exists: boolean, item: Item): Promise<void> {
  switch (typeOf(entry.mode)) {
    case FileType.regular:
      return copyRegular(job, entry, name, exists, item);
    case FileType.symlink:
      return copySymlink(job, entry, name, exists, item);
    case FileType.fifo:
    case FileType.socket:
    case FileType.charDevice:
    case FileType.blockDevice:
      return copySpecial(job, entry, name, exists, item);
    case FileType.directory:
      item.doing = Stage.create;
      throw new StatusError(-E.EISDIR);
    default:
      item.doing = Stage.openSource;
      throw new StatusError(entry.status || -E.EINVAL);
  }
}

export function openSource(job: Job, name: Uint8Array): number {
  const path = below(job.source, name);
  const flags = C.O_RDONLY | O_NONBLOCK | (job.settings.follow ? 0 : O_NOFOLLOW);
  if (job.settings.noAtime && !isNoAtimeRefused) {
    try {
      return fs.openSync(path, flags | O_NOATIME);
    } catch (error) {
      if (statusOf(error) !== -E.EPERM) throw error;
      isNoAtimeRefused = true;
    }
  }
  return fs.openSync(path, flags);
}

/** The source as it is being read. */
interface Reading {
  readonly fd: number;
  /** The row, or the fresh stat after a change. */
  want: Entry;
  isRetry: boolean;
}

/** After a pass over the data: true when the file is what `want` says, false to read again. */
function isStable(job: Job, reading: Reading, isWhole: boolean, item: Item): boolean {
  item.doing = Stage.read;
  const stats = fstat(reading.fd);
  if (isWhole && isUnchanged(reading.want, stats)) {
    if (reading.isRetry) item.flags |= ItemFlag.retried;
    return true;
  }
  if (reading.isRetry || typeOf(stats.mode) !== FileType.regular) {
    item.flags |= ItemFlag.changed;
    throw new StatusError(-E.EBUSY);
  }
  reading.isRetry = true;
  const fresh = entryOfStat(reading.want.name, stats);
  const flags = wantsAttributes(job.wanted) ? fresh.flags | RowFlag.attrFailed : fresh.flags;
  reading.want = { ...fresh, flags };
  item.size = fresh.size;
  return false;
}

/** Moves the whole content. `basisBytes`: length of the old content to compare with; 0: the target is empty. */
async function moveData(
  job: Job,
  reading: Reading,
  target: number,
  oldBytes: number,
  compares: boolean,
  item: Item,
): Promise<void> {
  let old = oldBytes;
  let compare = compares;
  for (;;) {
    const { size, flags } = reading.want;
    if (size > 0 && !mayReadWrite(job)) {
      item.doing = Stage.write;
      throw new StatusError(-E.EOPNOTSUPP);
    }
    const flow = openFlow(job, reading.fd, target, old > 0);
    const isSparse = job.settings.sparse && (flags & RowFlag.sparse) !== 0;
    const compared = compare ? Math.min(old, size) : 0;
    if (isSparse) await copySparse(flow, 0, size, compare, item);
    else {
      if (compared > 0) await copyDifferences(flow, 0, compared, item);
      if (!flow.ended && compared < size) await copyRange(flow, compared, size - compared, item);
    }
    if (flow.method !== Method.none) item.method = flow.method;
    item.bytes += flow.moved;
    if (isStable(job, reading, !flow.ended, item)) {
      item.doing = Stage.write;
      if (isSparse || old > size) fs.ftruncateSync(target, size);
      return;
    }
    item.doing = Stage.write;
    fs.ftruncateSync(target, 0);
    old = 0;
    compare = false;
  }
}

/** The only method here; a run that forbids it must hear so. */
export function mayReadWrite(job: Job): boolean {
  return job.settings.methods === undefined || job.settings.methods.includes("read_write");
}

async function copyRegular(job: Job, entry: Entry, name: Uint8Array, exists: boolean, item: Item): Promise<void> {
  item.doing = Stage.openSource;
  const reading: Reading = { fd: openSource(job, entry.name), want: entry, isRetry: false };
  try {
    if (job.settings.inplace && exists && (await copyInPlace(job, reading, name, item))) return;
    item.doing = Stage.create;
    const { temp, now } = openTemp(job);
    let isPublishing = false;
    try {
      await moveData(job, reading, temp.fd, 0, false, item);
      await finish(job, reading.fd, reading.want, temp.fd, now, name, exists, item);
      isPublishing = true;
      await publishTemp(job, temp, reading.fd, reading.want, name, exists, item);
    } finally {
      if (isPublishing) closeHandle(temp.fd);
      else dropTemp(temp);
    }
  } finally {
    closeHandle(reading.fd);
  }
}

/** Verifies, applies metadata, makes durable: all but the name. */
export async function finish(
  job: Job,
  source: number,
  want: Entry,
  target: number,
  now: State,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  if (job.settings.verify !== "none") await verifyContent(job, source, target, want.size, item);
  item.doing = Stage.meta;
  const replaces = now.inPlace ? undefined : oldObject(job, want, name, exists);
  const subject = { fd: target, path: descriptorPath(target), follow: true };
  applyMetadata(job, subject, want, { ...now, replaces }, { path: descriptorPath(source), follow: true }, item);
  item.doing = Stage.sync;
  if (job.settings.fsync) fs.fsyncSync(target);
}

/** What the old object under the name hands on to the new one. */
function oldObject(job: Job, want: Entry, name: Uint8Array, exists: boolean): State["replaces"] {
  const { perms, owner, group } = job.settings;
  if (!exists || (perms && owner && group)) return undefined;
  const old = lstatOrNothing(below(job.target, name));
  if (old === undefined || typeOf(old.mode) !== typeOf(want.mode)) return undefined;
  return { mode: Number(old.mode), uid: Number(old.uid), gid: Number(old.gid) };
}

/**
 * Publishes a finished temporary file. When it lies on another filesystem, which may keep fewer attributes than the
 * target's, its data goes on into a second one beside the target, whose metadata comes from the source once more.
 */
export async function publishTemp(
  job: Job,
  temp: Temp,
  source: number,
  want: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  if ((await publishName(job, temp.directory, temp.name, name, exists, item)) === 0) return;
  try {
    const there = openJob(job.slices, job.settings, { source: job.source, target: job.target, backup: job.backup });
    item.doing = Stage.create;
    const second = openTemp(there);
    let isPublishing = false;
    try {
      const size = Number(fstat(temp.fd).size);
      const flow = openFlow(there, temp.fd, second.temp.fd, false);
      if (job.settings.sparse && (want.flags & RowFlag.sparse) !== 0) {
        await copySparse(flow, 0, size, false, item);
        fs.ftruncateSync(second.temp.fd, size);
      } else await copyRange(flow, 0, size, item);
      // Nobody else writes into our own temporary.
      if (flow.ended) throw new StatusError(-E.EIO);
      item.forgetWarnings();
      await finish(there, source, want, second.temp.fd, second.now, name, exists, item);
      isPublishing = true;
      must(await publishName(there, job.target, second.temp.name, name, exists, item));
    } finally {
      if (isPublishing) closeHandle(second.temp.fd);
      else dropTemp(second.temp);
    }
  } finally {
    attempt(() => fs.unlinkSync(below(temp.directory, temp.name)));
  }
}

// ---- in place -------------------------------------------------------------------------------------------------

/** False when there is no regular file to write into. */
async function copyInPlace(job: Job, reading: Reading, name: Uint8Array, item: Item): Promise<boolean> {
  item.doing = Stage.create;
  const opened = openInPlace(job, name);
  if (opened === undefined) return false;
  const { fd, madeWritable, modeBefore } = opened;
  const before = fstat(fd);
  try {
    if (isSameInode(fstat(reading.fd), before)) throw new StatusError(-E.EINVAL);
    if (job.backup >= 0) await backUp(job, name, true, item);
    item.flags |= ItemFlag.replaced;
    await moveData(job, reading, fd, Number(before.size), job.settings.delta, item);
    item.doing = Stage.write;
    fs.ftruncateSync(fd, reading.want.size);
    // Writing cleared setid bits.
    const now = { ...stateOf(fstat(fd), true), isModeKnown: !madeWritable };
    if (madeWritable) now.mode = modeBefore;
    await finish(job, reading.fd, reading.want, fd, now, name, true, item);
    return true;
  } catch (error) {
    if (madeWritable) attempt(() => fs.fchmodSync(fd, modeBefore & 0o7777));
    throw error;
  } finally {
    closeHandle(fd);
  }
}

function openInPlace(
  job: Job,
  name: Uint8Array,
): { fd: number; madeWritable: boolean; modeBefore: number } | undefined {
  const path = below(job.target, name);
  const stats = lstatOrNothing(path);
  if (stats === undefined || typeOf(stats.mode) !== FileType.regular) return undefined;
  const open = (): number => fs.openSync(path, C.O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const mode = Number(stats.mode);
  try {
    return { fd: open(), madeWritable: false, modeBefore: mode };
  } catch (error) {
    const status = statusOf(error);
    if (status === -E.ENOENT) return undefined;
    if (status !== -E.EACCES || Number(stats.uid) !== job.euid || (mode & 0o600) === 0o600) throw error;
  }
  const held = holdEntry(job.target, name);
  try {
    fs.chmodSync(held.path, (mode & 0o7777) | 0o600);
    return { fd: open(), madeWritable: true, modeBefore: mode };
  } finally {
    held.close();
  }
}

// ---- links and special files ------------------------------------------------------------------------------------

/** Where the attributes of an entry that is not opened are read; undefined: it has none. */
function attributesOf(job: Job, entry: Entry): Carrier | undefined {
  const mayHave = entry.attrLow !== 0 || entry.attrHigh !== 0 || (entry.flags & RowFlag.attrFailed) !== 0;
  if (!wantsAttributes(job.wanted) || !mayHave) return undefined;
  return { path: below(job.source, entry.name), follow: false };
}

function withoutAttributes(entry: Entry): Entry {
  return { ...entry, attrLow: 0, attrHigh: 0, flags: entry.flags & ~RowFlag.attrFailed };
}

async function copySymlink(job: Job, entry: Entry, name: Uint8Array, exists: boolean, item: Item): Promise<void> {
  item.doing = Stage.openSource;
  if (entry.linkText.length === 0) throw new StatusError(entry.status || -E.EINVAL);
  const replaces = oldObject(job, entry, name, exists);
  const text = Buffer.from(entry.linkText);
  const apply = (path: Buffer): void => {
    item.doing = Stage.meta;
    const attributes = attributesOf(job, entry);
    const now = { ...stateOf(lstat(path), false), mayHaveAttributes: false, replaces };
    const want = attributes === undefined ? withoutAttributes(entry) : entry;
    applyMetadata(job, { path, follow: false }, want, now, attributes, item);
  };
  item.doing = Stage.create;
  if (!exists) {
    const path = below(job.target, name);
    const status = attempt(() => fs.symlinkSync(text, path));
    if (status === 0) {
      try {
        apply(path);
      } catch (error) {
        attempt(() => fs.unlinkSync(path));
        throw error;
      }
      return;
    }
    if (status !== -E.EEXIST) must(status);
  }
  const temp = makeTemp(job, (path) => attempt(() => fs.symlinkSync(text, path)));
  try {
    apply(below(job.target, temp));
  } catch (error) {
    attempt(() => fs.unlinkSync(below(job.target, temp)));
    throw error;
  }
  must(await publishName(job, job.target, temp, name, true, item));
}

async function copySpecial(job: Job, entry: Entry, name: Uint8Array, exists: boolean, item: Item): Promise<void> {
  item.doing = Stage.create;
  const c = libc;
  if (c === undefined) throw new StatusError(-E.ENOSYS);
  const type = typeOf(entry.mode);
  const temp = makeTemp(job, (path) => c.mknod(path, type | 0o600, entry.rdev >>> 20, entry.rdev & 0xfffff));
  try {
    item.doing = Stage.meta;
    const held = holdEntry(job.target, temp);
    try {
      if (typeOf(held.stats.mode) !== type) throw new StatusError(-E.ESTALE);
      const attributes = attributesOf(job, entry);
      const replaces = oldObject(job, entry, name, exists);
      // Born below a default ACL it has one itself.
      const mayHaveAttributes = attributes !== undefined || (wantsAttributes(job.wanted) && job.wanted.acls);
      const now = { ...stateOf(held.stats, false), mayHaveAttributes, replaces };
      const want = attributes === undefined ? withoutAttributes(entry) : entry;
      applyMetadata(job, held, want, now, attributes, item);
    } finally {
      held.close();
    }
  } catch (error) {
    attempt(() => fs.unlinkSync(below(job.target, temp)));
    throw error;
  }
  must(await publishName(job, job.target, temp, name, exists, item));
}

/** Makes something under a fresh temporary name in the target directory. */
function makeTemp(job: Job, make: (path: Buffer) => number): Uint8Array {
  for (;;) {
    const name = tempName();
    const status = make(below(job.target, name));
    if (status === 0) return name;
    if (status !== -E.EEXIST) must(status);
  }
}

// ---- metadata only ------------------------------------------------------------------------------------------------

/** Applies the entry's metadata to what stands under `name`; an empty name is the target directory itself. */
export function repairEntry(job: Job, entry: Entry, name: Uint8Array, item: Item): void {
  item.doing = Stage.meta;
  const isSelf = name.length === 0;
  const held = holdEntry(job.target, name);
  try {
    if (typeOf(held.stats.mode) !== typeOf(entry.mode)) throw new StatusError(-E.ESTALE);
    let source: Carrier | undefined;
    // Without a source (a directory restamped on its own) what it has stays.
    if (wantsAttributes(job.wanted) && !(isSelf && job.source < 0)) {
      const path = isSelf ? descriptorPath(job.source) : below(job.source, entry.name);
      if (!isSelf) {
        item.doing = Stage.openSource;
        lstat(path);
        item.doing = Stage.meta;
      }
      source = { path, follow: isSelf || job.settings.follow };
    }
    const now = { ...stateOf(held.stats, true), mayHaveAttributes: source !== undefined };
    applyMetadata(job, held, entry, now, source, item);
  } finally {
    held.close();
  }
}
