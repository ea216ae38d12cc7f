/** Extended attributes and ACLs of one item as bytes of the data plane, see docs/protocol.md. */
import { FRAME_LIMITS, refuse } from "./frames.ts";

const LENGTHS_BYTES = 8;

export interface Attribute {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

export function attributeBlobBytes(attributes: readonly Attribute[]): number {
  return attributes.reduce((sum, { name, value }) => sum + LENGTHS_BYTES + name.length + value.length, 0);
}

/** `attributes` are sorted by name in byte order. */
export function encodeAttributes(attributes: readonly Attribute[]): Uint8Array {
  const bytes = new Uint8Array(attributeBlobBytes(attributes));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { name, value } of attributes) {
    view.setUint32(at, name.length, true);
    view.setUint32(at + 4, value.length, true);
    bytes.set(name, at + LENGTHS_BYTES);
    bytes.set(value, at + LENGTHS_BYTES + name.length);
    at += LENGTHS_BYTES + name.length + value.length;
  }
  return bytes;
}

/** Names and values are views of `bytes`. */
export function decodeAttributes(bytes: Uint8Array): Attribute[] {
  if (bytes.length > FRAME_LIMITS.attributeBytes) refuse("too many bytes of attributes");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes: Attribute[] = [];
  let last: Uint8Array | undefined;
  for (let at = 0; at < bytes.length; ) {
    if (at + LENGTHS_BYTES > bytes.length) refuse("attributes are cut off");
    const nameBytes = view.getUint32(at, true);
    const valueBytes = view.getUint32(at + 4, true);
    if (nameBytes < 1 || nameBytes > FRAME_LIMITS.attributeNameBytes) refuse("an attribute's name of a wrong length");
    if (valueBytes > FRAME_LIMITS.attributeValueBytes) refuse("an attribute's value is too long");
    const nameAt = at + LENGTHS_BYTES;
    const next = nameAt + nameBytes + valueBytes;
    if (next > bytes.length) refuse("attributes are cut off");
    const name = bytes.subarray(nameAt, nameAt + nameBytes);
    if (name.includes(0)) refuse("an attribute's name holds NUL");
    if (last !== undefined && Buffer.compare(last, name) >= 0) refuse("attributes are not in order");
    attributes.push({ name, value: bytes.subarray(nameAt + nameBytes, next) });
    last = name;
    at = next;
  }
  return attributes;
}
