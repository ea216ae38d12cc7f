/**
 * The ladder of copy methods for a pair of places, as far as it is known without trying: nothing is written. What a
 * filesystem makes of a method is found out by the first file that needs it, and remembered.
 */
import { release } from "node:os";
import type { CopyMethod } from "../core/options.ts";
import type { BlockSharing } from "../fs/block-sharing.ts";
import { copiesItself, filesystemName } from "../fs/filesystems.ts";

/** One place, as far as it matters here. */
export interface LadderPlace {
  /** statfs f_type; 0: unknown. */
  readonly filesystemType: number;
  readonly sharing: BlockSharing;
}

export interface MethodOutlook {
  readonly method: CopyMethod;
  /** Whether it will move content; `off`: it is not on this run's ladder. */
  readonly outlook: "works" | "may" | "refused" | "off";
  /** For people. */
  readonly reason: string;
}

type Outlook = Pick<MethodOutlook, "outlook" | "reason">;

const ORDER: readonly CopyMethod[] = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"];

export function methodLadder(
  source: LadderPlace,
  target: LadderPlace,
  /** Of the backend. */
  available: readonly string[],
  /** Of the run; undefined: all. */
  allowed: readonly CopyMethod[] | undefined,
  /** Of the kernel. */
  version: KernelVersion = kernelVersion(),
): MethodOutlook[] {
  return ORDER.map((method) => {
    if (!available.includes(method)) return { method, outlook: "off", reason: "this engine does not have it" };
    if (allowed !== undefined && !allowed.includes(method))
      return { method, outlook: "off", reason: "turned off for this run" };
    return { method, ...outlookOf(method, source, target, version) };
  });
}

function outlookOf(method: CopyMethod, source: LadderPlace, target: LadderPlace, version: KernelVersion): Outlook {
  switch (method) {
    case "clone":
      return cloning(source, target);
    case "copy_file_range":
      return copying(source, target, version);
    case "sendfile":
      return { outlook: "works", reason: "the kernel copies through its page cache, whatever the filesystems" };
    case "mmap":
      return { outlook: "works", reason: "the source is mapped and written from there" };
    case "read_write":
      return {
        outlook: "works",
        reason: "always works; files below 64 KiB go by it at once, in one read and one write",
      };
  }
}

function cloning(source: LadderPlace, target: LadderPlace): Outlook {
  const [from, into] = [source.sharing, target.sharing];
  if (from.filesystem !== into.filesystem)
    return { outlook: "refused", reason: "will be refused: two filesystems share no blocks" };
  const name = filesystemName(target.filesystemType);
  const [weaker] = [from, into].sort((a, b) => RANK[a.files] - RANK[b.files]);
  switch (weaker!.files) {
    case "can":
      return { outlook: "works", reason: `${name} can share blocks: no content moves at all` };
    case "cannot":
      return { outlook: "refused", reason: `will be refused: ${weaker!.reason}` };
    case "may":
      return { outlook: "may", reason: `may be refused: ${weaker!.reason}` };
  }
}

const RANK: Readonly<Record<BlockSharing["files"], number>> = { cannot: 0, may: 1, can: 2 };

/** copy_file_range(2), "History", and what it became in Linux 5.19. */
function copying(source: LadderPlace, target: LadderPlace, version: KernelVersion): Outlook {
  if (source.sharing.filesystem === target.sharing.filesystem)
    return { outlook: "works", reason: "one filesystem: the kernel copies inside it" };
  const [from, into] = [filesystemName(source.filesystemType), filesystemName(target.filesystemType)];
  if (source.filesystemType !== target.filesystemType)
    return { outlook: "refused", reason: `will be refused: ${from} to ${into} is between two kinds of filesystems` };
  if (isBefore(version, [5, 3]))
    return { outlook: "refused", reason: "will be refused: this kernel copies inside one filesystem only" };
  if (copiesItself(target.filesystemType))
    return {
      outlook: "may",
      reason: `may be refused: ${into} itself decides whether it copies between two of its own`,
    };
  return isBefore(version, [5, 19])
    ? { outlook: "works", reason: `two filesystems of one kind (${into}): this kernel copies between them` }
    : { outlook: "refused", reason: `will be refused: this kernel copies inside one ${into} only` };
}

/** Major and minor. */
export type KernelVersion = readonly [number, number];

function kernelVersion(): KernelVersion {
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(release())?.map(Number) ?? [];
  return [major, minor];
}

function isBefore([major, minor]: KernelVersion, [otherMajor, otherMinor]: KernelVersion): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** The methods that may move content, up to the first that certainly does. */
export function expectedMethods(ladder: readonly MethodOutlook[]): MethodOutlook[] {
  const expected: MethodOutlook[] = [];
  for (const one of ladder) {
    if (one.outlook === "works" || one.outlook === "may") expected.push(one);
    if (one.outlook === "works") break;
  }
  return expected;
}
