/**
 * Sessions as no honest side has them. By message: left out, twice, in another order; numbers of directories, rows and
 * needs that are others'; counts and lengths at their bounds and beyond; names that are none; columns cut short. By bytes:
 * flipped, cut, joined, with fields that nobody knows and messages nested without end.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  MergeFileSchema,
  type SessionMessage,
  SessionMessageSchema,
} from "../../src/wire/gen/fastsync/v1/session_pb.ts";

type Random = () => number;
type Loose = Record<string, unknown>;

const U32 = [0, 1, 2, 3, 7, 1000, 16_384, 16_385, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
const U64 = [
  0n,
  1n,
  4096n,
  (1n << 31n) - 1n,
  1n << 53n,
  (1n << 53n) - 1n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];
const F64 = [
  -1,
  0.5,
  2 ** 53,
  2 ** 53 - 1,
  -(2 ** 53),
  1e300,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const NAMES = [
  "",
  ".",
  "..",
  "/",
  "a/b",
  "../x",
  "a\0",
  "\0",
  "\xff\xfe",
  ".fastsync.0123456789abcdef.tmp",
  "z".repeat(255),
  "z".repeat(256),
  "z".repeat(4000),
];
const COLUMNS = [
  ...["names", "nameLengths", "modes", "sizes", "mtimeSeconds", "mtimeNanos", "uids", "gids", "rdevs", "nlinks"],
  ...["devs", "flags", "statuses", "attributes", "inodes", "linkLengths", "links"],
];

export const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
const upTo = (random: Random, most: number): number => Math.floor(random() * most);

// ---- one message --------------------------------------------------------------------------------------------------

function withColumn(random: Random, manifest: Loose): void {
  const name = pick(random, COLUMNS);
  const bytes = Uint8Array.from(manifest[name] as Uint8Array);
  switch (upTo(random, 6)) {
    case 0:
      manifest[name] = bytes.subarray(0, upTo(random, bytes.length + 1));
      return;
    case 1:
      manifest[name] = Uint8Array.from([...bytes, ...bytes.subarray(0, 1 + upTo(random, 9))]);
      return;
    case 2:
      manifest[name] = bytes.subarray(0, pick(random, [1, 2, 4, 8]));
      return;
    case 3: {
      const view = new DataView(bytes.buffer);
      if (bytes.length >= 8) view.setFloat64(8 * upTo(random, bytes.length >> 3), pick(random, F64), true);
      manifest[name] = bytes;
      return;
    }
    case 4: {
      const view = new DataView(bytes.buffer);
      if (bytes.length >= 4) view.setUint32(4 * upTo(random, bytes.length >> 2), pick(random, U32), true);
      manifest[name] = bytes;
      return;
    }
    default:
      for (let i = 1 + upTo(random, 3); i > 0 && bytes.length > 0; i--)
        bytes[upTo(random, bytes.length)] = upTo(random, 256);
      manifest[name] = bytes;
  }
}

/** One row has another name, and everything else says so too. */
function withName(random: Random, manifest: Loose): void {
  const rows = manifest["rows"] as number;
  const names = Buffer.from(manifest["names"] as Uint8Array)
    .toString("latin1")
    .split("\0")
    .slice(0, -1);
  if (names.length !== rows) return;
  names[upTo(random, rows)] = pick(random, [...NAMES, ...names]);
  if (random() < 0.3) names.sort();
  const lengths = Buffer.alloc(2 * rows);
  for (const [row, name] of names.entries()) lengths.writeUInt16LE(name.length, 2 * row);
  manifest["names"] = Buffer.from(names.map((name) => (name === "" ? "" : `${name}\0`)).join(""), "latin1");
  manifest["nameLengths"] = lengths;
}

/** A number, a count or a list of numbers, wherever the message has one. */
function withNumber(random: Random, value: Loose): void {
  const keys = Object.keys(value).filter((key) => !key.startsWith("$"));
  const key = pick(random, keys);
  const old = value[key];
  if (key === "purpose" || key === "status") value[key] = pick(random, [-1, 0, 3, 4, 6, -5000, 0x7fffffff]);
  else if (typeof old === "number") value[key] = random() < 0.5 ? old + pick(random, [-1, 1]) : pick(random, U32);
  else if (typeof old === "bigint") value[key] = pick(random, U64);
  else if (typeof old === "boolean") value[key] = !old;
  else if (Array.isArray(old) && (key === "rows" || key === "dirs")) {
    const rows = old as number[];
    value[key] = pick(random, [
      [...rows, pick(random, U32)],
      [...rows, ...rows],
      rows.toReversed(),
      rows.slice(1),
      Array.from({ length: pick(random, [16_384, 16_385]) }, (_, i) => i),
    ]);
  } else if (old instanceof Uint8Array) value[key] = new Uint8Array(pick(random, [0, 1, 15, 16, 17, 4096]));
  else if (key === "skipped") value[key] = { excluded: pick(random, U32), "\u001b[2J": 1, __proto__: 1 };
  if (value[key] === -1 && key !== "purpose" && key !== "status") value[key] = 0xffffffff;
}

