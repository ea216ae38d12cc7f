/**
 * One pattern, ready to be matched against an entry.
 *
 *     a pattern without a slash looks at the name alone; the common shapes (`name`, `*.ext`, `name*`, `*`) are compared
 *     in place in the batch
 *     any other looks at the path from the root of the run (`PathText`):
 *       start: from the beginning (an anchored pattern: from the directory of the file that has the rule)
 *       tail:  the last N components
 *       every: from the beginning and from behind every slash
 */
import type { PathText } from "./path-text.ts";
import { matchWildcard, Op, type Wildcard } from "./wildcard.ts";
import { hasSpecial, hasWildcard, literalWildcard, parseWildcard } from "./wildcard-parse.ts";

const STAR = 0x2a;
const SLASH = 0x2f;
const NOTHING = new Uint8Array(0);

type Shape = "never" | "any" | "equal" | "prefix" | "suffix" | "name" | "path";
type Start = "start" | "tail" | "every";

/** Where an anchored pattern begins: the directory that its rule was read in. */
export interface Base {
  /** Bytes of the directory's path from the root of the run with its slash; 0 at the root. */
  readonly length: number;
  /** Components of that path. */
  readonly depth: number;
}

export const ROOT_BASE: Base = { length: 0, depth: 0 };

export interface PatternFlags {
  /** The subject is the absolute path of the entry. */
  readonly absolute: boolean;
  readonly base: Base;
}

export class Pattern {
  readonly directoryOnly: boolean;
  readonly shape: Shape;
  /** Undefined: the pattern matches nothing. */
  readonly wildcard: Wildcard | undefined;
  /** The fixed bytes of the shapes `equal`, `prefix` and `suffix`. */
  private readonly fixed: Uint8Array;
  private readonly start: Start;
  /** Path patterns: slashes in them where those can only be matched one by one, else -1. */
  private readonly slashes: number;
  private readonly absolute: boolean;
  private readonly base: Base;
  /** Begins one byte early, at the slash in front of the path: a leading double star also stands for no directory. */
  private readonly early: boolean;
  /** Ends in three stars: a directory is matched with a slash behind its name. */
  private readonly closesDirectory: boolean;

  constructor(parts: {
    directoryOnly: boolean;
    byName: boolean;
    wildcard: Wildcard | undefined;
    start: Start;
    absolute: boolean;
    base: Base;
    early: boolean;
    closesDirectory: boolean;
  }) {
    this.directoryOnly = parts.directoryOnly;
    this.wildcard = parts.wildcard;
    this.start = parts.start;
    this.absolute = parts.absolute;
    this.base = parts.base;
    this.early = parts.early;
    this.closesDirectory = parts.closesDirectory;
    const { shape, fixed } = shapeOf(parts.wildcard, parts.byName);
    this.shape = shape;
    this.fixed = fixed;
    this.slashes = shape === "path" ? countSlashes(parts.wildcard!) : -1;
  }

  /** `name` is bytes[at, at + length) in the directory `depth` levels below the root; `path` gives the whole path. */
  matches(bytes: Uint8Array, at: number, length: number, depth: number, isDirectory: boolean, path: PathText): boolean {
    const fixed = this.fixed;
    switch (this.shape) {
      case "equal":
        return length === fixed.length && equalAt(bytes, at, fixed);
      case "suffix":
        return length >= fixed.length && equalAt(bytes, at + length - fixed.length, fixed);
      case "prefix":
        return length >= fixed.length && equalAt(bytes, at, fixed);
      case "any":
        return true;
      case "name":
        return matchWildcard(this.wildcard!, bytes, at, at + length);
      case "never":
        return false;
      case "path":
        return this.matchesPath(depth, isDirectory, path);
    }
  }

  private matchesPath(depth: number, isDirectory: boolean, path: PathText): boolean {
    const wildcard = this.wildcard!;
    const { start, slashes } = this;
    if (slashes >= 0 && !this.absolute) {
      if (start === "start" ? depth - this.base.depth !== slashes : start === "tail" && depth < slashes) return false;
    }
    const bytes = path.load();
    const end = path.end + (isDirectory && this.closesDirectory ? 1 : 0);
    const from = (this.absolute ? 1 : path.relativeAt + this.base.length) - (this.early ? 1 : 0);
    if (start === "start") return matchWildcard(wildcard, bytes, from, end);
    if (start === "tail") {
      let tail = end;
      for (let left = slashes; tail > from; tail--) if (bytes[tail - 1] === SLASH && left-- === 0) break;
      return matchWildcard(wildcard, bytes, tail, end);
    }
    if (matchWildcard(wildcard, bytes, from, end)) return true;
    for (let i = from; i < end; i++) if (bytes[i] === SLASH && matchWildcard(wildcard, bytes, i + 1, end)) return true;
    return false;
  }
}

