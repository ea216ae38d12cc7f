/**
 * A move within one filesystem: names change hands, no data moves. What cannot be renamed is copied like anything
 * else, so a mount in between or a name that appeared meanwhile costs nothing but time.
 */
import { E } from "../core/errno.ts";
import { type Backend, type CopyRequest, ItemFlag, type ItemResults, METHOD_RENAME } from "../fs/backend.ts";

/** Rows that stand in nobody's way (`ROW_EXISTS` unset) are renamed. */
export async function moveEntries(backend: Backend, request: CopyRequest): Promise<ItemResults> {
  const renamed = await backend.rename(request.source, request.target, request.batch, request.rows);
  const left: number[] = [];
  for (let i = 0; i < request.rows.length; i++)
    if (renamed.status(i) !== 0 && renamed.status(i) !== -E.NOENT) left.push(i);
  if (left.length === 0) return asRenames(renamed);
  const copied = await backend.copy({ ...request, rows: Uint32Array.from(left, (i) => request.rows[i]!) });
  const place = new Map(left.map((i, index) => [i, index]));
  return merged(asRenames(renamed), copied, place);
}

function asRenames(results: ItemResults): ItemResults {
  return {
    count: results.count,
    status: (i) => results.status(i),
    stage: (i) => (results.status(i) === -E.NOENT ? 1 : results.stage(i)),
    method: () => METHOD_RENAME,
    refused: () => 0,
    refusedErrno: () => 0,
    warnings: () => 0,
    warningErrno: () => 0,
    flags: (i) => results.flags(i) & ~ItemFlag.replaced,
    bytes: () => 0,
    size: () => 0,
    digest: (i) => results.digest(i),
    release: () => results.release(),
  };
}

/** `first` but for the items in `place`, which are those of `second`. */
function merged(first: ItemResults, second: ItemResults, place: ReadonlyMap<number, number>): ItemResults {
  const pick =
    <T>(of: (results: ItemResults, index: number) => T) =>
    (i: number) => {
      const index = place.get(i);
      return index === undefined ? of(first, i) : of(second, index);
    };
  return {
    count: first.count,
    status: pick((results, i) => results.status(i)),
    stage: pick((results, i) => results.stage(i)),
    method: pick((results, i) => results.method(i)),
    refused: pick((results, i) => results.refused(i)),
    refusedErrno: pick((results, i) => results.refusedErrno(i)),
    warnings: pick((results, i) => results.warnings(i)),
    warningErrno: pick((results, i) => results.warningErrno(i)),
    flags: pick((results, i) => results.flags(i)),
    bytes: pick((results, i) => results.bytes(i)),
    size: pick((results, i) => results.size(i)),
    digest: pick((results, i) => results.digest(i)),
    release: () => {
      first.release();
      second.release();
    },
  };
}
