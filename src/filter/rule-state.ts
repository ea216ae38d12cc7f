/**
 * The rules in force in one directory:
 *
 *     blocks = for each chunk of the command line's list, in order
 *                a block: itself
 *                a merge point: the lists read for it, that of the nearest directory first, each expanded alike
 *              then the blocks of the .gitignore files, nearest first
 *
 * A sub-directory starts with its parent's lists, less those of points that are not inherited. States are immutable;
 * all sub-directories without rule files of their own share one.
 */
import { bytesOf, equalBytes } from "../core/paths.ts";
import { gitignoreBlock } from "./gitignore.ts";
import type { Base } from "./pattern.ts";
import { RuleBlock } from "./rule-block.ts";
import { ruleLines } from "./rule-lines.ts";
import { buildRuleList, type Chunk, type MergePoint } from "./rule-list.ts";

const GITIGNORE = bytesOf(".gitignore");

/** What stays the same for the whole run. */
export interface RuleSettings {
  readonly chunks: readonly Chunk[];
  readonly gitignore: boolean;
  readonly deleteExcluded: boolean;
  readonly hasRoots: boolean;
}

type Lists = ReadonlyMap<MergePoint, readonly (readonly Chunk[])[]>;

export class RuleState {
  /** In the order in which they decide. */
  readonly blocks: readonly RuleBlock[];
  /** Names of the files to look for in this directory. */
  readonly wanted: readonly Uint8Array[];
  /** No rule here, and none can come below. */
  readonly isEmpty: boolean;
  private readonly settings: RuleSettings;
  private readonly lists: Lists;
  private readonly gitBlocks: readonly RuleBlock[];
  private readonly points: readonly MergePoint[];
  private readonly taken: ReadonlySet<MergePoint | "gitignore">;
  private childState: RuleState | undefined;

  constructor(
    settings: RuleSettings,
    lists: Lists = new Map(),
    gitBlocks: readonly RuleBlock[] = [],
    taken: ReadonlySet<MergePoint | "gitignore"> = new Set(),
  ) {
    this.settings = settings;
    this.lists = lists;
    this.gitBlocks = gitBlocks;
    this.taken = taken;
    const blocks: RuleBlock[] = [];
    const points: MergePoint[] = [];
    expand(settings.chunks, lists, blocks, points);
    blocks.push(...gitBlocks);
    this.blocks = blocks;
    this.points = points;
    const wanted = points.filter((point) => !taken.has(point)).map((point) => point.fileName);
    const wantsGit = settings.gitignore && !taken.has("gitignore");
    if (wantsGit && !wanted.some((name) => equalBytes(name, GITIGNORE))) wanted.push(GITIGNORE);
    this.wanted = wanted;
    this.isEmpty = blocks.length === 0 && points.length === 0 && !settings.gitignore;
  }

  /** The state in which a sub-directory begins. */
  get child(): RuleState {
    if (this.childState === undefined) {
      const lists = new Map([...this.lists].filter(([point]) => point.inherited));
      this.childState =
        this.taken.size === 0 && lists.size === this.lists.size
          ? this
          : new RuleState(this.settings, lists, this.gitBlocks);
    }
    return this.childState;
  }

  /** Takes in a file of the directory at `base`, whose path for messages is `where`. */
  merged(fileName: Uint8Array, text: Uint8Array, base: Base, where: string): RuleState {
    const { settings } = this;
    const lists = new Map(this.lists);
    const taken = new Set(this.taken);
    let gitBlocks = this.gitBlocks;
    const known = [...this.points];
    for (const point of this.points) {
      if (taken.has(point) || !equalBytes(point.fileName, fileName)) continue;
      const list = buildRuleList(
        ruleLines(text, point.template, false).map((line) => ({ text: line.text, origin: `${where}:${line.line}` })),
        point.template,
        { deleteExcluded: settings.deleteExcluded, hasRoots: settings.hasRoots, directory: base },
      );
      const chunks = withoutKnown(list.chunks, known);
      lists.set(point, [chunks, ...(list.cleared ? [] : (lists.get(point) ?? []))]);
      taken.add(point);
    }
    if (settings.gitignore && !taken.has("gitignore") && equalBytes(fileName, GITIGNORE)) {
      gitBlocks = [gitignoreBlock(text, base, !settings.deleteExcluded), ...gitBlocks];
      taken.add("gitignore");
    }
    return taken.size === this.taken.size ? this : new RuleState(settings, lists, gitBlocks, taken);
  }
}

/**
 * The chunks less those merge points whose file an earlier rule has named; the others become known. A file is read for
 * the first rule that names it: without this, one that names itself would never end.
 */
export function withoutKnown(chunks: readonly Chunk[], known: MergePoint[]): Chunk[] {
  return chunks.filter((chunk) => {
    if (chunk instanceof RuleBlock) return true;
    if (known.some((point) => equalBytes(point.fileName, chunk.fileName))) return false;
    known.push(chunk);
    return true;
  });
}

function expand(chunks: readonly Chunk[], lists: Lists, blocks: RuleBlock[], points: MergePoint[]): void {
  for (const chunk of chunks) {
    if (chunk instanceof RuleBlock) {
      blocks.push(chunk);
      continue;
    }
    points.push(chunk);
    for (const list of lists.get(chunk) ?? []) expand(list, lists, blocks, points);
  }
}