/** A pattern of a filter rule. */
export function rsyncPattern(text: Uint8Array, flags: PatternFlags): Pattern {
  const directoryOnly = text.length > 1 && text[text.length - 1] === SLASH;
  const whole = directoryOnly ? text.subarray(0, -1) : text;
  const anchored = whole[0] === SLASH;
  const body = anchored ? whole.subarray(1) : whole;
  const deepAt = doubleStarAt(whole);
  const hasSlash = whole.includes(SLASH);
  const leadsDeep = deepAt === 0;
  const start = anchored || leadsDeep ? "start" : deepAt >= 0 ? "every" : "tail";
  let wildcard = hasWildcard(whole) ? parseWildcard(body, "rsync") : literalWildcard(body);
  // A slash inside a class is counted as a component boundary but can match none.
  if (start === "tail" && wildcard !== undefined && countSlashes(wildcard) !== slashesIn(body)) wildcard = undefined;
  return new Pattern({
    directoryOnly,
    byName: !hasSlash && deepAt < 0,
    wildcard,
    start,
    absolute: flags.absolute,
    base: anchored && !flags.absolute ? flags.base : ROOT_BASE,
    early: leadsDeep && !flags.absolute,
    closesDirectory: deepAt >= 0 && endsInThreeStars(whole),
  });
}

/** A pattern of a .gitignore line, without its `!`, read in the directory `base`. */
export function gitPattern(text: Uint8Array, base: Base): Pattern {
  const directoryOnly = text.length > 0 && text[text.length - 1] === SLASH;
  const whole = directoryOnly ? text.subarray(0, -1) : text;
  const body = whole[0] === SLASH ? whole.subarray(1) : whole;
  return new Pattern({
    directoryOnly,
    byName: !whole.includes(SLASH),
    wildcard: hasSpecial(body) ? parseWildcard(body, "git") : literalWildcard(body),
    start: "start",
    absolute: false,
    base,
    early: false,
    closesDirectory: false,
  });
}

function shapeOf(wildcard: Wildcard | undefined, byName: boolean): { shape: Shape; fixed: Uint8Array } {
  if (wildcard === undefined) return { shape: "never", fixed: NOTHING };
  if (!byName) return { shape: "path", fixed: NOTHING };
  const ops = wildcard.ops;
  const isFixed = (op: number): boolean => op < 256;
  if (ops.length === 0) return { shape: "never", fixed: NOTHING };
  if (ops.every(isFixed)) return { shape: "equal", fixed: Uint8Array.from(ops) };
  if (ops.length === 1 && ops[0] === Op.star) return { shape: "any", fixed: NOTHING };
  if (ops[0] === Op.star && ops.subarray(1).every(isFixed))
    return { shape: "suffix", fixed: Uint8Array.from(ops.subarray(1)) };
  if (ops[ops.length - 1] === Op.star && ops.subarray(0, -1).every(isFixed))
    return { shape: "prefix", fixed: Uint8Array.from(ops.subarray(0, -1)) };
  return { shape: "name", fixed: NOTHING };
}

function countSlashes(wildcard: Wildcard): number {
  let slashes = 0;
  for (const op of wildcard.ops) {
    if (op === Op.deep || op === Op.directories) return -1;
    if (op === SLASH) slashes++;
  }
  return slashes;
}

function slashesIn(text: Uint8Array): number {
  let slashes = 0;
  for (const byte of text) if (byte === SLASH) slashes++;
  return slashes;
}

function doubleStarAt(text: Uint8Array): number {
  for (let i = 0; i + 1 < text.length; i++) if (text[i] === STAR && text[i + 1] === STAR) return i;
  return -1;
}

function endsInThreeStars(text: Uint8Array): boolean {
  const end = text.length;
  return text[end - 1] === STAR && text[end - 2] === STAR && text[end - 3] === STAR;
}

function equalAt(bytes: Uint8Array, at: number, fixed: Uint8Array): boolean {
  for (let i = 0; i < fixed.length; i++) if (bytes[at + i] !== fixed[i]) return false;
  return true;
}
