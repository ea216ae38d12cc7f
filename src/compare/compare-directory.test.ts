import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compareRules } from "../../test/support/compare-rules.ts";
import { listingOf, type Made } from "../../test/support/listings.ts";
import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import type { CompareOptions } from "../core/options.ts";
import { bytesOf } from "../core/paths.ts";
import { compareDirectory, type DirectoryDifference, RowState } from "./compare-directory.ts";
import { type CompareRules, dataVerdict, metadataDifference } from "./rules.ts";

const FILE: Made = { size: 10, mtimeSec: 1000 };
const CHANGED: Made = { ...FILE, size: 11 };
const NEWER: Made = { ...FILE, mtimeSec: 2000 };
const REPAIRABLE: Made = { ...FILE, mode: FileType.regular | 0o600 };
const DIRECTORY: Made = { mode: FileType.directory | 0o755 };
const LINK: Made = { mode: FileType.symlink | 0o777, linkText: bytesOf("a") };
const SKIPPED: Made = { ...FILE, flags: RowFlag.skip };
const UNREADABLE: Made = { ...FILE, status: -13 };

type StateName = keyof typeof RowState;

function nameOf(state: number): StateName {
  return (Object.keys(RowState) as StateName[]).find((name) => RowState[name] === state)!;
}

describe("one name", () => {
  const EXISTING = { existing: true };
  const IGNORE = { ignoreExisting: true };
  const CASES: readonly [
    what: string,
    options: Partial<CompareOptions>,
    source: Made,
    target: Made | undefined,
    state: StateName,
    deletes?: boolean,
  ][] = [
    ["a file is new", {}, FILE, undefined, "create"],
    ["a directory is new", {}, DIRECTORY, undefined, "directoryNew"],
    ["a link is new", {}, LINK, undefined, "create"],
    ["equal", {}, FILE, FILE, "unchanged"],
    ["another size", {}, FILE, CHANGED, "update"],
    ["another mode", {}, FILE, REPAIRABLE, "repair"],
    ["--size-only: another time is metadata", { sizeOnly: true }, FILE, NEWER, "repair"],
    ["--ignore-times", { ignoreTimes: true }, FILE, FILE, "update"],
    ["--checksum", { checksum: true }, FILE, FILE, "digest"],
    ["--update: newer", { update: true }, FILE, NEWER, "skipped"],
    ["--update: newer, of another type", { update: true }, FILE, { ...LINK, mtimeSec: 2000 }, "update"],
    ["--update: new", { update: true }, FILE, undefined, "create"],
    ["a directory in both", {}, DIRECTORY, DIRECTORY, "directoryExists"],
    ["a directory for a file", {}, DIRECTORY, FILE, "directoryBlocked"],
    ["a directory for a link to one", {}, DIRECTORY, LINK, "directoryBlocked"],
    ["a file for a link", {}, FILE, LINK, "update"],
    ["a file for a directory, without deletions", {}, FILE, DIRECTORY, "update"],
    ["a file for a directory, with deletions", {}, FILE, DIRECTORY, "conflict", true],
    ["a link for a directory, with deletions", {}, LINK, DIRECTORY, "conflict", true],
    ["--existing: a file is new", EXISTING, FILE, undefined, "skipped"],
    ["--existing: a directory is new", EXISTING, DIRECTORY, undefined, "skipped"],
    ["--existing: another size", EXISTING, FILE, CHANGED, "update"],
    ["--ignore-existing: another size", IGNORE, FILE, CHANGED, "skipped"],
    ["--ignore-existing: a file is new", IGNORE, FILE, undefined, "create"],
    ["--ignore-existing enters directories", IGNORE, DIRECTORY, DIRECTORY, "directoryExists"],
    ["--ignore-existing: a directory for a file", IGNORE, DIRECTORY, FILE, "skipped"],
    ["--ignore-existing: a file for a directory", IGNORE, FILE, DIRECTORY, "skipped", true],
    ["--existing --ignore-existing: new", { ...EXISTING, ...IGNORE }, FILE, undefined, "skipped"],
    ["--existing --ignore-existing: there", { ...EXISTING, ...IGNORE }, FILE, CHANGED, "skipped"],
    ["not wanted, new", {}, SKIPPED, undefined, "skipped"],
    ["not wanted, there", {}, SKIPPED, CHANGED, "skipped"],
    ["not readable, new", {}, UNREADABLE, undefined, "failed"],
    ["not readable, there", {}, UNREADABLE, CHANGED, "failed"],
    ["not readable, and a directory is there", {}, UNREADABLE, DIRECTORY, "failed", true],
  ];
  test.each(CASES)("%s", (_, options, source, target, state, deletes = false) => {
    const theirs = target === undefined ? [] : [["x", target] as const];
    const result = compareDirectory(compareRules({ options, deletes }), listingOf([["x", source]]), listingOf(theirs));
    expect(nameOf(result.states[0]!)).toBe(state);
    expect(result.targetRows[0]).toBe(target === undefined ? -1 : 0);
    // What the source has under a name, wanted or not, is never extraneous.
    expect(result.extraneous).toEqual([]);
    expect(result.unchanged).toBe(state === "unchanged" ? 1 : 0);
  });
});

