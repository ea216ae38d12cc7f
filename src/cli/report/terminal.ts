/**
 * Whether somebody sits behind a descriptor. `process.stdout.isTTY` and isatty(3) of node load all of node's streams, which
 * is 20 ms of processor time, more than half of what `--help` takes; most output that is no terminal shows that by its type.
 */
import { fstatSync } from "node:fs";

/** Major number of /dev/null and its siblings on Linux. */
const MEMORY_DEVICES = 1;

export function isTerminal(fd: 0 | 1 | 2): boolean {
  try {
    const stat = fstatSync(fd);
    if (!stat.isCharacterDevice()) return false;
    if (process.platform === "linux" && ((stat.rdev >> 8) & 0xfff) === MEMORY_DEVICES) return false;
  } catch {
    // It is closed.
    return false;
  }
  return (require("node:tty") as typeof import("node:tty")).isatty(fd);
}
