/**
 * The content of a regular file below the job's source directory. The rules are those of `ffi/copy_file.c`: the source
 * is looked at again after reading, and read once more if it changed; if it changed again it fails with -EBUSY.
 */
import fs from "node:fs";
import { Method, Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { ItemFlag } from "../backend.ts";
import { type AttributeSource, attributesAt, wantsAttributes } from "./attributes.ts";
import { copyDifferences, copyRange, copySparse, openFlow, readFull, verifyContent } from "./copy-data.ts";
import { below, closeHandle, descriptorPath, fstat, O_NOFOLLOW, O_NONBLOCK } from "./directories.ts";
import { type Entry, entryOfStat, isSameInode, isUnchanged, typeOf } from "./entry.ts";
import { again, E, StatusError, statusOf } from "./errno.ts";
import type { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import type { Content } from "./write-regular.ts";

const C = fs.constants;
const O_NOATIME = process.platform === "linux" ? 0o1000000 : 0;
let isNoAtimeRefused = false;

/** A file that another program holds a lease on answers EAGAIN until the kernel has it back, after 45 s at most. */
const LEASE_MS = 60_000;

export function openSource(job: Job, name: Uint8Array): number {
  const path = below(job.source, name);
  const flags = C.O_RDONLY | O_NONBLOCK | (job.settings.follow ? 0 : O_NOFOLLOW);
  if (job.settings.noAtime && !isNoAtimeRefused) {
    try {
      return again(() => fs.openSync(path, flags | O_NOATIME), LEASE_MS);
    } catch (error) {
      if (statusOf(error) !== -E.EPERM) throw error;
      isNoAtimeRefused = true;
    }
  }
  return again(() => fs.openSync(path, flags), LEASE_MS);
}

/** The only method here; a run that forbids it must hear so. */
export function mayReadWrite(job: Job): boolean {
  return job.settings.methods === undefined || job.settings.methods.includes("read_write");
}

/** The source's attributes, read when they are needed. */
export function attributesOfOpen(fd: number): AttributeSource {
  return attributesAt({ path: descriptorPath(fd), follow: true });
}

/**
 * A source as it is being read. After each pass `settle` says whether it is still what `want` says; after the first
 * change `want` is what it looks like now.
 */
export class Reading {
  readonly fd: number;
  want: Entry;
  private isRetry = false;

  constructor(fd: number, want: Entry) {
    this.fd = fd;
    this.want = want;
  }

  /** True when the pass counts, false to read again; throws -EBUSY when it changed again. */
  settle(job: Job, isWhole: boolean, item: Item): boolean {
    item.doing = Stage.read;
    // What is made when it is read (in proc, by some FUSE servers) says that it is empty, and is not.
    const isAll = isWhole && (this.want.size > 0 || readFull(this.fd, new Uint8Array(1), 0) === 0);
    const stats = fstat(this.fd);
    if (isAll && isUnchanged(this.want, stats)) {
      if (this.isRetry) item.flags |= ItemFlag.retried;
      return true;
    }
    if (this.isRetry || typeOf(stats.mode) !== FileType.regular) {
      item.flags |= ItemFlag.changed;
      throw new StatusError(-E.EBUSY);
    }
    this.isRetry = true;
    const fresh = entryOfStat(this.want.name, stats);
    const flags = wantsAttributes(job.wanted) ? fresh.flags | RowFlag.attrFailed : fresh.flags;
    const { uid, gid } = job.settings.rowOwners ? this.want : fresh;
    this.want = { ...fresh, flags, uid, gid };
    item.size = fresh.size;
    return false;
  }
}

export class LocalContent implements Content {
  private readonly reading: Reading;

  /** Opens the source; throws. */
  constructor(job: Job, entry: Entry) {
    this.reading = new Reading(openSource(job, entry.name), entry);
  }
  get want(): Entry {
    return this.reading.want;
  }
  get attributes(): AttributeSource {
    return attributesOfOpen(this.reading.fd);
  }
  isSame(target: fs.BigIntStats): boolean {
    return isSameInode(fstat(this.reading.fd), target);
  }
  close(): void {
    closeHandle(this.reading.fd);
  }
  verify(job: Job, target: number, item: Item): Promise<void> {
    return verifyContent(job, this.reading.fd, target, this.want.size, item);
  }

  async move(job: Job, target: number, oldBytes: number, compares: boolean, item: Item): Promise<void> {
    const { reading } = this;
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
      if (reading.settle(job, !flow.ended, item)) {
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
}
