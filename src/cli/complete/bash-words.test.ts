import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzing } from "../../../test/support/fuzzing.ts";
import { readBashWord, writeBashWord } from "./bash-words.ts";

const BREAKS = " \t\n\"'><=;|&(:";

describe("words of bash", () => {
  test.each([
    ["plain", "plain", 0, undefined],
    ["--fsync=fi", "--fsync=fi", 8, undefined],
    ["nas:pho", "nas:pho", 4, undefined],
    ["nas\\:pho", "nas:pho", 0, undefined],
    ["my\\ file", "my file", 0, undefined],
    ["'my fi", "my fi", 0, "'"],
    ['"nas:my fi', "nas:my fi", 0, '"'],
    ['nas:"my fi', "nas:my fi", 4, '"'],
    ["'a'b", "ab", 0, undefined],
    ['"a\\"b\\c', 'a"b\\c', 0, '"'],
    ["a\\", "a\\", 0, undefined],
  ] as const)("%s", (raw, text, kept, quote) => expect(readBashWord(raw, BREAKS)).toEqual({ text, kept, quote }));

  test("without the colon among the breaks the whole word is replaced", () => {
    expect(readBashWord("nas:pho", " \t\n")).toEqual({ text: "nas:pho", kept: 0, quote: undefined });
  });

  test.each([
    ["nas:pho", "nas:photos/", "photos/"],
    ["nas:my", "nas:my $file", "my\\ \\$file"],
    ['"nas:my', 'nas:my "$file`', 'nas:my \\"\\$file\\`'],
    ["'it", "it's", undefined],
    ["'it", "it $is", "it $is"],
  ])("%s becomes %s", (raw, value, written) => expect(writeBashWord(value, readBashWord(raw, BREAKS))).toBe(written!));

  test("bash reads what was written as the name it stands for, whatever is in it", () => {
    const name = fc.string({
      unit: fc.constantFrom(..." \t'\"\\$`!*?[]{}()<>|&;#~=:,/ä-a1"),
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 40 }), (names) => {
        const open = readBashWord("", BREAKS);
        const words = names.map((one) => writeBashWord(one, open)!);
        const script = `printf '%s\\0' ${words.map((word) => `./${word}`).join(" ")}`;
        const { stdout } = Bun.spawnSync(["bash", "--norc", "-c", script]);
        expect(stdout.toString().split("\0").slice(0, -1)).toEqual(names.map((one) => `./${one}`));
      }),
      fuzzing(20),
    );
  });
});
