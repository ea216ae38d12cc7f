import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzing } from "../../test/support/fuzzing.ts";
import { equalBytes, joinPath, lossyUtf8Of, printable, utf8Of } from "./paths.ts";

/** Any bytes, and those among which things go wrong: controls, parts of sequences, what steers a terminal. */
const piece = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 4 }),
  fc
    .constantFrom("a", "\\", "/", "é", "\u001b[2J", "\r\n", "\0", "\u009b", "\u202e", "\u2028", "\ud7ff", "𝄞")
    .map((text) => new Uint8Array(Buffer.from(text))),
  fc
    .constantFrom([0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x80], [0xff])
    .map((bytes) => Uint8Array.from(bytes)),
);
const path = fc.array(piece, { maxLength: 8 }).map((pieces) => new Uint8Array(Buffer.concat(pieces)));
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/;

/** The bytes that a printed path stands for. */
function unprinted(text: string): Buffer {
  if (!/\\[0-7]{3}/.test(text)) return Buffer.from(text);
  const parts = text.split(/(\\\\|\\[0-7]{3})/).map((part) => {
    if (part === "\\\\") return Buffer.from("\\");
    return /^\\[0-7]{3}$/.test(part) ? Buffer.of(Number.parseInt(part.slice(1), 8)) : Buffer.from(part);
  });
  return Buffer.concat(parts);
}

describe("S33 B62 a path as it is printed", () => {
  test("steers no terminal, and is told from every other path", () => {
    fc.assert(
      fc.property(path, (bytes) => {
        const text = printable(bytes);
        expect(text).not.toMatch(UNSAFE);
        // A name that is printed as it is may look like an escape of another: only where it has one are backslashes doubled.
        if (utf8Of(bytes) === text) return;
        expect(unprinted(text).equals(Buffer.from(bytes))).toBe(true);
      }),
      fuzzing(3000),
    );
  });
});

describe("paths", () => {
  test("text is what a strict decoder makes of the bytes, and back", () => {
    fc.assert(
      fc.property(path, (bytes) => {
        const text = utf8Of(bytes);
        if (text !== undefined) expect(Buffer.from(text).equals(Buffer.from(bytes))).toBe(true);
        else expect(lossyUtf8Of(bytes)).toContain("\ufffd");
      }),
      fuzzing(2000),
    );
  });
  test("a joined path is the directory, one slash and the name", () => {
    fc.assert(
      fc.property(path, path, (directory, name) => {
        const text = Buffer.from(directory).toString("latin1");
        const expected = text === "" ? "" : text.endsWith("/") ? text : `${text}/`;
        const joined = Buffer.from(joinPath(directory, name)).toString("latin1");
        expect(joined).toBe(expected + Buffer.from(name).toString("latin1"));
      }),
      fuzzing(1000),
    );
  });
  test("bytes are equal as buffers are", () => {
    fc.assert(
      fc.property(path, path, (a, b) => expect(equalBytes(a, b)).toBe(Buffer.from(a).equals(Buffer.from(b)))),
      fuzzing(500),
    );
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  });
});