describe("counts", () => {
  const source = listingOf([
    ["a", FILE],
    ["b", FILE],
    ["c", DIRECTORY],
    ["d", DIRECTORY],
    ["e", SKIPPED],
    ["f", UNREADABLE],
  ]);
  const target = listingOf([
    ["a", NEWER],
    ["c", DIRECTORY],
    ["d", FILE],
    ["z", FILE],
  ]);
  const NO_SKIPS = { skippedExisting: 0, skippedNewer: 0, skippedMissing: 0 };
  test.each<[string, Partial<CompareOptions>, Partial<DirectoryDifference>]>([
    ["no option", {}, NO_SKIPS],
    ["--update", { update: true }, { ...NO_SKIPS, skippedNewer: 1 }],
    ["--existing", { existing: true }, { ...NO_SKIPS, skippedMissing: 1 }],
    ["--ignore-existing", { ignoreExisting: true }, { ...NO_SKIPS, skippedExisting: 2 }],
  ])("%s", (_, options, counts) => {
    const result = compareDirectory(compareRules({ options }), source, target);
    // Subdirectories follow as directories of their own, whatever becomes of them.
    expect(result).toMatchObject({ ...counts, subdirectories: 2, extraneous: [3] });
  });
});

describe("names", () => {
  test("without a target everything is new and nothing extraneous", () => {
    const result = compareDirectory(
      compareRules({ deletes: true }),
      listingOf([
        ["a", FILE],
        ["b", DIRECTORY],
      ]),
      null,
    );
    expect([...result.states].map(nameOf)).toEqual(["create", "directoryNew"]);
    expect([...result.targetRows]).toEqual([-1, -1]);
    expect(result.extraneous).toEqual([]);
  });

  test("an empty source makes everything extraneous, in order", () => {
    const target = listingOf(["c", "a", "b"].map((name) => [name, FILE]));
    expect(compareDirectory(compareRules(), listingOf([]), target).extraneous).toEqual([0, 1, 2]);
  });

  test("prefixes, bytes above 0x7f and names that are not UTF-8 are other names", () => {
    const source = listingOf([["a"], ["ab"], [Uint8Array.of(0xc3)], [Uint8Array.of(0xff, 0x01)]]);
    const target = listingOf([["aa"], ["ab"], [Uint8Array.of(0xc3, 0xa4)], [Uint8Array.of(0xff)], ["b"]]);
    const result = compareDirectory(compareRules(), source, target);
    expect([...result.targetRows]).toEqual([-1, 1, -1, -1]);
    expect(result.extraneous).toEqual([0, 2, 3, 4]);
  });
});

/** The same by maps, without the merge: slow and plain. */
function model(rules: CompareRules, source: EntryBatch, target: EntryBatch) {
  const rowsByName = (batch: EntryBatch): Map<string, number> =>
    new Map(Array.from({ length: batch.count }, (_, row) => [Buffer.from(batch.name(row)).toString("hex"), row]));
  const theirs = rowsByName(target);
  const ours = rowsByName(source);
  const { options, deletes } = rules;
  const isDirectory = (batch: EntryBatch, row: number): boolean => batch.type(row) === FileType.directory;
  const states = [...ours].map(([name, row]): StateName => {
    const found = theirs.get(name);
    if (source.rowStatus(row) !== 0) return "failed";
    if ((source.rowFlags(row) & RowFlag.skip) !== 0) return "skipped";
    if (found === undefined) {
      if (options.existing) return "skipped";
      return isDirectory(source, row) ? "directoryNew" : "create";
    }
    const both = isDirectory(source, row) && isDirectory(target, found);
    if (both) return "directoryExists";
    if (options.ignoreExisting) return "skipped";
    if (isDirectory(source, row)) return "directoryBlocked";
    if (isDirectory(target, found)) return deletes ? "conflict" : "update";
    if (source.type(row) !== target.type(found)) return "update";
    const verdict = dataVerdict(rules, source, row, target, found);
    if (verdict === "newer") return "skipped";
    if (verdict !== "same") return verdict === "differs" ? "update" : "digest";
    return metadataDifference(rules, source, row, target, found) === 0 ? "unchanged" : "repair";
  });
  return {
    states,
    targetRows: [...ours.keys()].map((name) => theirs.get(name) ?? -1),
    extraneous: [...theirs].filter(([name]) => !ours.has(name)).map(([, row]) => row),
    subdirectories: [...ours.values()].filter(
      (row) => isDirectory(source, row) && source.rowStatus(row) === 0 && (source.rowFlags(row) & RowFlag.skip) === 0,
    ).length,
  };
}

describe("any two listings", () => {
  // Few bytes and short names, so that names meet, and are prefixes of each other.
  const name = fc
    .array(fc.constantFrom(0x01, 0x2e, 0x61, 0x7f, 0x80, 0xff), { minLength: 1, maxLength: 4 })
    .map((bytes) => Uint8Array.from(bytes));
  const made = fc.constantFrom<Made>(FILE, CHANGED, NEWER, REPAIRABLE, DIRECTORY, LINK, SKIPPED, UNREADABLE);
  const listing = fc
    .uniqueArray(fc.tuple(name, made), { maxLength: 40, selector: ([bytes]) => Buffer.from(bytes).toString("hex") })
    .map(listingOf);
  const flag = fc.boolean();
  const options = fc.record({
    checksum: flag,
    sizeOnly: flag,
    ignoreTimes: flag,
    ignoreExisting: flag,
    existing: flag,
    update: flag,
  });

  test("the merge is what maps would say", () => {
    fc.assert(
      fc.property(listing, listing, options, flag, (source, target, chosen, deletes) => {
        const rules = compareRules({ options: chosen, deletes });
        const result = compareDirectory(rules, source, target);
        const expected = model(rules, source, target);
        expect([...result.states].map(nameOf)).toEqual(expected.states);
        expect([...result.targetRows]).toEqual(expected.targetRows);
        expect(result.extraneous).toEqual(expected.extraneous);
        expect(result.subdirectories).toBe(expected.subdirectories);
        expect(result.unchanged).toBe(expected.states.filter((state) => state === "unchanged").length);
      }),
      { numRuns: 300 },
    );
  });
});
