/** What killed runs left in a directory of temporary files that no walk of the target comes to (--temp-dir). */
import { isTemporaryName } from "../core/temporary-names.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";

const SELF = Uint8Array.of(0x2e);

/** Removes it, but for what living runs hold. For the end of a run: parts that it could go on from are used by then. */
export async function sweepLeftovers(backend: Backend, directory: DirHandle): Promise<void> {
  const listing = await backend.walk(directory, SELF, {
    xattrs: false,
    acls: false,
    follow: false,
    openFollow: false,
    create: false,
    writable: false,
    selfOnly: false,
  });
  const rows: number[] = [];
  for (let row = 0; row < listing.count; row++) if (isTemporaryName(listing, row)) rows.push(row);
  if (rows.length > 0) (await backend.sweep(directory, listing, Uint32Array.from(rows))).release();
  if (listing.dirfd >= 0) backend.close([listing.dirfd]);
  backend.releaseBatch(listing);
}
