import { getSystemErrorName } from "node:util";

/** `EACCES` of 13 or -13. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-Math.abs(errno));
  } catch {
    return `errno ${Math.abs(errno)}`;
  }
}
