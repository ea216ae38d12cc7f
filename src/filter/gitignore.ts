/**
 * The lines of a .gitignore file as git reads them (gitignore(5)). In such a file the last line that matches decides,
 * so the rules are handed over in reverse. That a file below an excluded directory cannot be included again follows
 * from the walk, which does not enter it.
 */
import { type Base, gitPattern } from "./pattern.ts";
import { type Rule, RuleBlock } from "./rule-block.ts";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const BANG = 0x21;
const HASH = 0x23;
const BACKSLASH = 0x5c;

export function gitignoreBlock(text: Uint8Array, base: Base, protects: boolean): RuleBlock {
  const rules: Rule[] = [];
  const hasMark = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
  for (let at = hasMark ? 3 : 0; at < text.length; ) {
    const newline = text.indexOf(NEWLINE, at);
    const end = newline < 0 ? text.length : newline;
    const line = text.subarray(at, end > at && text[end - 1] === RETURN ? end - 1 : end);
    at = end + 1;
    if (line[0] === HASH) continue;
    const trimmed = withoutTrailingSpaces(line);
    const include = trimmed[0] === BANG;
    const pattern = include ? trimmed.subarray(1) : trimmed;
    if (pattern.length === 0) continue;
    rules.push({
      include,
      pattern: gitPattern(pattern.slice(), base),
      negated: false,
      onSource: true,
      onTarget: protects,
      perishable: false,
      label: undefined,
      used: false,
    });
  }
  return new RuleBlock(rules.reverse());
}

/** A space behind a backslash stays. */
function withoutTrailingSpaces(line: Uint8Array): Uint8Array {
  let end = 0;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === BACKSLASH) {
      if (at + 1 === line.length) return line;
      at++;
      end = at + 1;
    } else if (line[at] !== SPACE) end = at + 1;
  }
  return line.subarray(0, end);
}
