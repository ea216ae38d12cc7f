/** A directory of the source as it is held open: one real directory, or several that are offered as one. */
import type { EntryBatch } from "../core/entry-batch.ts";
import type { DirectoryFilter } from "../filter/filter.ts";
import type { DirHandle } from "../fs/backend.ts";

export interface SourceDirectory {
  /** One per origin; usually one. Closed with the directory. */
  readonly handles: readonly DirHandle[];
  /** Which handle a row comes from; undefined: the first. */
  readonly origins: Uint16Array | undefined;
  /** For rows that are directories in several origins: all of them. */
  readonly shared: ReadonlyMap<number, readonly number[]> | undefined;
  readonly listing: EntryBatch;
  readonly filter: DirectoryFilter;
  /** Relative to the root of the run. */
  readonly path: Uint8Array;
  readonly depth: number;
  /** `dev:ino` of this directory and its ancestors, kept only where links are followed. */
  readonly ancestry: ReadonlySet<string> | undefined;
  readonly parent: SourceDirectory | undefined;
  readonly parentRow: number;
  /** Moves: the directory may be removed once it is empty. */
  removable: boolean;
  /** Work that needs the handles: they are closed when it is over. */
  holds: number;
  released: boolean;
}

export function originsOf(directory: SourceDirectory, row: number): readonly number[] {
  return directory.shared?.get(row) ?? [directory.origins?.[row] ?? 0];
}

/** Splits rows by the handle they are read from. */
export function byOrigin(directory: SourceDirectory, rows: Uint32Array): { handle: DirHandle; rows: Uint32Array }[] {
  const { origins, handles } = directory;
  if (origins === undefined) return [{ handle: handles[0] ?? -1, rows }];
  const groups = new Map<number, number[]>();
  for (const row of rows) {
    const origin = row < origins.length ? origins[row]! : 0;
    const group = groups.get(origin);
    if (group === undefined) groups.set(origin, [row]);
    else group.push(row);
  }
  return [...groups].map(([origin, group]) => ({ handle: handles[origin] ?? -1, rows: Uint32Array.from(group) }));
}
