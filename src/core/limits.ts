/** Every bound and threshold of the program, with its reason. Relations between them are asserted below. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  /** Directories that the source may have offered and the target not yet settled: enough to keep workers busy. */
  unsettledDirectories: 96,
  /** Entries in those directories; one directory may exceed it, so that any directory can be handled. */
  unsettledEntries: 160_000,
  /** Files of one copy request: long enough to hide the request's cost, short enough to share a directory. */
  sliceFiles: 128,
  /** Payload of one copy request. */
  sliceBytes: 16 * MIB,
  /**
   * Copy requests in flight per worker: enough that several directories are among them, since two workers that make
   * names in one directory wait for its lock.
   */
  slicesPerWorker: 20,
  /** The planner's border between small and medium files. */
  shardFileBytes: 1 * MIB,
  /** From this size a file is split into ranges that several workers copy. */
  splitFileBytes: 48 * MIB,
  /** A range of a split file: a few hundred of them in a big file, and milliseconds each. */
  rangeBytes: 32 * MIB,
  minRangeBytes: 8 * MIB,
  /** Shards of small files: first target, and its promotions as small files add up. */
  shardBytes: 8 * MIB,
  shardFiles: 2048,
  shardPromotions: [
    { whenTotalBytes: 256 * MIB, shardBytes: 32 * MIB },
    { whenTotalBytes: 768 * MIB, shardBytes: 64 * MIB },
  ],
  /** Bundles of medium files. */
  bundleBytes: 128 * MIB,
  bundlePromotions: [{ whenTotalBytes: 512 * MIB, bundleBytes: 384 * MIB }],
  /** A job this small goes without planning. */
  tinyFiles: 8,
  tinyBytes: 100 * MIB,
  /** Extraneous subtrees are walked by this many requests at a time. */
  extraneousWalks: 16,
  /** A move makes this many directories durable at a time before it unlinks their sources. */
  moveFlushDirectories: 256,
  moveFlushEntries: 200_000,
  /** Failures kept in full for the summary; all are counted and reported as they happen. */
  failuresKept: 1000,
  /** The built-in guard of deletion: more than this many and more than this share of the target. */
  guardDeletions: 100,
  guardShare: 0.5,
  /** How long a frame may come before its need is known: what asks and what answers take different ways. */
  unknownNeedMs: 5000,
  /** The size of a per-directory filter file that is read. */
  filterFileBytes: 1 * MIB,
} as const;

function assertRelation(holds: boolean, relation: string): void {
  if (!holds) throw new Error(`limits: ${relation} does not hold`);
}
assertRelation(LIMITS.shardFileBytes < LIMITS.splitFileBytes, "shardFileBytes < splitFileBytes");
assertRelation(LIMITS.minRangeBytes <= LIMITS.rangeBytes, "minRangeBytes <= rangeBytes");
assertRelation(LIMITS.rangeBytes < LIMITS.splitFileBytes, "rangeBytes < splitFileBytes");
assertRelation(LIMITS.sliceFiles <= LIMITS.shardFiles, "sliceFiles <= shardFiles");
