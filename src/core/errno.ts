/** Errnos as words: names for reports, classes for decisions, sentences for people. Linux numbers (asm-generic). */
import type { FailureCode } from "./events.ts";

interface Errno {
  readonly name: string;
  readonly code: FailureCode;
  readonly text: string;
}

const ERRNOS: Readonly<Record<number, Errno>> = {
  1: { name: "EPERM", code: "permission", text: "permission denied" },
  2: { name: "ENOENT", code: "not_found", text: "no such file or directory" },
  4: { name: "EINTR", code: "other", text: "interrupted system call" },
  5: { name: "EIO", code: "io", text: "input/output error" },
  6: { name: "ENXIO", code: "io", text: "no such device or address" },
  9: { name: "EBADF", code: "other", text: "bad file descriptor" },
  11: { name: "EAGAIN", code: "other", text: "held by another program" },
  12: { name: "ENOMEM", code: "limit", text: "out of memory" },
  13: { name: "EACCES", code: "permission", text: "permission denied" },
  16: { name: "EBUSY", code: "other", text: "device or resource busy" },
  17: { name: "EEXIST", code: "exists", text: "something of that name exists" },
  18: { name: "EXDEV", code: "unsupported", text: "on another filesystem" },
  20: { name: "ENOTDIR", code: "name", text: "not a directory" },
  21: { name: "EISDIR", code: "name", text: "is a directory" },
  22: { name: "EINVAL", code: "unsupported", text: "refused by the filesystem as invalid" },
  23: { name: "ENFILE", code: "limit", text: "too many open files in the system" },
  24: { name: "EMFILE", code: "limit", text: "too many open files (raise `ulimit -n`)" },
  25: { name: "ENOTTY", code: "unsupported", text: "not supported by the filesystem" },
  26: { name: "ETXTBSY", code: "other", text: "a program of that name is running" },
  27: { name: "EFBIG", code: "limit", text: "larger than the target filesystem allows" },
  28: { name: "ENOSPC", code: "no_space", text: "no space left on the target" },
  30: { name: "EROFS", code: "read_only", text: "the filesystem is read-only" },
  31: { name: "EMLINK", code: "limit", text: "too many hard links" },
  36: { name: "ENAMETOOLONG", code: "name", text: "name too long for the target" },
  38: { name: "ENOSYS", code: "unsupported", text: "not supported by this kernel" },
  39: { name: "ENOTEMPTY", code: "not_empty", text: "a directory that is not empty stands there" },
  40: { name: "ELOOP", code: "loop", text: "a symbolic link where none may be followed" },
  61: { name: "ENODATA", code: "other", text: "no such attribute" },
  74: { name: "EBADMSG", code: "verify", text: "what landed differs from what was read" },
  75: { name: "EOVERFLOW", code: "limit", text: "value too large" },
  84: { name: "EILSEQ", code: "name", text: "the target does not accept this name" },
  95: { name: "EOPNOTSUPP", code: "unsupported", text: "not supported by the filesystem" },
  110: { name: "ETIMEDOUT", code: "io", text: "timed out" },
  116: { name: "ESTALE", code: "vanished", text: "it is no longer the entry that was seen" },
  122: { name: "EDQUOT", code: "no_space", text: "disk quota exceeded, of bytes or of files" },
  125: { name: "ECANCELED", code: "canceled", text: "stopped before it was done" },
};

/** Errno numbers used in decisions. */
export const E = {
  PERM: 1,
  NOENT: 2,
  IO: 5,
  BADF: 9,
  AGAIN: 11,
  ACCES: 13,
  BUSY: 16,
  EXIST: 17,
  XDEV: 18,
  NOTDIR: 20,
  INVAL: 22,
  NOSPC: 28,
  MLINK: 31,
  PIPE: 32,
  ROFS: 30,
  NOSYS: 38,
  NOTEMPTY: 39,
  LOOP: 40,
  OPNOTSUPP: 95,
  STALE: 116,
  DQUOT: 122,
  PROTO: 71,
  TIMEDOUT: 110,
  CANCELED: 125,
} as const;

export function errnoName(errno: number): string {
  return ERRNOS[Math.abs(errno)]?.name ?? `errno ${Math.abs(errno)}`;
}

export function errnoText(errno: number): string {
  const known = ERRNOS[Math.abs(errno)];
  return known === undefined ? `error ${Math.abs(errno)}` : known.text;
}

/** Of removing something: it takes room on some filesystems, and that is no matter of a target. */
export function removalText(errno: number): string {
  return Math.abs(errno) === E.NOSPC ? "no space left on its filesystem, not even for removing" : errnoText(errno);
}

/** Somebody's rights are what is missing. */
export function isDenied(errno: number): boolean {
  return Math.abs(errno) === E.ACCES || Math.abs(errno) === E.PERM;
}

/** `who`: as the sentence names them, such as `root` or `user ann`. */
export function deniedText(errno: number, who: string): string {
  const denied = `permission denied to ${who}`;
  if (Math.abs(errno) !== E.PERM) return denied;
  // What no mode forbids (chattr(1), sticky directories): the reader would look at the mode in vain.
  return `${denied}: it is ${who.startsWith("root") ? "" : "another user's, or "}immutable or append-only`;
}

/** Of a filesystem that has room for bytes: what errno says of it would send the reader to df(1) without -i. */
export const NO_INODES = "no inode is left on the target: it has room for data, but not for one more file";

/** Of a new name that the target takes for another one, which stays. */
export const NAME_IS_TAKEN =
  "the target takes this name for that of another entry, which stays: it ignores case, Unicode forms or dots at the end";

/** Of a link that a confined side does not follow. */
export const LINK_LEADS_OUT = "the link leads out of the module";

export function failureCode(errno: number): FailureCode {
  return ERRNOS[Math.abs(errno)]?.code ?? "other";
}
