/** Listings made by hand, for tests of what is pure. */
import { buildBatch, compareNames, type EntryBatch, type EntryFields, FileType } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";

export type Made = Partial<Omit<EntryFields, "name">>;

const REGULAR = FileType.regular | 0o644;
const DIRECTORY = FileType.directory | 0o755;

/** Sorted as listings are; the directory's own row is added. Entries are regular files unless they say otherwise. */
export function listingOf(entries: readonly (readonly [name: string | Uint8Array, made?: Made])[]): EntryBatch {
  const rows = entries.map(([name, made]) => ({
    mode: REGULAR,
    ...made,
    name: typeof name === "string" ? bytesOf(name) : name,
  }));
  rows.sort((a, b) => compareNames(a.name, 0, a.name.length, b.name, 0, b.name.length));
  return buildBatch([...rows, { name: new Uint8Array(0), mode: DIRECTORY }]);
}
