/** Builds trees for tests: entries of every type and attribute, with names as bytes. */
import { closeSync, ftruncateSync, writeSync } from "node:fs";
import { joinPath } from "../../src/core/paths.ts";
import { ACCESS_ACL, DEFAULT_ACL, encodeAcl } from "./acl.ts";
import { AT_FDCWD, checked, cstring, libc, lstatMaybe, setTimes, setXattr } from "./libc.ts";

export type Name = string | Uint8Array;

export interface Attributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtimeNs?: bigint;
  readonly xattrs?: Readonly<Record<string, string | Uint8Array>>;
  /** In the short text of `encodeAcl`. */
  readonly acl?: string;
  readonly defaultAcl?: string;
}

export type SpecialKind = "fifo" | "socket" | "char" | "block";

const S_IFMT = { fifo: 0o010000, char: 0o020000, block: 0o060000, socket: 0o140000 } as const;
const O_WRONLY_CREAT_TRUNC = 0o1101;

/**
 * Paths are relative to the root; missing parents are made. Directories get their attributes in `finish`, deepest
 * first, since whatever is made inside would change them.
 */
export class TreeBuilder {
  readonly root: Uint8Array;
  private readonly made = new Set<string>();
  private readonly pending: { path: Uint8Array; depth: number; attributes: Attributes }[] = [];

  constructor(root: Name) {
    this.root = Buffer.from(root);
    this.makeDirectory(this.root);
  }

  path(name: Name): Uint8Array {
    const bytes = Buffer.from(name);
    return bytes.length === 0 ? this.root : joinPath(this.root, bytes);
  }

  dir(name: Name, attributes: Attributes = {}): this {
    const path = this.place(name);
    this.makeDirectory(path);
    this.pending.push({ path, depth: path.filter((byte) => byte === 0x2f).length, attributes });
    return this;
  }

  file(name: Name, content: Name = "", attributes: Attributes = {}): this {
    const path = this.place(name);
    this.write(path, (fd) => {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    });
    return this.stamp(path, attributes);
  }

  /** A file of `size` bytes that is a hole but for the given pieces. */
  sparse(name: Name, size: number, pieces: readonly { at: number; data: Name }[], attributes: Attributes = {}): this {
    const path = this.place(name);
    this.write(path, (fd) => {
      ftruncateSync(fd, size);
      for (const piece of pieces) writeSync(fd, Buffer.from(piece.data), 0, undefined, piece.at);
    });
    return this.stamp(path, attributes);
  }

  symlink(name: Name, target: Name, attributes: Attributes = {}): this {
    const path = this.place(name);
    checked("symlink", libc().symlink(cstring(target), cstring(path)), path);
    return this.stamp(path, attributes, false);
  }

  /** Another name of an entry already made. */
  hardlink(name: Name, existing: Name): this {
    const path = this.place(name);
    const from = cstring(this.path(existing));
    checked("linkat", libc().linkat(AT_FDCWD, from, AT_FDCWD, cstring(path), 0), path);
    return this;
  }

  special(name: Name, kind: SpecialKind, device: [number, number] = [0, 0], attributes: Attributes = {}): this {
    const path = this.place(name);
    const [major, minor] = device;
    const number = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
    checked("mknod", libc().mknod(cstring(path), S_IFMT[kind] | 0o600, number), path);
    return this.stamp(path, attributes);
  }

  /** Gives directories their attributes. The builder must not be used after. */
  finish(): void {
    this.pending.sort((a, b) => b.depth - a.depth);
    for (const { path, attributes } of this.pending) this.stamp(path, attributes);
  }

  /** The full path of an entry to be made, its parents being there. */
  private place(name: Name): Uint8Array {
    const path = this.path(name);
    for (let slash = path.indexOf(0x2f, this.root.length + 1); slash > 0; slash = path.indexOf(0x2f, slash + 1))
      this.makeDirectory(path.subarray(0, slash));
    return path;
  }

  private makeDirectory(path: Uint8Array): void {
    const key = Buffer.from(path).toString("latin1");
    if (this.made.has(key)) return;
    this.made.add(key);
    if (lstatMaybe(path) === undefined) checked("mkdir", libc().mkdir(cstring(path), 0o755), path);
  }

  private write(path: Uint8Array, fill: (fd: number) => void): void {
    const fd = checked("open", libc().open(cstring(path), O_WRONLY_CREAT_TRUNC, 0o644), path);
    try {
      fill(fd);
    } finally {
      closeSync(fd);
    }
  }

  /** Owner first since chown clears setuid, ACLs before the mode whose group bits they share, time last. */
  private stamp(path: Uint8Array, attributes: Attributes, hasMode = true): this {
    const { mode, uid, gid, mtimeNs, xattrs = {}, acl, defaultAcl } = attributes;
    if (uid !== undefined || gid !== undefined)
      checked("lchown", libc().lchown(cstring(path), uid ?? 0xffffffff, gid ?? 0xffffffff), path);
    for (const [name, value] of Object.entries(xattrs)) setXattr(path, name, value);
    if (acl !== undefined) setXattr(path, ACCESS_ACL, encodeAcl(acl));
    if (defaultAcl !== undefined) setXattr(path, DEFAULT_ACL, encodeAcl(defaultAcl));
    if (hasMode && mode !== undefined) checked("chmod", libc().chmod(cstring(path), mode), path);
    if (mtimeNs !== undefined) setTimes(path, mtimeNs);
    return this;
  }
}

/** Bytes that look random, the same for the same seed: xorshift32. */
export function noise(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
