/** Reads a small file below a held directory, for rule files that the walk found there. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import type { DirHandle } from "./backend.ts";

/** Throws when it is no regular file, larger than `limitBytes`, or unreadable. Never follows a link, never blocks. */
export function readSmallFile(directory: DirHandle, name: Uint8Array, limitBytes: number): Uint8Array {
  const prefix = Buffer.from(`/proc/self/fd/${directory}/`);
  const fd = openSync(Buffer.concat([prefix, name]), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Error("not a regular file");
    if (stat.size > limitBytes) throw new Error(`larger than ${limitBytes} bytes`);
    const bytes = new Uint8Array(stat.size);
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(fd, bytes, length, bytes.length - length, length);
      if (read === 0) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}
