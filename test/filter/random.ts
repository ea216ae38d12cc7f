/** Random trees, patterns and rules from a seed. Few letters, so that patterns hit. */
import type { ModelDirectory, ModelNode } from "./model-tree.ts";

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed * 0x9e3779b1) >>> 0 || 1;
  }

  /** 0 <= result < limit (mulberry32). */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((((mixed ^ (mixed >>> 14)) >>> 0) * limit) / 2 ** 32) | 0;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** Latin1; some are not UTF-8. */
const PLAIN_NAMES: readonly string[] =
  "a b c ab ba aab a.o b.o a.c b.c A foo fob bar -a x] a-z !a ^ \xe9 a\xff \xe9.o _ core 1 ~".split(" ").concat("a b");
/** With the names that look like patterns. */
const NAMES: readonly string[] = [...PLAIN_NAMES, "a\\b", "[a]", "*"];

export interface TreeOptions {
  /** Trees of one seed agree about the type of every name. */
  readonly typeSeed: number;
  /** No name looks like a pattern. */
  readonly plain: boolean;
}

export function randomTree(random: Random, options: TreeOptions, depth = 3, width = 7): ModelDirectory {
  const tree: ModelDirectory = new Map();
  const count = 1 + random.below(width);
  for (let i = 0; i < count; i++) {
    const name = random.pick(options.plain ? PLAIN_NAMES : NAMES);
    const kind = new Random(options.typeSeed * 131 + NAMES.indexOf(name)).below(10);
    let node: ModelNode = { kind: "file", text: new Uint8Array(0) };
    if (kind < 5)
      node = {
        kind: "directory",
        entries: depth === 0 ? new Map() : randomTree(random, options, depth - 1, width - 1),
      };
    else if (kind === 5) node = { kind: "symlink" };
    tree.set(name, node);
  }
  return tree;
}

const PIECES: readonly string[] = (
  "* * ** *** ? [ab] [!a] [^a-c] [a- []x] [[:alpha:]] [[:upper:]b] [[:nope:]] [a\\-z] [-a] [\xe0-\xff] [[:a] [!] " +
  "[\\]x] [z-a] \\a \\* \\ .o . - \xe9"
).split(" ");

function component(random: Random): string {
  if (random.chance(45)) return random.pick(NAMES);
  let text = "";
  for (let left = 1 + random.below(3); left > 0; left--)
    text += random.chance(60) ? random.pick(PIECES) : random.pick(NAMES).slice(0, 2);
  return text;
}

/** A pattern that sometimes is taken from a path, so that it hits deep entries. */
export function randomPattern(random: Random, paths: readonly string[]): string {
  let parts: string[];
  if (paths.length > 0 && random.chance(50)) {
    parts = random
      .pick(paths)
      .split("/")
      .filter((part) => part !== "");
    const from = random.below(parts.length);
    parts = parts.slice(from).map((part) => (random.chance(35) ? mutated(random, part) : part));
  } else parts = Array.from({ length: random.chance(65) ? 1 : 1 + random.below(3) }, () => component(random));
  let text = parts.join("/");
  if (random.chance(20)) text = `/${text}`;
  if (random.chance(8)) text = `**/${text}`;
  if (random.chance(10)) text += random.pick(["/", "/", "/**", "/***", "***", "/*"]);
  return text;
}

function mutated(random: Random, part: string): string {
  const at = random.below(part.length);
  const piece = random.pick(["*", "?", "**", "[!a]", "*", "[a-z\xe9]"]);
  return random.chance(30) ? piece : part.slice(0, at) + piece + part.slice(at + 1);
}
