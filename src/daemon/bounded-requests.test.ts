import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { LIMITS } from "../core/limits.ts";
import { SessionRequestSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { bounded } from "./bounded-requests.ts";

const MOST = { bytes: 1 << 25, parts: LIMITS.messageParts, elements: LIMITS.messageElements };

function envelope(bytes: Uint8Array, flags = 0, length = bytes.length): Buffer<ArrayBuffer> {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flags, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
}
async function* chunksOf(bytes: Uint8Array, size: number, atEnd?: () => void): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  atEnd?.();
}
const read = (body: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> =>
  Array.fromAsync(bounded(SessionRequestSchema, body, MOST));

const hello = toBinary(
  SessionRequestSchema,
  create(SessionRequestSchema, { messages: [{ body: { case: "hello", value: { protocolMin: 1, product: "x" } } }] }),
);

describe("bounded", () => {
  test.each([1, 2, 7, 5000, 1 << 20])("gives one message at a time, of chunks of %d bytes", async (size) => {
    const large = toBinary(
      SessionRequestSchema,
      create(SessionRequestSchema, {
        messages: [{ body: { case: "payload", value: { data: Buffer.alloc(20_000, 7) } } }],
      }),
    );
    const messages = [envelope(hello), envelope(large), envelope(new Uint8Array(0)), envelope(hello)];
    const got = await read(chunksOf(Buffer.concat(messages), size));
    expect(got.map((message) => Buffer.from(message))).toEqual(messages);
  });

  test("a message that ends early goes on as one chunk, however many it came in", async () => {
    const cut = envelope(Buffer.alloc(20_000), 0, 1 << 24);
    expect(await read(chunksOf(cut, 1))).toEqual([new Uint8Array(cut)]);
    expect(await read(chunksOf(cut.subarray(0, 3), 1))).toEqual([new Uint8Array(cut.subarray(0, 3))]);
  });

  test("chunks of a byte are not held as chunks", async () => {
    const before = heapStats().objectTypeCounts["Uint8Array"] ?? 0;
    let held = 0;
    const look = (): void => {
      Bun.gc(true);
      held = (heapStats().objectTypeCounts["Uint8Array"] ?? 0) - before;
    };
    await read(chunksOf(envelope(Buffer.alloc(200_000), 0, 1 << 24), 1, look));
    expect(held).toBeLessThan(1000);
  });

  test.each([2, 3, 0x80, 0xff])("refuses flags that gRPC does not know: %d", async (flags) => {
    const bomb = Buffer.alloc(2 * (LIMITS.messageParts + 1), Buffer.from([0x0a, 0]));
    for (const bytes of [hello, bomb])
      await expect(read(chunksOf(envelope(bytes, flags), 1 << 20))).rejects.toThrow(`the flags ${flags}`);
  });

  test("leaves what says that it is compressed to the reader, which knows of no compression", async () => {
    const packed = envelope(Buffer.alloc(100, 0xff), 1);
    expect(await read(chunksOf(packed, 1 << 20))).toEqual([packed]);
  });

  test("refuses too much before it is unpacked", async () => {
    const bomb = Buffer.alloc(2 * (LIMITS.messageParts + 1), Buffer.from([0x0a, 0]));
    await expect(read(chunksOf(envelope(bomb), 1 << 20))).rejects.toThrow("parts");
    await expect(read(chunksOf(envelope(hello, 0, MOST.bytes + 1), 1 << 20))).rejects.toThrow("bytes, of which");
  });
});
