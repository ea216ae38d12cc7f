/** Sizes of the file system below a place. Asked on another thread: a server that is gone answers late, or never. */
import { statfs } from "node:fs/promises";
import type { FilesystemStats } from "../core/admin-calls.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { whyThrown } from "../fs/denied.ts";
import { filesystemName } from "../fs/filesystems.ts";
import { askingOn, type Ground, openPlace, shownOn } from "./open-place.ts";

export async function filesystemOf(backend: Backend, ground: Ground, path: Uint8Array): Promise<FilesystemStats> {
  const place = await openPlace(backend, ground, path);
  const handle: DirHandle = place.kind === "directory" ? place.handle : place.parent;
  if (place.kind === "entry") backend.releaseBatch(place.entry);
  try {
    const { bsize, blocks, bfree, bavail, files, ffree, type } = await statfs(`/proc/self/fd/${handle}/.`);
    return {
      totalBytes: blocks * bsize,
      freeBytes: bfree * bsize,
      availableBytes: bavail * bsize,
      totalInodes: files,
      freeInodes: ffree,
      filesystem: filesystemName(type),
      readOnly: false,
    };
  } catch (error) {
    throw new RunError(
      ExitCode.selecting,
      "place_unusable",
      `${shownOn(ground, path)} cannot be used: ${whyThrown(error, askingOn(ground))}`,
    );
  } finally {
    backend.close([handle]);
  }
}
