/**
 * An ordered list of rules as it is matched: blocks of patterns, and between them the places where the rules of
 * per-directory files go (`MergePoint`).
 */
import { printable } from "../core/paths.ts";
import { CVS_PATTERNS } from "./cvs.ts";
import { FilterError } from "./filter-error.ts";
import { type Base, ROOT_BASE, rsyncPattern } from "./pattern.ts";
import { type Rule, RuleBlock } from "./rule-block.ts";
import { isOption, type MergeRule, type PatternRule, parseRule, type Sides, type Template } from "./rule-syntax.ts";

/** Where the rules of a per-directory file are put in. */
export class MergePoint {
  readonly fileName: Uint8Array;
  readonly inherited: boolean;
  readonly template: Template;

  constructor(fileName: Uint8Array, rule: MergeRule) {
    this.fileName = fileName;
    this.inherited = rule.inherited;
    this.template = rule.template;
  }
}

export type Chunk = RuleBlock | MergePoint;

export interface RuleList {
  readonly chunks: readonly Chunk[];
  /** The list began anew with a clear rule: what was inherited does not apply. */
  readonly cleared: boolean;
}

export interface ListContext {
  readonly deleteExcluded: boolean;
  /** Absolute paths of both roots are known. */
  readonly hasRoots: boolean;
  /** Where anchored patterns begin: the directory of the file; undefined: the list of the command line. */
  readonly directory: Base | undefined;
}

/** Compiles rules that were written one by one; each comes with its place. Throws FilterError. */
export function buildRuleList(
  lines: Iterable<{ readonly text: Uint8Array; readonly origin: string }>,
  template: Template,
  context: ListContext,
): RuleList {
  let chunks: Chunk[] = [];
  let open: Rule[] = [];
  let cleared = false;
  const flush = (): void => {
    if (open.length > 0) chunks.push(new RuleBlock(open));
    open = [];
  };
  for (const { text, origin } of lines) {
    if (text.length === 0) continue;
    const parsed = parseRule(text, template, origin);
    switch (parsed.kind) {
      case "clear":
        chunks = [];
        open = [];
        cleared = true;
        break;
      case "pattern":
        open.push(ruleOf(parsed, labelOf(text, origin, context), origin, context));
        break;
      case "cvs":
        for (const pattern of CVS_PATTERNS)
          open.push(ruleOf({ ...CVS_EXCLUDE, pattern, sides: parsed.sides }, undefined, origin, context));
        break;
      case "merge": {
        const point = mergePointOf(parsed, origin, context);
        if (parsed.excludeSelf) {
          // Whatever sides its rules have. In a per-directory file it protects even with --delete-excluded, as in rsync.
          const sides = context.directory === undefined ? "default" : "both";
          const { perishable } = template;
          const self = { ...SELF_EXCLUDE, pattern: point.fileName, sides, perishable } as const;
          open.push(ruleOf(self, undefined, origin, context));
        }
        flush();
        chunks.push(point);
        break;
      }
    }
  }
  flush();
  return { chunks, cleared };
}

const SELF_EXCLUDE = { kind: "pattern", include: false, negated: false, absolute: false, perishable: false } as const;
const CVS_EXCLUDE = { ...SELF_EXCLUDE, perishable: true } as const;
const SLASH = 0x2f;

function ruleOf(parsed: PatternRule, label: string | undefined, origin: string, context: ListContext): Rule {
  if (parsed.absolute && !context.hasRoots)
    throw new FilterError(origin, "rules for absolute paths (modifier /) are not supported here");
  const sides: Sides = parsed.sides === "default" ? (context.deleteExcluded ? "source" : "both") : parsed.sides;
  return {
    include: parsed.include,
    pattern: rsyncPattern(parsed.pattern, { absolute: parsed.absolute, base: context.directory ?? ROOT_BASE }),
    negated: parsed.negated,
    onSource: sides !== "target",
    onTarget: sides !== "source",
    perishable: parsed.perishable,
    label,
    used: false,
  };
}

function mergePointOf(parsed: MergeRule, origin: string, context: ListContext): MergePoint {
  if (!parsed.perDirectory) {
    const advice = context.directory === undefined ? "its file was not read" : "use dir-merge in per-directory files";
    throw new FilterError(origin, `a merge rule cannot be used here: ${advice}`);
  }
  const name = parsed.fileName[0] === SLASH ? parsed.fileName.subarray(1) : parsed.fileName;
  if (name.length === 0 || name.includes(SLASH))
    throw new FilterError(origin, "a per-directory file is named without directories");
  return new MergePoint(name, parsed);
}

/** Only what stands on the command line is reported; an option that says the kind needs it not twice. */
function labelOf(text: Uint8Array, origin: string, context: ListContext): string | undefined {
  if (context.directory !== undefined || !isOption(origin)) return undefined;
  const shown = printable(text);
  const said = (origin === "--exclude" && shown.startsWith("- ")) || (origin === "--include" && shown.startsWith("+ "));
  return `${origin} ${said ? shown.slice(2) : shown}`;
}
