/** What killed runs left in a directory that no walk of the target comes to (--temp-dir, --backup-dir). */
import { isTemporaryName } from "../core/temporary-names.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";

const SELF = Uint8Array.of(0x2e);

/** Removes it, but for what living runs hold. Of --temp-dir at the end of a run: parts are used by then. */
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
