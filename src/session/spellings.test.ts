import { describe, expect, test } from "bun:test";
import { buildBatch, type EntryFields } from "../core/entry-batch.ts";
import { bytesOf } from "../core/paths.ts";
import { foldedName, guessSpellings, respelled } from "./spellings.ts";

const SELF: EntryFields = { name: bytesOf("."), inoLow: 1, dev: 1 };

/** Sorted names; the inode is the place in the list, from 10. */
function listing(...names: string[]) {
  return buildBatch([...names.map((name, i) => ({ name: Buffer.from(name), inoLow: 10 + i, dev: 1 })), SELF], {
    dirfd: 5,
  });
}

function namesOf(entries: readonly EntryFields[] | undefined): string[] | undefined {
  return entries?.map(({ name, inoLow }) => `${Buffer.from(name)} ${inoLow}`);
}

describe("a folded name", () => {
  const same: readonly (readonly [string, string])[] = [
    ["README", "readme"],
    ["caf\u00e9", "CAFE\u0301"],
    ["\u00df", "SS"],
    ["\u03c3", "\u03c2"],
    ["dots...", "dots"],
    ["space ", "space"],
    ["zero\u200bwidth", "zerowidth"],
    ["\ufb01", "fi"],
  ];
  test.each(same)("of %s and of %s are equal", (a, b) => {
    expect(foldedName(Buffer.from(a))).toBe(foldedName(Buffer.from(b)));
  });

  test("of different names and of bytes that are no text are different", () => {
    const names = [Buffer.from("a"), Buffer.from("b"), Buffer.from([0x61, 0xff]), Buffer.from([0x61, 0xfe])];
    expect(new Set(names.map(foldedName)).size).toBe(4);
  });
});

describe("spellings", () => {
  const source = listing("A", "B", "new", "same");
  const target = listing("a", "b", "other", "same");
  const difference = { extraneous: [0, 1, 2], targetRows: Int32Array.of(-1, -1, -1, 3) };

  test("are guessed among what each side lacks", () => {
    expect(guessSpellings(source, target, difference)).toEqual([
      { row: 0, targetRows: [0] },
      { row: 1, targetRows: [1] },
    ]);
    expect(guessSpellings(source, target, { ...difference, extraneous: [] })).toEqual([]);
  });

  test("are believed where the target answers with the very entry, and the listing stays in order", () => {
    const guesses = guessSpellings(source, target, difference);
    const found = buildBatch([{ name: bytesOf("A"), inoLow: 10, dev: 1 }, { name: bytesOf("B"), status: -2 }, SELF]);
    expect(namesOf(respelled(target, guesses, found))).toEqual(["A 10", "b 11", "other 12", "same 13", ". 1"]);
  });

  test("of another inode, or of none, are names of their own", () => {
    const guesses = guessSpellings(source, target, difference);
    const other = { name: bytesOf("A"), inoLow: 77, dev: 1, size: 5 };
    const found = buildBatch([other, { name: bytesOf("B"), status: -2 }, SELF]);
    expect(respelled(target, guesses, found)).toBeUndefined();
  });

  test("are believed of a server that numbers inodes by names, where all else is the same", () => {
    const guesses = guessSpellings(source, target, difference);
    const found = buildBatch([{ name: bytesOf("A"), inoLow: 77, dev: 1 }, { name: bytesOf("B"), status: -2 }, SELF]);
    expect(namesOf(respelled(target, guesses, found))?.[0]).toBe("A 10");
  });

  test("one entry of the target is the counterpart of one name only", () => {
    const two = listing("A", "a.");
    const one = listing("a");
    const guesses = guessSpellings(two, one, { extraneous: [0], targetRows: Int32Array.of(-1, -1) });
    const found = buildBatch([
      { name: bytesOf("A"), inoLow: 10, dev: 1 },
      { name: bytesOf("a."), inoLow: 10, dev: 1 },
      SELF,
    ]);
    expect(namesOf(respelled(one, guesses, found))).toEqual(["A 10", ". 1"]);
  });
});
