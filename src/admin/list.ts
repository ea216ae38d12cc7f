/** The entries of one directory, or one entry. */

import type { EntriesPart, ListRequest } from "../core/admin-calls.ts";
import { compareNames, type EntryBatch } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import type { Backend } from "../fs/backend.ts";
import { isContents } from "../session/place-rules.ts";
import { failureOf, Gathered } from "./entries.ts";
import { type Ground, HERE, LOOK, openEntry, openPlace, pathOn } from "./open-place.ts";
import { drop } from "./walk-tree.ts";

const NO_BYTES = new Uint8Array(0);
const DOT = 0x2e;
/** Rows between two looks at what was gathered. */
const ROWS_A_TURN = 512;

export async function* listPlace(
  backend: Backend,
  ground: Ground,
  path: Uint8Array,
  request: ListRequest,
): AsyncGenerator<EntriesPart> {
  const gathered = new Gathered();
  const clean = pathOn(ground, path);
  // What ends in a slash, or in . or .., is a directory, whose last name is not the one it has.
  const place =
    request.self && clean.length > 0 && !isContents(clean)
      ? ({ kind: "entry", ...(await openEntry(backend, ground, path)) } as const)
      : await openPlace(backend, ground, path);
  if (place.kind === "entry") {
    gathered.add(NO_BYTES, place.entry, 0);
    backend.releaseBatch(place.entry);
    backend.close([place.parent]);
    yield gathered.take();
    return;
  }
  const listing = await backend.walk(place.handle, HERE, { ...LOOK, selfOnly: request.self });
  backend.close([place.handle]);
  try {
    if (listing.status !== 0) gathered.fail(failureOf(NO_BYTES, "read directory", listing.status));
    if (request.self) {
      if (listing.status === 0) gathered.add(NO_BYTES, listing, listing.self);
      yield gathered.take();
      return;
    }
    let row = request.after.length === 0 ? 0 : firstBehind(listing, request.after);
    for (; row < listing.count; row++) {
      if (!request.all && listing.bytes[listing.nameAt(row)] === DOT) continue;
      if (request.limit > 0 && gathered.total === request.limit) break;
      const status = listing.rowStatus(row);
      if (status === 0) gathered.add(listing.name(row).slice(), listing, row);
      else if (status !== -E.NOENT) gathered.fail(failureOf(listing.name(row).slice(), "stat", status));
      if (row % ROWS_A_TURN === 0 && gathered.isDue) yield gathered.take(false, true);
    }
    yield gathered.take(row < listing.count, true);
  } finally {
    drop(backend, listing);
  }
}

function firstBehind(listing: EntryBatch, name: Uint8Array): number {
  let low = 0;
  let high = listing.count;
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = compareNames(listing.bytes, listing.nameAt(middle), listing.nameLength(middle), name, 0, name.length);
    if (order <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
