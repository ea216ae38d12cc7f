/** What verbs that look print for people. Names reach the terminal escaped. */
import type { Entries } from "../../core/admin-calls.ts";
import { FileType } from "../../core/entry-batch.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { formatBytes, formatCount } from "../report/format.ts";
import type { OwnerNames } from "./records.ts";

const LETTERS: Readonly<Record<number, string>> = {
  [FileType.regular]: "-",
  [FileType.directory]: "d",
  [FileType.symlink]: "l",
  [FileType.fifo]: "p",
  [FileType.socket]: "s",
  [FileType.charDevice]: "c",
  [FileType.blockDevice]: "b",
};

/** `drwxr-sr-x`, as ls(1) has it. */
export function modeText(mode: number): string {
  const bits = (shift: number, special: number, letter: string): string => {
    const three = (mode >> shift) & 7;
    const execute = (three & 1) !== 0;
    const last = (mode & special) !== 0 ? (execute ? letter : letter.toUpperCase()) : execute ? "x" : "-";
    return `${three & 4 ? "r" : "-"}${three & 2 ? "w" : "-"}${last}`;
  };
  return `${LETTERS[mode & FileType.mask] ?? "?"}${bits(6, 0o4000, "s")}${bits(3, 0o2000, "s")}${bits(0, 0o1000, "t")}`;
}

export type SizeText = (bytes: number) => string;

export function sizeText(exact: boolean): SizeText {
  return exact ? String : formatBytes;
}

/** Columns that only grow, so that parts of one listing stand below each other. */
export class Columns {
  readonly #widths: number[];

  constructor(...widths: number[]) {
    this.#widths = widths;
  }

  /** `left`: columns that are not numbers. The last cell has no width. */
  lines(rows: readonly (readonly string[])[], left: ReadonlySet<number> = new Set()): string[] {
    for (const row of rows)
      row.forEach((cell, at) => {
        if (at < row.length - 1) this.#widths[at] = Math.max(this.#widths[at] ?? 0, cell.length);
      });
    return rows.map((row) =>
      row
        .map((cell, at) => {
          if (at === row.length - 1) return cell;
          return left.has(at) ? cell.padEnd(this.#widths[at]!) : cell.padStart(this.#widths[at]!);
        })
        .join("  "),
    );
  }
}

export const LONG_LEFT = new Set([0, 2, 3, 5]);

/** Mode, names, owner, group, size, time and name, for `Columns`. */
export function longRow(entries: Entries, at: number, shown: Uint8Array, names: OwnerNames, size: SizeText): string[] {
  const mode = entries.modes[at]!;
  const link = entries.links[at];
  const isLink = (mode & FileType.mask) === FileType.symlink && link !== undefined;
  const owner = (id: number, name: string | undefined): string => (name === undefined ? String(id) : plainText(name));
  return [
    modeText(mode),
    formatCount(entries.linkCounts[at]!),
    owner(entries.uids[at]!, names.user(entries.uids[at]!)),
    owner(entries.gids[at]!, names.group(entries.gids[at]!)),
    size(entries.sizes[at]!),
    localTime(entries.mtimeSeconds[at]!),
    `${nameText(shown, mode)}${isLink ? ` -> ${printable(link)}` : ""}`,
  ];
}

/** A slash behind directories, as `ls -p` has it. */
export function nameText(shown: Uint8Array, mode: number): string {
  const isDirectory = (mode & FileType.mask) === FileType.directory && shown.at(-1) !== 0x2f;
  return `${printable(shown)}${isDirectory ? "/" : ""}`;
}

function plainText(text: string): string {
  return printable(bytesOf(text));
}

/** Of this machine's clock: `2024-01-02 03:04:05`. */
export function localTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "?";
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.ceil((part / whole) * 100)}%` : "-";
}
