/**
 * Calls that node:fs does not have, straight from the C library that is there anyway: no compiler is needed. Linux
 * only. Where it cannot be opened `libc` is undefined and `capabilities` says what is missing.
 *
 * Every function answers 0 (or a count), or a negative errno.
 */
import { ptr } from "bun:ffi";
import { errnoChecker, openSystemLibc } from "../../../ffi/system-libc.ts";

const SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  futimens: { args: ["i32", "ptr"], returns: "i32" },
  mknod: { args: ["ptr", "u32", "u64"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  syncfs: { args: ["i32"], returns: "i32" },
  lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  fallocate: { args: ["i32", "i32", "i64", "i64"], returns: "i32" },
  listxattr: { args: ["ptr", "ptr", "u64"], returns: "i64" },
  llistxattr: { args: ["ptr", "ptr", "u64"], returns: "i64" },
  getxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: "i64" },
  lgetxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: "i64" },
  setxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
  lsetxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
  removexattr: { args: ["ptr", "ptr"], returns: "i32" },
  lremovexattr: { args: ["ptr", "ptr"], returns: "i32" },
  syscall: { args: ["i64", "i64", "ptr", "i64", "ptr", "u64"], returns: "i64" },
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" },
  setrlimit: { args: ["i32", "ptr"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
} as const;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BTIME = 0x800;
const STATX_ATTR_APPEND = 0x20;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
const AT_NO_AUTOMOUNT = 0x800;
/** The low half of `stx_attributes`, in words of 32 bits. */
const ATTRIBUTES_AT = 2;
const UTIME_NOW = 0x3fffffffn;
const UTIME_OMIT = 0x3ffffffen;
const F_DUPFD_CLOEXEC = 1030;
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FADV_DONTNEED = 4;
const PUNCH_HOLE_KEEP_SIZE = 3;
const RENAME_NOREPLACE = 1;
const RENAMEAT2 = process.arch === "arm64" ? 276 : 316;
const RLIMIT_NOFILE = 7;
const ERANGE = 34;
const VALUE_MAX = 65536;

export type Libc = NonNullable<ReturnType<typeof openLibc>>;
/** undefined where the C library cannot be opened. */
export const libc = openLibc();

function openLibc() {
  const c = openSystemLibc(SYMBOLS);
  if (c === undefined) return undefined;
  const checked = errnoChecker(c.__errno_location);
  const terminated = (bytes: Uint8Array): Uint8Array => {
    const out = new Uint8Array(bytes.length + 1);
    out.set(bytes);
    return out;
  };
  const times = new BigInt64Array(4);
  const empty = new Uint8Array(1);
  /** `stx_mask` and the low half of `stx_attributes`; undefined where the call fails. */
  const look = (fd: number): { mask: number; attributes: number } | undefined => {
    const buffer = new Uint32Array(64);
    if (checked(c.statx(fd, ptr(empty), AT_EMPTY_PATH, STATX_BTIME, ptr(buffer))) < 0) return undefined;
    return { mask: buffer[0]!, attributes: buffer[ATTRIBUTES_AT]! };
  };
  const attributes = new Uint32Array(64);
  const scratch = new Uint8Array(VALUE_MAX);
  /** A list or a value of unknown size. */
  const grown = (get: (to: Uint8Array) => number): Uint8Array | number => {
    let room = scratch;
    for (;;) {
      const got = get(room);
      if (got >= 0) return room.slice(0, got);
      if (got !== -ERANGE || room.length >= 1 << 20) return got;
      room = new Uint8Array(room.length * 4);
    }
  };
  return {
    /** Sets the modification time; `both`: and the access time to now. */
    setTimes(path: Uint8Array, follow: boolean, sec: number, nsec: number, both: boolean): number {
      times.set([0n, both ? UTIME_NOW : UTIME_OMIT, BigInt(sec), BigInt(nsec)]);
      const name = terminated(path);
      return checked(c.utimensat(AT_FDCWD, ptr(name), ptr(times), follow ? 0 : AT_SYMLINK_NOFOLLOW));
    },
    setTimesOf(fd: number, sec: number, nsec: number, both: boolean): number {
      times.set([0n, both ? UTIME_NOW : UTIME_OMIT, BigInt(sec), BigInt(nsec)]);
      return checked(c.futimens(fd, ptr(times)));
    },
    /** Whether the filesystem keeps the time of birth of what is open; true where it does not say. */
    hasBirthTime: (fd: number): boolean => ((look(fd)?.mask ?? STATX_BTIME) & STATX_BTIME) !== 0,
    /**
     * Something is mounted on the name in a directory, or on the directory where the name is empty, as far as the kernel
     * says: from Linux 5.8 on. Asked for every entry of a listing, so that nothing is made for it.
     */
    isMountPoint(directory: number, name: Uint8Array, follow: boolean): boolean {
      if (name.length >= scratch.length) return false;
      scratch.set(name);
      scratch[name.length] = 0;
      const flags = AT_NO_AUTOMOUNT | AT_EMPTY_PATH | (follow ? 0 : AT_SYMLINK_NOFOLLOW);
      if (c.statx(directory, ptr(scratch), flags, 0, ptr(attributes)) < 0) return false;
      return (attributes[ATTRIBUTES_AT]! & STATX_ATTR_MOUNT_ROOT) !== 0;
    },
    isAppendOnly: (fd: number): boolean => ((look(fd)?.attributes ?? 0) & STATX_ATTR_APPEND) !== 0,
    mknod(path: Uint8Array, mode: number, major: number, minor: number): number {
      const device =
        (BigInt(minor) & 0xffn) |
        ((BigInt(major) & 0xfffn) << 8n) |
        ((BigInt(minor) & ~0xffn) << 12n) |
        ((BigInt(major) & ~0xfffn) << 32n);
      const name = terminated(path);
      return checked(c.mknod(ptr(name), mode, device));
    },
    /** A second descriptor, which programs that are started do not inherit. */
    duplicate: (fd: number): number => checked(c.fcntl(fd, F_DUPFD_CLOEXEC, 0)),
    /** Exclusive and without waiting. */
    lock: (fd: number): number => checked(c.flock(fd, LOCK_EX | LOCK_NB)),
    lockShared: (fd: number): number => checked(c.flock(fd, LOCK_SH | LOCK_NB)),
    syncFilesystem: (fd: number): number => checked(c.syncfs(fd)),
    /** Offset of the next data from `offset` on; -ENXIO: only a hole follows. */
    nextData: (fd: number, offset: number): number => checked(c.lseek(fd, offset, SEEK_DATA)),
    nextHole: (fd: number, offset: number): number => checked(c.lseek(fd, offset, SEEK_HOLE)),
    /** Drops the file's cached pages, as far as they are clean. */
    dropCache: (fd: number): number => -c.posix_fadvise(fd, 0, 0, FADV_DONTNEED),
    punchHole: (fd: number, offset: number, length: number): number =>
      checked(c.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, offset, length)),
    /** NUL-terminated names, or a negative errno. */
    listAttributes(path: Uint8Array, follow: boolean): Uint8Array | number {
      const name = terminated(path);
      const list = follow ? c.listxattr : c.llistxattr;
      return grown((to) => checked(list(ptr(name), ptr(to), to.length)));
    },
    getAttribute(path: Uint8Array, follow: boolean, key: Uint8Array): Uint8Array | number {
      const [name, attribute] = [terminated(path), terminated(key)];
      const get = follow ? c.getxattr : c.lgetxattr;
      return grown((to) => checked(get(ptr(name), ptr(attribute), ptr(to), to.length)));
    },
    setAttribute(path: Uint8Array, follow: boolean, key: Uint8Array, value: Uint8Array): number {
      const [name, attribute, bytes] = [terminated(path), terminated(key), terminated(value)];
      const set = follow ? c.setxattr : c.lsetxattr;
      return checked(set(ptr(name), ptr(attribute), ptr(bytes), value.length, 0));
    },
    removeAttribute(path: Uint8Array, follow: boolean, key: Uint8Array): number {
      const [name, attribute] = [terminated(path), terminated(key)];
      return checked((follow ? c.removexattr : c.lremovexattr)(ptr(name), ptr(attribute)));
    },
    /** Fails with -EEXIST when the new name is taken. By number: musl came late to the wrapper. */
    renameNew(from: Uint8Array, to: Uint8Array): number {
      const [old, fresh] = [terminated(from), terminated(to)];
      return checked(c.syscall(RENAMEAT2, AT_FDCWD, ptr(old), AT_FDCWD, ptr(fresh), RENAME_NOREPLACE));
    },
    /** Raises the soft limit of open files to the hard one; returns what is in force, 0 unknown. */
    raiseOpenFiles(): number {
      const limit = new BigUint64Array(2);
      if (c.getrlimit(RLIMIT_NOFILE, ptr(limit)) < 0) return 0;
      const raised = new BigUint64Array([limit[1]!, limit[1]!]);
      if (limit[0]! < limit[1]! && c.setrlimit(RLIMIT_NOFILE, ptr(raised)) === 0) limit[0] = limit[1]!;
      return Math.min(Number(limit[0]!), 0xffffffff);
    },
  };
}
