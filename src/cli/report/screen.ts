/**
 * Where lines end that people read: on a terminal before its edge, between words, what goes on indented; elsewhere
 * nowhere, so that a record is one line for grep(1) and its like.
 */
import type { Output } from "./output.ts";

/** Of a terminal that does not tell. */
const USUAL = 80;
/** Longer lines of prose are hard to read, however wide the window is. */
const PROSE_MOST = 120;
/** A column of text that is narrower than this is a tower of words. */
const LEAST_ROOM = 20;
const INDENT = 4;
const GAP = 2;

/** Columns up to which lines may go: those of the terminal, or infinity. A stream is asked only where it is a terminal. */
export function widthOf({ isTerminal }: Output, stream: "stdout" | "stderr" = "stdout"): number {
  return isTerminal ? process[stream].columns || USUAL : Number.POSITIVE_INFINITY;
}

/** The same for prose. */
export function proseWidthOf(output: Output, stream: "stdout" | "stderr" = "stdout"): number {
  const width = widthOf(output, stream);
  return Number.isFinite(width) ? Math.min(width, PROSE_MOST) : width;
}

/** The text behind its head, its further lines below its first one; where that is too narrow for it, less far in. */
export function hanging(head: string, text: string, width: number): string[] {
  const room = width - head.length;
  const isNarrow = text.length > room && (room < LEAST_ROOM || longestWord(text) > room);
  return isNarrow && head.length > INDENT ? [head.trimEnd(), ...indented(text, width)] : beside(head, text, width);
}

export function longestWord(text: string): number {
  return Math.max(...text.split(" ").map(({ length }) => length));
}

/** The text behind its head, whatever room there is. */
export function beside(head: string, text: string, width: number): string[] {
  const [first = "", ...rest] = wrap(text, width - head.length);
  return [head + first, ...rest.map((line) => " ".repeat(head.length) + line)];
}

/** The text with its further lines a little in. */
export function flowing(text: string, width: number): string[] {
  return wrap(text, width - GAP).map((line, at) => (at === 0 ? line : " ".repeat(GAP) + line));
}

/** The text with all of its lines a little in. */
export function indented(text: string, width: number): string[] {
  return wrap(text, width - INDENT).map((line) => " ".repeat(INDENT) + line);
}

/**
 * Rows in columns, of which the last is text. What does not fit beside the columns before it stands below them, in all
 * rows alike. `numbers`: columns that stand at their right. `least`: widths that columns have at least, where rows come in
 * several parts.
 */
export function tableLines(
  rows: readonly (readonly string[])[],
  width: number,
  numbers: ReadonlySet<number> = new Set(),
  least: readonly number[] = [],
): string[] {
  const last = (rows[0]?.length ?? 1) - 1;
  const widths = Array.from({ length: last }, (_, column) =>
    Math.max(least[column] ?? 0, ...rows.map((row) => row[column]!.length)),
  );
  const groups = groupsOf([...widths, roomOf(rows.map((row) => row[last] ?? ""))], width);
  return rows.flatMap((row) =>
    groups.flatMap((columns, line) => {
      const indent = line === 0 ? "" : " ".repeat(INDENT);
      const cells = columns
        .filter((column) => column < last)
        .map((column) =>
          numbers.has(column) ? row[column]!.padStart(widths[column]!) : row[column]!.padEnd(widths[column]!),
        );
      if (!columns.includes(last)) return [(indent + cells.join(" ".repeat(GAP))).trimEnd()];
      const head = indent + cells.map((cell) => cell + " ".repeat(GAP)).join("");
      const text = row[last] ?? "";
      return text === "" ? [head.trimEnd()] : beside(head, text, width);
    }),
  );
}

/** What a column of texts needs: all of them whole, or enough for words, and for the longest. */
function roomOf(texts: readonly string[]): number {
  const whole = Math.max(0, ...texts.map((text) => text.length));
  return Math.min(whole, Math.max(LEAST_ROOM, ...texts.map(longestWord)));
}

/** Which columns stand on one line, from the left. */
function groupsOf(widths: readonly number[], width: number): number[][] {
  const groups: number[][] = [[]];
  let used = 0;
  for (const [column, needed] of widths.entries()) {
    const group = groups[groups.length - 1]!;
    const gap = group.length === 0 ? 0 : GAP;
    if (group.length > 0 && used + gap + needed > width) {
      groups.push([column]);
      used = INDENT + needed;
    } else {
      group.push(column);
      used += gap + needed;
    }
  }
  return groups;
}

/** Lines of whole words; a word that is longer than the width stands alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
