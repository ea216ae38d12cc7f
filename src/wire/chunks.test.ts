import { expect, test } from "bun:test";
import { gather, joined } from "./chunks.ts";

test.each([1, 3, 100])("chunks of %d bytes are held as a few, in their order", (size) => {
  const chunks: Uint8Array[] = [];
  const bytes = Uint8Array.from({ length: 200_000 }, (_, at) => at * 7);
  for (let at = 0; at < bytes.length; at += size) gather(chunks, bytes.subarray(at, at + size));
  expect(chunks.length).toBeLessThan(80);
  expect(joined(chunks, bytes.length)).toEqual(bytes);
});

test("large ones are left as they are", () => {
  const chunks: Uint8Array[] = [];
  const large = Array.from({ length: 5 }, () => new Uint8Array(16_384));
  for (const chunk of large) gather(chunks, chunk);
  expect(chunks.every((chunk, at) => chunk === large[at])).toBe(true);
});
