import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeAttributes, encodeAttributes } from "./attribute-blob.ts";
import {
  decodeHeader,
  decodeRecord,
  encodeHeader,
  encodeRecord,
  type FrameHeader,
  FrameType,
  HEADER_BYTES,
  type ItemRecord,
  ProtocolError,
  RECORD_BYTES,
  RecordFlag,
} from "./frames.ts";
import { checkArchiveEnd, memberHeaderBytes, padded, readMember, writeMemberHeader } from "./ustar.ts";

const bytes = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const size = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** Runs it; a protocol error is an answer too, anything else fails the test. */
function answerOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof ProtocolError && error.message.length > 0) return error;
    throw error;
  }
}

describe("frame header", () => {
  const vector: FrameHeader = { type: FrameType.data, need: 7, item: 3, offset: 0x1_0000_0002, length: 4096 };
  const hex = `46534431${"03000000"}07000000${"03000000"}0200000001000000${"00100000"}`;

  test("has the bytes that docs/protocol.md describes", () => {
    const out = new Uint8Array(HEADER_BYTES);
    encodeHeader(vector, out);
    expect(out.subarray(0, 28)).toEqual(bytes(hex));
    // CRC-32 of "123456789", the check value of the polynomial.
    expect(Bun.hash.crc32("123456789")).toBe(0xcbf43926);
    expect(new DataView(out.buffer).getUint32(28, true)).toBe(Bun.hash.crc32(bytes(hex)));
    expect(decodeHeader(out)).toEqual(vector);
  });

  test("comes back as it was", () => {
    const header = fc.record({
      type: fc.constant(FrameType.data),
      need: fc.integer({ min: 1, max: 0xffffffff }),
      item: u32,
      offset: fc.integer({ min: 0, max: 2 ** 52 }),
      length: fc.integer({ min: 1, max: 8 << 20 }),
    });
    fc.assert(
      fc.property(header, (fields) => {
        const out = new Uint8Array(HEADER_BYTES + 3);
        encodeHeader(fields, out, 3);
        expect(decodeHeader(out.subarray(3))).toEqual(fields);
      }),
    );
  });

  test("any changed byte is noticed", () => {
    const out = new Uint8Array(HEADER_BYTES);
    encodeHeader(vector, out);
    for (let at = 0; at < HEADER_BYTES; at++) {
      const wrong = out.slice();
      wrong[at]! ^= 0x10;
      expect(() => decodeHeader(wrong)).toThrow(ProtocolError);
    }
  });

  test("random and cut-off bytes are refused, under a right checksum too", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (random) => {
        answerOf(() => decodeHeader(random));
        if (random.length < HEADER_BYTES) return;
        random.set(bytes("46534431"));
        new DataView(random.buffer).setUint32(28, Bun.hash.crc32(random.subarray(0, 28)), true);
        answerOf(() => decodeHeader(random));
      }),
    );
  });
});

describe("record", () => {
  const arbitrary: fc.Arbitrary<ItemRecord> = fc.record({
    item: u32,
    status: fc.constant(0),
    stage: fc.constant(0),
    flags: fc.constantFrom(0, RecordFlag.retried, RecordFlag.hashed, RecordFlag.again),
    size,
    mtimeSec: fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
    mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
    mode: u32,
    uid: u32,
    gid: u32,
    attributeBytes: fc.integer({ min: 0, max: 2 << 20 }),
    attributeErrno: fc.constant(0),
    bytes: size,
    hash: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  });

  test("has the bytes that docs/protocol.md describes", () => {
    const out = new Uint8Array(RECORD_BYTES);
    const hash = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    encodeRecord(
      {
        item: 1,
        status: -2,
        stage: 2,
        flags: 2,
        size: 0x1_0000_0003,
        mtimeSec: -1,
        mtimeNsec: 5,
        mode: 0o100644,
        uid: 6,
        gid: 7,
        attributeBytes: 8,
        attributeErrno: 0,
        bytes: 9,
        hash,
      },
      out,
    );
    const hex =
      "01000000feffffff0200000002000000" +
      "0300000001000000ffffffffffffffff" +
      "05000000a48100000600000007000000" +
      "08000000000000000900000000000000" +
      "0102030405060708090a0b0c0d0e0f10";
    expect(out).toEqual(bytes(hex));
  });

  test("comes back as it was", () => {
    fc.assert(
      fc.property(arbitrary, (record) => {
        const out = new Uint8Array(RECORD_BYTES);
        encodeRecord(record, out);
        expect(decodeRecord(out)).toEqual(record);
      }),
    );
  });

  test("random and cut-off bytes are refused or make sense", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 90 }), (random) => {
        const record = answerOf(() => decodeRecord(random)) as ItemRecord | ProtocolError;
        if (record instanceof ProtocolError) return;
        expect(record.status).toBeLessThanOrEqual(0);
        expect(Number.isSafeInteger(record.size)).toBe(true);
      }),
    );
  });
});

