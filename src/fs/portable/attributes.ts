/**
 * Extended attributes and ACLs: digest and copy, by the same rules as the native library (`ffi/attrs_linux.c`):
 *
 *   classes  user.*: xattrs; trusted.*, security.*: xattrs when privileged; system.*: ACLs that are known here
 *   digest   XXH3-64 over (name length, value length, name, value) of all wanted names in byte order; 0 for none
 *   late     an NFSv4 ACL is written after the mode, because chmod would change it
 */

import { type Attribute, encodeAttributes } from "../../core/attribute-blob.ts";
import { RowFlag } from "../../core/entry-batch.ts";
import { bytesOf } from "../../core/paths.ts";
import { Warning } from "../backend.ts";
import type { Entry } from "./entry.ts";
import { E, StatusError } from "./errno.ts";
import type { Item } from "./item-results.ts";
import { libc } from "./libc.ts";

/** Which attributes are wanted. */
export interface Wanted {
  readonly xattrs: boolean;
  readonly acls: boolean;
  readonly privileged: boolean;
  /** Instead of attributes: what is allocated. */
  readonly blocks?: boolean;
}
/** Something that carries attributes: a path, and whether its last symbolic link is followed. */
export interface Carrier {
  readonly path: Uint8Array;
  readonly follow: boolean;
}
/** Where attributes are taken from: an entry, or a list that another process sent. */
export interface AttributeSource {
  /** NUL-terminated names, or a negative errno. */
  list(): Uint8Array | number;
  /** The value, or a negative errno; -ENODATA when it is gone. */
  get(name: Uint8Array): Uint8Array | number;
}
export interface Synced {
  /** The permission bits may have changed with an ACL. */
  readonly changedMode: boolean;
  readonly hasLate: boolean;
}

const ACLS = new Set(["system.posix_acl_access", "system.posix_acl_default", "system.richacl"]);
/** XFS shows root the ACLs a second time under these names. */
const SHADOWS = new Set(["trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT"]);
const LATE_ACLS = new Set(["system.nfs4_acl", "system.nfs4_acl_xdr"]);
const ACCESS_ACLS = new Set(["system.posix_acl_access", "system.richacl"]);
const NOTHING: Synced = { changedMode: false, hasLate: false };

export function wantsAttributes(wanted: Wanted): boolean {
  return (wanted.xattrs || wanted.acls) && libc !== undefined;
}

/** The row says that the entry has some, or that nobody knows. */
export function mayHaveAttributes(entry: Entry): boolean {
  return entry.attrLow !== 0 || entry.attrHigh !== 0 || (entry.flags & RowFlag.attrFailed) !== 0;
}

export function attributesAt({ path, follow }: Carrier): AttributeSource {
  return {
    list: () => libc?.listAttributes(path, follow) ?? -E.ENOSYS,
    get: (name) => libc?.getAttribute(path, follow, name) ?? -E.ENOSYS,
  };
}

/** `status`: the negative errno with which reading them failed, 0 when it did not. */
export function attributesIn(attributes: readonly Attribute[], status: number): AttributeSource {
  const names = attributes.flatMap(({ name }) => [name, Uint8Array.of(0)]);
  const values = new Map(attributes.map(({ name, value }) => [Buffer.from(name).toString("latin1"), value]));
  return {
    list: () => (status < 0 ? status : Buffer.concat(names)),
    get: (name) => values.get(Buffer.from(name).toString("latin1")) ?? -E.ENODATA,
  };
}
export const NO_ATTRIBUTES: AttributeSource = attributesIn([], 0);

