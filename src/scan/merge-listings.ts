/**
 * Several source directories offered as one: their listings merged by name. The first source that has a name wins;
 * directories of one name in several sources are merged themselves, when their turn comes.
 */
import { compareNames, type EntryBatch, type EntryFields, FileType, rowFields } from "../core/entry-batch.ts";
import { equalBytes } from "../core/paths.ts";

export interface MergedListing {
  readonly entries: EntryFields[];
  readonly origins: Uint16Array;
  readonly shared: Map<number, number[]>;
  /** Names that a later source also has, as something that cannot be merged. */
  readonly shadowed: number;
}

/** The last entry, the directory itself, is taken from `self`, or unknown. */
export function mergeListings(listings: readonly EntryBatch[], self: EntryFields | undefined): MergedListing {
  const all: { origin: number; row: number; batch: EntryBatch }[] = [];
  listings.forEach((batch, origin) => {
    for (let row = 0; row < batch.count; row++) all.push({ origin, row, batch });
  });
  all.sort(
    (a, b) =>
      compareNames(
        a.batch.bytes,
        a.batch.nameAt(a.row),
        a.batch.nameLength(a.row),
        b.batch.bytes,
        b.batch.nameAt(b.row),
        b.batch.nameLength(b.row),
      ) || a.origin - b.origin,
  );
  const entries: EntryFields[] = [];
  const origins: number[] = [];
  const shared = new Map<number, number[]>();
  let shadowed = 0;
  for (const item of all) {
    const last = entries.length - 1;
    const previous = entries[last];
    if (previous !== undefined && equalBytes(previous.name, item.batch.name(item.row))) {
      const bothDirectories =
        ((previous.mode ?? 0) & FileType.mask) === FileType.directory &&
        item.batch.type(item.row) === FileType.directory;
      if (bothDirectories) {
        const known = shared.get(last);
        if (known === undefined) shared.set(last, [origins[last]!, item.origin]);
        else known.push(item.origin);
      } else shadowed++;
      continue;
    }
    entries.push(rowFields(item.batch, item.row));
    origins.push(item.origin);
  }
  entries.push(self ?? { name: Uint8Array.of(0x2e), status: -2 });
  return { entries, origins: Uint16Array.from(origins), shared, shadowed };
}
