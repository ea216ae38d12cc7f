import { describe, expect, test } from "bun:test";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { FUZZ_TEST_MS, fuzzing } from "../../test/support/fuzzing.ts";
import { LIMITS } from "../core/limits.ts";
import { ListResponseSchema } from "./gen/fastsync/v1/admin_pb.ts";
import { SessionRequestSchema } from "./gen/fastsync/v1/session_pb.ts";
import { checkBounds } from "./message-bounds.ts";

const check = (bytes: Uint8Array) => (): void => checkBounds(SessionRequestSchema, bytes);
/** A request with one message of this field number and content. */
function request(field: number, content: Uint8Array): Buffer {
  const varint = (value: number): number[] => {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
    return [...bytes, rest];
  };
  const wrap = (tag: number, inner: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([...varint(tag * 8 + 2), ...varint(inner.length)]), inner]);
  return wrap(1, wrap(field, content));
}
const times = (count: number, ...unit: number[]): Buffer => Buffer.alloc(count * unit.length, Buffer.from(unit));
const MANIFEST = 20;
const NEED = 30;

describe("checkBounds", () => {
  test("takes what sessions say", () => {
    const users = Array.from({ length: 2000 }, (_, id) => ({ id, name: Buffer.from(`user${id}`) }));
    const bytes = toBinary(
      SessionRequestSchema,
      create(SessionRequestSchema, {
        messages: [
          { body: { case: "hello", value: { protocolMin: 1, features: ["a", "b"], product: "x" } } },
          {
            body: {
              case: "manifest",
              value: { dir: 3, names: Buffer.alloc(1000), skipped: { size: 4, age: 1 }, users },
            },
          },
          { body: { case: "need", value: { need: 1, rows: [1, 2, 3_000_000_000], offset: 1n << 60n } } },
          { body: { case: "summary", value: { durationMs: 1.5, counters: { counters: { files: 2.5 } } } } },
          { body: { case: "payload", value: { data: Buffer.alloc(100_000, 0xff) } } },
        ],
      }),
    );
    expect(check(bytes)).not.toThrow();
    expect(fromBinary(SessionRequestSchema, bytes).messages.length).toBe(5);
  });

  const parts: readonly (readonly [string, Uint8Array])[] = [
    ["empty messages", times(LIMITS.messageParts + 1, 0x0a, 0)],
    // users = 29, skipped = 28, each with a tag of two bytes
    ["empty messages within a message", request(MANIFEST, times(LIMITS.messageParts, 0xea, 0x01, 0))],
    ["empty entries of a map", request(MANIFEST, times(LIMITS.messageParts, 0xe2, 0x01, 0))],
    ["fields that nobody knows", times(LIMITS.messageParts + 1, 0x78, 0)],
    ["groups that nobody knows", times(LIMITS.messageParts + 1, 0x7b, 0x7c)],
    ["fields in a group that nobody knows", Buffer.concat([Buffer.from([0x7b]), times(LIMITS.messageParts, 0x08, 0)])],
  ];
  test.each(parts)("refuses too many %s", (_, bytes) => {
    expect(check(bytes)).toThrow(`more than ${LIMITS.messageParts} parts`);
  });

  const elements: readonly (readonly [string, Uint8Array])[] = [
    [
      "packed numbers",
      request(NEED, Buffer.concat([Buffer.from([0x1a, 0x81, 0x80, 0x80, 0x02]), times((1 << 22) + 1, 1)])),
    ],
    ["numbers that are not packed", request(NEED, times(LIMITS.messageElements + 1, 0x18, 1))],
    ["numbers that are said again", request(NEED, times(LIMITS.messageElements + 1, 0x08, 1))],
  ];
  test.each(elements)("refuses too many %s", (_, bytes) => {
    expect(check(bytes)).toThrow(`more than ${LIMITS.messageElements} elements`);
  });

  const malformed: readonly (readonly [string, Uint8Array])[] = [
    ["a message as a number", Buffer.from([0x08, 1])],
    ["a length beyond the end", Buffer.from([0x0a, 5, 0])],
    ["a length beyond its message", request(MANIFEST, Buffer.from([0x32, 9, 0]))],
    ["a number without an end", request(MANIFEST, Buffer.from([0x08, 0x80]))],
    ["a number that never ends", request(MANIFEST, Buffer.concat([Buffer.from([0x08]), times(11, 0x80)]))],
    ["field 0", Buffer.from([0x02, 0])],
    ["the end of a group that did not begin", Buffer.from([0x7c])],
    ["a group without an end", Buffer.from([0x7b])],
    ["a wire type that is none", Buffer.from([0x7e])],
    ["a text as a number", request(MANIFEST, Buffer.from([0x30, 1]))],
    ["a packed number without an end", request(NEED, Buffer.from([0x1a, 2, 1, 0x80]))],
  ];
  test.each(malformed)("refuses %s", (_, bytes) => {
    expect(check(bytes)).toThrow("bytes that are no message");
  });

  test("refuses packed numbers of a fixed size of which the last is cut", () => {
    // entries = 1, sizes = 3
    const list = (bytes: number): Buffer => Buffer.from([0x0a, bytes + 2, 0x1a, bytes, ...Array(bytes).fill(0)]);
    expect(() => checkBounds(ListResponseSchema, list(16))).not.toThrow();
    expect(() => checkBounds(ListResponseSchema, list(15))).toThrow("bytes that are no message");
  });

  test("refuses a packed number that would be read on into another field, and turn its content into messages", () => {
    const content = Buffer.concat([Buffer.from([1, 0]), times(68, 0x0a, 0)]);
    const crafted = Buffer.concat([
      request(NEED, Buffer.from([0x1a, 1, 0x80])),
      Buffer.from([0x7a, 0x8a, 0x01]),
      content,
    ]);
    expect(madeOf(SessionRequestSchema, crafted)).toBeGreaterThan(68);
    expect(check(crafted)).toThrow("bytes that are no message");
  });

  /** Fields that are known and that are not, with contents that may mean something when they are read in another place. */
  const wire = fc.letrec<{ record: Buffer; content: Buffer }>((tie) => ({
    content: fc.oneof(
      { depthSize: "small" },
      fc
        .array(fc.constantFrom(0, 1, 2, 3, 0x0a, 0x1a, 0x80, 0xea, 0xf2), { maxLength: 12 })
        .map((all) => Buffer.from(all)),
      fc.array(tie("record"), { maxLength: 5 }).map((all) => Buffer.concat(all)),
    ),
    record: fc.oneof(
      fc
        .tuple(fc.constantFrom([0x0a], [0x1a], [0xf2, 0x01], [0xa2, 0x01], [0xea, 0x01], [0x7a]), tie("content"))
        .map(([tag, content]) => Buffer.from([...tag, Math.min(content.length, 127), ...content])),
      fc.constantFrom([0x08, 1], [0x18, 0x80, 1], [0x0a, 0], [0x80], [0x7b, 0x7c]).map((all) => Buffer.from(all)),
    ),
  }));
  test.each([SessionRequestSchema, ListResponseSchema] as const)(
    "what passes becomes no more than was counted: %#",
    (schema: DescMessage) => {
      let passed = 0;
      fc.assert(
        fc.property(fc.array(wire.record, { maxLength: 6 }), (records) => {
          const bytes = Buffer.concat(records);
          const made = madeOf(schema, bytes);
          if (made === 0) return;
          passed++;
          expect(() => checkBounds(schema, bytes, { parts: made - 1, elements: 1 << 20 })).toThrow();
        }),
        fuzzing(5000),
      );
      expect(passed).toBeGreaterThan(50);
    },
    FUZZ_TEST_MS,
  );
});

/** Messages and unknown fields in it, itself left out; 0 of what does not unpack. */
function madeOf(schema: DescMessage, bytes: Uint8Array): number {
  let count = -1;
  const look = (value: unknown): void => {
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
    if ("$typeName" in value) count++;
    if ("$unknown" in value) count += (value.$unknown as unknown[]).length;
    for (const [name, inner] of Object.entries(value)) if (name !== "$unknown") look(inner);
  };
  try {
    look(fromBinary(schema, bytes));
  } catch {
    return 0;
  }
  return count;
}