/** Names are compared as bytes: latin1 keeps every byte and its order. */
function wantedNames(list: Uint8Array, wanted: Wanted): string[] {
  const names = Buffer.from(list).toString("latin1").split("\0");
  return names.filter((name) => isWanted(name, wanted)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}
function isWanted(name: string, wanted: Wanted): boolean {
  if (name.startsWith("user.")) return wanted.xattrs;
  if (name.startsWith("system.")) return wanted.acls && (ACLS.has(name) || LATE_ACLS.has(name));
  if (SHADOWS.has(name)) return false;
  return (name.startsWith("trusted.") || name.startsWith("security.")) && wanted.xattrs && wanted.privileged;
}
function isUnsupported(status: number): boolean {
  return status === -E.ENOTSUP || status === -E.EOPNOTSUPP || status === -E.ENOSYS;
}
function keyOf(name: string): Uint8Array {
  return Buffer.from(name, "latin1");
}

/** All wanted attributes in byte order of their names. Throws a StatusError when they cannot be read. */
export function readAttributes(source: AttributeSource, wanted: Wanted): Attribute[] {
  const list = source.list();
  if (typeof list === "number") {
    if (isUnsupported(list)) return [];
    throw new StatusError(list);
  }
  const attributes: Attribute[] = [];
  for (const key of wantedNames(list, wanted)) {
    const name = keyOf(key);
    const value = source.get(name);
    if (value === -E.ENODATA) continue;
    if (typeof value === "number") throw new StatusError(value);
    attributes.push({ name, value });
  }
  return attributes;
}

/** [low, high] of the digest. Throws a StatusError when the attributes cannot be read. */
export function attributeDigest(carrier: Carrier, wanted: Wanted): readonly [number, number] {
  const attributes = readAttributes(attributesAt(carrier), wanted);
  if (attributes.length === 0) return [0, 0];
  const digest = Bun.hash.xxHash3(encodeAttributes(attributes)) || 1n;
  return [Number(BigInt.asUintN(32, digest)), Number(digest >> 32n)];
}

export function hasAttributes(carrier: Carrier, wanted: Wanted): boolean {
  if (libc === undefined) return false;
  const list = libc.listAttributes(carrier.path, carrier.follow);
  return typeof list === "number" ? !isUnsupported(list) : wantedNames(list, wanted).length > 0;
}

export function hasDefaultAcl(directory: Uint8Array): boolean {
  const value = libc?.getAttribute(directory, true, bytesOf("system.posix_acl_default"));
  return value instanceof Uint8Array && value.length > 0;
}

/**
 * Makes the target's attributes equal to the source's within `wanted`; what fails is a warning. `isBare`: the target
 * has none. `late`: only what must follow chmod.
 */
export function syncAttributes(
  source: AttributeSource | undefined,
  target: Carrier,
  wanted: Wanted,
  isBare: boolean,
  late: boolean,
  item: Item,
): Synced {
  if (libc === undefined) return NOTHING;
  const list = source === undefined ? new Uint8Array(0) : source.list();
  if (typeof list === "number" && !isUnsupported(list)) {
    item.warn(wanted.xattrs ? Warning.xattr : Warning.acl, list);
    return NOTHING;
  }
  const names = typeof list === "number" ? [] : wantedNames(list, wanted);
  const hasLate = names.some((name) => LATE_ACLS.has(name));
  let changedMode = false;
  for (const name of names) {
    if (source === undefined || LATE_ACLS.has(name) !== late) continue;
    const status = copyAttribute(source, target, name, isBare);
    if (status < 0) warnAbout(item, name, status);
    else if (status > 0 && ACCESS_ACLS.has(name)) changedMode = true;
  }
  if (isBare || late) return { changedMode, hasLate };
  const present = libc.listAttributes(target.path, target.follow);
  // What the source lacks may have stayed.
  if (typeof present === "number" && !isUnsupported(present))
    item.warn(wanted.xattrs ? Warning.xattr : Warning.acl, present);
  for (const name of typeof present === "number" ? [] : wantedNames(present, wanted)) {
    if (LATE_ACLS.has(name) || names.includes(name)) continue;
    const status = libc.removeAttribute(target.path, target.follow, keyOf(name));
    if (status < 0 && status !== -E.ENODATA) warnAbout(item, name, status);
    else if (name.startsWith("system.")) changedMode = true;
  }
  return { changedMode, hasLate };
}

/** 1: written, 0: it is so already (its ctime stays), or a negative errno. */
function copyAttribute(source: AttributeSource, target: Carrier, name: string, isBare: boolean): number {
  if (libc === undefined) return -E.ENOSYS;
  const key = keyOf(name);
  const value = source.get(key);
  if (value === -E.ENODATA) return 0;
  if (typeof value === "number") return value;
  if (!isBare) {
    const has = libc.getAttribute(target.path, target.follow, key);
    if (has instanceof Uint8Array && Buffer.compare(has, value) === 0) return 0;
  }
  const status = libc.setAttribute(target.path, target.follow, key, value);
  return status < 0 ? status : 1;
}

function warnAbout(item: Item, name: string, status: number): void {
  item.warn(name.startsWith("system.") ? Warning.acl : Warning.xattr, status);
}
