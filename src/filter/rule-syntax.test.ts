import { describe, expect, test } from "bun:test";
import { bytesOf, lossyUtf8Of } from "../core/paths.ts";
import { FilterError } from "./filter-error.ts";
import { PLAIN_TEMPLATE, parseRule, ruleText, type Template } from "./rule-syntax.ts";

const parse = (text: string, template: Template = PLAIN_TEMPLATE, origin = "rules:1") =>
  parseRule(bytesOf(text), template, origin);
const normal = (text: string, template?: Template): string => lossyUtf8Of(ruleText(parse(text, template)));

describe("one short form for each rule", () => {
  test.each([
    ["- a", "- a"],
    ["-_a", "- a"],
    ["-, a", "- a"],
    ["-  a", "-  a"],
    ["exclude a", "- a"],
    ["exclude_a b", "- a b"],
    ["include,s a", "+s a"],
    ["H a", "-s a"],
    ["hide a", "-s a"],
    ["S a", "+s a"],
    ["P a", "-r a"],
    ["protect,p a", "-pr a"],
    ["R a", "+r a"],
    ["-sr! a", "-!sr a"],
    ["-/p /a", "-/p /a"],
    ["!", "!"],
    ["clear", "!"],
    ["-C", "-C"],
    ["exclude,sC", "-Cs"],
    ["merge a", ". a"],
    ["dir-merge .f", ": .f"],
    [":C", ":C .cvsignore"],
    [":n-e .f", ":-ne .f"],
    [":+ws .f", ":+ws .f"],
    [".C", ".C .cvsignore"],
  ])("%s", (text, expected) => {
    expect(normal(text)).toBe(expected);
    expect(normal(expected)).toBe(expected);
  });
});

describe("what cannot be used is refused", () => {
  test.each([
    "a",
    " - a",
    "# a",
    "-",
    "- ",
    "-a",
    "-n a",
    "-x a",
    "!x",
    "! a",
    "excludes a",
    "H,r a",
    "Hs a",
    "HC",
    "+C",
    "-C a",
    ":",
    ":n",
    ". ",
    ".! a",
    ":+- a",
    ":x a",
  ])("%s", (text) => {
    expect(() => parse(text)).toThrow(FilterError);
  });
});

test("a message names the place, and repeats the rule only when it was typed", () => {
  expect(() => parse("secret", PLAIN_TEMPLATE, "/etc/rules:7")).toThrow(/^\/etc\/rules:7: unknown filter rule/);
  const inFile = (() => {
    try {
      return parse("-q secret", PLAIN_TEMPLATE, "--x:7");
    } catch (error) {
      return error as FilterError;
    }
  })() as FilterError;
  expect(inFile.message).not.toContain("secret");
  expect(() => parse("bad\u001b[2J", PLAIN_TEMPLATE, "--filter")).toThrow("--filter 'bad\\033[2J': unknown");
});

test("a merge rule's modifiers reach the rules of its file", () => {
  const template = (text: string): Template => {
    const rule = parse(text);
    if (rule.kind !== "merge") throw new Error("not a merge rule");
    return rule.template;
  };
  expect(normal("a", template(".- f"))).toBe("- a");
  expect(normal("- a", template(".+ f"))).toBe("+ - a");
  expect(normal("- a", template(".sp f"))).toBe("-ps a");
  expect(normal("/a", template(".-/ f"))).toBe("-/ /a");
  expect(normal("!", template(".- f"))).toBe("- !");
  expect(normal("!", template(".C f"))).toBe("!");
  for (const inner of ["-s a", "H a", "P a", ":r .f"])
    expect(() => normal(inner, template(".s f"))).toThrow(FilterError);
});
