/**
 * Which rows of a source listing are offered. Rows that the filters exclude disappear; rows that are present but not
 * wanted (size, age, kind) stay and are marked, so that the target keeps what it has under their names.
 */
import { type EntryBatch, FileType, Kind, RowFlag } from "../core/entry-batch.ts";
import type { SkipCounts, SkipReason } from "../core/events.ts";
import type { RunOptions } from "../core/options.ts";
import { Decision, type DirectoryFilter } from "../filter/filter.ts";

export interface Selection {
  readonly listing: EntryBatch;
  readonly skipped: SkipCounts;
}

export interface SelectionContext {
  readonly options: RunOptions;
  readonly filter: DirectoryFilter;
  /** Directories between the root of the run and these entries. */
  readonly depth: number;
  readonly mayMakeDevices: boolean;
  /** The target's root, which is never copied into itself. */
  readonly targetIdentity: { readonly dev: number; readonly inoLow: number; readonly inoHigh: number } | undefined;
  readonly isTemporaryName: (batch: EntryBatch, row: number) => boolean;
}

export function selectRows(listing: EntryBatch, context: SelectionContext): Selection {
  const { options, filter, targetIdentity } = context;
  const skipped: Partial<Record<SkipReason, number>> = {};
  const kinds = Kind.ours | Kind.special | (options.safeLinks ? Kind.symlink : 0);
  const isInRoot = targetIdentity !== undefined && listing.mayHave(Kind.directory);
  if (filter.isEmpty && !isInRoot && !listing.mayHave(kinds)) return { listing, skipped };
  const count = (reason: SkipReason): void => {
    skipped[reason] = (skipped[reason] ?? 0) + 1;
  };
  const mark = (row: number, reason: SkipReason): void => {
    listing.setRowFlags(row, listing.rowFlags(row) | RowFlag.skip);
    count(reason);
  };
  const selected = listing.filter((row) => {
    if (!filter.isEmpty) {
      const decision = filter.decide(listing, row, "source");
      if (decision === Decision.excluded) {
        count("excluded");
        return false;
      }
      if (decision === Decision.notListed) return false;
      if (decision === Decision.size) mark(row, "size");
      else if (decision === Decision.age) mark(row, "age");
    }
    if (listing.bytes[listing.nameAt(row)] === 0x2e && context.isTemporaryName(listing, row)) {
      count("temporary");
      return false;
    }
    const type = listing.type(row);
    if (type === FileType.regular) return true;
    if (type === FileType.directory) {
      if (
        targetIdentity !== undefined &&
        listing.dev(row) === targetIdentity.dev &&
        listing.inoLow(row) === targetIdentity.inoLow &&
        listing.inoHigh(row) === targetIdentity.inoHigh
      ) {
        count("target_inside_source");
        return false;
      }
      return true;
    }
    if (type === FileType.symlink) {
      if (options.safeLinks && climbsOut(listing.linkText(row), context.depth)) mark(row, "unsafe_link");
      return true;
    }
    if (listing.rowStatus(row) !== 0) return true;
    if (!options.preserve.specials) mark(row, "special");
    else if ((type === FileType.charDevice || type === FileType.blockDevice) && !context.mayMakeDevices)
      mark(row, "device");
    return true;
  });
  return { listing: selected, skipped };
}

/**
 * Whether a link's text, read at this depth, is absolute or may lead above the root of the run. Judged by text alone:
 * what `a/..` means depends on where `a` leads, so a `..` behind a name counts as a way out.
 */
export function climbsOut(text: Uint8Array, depth: number): boolean {
  if (text.length === 0 || text[0] === 0x2f) return true;
  let level = depth;
  let isBehindName = false;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    if (i < text.length && text[i] !== 0x2f) continue;
    const length = i - start;
    if (length === 2 && text[start] === 0x2e && text[start + 1] === 0x2e) {
      level--;
      if (level < 0 || isBehindName) return true;
    } else if (length > 0 && !(length === 1 && text[start] === 0x2e)) isBehindName = true;
    start = i + 1;
  }
  return false;
}
