/** Listing directories and stating names, as `ffi/walk_linux.c` does it. */
import fs from "node:fs";
import { BatchFlag, FileType, RowFlag } from "../../core/entry-batch.ts";
import { bytesOf } from "../../core/paths.ts";
import { type DirHandle, NO_HANDLE, type WalkOptions, WORKING_DIRECTORY } from "../backend.ts";
import { attributeDigest, type Wanted, wantsAttributes } from "./attributes.ts";
import { below, checkName, closeHandle, descriptorPath, isListed, lstat, openDirectory } from "./directories.ts";
import { type Entry, entryOfStat, typeOf } from "./entry.ts";
import { attempt, E, StatusError, statusOf } from "./errno.ts";
import { holdEntry } from "./hold-entry.ts";
import { libc } from "./libc.ts";
import { openBeneath } from "./open-beneath.ts";
import type { Slices } from "./slices.ts";

const SELF = bytesOf(".");
/** Of ext2, ext3 and ext4. */
const EXT_MAGIC = 0xef53;
const EMPTY = new Uint8Array(0);

export interface Listing {
  readonly directory: DirHandle;
  /** The directory itself stands last. */
  readonly entries: Entry[];
  readonly status: number;
  readonly flags: number;
  readonly filesystemType: number;
}

export function nothing(name: Uint8Array, status: number): Entry {
  const zero = { size: 0, mtimeSec: 0, mtimeNsec: 0, ctimeSec: 0, ctimeNsec: 0, mode: 0, uid: 0, gid: 0, nlink: 0 };
  const none = { inoLow: 0, inoHigh: 0, dev: 0, rdev: 0, attrLow: 0, attrHigh: 0, flags: 0 };
  return { name, linkText: EMPTY, ...zero, ...none, status };
}

/** What is at a path, which is `name` in the directory `at`. Errors become the entry's status. */
function examine(path: Buffer, at: DirHandle, name: Uint8Array, follow: boolean, wanted: Wanted, dev?: number): Entry {
  let entry: Entry;
  let blocks = 0n;
  let status = 0;
  let isFollowed = follow;
  try {
    let stats: fs.BigIntStats | undefined;
    if (follow) {
      try {
        stats = fs.statSync(path, { bigint: true });
      } catch (error) {
        // Dangling or looping: the link itself, with the reason.
        status = statusOf(error);
        isFollowed = false;
      }
    }
    stats ??= lstat(path);
    const linkText = typeOf(stats.mode) === FileType.symlink ? readLink(path) : EMPTY;
    entry = entryOfStat(name, stats, linkText);
    blocks = stats.blocks;
  } catch (error) {
    return nothing(name, statusOf(error));
  }
  let flags = entry.flags;
  if (isMountPoint(at, entry, isFollowed, dev)) flags |= RowFlag.mount;
  let digest: readonly [number, number] = [0, 0];
  if (wanted.blocks === true) digest = [Number(blocks & 0xffffffffn), Number(blocks >> 32n)];
  if (wantsAttributes(wanted)) {
    const failed = attempt(() => {
      digest = attributeDigest({ path, follow: isFollowed }, wanted);
    });
    if (failed < 0) flags |= RowFlag.attrFailed;
  }
  return { ...entry, flags, attrLow: digest[0], attrHigh: digest[1], status };
}

/**
 * `dev`: of the directory that it is in. A bind mount may show the same device, and a file of an overlay has that of its
 * layer: what the kernel says of mounts counts, and where it does not the device of directories.
 */
function isMountPoint(at: DirHandle, entry: Entry, follow: boolean, dev: number | undefined): boolean {
  const type = typeOf(entry.mode);
  if (type === FileType.directory && dev !== undefined && entry.dev !== dev) return true;
  return type !== FileType.symlink && libc?.isMountPoint(at, entry.name, follow) === true;
}

export function readLink(path: Buffer): Uint8Array {
  return new Uint8Array(fs.readlinkSync(path, { encoding: "buffer" }));
}

export async function listDirectory(
  slices: Slices,
  parent: DirHandle,
  name: Uint8Array,
  options: WalkOptions,
  wanted: Wanted,
): Promise<Listing> {
  let directory: DirHandle = NO_HANDLE;
  let flags = 0;
  let modeBefore: number | undefined;
  try {
    if (slices.canceled) throw new StatusError(-E.ECANCELED);
    const opened = openToList(parent, name, options);
    directory = opened.directory;
    if (opened.created) flags |= BatchFlag.created;
    if (opened.modeBefore !== undefined) {
      modeBefore = opened.modeBefore;
      flags |= BatchFlag.madeWritable;
    }
    if (directory < 0) throw new StatusError(directory);
  } catch (error) {
    const status = statusOf(error);
    return { directory: NO_HANDLE, entries: [nothing(SELF, -E.ENOENT)], status, flags, filesystemType: 0 };
  }
  if (options.selfOnly && libc?.hasBirthTime(directory) === false && filesystemType(directory) === EXT_MAGIC)
    flags |= BatchFlag.smallInodes;
  // By itself and not by a name in it, which would have to be searched.
  let self = examine(descriptorPath(directory), directory, SELF, true, wanted);
  if (modeBefore !== undefined) self = { ...self, mode: modeBefore };
  const entries: Entry[] = [];
  let status = 0;
  if (!options.selfOnly) {
    try {
      const names = fs.readdirSync(descriptorPath(directory), { encoding: "buffer" });
      names.sort(Buffer.compare);
      for (const [at, entry] of names.entries()) {
        // A directory that changes while it is read may show a name twice.
        if (at > 0 && entry.equals(names[at - 1]!)) continue;
        if (slices.isDue) await slices.breathe();
        const copy = new Uint8Array(entry);
        entries.push(examine(below(directory, copy), directory, copy, options.follow, wanted, self.dev));
      }
    } catch (error) {
      status = statusOf(error);
      flags |= BatchFlag.partial;
    }
  }
  entries.push(self);
  return { directory, entries, status, flags, filesystemType: filesystemType(directory) };
}

