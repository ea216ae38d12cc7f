/** What kind of device a filesystem lies on, and what it has run out of. */
import { readFileSync, statfsSync } from "node:fs";
import type { DirHandle } from "../fs/backend.ts";

/** `dev` is major << 20 | minor. False when nothing is known: network and virtual filesystems have no queue. */
export function isRotational(dev: number): boolean {
  const name = `/sys/dev/block/${dev >>> 20}:${dev & 0xfffff}`;
  for (const queue of [`${name}/queue/rotational`, `${name}/../queue/rotational`]) {
    try {
      return readFileSync(queue, "latin1").trim() === "1" && !isLoop(dev);
    } catch {
      // a partition keeps its queue one level up
    }
  }
  return false;
}

/** A loop device says "rotational" whatever its backing file lies on. */
function isLoop(dev: number): boolean {
  return dev >>> 20 === 7;
}

/** True when the filesystem below a directory has room for bytes and for no further inode. False when nothing is known. */
export function isOutOfInodes(handle: DirHandle): boolean {
  if (handle < 0) return false;
  try {
    const { bavail, files, ffree } = statfsSync(`/proc/self/fd/${handle}/.`);
    // Filesystems that make inodes as they need them tell of none, or of as many as would fit.
    return files > 0 && ffree === 0 && bavail > 0;
  } catch {
    return false;
  }
}
