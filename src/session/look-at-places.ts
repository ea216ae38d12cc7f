/** What lies below the local places of a run, for `explain`: looked at through held descriptors, nothing is written. */
import { type Backend, WORKING_DIRECTORY } from "../fs/backend.ts";
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
}

/** Throws RunError for a source that cannot be used. */
export async function lookAtSources(backend: Backend, sources: readonly LocalPlace[]): Promise<PlaceFacts> {
  const opened = new OpenPlaces(backend);
  try {
    const [first] = await opened.sources(resolveSources(sources));
    return placeFacts(await lookAtSource(backend, first!));
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
        return placeFacts(await lookAt(backend, handle));
      } finally {
        backend.close([handle]);
      }
    }
    if (here.length === parentOf(here).length) return undefined;
  }
}

function placeFacts({ filesystemType, dev }: DirectoryFacts): PlaceFacts {
  return { filesystemType, dev, rotational: isRotational(dev), remote: isRemoteFilesystem(filesystemType) };
}
