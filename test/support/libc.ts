/**
 * The system calls that tests need with names as bytes: builders and the differ stand on the C library itself, never
 * on the code under test, so that a wrong wrapper cannot agree with itself.
 */
import { dlopen, type Library, read } from "bun:ffi";
import { printable } from "../../src/core/paths.ts";

const signatures = {
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  openat: { args: ["i32", "ptr", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  mkdir: { args: ["ptr", "u32"], returns: "i32" },
  mkdirat: { args: ["i32", "ptr", "u32"], returns: "i32" },
  chmod: { args: ["ptr", "u32"], returns: "i32" },
  lchown: { args: ["ptr", "u32", "u32"], returns: "i32" },
  symlink: { args: ["ptr", "ptr"], returns: "i32" },
  link: { args: ["ptr", "ptr"], returns: "i32" },
  linkat: { args: ["i32", "ptr", "i32", "ptr", "i32"], returns: "i32" },
  unlink: { args: ["ptr"], returns: "i32" },
  rmdir: { args: ["ptr"], returns: "i32" },
  rename: { args: ["ptr", "ptr"], returns: "i32" },
  renameat2: { args: ["i32", "ptr", "i32", "ptr", "u32"], returns: "i32" },
  mknod: { args: ["ptr", "u32", "u64"], returns: "i32" },
  readlink: { args: ["ptr", "ptr", "usize"], returns: "i64" },
  utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
  llistxattr: { args: ["ptr", "ptr", "usize"], returns: "i64" },
  lgetxattr: { args: ["ptr", "ptr", "ptr", "usize"], returns: "i64" },
  lsetxattr: { args: ["ptr", "ptr", "ptr", "usize", "i32"], returns: "i32" },
  lremovexattr: { args: ["ptr", "ptr"], returns: "i32" },
  lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  dup: { args: ["i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
} as const;

function load(): Library<typeof signatures>["symbols"] | undefined {
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      return dlopen(name, signatures).symbols;
    } catch {}
  }
  return undefined;
}

const loaded = process.platform === "linux" ? load() : undefined;

/** Why the tests that stand on this file cannot run here, or undefined where they can. */
export const libcMissing: string | undefined =
  loaded === undefined ? "no C library that bun:ffi can load (Linux only)" : undefined;

/** The raw calls: paths must be NUL-terminated (`cstring`), results are checked with `checked`. */
export function libc(): NonNullable<typeof loaded> {
  if (loaded === undefined) throw new Error(libcMissing);
  return loaded;
}

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;
export const O_RDONLY = 0;
export const O_NONBLOCK = 0o4000;
/* These two differ between the ABIs that Linux has: generic (x86) and ARM's. */
export const O_DIRECTORY = process.arch === "arm64" ? 0o40000 : 0o200000;
export const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
export const RENAME_EXCHANGE = 2;

export const Errno = { ENOENT: 2, ENXIO: 6, EACCES: 13, EINVAL: 22, ERANGE: 34, ENODATA: 61, ENOTSUP: 95 } as const;

export class SystemError extends Error {
  readonly operation: string;
  readonly errno: number;
  constructor(operation: string, errno: number, path: Uint8Array | undefined) {
    super(`${operation}: errno ${errno}${path === undefined ? "" : `: ${printable(path)}`}`);
    this.operation = operation;
    this.errno = errno;
  }
}

export function errno(): number {
  return read.i32(libc().__errno_location()!, 0);
}

/** The result of a call that answers -1 with errno set; anything else is returned. */
export function checked(operation: string, result: number | bigint, path?: Uint8Array): number {
  const value = Number(result);
  if (value < 0) throw new SystemError(operation, errno(), path);
  return value;
}

export function cstring(path: Uint8Array | string): Uint8Array {
  const bytes = typeof path === "string" ? Buffer.from(path) : path;
  if (bytes.includes(0)) throw new Error("a path cannot hold NUL");
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

export interface Stat {
  /** File type and permission bits together, as st_mode has them. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly size: number;
  /** Units of 512 bytes. */
  readonly blocks: number;
  readonly ino: bigint;
  readonly dev: string;
  readonly rdev: string;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

const STATX_BASIC_STATS = 0x7ff;

/** lstat through statx(2), whose layout is the same on every architecture. */
export function lstat(path: Uint8Array | string, directoryFd: number = AT_FDCWD): Stat {
  const buffer = new Uint8Array(256);
  const name = typeof path === "string" ? Buffer.from(path) : path;
  const flags = AT_SYMLINK_NOFOLLOW | (name.length === 0 ? AT_EMPTY_PATH : 0);
  checked("statx", libc().statx(directoryFd, cstring(name), flags, STATX_BASIC_STATS, buffer), name);
  const view = new DataView(buffer.buffer);
  const time = (at: number) => view.getBigInt64(at, true) * 1_000_000_000n + BigInt(view.getUint32(at + 8, true));
  return {
    nlink: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    mode: view.getUint16(28, true),
    ino: view.getBigUint64(32, true),
    size: Number(view.getBigUint64(40, true)),
    blocks: Number(view.getBigUint64(48, true)),
    atimeNs: time(64),
    ctimeNs: time(96),
    mtimeNs: time(112),
    rdev: `${view.getUint32(128, true)}:${view.getUint32(132, true)}`,
    dev: `${view.getUint32(136, true)}:${view.getUint32(140, true)}`,
  };
}

/** lstat, or undefined where nothing is there. */
export function lstatMaybe(path: Uint8Array | string): Stat | undefined {
  try {
    return lstat(path);
  } catch (error) {
    if (error instanceof SystemError && error.errno === Errno.ENOENT) return undefined;
    throw error;
  }
}

/** Sets atime and mtime of the entry itself (a link too). Any 64-bit second; the filesystem may clamp. */
export function setTimes(path: Uint8Array | string, mtimeNs: bigint, atimeNs: bigint = mtimeNs): void {
  const spec = new BigInt64Array(4);
  const split = (ns: bigint): [bigint, bigint] => {
    const nanos = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
    return [(ns - nanos) / 1_000_000_000n, nanos];
  };
  [spec[0], spec[1]] = split(atimeNs);
  [spec[2], spec[3]] = split(mtimeNs);
  const c = libc();
  checked("utimensat", c.utimensat(AT_FDCWD, cstring(path), spec, AT_SYMLINK_NOFOLLOW), Buffer.from(path));
}

export function duplicate(fd: number): number {
  return checked("dup", libc().dup(fd));
}

/** Two connected stream sockets of the Unix kind; the caller closes both. */
export function socketPair(): [number, number] {
  const pair = new Int32Array(2);
  const [AF_UNIX, SOCK_STREAM_CLOEXEC] = [1, 1 | O_CLOEXEC];
  checked("socketpair", libc().socketpair(AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair));
  return [pair[0]!, pair[1]!];
}

export function readLink(path: Uint8Array): Uint8Array {
  const buffer = new Uint8Array(4097);
  const length = checked("readlink", libc().readlink(cstring(path), buffer, buffer.length), path);
  return buffer.slice(0, length);
}

/** The extended attributes of the entry itself; empty where the filesystem has none at all. */
export function listXattrs(path: Uint8Array): string[] {
  const buffer = new Uint8Array(65536);
  const length = Number(libc().llistxattr(cstring(path), buffer, buffer.length));
  if (length < 0) {
    const code = errno();
    /* A link's attributes reached through a name that the caller may not search count as none. */
    if (code === Errno.ENOTSUP || code === Errno.EACCES) return [];
    throw new SystemError("llistxattr", code, path);
  }
  const names = Buffer.from(buffer.subarray(0, length)).toString("latin1").split("\0");
  return names.filter((name) => name !== "").sort();
}

/** The value of an attribute, or undefined where it is missing or may not be read. */
export function getXattr(path: Uint8Array | string, name: string): Uint8Array | undefined {
  const buffer = new Uint8Array(65536);
  const length = Number(libc().lgetxattr(cstring(path), cstring(Buffer.from(name, "latin1")), buffer, buffer.length));
  return length < 0 ? undefined : buffer.slice(0, length);
}

export function setXattr(path: Uint8Array | string, name: string, value: Uint8Array | string): void {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  const filled = bytes.length === 0 ? new Uint8Array(1) : bytes;
  const result = libc().lsetxattr(cstring(path), cstring(name), filled, bytes.length, 0);
  checked(`lsetxattr ${name}`, result, Buffer.from(path));
}

export function removeXattr(path: Uint8Array | string, name: string): void {
  checked(`lremovexattr ${name}`, libc().lremovexattr(cstring(path), cstring(name)), Buffer.from(path));
}
