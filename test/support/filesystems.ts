/**
 * Real filesystems in RAM: an image in /dev/shm, made, mounted, and gone when its scope ends. What a copy can do
 * depends on the filesystem (reflinks, holes, attributes, time range), so behaviours are checked on several.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

export type FilesystemKind =
  | "xfs"
  | "xfs-noreflink"
  | "ext4"
  | "btrfs"
  | "zfs"
  | "tmpfs"
  | "ramfs"
  /* Narrower ones, for what a copy has to do without. */
  | "xfs-2038"
  | "ext4-128"
  | "ext4-casefold"
  | "ext2"
  | "btrfs-few-links"
  | "vfat"
  | "exfat";
/** They need no image. */
type MemoryKind = "tmpfs" | "ramfs";

/** Few kernels have it: those that do also test on it. */
const HAS_ZFS = existsSync("/dev/zfs");

/** Those that a copy should do well on; ramfs is for its lack of extended attributes and ACLs. */
export const FILESYSTEMS: readonly FilesystemKind[] = [
  ...(["xfs", "xfs-noreflink", "ext4", "btrfs", "tmpfs"] as const),
  ...(HAS_ZFS ? (["zfs"] as const) : []),
];

const SHARED_MEMORY = "/dev/shm";

/** Each maker with its options; the image's path goes last. */
const MAKERS: Readonly<Record<Exclude<FilesystemKind, MemoryKind | "zfs">, readonly [string, ...string[]]>> = {
  xfs: ["mkfs.xfs", "-q", "-m", "reflink=1"],
  "xfs-noreflink": ["mkfs.xfs", "-q", "-m", "reflink=0"],
  /* Without lazy initialisation nothing writes in the background of a measurement. */
  ext4: ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"],
  btrfs: ["mkfs.btrfs", "-q"],
  /* 32 bits of seconds. */
  "xfs-2038": ["mkfs.xfs", "-q", "-m", "reflink=1,bigtime=0"],
  /* Whole seconds, 32 bits of them. */
  "ext4-128": ["mkfs.ext4", "-q", "-F", "-I", "128"],
  "ext4-casefold": ["mkfs.ext4", "-q", "-F", "-O", "casefold"],
  /* Files of 16 GiB at the most. */
  ext2: ["mkfs.ext2", "-q", "-F", "-b", "1024"],
  /* The names of an inode in one directory have to fit into a block of metadata. */
  "btrfs-few-links": ["mkfs.btrfs", "-q", "-O", "^extref"],
  vfat: ["mkfs.vfat", "-F", "32"],
  exfat: ["mkfs.exfat"],
};

/** How each is mounted, where that is not its own name over a loop device. */
const TYPES: Partial<Readonly<Record<FilesystemKind, string>>> = {
  "xfs-2038": "xfs",
  "ext4-128": "ext4",
  "ext4-casefold": "ext4",
  "xfs-noreflink": "xfs",
  "btrfs-few-links": "btrfs",
};
/** exFAT comes through FUSE. */
const FUSE_SERVERS: Partial<Readonly<Record<FilesystemKind, string>>> = { exfat: "mount.exfat-fuse" };

export interface MountedFilesystem extends AsyncDisposable {
  readonly kind: FilesystemKind;
  readonly path: string;
}

/** Why this filesystem cannot be mounted here, or undefined where it can. */
export function canMount(kind: FilesystemKind): string | undefined {
  if (process.platform !== "linux") return "mounting needs Linux";
  if (process.getuid?.() !== 0) return "mounting needs root";
  if (kind === "zfs") {
    if (!HAS_ZFS) return "the kernel has no ZFS";
    if (findTool("zpool") === null) return "zpool is not installed";
    return existsSync(SHARED_MEMORY) ? undefined : `there is no ${SHARED_MEMORY}`;
  }
  if (!isMemory(kind) && findTool(MAKERS[kind][0]) === null) return `${MAKERS[kind][0]} is not installed`;
  const server = FUSE_SERVERS[kind];
  if (server !== undefined && findTool(server) === null) return `${server} is not installed`;
  if (server !== undefined && !existsSync("/dev/fuse")) return "there is no FUSE";
  if (server === undefined && !isMemory(kind) && !existsSync("/dev/loop-control")) return "there are no loop devices";
  if (kind === "ext4-casefold" && !existsSync("/sys/fs/ext4/features/casefold"))
    return "the kernel's ext4 has no casefold";
  if (kind === "vfat" && !/\tvfat$/m.test(readFileSync("/proc/filesystems", "utf8"))) return "the kernel has no vfat";
  return existsSync(SHARED_MEMORY) ? undefined : `there is no ${SHARED_MEMORY}`;
}

function isMemory(kind: FilesystemKind): kind is MemoryKind {
  return kind === "tmpfs" || kind === "ramfs";
}

