import { expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzing } from "../../test/support/fuzzing.ts";
import { cleanPath } from "./module-places.ts";

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
const component = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("a", "b", ".", "..", "", "...", "..a", "C:\\x", "-", "%2e%2e", "~") },
  { weight: 1, arbitrary: fc.constantFrom("a\0b", "n".repeat(255), "n".repeat(256), "\xff", "\u001b[2J", "\r\n") },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 5 }).map(latin1) },
);
const path = fc
  .tuple(fc.array(component, { maxLength: 8 }), fc.constantFrom("", "/", "//", "/."))
  .map(([names, end]) => names.join("/") + end);
const cleaned = (text: string): string | undefined => {
  const clean = cleanPath(Buffer.from(text, "latin1"));
  return clean && latin1(clean);
};

/** As the words of the protocol have it, a component at a time. */
function model(text: string): string | undefined {
  const names = text.split("/");
  if (text.length > 4096 || text.startsWith("/") || text.includes("\0")) return undefined;
  if (names.some((name) => name === ".." || name.length > 255)) return undefined;
  const kept = names.filter((name) => name !== "" && name !== ".");
  const isContents = names.at(-1) === "" || names.at(-1) === ".";
  return kept.length === 0 ? "" : kept.join("/") + (isContents ? "/" : "");
}

test("S11 a path in a module is refused, or is names below it", () => {
  let taken = 0;
  fc.assert(
    fc.property(path, (text) => {
      const clean = cleaned(text);
      expect(clean).toBe(model(text));
      if (clean === undefined) return;
      taken++;
      const names = clean.replace(/\/$/, "").split("/");
      if (clean !== "")
        for (const name of names) expect(["", ".", ".."].includes(name) || name.includes("\0")).toBe(false);
      expect(cleaned(clean)).toBe(clean);
    }),
    fuzzing(5000),
  );
  expect(taken).toBeGreaterThan(200);
});

test.each(["..", "a/..", "../a", "/a", "//", "a\0", "a/\0/b", `${"a/".repeat(2049)}`, "n".repeat(256), "a/../a"])(
  "S11 %p is refused",
  (text) => expect(cleaned(text)).toBeUndefined(),
);
test.each([
  ["", ""],
  [".", ""],
  ["./", ""],
  ["a//b", "a/b"],
  ["./a/./b/.", "a/b/"],
  ["C:\\x", "C:\\x"],
  ["..a", "..a"],
])("S11 %p is %p", (text, clean) => expect(cleaned(text)).toBe(clean));
