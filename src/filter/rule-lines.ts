/** Splits the text of a rule file into its rules, with their line numbers. */
import type { Template } from "./rule-syntax.ts";

export interface RuleLine {
  readonly text: Uint8Array;
  /** From 1; in a file separated by NUL, the number of the record. */
  readonly line: number;
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const UNDERSCORE = 0x5f;

/**
 * Lines end at a newline or a carriage return, or at NUL when `nulSeparated`. Empty ones and those that begin with
 * `#` or `;` are left out. With `template.words`, white space separates and nothing is a comment; the one space behind
 * a rule's name belongs to the rule there (`- foo + bar` is two).
 */
export function ruleLines(text: Uint8Array, template: Template, nulSeparated: boolean): RuleLine[] {
  return template.words ? wordsOf(text, template) : linesOf(text, nulSeparated);
}

function linesOf(text: Uint8Array, nulSeparated: boolean): RuleLine[] {
  const lines: RuleLine[] = [];
  let line = 1;
  let at = 0;
  while (at < text.length) {
    let end = at;
    while (end < text.length && !(nulSeparated ? text[end] === 0 : text[end] === NEWLINE || text[end] === RETURN))
      end++;
    if (end > at && text[at] !== HASH && text[at] !== SEMICOLON) lines.push({ text: text.subarray(at, end), line });
    // A return and the newline behind it are one line end to whoever counts lines.
    if (text[end] === RETURN && text[end + 1] === NEWLINE && !nulSeparated) end++;
    line++;
    at = end + 1;
  }
  return lines;
}

function wordsOf(text: Uint8Array, template: Template): RuleLine[] {
  const words: RuleLine[] = [];
  let line = 1;
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at]!)) if (text[at++] === NEWLINE) line++;
    if (at >= text.length) return words;
    let end = at;
    while (end < text.length && !isSpace(text[end]!)) end++;
    const lacksPattern = template.lines === "rules" && !hasPattern(text, at, end);
    if (lacksPattern && text[end] === SPACE && end + 1 < text.length && !isSpace(text[end + 1]!)) {
      end++;
      while (end < text.length && !isSpace(text[end]!)) end++;
    }
    words.push({ text: text.subarray(at, end), line });
    at = end;
  }
}

/** The word is more than a rule's name: it has its pattern behind an underscore, or is a rule that takes none. */
function hasPattern(text: Uint8Array, at: number, end: number): boolean {
  const word = text.subarray(at, end);
  const underscore = word.indexOf(UNDERSCORE);
  const name = String.fromCharCode(...word);
  return (
    underscore >= 0 || name === "!" || name === "clear" || /^(-|:|\.|exclude|merge|dir-merge),?[a-z/]*C/.test(name)
  );
}

function isSpace(byte: number): boolean {
  return byte === SPACE || (byte >= TAB && byte <= RETURN);
}