export function filesystemType(directory: DirHandle): number {
  let type = 0;
  attempt(() => {
    type = fs.statfsSync(descriptorPath(directory)).type >>> 0;
  });
  return type;
}

interface Opened {
  /** Or a negative errno: it was made all the same, where `created` says so. */
  readonly directory: DirHandle;
  readonly created: boolean;
  /** The mode it had before it was made writable. */
  readonly modeBefore: number | undefined;
}

function openToList(parent: DirHandle, name: Uint8Array, options: WalkOptions): Opened {
  if (parent !== WORKING_DIRECTORY && name.includes(0x2f)) {
    return { ...openBeneath(parent, name, options.create), modeBefore: undefined };
  }
  const component = name.length === 0 ? SELF : name;
  const isSelf = component.length === 1 && component[0] === SELF[0];
  if (parent !== WORKING_DIRECTORY && !isSelf) {
    const status = checkName(component);
    if (status < 0) throw new StatusError(status);
  }
  const path = below(parent, component);
  let created = false;
  const open = (): DirHandle => openDirectory(path, options.openFollow || isSelf);
  const tryOpen = (): number => {
    try {
      return open();
    } catch (error) {
      return statusOf(error);
    }
  };
  let directory = tryOpen();
  // It is asked for where it is thought to be missing: another spelling of it is another directory's.
  const stands = directory >= 0 || directory === -E.ENOTDIR;
  if (options.create && stands && parent !== WORKING_DIRECTORY && !isSelf && !isListed(parent, component)) {
    closeHandle(directory);
    throw new StatusError(-E.EEXIST);
  }
  if (directory === -E.ENOENT && options.create) {
    const status = attempt(() => fs.mkdirSync(path, { mode: 0o700 }));
    if (status < 0 && status !== -E.EEXIST) throw new StatusError(status);
    created = status === 0;
    directory = tryOpen();
  }
  let modeBefore: number | undefined;
  if (options.writable && process.geteuid?.() !== 0 && (directory >= 0 || directory === -E.EACCES)) {
    const writable = makeWritable(directory, parent, component);
    if (writable !== undefined) ({ directory, modeBefore } = writable);
  }
  return { directory, created, modeBefore };
}

/**
 * Adds u+rwx to a directory of ours that lacks it: to the open one, or where it would not open (`opened` < 0) to the one
 * of that name, which is then opened. Undefined when nothing was done.
 */
function makeWritable(
  opened: number,
  parent: DirHandle,
  name: Uint8Array,
): { directory: DirHandle; modeBefore: number } | undefined {
  const held = opened >= 0 ? holdEntry(opened, EMPTY) : holdEntry(parent, name);
  try {
    const mode = Number(held.stats.mode);
    const isOurs = Number(held.stats.uid) === process.geteuid?.();
    if (typeOf(mode) !== FileType.directory || !isOurs || (mode & 0o700) === 0o700) return undefined;
    if (attempt(() => fs.chmodSync(held.path, (mode & 0o7777) | 0o700)) < 0) return undefined;
    try {
      return { directory: opened >= 0 ? opened : openDirectory(held.path, held.follow), modeBefore: mode };
    } catch (error) {
      attempt(() => fs.chmodSync(held.path, mode & 0o7777));
      throw error;
    }
  } finally {
    held.close();
  }
}

export async function statNames(
  slices: Slices,
  parent: DirHandle,
  names: readonly Uint8Array[],
  follow: boolean,
  wanted: Wanted,
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const given of names) {
    const name = given.slice();
    if (slices.canceled) {
      entries.push(nothing(name, -E.ECANCELED));
      continue;
    }
    const bad = name.length === 0 ? -E.ENOENT : parent === WORKING_DIRECTORY ? 0 : checkName(name);
    entries.push(bad < 0 ? nothing(name, bad) : examine(below(parent, name), parent, name, follow, wanted));
    if (slices.isDue) await slices.breathe().catch(() => undefined);
  }
  entries.push(nothing(SELF, -E.ENOENT));
  return entries;
}
