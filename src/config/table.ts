/**
 * Reads one table of a configuration file, value by value. What is wrong is noted with file and key and a default stands in,
 * so that one reading finds everything that has to be put right.
 */
import { nearest } from "../core/nearest.ts";
import { bytesOf, printable } from "../core/paths.ts";

/** Tables of one file that serve two readers: a daemon, and every run that somebody starts. */
export const DAEMON_TABLES = ["daemon", "module", "delegation"] as const;
export const CLIENT_TABLES = ["global", "profiles", "remotes"] as const;

export class Problems {
  readonly list: string[] = [];

  /** `where`: a file or a flag. */
  add(where: string, key: string, problem: string): void {
    this.list.push(safe(key === "" ? `${where}: ${problem}` : `${where}: ${key}: ${problem}`));
  }
}

export interface NumberRange {
  readonly min: number;
  readonly max: number;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

export class TableReader {
  readonly problems: Problems;
  readonly file: string;
  /** Before each key in messages: `daemon.` or `module "x".`. */
  readonly prefix: string;
  readonly #table: Readonly<Record<string, unknown>>;
  readonly #asked = new Set<string>();

  constructor(problems: Problems, file: string, prefix: string, table: unknown) {
    this.problems = problems;
    this.file = file;
    this.prefix = prefix;
    if (isTable(table)) {
      this.#table = table;
      return;
    }
    this.#table = {};
    if (table !== undefined) problems.add(file, prefix.replace(/\.$/, ""), `is ${kindOf(table)}, not a table`);
  }

  has(key: string): boolean {
    return Object.hasOwn(this.#table, key);
  }

  problem(key: string, text: string): void {
    this.problems.add(this.file, this.prefix + key, text);
  }

  /** Any value, for those who know its form themselves. */
  raw(key: string): unknown {
    this.#asked.add(key);
    return this.has(key) ? this.#table[key] : undefined;
  }

  string(key: string): string | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "string") return value;
    this.problem(key, `is ${kindOf(value)}, not a string`);
    return undefined;
  }

  boolean(key: string): boolean | undefined {
    const value = this.raw(key);
    if (value === undefined || typeof value === "boolean") return value;
    this.problem(key, `is ${kindOf(value)}, not true or false`);
    return undefined;
  }

  integer(key: string, { min, max }: NumberRange): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    this.problem(key, `is ${shownValue(value)}, not a whole number from ${min} to ${max}`);
    return undefined;
  }

  /** Milliseconds. */
  duration(key: string, { min, max }: NumberRange): number | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    const [, digits, unit] = typeof value === "string" ? (/^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(value) ?? []) : [];
    const ms = digits === undefined ? Number.NaN : Math.round(Number(digits) * UNITS_MS[unit!]!);
    if (ms >= min && ms <= max) return ms;
    const range = `from ${min} ms to ${max / 1000} s`;
    this.problem(key, `is ${shownValue(value)}, not a span of time ${range} such as "500ms", "10s" or "2m"`);
    return undefined;
  }

  choice<T extends string>(key: string, choices: readonly T[]): T | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) {
      this.problem(key, `is ${shownValue(value)}, not ${choices.map((choice) => `"${choice}"`).join(" or ")}`);
    }
    return found;
  }

  /** A list of strings; where `alone`, one string stands for a list of one. */
  strings(key: string, { alone = false } = {}): readonly string[] | undefined {
    const value = this.raw(key);
    if (value === undefined) return undefined;
    if (alone && typeof value === "string") return [value];
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
    const wrong = Array.isArray(value) ? value.find((item) => typeof item !== "string") : value;
    const found = Array.isArray(value) ? `holds ${kindOf(wrong)}` : `is ${kindOf(wrong)}`;
    this.problem(key, `${found}, not ${alone ? "a string or " : ""}a list of strings`);
    return undefined;
  }

  /** Keys that nobody asked for yet. */
  unasked(): string[] {
    return Object.keys(this.#table).filter((key) => !this.#asked.has(key));
  }

  /** Says what nobody asked for. To be called when everything was. */
  finish(): void {
    const known = [...this.#asked];
    for (const key of this.unasked()) {
      const meant = nearest(key, known);
      this.problem(key, `unknown key${meant === undefined ? "" : `; did you mean ${meant}?`}`);
    }
  }
}

export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

export function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isTable(value)) return "a table";
  if (typeof value === "object") return "a date or time";
  return typeof value === "boolean" ? "true or false" : `a ${typeof value}`;
}

export function shownValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : kindOf(value);
}

/** Keys and values come from a file; what is printed of them must not reach the terminal as commands. */
export function safe(text: string): string {
  return printable(bytesOf(text));
}
