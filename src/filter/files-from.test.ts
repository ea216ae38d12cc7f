import { expect, test } from "bun:test";
import { bytesOf, lossyUtf8Of } from "../core/paths.ts";
import { cleanPath, parseFilesFrom } from "./files-from.ts";

test.each([
  ["a", "a"],
  ["/a//b/", "a/b"],
  ["./a/./b/.", "a/b"],
  ["a/../b", "b"],
  ["../../a", "a"],
  ["a/b/../../../c", "c"],
  ["a/..", ""],
  ["..", ""],
  [".", ""],
  ["/", ""],
  ["..a/...", "..a/..."],
])("%s is taken as '%s'", (path, clean) => {
  expect(lossyUtf8Of(cleanPath(bytesOf(path)))).toBe(clean);
});

test("lines have comments, records have none", () => {
  const read = (text: string, nul: boolean): string[] => parseFilesFrom(bytesOf(text), nul).map(lossyUtf8Of);
  expect(read("a\r\n#b\n;c\n\n d\n", false)).toEqual(["a", " d"]);
  expect(read("a\0#b\0\0;c\nd", true)).toEqual(["a", "#b", ";c\nd"]);
});
