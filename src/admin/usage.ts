/** What trees occupy. An inode with several names counts once in a call, in the first directory that shows it. */

import type { DirectoryUsage, PathFailure, UsagePart, UsageRequest } from "../core/admin-calls.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import type { Backend } from "../fs/backend.ts";
import { diskBytes, failureOf } from "./entries.ts";
import { type Ground, openPlace } from "./open-place.ts";
import { type Level, walkTree } from "./walk-tree.ts";

const NO_BYTES = new Uint8Array(0);

interface Sum {
  diskBytes: number;
  apparentBytes: number;
  files: number;
  directories: number;
}

export async function* usageOf(
  backend: Backend,
  ground: Ground,
  path: Uint8Array,
  request: UsageRequest,
  signal: AbortSignal,
): AsyncGenerator<UsagePart> {
  const linked = new LinkedInodes();
  const place = await openPlace(backend, ground, path);
  if (place.kind === "entry") {
    const sum = newSum();
    addFile(sum, place.entry, 0, linked);
    sum.files = 0;
    backend.releaseBatch(place.entry);
    backend.close([place.parent]);
    yield { directories: [{ path: NO_BYTES, ...sum }], failures: [] };
    return;
  }
  const deepest = request.maxDepth ?? Number.POSITIVE_INFINITY;
  const sums: Sum[] = [];
  let directories: DirectoryUsage[] = [];
  let failures: PathFailure[] = [];
  let since = performance.now();
  let device: number | undefined;
  /** Of the directory that is about to be entered, as the row above tells it: it may not be readable itself. */
  let ownBytes = 0;
  const take = (): UsagePart => {
    const part = { directories, failures };
    directories = [];
    failures = [];
    since = performance.now();
    return part;
  };
  const visitor = {
    enter: ({ listing, depth }: Level) => {
      device ??= listing.dev(listing.self);
      sums.push({ ...newSum(), diskBytes: depth === 0 ? diskBytes(listing, listing.self) : ownBytes });
    },
    row: ({ listing }: Level, row: number) => {
      if (request.oneFileSystem && listing.dev(row) !== device) return false;
      const sum = sums[sums.length - 1]!;
      if (listing.type(row) === FileType.directory) {
        sum.directories++;
        ownBytes = diskBytes(listing, row);
      } else addFile(sum, listing, row, linked);
      return true;
    },
    leave: (level: Level) => {
      const sum = sums.pop()!;
      const above = sums[sums.length - 1];
      if (level.depth <= deepest) directories.push({ path: level.path, ...sum });
      if (above === undefined) return;
      above.diskBytes += sum.diskBytes;
      above.apparentBytes += sum.apparentBytes;
      above.files += sum.files;
      above.directories += sum.directories;
    },
    fail: (failure: PathFailure) => failures.push(failure),
  };
  for await (const _ of walkTree(backend, place.handle, visitor, { ...request, signal })) {
    const count = directories.length + failures.length;
    if (count >= LIMITS.partRows || (count > 0 && performance.now() - since > LIMITS.progressMs)) yield take();
  }
  if (linked.isFull)
    failures.push({
      ...failureOf(NO_BYTES, "count hard links", 0),
      code: "limit",
      message: `more than ${LIMITS.linkedInodes} inodes with several names: further ones count with each name`,
    });
  yield take();
}

function newSum(): Sum {
  return { diskBytes: 0, apparentBytes: 0, files: 0, directories: 0 };
}

function addFile(sum: Sum, listing: EntryBatch, row: number, linked: LinkedInodes): void {
  const type = listing.type(row);
  sum.files++;
  if (listing.nlink(row) > 1 && !linked.isNew(listing, row)) return;
  sum.diskBytes += diskBytes(listing, row);
  if (type === FileType.regular || type === FileType.symlink) sum.apparentBytes += listing.size(row);
}

/** Inodes with several names that were seen, by device. */
export class LinkedInodes {
  isFull = false;
  private count = 0;
  private readonly seen = new Map<number, Set<number | bigint>>();

  isNew(listing: EntryBatch, row: number): boolean {
    const device = listing.dev(row);
    let inodes = this.seen.get(device);
    if (inodes === undefined) {
      inodes = new Set();
      this.seen.set(device, inodes);
    }
    const high = listing.inoHigh(row);
    const low = listing.inoLow(row);
    const inode = high < 1 << 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
    if (inodes.has(inode)) return false;
    if (this.count >= LIMITS.linkedInodes) this.isFull = true;
    else {
      this.count++;
      inodes.add(inode);
    }
    return true;
  }
}
