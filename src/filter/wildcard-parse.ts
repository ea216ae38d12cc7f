/**
 * Turns the text of a pattern into a wildcard program. Two dialects differ in `**` only:
 *
 * - `rsync`: two or more stars take anything, slashes included, wherever they stand.
 * - `git`: they do so only as a whole component (`**` followed by a slash: any directories, also none; at the end:
 *   everything below); elsewhere they are one star.
 *
 * Common: `?`, `*`, `[a-z]` with `!` or `^` as negation, `[:alpha:]` and its like, a backslash that takes the next
 * byte literally. No class contains the slash. Text that is no valid pattern (a class without end or of unknown name,
 * a backslash at the end) matches nothing: the answer is undefined.
 */
import { type ByteSet, Op, type Wildcard } from "./wildcard.ts";

export type Dialect = "rsync" | "git";

const STAR = 0x2a;
const SLASH = 0x2f;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE = 0x5d;
const CARET = 0x5e;
const BANG = 0x21;
const DASH = 0x2d;
const COLON = 0x3a;

/** Says whether the text has a wildcard at all; without one every byte, also a backslash, stands for itself. */
export function hasWildcard(text: Uint8Array): boolean {
  return text.includes(STAR) || text.includes(QUESTION) || text.includes(OPEN);
}

/** Also counts the backslash, as git does. */
export function hasSpecial(text: Uint8Array): boolean {
  return hasWildcard(text) || text.includes(BACKSLASH);
}

export function literalWildcard(text: Uint8Array): Wildcard {
  return { ops: Int32Array.from(text), classes: [] };
}

export function parseWildcard(text: Uint8Array, dialect: Dialect): Wildcard | undefined {
  const ops: number[] = [];
  const classes: ByteSet[] = [];
  let at = 0;
  while (at < text.length) {
    const byte = text[at]!;
    if (byte === STAR) {
      let end = at + 1;
      while (text[end] === STAR) end++;
      at = end + pushStars(ops, text, at, end, dialect);
    } else if (byte === QUESTION) {
      ops.push(Op.one);
      at++;
    } else if (byte === OPEN) {
      const set = new Uint32Array(8);
      const end = parseClass(text, at + 1, set);
      if (end < 0) return undefined;
      ops.push(Op.class + classes.length);
      classes.push(set);
      at = end;
    } else if (byte === BACKSLASH) {
      if (at + 1 === text.length) return undefined;
      ops.push(text[at + 1]!);
      at += 2;
    } else {
      ops.push(byte);
      at++;
    }
  }
  return { ops: Int32Array.from(ops), classes };
}

/** Adds the operation of the stars in [from, end); returns how many bytes behind them it has taken as well. */
function pushStars(ops: number[], text: Uint8Array, from: number, end: number, dialect: Dialect): number {
  if (end - from === 1) ops.push(Op.star);
  else if (dialect === "rsync") ops.push(Op.deep);
  else {
    // git compares the fixed bytes in front of the first wildcard apart, and so takes what follows for a beginning.
    const opens = text[from - 1] === SLASH || !hasSpecial(text.subarray(0, from));
    if (opens && text[end] === SLASH) {
      ops.push(Op.directories);
      return 1;
    }
    const escapedSlash = text[end] === BACKSLASH && text[end + 1] === SLASH;
    ops.push(opens && (end === text.length || escapedSlash) ? Op.deep : Op.star);
  }
  return 0;
}

/** Reads a class from behind its `[`; returns the offset behind its `]`, or -1. */
function parseClass(text: Uint8Array, start: number, set: ByteSet): number {
  let at = start;
  const negated = text[at] === BANG || text[at] === CARET;
  if (negated) at++;
  const first = at;
  let previous = -1;
  for (;;) {
    if (at >= text.length) return -1;
    let byte = text[at]!;
    if (byte === CLOSE && at > first) break;
    if (byte === DASH && previous >= 0 && at + 1 < text.length && text[at + 1] !== CLOSE) {
      at++;
      if (text[at] === BACKSLASH) at++;
      if (at >= text.length) return -1;
      for (let member = previous; member <= text[at]!; member++) addByte(set, member);
      previous = -1;
      at++;
      continue;
    }
    if (byte === OPEN && text[at + 1] === COLON) {
      const close = text.indexOf(CLOSE, at + 2);
      if (close < 0) return -1;
      if (close > at + 2 && text[close - 1] === COLON) {
        if (!addNamed(set, text.subarray(at + 2, close - 1))) return -1;
        previous = -1;
        at = close + 1;
        continue;
      }
    } else if (byte === BACKSLASH) {
      at++;
      if (at >= text.length) return -1;
      byte = text[at]!;
    }
    addByte(set, byte);
    previous = byte;
    at++;
  }
  if (negated) for (let word = 0; word < set.length; word++) set[word] = ~set[word]!;
  set[SLASH >> 5]! &= ~(1 << (SLASH & 31));
  return at + 1;
}

function addByte(set: ByteSet, byte: number): void {
  set[byte >> 5]! |= 1 << (byte & 31);
}

/** Inclusive ranges of the ASCII classes, as isalpha(3) and the others answer in the C locale. */
const NAMED: Readonly<Record<string, readonly number[]>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  blank: [0x09, 0x09, 0x20, 0x20],
  cntrl: [0x00, 0x1f, 0x7f, 0x7f],
  digit: [0x30, 0x39],
  graph: [0x21, 0x7e],
  lower: [0x61, 0x7a],
  print: [0x20, 0x7e],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};

function addNamed(set: ByteSet, name: Uint8Array): boolean {
  const key = String.fromCharCode(...name);
  if (!Object.hasOwn(NAMED, key)) return false;
  const ranges = NAMED[key]!;
  for (let i = 0; i < ranges.length; i += 2)
    for (let byte = ranges[i]!; byte <= ranges[i + 1]!; byte++) addByte(set, byte);
  return true;
}
