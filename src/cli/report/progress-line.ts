/** Progress as one line of text: live on a terminal, or one line a second elsewhere. */
import type { Phase } from "../../core/events.ts";
import { formatBytes, formatClock, formatCount, formatRate } from "./format.ts";
import type { RunFacts } from "./printer.ts";
import type { Progress } from "./progress-meter.ts";

/** A piece of the line; when space is short, the one with the highest `rank` goes first. */
interface Piece {
  readonly text: string;
  readonly rank: number;
}

const BAR_WIDTH = 20;

/** At most `width` columns; undefined: no limit. */
export function progressText(progress: Progress, facts: RunFacts, width?: number): string {
  const pieces = piecesOf(progress, facts).filter(({ rank }) => width !== undefined || rank !== BAR_RANK);
  while (true) {
    const text = pieces.map((piece) => piece.text).join("  ");
    if (width === undefined || text.length <= width) return text;
    if (pieces.length === 1) return text.slice(0, Math.max(0, width));
    const lowest = Math.max(...pieces.map((piece) => piece.rank));
    pieces.splice(
      pieces.findLastIndex((piece) => piece.rank === lowest),
      1,
    );
  }
}

/** Decoration: it goes first where space is short, and does not come where lines are kept. */
const BAR_RANK = 9;

function piecesOf(progress: Progress, facts: RunFacts): Piece[] {
  const { scanComplete, bytesCompared, bytesToCompare, phase } = progress;
  const onlyLooks = facts.dryRun || facts.verb === "check";
  const pieces: Piece[] = [{ text: wordOf(phase, facts, onlyLooks), rank: 0 }];
  if (!scanComplete || onlyLooks) pieces.push({ text: `${formatCount(progress.entriesExamined)} scanned`, rank: 3 });
  // Until the scan is complete, a total is only what is known so far.
  const more = scanComplete ? "" : "+";
  if (onlyLooks) {
    if (progress.different > 0) {
      const what = facts.verb === "check" ? "differ" : "would change";
      pieces.push({ text: `${formatCount(progress.different)} ${what}`, rank: 2 });
    }
  } else if (phase !== "deleting") pieces.push(...transferPieces(progress, more));
  if (bytesToCompare > 0 && (onlyLooks || bytesCompared < bytesToCompare))
    pieces.push({ text: `${formatBytes(bytesCompared)}/${formatBytes(bytesToCompare)}${more} compared`, rank: 4 });
  if (progress.deleted > 0 || progress.toDelete > 0) {
    const of = progress.toDelete > progress.deleted ? `/${formatCount(progress.toDelete)}` : "";
    pieces.push({ text: `${formatCount(progress.deleted)}${of} deleted`, rank: 2 });
  }
  if (progress.sourcesRemoved > 0) pieces.push({ text: `${formatCount(progress.sourcesRemoved)} removed`, rank: 6 });
  if (progress.failed > 0) pieces.push({ text: `${formatCount(progress.failed)} failed`, rank: 2 });
  // Deleting and finishing have their own measure, and who only looks may have nothing to compare by content.
  const isMeasured = phase === "copying" && (!onlyLooks || bytesCompared < bytesToCompare);
  if (progress.secondsLeft !== undefined && isMeasured) {
    pieces.push({ text: `${formatClock(progress.secondsLeft)} left`, rank: 3 });
  }
  return pieces;
}

function transferPieces(progress: Progress, more: string): Piece[] {
  const { filesDone, filesTotal, bytesDone, bytesTotal, bytesPerSecond, averageBytesPerSecond } = progress;
  if (filesTotal === 0) return [];
  const share = bytesTotal > 0 ? bytesDone / bytesTotal : filesDone / filesTotal;
  const pieces: Piece[] = [];
  if (more === "") {
    const full = Math.floor(share * BAR_WIDTH);
    pieces.push({ text: `${Math.floor(share * 100)}%`, rank: 1 });
    pieces.push({ text: `[${"#".repeat(full)}${"-".repeat(BAR_WIDTH - full)}]`, rank: BAR_RANK });
  }
  pieces.push({ text: `${formatCount(filesDone)}/${formatCount(filesTotal)}${more} files`, rank: 2 });
  // Links and empty files have none.
  if (bytesTotal === 0) return pieces;
  pieces.push({ text: `${formatBytes(bytesDone)}/${formatBytes(bytesTotal)}${more}`, rank: 4 });
  pieces.push({ text: formatRate(bytesPerSecond), rank: 5 });
  if (averageBytesPerSecond > 0) pieces.push({ text: `(${formatRate(averageBytesPerSecond)} average)`, rank: 8 });
  return pieces;
}

function wordOf(phase: Phase, { verb }: RunFacts, onlyLooks: boolean): string {
  if (onlyLooks) return phase === "scanning" || phase === "copying" ? "comparing" : phase;
  return phase === "copying" && verb === "move" ? "moving" : phase;
}

/** Owns the last line of a terminal. Writes nothing before it is drawn, and leaves nothing after `clear`. */
export class LiveLine {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #shown = "";
  #text: ((width: number) => string) | undefined;

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** `text`: at most so many columns, of characters that take one each. */
  draw(text: (width: number) => string): void {
    this.#text = text;
    // The last column stays free: some terminals wrap when it is written. 0 columns: the terminal does not say.
    const shown = text(Math.max(10, (this.#columns() || 80) - 1));
    if (shown === this.#shown) return;
    this.#write(`\r${shown}\u001b[K`);
    this.#shown = shown;
  }

  /**
   * The terminal has another width: what stood there may be wrapped by now. Rows above are left alone, since nobody
   * knows whether they are ours.
   */
  resized(): void {
    if (this.#shown === "" || this.#text === undefined) return;
    this.clear();
    this.draw(this.#text);
  }

  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#write("\r\u001b[K");
  }
}
