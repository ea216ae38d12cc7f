import { describe, expect, test } from "bun:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
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
  ];
  test.each(malformed)("refuses %s", (_, bytes) => {
    expect(check(bytes)).toThrow("bytes that are no message");
  });
});
