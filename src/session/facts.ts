/** What each side of a session has to know about the other, found out by looking at its opened places. */
import { lstatSync, readFileSync, statSync } from "node:fs";
import { BatchFlag } from "../core/entry-batch.ts";
import { type Backend, type DirHandle, NO_HANDLE } from "../fs/backend.ts";
import { coarse, timeKeeping } from "../fs/filesystems.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import { directoriesThatFit } from "./open-directories.ts";
import type { SourceArgument } from "./place-rules.ts";
import type { SourceRoot } from "./source-runner.ts";

/** A directory's device and inode; means something between sides on one machine only. */
export interface DirectoryIdentity {
  /** major << 20 | minor */
  readonly dev: number;
  readonly inoLow: number;
  readonly inoHigh: number;
}

/** The source itself, whatever it is, and the directories above it up to the root of its file systems. */
export interface PlacedArgument extends SourceArgument {
  readonly chain: readonly DirectoryIdentity[];
}

export interface SourceFacts {
  readonly arguments: readonly PlacedArgument[];
  /** Steps of its time stamps; 0: exact to the nanosecond. */
  readonly timeGranularityNs: number;
  /** It reads trusted.* and security.* attributes. */
  readonly privileged: boolean;
  /** Who it reads as, for people; empty: not told. */
  readonly doer: string;
  /** As of the target. */
  readonly openDirectories: number;
}

export interface TargetFacts {
  readonly makesDevices: boolean;
  /** It writes trusted.* and security.* attributes. */
  readonly privileged: boolean;
  /** The directory that becomes the root of the run, where it exists, and those above it. */
  readonly chain: readonly DirectoryIdentity[];
  /** That it can hold open at a time; Infinity: not told. */
  readonly openDirectories: number;
}

export interface DirectoryFacts extends DirectoryIdentity {
  /** statfs f_type; 0: unknown. */
  readonly filesystemType: number;
  /** See `BatchFlag`. */
  readonly smallInodes: boolean;
}

const SELF = Uint8Array.of(0x2e);
const LOOK = {
  xattrs: false,
  acls: false,
  follow: false,
  openFollow: false,
  create: false,
  writable: false,
  selfOnly: true,
};
/** Directories above a place that are looked at: deeper trees exist, but nobody mounts one inside the other there. */
const CHAIN_MOST = 128;

export async function lookAt(backend: Backend, handle: DirHandle): Promise<DirectoryFacts> {
  const listing = await backend.walk(handle, SELF, LOOK);
  const { self } = listing;
  const facts = {
    dev: listing.dev(self),
    inoLow: listing.inoLow(self),
    inoHigh: listing.inoHigh(self),
    filesystemType: listing.filesystemType,
    smallInodes: (listing.flags & BatchFlag.smallInodes) !== 0,
  };
  if (listing.dirfd >= 0) backend.close([listing.dirfd]);
  backend.releaseBatch(listing);
  return facts;
}

/** Facts of the first source's directory; the device is that of the entry, which may itself be a mount point. */
export async function lookAtSource(backend: Backend, first: SourceRoot): Promise<DirectoryFacts> {
  const holder = await lookAt(backend, first.handle);
  if (first.entry === undefined) return holder;
  const found = await backend.stat(first.handle, [first.entry], { xattrs: false, acls: false, follow: false });
  const facts = found.rowStatus(0) === 0 ? { ...holder, dev: found.dev(0) } : holder;
  backend.releaseBatch(found);
  return facts;
}

export function sourceFacts(
  roots: readonly SourceRoot[],
  facts: DirectoryFacts,
  sources: readonly SourceArgument[],
  doer: string,
): SourceFacts {
  return {
    arguments: sources.map((source, i) => ({ ...source, chain: chainOf(roots[i]!.handle, roots[i]!.entry) })),
    timeGranularityNs: coarseStepNs(facts),
    privileged: process.geteuid?.() === 0,
    doer,
    openDirectories: directoriesThatFit(roots.length),
  };
}

export function targetFacts(handle: DirHandle): TargetFacts {
  return {
    makesDevices: hasCapability(Capability.mknod),
    privileged: process.geteuid?.() === 0,
    chain: chainOf(handle, undefined),
    // Each may have another one below --backup-dir.
    openDirectories: directoriesThatFit(2),
  };
}

/** 0 where times are exact. */
export function coarseStepNs({ filesystemType, smallInodes }: DirectoryFacts): number {
  return coarse(timeKeeping(filesystemType, smallInodes).stepNs);
}

/** The entry where one is named, and it is there; the held directory; those above it. */
export function chainOf(handle: DirHandle, entry: Uint8Array | undefined): DirectoryIdentity[] {
  if (handle === NO_HANDLE || handle < 0) return [];
  const chain: DirectoryIdentity[] = [];
  const base = Buffer.from(`/proc/self/fd/${handle}/`);
  if (entry !== undefined) {
    const stat = lstatSync(Buffer.concat([base, entry]), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return [];
    chain.push(identityOf(stat.dev, stat.ino));
  }
  try {
    for (let up = "."; chain.length < CHAIN_MOST; up += "/..") {
      const stat = statSync(Buffer.concat([base, Buffer.from(up)]), { bigint: true });
      const identity = identityOf(stat.dev, stat.ino);
      const below = chain.at(-1);
      if (below !== undefined && up !== "." && isSameDirectory(below, identity)) break;
      chain.push(identity);
    }
  } catch {
    // Not readable: what is known so far has to do.
  }
  return chain;
}

/** Linux packs device numbers as 12 bits of major between 20 bits of minor. */
function identityOf(dev: bigint, ino: bigint): DirectoryIdentity {
  const major = Number((dev >> 8n) & 0xfffn);
  const minor = Number((dev & 0xffn) | ((dev >> 12n) & 0xfff00n));
  return {
    dev: ((major << 20) | minor) >>> 0,
    inoLow: Number(ino & 0xffffffffn),
    inoHigh: Number(ino >> 32n),
  };
}

export function isSameDirectory(a: DirectoryIdentity, b: DirectoryIdentity): boolean {
  return a.dev === b.dev && a.inoLow === b.inoLow && a.inoHigh === b.inoHigh;
}

/** Sides with the same boot id see the same inodes; empty where it cannot be read. */
export function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "";
  }
}
