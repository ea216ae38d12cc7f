/**
 * Walks directories that only the target has, to know what deleting them would mean: how many entries go, and what
 * the filters, mount points or unreadable places protect. A directory goes only when everything in it goes.
 */

import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import { errnoText, failureCode } from "../core/errno.ts";
import type { Failure } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { joinPath } from "../core/paths.ts";
import { Semaphore } from "../core/semaphore.ts";
import { Decision, type DirectoryFilter } from "../filter/filter.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";

/** Entries of one directory that are to be deleted. A directory's record comes after those of what is inside it. */
export interface ExtraneousRecord {
  readonly path: Uint8Array;
  readonly names: Uint8Array[];
  /** Per name, whether it is a directory. */
  readonly directories: boolean[];
  /** A directory that stays gets back its time afterwards. */
  readonly restore: RestoreTimes | undefined;
}

export interface RestoreTimes {
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** What stands below extraneous directories: records, children first. */
export interface Collected {
  readonly records: ExtraneousRecord[];
  readonly entries: number;
  /** Directory rows that may go whole; the others hold something protected. */
  readonly deletable: readonly number[];
  readonly protectedEntries: number;
  readonly mounts: number;
  readonly failures: readonly Failure[];
}

interface Sum {
  readonly records: ExtraneousRecord[];
  entries: number;
  protectedEntries: number;
  mounts: number;
  readonly failures: Failure[];
}

const WALK = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: false,
  selfOnly: false,
  // It may be a dry run's, which leaves no trace.
  noAtime: true,
};

/** Each run has one, so that its walks share one limit. */
export class ExtraneousWalker {
  private readonly backend: Backend;
  private readonly walks = new Semaphore(LIMITS.extraneousWalks);

  private readonly isKept: (listing: EntryBatch, row: number) => boolean;

  private readonly backsUpBeside: boolean;

  /**
   * `isKept`: entries that belong to the run itself, such as its backups. `backsUpBeside`: what is deleted leaves a
   * backup in its own directory, which therefore stays.
   */
  constructor(backend: Backend, isKept: (listing: EntryBatch, row: number) => boolean, backsUpBeside: boolean) {
    this.backend = backend;
    this.isKept = isKept;
    this.backsUpBeside = backsUpBeside;
  }

  /** Rows of `listing`, all directories, below the open directory at `path`. */
  async collect(
    handle: DirHandle,
    path: Uint8Array,
    filter: DirectoryFilter,
    listing: EntryBatch,
    rows: readonly number[],
  ): Promise<Collected> {
    const sum: Sum = { records: [], entries: 0, protectedEntries: 0, mounts: 0, failures: [] };
    const deletable = await this.children(handle, path, filter, listing, rows, sum);
    return { ...sum, deletable };
  }

  private async children(
    handle: DirHandle,
    path: Uint8Array,
    filter: DirectoryFilter,
    listing: EntryBatch,
    rows: readonly number[],
    sum: Sum,
  ): Promise<number[]> {
    const names = rows.map((row) => listing.name(row).slice());
    const goes = await Promise.all(
      names.map((name) =>
        this.directory(handle, joinPath(path, name), name, filter.isEmpty ? filter : filter.enter(name), sum),
      ),
    );
    return rows.filter((_, index) => goes[index]);
  }

  /** True when the whole directory may go; its contents are then recorded, children first. */
  private async directory(
    parent: DirHandle,
    path: Uint8Array,
    name: Uint8Array,
    filter: DirectoryFilter,
    sum: Sum,
  ): Promise<boolean> {
    const listing = await this.walks.run(() => this.backend.walk(parent, name, WALK));
    try {
      if (listing.status !== 0) {
        const errno = -listing.status;
        sum.failures.push({
          code: failureCode(errno),
          side: "target",
          path,
          operation: "read directory",
          errno,
          message: errnoText(errno),
        });
        return false;
      }
      const files: number[] = [];
      const directories: number[] = [];
      let whole = true;
      for (let row = 0; row < listing.count; row++) {
        if ((listing.rowFlags(row) & RowFlag.mount) !== 0) {
          sum.mounts++;
          whole = false;
        } else if (!filter.isEmpty && filter.decide(listing, row, "target") !== Decision.include) {
          sum.protectedEntries++;
          whole = false;
        } else if (this.isKept(listing, row)) whole = false;
        else if (listing.type(row) === FileType.directory) directories.push(row);
        else files.push(row);
      }
      const gone = await this.children(listing.dirfd, path, filter, listing, directories, sum);
      if (gone.length < directories.length || (this.backsUpBeside && files.length > 0)) whole = false;
      const going = [...files, ...gone];
      if (going.length > 0) {
        sum.records.push({
          path,
          names: going.map((row) => listing.name(row).slice()),
          directories: going.map((row) => listing.type(row) === FileType.directory),
          restore: undefined,
        });
        sum.entries += going.length;
      }
      return whole;
    } finally {
      if (listing.dirfd >= 0) this.backend.close([listing.dirfd]);
      this.backend.releaseBatch(listing);
    }
  }
}
