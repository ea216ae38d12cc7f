/** Owner and group numbers of one machine, or of the rules of a run, in those of another. */

/** Undefined in place of it: all numbers mean here what they mean there. */
export interface OwnerNumbers {
  readonly uid: (id: number) => number;
  readonly gid: (id: number) => number;
}

/** In place. The map is asked anew only where the number differs from the one before: owners come in runs. */
export function mapIds(column: Uint32Array, map: (id: number) => number): void {
  let last = -1;
  let mapped = -1;
  for (let i = 0; i < column.length; i++) {
    const id = column[i]!;
    if (id !== last) {
      last = id;
      mapped = map(id);
    }
    column[i] = mapped;
  }
}
