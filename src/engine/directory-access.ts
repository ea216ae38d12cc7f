/**
 * Directories of an ordinary user that deny their owner something: listed and written all the same, because the owner
 * may change that, and given their mode back. A directory is touched only when it has to be.
 */
import { fchmodSync, mkdirSync } from "node:fs";
import { BatchFlag, type EntryBatch } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import type { DirHandle, WalkOptions } from "../fs/backend.ts";

const READ_SEARCH = 0o500;
const WRITE = 0o200;

/** Opening a directory with these adds what its owner lacks, and lists nothing. */
export const LIFT: WalkOptions = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: true,
  selfOnly: true,
};

export function deniesListing(listing: EntryBatch): boolean {
  if (listing.dirfd < 0) return listing.status === -E.ACCES;
  return listing.rowStatus(listing.self) === 0 && (listing.mode(listing.self) & READ_SEARCH) !== READ_SEARCH;
}

export function deniesWriting(listing: EntryBatch): boolean {
  return listing.rowStatus(listing.self) === 0 && (listing.mode(listing.self) & WRITE) === 0;
}

export function markCreated(listing: EntryBatch): void {
  listing.u32[(listing.at >> 2) + 5] = listing.flags | BatchFlag.created;
}

/** What a directory that does not get its mode back has failed at. */
export const GIVE_BACK = "give back the mode";

/** Gives an open directory the mode that its listing shows. 0, or a negative errno. */
export function restoreMode(handle: DirHandle, listing: EntryBatch): number {
  try {
    fchmodSync(handle, listing.mode(listing.self) & 0o7777);
    return 0;
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    return typeof errno === "number" ? -Math.abs(errno) : -E.IO;
  }
}

/**
 * Makes a directory as a program would: umask, a default ACL and a set-gid parent decide together what is left of
 * `mode`. False where something stands already or the way is not open; an ordinary creation then says why.
 */
export function makeDirectoryByUmask(parent: DirHandle, name: Uint8Array, mode: number): boolean {
  try {
    mkdirSync(Buffer.concat([Buffer.from(`/proc/self/fd/${parent}/`), name]), mode);
    return true;
  } catch {
    return false;
  }
}
