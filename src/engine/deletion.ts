/**
 * Deletes what was recorded, children first. Each directory is found anew from the root's held descriptor, component
 * by component, so that nothing that was swapped in meanwhile is followed; each entry must still be of the type that
 * was seen.
 */

import { BatchFlag, type EntryBatch, FileType } from "../core/entry-batch.ts";
import { E, errnoText, failureCode } from "../core/errno.ts";
import type { Failure, RunEvent } from "../core/events.ts";
import { joinPath } from "../core/paths.ts";
import { type Backend, type DirHandle, NO_HANDLE, type PreparedSettings } from "../fs/backend.ts";
import { GIVE_BACK, restoreMode } from "./directory-access.ts";
import type { ExtraneousRecord } from "./extraneous.ts";

export interface DeletionContext {
  readonly backend: Backend;
  readonly root: DirHandle;
  readonly settings: PreparedSettings;
  /** Settings that apply a mode and times, and no other attribute. */
  readonly restamp: PreparedSettings;
  /** Where what is deleted goes instead, for a directory of the target; undefined: it is removed. */
  readonly backupOf: ((path: Uint8Array, directory: DirHandle) => Promise<DirHandle>) | undefined;
  /** Set when each deletion is to be reported. */
  readonly onDeleted: ((event: Extract<RunEvent, { kind: "delete" }>) => void) | undefined;
  /** Told after each directory: entries that are gone so far. */
  readonly onProgress: (entries: number) => void;
  readonly signal: AbortSignal;
}

export async function deleteRecords(
  context: DeletionContext,
  records: readonly ExtraneousRecord[],
): Promise<{ entries: number; failures: Failure[] }> {
  const failures: Failure[] = [];
  let entries = 0;
  for (const record of records) {
    if (context.signal.aborted) break;
    entries += await deleteIn(context, record, failures);
    context.onProgress(entries);
  }
  return { entries, failures };
}

const SELF = Uint8Array.of(0x2e);
const WALK = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: true,
  selfOnly: true,
};

async function deleteIn(context: DeletionContext, record: ExtraneousRecord, failures: Failure[]): Promise<number> {
  const { backend, root } = context;
  const fail = (path: Uint8Array, operation: string, status: number): void => {
    failures.push({
      // Something else stands there by now: it stays, which is not what was asked for.
      code: status === -E.STALE ? "other" : failureCode(status),
      side: "target",
      path,
      operation,
      errno: Math.abs(status),
      message: errnoText(status),
    });
  };
  const handle = await backend.resolve(root, record.path.length === 0 ? SELF : record.path, {
    create: false,
    operator: false,
  });
  if (handle < 0) {
    if (handle !== -E.NOENT) fail(record.path, "open directory", handle);
    return 0;
  }
  // Opened again through itself: this adds the write permission that an ordinary user's own directory may lack.
  const self = await backend.walk(handle, SELF, WALK);
  const listing = await backend.stat(handle, record.names, { xattrs: false, acls: false, follow: false });
  const rows: number[] = [];
  record.names.forEach((name, row) => {
    const status = listing.rowStatus(row);
    const path = joinPath(record.path, name);
    if (status === -E.NOENT) return;
    if (status !== 0) fail(path, "stat", status);
    else if ((listing.type(row) === FileType.directory) !== record.directories[row]) fail(path, "delete", -E.STALE);
    else rows.push(row);
  });
  const deleted = rows.length === 0 ? 0 : await removeRows(context, record, handle, listing, rows, fail);
  if (deleted > 0 && record.restore !== undefined) await restoreTimes(context, record, handle, self.mode(self.self));
  // Also where the times came first: what is stopped meanwhile sets neither.
  if ((self.flags & BatchFlag.madeWritable) !== 0) {
    const status = restoreMode(handle, self);
    if (status < 0) fail(record.path, GIVE_BACK, status);
  }
  if (self.dirfd >= 0) backend.close([self.dirfd]);
  backend.releaseBatch(self);
  backend.releaseBatch(listing);
  backend.close([handle]);
  return deleted;
}

async function removeRows(
  context: DeletionContext,
  record: ExtraneousRecord,
  handle: DirHandle,
  listing: EntryBatch,
  rows: readonly number[],
  fail: (path: Uint8Array, operation: string, status: number) => void,
): Promise<number> {
  const backup = context.backupOf === undefined ? undefined : await context.backupOf(record.path, handle);
  if (backup !== undefined && backup < 0) {
    fail(record.path, "open backup directory", backup);
    return 0;
  }
  const results = await context.backend.remove(handle, listing, Uint32Array.from(rows), {
    same: false,
    ...(backup === undefined ? {} : { backup, settings: context.settings }),
  });
  let deleted = 0;
  rows.forEach((row, index) => {
    const path = joinPath(record.path, listing.name(row));
    const status = results.status(index);
    if (status === -E.NOENT) return;
    if (status !== 0) {
      fail(path, "delete", status);
      return;
    }
    deleted++;
    context.onDeleted?.({ kind: "delete", path, directory: listing.type(row) === FileType.directory });
  });
  results.release();
  if (backup !== undefined && backup !== handle) context.backend.close([backup]);
  return deleted;
}

/** Gives the directory its time back, and the mode it had before it was made writable; nothing else of it changes. */
async function restoreTimes(
  context: DeletionContext,
  record: ExtraneousRecord,
  handle: DirHandle,
  mode: number,
): Promise<void> {
  const { restore } = record;
  if (restore === undefined) return;
  const { backend, restamp } = context;
  const batch = backend.makeBatch([{ name: SELF, mode, mtimeSec: restore.mtimeSec, mtimeNsec: restore.mtimeNsec }]);
  const results = await backend.repair({
    source: NO_HANDLE,
    target: handle,
    batch,
    rows: Uint32Array.of(batch.self),
    settings: restamp,
  });
  results.release();
  backend.releaseBatch(batch);
}