describe("attributes", () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 255 }).map((raw) => raw.map((byte) => byte || 1));
  const list = fc
    .uniqueArray(fc.record({ name, value: fc.uint8Array({ maxLength: 300 }) }), {
      selector: (attribute) => Buffer.from(attribute.name).toString("latin1"),
    })
    .map((attributes) => attributes.sort((a, b) => Buffer.compare(a.name, b.name)));

  test("come back as they were", () => {
    fc.assert(
      fc.property(list, (attributes) => expect(decodeAttributes(encodeAttributes(attributes))).toEqual(attributes)),
    );
  });

  test("cut off anywhere but between two of them they are refused", () => {
    const attributes = [
      { name: bytes("61"), value: bytes("0102") },
      { name: bytes("62"), value: bytes("") },
    ];
    const whole = encodeAttributes(attributes);
    const first = encodeAttributes(attributes.slice(0, 1)).length;
    for (let at = 0; at < whole.length; at++) {
      const isWhole = at === 0 || at === first;
      expect([at, answerOf(() => decodeAttributes(whole.subarray(0, at))) instanceof ProtocolError]).toEqual([
        at,
        !isWhole,
      ]);
    }
    expect(() => decodeAttributes(encodeAttributes(attributes.toReversed()))).toThrow(ProtocolError);
    expect(() => decodeAttributes(encodeAttributes([attributes[0]!, attributes[0]!]))).toThrow(ProtocolError);
    expect(() => decodeAttributes(new Uint8Array((2 << 20) + 1))).toThrow(ProtocolError);
  });

  test("random bytes are refused or make sense", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => void answerOf(() => decodeAttributes(random))),
    );
  });
});

describe("ustar members", () => {
  const member = fc.record({
    name: fc.uint8Array({ minLength: 1, maxLength: 255 }).map((raw) => raw.map((byte) => byte || 1)),
    mode: u32,
    uid: u32,
    gid: u32,
    size: fc.integer({ min: 0, max: 2000 }),
    mtimeSec: fc.integer({ min: -10, max: Number.MAX_SAFE_INTEGER }),
  });
  const written = (fields: Parameters<typeof writeMemberHeader>[2]): Uint8Array => {
    const out = new Uint8Array(memberHeaderBytes(fields.name.length) + padded(fields.size) + 1024).fill(0xff);
    const at = writeMemberHeader(out, 0, fields);
    expect(at).toBe(memberHeaderBytes(fields.name.length));
    out.fill(0, out.length - 1024);
    return out;
  };

  test("come back as they were", () => {
    fc.assert(
      fc.property(member, (fields) => {
        const archive = written(fields);
        const read = readMember(archive, 0);
        expect([read.name, read.size]).toEqual([fields.name, fields.size]);
        expect(read.contentAt).toBe(memberHeaderBytes(fields.name.length));
        checkArchiveEnd(archive, read.next);
      }),
    );
  });

  test("any changed byte of a header is refused or leaves the same member", () => {
    const archive = written({ name: bytes("61"), mode: 0o644, uid: 1, gid: 2, size: 3, mtimeSec: 4 });
    const whole = readMember(archive, 0);
    for (let at = 0; at < 512; at++) {
      const wrong = archive.slice();
      wrong[at]! ^= 1;
      const read = answerOf(() => readMember(wrong, 0));
      if (!(read instanceof ProtocolError)) expect([at, read]).toEqual([at, whole]);
    }
    for (let at = 0; at < 1024; at++) expect(() => readMember(archive.subarray(0, Math.min(at, 1000)), 0)).toThrow();
  });

  test("random blocks are refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1600 }), (random) => {
        if (random.length > 265) random.set(new TextEncoder().encode("ustar\x0000"), 257);
        answerOf(() => readMember(random, 0));
        answerOf(() => checkArchiveEnd(random, 0));
      }),
    );
  });
});
