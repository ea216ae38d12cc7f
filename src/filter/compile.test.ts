import { describe, expect, test } from "bun:test";
import { buildBatch, type EntryBatch, type EntryFields, FileType } from "../core/entry-batch.ts";
import { type FilterSpec, NO_FILTER } from "../core/filter-spec.ts";
import { bytesOf, lossyUtf8Of } from "../core/paths.ts";
import { compileFilter } from "./compile.ts";
import { Decision, type DirectoryFilter, type FilterOptions, type Side } from "./filter.ts";
import { FilterError } from "./filter-error.ts";

const KEEP: FilterOptions = { deleteExcluded: false };

/** A name with a slash behind it is a directory. */
function batchOf(name: string, fields: Partial<EntryFields> = {}): EntryBatch {
  const isDirectory = name.endsWith("/");
  const mode = isDirectory ? FileType.directory : FileType.regular;
  return buildBatch([
    { name: bytesOf(name.replace(/\/$/, "")), mode, ...fields },
    { name: bytesOf("."), mode: FileType.directory },
  ]);
}

const decide = (filter: DirectoryFilter, name: string, side: Side = "source", fields: Partial<EntryFields> = {}) =>
  filter.decide(batchOf(name, fields), 0, side);
const rules = (...texts: string[]): FilterSpec => ({
  ...NO_FILTER,
  rules: texts.map((text) => ({ text: bytesOf(text), origin: "--filter" })),
});
const rootOf = (spec: FilterSpec, options = KEEP): DirectoryFilter => compileFilter(spec, options).root();
/** Decides a path, directory by directory; the first decision that is not include stands. */
function decidePath(filter: DirectoryFilter, path: string, side: Side = "source"): Decision {
  const parts = path.split(/(?<=\/)/);
  let at = filter;
  for (const part of parts.slice(0, -1)) {
    const decision = decide(at, part, side);
    if (decision !== Decision.include) return decision;
    at = at.enter(bytesOf(part.slice(0, -1)));
  }
  return decide(at, parts[parts.length - 1]!, side);
}

test("without rules nothing is asked", () => {
  const filter = compileFilter(NO_FILTER, KEEP);
  expect(filter.isEmpty).toBe(true);
  const root = filter.root();
  expect(root.isEmpty).toBe(true);
  expect(root.enter(bytesOf("a"))).toBe(root);
  expect(root.perDirectoryFiles()).toEqual([]);
  expect(decide(root, "a")).toBe(Decision.include);
});

