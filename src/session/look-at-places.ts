/** What lies below the local places of a run, for `explain`: looked at through held descriptors, nothing is written. */
import { joinPath } from "../core/paths.ts";
import { type Backend, type DirHandle, WORKING_DIRECTORY } from "../fs/backend.ts";
import { type BlockSharing, blockSharing } from "../fs/block-sharing.ts";
import { isRemoteFilesystem } from "../fs/filesystems.ts";
import type { LocalPlace } from "./api.ts";
import { isRotational } from "./device.ts";
import { type DirectoryFacts, lookAt, lookAtSource } from "./facts.ts";
import { OpenPlaces } from "./open-places.ts";
import { parentOf } from "./place-rules.ts";
import { resolveSources } from "./places.ts";

export interface PlaceFacts {
  readonly filesystemType: number;
  /** major << 20 | minor */
  readonly dev: number;
  readonly rotational: boolean;
  readonly remote: boolean;
  readonly sharing: BlockSharing;
}

/** Throws RunError for a source that cannot be used. */
export async function lookAtSources(backend: Backend, sources: readonly LocalPlace[]): Promise<PlaceFacts> {
  const opened = new OpenPlaces(backend);
  try {
    const place = resolveSources(sources)[0]!;
    // A directory that is given as an entry may be a mount point.
    const { directory, entry, isDirectory } = place;
    const inside = isDirectory && entry !== undefined;
    const [root] = await opened.sources([
      inside ? { ...place, directory: joinPath(directory, entry), entry: undefined } : place,
    ]);
    return placeFacts(root!.handle, await lookAtSource(backend, root!));
  } finally {
    opened.close();
  }
}

/** Of the target, or of the nearest directory above that exists: what is made will lie there. */
export async function lookAtTarget(backend: Backend, { path }: LocalPlace): Promise<PlaceFacts | undefined> {
  for (let here = path; ; here = parentOf(here)) {
    const handle = await backend.resolve(WORKING_DIRECTORY, here, { create: false, operator: true });
    if (handle >= 0) {
      try {
        return placeFacts(handle, await lookAt(backend, handle));
      } finally {
        backend.close([handle]);
      }
    }
    if (here.length === parentOf(here).length) return undefined;
  }
}

function placeFacts(handle: DirHandle, { filesystemType, dev }: DirectoryFacts): PlaceFacts {
  return {
    filesystemType,
    dev,
    rotational: isRotational(dev),
    remote: isRemoteFilesystem(filesystemType),
    sharing: blockSharing(handle, filesystemType, dev),
  };
}
