/** What a pair of directories can do for this backend: tried, not guessed. What is made is removed again. */
import fs from "node:fs";
import { bytesOf } from "../../core/paths.ts";
import { type DirHandle, NO_HANDLE, type ProbeResult } from "../backend.ts";
import { type TimeKeeping, triedTimes } from "../filesystems.ts";
import { below, closeHandle, descriptorPath, fstat, lstatOrNothing, O_NOFOLLOW } from "./directories.ts";
import { entryOfStat, packDevice } from "./entry.ts";
import { attempt, E, StatusError, statusOf } from "./errno.ts";
import { type Libc, libc } from "./libc.ts";
import { filesystemType } from "./listing.ts";
import { tempName } from "./publish.ts";

const C = fs.constants;
const O_TMPFILE = 0o20000000 | (C.O_DIRECTORY ?? 0);
const NOT_TRIED = 1;
const S_IFIFO = 0o010000;
const HOLE_BYTES = 1 << 20;
/** Kept as the last second that can be, where there is one. */
const FAR_SEC = 2 ** 50;
/** Version 2; user::rw-, user 0:r--, group::r--, mask::r--, other::--- */
const SAMPLE_ACL = Uint8Array.from([
  2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255,
  255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
]);

export function probePair(source: DirHandle, target: DirHandle): ProbeResult {
  const device = (handle: DirHandle): number => (handle >= 0 ? packDevice(fstat(handle).dev) : 0);
  const sourceDev = device(source);
  const targetDev = device(target);
  const unable = -E.EOPNOTSUPP;
  const sample = target >= 0 ? probeFile(target) : undefined;
  return {
    sameFilesystem: source >= 0 && target >= 0 && sourceDev === targetDev,
    methods: {
      clone: unable,
      copy_file_range: unable,
      sendfile: unable,
      mmap: unable,
      read_write: sample?.write ?? NOT_TRIED,
    },
    tmpfile: unable,
    xattrs: sample?.xattrs ?? NOT_TRIED,
    acls: sample?.acls ?? NOT_TRIED,
    hardLinks: sample?.hardLinks ?? NOT_TRIED,
    symlinks: target >= 0 ? made(target, (path) => fs.symlinkSync("target", path)) : NOT_TRIED,
    specials: target >= 0 ? made(target, makeFifo) : NOT_TRIED,
    sparse: sample?.sparse ?? NOT_TRIED,
    caseInsensitive: sample?.caseInsensitive ?? false,
    timeGranularityNs: sample?.timeGranularityNs ?? 0,
    targetFilesystemType: target >= 0 ? filesystemType(target) : 0,
    sourceFilesystemType: source >= 0 ? filesystemType(source) : 0,
    targetDev,
    sourceDev,
  };
}

function made(directory: DirHandle, make: (path: Buffer) => void): number {
  const path = below(directory, tempName());
  const status = attempt(() => make(path));
  if (status === 0) attempt(() => fs.unlinkSync(path));
  return status;
}

function makeFifo(path: Buffer): void {
  const status = libc === undefined ? -E.ENOSYS : libc.mknod(path, S_IFIFO | 0o600, 0, 0);
  if (status < 0) throw new StatusError(status);
}

interface Sample {
  readonly write: number;
  readonly xattrs: number;
  readonly acls: number;
  readonly hardLinks: number;
  readonly sparse: number;
  readonly caseInsensitive: boolean;
  readonly timeGranularityNs: number;
}

