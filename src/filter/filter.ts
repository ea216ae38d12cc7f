/**
 * The door to the filter: what a walk asks about each entry. Everything here is pure; the walk reads files itself.
 *
 *     filter = compileFilter(spec, { deleteExcluded })          // compile.ts; throws FilterError
 *     visit(directory = filter.root())
 *       listing = read the directory
 *       for name of directory.perDirectoryFiles()               // asked again after each hand-over: a merged file may
 *         if listing has name                                   // name further ones
 *           directory = directory.withMerged(name, text)        // throws FilterError with FILE:LINE
 *       for row of listing
 *         decision = directory.decide(listing, row, side)
 *         if decision is include and row is a directory: visit(directory.enter(name))
 *
 * A directory that is not included is not entered: what lies below it is covered by that one decision.
 */
import type { EntryBatch } from "../core/entry-batch.ts";

export const Decision = {
  include: 0,
  /** A rule hides it (source) or protects it (target). */
  excluded: 1,
  /** A regular file outside the size limits: present, but neither transferred nor deleted. Source only. */
  size: 2,
  /** A regular file outside the age limits: as for size. Source only. */
  age: 3,
  /** Not among the listed paths nor a parent of one: treated like `excluded`. */
  notListed: 4,
} as const;
export type Decision = (typeof Decision)[keyof typeof Decision];

/**
 * `source`: is it offered (hide and show rules). `target`: may it be deleted (protect and risk rules); that answer is
 * only about entries which the source does not have, it never says whether a listed source entry is transferred.
 */
export type Side = "source" | "target";

export interface FilterOptions {
  /** Rules that name no side then apply to the source only, and so protect nothing. */
  readonly deleteExcluded: boolean;
  /** Absolute paths of the run's root on each side, for rules with the `/` modifier; without it these are refused. */
  readonly roots?: { readonly source: Uint8Array; readonly target: Uint8Array };
}

export interface CompiledFilter {
  /** Everything is included everywhere: no call below this one is needed. */
  readonly isEmpty: boolean;
  root(): DirectoryFilter;
  /**
   * Listed paths (--files-from) that no source listing showed, in the order of the list. Paths below a directory that
   * a rule excludes are excluded, not missing. Complete once the walk of the source is.
   */
  unseenFiles(): Uint8Array[];
  /** Patterns of the command line that decided nothing so far, as `--exclude *.o`, fit for a terminal. */
  unmatchedPatterns(): string[];
}

/** The filter as it stands in one directory. Immutable; states share what they inherit. */
export interface DirectoryFilter {
  /** Everything here and below is included, and no per-directory file is looked for. */
  readonly isEmpty: boolean;
  /** The state of the child directory of this name; copies the name. */
  enter(name: Uint8Array): DirectoryFilter;
  /** The same directory when it is about to be deleted as a whole: perishable rules no longer protect. */
  doomed(): DirectoryFilter;
  /** Names of rule files to look for in this directory that were not handed over yet. */
  perDirectoryFiles(): readonly Uint8Array[];
  /** The state with such a file's text taken in. Throws FilterError; its origin is `PATH/FILE:LINE`. */
  withMerged(fileName: Uint8Array, text: Uint8Array): DirectoryFilter;
  /** What becomes of the entry in `row` of this directory's listing. */
  decide(batch: EntryBatch, row: number, side: Side): Decision;
}
