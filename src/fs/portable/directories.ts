/**
 * Held directories. On Linux a handle is a real descriptor, and a name below it is reached through
 * /proc/self/fd/N/name: whoever renames a parent or puts a link in its place meanwhile does not lead us astray.
 * Elsewhere a handle is a number of our own for a path that was looked at; that is weaker, and all node:fs can do.
 */
import fs from "node:fs";
import { bytesOf, joinPath } from "../../core/paths.ts";
import { type DirHandle, WORKING_DIRECTORY } from "../backend.ts";
import { E, StatusError } from "./errno.ts";

const C = fs.constants;
export const O_NOFOLLOW = C.O_NOFOLLOW ?? 0;
export const O_NONBLOCK = C.O_NONBLOCK ?? 0;
const O_DIRECTORY = C.O_DIRECTORY ?? 0;
const OPEN = C.O_RDONLY | O_DIRECTORY | O_NONBLOCK;
const FIRST_VIRTUAL = 1 << 30;
const DOT = bytesOf(".");

export const hasProcDescriptors = process.platform === "linux" && fs.existsSync("/proc/self/fd");
const virtual = new Map<number, Uint8Array>();
let nextVirtual = FIRST_VIRTUAL;

/** node:fs wants a Buffer for a path of bytes. */
export function pathBuffer(path: Uint8Array): Buffer {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength);
}

/** The path of a descriptor's own object. */
export function descriptorPath(fd: number): Buffer {
  const path = virtual.get(fd);
  return path === undefined ? Buffer.from(`/proc/self/fd/${fd}`) : pathBuffer(path);
}

/** The path of `name` below a handle. `name` is one component, or anything when the handle is WORKING_DIRECTORY. */
export function below(directory: DirHandle, name: Uint8Array): Buffer {
  if (directory === WORKING_DIRECTORY) return pathBuffer(name);
  return pathBuffer(joinPath(descriptorPath(directory), name));
}

/** Opens a directory; throws. */
export function openDirectory(path: Uint8Array, follow: boolean): DirHandle {
  if (hasProcDescriptors) return fs.openSync(pathBuffer(path), OPEN | (follow ? 0 : O_NOFOLLOW));
  const stats = follow ? fs.statSync(pathBuffer(path)) : fs.lstatSync(pathBuffer(path));
  if (!stats.isDirectory()) throw new StatusError(-E.ENOTDIR);
  const absolute = path[0] === 0x2f ? path : joinPath(bytesOf(process.cwd()), path);
  virtual.set(nextVirtual, absolute.slice());
  return nextVirtual++;
}

/** A second handle of the same directory. */
export function sameDirectory(directory: DirHandle): DirHandle {
  return openDirectory(directory === WORKING_DIRECTORY ? DOT : below(directory, DOT), true);
}

export function closeHandle(handle: number): void {
  if (handle < 0 || virtual.delete(handle)) return;
  try {
    fs.closeSync(handle);
  } catch {
    // Closing cannot be done better a second time.
  }
}

export function lstat(path: Uint8Array): fs.BigIntStats {
  return fs.lstatSync(pathBuffer(path), { bigint: true });
}
export function lstatOrNothing(path: Uint8Array): fs.BigIntStats | undefined {
  return fs.lstatSync(pathBuffer(path), { bigint: true, throwIfNoEntry: false });
}
export function fstat(fd: number): fs.BigIntStats {
  const path = virtual.get(fd);
  return path === undefined ? fs.fstatSync(fd, { bigint: true }) : fs.statSync(pathBuffer(path), { bigint: true });
}

/** Whether the directory lists exactly this name; true where it cannot be listed. */
export function isListed(directory: DirHandle, name: Uint8Array): boolean {
  try {
    return fs.readdirSync(descriptorPath(directory), { encoding: "buffer" }).some((one) => one.equals(name));
  } catch {
    return true;
  }
}

const SLASH = 0x2f;
const DOT_BYTE = 0x2e;
/** One component that may be made below a directory: no slash, no NUL, not `.` or `..`. */
export function checkName(name: Uint8Array): number {
  if (name.length === 0) return -E.EINVAL;
  if (name.length > 255) return -E.ENAMETOOLONG;
  if (name.includes(SLASH) || name.includes(0)) return -E.EINVAL;
  if (name[0] === DOT_BYTE && (name.length === 1 || (name.length === 2 && name[1] === DOT_BYTE))) return -E.EINVAL;
  return 0;
}
