/** The rows of a request as entries with the names they get, and what becomes of them as items. */
import { type CopyRequest, ROW_EXISTS } from "../backend.ts";
import { checkName } from "./directories.ts";
import { type Entry, entryOfRow } from "./entry.ts";
import { E, StatusError, statusOf } from "./errno.ts";
import type { Item } from "./item-results.ts";

const NO_NAME = new Uint8Array(0);

/** A failure of the system is the item's; anything else is a bug and rejects the request. */
export async function settle(item: Item, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    item.doing = 0;
  } catch (error) {
    item.status = statusOf(error);
    item.bytes = 0;
  }
}

export type Rows = Pick<CopyRequest, "batch" | "rows"> & { readonly targetName?: Uint8Array | undefined };

export interface Row {
  readonly row: number;
  readonly exists: boolean;
}
export function rowOf(request: Rows, index: number): Row {
  const row = request.rows[index] ?? ROW_EXISTS - 1;
  return { row: (row & ~ROW_EXISTS) >>> 0, exists: row >= ROW_EXISTS };
}

/** An entry and the name it gets; an empty name is the directory itself. */
export interface NamedEntry {
  readonly entry: Entry;
  readonly name: Uint8Array;
  readonly exists: boolean;
}

/** The row's entry and the name it gets; throws -EINVAL for what a hostile batch or a wrong number would reach. */
export function entryAt(request: Rows, { row, exists }: Row, allowsSelf: boolean): NamedEntry {
  const { batch, rows, targetName } = request;
  const isSelf = row === batch.count;
  if (row > batch.count || (isSelf && !allowsSelf)) throw new StatusError(-E.EINVAL);
  const entry = entryOfRow(batch, row);
  if (isSelf) return { entry, name: NO_NAME, exists };
  if (targetName !== undefined && rows.length !== 1) throw new StatusError(-E.EINVAL);
  const name = targetName ?? entry.name;
  if (checkName(entry.name) < 0 || checkName(name) < 0) throw new StatusError(-E.EINVAL);
  return { entry, name, exists };
}
