/**
 * Matches bytes against a wildcard program: one operation a step, no recursion.
 *
 *     walk the operations and the text side by side
 *       a byte or class must equal the next byte; STAR and the deep ones note "come back here" and first take nothing
 *     on a mismatch
 *       let the last STAR take one byte more, as long as that is no slash
 *       else let the last DEEP take one byte more, or the last DIRECTORIES one component more
 *       else there is no match
 *
 * Only the last note of each sort is needed. What stood before a deep operation can stay where it first fitted, since
 * the deep one takes up any difference; what stood before a STAR likewise up to the next slash, and no slash can be
 * moved by a STAR. The work is therefore polynomial in the lengths, whatever the pattern.
 */

/** Operations below 256 are that byte; from CLASS on, the class of that number. */
export const Op = {
  /** Any byte but a slash. */
  one: 256,
  /** Any bytes but slashes, also none. */
  star: 257,
  /** Any bytes, also none. */
  deep: 258,
  /** Any number of whole components with their slashes, also none. */
  directories: 259,
  class: 260,
} as const;

/** A set of bytes, one bit each. */
export type ByteSet = Uint32Array;

export interface Wildcard {
  readonly ops: Int32Array;
  readonly classes: readonly ByteSet[];
}

const SLASH = 0x2f;

export function hasByte(set: ByteSet, byte: number): boolean {
  return (set[byte >> 5]! & (1 << (byte & 31))) !== 0;
}

export function matchWildcard(wildcard: Wildcard, text: Uint8Array, from: number, end: number): boolean {
  const { ops, classes } = wildcard;
  const count = ops.length;
  let step = 0;
  let at = from;
  let starStep = -1;
  let starAt = 0;
  let deepStep = -1;
  let deepAt = 0;
  let byComponent = false;
  for (;;) {
    if (step < count) {
      const op = ops[step]!;
      if (op === Op.star) {
        starStep = ++step;
        starAt = at;
        continue;
      }
      if (op === Op.deep || op === Op.directories) {
        byComponent = op === Op.directories;
        deepStep = ++step;
        if (step === count && !byComponent) return true;
        deepAt = at;
        starStep = -1;
        continue;
      }
      // Out of text while a byte is wanted: later starts would only leave less text.
      if (at === end) return false;
      const byte = text[at]!;
      if (op < 256 ? op === byte : op === Op.one ? byte !== SLASH : hasByte(classes[op - Op.class]!, byte)) {
        step++;
        at++;
        continue;
      }
    } else if (at === end) return true;

    if (starStep >= 0 && starAt < end && text[starAt] !== SLASH) {
      at = ++starAt;
      step = starStep;
      continue;
    }
    if (deepStep < 0 || deepAt >= end) return false;
    if (byComponent) {
      while (deepAt < end && text[deepAt] !== SLASH) deepAt++;
      if (deepAt === end) return false;
    }
    at = ++deepAt;
    step = deepStep;
    starStep = -1;
  }
}
