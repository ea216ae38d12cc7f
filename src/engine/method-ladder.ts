/**
 * The ladder of copy methods for a pair of places, as far as it is known without trying: nothing is written. What a
 * filesystem makes of a method is found out by the first file that needs it, and remembered.
 */
import type { CopyMethod } from "../core/options.ts";
import { filesystemName, sharesBlocks } from "../fs/filesystems.ts";

/** One place, as far as it matters here. */
export interface LadderPlace {
  /** statfs f_type; 0: unknown. */
  readonly filesystemType: number;
  /** major << 20 | minor */
  readonly dev: number;
}

export interface MethodOutlook {
  readonly method: CopyMethod;
  /** It is on this run's ladder. */
  readonly isTried: boolean;
  /** For people. */
  readonly reason: string;
}

const ORDER: readonly CopyMethod[] = ["clone", "copy_file_range", "sendfile", "mmap", "read_write"];

export function methodLadder(
  source: LadderPlace,
  target: LadderPlace,
  /** Of the backend. */
  available: readonly string[],
  /** Of the run; undefined: all. */
  allowed: readonly CopyMethod[] | undefined,
): MethodOutlook[] {
  return ORDER.map((method) => {
    if (!available.includes(method)) return { method, isTried: false, reason: "this engine does not have it" };
    if (allowed !== undefined && !allowed.includes(method))
      return { method, isTried: false, reason: "turned off for this run" };
    return { method, isTried: true, reason: reasonOf(method, source, target) };
  });
}

function reasonOf(method: CopyMethod, source: LadderPlace, target: LadderPlace): string {
  const isOne = source.dev === target.dev;
  const [from, into] = [filesystemName(source.filesystemType), filesystemName(target.filesystemType)];
  switch (method) {
    case "clone":
      if (!isOne) return "will be refused: two filesystems share no blocks";
      return sharesBlocks(target.filesystemType)
        ? `${into} can share blocks: no content moves at all`
        : `will be refused by ${into}, which shares no blocks`;
    case "copy_file_range":
      if (isOne) return "one filesystem: the kernel copies inside it";
      return source.filesystemType === target.filesystemType
        ? `two filesystems of one kind (${into}): kernels from 5.3 on copy between them`
        : `will be refused: ${from} to ${into} is between two kinds of filesystems`;
    case "sendfile":
      return "the kernel copies through its page cache, whatever the filesystems";
    case "mmap":
      return "the source is mapped and written from there";
    case "read_write":
      return "always works; files below 64 KiB go by it at once, in one read and one write";
  }
}

/** The first method that is expected to move content. */
export function expectedMethod(ladder: readonly MethodOutlook[]): MethodOutlook | undefined {
  return ladder.find(({ isTried, reason }) => isTried && !reason.startsWith("will be refused"));
}
