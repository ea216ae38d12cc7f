/** Compiles what the user said about selecting files; see `filter.ts` for how a walk uses the result. */
import type { FilterSpec } from "../core/filter-spec.ts";
import { FilteredDirectory, type Limits, type RunParts } from "./directory-filter.ts";
import type { CompiledFilter, FilterOptions } from "./filter.ts";
import { PathText } from "./path-text.ts";
import { RuleBlock } from "./rule-block.ts";
import { buildRuleList, type Chunk } from "./rule-list.ts";
import { RuleState, withoutKnown } from "./rule-state.ts";
import { PLAIN_TEMPLATE } from "./rule-syntax.ts";
import { Selection } from "./selection.ts";

const SLASH = 0x2f;

/** Throws FilterError. */
export function compileFilter(spec: FilterSpec, options: FilterOptions): CompiledFilter {
  const hasRoots = options.roots !== undefined;
  const { deleteExcluded } = options;
  const list = buildRuleList(spec.rules, PLAIN_TEMPLATE, { deleteExcluded, hasRoots, directory: undefined });
  const rules = new RuleState({
    chunks: withoutKnown(list.chunks, []),
    gitignore: spec.gitignore,
    deleteExcluded,
    hasRoots,
  });
  const selection = spec.filesFrom === undefined ? undefined : new Selection(spec.filesFrom);
  const run: RunParts = {
    limits: limitsOf(spec),
    selection,
    sourcePath: new PathText(rootText(options.roots?.source)),
    targetPath: new PathText(rootText(options.roots?.target)),
  };
  const root = new FilteredDirectory(run, rules, selection?.root, new Uint8Array(0), 0, false);
  return {
    isEmpty: root.isEmpty,
    root: () => root,
    unseenFiles: () => selection?.unseen() ?? [],
    unmatchedPatterns: () => unmatched(list.chunks),
  };
}

function limitsOf(spec: FilterSpec): Limits | undefined {
  const { minSize, maxSize, modifiedAfter, modifiedBefore } = spec;
  if ([minSize, maxSize, modifiedAfter, modifiedBefore].every((bound) => bound === undefined)) return undefined;
  return {
    minSize: minSize ?? 0,
    maxSize: maxSize ?? Number.POSITIVE_INFINITY,
    modifiedAfter: modifiedAfter ?? Number.NEGATIVE_INFINITY,
    modifiedBefore: modifiedBefore ?? Number.POSITIVE_INFINITY,
  };
}

/** The root without its trailing slashes; the root of the filesystem is empty. */
function rootText(root: Uint8Array | undefined): Uint8Array {
  let end = root?.length ?? 0;
  while (end > 0 && root![end - 1] === SLASH) end--;
  return root?.slice(0, end) ?? new Uint8Array(0);
}

function unmatched(chunks: readonly Chunk[]): string[] {
  const labels: string[] = [];
  for (const chunk of chunks) {
    if (!(chunk instanceof RuleBlock)) continue;
    for (const rule of chunk.rules) if (!rule.used && rule.label !== undefined) labels.push(rule.label);
  }
  return labels;
}
