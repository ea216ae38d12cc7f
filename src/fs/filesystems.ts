/** What is known of filesystems by their magic number (statfs(2), linux/magic.h). */

interface FilesystemFacts {
  readonly name: string;
  /** Step in which it keeps mtimes, where it is coarser than a nanosecond. */
  readonly timeGranularityNs?: number;
  /** The first and the last second that an mtime may have; what lies outside is kept as the nearer of them. */
  readonly times?: readonly [earliest: number, latest: number];
  /** Reached over a network or through a user-space server: what is behind it keeps times as it pleases. */
  readonly remote?: true;
  /** Stands for another one. */
  readonly stacked?: true;
  /** Files can share blocks (FICLONE); perhaps: that is not the kind's alone to say. */
  readonly shares?: "yes" | "perhaps";
  /** Copies between two of its own, when the kernel asks (copy_file_range); others leave it to the kernel. */
  readonly copies?: true;
}

/** How an mtime is kept: in steps, and within a range. */
export interface TimeKeeping {
  readonly stepNs: number;
  /** Seconds since 1970. */
  readonly earliestSec: number;
  readonly latestSec: number;
}

const SECOND = 1_000_000_000;
const FUSE = 0x65735546;
const DAY_SEC = 86_400;
const [YEAR_1901, YEAR_2038] = [-(2 ** 31), 2 ** 31 - 1];
const YEAR_2446 = 2 ** 34 + YEAR_1901 - 1;
const YEAR_2486 = 16_299_260_424;
/** 1980 to 2107, in the local time of whoever mounted it: a day less at both ends holds everywhere. */
const DOS_YEARS = [315_532_800 + DAY_SEC, 4_354_819_198 - DAY_SEC] as const;

const FACTS: Readonly<Record<number, FilesystemFacts>> = {
  391: { name: "autofs" },
  16964: { name: "hfs", timeGranularityNs: SECOND },
  18475: { name: "hfsplus", timeGranularityNs: SECOND },
  19780: { name: "vfat", timeGranularityNs: 2 * SECOND, times: DOS_YEARS },
  26985: { name: "nfs", remote: true, shares: "perhaps", copies: true },
  38496: { name: "iso9660", timeGranularityNs: SECOND },
  40864: { name: "proc" },
  61267: { name: "ext2/3/4", times: [YEAR_1901, YEAR_2446] },
  12805120: { name: "ceph", remote: true, copies: true },
  16914836: { name: "tmpfs" },
  16914839: { name: "9p", remote: true },
  352400198: { name: "udf", timeGranularityNs: 1_000 },
  538032816: { name: "exfat", timeGranularityNs: 10_000_000, times: DOS_YEARS },
  801189825: { name: "zfs", shares: "perhaps", copies: true },
  827541066: { name: "jfs" },
  1382369651: { name: "reiserfs", timeGranularityNs: SECOND },
  1397118030: { name: "ntfs", timeGranularityNs: 100 },
  1481003842: { name: "xfs", times: [YEAR_1901, YEAR_2486], shares: "perhaps" },
  1650812274: { name: "sysfs" },
  1702057286: { name: "fuse", remote: true, copies: true },
  1936094318: { name: "ntfs3", timeGranularityNs: 100 },
  1936814952: { name: "squashfs", timeGranularityNs: SECOND },
  2035054128: { name: "overlayfs", stacked: true, shares: "perhaps" },
  2240043254: { name: "ramfs" },
  2435016766: { name: "btrfs", shares: "yes" },
  3393526350: { name: "bcachefs", shares: "yes" },
  4076150800: { name: "f2fs" },
  4266872130: { name: "smb", timeGranularityNs: 100, remote: true, shares: "perhaps", copies: true },
  4283649346: { name: "cifs", timeGranularityNs: 100, remote: true, shares: "perhaps", copies: true },
};

/** The kernel's type is a signed word on some ways to ask for it. */
function factsOf(type: number): FilesystemFacts | undefined {
  return FACTS[type >>> 0];
}

export function filesystemName(type: number): string {
  if (type === 0) return "unknown";
  return factsOf(type)?.name ?? `type 0x${(type >>> 0).toString(16)}`;
}

/** Each call waits for somebody else. */
export function isRemoteFilesystem(type: number): boolean {
  return factsOf(type)?.remote ?? false;
}

/** Whether files of a kind can share blocks; undefined: the kind is not known. */
export function sharesBlocks(type: number): "yes" | "no" | "perhaps" | undefined {
  const facts = factsOf(type);
  return facts === undefined ? undefined : (facts.shares ?? "no");
}

/** Whether the kernel leaves copies between two of a kind to the filesystem. */
export function copiesItself(type: number): boolean {
  return factsOf(type)?.copies === true;
}

const ALL_SECONDS = 2 ** 53;

/** As far as it is known. `smallInodes`: `BatchFlag.smallInodes`. */
export function timeKeeping(type: number, smallInodes: boolean): TimeKeeping {
  if (smallInodes) return { stepNs: SECOND, earliestSec: YEAR_1901, latestSec: YEAR_2038 };
  const facts = factsOf(type);
  const [earliestSec, latestSec] = facts?.times ?? [-ALL_SECONDS, ALL_SECONDS];
  return { stepNs: facts?.timeGranularityNs ?? 1, earliestSec, latestSec };
}

/**
 * As it was tried with one entry: the step, 0 where none was seen, and what a time far before and one far after became.
 * Where these are in no order they wrapped around, as with servers that know 32 bits: the ends are not known then, the
 * step is all the same.
 */
export function triedTimes(stepNs: number, earliestSec: number, latestSec: number): TimeKeeping | undefined {
  if (stepNs === 0) return undefined;
  if (earliestSec >= latestSec) return { stepNs, earliestSec: -ALL_SECONDS, latestSec: ALL_SECONDS };
  return { stepNs, earliestSec, latestSec };
}

/**
 * Servers made with libfuse 2 ignore a new mtime that comes without an atime: such an entry's atime becomes the time of
 * the run.
 */
export function needsBothTimes(type: number): boolean {
  return type >>> 0 === FUSE;
}

/** Whether the type tells in which steps times are kept. */
export function tellsTimeSteps(type: number): boolean {
  const facts = factsOf(type);
  return facts !== undefined && facts.remote === undefined && facts.stacked === undefined;
}

/** The step as a window of comparison: 0 where times are exact. */
export function coarse(stepNs: number): number {
  return stepNs > 1 ? stepNs : 0;
}
