/** Sizes, times and counts as people write them. What cannot be understood is refused with examples. */
import { bytesOf, printable } from "../../core/paths.ts";
import { formatBytes } from "../report/format.ts";
import { UsageError } from "./usage-error.ts";

const POWERS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes. K, M, G, T, P and KiB ... are powers of 1024; KB ... are powers of 1000; decimals are fine: `1.5G`. */
export function parseSize(text: string, flag: string): number {
  const [, whole, fraction = "", power = "", unit = ""] = /^(\d*)(?:\.(\d+))?([kmgtp]?)(ib|b)?$/i.exec(text) ?? [];
  const isNumber = whole !== undefined && whole + fraction !== "" && !(power === "" && unit.toLowerCase() === "ib");
  // In whole numbers: 1.005 MB is 1,005,000 bytes, of which binary fractions make one less.
  const base = power !== "" && unit.toLowerCase() === "b" ? 1000n : 1024n;
  const bytes = isNumber
    ? (BigInt(whole + fraction) * base ** BigInt(POWERS[power.toLowerCase()]!)) / 10n ** BigInt(fraction.length)
    : -1n;
  if (bytes < 0n || bytes > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(
      `--${flag}: ${shown(text)} is not a size`,
      "Sizes look like 4096, 64K, 1.5G, 10MB (1000s) or 10MiB (1024s).",
    );
  }
  return Number(bytes);
}

/** A size from `fewest` to `most` bytes. */
export function parseSizeWithin(text: string, flag: string, fewest: number, most: number): number {
  const bytes = parseSize(text, flag);
  if (bytes >= fewest && bytes <= most) return bytes;
  throw new UsageError(`--${flag}: ${shown(text)} is not from ${formatBytes(fewest)} to ${formatBytes(most)}`);
}

/** Whole numbers of at least `min` and at most `max`. */
export function parseCount(text: string, flag: string, min: number, max: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= min && count <= max)) {
    throw new UsageError(`--${flag}: ${shown(text)} is not a whole number from ${min} to ${max}`);
  }
  return count;
}

const WINDOW_UNITS: Readonly<Record<string, number>> = { "": 1e9, s: 1e9, ms: 1e6, us: 1e3, ns: 1 };

/** Nanoseconds, of a number of seconds or of a number with a unit. */
export function parseWindow(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(s|ms|us|ns)?$/.exec(text);
  const nanoseconds = match === null ? Number.NaN : Math.round(Number(match[1]) * WINDOW_UNITS[match[2] ?? ""]!);
  if (!Number.isSafeInteger(nanoseconds)) {
    throw new UsageError(
      `--${flag}: ${shown(text)} is not a span of time`,
      "Spans look like 2 (seconds), 0.5, 100ms, 1us or 10ns.",
    );
  }
  return nanoseconds;
}

/** Milliseconds, of a number of seconds. */
export function parseSeconds(text: string, flag: string): number {
  const seconds = /^(\d+(\.\d+)?|\.\d+)s?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (!(seconds <= 86_400)) {
    throw new UsageError(
      `--${flag}: ${shown(text)} is not a number of seconds`,
      "Seconds look like 5 or 0.5, up to 86400 (a day).",
    );
  }
  return Math.round(seconds * 1000);
}

const AGE_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 7 * 86_400,
  y: 365 * 86_400,
};

/** The moment, in seconds since 1970, that lies `text` before `nowSeconds`, or that the date `text` names. */
export function parseAge(text: string, flag: string, nowSeconds: number): number {
  const age = /^(\d+(?:\.\d+)?)([smhdwy])$/.exec(text);
  if (age !== null) return nowSeconds - Number(age[1]) * AGE_SECONDS[age[2]!]!;
  const date = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/.exec(text);
  // A date alone is read by the language as midnight in UTC; people mean midnight where they are.
  const moment = date === null ? Number.NaN : Date.parse(date[1] === undefined ? `${text}T00:00:00` : text);
  if (Number.isNaN(moment) || !dayExists(text)) {
    throw new UsageError(
      `--${flag}: ${shown(text)} is not an age`,
      "Ages look like 90s, 15m, 2h, 7d, 4w or 1y; dates like 2024-12-31 or 2024-12-31T18:00:00Z.",
    );
  }
  return moment / 1000;
}

/** Some engines take 2024-02-31 for the second of March. */
function dayExists(text: string): boolean {
  const [year, month, day] = text.slice(0, 10).split("-").map(Number);
  const date = new Date(Date.UTC(year!, month! - 1, day!));
  return date.getUTCMonth() === month! - 1 && date.getUTCDate() === day;
}

export type DeleteLimit = { kind: "count"; count: number } | { kind: "percent"; percent: number };

/** `25` entries or `10%` of the target. */
export function parseDeleteLimit(text: string, flag: string): DeleteLimit {
  const match = /^(\d{1,15}(?:\.\d+)?)(%?)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]);
  if (match?.[2] === "%" && value <= 100) return { kind: "percent", percent: value };
  if (match?.[2] === "" && Number.isSafeInteger(value)) return { kind: "count", count: value };
  throw new UsageError(
    `--${flag}: ${shown(text)} is not a limit`,
    "Limits look like 25 (entries) or 10% (of the target, up to 100%).",
  );
}

function shown(text: string): string {
  return `'${printable(bytesOf(text))}'`;
}
