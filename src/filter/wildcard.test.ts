import { describe, expect, test } from "bun:test";
import { matchWildcard } from "./wildcard.ts";
import { type Dialect, parseWildcard } from "./wildcard-parse.ts";

const bytes = (latin1: string): Uint8Array => new Uint8Array(Buffer.from(latin1, "latin1"));

function matches(pattern: string, text: string, dialect: Dialect): boolean {
  const wildcard = parseWildcard(bytes(pattern), dialect);
  // Bytes on both sides prove that nothing outside the window is looked at.
  return wildcard !== undefined && matchWildcard(wildcard, bytes(`*${text}*`), 1, 1 + text.length);
}

/** Pattern, what it matches, what it does not. */
const COMMON: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["a", ["a"], ["", "b", "aa", "A"]],
  ["?", ["a", "\xff"], ["", "/", "ab"]],
  ["*", ["", "a", "ab"], ["/", "a/b"]],
  ["a*b", ["ab", "axb", "abb"], ["a", "a/b", "abx"]],
  ["*a*b*", ["ab", "xaxbx", "aab"], ["ba", "a/b"]],
  ["*/b", ["/b", "a/b"], ["b", "a/a/b"]],
  ["[abc]", ["a", "b", "c"], ["d", "", "ab"]],
  ["[a-c]x", ["ax", "cx"], ["dx", "-x"]],
  ["[!a-c]", ["d", "-"], ["a", "b", "/"]],
  ["[^a]", ["b", "^"], ["a", "/"]],
  ["[]a]", ["]", "a"], ["b"]],
  ["[!]a]", ["b"], ["]", "a"]],
  ["[a-]", ["a", "-"], ["b"]],
  ["[-a]", ["a", "-"], ["b"]],
  ["[a\\-c]", ["a", "-", "c"], ["b"]],
  ["[\\]]", ["]"], ["\\"]],
  ["[c-a]", ["c"], ["a", "b", "-"]],
  ["[[:digit:]x]", ["1", "x"], ["a", ":"]],
  ["[![:space:]]", ["a"], [" ", "\t", "/"]],
  ["[[:a]", ["[", ":", "a"], ["b"]],
  ["[\xe0-\xff]", ["\xe9"], ["e"]],
  ["[+-0]", ["+", ".", "0"], ["/"]],
  ["\\*", ["*"], ["a", "\\*"]],
  ["\\a", ["a"], ["\\a"]],
];
const INVALID = ["[", "[a", "[!", "[]", "[[:nope:]]", "[[:alpha:]", "a\\", "[a\\"];

for (const dialect of ["rsync", "git"] as const) {
  describe(dialect, () => {
    for (const [pattern, yes, no] of COMMON) {
      test(pattern, () => {
        for (const text of yes) expect([text, matches(pattern, text, dialect)]).toEqual([text, true]);
        for (const text of no) expect([text, matches(pattern, text, dialect)]).toEqual([text, false]);
      });
    }
    test.each(INVALID)("%s is no pattern", (pattern) => {
      expect(parseWildcard(bytes(pattern), dialect)).toBeUndefined();
    });
  });
}

describe("two stars", () => {
  test("take slashes anywhere in rsync's dialect", () => {
    for (const text of ["ab", "a/b", "a/x/b", "axb"]) expect(matches("a**b", text, "rsync")).toBe(true);
    expect(matches("a/**/b", "a/b", "rsync")).toBe(false);
    expect(matches("a/**/b", "a/x/y/b", "rsync")).toBe(true);
    expect(matches("**/b*/c", "a/b/b/x/bb/c", "rsync")).toBe(true);
  });
  test("take whole components in git's dialect, also none", () => {
    for (const text of ["a/b", "a/x/b", "a/x/y/b"]) expect(matches("a*/**/b", text, "git")).toBe(true);
    for (const text of ["ab", "a/xb", "a/x/yb"]) expect(matches("a*/**/b", text, "git")).toBe(false);
    expect(matches("**/b", "b", "git")).toBe(true);
    expect(matches("**/b", "xb", "git")).toBe(false);
    expect(matches("a/**", "a/x/y", "git")).toBe(true);
    expect(matches("?**b", "a/b", "git")).toBe(false);
    expect(matches("?**/b", "a/x/b", "git")).toBe(false);
    expect(matches("?**/b", "ax/b", "git")).toBe(true);
  });
  test("count as the beginning behind fixed bytes, as in git", () => {
    expect(matches("a**/b", "axx/b", "git")).toBe(true);
    expect(matches("a**/b", "ax/y/b", "git")).toBe(true);
    expect(matches("a**/*", "ab", "git")).toBe(true);
  });
});

test("a pattern made to backtrack takes no time", () => {
  const text = "a".repeat(4000);
  const started = performance.now();
  for (const pattern of [`${"*a".repeat(60)}*b`, `${"**a".repeat(60)}**b`, `**${"*a".repeat(60)}b/`])
    expect(matches(pattern, text, "rsync")).toBe(false);
  expect(matches(`${"**/*a".repeat(30)}b`, `${"a/".repeat(1500)}a`, "rsync")).toBe(false);
  expect(performance.now() - started).toBeLessThan(1000);
});

test("agrees with a plain recursive matcher on all short texts", () => {
  const naive = (pattern: string, text: string): boolean => {
    if (pattern === "") return text === "";
    if (pattern.startsWith("**")) {
      const rest = pattern.replace(/^\*+/, "");
      return Array.from({ length: text.length + 1 }, (_, i) => naive(rest, text.slice(i))).some(Boolean);
    }
    if (pattern[0] === "*")
      return naive(pattern.slice(1), text) || (text !== "" && text[0] !== "/" && naive(pattern, text.slice(1)));
    return text !== "" && (pattern[0] === text[0] || (pattern[0] === "?" && text[0] !== "/")) && naive(pattern.slice(1), text.slice(1)); // biome-ignore format: one thought
  };
  const words = (letters: string, length: number): string[] =>
    length === 0 ? [""] : [...words(letters, length - 1)].flatMap((w) => [w, ...[...letters].map((l) => w + l)]);
  const texts = [...new Set(words("ab/", 5))];
  for (const pattern of new Set(words("a/*?", 5)))
    for (const text of texts)
      if (matches(pattern, text, "rsync") !== naive(pattern, text)) expect([pattern, text]).toEqual([]);
});
