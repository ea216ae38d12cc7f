/** The differences between two trees, or between a tree and an earlier record of it. Proved by `test/tree`. */
import { printable } from "../../src/core/paths.ts";
import { type Snapshot, type SnapshotEntry, type SnapshotOptions, takeSnapshot } from "./snapshot.ts";

/** What can differ. `presence` stands for an entry that only one side has. */
export type Attribute =
  | "presence"
  | "type"
  | "mode"
  | "uid"
  | "gid"
  | "size"
  | "mtime"
  | "link"
  | "content"
  | "group"
  | "xattrs"
  | "acl"
  | "default-acl"
  | "rdev"
  | "sparse";

export interface DiffOptions extends SnapshotOptions {
  /** Attributes that do not count anywhere. */
  readonly ignore?: readonly Attribute[];
  /** Differences that do not count; the path is in latin1, empty for the root. */
  readonly except?: (path: string, attribute: Attribute) => boolean;
}

/**
 * Every difference as a line, `path: attribute: a != b`, in the order of the paths; empty when b is what a copy of a
 * must be. Sides are roots to be read or snapshots. Not symmetric in `sparse`: b may have more holes than a.
 */
export function diffTrees(
  a: string | Uint8Array | Snapshot,
  b: string | Uint8Array | Snapshot,
  options: DiffOptions = {},
): string[] {
  const left = a instanceof Map ? a : takeSnapshot(a as string, options);
  const right = b instanceof Map ? b : takeSnapshot(b as string, options);
  const lines: string[] = [];
  for (const path of [...new Set([...left.keys(), ...right.keys()])].sort()) {
    const x = left.get(path);
    const y = right.get(path);
    const differences = x !== undefined && y !== undefined ? diffEntries(x, y) : [presence(x, y)];
    for (const [attribute, text] of differences) {
      if (options.ignore?.includes(attribute) || options.except?.(path, attribute)) continue;
      lines.push(`${path === "" ? "(root)" : printable(Buffer.from(path, "latin1"))}: ${attribute}: ${text}`);
    }
  }
  return lines;
}

/** Throws with the first differences when there are any. */
export function assertSameTrees(
  a: string | Uint8Array | Snapshot,
  b: string | Uint8Array | Snapshot,
  options: DiffOptions = {},
): void {
  const lines = diffTrees(a, b, options);
  if (lines.length === 0) return;
  const shown = lines.slice(0, 30).join("\n  ");
  throw new Error(`${lines.length} differences:\n  ${shown}${lines.length > 30 ? "\n  ..." : ""}`);
}

type Difference = [Attribute, string];

function presence(x: SnapshotEntry | undefined, y: SnapshotEntry | undefined): Difference {
  return ["presence", x !== undefined ? `missing ${x.type}` : `extra ${y!.type}`];
}

function diffEntries(x: SnapshotEntry, y: SnapshotEntry): Difference[] {
  if (x.type !== y.type) return [["type", `${x.type} != ${y.type}`]];
  const differences: Difference[] = [];
  const compare = (attribute: Attribute, a: string | number | bigint, b: string | number | bigint) => {
    if (a !== b) differences.push([attribute, `${a} != ${b}`]);
  };
  /* The mode of a symlink is the kernel's. */
  if (x.type !== "symlink") compare("mode", octal(x.mode), octal(y.mode));
  compare("uid", x.uid, y.uid);
  compare("gid", x.gid, y.gid);
  compare("size", x.size, y.size);
  compare("mtime", x.mtimeNs, y.mtimeNs);
  compare("link", quoted(x.link), quoted(y.link));
  if (x.content !== "" && y.content !== "") compare("content", x.content, y.content);
  compare("group", quoted(x.group), quoted(y.group));
  compare("xattrs", JSON.stringify(x.xattrs), JSON.stringify(y.xattrs));
  compare("acl", x.acl, y.acl);
  compare("default-acl", x.defaultAcl, y.defaultAcl);
  compare("rdev", x.rdev, y.rdev);
  if (lostHoles(x, y)) differences.push(["sparse", `${x.allocatedBytes} bytes became ${y.allocatedBytes}`]);
  return differences;
}

/** Allocation is rounded and speculative, so only a hole of telling size counts. */
function lostHoles(x: SnapshotEntry, y: SnapshotEntry): boolean {
  const hole = x.size - x.allocatedBytes;
  const slack = Math.max(128 * 1024, hole / 4);
  return x.type === "file" && hole > slack && y.allocatedBytes - x.allocatedBytes > slack;
}

function octal(mode: number): string {
  return `0${mode.toString(8).padStart(3, "0")}`;
}

function quoted(latin1: string): string {
  return latin1 === "" ? '""' : `"${printable(Buffer.from(latin1, "latin1"))}"`;
}
