/** The one set of rules by which a source entry and a target entry are held against each other. */
import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import type { CompareOptions, PreserveOptions } from "../core/options.ts";

/** In seconds since 1970. */
export interface TimeRange {
  readonly earliestSec: number;
  readonly latestSec: number;
}

export interface CompareRules {
  readonly options: CompareOptions;
  readonly preserve: PreserveOptions;
  /** mtimes that differ by at most this count as equal: the coarser of the user's window and the filesystems' steps. */
  readonly windowNs: number;
  /** The target's filesystem keeps mtimes outside as the last one inside; absent: all are kept as they are. */
  readonly times?: TimeRange | undefined;
  /** The target role may give files away (root). Otherwise the owner is not compared, since it cannot be repaired. */
  readonly mayChown: boolean;
  /** Groups the target role may set, when it is not root. */
  readonly groups: ReadonlySet<number>;
  /** Deletions are on: a directory that stands where a file belongs is deleted like an extraneous one. */
  readonly deletes: boolean;
}

export const Difference = {
  mode: 1,
  owner: 2,
  group: 4,
  mtime: 8,
  attributes: 16,
  size: 32,
  type: 64,
  link: 128,
  device: 256,
  content: 512,
} as const;

const DIFFERENCE_WORDS: readonly (readonly [number, string])[] = [
  [Difference.type, "type"],
  [Difference.size, "size"],
  [Difference.content, "content"],
  [Difference.mtime, "mtime"],
  [Difference.mode, "mode"],
  [Difference.owner, "owner"],
  [Difference.group, "group"],
  [Difference.attributes, "attributes"],
  [Difference.link, "link"],
  [Difference.device, "device"],
];

/** `size,mtime`: what differs, for --itemize and check. */
export function differenceWords(bits: number): string {
  return DIFFERENCE_WORDS.filter(([bit]) => (bits & bit) !== 0)
    .map(([, word]) => word)
    .join(",");
}

/** source mtime - target mtime in nanoseconds, saturated where a double would lose the nanoseconds. */
function mtimeDifferenceNs(
  { times }: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): number {
  const a = source.mtimeSec(row);
  const b = target.mtimeSec(targetRow);
  if (times === undefined || (isInside(times, a) && isInside(times, b)))
    return (a - b) * 1e9 + (source.mtimeNsec(row) - target.mtimeNsec(targetRow));
  // At the ends there are no nanoseconds.
  const nsec =
    (isInside(times, a) ? source.mtimeNsec(row) : 0) - (isInside(times, b) ? target.mtimeNsec(targetRow) : 0);
  return (nearestIn(times, a) - nearestIn(times, b)) * 1e9 + nsec;
}

function isInside({ earliestSec, latestSec }: TimeRange, seconds: number): boolean {
  return seconds > earliestSec && seconds < latestSec;
}

function nearestIn({ earliestSec, latestSec }: TimeRange, seconds: number): number {
  return Math.min(Math.max(seconds, earliestSec), latestSec);
}

export function sameTime(
  rules: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): boolean {
  const difference = mtimeDifferenceNs(rules, source, row, target, targetRow);
  return difference <= rules.windowNs && -difference <= rules.windowNs;
}

export function targetIsNewer(
  rules: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): boolean {
  return -mtimeDifferenceNs(rules, source, row, target, targetRow) > rules.windowNs;
}

/** `Difference` bits of the metadata alone, of two entries of one type. */
export function metadataDifference(
  rules: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): number {
  const { preserve } = rules;
  const type = source.type(row);
  let bits = 0;
  const wantUid = preserve.chownUid ?? source.uid(row);
  const wantGid = preserve.chownGid ?? source.gid(row);
  const uid = target.uid(targetRow);
  const gid = target.gid(targetRow);
  if ((preserve.owner || preserve.chownUid !== undefined) && rules.mayChown && uid !== wantUid)
    bits |= Difference.owner;
  if (
    (preserve.group || preserve.chownGid !== undefined) &&
    gid !== wantGid &&
    (rules.mayChown || rules.groups.has(wantGid))
  ) {
    bits |= Difference.group;
  }
  if (preserve.perms && type !== FileType.symlink) {
    // setuid and setgid are withheld while the owner is not the source's: then they are no difference.
    let mask = 0o7777;
    if (uid !== wantUid && (bits & Difference.owner) === 0) mask &= ~0o4000;
    if (gid !== wantGid && (bits & Difference.group) === 0) mask &= ~0o2000;
    if (((source.mode(row) ^ target.mode(targetRow)) & mask) !== 0) bits |= Difference.mode;
  }
  const wantsTime = type === FileType.directory ? preserve.times && preserve.dirTimes : preserve.times;
  if (wantsTime && !sameTime(rules, source, row, target, targetRow)) bits |= Difference.mtime;
  if (
    (preserve.xattrs || preserve.acls) &&
    // What could not be read is read again, or named.
    (source.attrLow(row) !== target.attrLow(targetRow) ||
      source.attrHigh(row) !== target.attrHigh(targetRow) ||
      (source.rowFlags(row) & RowFlag.attrFailed) !== 0)
  ) {
    bits |= Difference.attributes;
  }
  return bits;
}

export type DataVerdict = "same" | "differs" | "newer" | "digest";

/** Whether a non-directory's content must move. Both are of one type. */
export function dataVerdict(
  rules: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): DataVerdict {
  const { options } = rules;
  const type = source.type(row);
  if (type === FileType.regular) {
    if (options.update && targetIsNewer(rules, source, row, target, targetRow)) return "newer";
    if (source.size(row) !== target.size(targetRow)) return "differs";
    if (options.ignoreTimes) return "differs";
    if (options.sizeOnly) return "same";
    if (options.checksum) return "digest";
    return sameTime(rules, source, row, target, targetRow) ? "same" : "differs";
  }
  if (type === FileType.symlink) {
    if (sameBytes(source.linkText(row), target.linkText(targetRow))) return "same";
    return options.update && targetIsNewer(rules, source, row, target, targetRow) ? "newer" : "differs";
  }
  if (type === FileType.charDevice || type === FileType.blockDevice) {
    return source.rdev(row) === target.rdev(targetRow) ? "same" : "differs";
  }
  return "same";
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Everything that differs, content as far as size, time and link text tell. For `check` and --itemize. */
export function describeDifference(
  rules: CompareRules,
  source: EntryBatch,
  row: number,
  target: EntryBatch,
  targetRow: number,
): number {
  const type = source.type(row);
  if (type !== target.type(targetRow)) return Difference.type;
  let bits = metadataDifference(rules, source, row, target, targetRow);
  if (type === FileType.regular && source.size(row) !== target.size(targetRow)) bits |= Difference.size;
  if (type === FileType.symlink && !sameBytes(source.linkText(row), target.linkText(targetRow)))
    bits |= Difference.link;
  if ((type === FileType.charDevice || type === FileType.blockDevice) && source.rdev(row) !== target.rdev(targetRow)) {
    bits |= Difference.device;
  }
  return bits;
}
