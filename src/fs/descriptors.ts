/** How many files this process may still open. */
import { readdirSync, readFileSync } from "node:fs";

/** By the limit in force, which backends raise when they are opened; Infinity where there is none or nobody can tell. */
export function freeDescriptors(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    return limit === null ? Infinity : Math.max(0, Number(limit[1]) - readdirSync("/proc/self/fd").length);
  } catch {
    return Infinity;
  }
}
