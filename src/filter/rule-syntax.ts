/**
 * The grammar of filter rules.
 *
 *     rule   = NAME [","] MODIFIERS (" " | "_") PATTERN-OR-FILE
 *     NAME   = "-" exclude | "+" include | "H" hide | "S" show | "P" protect | "R" risk
 *            | "." merge | ":" dir-merge | "!" clear              // the long names want the comma before modifiers
 *
 * `parseRule` reads one, `ruleText` writes it back in its shortest form; a rule that went through both is the same.
 * Problems are told without the text of a rule that stands in a file: the reader of the message may not be allowed to
 * read that file.
 */
import { bytesOf, printable } from "../core/paths.ts";
import { FilterError } from "./filter-error.ts";

/** Which sides a rule applies to; `default` follows --delete-excluded. */
export type Sides = "default" | "source" | "target" | "both";

/** How the lines of a merged file are read, and what each of its rules gets. */
export interface Template {
  /** `rules`: full rules; else every line is a pattern of that kind. */
  readonly lines: "rules" | "exclude" | "include";
  /** A pattern list may be cleared by `!` all the same (the CVS manner). */
  readonly clearable: boolean;
  /** Rules are separated by white space, and there are no comments. */
  readonly words: boolean;
  readonly sides: Sides;
  readonly absolute: boolean;
  readonly perishable: boolean;
}

export const PLAIN_TEMPLATE: Template = {
  lines: "rules",
  clearable: false,
  words: false,
  sides: "default",
  absolute: false,
  perishable: false,
};

export interface PatternRule {
  readonly kind: "pattern";
  readonly include: boolean;
  readonly pattern: Uint8Array;
  readonly sides: Sides;
  readonly negated: boolean;
  readonly absolute: boolean;
  readonly perishable: boolean;
}

/** The built-in list of what CVS ignores. */
export interface CvsRule {
  readonly kind: "cvs";
  readonly sides: Sides;
}

export interface MergeRule {
  readonly kind: "merge";
  readonly perDirectory: boolean;
  readonly fileName: Uint8Array;
  /** The rules go on applying in sub-directories. */
  readonly inherited: boolean;
  readonly excludeSelf: boolean;
  /** The modifier `C` was given. */
  readonly cvs: boolean;
  readonly template: Template;
}

export interface ClearRule {
  readonly kind: "clear";
}

export type ParsedRule = PatternRule | CvsRule | MergeRule | ClearRule;

const SPACE = 0x20;
const UNDERSCORE = 0x5f;
const COMMA = 0x2c;
const BANG = 0x21;

const LONG_NAMES: readonly (readonly [string, string])[] = [
  ["exclude", "-"],
  ["include", "+"],
  ["hide", "H"],
  ["show", "S"],
  ["protect", "P"],
  ["risk", "R"],
  ["merge", "."],
  ["dir-merge", ":"],
  ["clear", "!"],
];
const SIDE_OF_NAME: Readonly<Record<string, Sides>> = { H: "source", S: "source", P: "target", R: "target" };
const CVS_FILE = bytesOf(".cvsignore");

/** Reads one rule, without its line end. `template` is that of the file it stands in. */
export function parseRule(text: Uint8Array, template: Template, origin: string): ParsedRule {
  try {
    return parse(text, template, origin);
  } catch (error) {
    if (!(error instanceof FilterError) || !isOption(origin)) throw error;
    throw new FilterError(`${origin} '${printable(text)}'`, error.problem);
  }
}

/** The rule was written on the command line itself, not in a file. */
export function isOption(origin: string): boolean {
  return /^--[a-z-]+$/.test(origin);
}

function parse(text: Uint8Array, template: Template, origin: string): ParsedRule {
  if (template.lines !== "rules") {
    if (template.clearable && text.length === 1 && text[0] === BANG) return { kind: "clear" };
    return patternOf(template.lines === "include", text, NO_LETTERS, template.sides, template);
  }
  const name = ruleName(text, origin);
  if (name.letter === "!") {
    if (name.end !== text.length) throw new FilterError(origin, "nothing may follow the clear rule");
    return { kind: "clear" };
  }
  let separator = name.end;
  while (separator < text.length && text[separator] !== SPACE && text[separator] !== UNDERSCORE) separator++;
  const letters = String.fromCharCode(...text.subarray(name.end, separator));
  const argument = text.subarray(Math.min(separator + 1, text.length));
  const sides = sidesOf(name.letter, letters, template, origin);
  if (name.letter === "." || name.letter === ":")
    return mergeOf(name.letter === ":", letters, argument, sides, template, origin);

  checkLetters(letters, name.letter === "-" ? "/!Csrpx" : "/!srpx", origin);
  if (letters.includes("x"))
    throw new FilterError(origin, "rules for extended attributes (modifier x) are not supported");
  if (letters.includes("C")) {
    if (argument.length > 0) throw new FilterError(origin, "the modifier C takes no pattern");
    return { kind: "cvs", sides };
  }
  if (argument.length === 0) throw new FilterError(origin, "the rule has no pattern");
  return patternOf("+SR".includes(name.letter), argument, letters, sides, template);
}