function withMergeFile(random: Random, manifest: Loose): void {
  const text = pick(random, [
    "- x",
    "+ *\n- *",
    "!",
    "- [",
    `- ${"*a".repeat(500)}`,
    "merge /etc/passwd",
    ". ../../x",
    "\0",
  ]);
  const file = create(MergeFileSchema, { name: Buffer.from(pick(random, NAMES), "latin1"), text: Buffer.from(text) });
  manifest["mergeFiles"] = Array.from({ length: pick(random, [1, 2, 1025]) }, () => file);
}

function changed(random: Random, message: SessionMessage): SessionMessage {
  const copy = fromBinary(SessionMessageSchema, toBinary(SessionMessageSchema, message));
  const value = copy.body.value as unknown as Loose | undefined;
  if (value === undefined) return copy;
  if (copy.body.case === "manifest") {
    const how = random();
    if (how < 0.35) withColumn(random, value);
    else if (how < 0.6) withName(random, value);
    else if (how < 0.7) withMergeFile(random, value);
    else withNumber(random, value);
  } else withNumber(random, value);
  return copy;
}

// ---- its bytes ----------------------------------------------------------------------------------------------------

const varint = (value: number): number[] => {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
};
const tag = (field: number, wire: number): number[] => varint(field * 8 + wire);

/** Fields that no version knows: of every wire type, groups within groups, lengths that lie. */
function unknownField(random: Random): number[] {
  switch (upTo(random, 7)) {
    case 0:
      return [...tag(1000, 0), 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    case 1:
      return [...tag(1001, 2), 5, 1, 2, 3, 4, 5];
    case 2:
      return [...tag(1002, 1), 1, 2, 3, 4, 5, 6, 7, 8];
    case 3:
      return [...tag(1003, 2), ...varint(0x7fffffff)];
    case 4: {
      const depth = pick(random, [1, 50, 99, 101, 5000, 100_000]);
      return [...Array(depth).fill(tag(1, 3)).flat(), ...Array(depth).fill(tag(1, 4)).flat()];
    }
    case 5:
      return [
        ...Array(pick(random, [10, 20_000]))
          .fill(tag(2, 3))
          .flat(),
      ];
    default:
      return [...tag(0, 0), 1];
  }
}

function withBytes(random: Random, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  switch (upTo(random, 5)) {
    case 0: {
      const flipped = Uint8Array.from(bytes);
      for (let i = 1 + upTo(random, 6); i > 0 && flipped.length > 0; i--)
        flipped[upTo(random, flipped.length)] = upTo(random, 256);
      return flipped;
    }
    case 1:
      return bytes.subarray(0, upTo(random, bytes.length));
    case 2:
      return Uint8Array.from([
        ...bytes.subarray(0, upTo(random, bytes.length)),
        ...other.subarray(upTo(random, other.length)),
      ]);
    case 3:
      return Uint8Array.from([...bytes, ...other]);
    default:
      return Uint8Array.from([...bytes, ...unknownField(random)]);
  }
}

// ---- a session ----------------------------------------------------------------------------------------------------

/** The messages as they arrive. */
export function mutated(random: Random, said: readonly SessionMessage[]): Uint8Array[] {
  let messages = [...said];
  const asBytes = (message: SessionMessage): Uint8Array => toBinary(SessionMessageSchema, message);
  const byBytes = new Set<number>();
  for (let turn = 1 + upTo(random, 3); turn > 0 && messages.length > 0; turn--) {
    const at = upTo(random, messages.length);
    const other = upTo(random, messages.length);
    const how = random();
    if (how < 0.08) messages.splice(at, 1);
    else if (how < 0.18) messages.splice(other, 0, messages[at]!);
    else if (how < 0.26) [messages[at], messages[other]] = [messages[other]!, messages[at]!];
    else if (how < 0.3) messages = [...messages.slice(0, at), ...messages.slice(at).reverse()];
    else if (how < 0.8) messages[at] = changed(random, messages[at]!);
    else byBytes.add(at);
  }
  return messages.map((message, i) =>
    byBytes.has(i) ? withBytes(random, asBytes(message), asBytes(pick(random, messages))) : asBytes(message),
  );
}