/** Throws when no file can be made at all. */
function probeFile(directory: DirHandle): Sample {
  const name = tempName();
  const path = below(directory, name);
  let fd = NO_HANDLE;
  try {
    fd = fs.openSync(path, C.O_RDWR | C.O_CREAT | C.O_EXCL | O_NOFOLLOW, 0o600);
  } catch (error) {
    const status = statusOf(error);
    const failed = { write: status, xattrs: status, acls: status, hardLinks: status, sparse: status };
    return { ...failed, caseInsensitive: false, timeGranularityNs: 0 };
  }
  try {
    const file = descriptorPath(fd);
    const set = (key: string, value: Uint8Array): number =>
      libc === undefined ? -E.ENOSYS : libc.setAttribute(file, true, bytesOf(key), value);
    return {
      write: attempt(() => fs.writeSync(fd, bytesOf("fastsync"), 0, 8, 0)),
      xattrs: set("user.fastsync.probe", bytesOf("1")),
      acls: set("system.posix_acl_access", SAMPLE_ACL),
      hardLinks: made(directory, (to) => fs.linkSync(path, to)),
      timeGranularityNs: granularity(fd),
      sparse: probeHole(fd),
      caseInsensitive: lstatOrNothing(below(directory, upperCase(name))) !== undefined,
    };
  } finally {
    attempt(() => fs.unlinkSync(path));
    closeHandle(fd);
  }
}

/** Undefined where it cannot be tried. */
export function probeTimes(directory: DirHandle): TimeKeeping | undefined {
  const c = libc;
  if (c === undefined || c.isAppendOnly(directory)) return undefined;
  const unnamed = openUnnamed(directory);
  if (unnamed !== undefined) return timesOf(c, unnamed);
  // A name that comes and goes moves the directory's mtime. It goes last: FUSE servers rename what is open instead.
  const path = below(directory, tempName());
  try {
    const before = entryOfStat(new Uint8Array(0), fstat(directory));
    const times = timesOf(c, fs.openSync(path, C.O_RDWR | C.O_CREAT | C.O_EXCL | O_NOFOLLOW, 0o600));
    fs.unlinkSync(path);
    c.setTimesOf(directory, before.mtimeSec, before.mtimeNsec, true);
    return times;
  } catch (error) {
    statusOf(error);
    return undefined;
  }
}

/** Closes the descriptor. */
function timesOf(c: Libc, fd: number): TimeKeeping | undefined {
  const limit = (sec: number): number =>
    c.setTimesOf(fd, sec, 0, true) < 0 ? 0 : entryOfStat(new Uint8Array(0), fstat(fd)).mtimeSec;
  try {
    return triedTimes(granularity(fd), limit(-FAR_SEC), limit(FAR_SEC));
  } finally {
    closeHandle(fd);
  }
}

function openUnnamed(directory: DirHandle): number | undefined {
  try {
    return fs.openSync(below(directory, bytesOf(".")), O_TMPFILE | C.O_RDWR, 0o600);
  } catch (error) {
    statusOf(error);
    return undefined;
  }
}

function upperCase(name: Uint8Array): Uint8Array {
  return name.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte));
}

function probeHole(fd: number): number {
  const status = attempt(() => {
    fs.ftruncateSync(fd, 0);
    fs.ftruncateSync(fd, HOLE_BYTES);
  });
  if (status < 0) return status;
  return Number(fstat(fd).blocks) * 512 < HOLE_BYTES ? 0 : -E.EOPNOTSUPP;
}

/** The finest step in which an mtime can be set and is kept here. */
function granularity(fd: number): number {
  const [sec, nsec] = [1_000_000_001, 123_456_789];
  const status =
    libc === undefined ? attempt(() => fs.futimesSync(fd, sec, sec + 0.123456)) : libc.setTimesOf(fd, sec, nsec, true);
  if (status < 0) return 0;
  const got = entryOfStat(new Uint8Array(0), fstat(fd));
  if (got.mtimeSec !== sec) return 2_000_000_000;
  const kept = got.mtimeNsec;
  if (kept === nsec) return 1;
  if (kept === 123_456_700 || kept === 123_456_800) return 100;
  if (kept >= 123_455_000 && kept <= 123_457_000) return 1000;
  if (kept === 123_000_000) return 1_000_000;
  if (kept === 120_000_000) return 10_000_000;
  return 1_000_000_000;
}
