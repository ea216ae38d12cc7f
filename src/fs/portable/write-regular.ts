/**
 * A regular file in the target, from content that may come from anywhere: into a temporary file that is published when
 * it is whole, or into the existing file.
 *
 *   temporary (or the existing file) -> data -> verify -> metadata -> fsync -> backup, publish
 */
import fs from "node:fs";
import { Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { ItemFlag } from "../backend.ts";
import type { AttributeSource } from "./attributes.ts";
import { copyRange, copySparse, openFlow, verifyContent } from "./copy-data.ts";
import { below, closeHandle, descriptorPath, fstat, lstatOrNothing, O_NOFOLLOW, O_NONBLOCK } from "./directories.ts";
import { type Entry, typeOf } from "./entry.ts";
import { attempt, E, must, StatusError, statusOf } from "./errno.ts";
import { holdEntry } from "./hold-entry.ts";
import type { Item } from "./item-results.ts";
import { type Job, openJob } from "./job.ts";
import { applyMetadata, type State, stateOf } from "./metadata.ts";
import { backUp, dropTemp, openTemp, publishName, type Temp } from "./publish.ts";

const C = fs.constants;

/** A file whose data has landed, and what is still to be said about it. */
export interface Landed {
  /** What the file is: its row, or what it was when it was read again. */
  readonly want: Entry;
  readonly attributes: AttributeSource | undefined;
  /** Compares what was written with what was read; throws -EBADMSG where they differ. */
  verify(job: Job, target: number, item: Item): Promise<void>;
}

/** The content of a regular file, wherever it comes from. */
export interface Content extends Landed {
  /** The target is the source itself: it cannot be written from it. */
  isSame(target: fs.BigIntStats): boolean;
  /**
   * Moves the whole content. `oldBytes`: length of what the target holds; 0: it is empty. `compares`: write only what
   * differs from it.
   */
  move(job: Job, target: number, oldBytes: number, compares: boolean, item: Item): Promise<void>;
  close(): void;
}

export async function writeRegular(
  job: Job,
  content: Content,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  if (job.settings.inplace && exists && (await writeInPlace(job, content, name, item))) return;
  item.doing = Stage.create;
  const { temp, now } = openTemp(job);
  let isPublishing = false;
  try {
    await content.move(job, temp.fd, 0, false, item);
    await finish(job, content, temp.fd, now, name, exists, item);
    isPublishing = true;
    await publishTemp(job, temp, content, name, exists, item);
  } finally {
    if (isPublishing) closeHandle(temp.fd);
    else dropTemp(temp);
  }
}

/** Verifies, applies metadata, makes durable: all but the name. */
export async function finish(
  job: Job,
  landed: Landed,
  target: number,
  now: State,
  name: Uint8Array,
  exists: boolean,
  item: Item,
): Promise<void> {
  const { want, attributes } = landed;
  if (job.settings.verify !== "none") await landed.verify(job, target, item);
  item.doing = Stage.meta;
  const replaces = now.inPlace ? undefined : oldObject(job, want, name, exists);
  const subject = { fd: target, path: descriptorPath(target), follow: true };
  applyMetadata(job, subject, want, { ...now, replaces }, attributes, item);
  item.doing = Stage.sync;
  if (job.settings.fsync) fs.fsyncSync(target);
}

/** What the old object under the name hands on to the new one. */
export function oldObject(job: Job, want: Entry, name: Uint8Array, exists: boolean): State["replaces"] {
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
  { want, attributes }: Landed,
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
      // The first one was held to the source.
      const verify = () => verifyContent(there, temp.fd, second.temp.fd, size, item);
      const finished = { want, attributes, verify };
      await finish(there, finished, second.temp.fd, second.now, name, exists, item);
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
async function writeInPlace(job: Job, content: Content, name: Uint8Array, item: Item): Promise<boolean> {
  item.doing = Stage.create;
  const opened = openInPlace(job, name);
  if (opened === undefined) return false;
  const { fd, madeWritable, modeBefore } = opened;
  const before = fstat(fd);
  try {
    if (content.isSame(before)) throw new StatusError(-E.EINVAL);
    if (job.backup >= 0) await backUp(job, name, true, item);
    item.flags |= ItemFlag.replaced;
    await content.move(job, fd, Number(before.size), job.settings.delta, item);
    item.doing = Stage.write;
    fs.ftruncateSync(fd, content.want.size);
    // Writing cleared setid bits.
    const now = { ...stateOf(fstat(fd), true), isModeKnown: !madeWritable };
    if (madeWritable) now.mode = modeBefore;
    await finish(job, content, fd, now, name, true, item);
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
  const mode = Number(stats.mode);
  try {
    return { fd: fs.openSync(path, C.O_RDWR | O_NOFOLLOW | O_NONBLOCK), madeWritable: false, modeBefore: mode };
  } catch (error) {
    const status = statusOf(error);
    if (status === -E.ENOENT) return undefined;
    if (status !== -E.EACCES || Number(stats.uid) !== job.euid || (mode & 0o600) === 0o600) throw error;
  }
  // From here on the file that is held, whatever has its name by now.
  const held = holdEntry(job.target, name);
  try {
    const modeBefore = Number(held.stats.mode);
    if (typeOf(modeBefore) !== FileType.regular) throw new StatusError(-E.ESTALE);
    fs.chmodSync(held.path, (modeBefore & 0o7777) | 0o600);
    const fd = fs.openSync(held.path, C.O_RDWR | O_NONBLOCK | (held.follow ? 0 : O_NOFOLLOW));
    return { fd, madeWritable: true, modeBefore };
  } finally {
    held.close();
  }
}
