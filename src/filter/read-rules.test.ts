import { describe, expect, test } from "bun:test";
import type { FilterRuleText } from "../core/filter-spec.ts";
import { bytesOf, lossyUtf8Of } from "../core/paths.ts";
import { FilterError } from "./filter-error.ts";
import { expandMerges, ruleFromPattern, rulesFromExcludeFile, rulesFromMergeText } from "./read-rules.ts";

const show = (rules: readonly FilterRuleText[]): string[] =>
  rules.map((rule) => `${rule.origin}|${lossyUtf8Of(rule.text)}`);

test("a pattern may say its kind itself", () => {
  const of = (text: string, kind: "exclude" | "include") =>
    lossyUtf8Of(ruleFromPattern(bytesOf(text), kind, "--x").text);
  expect(of("a", "exclude")).toBe("- a");
  expect(of("a", "include")).toBe("+ a");
  expect(of("+ a", "exclude")).toBe("+ a");
  expect(of("- a", "include")).toBe("- a");
  expect(of("-a", "include")).toBe("+ -a");
  expect(of("!", "exclude")).toBe("!");
  expect(of("!a", "exclude")).toBe("- !a");
  expect(of("", "exclude")).toBe("");
  expect(() => of("- ", "exclude")).toThrow(FilterError);
});

test("files of patterns are read by lines or by NUL", () => {
  expect(show(rulesFromExcludeFile(bytesOf("a\n\n# no\r\n; no\r+ b\n c \n!"), "f", "exclude", false))).toEqual([
    "f:1|- a",
    "f:5|+ b",
    "f:6|-  c ",
    "f:7|!",
  ]);
  expect(show(rulesFromExcludeFile(bytesOf("a\nb\0c\0"), "f", "include", true))).toEqual(["f:1|+ a\nb", "f:2|+ c"]);
});

describe("merged files", () => {
  const files: Readonly<Record<string, string>> = {
    one: "- a\n. two\n: .f",
    two: "\n+ b",
    words: "- a +_b\n!\n:C -C - c",
    loop: ". loop",
    patterns: "- a\n!",
  };
  const expand = (...rules: string[]): string[] =>
    show(
      expandMerges(
        rules.map((text) => ({ text: bytesOf(text), origin: "--filter" })),
        (name) => bytesOf(files[lossyUtf8Of(name)]!),
        false,
      ),
    );

  test("take the place of their rule, to any depth", () => {
    expect(expand("- x", ". one", "- y")).toEqual([
      "--filter|- x",
      "one:1|- a",
      "two:2|+ b",
      "one:3|: .f",
      "--filter|- y",
    ]);
  });
  test("are read as their rule says", () => {
    expect(expand(".w words")).toEqual(["words:1|- a", "words:1|+ b", "words:2|!", "words:3|:C .cvsignore", "words:3|-C", "words:3|- c"]); // biome-ignore format: a table
    expect(expand(".-s patterns")).toEqual(["patterns:1|-s - a", "patterns:2|-s !"]);
    expect(expand(".e two")).toEqual(["--filter|- two", "two:2|+ b"]);
  });
  test("that merge themselves are refused", () => {
    expect(() => expand(". loop")).toThrow(/^loop:1: .*nest too deeply/);
  });
  test("that are wrong are told by line, not by text", () => {
    expect(() => rulesFromMergeText(bytesOf("- a\nroot:secret"), "shadow", false)).toThrow(/^shadow:2: (?!.*secret)/);
  });
});
