/**
 * What a filesystem records about a tree. The walk holds a descriptor per level and reaches entries through
 * /proc/self/fd, so that paths beyond PATH_MAX are seen too; names are bytes throughout.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, readdirSync, statfsSync } from "node:fs";
import { ACCESS_ACL, DEFAULT_ACL, decodeAcl } from "./acl.ts";
import { hashContent } from "./content.ts";
import {
  AT_FDCWD,
  checked,
  cstring,
  getXattr,
  libc,
  listXattrs,
  lstat,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  readLink,
  type Stat,
} from "./libc.ts";

export type EntryType = "file" | "directory" | "symlink" | "fifo" | "socket" | "char" | "block";

export interface SnapshotEntry {
  /** Relative to the root; empty for the root itself. */
  readonly path: Uint8Array;
  readonly type: EntryType;
  /** Permission bits, 07777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of files and links; 0 for the rest, whose size is the filesystem's affair. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Target text of a link, byte for byte in latin1. */
  readonly link: string;
  /** SHA-256 of a file's content; empty when not asked for or not a file. */
  readonly content: string;
  /** The first path of the tree that names the same inode; empty for an inode with one name in the tree. */
  readonly group: string;
  /** Attribute name to value in hex, without the ACLs. */
  readonly xattrs: Readonly<Record<string, string>>;
  readonly acl: string;
  readonly defaultAcl: string;
  /** `major:minor` of a device. */
  readonly rdev: string;
  readonly allocatedBytes: number;
  readonly stat: Stat;
}

/** Keyed by path in latin1, which holds every byte; in byte order of the paths. */
export type Snapshot = ReadonlyMap<string, SnapshotEntry>;

export interface SnapshotOptions {
  /** Default true. */
  readonly content?: boolean;
}

const TYPES: Readonly<Record<number, EntryType>> = {
  1: "fifo",
  2: "char",
  4: "directory",
  6: "block",
  8: "file",
  10: "symlink",
  12: "socket",
};

/** A label of the security module, not of the tree; and the ACLs, which XFS shows to root a second time. */
const FOREIGN_XATTRS = new Set(["security.selinux", "trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT"]);

/** OpenZFS counts a file's blocks when they are on disk. */
const ZFS_MAGIC = 0x2fc12fc1;
const HAS_ZFS = existsSync("/dev/zfs");

export function takeSnapshot(root: string | Uint8Array, options: SnapshotOptions = {}): Snapshot {
  const entries: Draft[] = [];
  const rootPath = Buffer.from(root);
  if (HAS_ZFS && statfsSync(rootPath).type === ZFS_MAGIC) spawnSync("sync");
  entries.push(record(rootPath, Buffer.alloc(0), options));
  if (entries[0]!.type === "directory") walk(AT_FDCWD, rootPath, Buffer.alloc(0), options, entries);
  const keyed = entries.map((entry): [string, Draft] => [Buffer.from(entry.path).toString("latin1"), entry]);
  keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  nameGroups(keyed);
  return new Map(keyed);
}

type Draft = Omit<SnapshotEntry, "group"> & { group: string };

function walk(parentFd: number, name: Uint8Array, path: Uint8Array, options: SnapshotOptions, into: Draft[]): void {
  const flags = O_DIRECTORY | O_CLOEXEC | (parentFd === AT_FDCWD ? 0 : O_NOFOLLOW);
  const fd = checked("openat", libc().openat(parentFd, cstring(name), flags, 0), path);
  try {
    const base = Buffer.from(`/proc/self/fd/${fd}`);
    for (const child of readdirSync(base, { encoding: "buffer" })) {
      const childPath = path.length === 0 ? child : Buffer.concat([path, Buffer.from("/"), child]);
      const entry = record(Buffer.concat([base, Buffer.from("/"), child]), childPath, options);
      into.push(entry);
      if (entry.type === "directory") walk(fd, child, childPath, options, into);
    }
  } finally {
    closeSync(fd);
  }
}

function record(at: Uint8Array, path: Uint8Array, options: SnapshotOptions): Draft {
  const stat = lstat(at);
  const type = TYPES[stat.mode >> 12] ?? "file";
  const xattrs: Record<string, string> = {};
  const acls: Record<string, string> = {};
  for (const name of listXattrs(at)) {
    if (FOREIGN_XATTRS.has(name)) continue;
    const value = getXattr(at, name) ?? Buffer.from("unreadable");
    if (name === ACCESS_ACL || name === DEFAULT_ACL) acls[name] = decodeAcl(value);
    else xattrs[name] = Buffer.from(value).toString("hex");
  }
  return {
    path,
    type,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: type === "file" || type === "symlink" ? stat.size : 0,
    mtimeNs: stat.mtimeNs,
    link: type === "symlink" ? Buffer.from(readLink(at)).toString("latin1") : "",
    content: type === "file" && options.content !== false ? hashContent(at, stat) : "",
    group: "",
    xattrs,
    acl: acls[ACCESS_ACL] ?? "",
    defaultAcl: acls[DEFAULT_ACL] ?? "",
    rdev: type === "char" || type === "block" ? stat.rdev : "",
    allocatedBytes: stat.blocks * 512,
    stat,
  };
}

function nameGroups(keyed: readonly [string, Draft][]): void {
  const first = new Map<string, Draft>();
  for (const [, entry] of keyed) {
    if (entry.type === "directory" || entry.stat.nlink < 2) continue;
    const inode = `${entry.stat.dev}/${entry.stat.ino}`;
    const leader = first.get(inode);
    if (leader === undefined) {
      first.set(inode, entry);
      continue;
    }
    if (leader.group === "") leader.group = Buffer.from(leader.path).toString("latin1");
    entry.group = leader.group;
  }
}
