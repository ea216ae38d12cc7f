/**
 * Turns rows that need content into tasks.
 *
 *     small  (< 1 MiB)          -> shards:  many files travel as one unit
 *     medium (1 MiB .. large)   -> bundles: files back to back
 *     large                     -> one file, split into ranges over all workers or streams
 *
 * Shard and bundle targets grow as the total grows: a big job amortises big units, a small one wants its first bytes
 * early. Within one process a shard is executed as slices of at most `sliceFiles` files, so that one directory can
 * occupy every worker. The planner is told sizes and never touches files.
 */
import type { EntryBatch } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import type { CopyMethod, TransferOptions } from "../core/options.ts";

export type TaskKind = "shard" | "bundle" | "large" | "direct";

export interface Task {
  readonly kind: TaskKind;
  readonly rows: Uint32Array;
  readonly bytes: number;
}

export interface PlanMix {
  shards: number;
  bundles: number;
  large: number;
  direct: number;
}

export interface PlannerLimits {
  /** A task ends as it reaches so many files or bytes; the planner's own targets apply below that. */
  readonly taskFiles: number;
  readonly taskBytes: number;
  /** What a task of several files does not exceed. */
  readonly mostBytes: number;
  /** Files below travel in shards. */
  readonly smallBytes: number;
  /** Files from this size are tasks of their own. */
  readonly largeBytes: number;
}

export const LOCAL_LIMITS: PlannerLimits = {
  taskFiles: LIMITS.sliceFiles,
  taskBytes: LIMITS.sliceBytes,
  mostBytes: Number.POSITIVE_INFINITY,
  smallBytes: LIMITS.shardFileBytes,
  largeBytes: LIMITS.splitFileBytes,
};

/**
 * Limits of tasks whose content comes from another process: a large file is striped over all streams. `resume`: only
 * ranges can leave out what the target has already, so that files are large as soon as they are not small. `bufferBytes`:
 * what may be on its way; a file that has more comes range by range.
 */
export function streamLimits(resume: boolean, bufferBytes: number): PlannerLimits {
  const whole = bufferBytes > 0 ? Math.min(LIMITS.stripeFileBytes, bufferBytes + 1) : LIMITS.stripeFileBytes;
  return {
    ...LOCAL_LIMITS,
    largeBytes: resume ? LIMITS.shardFileBytes : whole,
  };
}

/**
 * Limits of a local run that may use these methods. A file is split only when one of them can write ranges of one file
 * at a time: a clone takes it whole, sendfile writes at the one position that all ranges share.
 */
export function localLimits(methods: readonly CopyMethod[] | undefined): PlannerLimits {
  const splits = methods?.some((method) => method !== "clone" && method !== "sendfile") ?? true;
  return splits ? LOCAL_LIMITS : { ...LOCAL_LIMITS, largeBytes: Number.POSITIVE_INFINITY };
}

/** The same with what the run was told: which files are small, and how much may be on its way at a time. */
export function toldLimits(limits: PlannerLimits, told: TransferOptions): PlannerLimits {
  const smallBytes = told.smallFileBytes > 0 ? told.smallFileBytes : limits.smallBytes;
  const mostBytes = told.bufferBytes > 0 ? told.bufferBytes : limits.mostBytes;
  return { ...limits, mostBytes, smallBytes, largeBytes: Math.max(limits.largeBytes, smallBytes) };
}

export class Planner {
  readonly mix: PlanMix = { shards: 0, bundles: 0, large: 0, direct: 0 };
  private readonly limits: PlannerLimits;
  private smallBytes = 0;
  private mediumBytes = 0;
  private files = 0;
  private bytes = 0;
  private shardBytes: number = LIMITS.shardBytes;
  private bundleBytes: number = LIMITS.bundleBytes;
  /** What is open of the unit being counted, over directories. */
  private shardOpenFiles = 0;
  private shardOpenBytes = 0;
  private bundleOpenBytes = 0;

  constructor(limits: PlannerLimits) {
    this.limits = limits;
  }

  /** A job so small so far that grouping it would cost more than it saves. */
  get tiny(): boolean {
    return this.files <= LIMITS.tinyFiles && this.bytes <= LIMITS.tinyBytes;
  }

  /** Tasks for these rows of one directory, in row order within each kind. Links and specials count as empty files. */
  plan(batch: EntryBatch, rows: Uint32Array): Task[] {
    const tasks: Task[] = [];
    const small: number[] = [];
    const medium: number[] = [];
    let smallBytes = 0;
    let mediumBytes = 0;
    const flushSmall = (): void => {
      if (small.length === 0) return;
      tasks.push({ kind: "shard", rows: Uint32Array.from(small), bytes: smallBytes });
      this.countShard(small.length, smallBytes);
      small.length = 0;
      smallBytes = 0;
    };
    const flushMedium = (): void => {
      if (medium.length === 0) return;
      tasks.push({ kind: "bundle", rows: Uint32Array.from(medium), bytes: mediumBytes });
      this.countBundle(mediumBytes);
      medium.length = 0;
      mediumBytes = 0;
    };
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const size = isRegular(batch.mode(row & 0x7fffffff)) ? batch.size(row & 0x7fffffff) : 0;
      this.files++;
      this.bytes += size;
      if (size >= this.limits.largeBytes) {
        tasks.push({ kind: "large", rows: Uint32Array.of(row), bytes: size });
        this.mix.large++;
      } else if (size >= this.limits.smallBytes) {
        if (mediumBytes + size > this.limits.mostBytes) flushMedium();
        medium.push(row);
        mediumBytes += size;
        if (medium.length >= this.limits.taskFiles || mediumBytes >= Math.min(this.limits.taskBytes, this.bundleBytes))
          flushMedium();
      } else {
        if (smallBytes + size > this.limits.mostBytes) flushSmall();
        small.push(row);
        smallBytes += size;
        if (small.length >= this.limits.taskFiles || smallBytes >= Math.min(this.limits.taskBytes, this.shardBytes))
          flushSmall();
      }
    }
    flushSmall();
    flushMedium();
    return tasks;
  }

  /** The units this job was planned as. A tiny job has none: its files went directly. */
  finalMix(): PlanMix {
    if (this.tiny) return { shards: 0, bundles: 0, large: 0, direct: this.files };
    return {
      shards: this.mix.shards + (this.shardOpenFiles > 0 ? 1 : 0),
      bundles: this.mix.bundles + (this.bundleOpenBytes > 0 ? 1 : 0),
      large: this.mix.large,
      direct: 0,
    };
  }

  private countShard(files: number, bytes: number): void {
    this.smallBytes += bytes;
    for (const step of LIMITS.shardPromotions) {
      if (this.smallBytes >= step.whenTotalBytes) this.shardBytes = step.shardBytes;
    }
    this.shardOpenFiles += files;
    this.shardOpenBytes += bytes;
    if (this.shardOpenFiles >= LIMITS.shardFiles || this.shardOpenBytes >= this.shardBytes) {
      this.mix.shards++;
      this.shardOpenFiles = 0;
      this.shardOpenBytes = 0;
    }
  }

  private countBundle(bytes: number): void {
    this.mediumBytes += bytes;
    for (const step of LIMITS.bundlePromotions) {
      if (this.mediumBytes >= step.whenTotalBytes) this.bundleBytes = step.bundleBytes;
    }
    this.bundleOpenBytes += bytes;
    if (this.bundleOpenBytes >= this.bundleBytes) {
      this.mix.bundles++;
      this.bundleOpenBytes = 0;
    }
  }
}

function isRegular(mode: number): boolean {
  return (mode & 0o170000) === 0o100000;
}
