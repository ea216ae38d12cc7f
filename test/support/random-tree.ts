/** Random trees and random changes to them, the same for the same seed: for properties such as "a mirror is equal". */
import { checked, cstring, libc, setTimes } from "./libc.ts";
import { isRoot } from "./run.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";
import { type Attributes, noise, TreeBuilder } from "./tree.ts";
import { HOSTILE_NAMES, RAW_NAMES } from "./variety-tree.ts";

export interface RandomTreeOptions {
  /** Default 60. */
  readonly entries?: number;
}

type Kind = "directory" | "file" | "sparse" | "symlink" | "fifo" | "hardlink";

/** Drawn by weight: each word stands as often as it is likely. */
const KINDS: readonly Kind[] = [
  ...(["directory", "directory", "directory", "file", "file", "file", "file", "file"] as const),
  ...(["sparse", "symlink", "fifo", "hardlink"] as const),
];
const SIZES = [0, 1, 100, 4095, 4096, 4097, 65535, 65536, 65537, 200_000] as const;
const NAMES = [...HOSTILE_NAMES, ...RAW_NAMES].filter((name) => name.length < 100);

export function buildRandomTree(root: string, seed: number, { entries = 60 }: RandomTreeOptions = {}): void {
  new RandomMaker(root, seed).add(entries);
  ageDirectories(root, seed);
}

/** Makes `changes` changes of any kind to the tree: entries go, come, and change their type, content or attributes. */
export function mutateRandomTree(root: string, seed: number, changes = 12): void {
  const draw = drawer(seed);
  for (let i = 0; i < changes; i++) {
    const tree = takeSnapshot(root, { content: false });
    const paths = [...tree.keys()].filter((path) => path !== "");
    if (paths.length === 0) break;
    changeOne(root, tree, paths[draw(paths.length)]!, draw);
  }
  new RandomMaker(root, seed).add(changes >> 1);
  ageDirectories(root, seed);
}

/**
 * Directories that were just written to get a time of the past: for reproducibility, and because rsync leaves a
 * directory's nanoseconds alone when its seconds are right already.
 */
function ageDirectories(root: string, seed: number): void {
  const draw = drawer(seed + 1);
  for (const entry of takeSnapshot(root, { content: false }).values()) {
    if (entry.type !== "directory" || entry.mtimeNs < BigInt(NEWEST_SECOND) * 1_000_000_000n) continue;
    setTimes(Buffer.concat([Buffer.from(`${root}/`), entry.path]), drawTime(draw));
  }
}

/** Every drawn time is older, and the time of a test newer. */
const NEWEST_SECOND = 1_600_000_000;

function drawTime(draw: (below: number) => number): bigint {
  return BigInt(draw(NEWEST_SECOND)) * 1_000_000_000n + BigInt(draw(1_000_000_000));
}

function changeOne(root: string, tree: Snapshot, path: string, draw: (below: number) => number): void {
  const name = Buffer.from(path, "latin1");
  const type = tree.get(path)!.type;
  const builder = new TreeBuilder(root);
  const attributes = { mtimeNs: drawTime(draw) };
  const choice = draw(4);
  if (choice === 0) remove(root, tree, path);
  else if (choice === 1 && type === "file")
    builder.file(name, noise(SIZES[draw(SIZES.length)]!, draw(1000) + 1), attributes);
  else if (choice === 1 || type === "symlink") {
    remove(root, tree, path);
    if (type === "directory") builder.file(name, "was a directory", attributes);
    else builder.file(Buffer.concat([name, Buffer.from("/now-inside")]), "a directory now", attributes);
  } else if (type === "directory") builder.dir(name, { ...attributes, mode: 0o700 + draw(64) });
  else if (type === "file") checked("chmod", libc().chmod(cstring(builder.path(name)), 0o600 + draw(64)));
  builder.finish();
}

/** Removes an entry and all below it, deepest first. */
function remove(root: string, tree: Snapshot, path: string): void {
  const inside = [...tree.entries()].filter(([other]) => other === path || other.startsWith(`${path}/`));
  for (const [other, entry] of inside.sort(([a], [b]) => b.length - a.length)) {
    const full = cstring(Buffer.concat([Buffer.from(`${root}/`), Buffer.from(other, "latin1")]));
    checked("remove", entry.type === "directory" ? libc().rmdir(full) : libc().unlink(full), entry.path);
  }
}

class RandomMaker {
  private readonly tree: TreeBuilder;
  private readonly draw: (below: number) => number;
  private readonly directories: Uint8Array[] = [new Uint8Array()];
  private readonly files: Uint8Array[] = [];
  private readonly taken: Set<string>;

  constructor(root: string, seed: number) {
    this.tree = new TreeBuilder(root);
    this.draw = drawer(seed);
    const there = takeSnapshot(root, { content: false });
    this.taken = new Set(there.keys());
    for (const entry of there.values())
      if (entry.type === "directory" && entry.path.length > 0) this.directories.push(entry.path);
  }

  add(entries: number): void {
    for (let i = 0; i < entries; i++) this.addOne(i);
    this.tree.finish();
  }

  private addOne(number: number): void {
    const path = this.freePath(number);
    const attributes = this.attributes();
    const kind = KINDS[this.draw(KINDS.length)]!;
    switch (kind) {
      case "directory":
        this.tree.dir(path, { ...attributes, mode: 0o700 + this.draw(64) });
        this.directories.push(path);
        return;
      case "symlink":
        this.tree.symlink(path, NAMES[this.draw(NAMES.length)]!, { mtimeNs: attributes.mtimeNs! });
        return;
      case "fifo":
        this.tree.special(path, "fifo", [0, 0], attributes);
        return;
      case "hardlink":
        if (this.files.length > 0) this.tree.hardlink(path, this.files[this.draw(this.files.length)]!);
        else this.tree.file(path, "", attributes);
        return;
      case "sparse":
        this.tree.sparse(path, 1 << 20, [{ at: this.draw(15) << 16, data: noise(4096, number + 1) }], attributes);
        return;
      case "file":
        this.tree.file(path, noise(SIZES[this.draw(SIZES.length)]!, this.draw(1e6) + 1), this.withXattrs(attributes));
        this.files.push(path);
        return;
    }
  }

  private freePath(number: number): Uint8Array {
    const directory = this.directories[this.draw(this.directories.length)]!;
    const prefix = directory.length === 0 ? directory : Buffer.concat([directory, Buffer.from("/")]);
    const odd = Buffer.concat([prefix, NAMES[this.draw(NAMES.length)]!]);
    const plain = Buffer.concat([prefix, Buffer.from(`entry${number}`)]);
    for (const path of this.draw(2) === 0 ? [odd, plain] : [plain, odd]) {
      const key = path.toString("latin1");
      if (this.taken.has(key)) continue;
      this.taken.add(key);
      return path;
    }
    return Buffer.concat([prefix, Buffer.from(`entry${number}-${this.taken.size}`)]);
  }

  /** Only files and directories may have attributes of the user's. */
  private withXattrs(attributes: Attributes): Attributes {
    return this.draw(8) === 0 ? { ...attributes, xattrs: { "user.random": noise(this.draw(200), 3) } } : attributes;
  }

  private attributes(): Attributes {
    return {
      mode: 0o600 + this.draw(64),
      mtimeNs: drawTime(this.draw),
      ...(isRoot() ? { uid: this.draw(3) * 1000, gid: this.draw(3) * 1000 } : {}),
    };
  }
}

/** Whole numbers below a limit, by mulberry32. */
function drawer(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
