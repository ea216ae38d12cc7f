/**
 * Metadata in the order that survives (`ffi/meta_linux.c`): owner (clears setid bits), xattrs and POSIX ACLs (change
 * the mode), mode, NFSv4 ACLs, times last. What is not permitted becomes a warning; setuid and setgid are given only
 * to a file that really belongs to whom they were meant for.
 */
import fs from "node:fs";
import { FileType } from "../../core/entry-batch.ts";
import { Warning } from "../backend.ts";
import {
  type AttributeSource,
  type Carrier,
  mayHaveAttributes,
  syncAttributes,
  wantsAttributes,
} from "./attributes.ts";
import { pathBuffer } from "./directories.ts";
import { type Entry, typeOf } from "./entry.ts";
import { attempt, isRefusal, must } from "./errno.ts";
import type { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import { libc } from "./libc.ts";

/** What metadata is applied to. */
export interface Subject extends Carrier {
  /** Its descriptor, where it is open for writing. */
  readonly fd?: number;
}

/** What the subject has now. */
export interface State {
  mode: number;
  uid: number;
  gid: number;
  isModeKnown: boolean;
  /** It may carry attributes that the source lacks. */
  mayHaveAttributes: boolean;
  /** An existing object: without `perms` its mode stays. */
  readonly inPlace: boolean;
  /** The object whose place this one takes. */
  readonly replaces?: { readonly mode: number; readonly uid: number; readonly gid: number } | undefined;
}

export function stateOf(stats: fs.BigIntStats, inPlace: boolean): State {
  return {
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    isModeKnown: true,
    mayHaveAttributes: true,
    inPlace,
  };
}

/** The mode of a new item. */
export function newMode(job: Job, want: Entry): number {
  if (job.settings.perms) return want.mode & 0o7777;
  return want.mode & 0o777 & ~(job.hasDefaultAcl ? 0 : job.settings.umask);
}

export function applyMetadata(
  job: Job,
  target: Subject,
  want: Entry,
  now: State,
  source: AttributeSource | undefined,
  item: Item,
): void {
  const { settings } = job;
  const before = { mode: now.mode, uid: now.uid, gid: now.gid };
  const type = typeOf(want.mode);
  applyOwner(job, target, want, now, item);
  let hasLate = false;
  let isOpened = false;
  if (wantsAttributes(job.wanted) && (mayHaveAttributes(want) || now.mayHaveAttributes)) {
    // user.* wants write permission on the inode, also through an open descriptor; the mode is set again below.
    const isOurs = !job.mayChown && now.isModeKnown && now.uid === job.euid && type !== FileType.symlink;
    isOpened = isOurs && (now.mode & 0o200) === 0 && changeMode(target, (now.mode & 0o7777) | 0o200) === 0;
    if (isOpened) now.mode |= 0o200;
    const synced = syncAttributes(source, target, job.wanted, !now.mayHaveAttributes, false, item);
    if (synced.changedMode) now.isModeKnown = false;
    hasLate = synced.hasLate;
  }
  if (type !== FileType.symlink) {
    const mode = chooseMode(job, want, now, before, item);
    // A new file under a default ACL, neither modes nor ACLs preserved: what the directory gave it stays.
    const isLeft = !settings.perms && !now.inPlace && now.replaces === undefined && job.hasDefaultAcl;
    try {
      if (!isLeft) applyMode(target, mode, now, item);
    } finally {
      // At least not left open.
      if (isOpened && (now.mode & 0o7777) !== mode) changeMode(target, before.mode & 0o7777);
    }
  }
  if (hasLate) syncAttributes(source, target, job.wanted, false, true, item);
  const wantsTimes =
    type === FileType.directory ? settings.dirTimes : type === FileType.symlink ? settings.linkTimes : settings.times;
  if (wantsTimes) warnOrThrow(setTimes(job, target, want), Warning.times, item);
}

function warnOrThrow(status: number, bit: number, item: Item): void {
  if (status >= 0) return;
  if (!isRefusal(status)) must(status);
  item.warn(bit, status);
}

const KEEP = 0xffffffff;

function applyOwner(job: Job, target: Subject, want: Entry, now: State, item: Item): void {
  const { settings, mayChown } = job;
  let uid = now.replaces !== undefined && mayChown ? now.replaces.uid : now.uid;
  let gid = now.replaces !== undefined && mayChown ? now.replaces.gid : now.gid;
  if (settings.owner && mayChown) uid = settings.chownUid ?? want.uid;
  if (settings.group) {
    const asked = settings.chownGid ?? want.gid;
    if (mayChown || (now.uid === job.euid && job.groups.has(asked))) gid = asked;
  }
  const setsUid = uid !== now.uid;
  const setsGid = gid !== now.gid;
  if (!setsUid && !setsGid) return;
  // The kernel clears setid bits on chown: what the mode is afterwards has to be set again.
  if (now.mode & 0o6000) now.isModeKnown = false;
  const change = (toUid: number, toGid: number): number => {
    const status = changeOwner(target, toUid, toGid);
    if (status === 0 && toUid !== KEEP) now.uid = toUid;
    if (status === 0 && toGid !== KEEP) now.gid = toGid;
    return status;
  };
  const status = change(setsUid ? uid : KEEP, setsGid ? gid : KEEP);
  if (status === 0) return;
  if (!isRefusal(status)) must(status);
  // One of them may still be possible.
  if (setsUid && setsGid && change(KEEP, gid) < 0) change(uid, KEEP);
  if (now.uid !== uid && settings.owner) item.warn(Warning.owner, status);
  if (now.gid !== gid && settings.group) item.warn(Warning.group, status);
}

function chooseMode(
  job: Job,
  want: Entry,
  now: State,
  before: { mode: number; uid: number; gid: number },
  item: Item,
): number {
  const { settings } = job;
  let uid = (settings.owner ? settings.chownUid : undefined) ?? want.uid;
  let gid = (settings.group ? settings.chownGid : undefined) ?? want.gid;
  let mode = newMode(job, want);
  const keeps = now.replaces ?? (now.inPlace ? before : undefined);
  if (!settings.perms && keeps !== undefined) {
    mode = keeps.mode & 0o7777;
    uid = keeps.uid;
    gid = keeps.gid;
  }
  if (typeOf(want.mode) === FileType.directory) return mode;
  const drop = (now.uid !== uid ? 0o4000 : 0) | (now.gid !== gid ? 0o2000 : 0);
  if (mode & drop && job.mayChown) item.warn(Warning.setid, -1);
  return mode & ~drop;
}

function changeMode({ fd, path }: Subject, mode: number): number {
  return attempt(() => (fd === undefined ? fs.chmodSync(pathBuffer(path), mode) : fs.fchmodSync(fd, mode)));
}

function applyMode(target: Subject, mode: number, now: State, item: Item): void {
  if (now.isModeKnown && (now.mode & 0o7777) === mode) return;
  const status = changeMode(target, mode);
  warnOrThrow(status, Warning.mode, item);
  if (status < 0) return;
  now.mode = (now.mode & FileType.mask) | mode;
  now.isModeKnown = true;
}

function changeOwner(target: Subject, uid: number, gid: number): number {
  return attempt(() => {
    if (target.fd !== undefined) fs.fchownSync(target.fd, uid, gid);
    else if (target.follow) fs.chownSync(pathBuffer(target.path), uid, gid);
    else fs.lchownSync(pathBuffer(target.path), uid, gid);
  });
}

function setTimes(job: Job, target: Subject, want: Entry): number {
  if (libc !== undefined) {
    return target.fd === undefined
      ? libc.setTimes(target.path, target.follow, want.mtimeSec, want.mtimeNsec, job.setsBothTimes)
      : libc.setTimesOf(target.fd, want.mtimeSec, want.mtimeNsec, job.setsBothTimes);
  }
  // Microseconds are what a double holds of today's seconds.
  const seconds = want.mtimeSec + Math.floor(want.mtimeNsec / 1000) / 1e6;
  return attempt(() => {
    if (target.fd !== undefined) fs.futimesSync(target.fd, seconds, seconds);
    else if (target.follow) fs.utimesSync(pathBuffer(target.path), seconds, seconds);
    else fs.lutimesSync(pathBuffer(target.path), seconds, seconds);
  });
}
