/**
 * An ordered run of rules of which the first that matches decides.
 *
 *     candidates = rules that could match a name with this first byte
 *                & rules that could match a name with this last byte
 *                & rules for this side and kind of entry                    // 32 rules a word
 *     for each candidate in order: the first whose pattern matches
 *
 * Most names have no candidate and cost three table reads a word.
 */
import type { Side } from "./filter.ts";
import type { PathText } from "./path-text.ts";
import type { Pattern } from "./pattern.ts";
import { type ByteSet, hasByte, Op } from "./wildcard.ts";

export interface Rule {
  readonly include: boolean;
  readonly pattern: Pattern;
  /** Decides about what the pattern does not match. */
  readonly negated: boolean;
  readonly onSource: boolean;
  readonly onTarget: boolean;
  /** Says nothing in a directory that is being deleted as a whole. */
  readonly perishable: boolean;
  /** What people see of it; undefined: not reported when it never decides. */
  readonly label: string | undefined;
  /** It has decided about an entry. */
  used: boolean;
}

const SLASH = 0x2f;

/** Bits of the choice of an applicability table. */
const ON_TARGET = 1;
const IS_DIRECTORY = 2;
const IS_DOOMED = 4;

export class RuleBlock {
  readonly rules: readonly Rule[];
  private readonly words: number;
  private readonly byFirst: Uint32Array;
  private readonly byLast: Uint32Array;
  private readonly applicable: Uint32Array;

  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    this.words = (rules.length + 31) >> 5;
    this.byFirst = new Uint32Array(256 * this.words);
    this.byLast = new Uint32Array(256 * this.words);
    this.applicable = new Uint32Array(8 * this.words);
    rules.forEach((rule, index) => {
      this.enter(rule, index);
    });
  }

  /** The deciding rule for bytes[at, at + length), or undefined. */
  find(
    bytes: Uint8Array,
    at: number,
    length: number,
    depth: number,
    isDirectory: boolean,
    side: Side,
    doomed: boolean,
    path: PathText,
  ): Rule | undefined {
    const words = this.words;
    const first = bytes[at]! * words;
    const last = bytes[at + length - 1]! * words;
    const kind =
      ((side === "target" ? ON_TARGET : 0) | (isDirectory ? IS_DIRECTORY : 0) | (doomed ? IS_DOOMED : 0)) * words;
    for (let word = 0; word < words; word++) {
      let candidates = this.byFirst[first + word]! & this.byLast[last + word]! & this.applicable[kind + word]!;
      while (candidates !== 0) {
        const bit = candidates & -candidates;
        const rule = this.rules[(word << 5) + 31 - Math.clz32(bit)]!;
        const pattern = rule.pattern;
        const matched =
          (isDirectory || !pattern.directoryOnly) && pattern.matches(bytes, at, length, depth, isDirectory, path);
        if (matched !== rule.negated) return rule;
        candidates ^= bit;
      }
    }
    return undefined;
  }

  private enter(rule: Rule, index: number): void {
    const word = index >> 5;
    const bit = 1 << (index & 31);
    const { first, last } = rule.negated ? ANY : edges(rule.pattern);
    for (let byte = 0; byte < 256; byte++) {
      if (hasByte(first, byte)) this.byFirst[byte * this.words + word]! |= bit;
      if (hasByte(last, byte)) this.byLast[byte * this.words + word]! |= bit;
    }
    for (let kind = 0; kind < 8; kind++) {
      if (!((kind & ON_TARGET) !== 0 ? rule.onTarget : rule.onSource)) continue;
      if ((kind & IS_DIRECTORY) === 0 && rule.pattern.directoryOnly && !rule.negated) continue;
      if ((kind & IS_DOOMED) !== 0 && rule.perishable) continue;
      this.applicable[kind * this.words + word]! |= bit;
    }
  }
}

const EVERY_BYTE: ByteSet = new Uint32Array(8).fill(0xffffffff);
const NO_BYTE: ByteSet = new Uint32Array(8);
const ANY = { first: EVERY_BYTE, last: EVERY_BYTE };
const NONE = { first: NO_BYTE, last: NO_BYTE };

/**
 * The bytes that a matching name can begin and end with. Only the operations behind the last slash count: where none
 * of them can take a slash, they match exactly the name.
 */
function edges(pattern: Pattern): { first: ByteSet; last: ByteSet } {
  const wildcard = pattern.wildcard;
  if (pattern.shape === "never" || wildcard === undefined) return NONE;
  const ops = wildcard.ops;
  let start = ops.length;
  while (start > 0 && ops[start - 1] !== SLASH && ops[start - 1] !== Op.directories) start--;
  if (start === ops.length) return NONE;
  const ofOp = (op: number): ByteSet => {
    if (op < 256) {
      const set = new Uint32Array(8);
      set[op >> 5] = 1 << (op & 31);
      return set;
    }
    return op >= Op.class ? wildcard.classes[op - Op.class]! : EVERY_BYTE;
  };
  const deep = ops.subarray(start).includes(Op.deep);
  return { first: deep ? EVERY_BYTE : ofOp(ops[start]!), last: ofOp(ops[ops.length - 1]!) };
}
