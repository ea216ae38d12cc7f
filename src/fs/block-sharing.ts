/**
 * Whether files can share blocks (FICLONE), as far as a filesystem tells without being tried: nothing is written, and no
 * file is opened. What it does not tell is a "may".
 *
 *     XFS      the geometry says whether it was made with reflink
 *     btrfs    the filesystem's id, since subvolumes have device numbers of their own; directories without copy-on-write
 *     ZFS      a parameter of its module turns cloning off
 */
import { ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { openSystemLibc } from "../../ffi/system-libc.ts";
import { filesystemName, sharesBlocks } from "./filesystems.ts";

export interface BlockSharing {
  readonly files: "can" | "cannot" | "may";
  /** For people, behind "can share blocks", "will be refused" or "may be refused"; empty: nothing more is known. */
  readonly reason: string;
  /** Equal for places on one filesystem. */
  readonly filesystem: string;
}

const XFS = 0x58465342;
const BTRFS = 0x9123683e;
const ZFS = 0x2fc12fc1;

/* linux/fs.h, xfs_fs.h, linux/btrfs.h. The geometry of version 4 is what every kernel has. */
const XFS_IOC_FSGEOMETRY_V4 = 0x8070587c;
const XFS_GEOMETRY_BYTES = 112;
const XFS_GEOMETRY_FLAGS_AT = 92;
const XFS_GEOMETRY_REFLINK = 1 << 20;
const BTRFS_IOC_FS_INFO = 0x8400941f;
const BTRFS_INFO_BYTES = 1024;
const BTRFS_FSID_AT = 16;
const FSID_BYTES = 16;
const FS_IOC_GETFLAGS = 0x80086601;
const FS_NOCOW_FL = 0x00800000;

const SYMBOLS = { ioctl: { args: ["i32", "u64", "ptr"], returns: "i32" } } as const;
let libc: ReturnType<typeof openSystemLibc<typeof SYMBOLS>>;

/** What the filesystem answers, or undefined where it does not know the question. */
function ask(directory: number, question: number, bytes: number): Uint8Array | undefined {
  libc ??= openSystemLibc(SYMBOLS);
  const answer = new Uint8Array(bytes);
  return libc !== undefined && libc.ioctl(directory, question, ptr(answer)) === 0 ? answer : undefined;
}

/** `directory`: held; `dev`: of what is meant in it. */
export function blockSharing(directory: number, type: number, dev: number): BlockSharing {
  const filesystem = `device ${dev}`;
  const name = filesystemName(type);
  switch (type >>> 0) {
    case XFS: {
      const geometry = ask(directory, XFS_IOC_FSGEOMETRY_V4, XFS_GEOMETRY_BYTES);
      if (geometry === undefined) break;
      const flags = Buffer.from(geometry.buffer).readUInt32LE(XFS_GEOMETRY_FLAGS_AT);
      return (flags & XFS_GEOMETRY_REFLINK) !== 0
        ? { files: "can", reason: "", filesystem }
        : { files: "cannot", reason: "this XFS was made without reflink", filesystem };
    }
    case BTRFS: {
      const info = ask(directory, BTRFS_IOC_FS_INFO, BTRFS_INFO_BYTES);
      const id = info?.subarray(BTRFS_FSID_AT, BTRFS_FSID_AT + FSID_BYTES);
      const one = id === undefined ? filesystem : `btrfs ${Buffer.from(id).toString("hex")}`;
      const flags = ask(directory, FS_IOC_GETFLAGS, 8);
      const isNoCow = flags !== undefined && (Buffer.from(flags.buffer).readUInt32LE(0) & FS_NOCOW_FL) !== 0;
      return isNoCow
        ? { files: "may", reason: "files without copy-on-write (+C) share only with their like", filesystem: one }
        : { files: "can", reason: "", filesystem: one };
    }
    case ZFS:
      if (isTurnedOff("/sys/module/zfs/parameters/zfs_bclone_enabled"))
        return { files: "cannot", reason: "zfs_bclone_enabled is 0", filesystem };
      return { files: "may", reason: "the pool's features and its version decide", filesystem };
  }
  switch (sharesBlocks(type)) {
    case "yes":
      return { files: "can", reason: "", filesystem };
    case "no":
      return { files: "cannot", reason: `${name} shares no blocks`, filesystem };
    case "perhaps":
      return { files: "may", reason: `what is behind ${name} decides`, filesystem };
    case undefined:
      return { files: "may", reason: "this kind of filesystem is not known here", filesystem };
  }
}

function isTurnedOff(parameter: string): boolean {
  try {
    return readFileSync(parameter, "latin1").trim() === "0";
  } catch {
    return false;
  }
}