describe("rules of the command line", () => {
  test("the first that matches decides", () => {
    const root = rootOf(rules("+ a.o", "- *.o", "- a*"));
    expect(decide(root, "a.o")).toBe(Decision.include);
    expect(decide(root, "b.o")).toBe(Decision.excluded);
    expect(decide(root, "ab")).toBe(Decision.excluded);
    expect(decide(root, "b")).toBe(Decision.include);
  });
  test("more than one word of them keeps the order", () => {
    const many = Array.from({ length: 70 }, (_, i) => `- x${i}`);
    const root = rootOf(rules(...many, "+ y", "- ?"));
    expect(decide(root, "x69")).toBe(Decision.excluded);
    expect(decide(root, "x70")).toBe(Decision.include);
    expect(decide(root, "y")).toBe(Decision.include);
    expect(decide(root, "z")).toBe(Decision.excluded);
  });
  test("a side is asked for its own", () => {
    const root = rootOf(rules("H h", "P p", "- b"));
    const both = (name: string) => [decide(root, name), decide(root, name, "target")];
    expect(both("h")).toEqual([Decision.excluded, Decision.include]);
    expect(both("p")).toEqual([Decision.include, Decision.excluded]);
    expect(both("b")).toEqual([Decision.excluded, Decision.excluded]);
  });
  test("--delete-excluded takes the protection of rules that name no side", () => {
    const root = rootOf(rules("- b", "-sr both", "P p"), { deleteExcluded: true });
    expect(decide(root, "b")).toBe(Decision.excluded);
    expect(decide(root, "b", "target")).toBe(Decision.include);
    expect(decide(root, "both", "target")).toBe(Decision.excluded);
    expect(decide(root, "p", "target")).toBe(Decision.excluded);
  });
  test("a perishable rule says nothing in a directory that goes", () => {
    const root = rootOf(rules("-p a", "- b"));
    expect(decide(root, "a", "target")).toBe(Decision.excluded);
    const doomed = root.enter(bytesOf("d")).doomed();
    expect(decide(doomed, "a", "target")).toBe(Decision.include);
    expect(decide(doomed.enter(bytesOf("e")), "a", "target")).toBe(Decision.include);
    expect(decide(doomed, "b", "target")).toBe(Decision.excluded);
  });
  test("absolute patterns need the roots", () => {
    expect(() => rootOf(rules("-/ /s/a"))).toThrow(FilterError);
    const roots = { source: bytesOf("/s/"), target: bytesOf("/t") };
    const root = rootOf(rules("-/ /s/a", "-/ t/b"), { ...KEEP, roots });
    expect([decide(root, "a"), decide(root, "a", "target")]).toEqual([Decision.excluded, Decision.include]);
    expect([decide(root, "b"), decide(root, "b", "target")]).toEqual([Decision.include, Decision.excluded]);
  });
  test("those that decided nothing are told", () => {
    const spec: FilterSpec = {
      ...NO_FILTER,
      rules: [
        { text: bytesOf("- *.o"), origin: "--exclude" },
        { text: bytesOf("- *.c"), origin: "--exclude" },
        { text: bytesOf("+ \u001bx"), origin: "--exclude" },
        { text: bytesOf("H a"), origin: "--filter" },
        { text: bytesOf("- secret"), origin: "/etc/rules:3" },
      ],
    };
    const filter = compileFilter(spec, KEEP);
    decide(filter.root(), "a.o");
    expect(filter.unmatchedPatterns()).toEqual(["--exclude *.c", "--exclude + \\033x", "--filter H a"]);
  });
  test("a merge that was not read in and a path of per-directory files are refused", () => {
    for (const text of [". rules", ": a/.f", ": ../.f", ": /"]) expect(() => rootOf(rules(text))).toThrow(FilterError);
  });
});

describe("per-directory files", () => {
  const enter = (filter: DirectoryFilter, name: string, text?: string): DirectoryFilter => {
    const child = filter.enter(bytesOf(name));
    return text === undefined ? child : child.withMerged(bytesOf(".f"), bytesOf(text));
  };
  const wanted = (filter: DirectoryFilter): string[] => filter.perDirectoryFiles().map(lossyUtf8Of);

  test("apply to their directory and below, and nowhere else", () => {
    const root = rootOf(rules(": .f"));
    expect(root.isEmpty).toBe(false);
    const a = enter(root, "a", "- x\n- /y");
    expect(decide(a, "x")).toBe(Decision.excluded);
    expect(decide(a, "y")).toBe(Decision.excluded);
    const ab = enter(a, "b");
    expect(decide(ab, "x")).toBe(Decision.excluded);
    expect(decide(ab, "y")).toBe(Decision.include);
    expect(decide(root, "x")).toBe(Decision.include);
    expect(decide(enter(root, "c"), "x")).toBe(Decision.include);
  });
  test("of the nearest directory come first, and may clear what was inherited", () => {
    const a = enter(rootOf(rules("- first", ": .f", "- last")), "a", "- x\n- z");
    const ab = enter(a, "b", "+ x\n+ last\n+ first");
    expect(decide(ab, "x")).toBe(Decision.include);
    expect(decide(ab, "z")).toBe(Decision.excluded);
    expect(decide(ab, "last")).toBe(Decision.include);
    expect(decide(ab, "first")).toBe(Decision.excluded);
    expect(decide(enter(ab, "c", "!"), "x")).toBe(Decision.include);
    expect(decide(enter(ab, "c", "!"), "z")).toBe(Decision.include);
  });
  test("that are not inherited stop at their directory", () => {
    const a = enter(rootOf(rules(":n .f")), "a", "- x");
    expect(decide(a, "x")).toBe(Decision.excluded);
    expect(decide(enter(a, "b"), "x")).toBe(Decision.include);
  });
  test("are asked for once, in every directory, and may name others", () => {
    const root = rootOf(rules(": .f"));
    expect(wanted(root)).toEqual([".f"]);
    const merged = root.withMerged(bytesOf(".f"), bytesOf(": .g\n: .f"));
    expect(wanted(merged)).toEqual([".g"]);
    expect(wanted(merged.withMerged(bytesOf(".g"), bytesOf("- x")))).toEqual([]);
    expect(wanted(merged.enter(bytesOf("a")))).toEqual([".f", ".g"]);
    expect(merged.withMerged(bytesOf(".h"), bytesOf("- x"))).toBe(merged);
  });
  test("that are wrong are told by path and line", () => {
    const a = rootOf(rules(": .f")).enter(bytesOf("a")).enter(bytesOf("b"));
    expect(() => a.withMerged(bytesOf(".f"), bytesOf("- x\n\nsecret"))).toThrow(/^a\/b\/\.f:3: (?!.*secret)/);
    expect(() => a.withMerged(bytesOf(".f"), bytesOf(". other"))).toThrow(/^a\/b\/\.f:1: .*dir-merge/);
  });
  test("anchor in a directory whose name looks like a pattern", () => {
    const a = enter(rootOf(rules(": .f")), "[x]*\\", "- /y\n- /s/**/t");
    expect(decide(a, "y")).toBe(Decision.excluded);
    expect(decide(a.enter(bytesOf("s")).enter(bytesOf("u")), "t")).toBe(Decision.excluded);
  });
});

