/** Progress as one line of text: live on a terminal, or one line a second elsewhere. */
import { formatBytes, formatClock, formatCount, formatRate } from "./format.ts";
import type { Progress } from "./progress-meter.ts";

/** A piece of the line; when space is short, the one with the highest `rank` goes first. */
interface Piece {
  readonly text: string;
  readonly rank: number;
}

/** At most `width` characters; undefined: no limit. */
export function progressText(progress: Progress, width?: number): string {
  const pieces = piecesOf(progress);
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

function piecesOf(progress: Progress): Piece[] {
  const { scanComplete, filesDone, filesTotal, bytesDone, bytesTotal } = progress;
  const pieces: Piece[] = [{ text: progress.phase, rank: 0 }];
  if (!scanComplete) pieces.push({ text: `${formatCount(progress.entriesExamined)} scanned`, rank: 3 });
  if (filesTotal > 0) {
    // Until the scan is complete, the total is only what is known so far.
    const more = scanComplete ? "" : "+";
    pieces.push({ text: `${formatCount(filesDone)}/${formatCount(filesTotal)}${more} files`, rank: 2 });
    pieces.push({ text: `${formatBytes(bytesDone)}/${formatBytes(bytesTotal)}${more}`, rank: 4 });
    const share = bytesTotal > 0 ? bytesDone / bytesTotal : filesDone / filesTotal;
    if (scanComplete) pieces.push({ text: `${Math.floor(share * 100)}%`, rank: 1 });
    pieces.push({ text: formatRate(progress.bytesPerSecond), rank: 5 });
  }
  if (progress.deleted > 0) pieces.push({ text: `${formatCount(progress.deleted)} deleted`, rank: 6 });
  if (progress.failed > 0) pieces.push({ text: `${formatCount(progress.failed)} failed`, rank: 2 });
  if (progress.secondsLeft !== undefined && progress.phase === "copying") {
    pieces.push({ text: `${formatClock(progress.secondsLeft)} left`, rank: 3 });
  }
  return pieces;
}

/** Owns the last line of a terminal. Writes nothing before `draw`, and leaves nothing after `clear`. */
export class LiveLine {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #shown = "";

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  draw(progress: Progress): void {
    // The last column stays free: some terminals wrap when it is written. 0 columns: the terminal does not say.
    const text = progressText(progress, Math.max(10, (this.#columns() || 80) - 1));
    if (text === this.#shown) return;
    this.#write(`\r${text}\u001b[K`);
    this.#shown = text;
  }

  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#write("\r\u001b[K");
  }
}
