/**
 * Directories that take several spellings of a name for one: by case, Unicode form, or a dot at its end. What the source
 * calls `A` may stand in the target as `a`. To the bytes these are a new name and an extraneous one; for the filesystem
 * they are one entry, and deleting the one would delete the other. Which names are one is the filesystem's business:
 * here is only guessed, generously, where it is worth asking.
 */
import type { DirectoryDifference } from "../compare/compare-directory.ts";
import { compareNames, type EntryBatch, type EntryFields, rowFields } from "../core/entry-batch.ts";
import { utf8Of } from "../core/paths.ts";

/** A source row that the target seems to lack, and rows of the target that may be it. */
export interface SpellingGuess {
  readonly row: number;
  readonly targetRows: readonly number[];
}

export function guessSpellings(
  source: EntryBatch,
  target: EntryBatch,
  { extraneous, targetRows }: Pick<DirectoryDifference, "extraneous" | "targetRows">,
): SpellingGuess[] {
  if (extraneous.length === 0) return [];
  let others: Map<string, number[]> | undefined;
  const guesses: SpellingGuess[] = [];
  for (let row = 0; row < source.count; row++) {
    if (targetRows[row]! >= 0) continue;
    others ??= byFoldedName(target, extraneous);
    const rows = others.get(foldedName(source.name(row)));
    if (rows !== undefined) guesses.push({ row, targetRows: rows });
  }
  return guesses;
}

function byFoldedName(batch: EntryBatch, rows: readonly number[]): Map<string, number[]> {
  const known = new Map<string, number[]>();
  for (const row of rows) {
    const name = foldedName(batch.name(row));
    const same = known.get(name);
    if (same === undefined) known.set(name, [row]);
    else same.push(row);
  }
  return known;
}

/** The same for all names that any filesystem may take for one, and for some that none does. */
export function foldedName(name: Uint8Array): string {
  const text = utf8Of(name) ?? Buffer.from(name).toString("latin1");
  return text
    .normalize("NFKD")
    .toUpperCase()
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{Default_Ignorable_Code_Point}/gu, "")
    .replace(/[. ]+$/, "");
}

/**
 * The listing's rows with some named as the source names them, in the order of a batch. `found` is what the target
 * answers to the source's spelling, row by row of `guesses`. Undefined when none of them is one of its rows.
 */
export function respelled(
  listing: EntryBatch,
  guesses: readonly SpellingGuess[],
  found: EntryBatch,
): EntryFields[] | undefined {
  const names = new Map<number, Uint8Array>();
  guesses.forEach(({ targetRows }, i) => {
    if (found.rowStatus(i) !== 0) return;
    const free = targetRows.filter((row) => !names.has(row));
    const row =
      free.find((one) => isSameInode(listing, one, found, i)) ??
      free.find((one) => looksTheSame(listing, one, found, i));
    if (row !== undefined) names.set(row, found.name(i).slice());
  });
  if (names.size === 0) return undefined;
  const entries: EntryFields[] = [];
  for (let row = 0; row < listing.count; row++) {
    const name = names.get(row);
    const fields = rowFields(listing, row);
    entries.push(name === undefined ? fields : { ...fields, name });
  }
  entries.sort((a, b) => compareNames(a.name, 0, a.name.length, b.name, 0, b.name.length));
  entries.push(rowFields(listing, listing.self));
  return entries;
}

function isSameInode(a: EntryBatch, row: number, b: EntryBatch, other: number): boolean {
  return a.dev(row) === b.dev(other) && a.inoLow(row) === b.inoLow(other) && a.inoHigh(row) === b.inoHigh(other);
}

/** A FUSE server may number inodes by the names that were asked for. */
function looksTheSame(a: EntryBatch, row: number, b: EntryBatch, other: number): boolean {
  return (
    a.dev(row) === b.dev(other) &&
    a.mode(row) === b.mode(other) &&
    a.size(row) === b.size(other) &&
    a.mtimeSec(row) === b.mtimeSec(other) &&
    a.mtimeNsec(row) === b.mtimeNsec(other)
  );
}
