/**
 * Holds one source directory against its target directory.
 *
 *     walk both sorted listings with two fingers, by unsigned bytes
 *       name only in the source   -> create (or skip with --existing)
 *       name only in the target   -> extraneous
 *       name in both              -> by type, then content, then metadata
 *
 * Pure: reads two batches, returns what to do per row.
 */
import { compareNames, type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import type { RowLoops, RowMatch } from "../core/row-loops.ts";
import { type CompareRules, dataVerdict, metadataDifference } from "./rules.ts";

/** What to do about a source row. */
export const RowState = {
  /** Equal, or nothing may be done. */
  unchanged: 0,
  create: 1,
  update: 2,
  repair: 3,
  /** Same size: the digests of both sides decide. */
  digest: 4,
  /** A directory that the target does not have. */
  directoryNew: 5,
  directoryExists: 6,
  /** A directory, where the target has something else that must go first. */
  directoryBlocked: 7,
  /** Something else, where the target has a directory that deletion must empty first. */
  conflict: 8,
  /** Left alone for a reason that is counted. */
  skipped: 9,
  /** Could not be read in the source; the target's entry of that name stays. */
  failed: 10,
} as const;

export interface DirectoryDifference {
  /** `RowState` per source row. */
  readonly states: Uint8Array;
  /** The target row of the same name, or -1. */
  readonly targetRows: Int32Array;
  /** Target rows that the source does not have. */
  readonly extraneous: number[];
  /** Rows skipped, by reason. */
  readonly skippedExisting: number;
  readonly skippedNewer: number;
  readonly skippedMissing: number;
  readonly unchanged: number;
  /** Subdirectories that will follow as directories of their own. */
  readonly subdirectories: number;
}

const NONE = new Uint8Array(0);

/** Without `loops` every row is looked at here. */
export function compareDirectory(
  rules: CompareRules,
  source: EntryBatch,
  target: EntryBatch | null,
  loops?: RowLoops,
): DirectoryDifference {
  const count = source.count;
  const states = new Uint8Array(count);
  const match = target === null ? undefined : (loops?.match(source, target) ?? matchNames(source, target));
  const targetRows = match?.targetRows ?? new Int32Array(count).fill(-1);
  const alike = match !== undefined && alikeIsUnchanged(rules) ? match.alike : undefined;
  const extraneous = target === null ? [] : unmatched(targetRows, target.count);
  let skippedExisting = 0;
  let skippedNewer = 0;
  let skippedMissing = 0;
  let unchanged = 0;
  let subdirectories = 0;
  if (alike !== undefined && match!.alikeCount === count) unchanged = count;
  for (let row = unchanged; row < count; row++) {
    if (alike?.[row] === 1) {
      unchanged++;
      continue;
    }
    const found = targetRows[row]!;
    if (source.rowStatus(row) !== 0) {
      states[row] = RowState.failed;
      continue;
    }
    if ((source.rowFlags(row) & RowFlag.skip) !== 0) {
      states[row] = RowState.skipped;
      continue;
    }
    const isDirectory = source.type(row) === FileType.directory;
    if (isDirectory) subdirectories++;
    if (found < 0 || target === null) {
      if (rules.options.existing) {
        states[row] = RowState.skipped;
        skippedMissing++;
        continue;
      }
      states[row] = isDirectory ? RowState.directoryNew : RowState.create;
      continue;
    }
    const targetIsDirectory = target.type(found) === FileType.directory;
    if (isDirectory) {
      states[row] = targetIsDirectory ? RowState.directoryExists : RowState.directoryBlocked;
      if (!targetIsDirectory && rules.options.ignoreExisting) {
        states[row] = RowState.skipped;
        skippedExisting++;
      }
      continue;
    }
    if (rules.options.ignoreExisting) {
      states[row] = RowState.skipped;
      skippedExisting++;
      continue;
    }
    if (targetIsDirectory) {
      states[row] = rules.deletes ? RowState.conflict : RowState.update;
      continue;
    }
    if (source.type(row) !== target.type(found)) {
      states[row] = RowState.update;
      continue;
    }
    switch (dataVerdict(rules, source, row, target, found)) {
      case "differs":
        states[row] = RowState.update;
        break;
      case "newer":
        states[row] = RowState.skipped;
        skippedNewer++;
        break;
      case "digest":
        states[row] = RowState.digest;
        break;
      case "same":
        if (metadataDifference(rules, source, row, target, found) !== 0) states[row] = RowState.repair;
        else unchanged++;
        break;
    }
  }
  return { states, targetRows, extraneous, skippedExisting, skippedNewer, skippedMissing, unchanged, subdirectories };
}

/** Whether nothing is to be done about what is alike in all columns. */
function alikeIsUnchanged({ options, preserve }: CompareRules): boolean {
  const isLookedAtAnyway = options.checksum || options.ignoreTimes || options.ignoreExisting;
  return !isLookedAtAnyway && preserve.chownUid === undefined && preserve.chownGid === undefined;
}

/** The target's rows by the source's names, and nothing more. */
function matchNames(source: EntryBatch, target: EntryBatch): RowMatch {
  const targetRows = new Int32Array(source.count).fill(-1);
  let other = 0;
  for (let row = 0; row < source.count; row++) {
    while (other < target.count) {
      const order = compareNames(
        target.bytes,
        target.nameAt(other),
        target.nameLength(other),
        source.bytes,
        source.nameAt(row),
        source.nameLength(row),
      );
      if (order > 0) break;
      other++;
      if (order < 0) continue;
      targetRows[row] = other - 1;
      break;
    }
  }
  return { targetRows, alike: NONE, alikeCount: 0 };
}

/** Target rows that no source row names. Both ascend. */
function unmatched(targetRows: Int32Array, targetCount: number): number[] {
  const rows: number[] = [];
  let next = 0;
  for (let i = 0; i < targetRows.length; i++) {
    const found = targetRows[i]!;
    if (found < 0) continue;
    while (next < found) rows.push(next++);
    next = found + 1;
  }
  while (next < targetCount) rows.push(next++);
  return rows;
}
