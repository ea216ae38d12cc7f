/**
 * What a message would become is counted before it is unpacked: two bytes on the wire can be an object of a hundred in
 * memory. The fields are walked as the decoder walks them, and nothing is made.
 *
 *     parts      messages within the message, entries of maps, and fields that nobody knows: an object each
 *     elements   every other value: one of a list, or a field that is said again
 *
 * What the decoder would read in another way than this walk (a wire type that is not the field's, a length beyond its
 * message) is refused, so that nothing passes here as something else.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
const FIXED32 = 5;
/** Deeper than any message of ours; the decoder has a bound of its own. */
const DEEPEST = 32;

interface Field {
  /** Of the field, or of one element of it. */
  readonly wireType: number;
  readonly isList: boolean;
  /** Of messages and map entries; undefined: a plain value. */
  readonly inner: (() => Table) | undefined;
}
type Table = ReadonlyMap<number, Field>;

const tables = new WeakMap<DescMessage, Table>();

function tableOf(message: DescMessage): Table {
  const known = tables.get(message);
  if (known !== undefined) return known;
  const table: Table = new Map(message.fields.map((field) => [field.number, fieldOf(field)]));
  tables.set(message, table);
  return table;
}

function fieldOf(field: DescField): Field {
  switch (field.fieldKind) {
    case "message":
      return { wireType: BYTES, isList: false, inner: () => tableOf(field.message) };
    case "map":
      return { wireType: BYTES, isList: false, inner: () => mapEntry(field) };
    case "enum":
      return { wireType: VARINT, isList: false, inner: undefined };
    case "scalar":
      return { wireType: wireTypeOf(field.scalar), isList: false, inner: undefined };
    case "list": {
      const { message } = field;
      if (message !== undefined) return { wireType: BYTES, isList: true, inner: () => tableOf(message) };
      const wireType = field.scalar === undefined ? VARINT : wireTypeOf(field.scalar);
      return { wireType, isList: true, inner: undefined };
    }
  }
}

function mapEntry(field: DescField & { fieldKind: "map" }): Table {
  const { message } = field;
  return new Map([
    [1, { wireType: wireTypeOf(field.mapKey), isList: false, inner: undefined }],
    [
      2,
      message !== undefined
        ? { wireType: BYTES, isList: false, inner: () => tableOf(message) }
        : {
            wireType: field.scalar === undefined ? VARINT : wireTypeOf(field.scalar),
            isList: false,
            inner: undefined,
          },
    ],
  ]);
}

function wireTypeOf(scalar: ScalarType): number {
  switch (scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return BYTES;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return FIXED64;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return FIXED32;
    default:
      return VARINT;
  }
}

export interface MessageBounds {
  readonly parts: number;
  readonly elements: number;
}

const OF_SESSIONS: MessageBounds = { parts: LIMITS.messageParts, elements: LIMITS.messageElements };

/** Throws ProtocolViolation. What passes takes some hundred MiB at most, and a second, to unpack. */
export function checkBounds(message: DescMessage, bytes: Uint8Array, most: MessageBounds = OF_SESSIONS): void {
  const walk = new Walk(bytes, most);
  walk.message(tableOf(message), bytes.length, 0);
}

class Walk {
  private readonly bytes: Uint8Array;
  private at = 0;
  private parts = 0;
  private elements = 0;
  private readonly most: MessageBounds;

  constructor(bytes: Uint8Array, most: MessageBounds) {
    this.bytes = bytes;
    this.most = most;
  }

  message(table: Table, end: number, depth: number): void {
    if (depth > DEEPEST) throw new ProtocolViolation("messages within messages, too many deep");
    // Fields of a group are fields that nobody knows.
    let groups = 0;
    while (this.at < end) {
      const tag = this.varint(end);
      const number = Math.floor(tag / 8);
      const wireType = tag % 8;
      if (number === 0) throw malformed();
      if (wireType === END_GROUP) {
        if (groups-- === 0) throw malformed();
        continue;
      }
      const field = groups > 0 ? undefined : table.get(number);
      if (field === undefined) {
        this.part();
        if (wireType === START_GROUP) groups++;
        else this.skip(wireType, end);
      } else this.field(field, wireType, end, depth);
    }
    if (groups > 0) throw malformed();
  }

  private field({ wireType, isList, inner }: Field, got: number, end: number, depth: number): void {
    if (inner !== undefined) {
      if (got !== BYTES) throw malformed();
      this.part();
      this.message(inner(), this.lengthTo(end), depth + 1);
    } else if (got === wireType) {
      this.element(1);
      this.skip(got, end);
    } else if (isList && got === BYTES && wireType !== BYTES) this.packed(wireType, this.lengthTo(end));
    else throw malformed();
  }

  /** A last value that does not end here would be read on into what follows. */
  private packed(wireType: number, end: number): void {
    if (wireType === VARINT) {
      let count = 0;
      if (end > this.at && this.bytes[end - 1]! >= 0x80) throw malformed();
      for (let at = this.at; at < end; at++) if (this.bytes[at]! < 0x80) count++;
      this.element(count);
    } else {
      const count = (end - this.at) / (wireType === FIXED64 ? 8 : 4);
      if (!Number.isInteger(count)) throw malformed();
      this.element(count);
    }
    this.at = end;
  }

  private part(): void {
    if (++this.parts > this.most.parts) throw new ProtocolViolation(`more than ${this.most.parts} parts`);
  }
  private element(count: number): void {
    this.elements += count;
    if (this.elements > this.most.elements) throw new ProtocolViolation(`more than ${this.most.elements} elements`);
  }

  private skip(wireType: number, end: number): void {
    if (wireType === VARINT) this.varint(end);
    else if (wireType === FIXED64) this.at += 8;
    else if (wireType === FIXED32) this.at += 4;
    else if (wireType === BYTES) this.at = this.lengthTo(end);
    else throw malformed();
    if (this.at > end) throw malformed();
  }

  /** Where the length-delimited value that begins here ends. */
  private lengthTo(end: number): number {
    const length = this.varint(end);
    if (length > end - this.at) throw malformed();
    return this.at + length;
  }

  /** Exact up to 2^53; of larger ones only that they are large. */
  private varint(end: number): number {
    let value = 0;
    let unit = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= end) throw malformed();
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 128;
    }
    throw malformed();
  }
}

function malformed(): ProtocolViolation {
  return new ProtocolViolation("bytes that are no message");
}
