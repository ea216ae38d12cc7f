/** Which C library this process runs on: a library made for the other one does not load, or worse, half works. */
import fs from "node:fs";

export function libcOfProcess(): "glibc" | "musl" {
  try {
    return mapsShowMusl(fs.readFileSync("/proc/self/maps", "latin1")) ? "musl" : "glibc";
  } catch {
    return "glibc";
  }
}

/** musl is its own loader: `ld-musl-x86_64.so.1`, which Debian makes a link to `x86_64-linux-musl/libc.so`. */
export function mapsShowMusl(maps: string): boolean {
  return /\/(ld-musl-[^/\n]*|libc\.musl-[^/\n]*|[^/\n]*-linux-musl\/libc)\.so/.test(maps);
}
