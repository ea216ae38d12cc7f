/** Sizes of the file system below a place. Asked on another thread: a server that is gone answers late, or never. */
import { statfs } from "node:fs/promises";
import type { FilesystemStats } from "../core/admin-calls.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { filesystemName } from "../fs/filesystems.ts";
import { type Ground, openPlace } from "./open-place.ts";

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
      `cannot use ${printable(path)}: ${error instanceof Error ? error.message : String(error)}`,
    );
  } finally {
    backend.close([handle]);
  }
}