describe("--gitignore", () => {
  const spec: FilterSpec = { ...NO_FILTER, gitignore: true };
  const withIgnore = (filter: DirectoryFilter, text: string) => filter.withMerged(bytesOf(".gitignore"), bytesOf(text));

  test("the last line that matches decides, the nearest file first", () => {
    const root = withIgnore(rootOf(spec), "*.o\n!keep.o\n/top\nd/\n");
    expect(root.perDirectoryFiles()).toEqual([]);
    expect(decide(root, "a.o")).toBe(Decision.excluded);
    expect(decide(root, "keep.o")).toBe(Decision.include);
    expect([decide(root, "d"), decide(root, "d/")]).toEqual([Decision.include, Decision.excluded]);
    const a = withIgnore(root.enter(bytesOf("a")), "keep.o\n!b.o");
    expect(decide(a, "keep.o")).toBe(Decision.excluded);
    expect(decide(a, "b.o")).toBe(Decision.include);
    expect(decide(a, "top")).toBe(Decision.include);
    expect(a.enter(bytesOf("b")).perDirectoryFiles().map(lossyUtf8Of)).toEqual([".gitignore"]);
  });
  test("protects on the target unless excluded entries are to be deleted", () => {
    expect(decide(withIgnore(rootOf(spec), "x"), "x", "target")).toBe(Decision.excluded);
    expect(decide(withIgnore(rootOf(spec, { deleteExcluded: true }), "x"), "x", "target")).toBe(Decision.include);
  });
  test("rules of the command line go first", () => {
    const root = withIgnore(rootOf({ ...rules("+ x"), gitignore: true }), "*");
    expect([decide(root, "x"), decide(root, "y")]).toEqual([Decision.include, Decision.excluded]);
  });
  test("does not leave out .git itself", () => {
    expect(decide(withIgnore(rootOf(spec), "*.o"), ".git/")).toBe(Decision.include);
  });
});

