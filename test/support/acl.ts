/** POSIX ACLs as their extended attribute carries them (linux/posix_acl_xattr.h, version 2). */

export const ACCESS_ACL = "system.posix_acl_access";
export const DEFAULT_ACL = "system.posix_acl_default";

const VERSION = 2;
const UNDEFINED_ID = 0xffffffff;

type AclKind = "user" | "group" | "mask" | "other";

/** Tags by kind: the owning one, and the one that names somebody. */
const TAGS = { user: [0x01, 0x02], group: [0x04, 0x08], mask: [0x10, 0x10], other: [0x20, 0x20] } as const;

/** Encodes getfacl's short text with numeric ids: `user::rwx,user:1000:r-x,group::r-x,mask::rwx,other::---`. */
export function encodeAcl(text: string): Uint8Array {
  const entries = text.split(",").map((entry) => {
    const [kind, id, bits] = entry.split(":") as [AclKind, string, string];
    const tag = TAGS[kind][id === "" ? 0 : 1];
    const permissions = (bits.includes("r") ? 4 : 0) | (bits.includes("w") ? 2 : 0) | (bits.includes("x") ? 1 : 0);
    return { tag, permissions, id: id === "" ? UNDEFINED_ID : Number(id) };
  });
  /* The kernel refuses entries that are not sorted by tag, then id. */
  entries.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const bytes = new Uint8Array(4 + 8 * entries.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, VERSION, true);
  entries.forEach((entry, index) => {
    view.setUint16(4 + 8 * index, entry.tag, true);
    view.setUint16(6 + 8 * index, entry.permissions, true);
    view.setUint32(8 + 8 * index, entry.id, true);
  });
  return bytes;
}

export function decodeAcl(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parts: string[] = [];
  for (let at = 4; at + 8 <= bytes.length; at += 8) {
    const tag = view.getUint16(at, true);
    const bits = view.getUint16(at + 2, true);
    const id = view.getUint32(at + 4, true);
    const kind = (Object.keys(TAGS) as AclKind[]).find((name) => TAGS[name].some((known) => known === tag)) ?? `${tag}`;
    const letters = `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${bits & 1 ? "x" : "-"}`;
    parts.push(`${kind}:${id === UNDEFINED_ID ? "" : id}:${letters}`);
  }
  return parts.join(",");
}
