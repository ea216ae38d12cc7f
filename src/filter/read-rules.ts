/**
 * Turns what the command line names into rule texts that stand for themselves, so that a FilterSpec can cross a wire.
 * Pure: the text of files comes in.
 */

import type { FilterRuleText } from "../core/filter-spec.ts";
import { bytesOf, printable } from "../core/paths.ts";
import { FilterError } from "./filter-error.ts";
import { ruleLines } from "./rule-lines.ts";
import { PLAIN_TEMPLATE, parseRule, ruleText, type Template } from "./rule-syntax.ts";

const SPACE = 0x20;
const BANG = 0x21;
const PLUS = 0x2b;
const DASH = 0x2d;

/** Merged files may merge others to this depth; a file that merges itself reaches it. */
const MAX_MERGE_DEPTH = 32;

/**
 * Of `--exclude PATTERN` or `--include PATTERN`. The pattern may say its kind itself by `- ` or `+ ` in front, or be
 * `!`, which clears the list so far. An empty one becomes an empty text, which is no rule.
 */
export function ruleFromPattern(pattern: Uint8Array, kind: "exclude" | "include", origin: string): FilterRuleText {
  if (pattern.length === 0 || (pattern.length === 1 && pattern[0] === BANG)) return { text: pattern.slice(), origin };
  const saysKind = (pattern[0] === DASH || pattern[0] === PLUS) && pattern[1] === SPACE;
  if (saysKind && pattern.length === 2) throw new FilterError(origin, "the rule has no pattern");
  if (saysKind) return { text: pattern.slice(), origin };
  return { text: prefixed(kind === "exclude" ? "- " : "+ ", pattern), origin };
}

/** Of the text of --exclude-from or --include-from. `origin` is the file's printable name; rules get `FILE:LINE`. */
export function rulesFromExcludeFile(
  text: Uint8Array,
  origin: string,
  kind: "exclude" | "include",
  nulSeparated: boolean,
): FilterRuleText[] {
  return ruleLines(text, PLAIN_TEMPLATE, nulSeparated).map(({ text: line, line: number }) =>
    ruleFromPattern(line, kind, `${origin}:${number}`),
  );
}

/**
 * Of a file of full rules, as `--filter 'merge FILE'` names it. `template` is what that rule says about its file.
 * Throws FilterError with `FILE:LINE`.
 */
export function rulesFromMergeText(
  text: Uint8Array,
  origin: string,
  nulSeparated: boolean,
  template: Template = PLAIN_TEMPLATE,
): FilterRuleText[] {
  return ruleLines(text, template, nulSeparated).map(({ text: line, line: number }) => {
    const place = `${origin}:${number}`;
    return { text: ruleText(parseRule(line, template, place)), origin: place };
  });
}

/**
 * Replaces each merge rule by the rules of its file, in place and to any sensible depth. `read` gets the file's name
 * as written and where it was written, and may throw.
 */
export function expandMerges(
  rules: readonly FilterRuleText[],
  read: (fileName: Uint8Array, origin: string) => Uint8Array,
  nulSeparated: boolean,
): FilterRuleText[] {
  const expand = (list: readonly FilterRuleText[], depth: number): FilterRuleText[] =>
    list.flatMap((rule) => {
      if (rule.text.length === 0) return [];
      const parsed = parseRule(rule.text, PLAIN_TEMPLATE, rule.origin);
      if (parsed.kind !== "merge" || parsed.perDirectory) return [rule];
      if (depth === MAX_MERGE_DEPTH)
        throw new FilterError(rule.origin, "merged files nest too deeply; does one merge itself?");
      const text = read(parsed.fileName, rule.origin);
      const merged = rulesFromMergeText(text, printable(parsed.fileName), nulSeparated, parsed.template);
      const self = parsed.excludeSelf ? [selfRule(parsed.fileName, rule.origin)] : [];
      return [...self, ...expand(merged, depth + 1)];
    });
  return expand(rules, 0);
}

function selfRule(fileName: Uint8Array, origin: string): FilterRuleText {
  return { text: prefixed("- ", fileName.subarray(fileName.lastIndexOf(0x2f) + 1)), origin };
}

function prefixed(head: string, tail: Uint8Array): Uint8Array {
  const text = new Uint8Array(head.length + tail.length);
  text.set(bytesOf(head));
  text.set(tail, head.length);
  return text;
}