describe("--files-from", () => {
  const list = (...paths: string[]): FilterSpec => ({ ...NO_FILTER, filesFrom: paths.map(bytesOf) });

  test("selects the listed paths, their parents and all below them", () => {
    const filter = compileFilter(list("a/b", "a.c", "d", "a/b/c"), KEEP);
    const root = filter.root();
    expect(decide(root, "a/")).toBe(Decision.include);
    expect(decide(root, "a.c")).toBe(Decision.include);
    expect(decide(root, "a.d")).toBe(Decision.notListed);
    expect(decide(root, "b")).toBe(Decision.notListed);
    const a = root.enter(bytesOf("a"));
    expect(decide(a, "x")).toBe(Decision.notListed);
    expect(decide(a, "b/")).toBe(Decision.include);
    expect(decide(a.enter(bytesOf("b")), "x")).toBe(Decision.include);
    expect(a.enter(bytesOf("b")).isEmpty).toBe(false);
    expect(root.enter(bytesOf("d")).isEmpty).toBe(true);
    expect(decide(root.enter(bytesOf("b")), "x")).toBe(Decision.notListed);
    expect(filter.unseenFiles().map(lossyUtf8Of)).toEqual(["d", "a/b/c"]);
  });
  test("a parent that is no directory is not taken, and what was listed below it is missing", () => {
    const filter = compileFilter(list("a/b"), KEEP);
    expect(decide(filter.root(), "a")).toBe(Decision.notListed);
    expect(filter.unseenFiles().map(lossyUtf8Of)).toEqual(["a/b"]);
  });
  test("parents are taken whatever the rules say; what is listed obeys them, and is not missing then", () => {
    const filter = compileFilter(
      { ...rules("- a", "- y"), ...{ filesFrom: ["a/b", "x/y/z", "x/y"].map(bytesOf) } },
      KEEP,
    );
    expect(decidePath(filter.root(), "a/b")).toBe(Decision.include);
    expect(decidePath(filter.root(), "x/y/")).toBe(Decision.excluded);
    expect(filter.unseenFiles()).toEqual([]);
  });
  test("on the target only what is listed, or below it, may go", () => {
    const filter = compileFilter(list("a/b"), KEEP);
    expect(decide(filter.root(), "a/", "target")).toBe(Decision.notListed);
    const a = filter.root().enter(bytesOf("a"));
    expect(decide(a, "b/", "target")).toBe(Decision.include);
    expect(decide(a.enter(bytesOf("b")), "x", "target")).toBe(Decision.include);
    expect(decide(a, "x", "target")).toBe(Decision.notListed);
    expect(filter.unseenFiles().map(lossyUtf8Of)).toEqual(["a/b"]);
  });
  test("the source itself may be listed, and an empty list selects nothing", () => {
    expect(compileFilter(list(""), KEEP).isEmpty).toBe(true);
    expect(compileFilter(list("."), KEEP).isEmpty).toBe(true);
    expect(decide(rootOf(list()), "a")).toBe(Decision.notListed);
  });
  test("a path listed twice is missing once, in the order of the list", () => {
    expect(
      compileFilter(list("b", "a", "b"), KEEP)
        .unseenFiles()
        .map(lossyUtf8Of),
    ).toEqual(["b", "a"]);
  });
});

describe("limits", () => {
  const spec: FilterSpec = { ...NO_FILTER, minSize: 10, maxSize: 20, modifiedAfter: 100, modifiedBefore: 200 };
  const root = rootOf(spec);
  const of = (size: number, mtimeSec: number, mtimeNsec = 0) =>
    decide(root, "a", "source", { size, mtimeSec, mtimeNsec });

  test("the bounds themselves are inside", () => {
    expect([of(9, 150), of(10, 150), of(20, 150), of(21, 150)]).toEqual([2, 0, 0, 2]);
    expect([of(15, 99, 999_999_999), of(15, 100), of(15, 200), of(15, 200, 1)]).toEqual([3, 0, 0, 3]);
  });
  test("concern regular files of the source only", () => {
    expect(decide(root, "a/")).toBe(Decision.include);
    expect(decide(root, "a", "source", { mode: FileType.symlink })).toBe(Decision.include);
    expect(decide(root, "a", "target", { size: 1 })).toBe(Decision.include);
    expect(root.enter(bytesOf("a")).isEmpty).toBe(false);
  });
  test("a rule goes before them", () => {
    expect(decide(rootOf({ ...rules("- a"), minSize: 10 }), "a")).toBe(Decision.excluded);
  });
});