/** The rule in its shortest form; templates are no part of it, their effect already is. */
export function ruleText(rule: ParsedRule): Uint8Array {
  switch (rule.kind) {
    case "clear":
      return bytesOf("!");
    case "cvs":
      return bytesOf(`-C${sideLetters(rule.sides)}`);
    case "pattern": {
      const flags = `${rule.negated ? "!" : ""}${rule.absolute ? "/" : ""}${rule.perishable ? "p" : ""}`;
      return withArgument(`${rule.include ? "+" : "-"}${flags}${sideLetters(rule.sides)} `, rule.pattern);
    }
    case "merge": {
      const { template } = rule;
      const lines = rule.cvs ? "C" : template.lines === "rules" ? "" : template.lines === "include" ? "+" : "-";
      const words = template.words && !rule.cvs ? "w" : "";
      const flags = `${template.absolute ? "/" : ""}${template.perishable ? "p" : ""}${sideLetters(template.sides)}`;
      const inherited = rule.inherited || rule.cvs ? "" : "n";
      const self = rule.excludeSelf ? "e" : "";
      return withArgument(
        `${rule.perDirectory ? ":" : "."}${lines}${words}${flags}${inherited}${self} `,
        rule.fileName,
      );
    }
  }
}

const NO_LETTERS = "";

function ruleName(text: Uint8Array, origin: string): { letter: string; end: number } {
  const letter = String.fromCharCode(text[0] ?? 0);
  if ("-+HSPR.:!".includes(letter)) return { letter, end: text[1] === COMMA && letter !== "!" ? 2 : 1 };
  for (const [long, short] of LONG_NAMES) {
    const end = long.length;
    if (String.fromCharCode(...text.subarray(0, end)) !== long) continue;
    const after = text[end];
    if (after === COMMA && short !== "!") return { letter: short, end: end + 1 };
    if (after === undefined || after === SPACE || after === UNDERSCORE) return { letter: short, end };
  }
  throw new FilterError(origin, "unknown filter rule; a rule begins with - + H S P R . : ! or their long names");
}

function sidesOf(name: string, letters: string, template: Template, origin: string): Sides {
  const ofName = SIDE_OF_NAME[name];
  const source = letters.includes("s");
  const target = letters.includes("r");
  if (ofName !== undefined && (source || target))
    throw new FilterError(origin, "the rule's name already says its side; the modifiers s and r do not go with it");
  const given: Sides = ofName ?? (source ? (target ? "both" : "source") : target ? "target" : "default");
  if (template.sides === "default") return given;
  if (given !== "default")
    throw new FilterError(origin, "the rule that merges this file says the side, so the rules in it may not");
  return template.sides;
}

function patternOf(
  include: boolean,
  pattern: Uint8Array,
  letters: string,
  sides: Sides,
  template: Template,
): PatternRule {
  return {
    kind: "pattern",
    include,
    pattern: pattern.slice(),
    sides,
    negated: letters.includes("!"),
    absolute: letters.includes("/") || template.absolute,
    perishable: letters.includes("p") || template.perishable,
  };
}

function mergeOf(
  perDirectory: boolean,
  letters: string,
  argument: Uint8Array,
  sides: Sides,
  outer: Template,
  origin: string,
): MergeRule {
  checkLetters(letters, "-+Cenw/srpx", origin);
  if (letters.includes("x"))
    throw new FilterError(origin, "rules for extended attributes (modifier x) are not supported");
  const cvs = letters.includes("C");
  if (Number(cvs) + Number(letters.includes("-")) + Number(letters.includes("+")) > 1)
    throw new FilterError(origin, "only one of the modifiers -, + and C can be given");
  if (argument.length === 0 && !cvs) throw new FilterError(origin, "the rule names no file");
  return {
    kind: "merge",
    perDirectory,
    fileName: argument.length === 0 ? CVS_FILE : argument.slice(),
    inherited: !cvs && !letters.includes("n"),
    excludeSelf: letters.includes("e"),
    cvs,
    template: {
      lines: cvs || letters.includes("-") ? "exclude" : letters.includes("+") ? "include" : "rules",
      clearable: cvs,
      words: cvs || letters.includes("w"),
      sides,
      absolute: letters.includes("/") || outer.absolute,
      perishable: letters.includes("p") || outer.perishable,
    },
  };
}

function checkLetters(letters: string, known: string, origin: string): void {
  for (const letter of letters)
    if (!known.includes(letter))
      throw new FilterError(origin, "a modifier of the rule is unknown or does not apply to it");
}

function sideLetters(sides: Sides): string {
  return sides === "both" ? "sr" : sides === "source" ? "s" : sides === "target" ? "r" : "";
}

function withArgument(head: string, argument: Uint8Array): Uint8Array {
  const text = new Uint8Array(head.length + argument.length);
  text.set(bytesOf(head));
  text.set(argument, head.length);
  return text;
}
