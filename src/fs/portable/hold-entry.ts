import fs from "node:fs";
import { FileType } from "../../core/entry-batch.ts";
import type { DirHandle } from "../backend.ts";
import { below, closeHandle, descriptorPath, fstat, hasProcDescriptors, lstat, O_NOFOLLOW } from "./directories.ts";
import { typeOf } from "./entry.ts";
import type { Subject } from "./metadata.ts";

const O_PATH = 0o10000000;

/** An entry that is held without being opened, so that no FIFO blocks and no device acts, while it is changed. */
export interface HeldEntry extends Subject {
  readonly path: Buffer;
  readonly stats: fs.BigIntStats;
  close(): void;
}

/** An empty name is the directory itself. Throws. */
export function holdEntry(directory: DirHandle, name: Uint8Array): HeldEntry {
  if (name.length === 0) {
    return { path: descriptorPath(directory), follow: true, stats: fstat(directory), close: () => {} };
  }
  const path = below(directory, name);
  if (!hasProcDescriptors) {
    const stats = lstat(path);
    return { path, follow: typeOf(stats.mode) !== FileType.symlink, stats, close: () => {} };
  }
  const fd = fs.openSync(path, O_PATH | O_NOFOLLOW);
  // The magic link leads to the inode itself, a symbolic link included.
  return { path: descriptorPath(fd), follow: true, stats: fstat(fd), close: () => closeHandle(fd) };
}