/** `size` as truncate(1) writes it: 512M, 2G. XFS wants at least 300M. `options`: of mount(8), of ZFS its properties. */
export async function mountFilesystem(
  kind: FilesystemKind,
  size: string,
  options: readonly string[] = [],
): Promise<MountedFilesystem> {
  const reason = canMount(kind);
  if (reason !== undefined) throw new Error(`cannot mount ${kind}: ${reason}`);
  const path = mkdtempSync(join(tmpdir(), `fastsync-${kind}.`));
  const image = join(SHARED_MEMORY, `${basename(path)}.img`);
  const mounted: Mounted = { kind, path, image };
  try {
    /* ramfs takes a size and ignores it. */
    if (isMemory(kind)) run("mount", "-t", kind, "-o", [`size=${size},mode=755`, ...options].join(), kind, path);
    else makeAndMount(kind, size, options, mounted);
  } catch (error) {
    release(mounted);
    throw error;
  }
  remember(mounted);
  return {
    kind,
    path,
    [Symbol.asyncDispose]: async () => {
      live.delete(mounted);
      await releasePatiently(mounted);
    },
  };
}

interface Mounted {
  readonly kind: FilesystemKind;
  readonly path: string;
  readonly image: string;
}

function makeAndMount(
  kind: Exclude<FilesystemKind, MemoryKind>,
  size: string,
  options: readonly string[],
  { path, image }: Mounted,
): void {
  const bytes = sizeBytes(size);
  const { bavail, bsize } = statfsSync(SHARED_MEMORY);
  if (bavail * bsize < bytes) throw new Error(`${SHARED_MEMORY} has no ${size} left`);
  writeFileSync(image, "");
  truncateSync(image, bytes);
  if (kind === "zfs") {
    makePool(path, image, options);
    return;
  }
  const [maker, ...words] = MAKERS[kind];
  run(findTool(maker)!, ...words, image);
  const server = FUSE_SERVERS[kind];
  if (server !== undefined) serve(server, options, image, path);
  else run("mount", "-t", TYPES[kind] ?? kind, "-o", ["loop", ...options].join(), image, path);
}

/**
 * A pool on the image, with one dataset that is mounted there. ACLs and attributes as they are advised for Linux; the
 * pool is known to this machine only while it is there (`cachefile`).
 */
function makePool(path: string, image: string, options: readonly string[]): void {
  const properties = ["acltype=posixacl", "xattr=sa", `mountpoint=${path}`, ...options];
  const words = ["create", "-f", "-o", "cachefile=none", ...properties.flatMap((one) => ["-O", one])];
  run(findTool("zpool")!, ...words, poolOf(path), image);
}

function poolOf(path: string): string {
  return basename(path);
}

/** The loop device goes with the server that holds it. */
function serve(server: string, options: readonly string[], image: string, path: string): void {
  const device = run("losetup", "--find", "--show", image).trim();
  try {
    run(findTool(server)!, ...(options.length > 0 ? ["-o", options.join()] : []), device, path);
  } finally {
    run("losetup", "--detach", device);
  }
}

export function sizeBytes(size: string): number {
  const match = /^(\d+)([KMGT]?)$/.exec(size);
  if (match === null) throw new Error(`not a size: ${size}`);
  return Number(match[1]) * 1024 ** " KMGT".indexOf(match[2] || " ");
}

/** Makers live in sbin, which a user's PATH may lack. */
function findTool(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin:/usr/local/sbin` });
}

function run(command: string, ...args: string[]): string {
  const result = spawnSync(command, args, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${result.stderr || result.error}`);
  return result.stdout;
}

/* Mounts outlive the process that made them, so what is live is taken down however the process ends. */
const live = new Set<Mounted>();

function remember(mounted: Mounted): void {
  if (live.size === 0) installCleanup();
  live.add(mounted);
}

let installed = false;

function installCleanup(): void {
  if (installed) return;
  installed = true;
  process.on("exit", releaseAll);
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
    ["SIGHUP", 1],
  ] as const) {
    process.on(signal, () => {
      releaseAll();
      process.exit(128 + number);
    });
  }
}

function releaseAll(): void {
  for (const mounted of live) release(mounted);
  live.clear();
}

/** A process that was just killed may still hold the mount for a moment. */
async function releasePatiently(mounted: Mounted): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    if (unmount(mounted)) break;
    await Bun.sleep(25);
  }
  release(mounted);
}

/** False when somebody is still in it. */
function unmount({ kind, path }: Mounted): boolean {
  const [tool, ...words] = kind === "zfs" ? [findTool("zpool")!, "destroy", "-f", poolOf(path)] : ["umount", path];
  return spawnSync(tool!, words).status === 0;
}

function release(mounted: Mounted): void {
  const { path, image } = mounted;
  const isMounted = spawnSync("mountpoint", ["-q", path]).status === 0;
  if (isMounted && !unmount(mounted)) spawnSync("umount", ["-l", path]);
  rmSync(image, { force: true });
  try {
    rmdirSync(path);
  } catch {}
}
