/**
 * Directories below --backup-dir are made before anything in them is known to be replaced, since names may be taken
 * meanwhile. At the end of the run those that it made go again where nothing was kept in them.
 */
import { FileType } from "../core/entry-batch.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";

const SELF = Uint8Array.of(0x2e);
const SLASH = 0x2f;
const FOUND = { create: false, operator: false };

export class EmptyBackups {
  private readonly backend: Backend;
  private readonly root: DirHandle;
  /** What was missing, each as latin1, relative to the root. */
  private readonly missing = new Set<string>();

  constructor(backend: Backend, root: DirHandle) {
    this.backend = backend;
    this.root = root;
  }

  /** `path` is about to be made, and what is missing above it. */
  async note(path: Uint8Array): Promise<void> {
    for (let at = path; at.length > 0; at = above(at)) {
      const key = Buffer.from(at).toString("latin1");
      if (this.missing.has(key)) return;
      const handle = await this.backend.resolve(this.root, at, FOUND);
      if (handle >= 0) return this.backend.close([handle]);
      this.missing.add(key);
    }
  }

  /** The deepest first; what cannot be removed stays. */
  async remove(): Promise<void> {
    const deepest = [...this.missing].sort((a, b) => b.length - a.length);
    for (const key of deepest) await this.removeIfEmpty(Buffer.from(key, "latin1"));
  }

  private async removeIfEmpty(path: Uint8Array): Promise<void> {
    const { backend } = this;
    const parent = above(path);
    const handle = await backend.resolve(this.root, parent.length === 0 ? SELF : parent, FOUND);
    if (handle < 0) return;
    const name = path.subarray(path.lastIndexOf(SLASH) + 1);
    const listing = await backend.stat(handle, [name], { xattrs: false, acls: false, follow: false });
    // A directory goes only when it is empty.
    if (listing.rowStatus(0) === 0 && listing.type(0) === FileType.directory)
      (await backend.remove(handle, listing, Uint32Array.of(0), { same: false })).release();
    backend.releaseBatch(listing);
    backend.close([handle]);
  }
}

function above(path: Uint8Array): Uint8Array {
  return path.subarray(0, Math.max(0, path.lastIndexOf(SLASH)));
}
