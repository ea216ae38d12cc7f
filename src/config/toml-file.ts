/** Reads configuration files: TOML, of a size and with permissions that a configuration may have. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoText } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import { utf8Of } from "../core/paths.ts";
import type { Problems } from "./table.ts";

/** The directory of the whole machine's configuration: the daemon's, and what every user's runs begin with. */
export const SYSTEM_DIRECTORY = "/etc/fastsync";
export const CONFIG_FILE = "config.toml";
/** Beside the main file: more of them, read in the order of their names. */
export const INCLUDES = "conf.d";
/** Where a syntax error is gets found by parsing again; beyond this it is left open. */
const MAX_LINES_SEARCHED = 2000;

export interface ConfigFile {
  /** For messages. */
  readonly name: string;
  readonly isMain: boolean;
  readonly tables: Record<string, unknown>;
}

export interface FileRules {
  /**
   * Whether the file has to belong to root or to who runs this: for files that are read because of where they are, and
   * not because the operator named them.
   */
  readonly owned?: boolean;
  /** Whether one that may not be read is as good as none: secrets of the daemon may stand beside what is for everybody. */
  readonly mayBePrivate?: boolean;
}

/** The `.toml` files of a conf.d, sorted by the bytes of their names; none when there is nothing of that name. */
export function includes(directory: string, problems: Problems): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".toml") && !name.startsWith("."));
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).map((name) => join(directory, name));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOTDIR" && existsSync(directory)) problems.add(directory, "", "is not a directory");
    else if (code !== "ENOENT" && code !== "ENOTDIR") problems.add(directory, "", `cannot be read: ${code}`);
    return [];
  }
}

/** `undefined`: there is something wrong with it, which `problems` has. "private": see `mayBePrivate`. */
export function readTomlFile(
  path: string,
  isMain: boolean,
  problems: Problems,
  rules: FileRules = {},
): ConfigFile | "missing" | "private" | undefined {
  const bytes = contentOf(path, problems, rules);
  if (bytes === undefined || typeof bytes === "string") return bytes;
  const text = utf8Of(bytes)?.replace(/^\ufeff/, "");
  if (text === undefined) {
    problems.add(path, "", "is not UTF-8, which TOML is written in");
    return undefined;
  }
  try {
    return { name: path, isMain, tables: Bun.TOML.parse(text) as Record<string, unknown> };
  } catch (error) {
    const message = messageOf(error);
    const line = lineOf(text, message);
    problems.add(path, line === undefined ? "" : `line ${line}`, message.replace(/^TOML Parse error: /, ""));
    return undefined;
  }
}

function contentOf(path: string, problems: Problems, rules: FileRules): Uint8Array | "missing" | "private" | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) problems.add(path, "", "is not a file");
    else if (stat.size > LIMITS.configFileBytes) problems.add(path, "", "is larger than 1 MiB");
    else if ((stat.mode & 0o002) !== 0) {
      problems.add(path, "", "may be written by everybody on this machine; chmod o-w");
    } else if (rules.owned && stat.uid !== 0 && stat.uid !== process.geteuid?.()) {
      problems.add(path, "", `belongs to another user (${stat.uid}), who would decide what this run does`);
    } else return readFileSync(path);
    return undefined;
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    if (code === "EACCES" && rules.mayBePrivate) return "private";
    problems.add(path, "", `cannot be read: ${errno === undefined ? String(error) : `${errnoText(errno)} (${code})`}`);
    return undefined;
  }
}

/**
 * The parser does not tell the line. It is the last one of the shortest beginning from which on every longer one fails
 * in the same way.
 */
function lineOf(text: string, message: string): number | undefined {
  const lines = text.replace(/\n+$/, "").split("\n");
  if (lines.length > MAX_LINES_SEARCHED) return undefined;
  let line = lines.length;
  while (line > 1 && failureOf(lines.slice(0, line - 1).join("\n")) === message) line--;
  return line;
}

function failureOf(text: string): string | undefined {
  try {
    Bun.TOML.parse(text);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
