/** Names of a directory that begin like the last component of a path, for the completion of a shell. */

import type { Completions } from "../core/admin-calls.ts";
import { FileType } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import type { Backend } from "../fs/backend.ts";
import { type Ground, HERE, LOOK, openPlace, pathOn } from "./open-place.ts";
import { drop } from "./walk-tree.ts";

const SLASH = 0x2f;
const DOT = 0x2e;

/** Throws RunError (exit 3) when there is no such directory. */
export async function completePath(
  backend: Backend,
  ground: Ground,
  path: Uint8Array,
  request: { readonly limit: number; readonly directoriesOnly: boolean },
): Promise<Completions> {
  pathOn(ground, path);
  const slash = path.lastIndexOf(SLASH);
  const begin = path.subarray(slash + 1);
  const directory = path.subarray(0, slash + 1);
  const place = await openPlace(
    backend,
    ground,
    directory.length === 0 && ground.kind === "operator" ? HERE : directory,
  );
  if (place.kind === "entry") return { names: [], more: false };
  const listing = await backend.walk(place.handle, HERE, LOOK);
  backend.close([place.handle]);
  const limit = request.limit === 0 ? LIMITS.completions : Math.min(request.limit, LIMITS.completions);
  const names: Uint8Array[] = [];
  let more = false;
  for (let row = 0; row < listing.count && !more; row++) {
    const name = listing.name(row);
    if (!startsWith(name, begin) || (begin.length === 0 && name[0] === DOT)) continue;
    const isDirectory = listing.type(row) === FileType.directory;
    if (request.directoriesOnly && !isDirectory) continue;
    if (names.length === limit) more = true;
    else names.push(isDirectory ? Uint8Array.of(...name, SLASH) : name.slice());
  }
  drop(backend, listing);
  return { names, more };
}

function startsWith(name: Uint8Array, begin: Uint8Array): boolean {
  if (name.length < begin.length) return false;
  for (let i = 0; i < begin.length; i++) if (name[i] !== begin[i]) return false;
  return true;
}
