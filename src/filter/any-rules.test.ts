import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fuzzing } from "../../test/support/fuzzing.ts";
import { NO_FILTER } from "../core/filter-spec.ts";
import { compileFilter } from "./compile.ts";
import { cleanPath, parseFilesFrom } from "./files-from.ts";
import { FilterError } from "./filter-error.ts";
import { rulesFromExcludeFile, rulesFromMergeText } from "./read-rules.ts";

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");
/** Pieces of rules, and bytes that are none. */
const piece = fc.oneof(
  fc.constantFrom(
    "- ",
    "+ ",
    "merge ",
    "dir-merge,n- ",
    ". ",
    ": ",
    "hide ",
    "protect,s ",
    "P ",
    "R ",
    "!",
    "-C",
    "clear",
    "include ",
  ),
  fc.constantFrom(
    "*",
    "**",
    "?",
    "[a-",
    "[[:alpha:]]",
    "[!]",
    "]",
    "\\",
    "/",
    "//",
    "..",
    "***",
    "a",
    ".x",
    "#",
    ";",
    "\n",
    "\r\n",
    "\0",
  ),
  fc.uint8Array({ maxLength: 3 }).map(latin1),
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => new Uint8Array(Buffer.from(pieces.join(""), "latin1")));

describe("S28 S33 rules of any bytes, as a caller may send them", () => {
  test("are rules, or a FilterError that can be printed", () => {
    let compiled = 0;
    fc.assert(
      fc.property(text, fc.boolean(), fc.boolean(), (bytes, nul, full) => {
        try {
          const rules = full
            ? rulesFromMergeText(bytes, "file", nul)
            : rulesFromExcludeFile(bytes, "file", "exclude", nul);
          compileFilter({ ...NO_FILTER, rules }, { deleteExcluded: false }).root();
          compiled++;
        } catch (error) {
          if (!(error instanceof FilterError)) throw error;
          expect(error.message).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        }
      }),
      fuzzing(3000),
    );
    expect(compiled).toBeGreaterThan(300);
  });

  test("lists of files are paths that do not rise above the source", () => {
    fc.assert(
      fc.property(text, fc.boolean(), (bytes, nul) => {
        for (const path of parseFilesFrom(bytes, nul)) {
          const names = latin1(path).split("/");
          expect([latin1(path), names.includes("..") || names.includes("."), path[0] === 0x2f]).toEqual([
            latin1(path),
            false,
            false,
          ]);
          expect(latin1(cleanPath(path))).toBe(latin1(path));
        }
      }),
      fuzzing(2000),
    );
  });
});
