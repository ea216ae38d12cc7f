/**
 * What a peer tells for people and scripts ends on terminals, in logs and in NDJSON. Text steers nothing, words are words,
 * counts are counts; where one is not, it is replaced and not refused: the run itself has nothing to do with it.
 */
import { bytesOf, printable } from "../core/paths.ts";

/** With everything escaped that could steer a terminal. */
export function told(text: string): string {
  return printable(bytesOf(text));
}

/** A stable word such as `no_space`; `otherwise` for what is none. */
export function toldWord(word: string, otherwise: string): string {
  return /^[a-z][a-z_]{0,63}$/.test(word) ? word : otherwise;
}

/** A whole number from 0 on; 0 for what is none. */
export function toldCount(count: number): number {
  return Number.isSafeInteger(count) && count >= 0 ? count : 0;
}
