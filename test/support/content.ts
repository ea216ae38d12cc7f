/** A hash of a file's bytes that does not depend on where its holes are, and costs only its data. */
import { closeSync, readSync } from "node:fs";
import { checked, cstring, Errno, errno, libc, O_CLOEXEC, O_NOFOLLOW, O_RDONLY, SEEK_DATA, type Stat } from "./libc.ts";

const BLOCK = 1 << 16;
const ZERO_BLOCK = Buffer.alloc(BLOCK);

/**
 * SHA-256 over (offset, bytes) of each 64 KiB block that is not all zero, then the size. `stat` is the file's own.
 * A file that cannot be opened yields the errno instead, so that a comparison still says something.
 */
export function hashContent(path: Uint8Array, stat: Pick<Stat, "size">): string {
  const fd = libc().open(cstring(path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (fd < 0) return `errno ${errno()}`;
  const hash = new Bun.CryptoHasher("sha256");
  try {
    const buffer = Buffer.allocUnsafe(Math.min(BLOCK, Math.max(1, stat.size)));
    let offset = 0;
    while (offset < stat.size) {
      offset = nextData(fd, offset, stat.size);
      if (offset >= stat.size) break;
      offset -= offset % BLOCK;
      const length = readFully(fd, buffer, offset);
      if (length === 0) break;
      const block = buffer.subarray(0, length);
      if (!block.equals(ZERO_BLOCK.subarray(0, length))) hash.update(`${offset}:`).update(block);
      offset += BLOCK;
    }
    return hash.update(`size ${stat.size}`).digest("hex");
  } finally {
    closeSync(fd);
  }
}

function readFully(fd: number, buffer: Buffer, offset: number): number {
  let length = 0;
  while (length < buffer.length) {
    const got = readSync(fd, buffer, length, buffer.length - length, offset + length);
    if (got === 0) break;
    length += got;
  }
  return length;
}

/** Where the next data begins at or after `offset`; `size` when only a hole follows. */
function nextData(fd: number, offset: number, size: number): number {
  if (size <= BLOCK) return offset;
  const at = Number(libc().lseek(fd, offset, SEEK_DATA));
  if (at >= 0) return at;
  const code = errno();
  if (code === Errno.ENXIO) return size;
  if (code === Errno.EINVAL) return offset;
  return checked("lseek", at);
}
