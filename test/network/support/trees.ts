/** Trees of these tests: small, of content that does not compress, the same in every run. */
import { readdirSync } from "node:fs";
import { TreeBuilder } from "../../support/tree.ts";

const KIB = 1024;
export const MIB = 1024 * KIB;

export function bytesOf(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  let x = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at + 4 <= size; at += 4) {
    x ^= x << 13;
    x >>>= 0;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    bytes.writeUInt32LE(x, at);
  }
  return bytes;
}

/** Directories, empty, small, medium and large files, links. Size in bytes of all content. */
export function mixedTree(root: string, largeBytes = 3 * MIB): number {
  const tree = new TreeBuilder(root);
  let size = 0;
  const file = (name: string, bytes: number): void => {
    tree.file(name, bytesOf(bytes, size + 1), { mode: 0o640, mtimeNs: 1_600_000_000_123_456_789n });
    size += bytes;
  };
  for (let at = 0; at < 24; at++) file(`a/b${at % 3}/small${at}`, at * 257);
  file("medium", 300 * KIB + 5);
  file("large", largeBytes);
  tree.symlink("link", "a/b0");
  tree.hardlink("a/second", "medium");
  tree.dir("empty").finish();
  return size;
}

/** Names below a directory that only a run which died could have left under way. */
export function leftovers(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.includes(".fastsync."));
}
