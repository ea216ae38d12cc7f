/** Finds and reads the config file and what is beside it in conf.d. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DaemonFlags } from "../core/daemon-flags.ts";
import { LIMITS } from "../core/limits.ts";
import { utf8Of } from "../core/paths.ts";
import type { Problems } from "./config-table.ts";

export const DEFAULT_DIRECTORY = "/etc/fastsync";
const CONFIG_FILE = "config.toml";
const INCLUDES = "conf.d";
/** Where a syntax error is gets found by parsing again; beyond this it is left open. */
const MAX_LINES_SEARCHED = 2000;

export interface ConfigFile {
  /** For messages. */
  readonly name: string;
  readonly isMain: boolean;
  readonly tables: Record<string, unknown>;
}

export function readConfigFiles(flags: DaemonFlags, problems: Problems): ConfigFile[] {
  const main = mainFile(flags);
  const files: ConfigFile[] = [];
  const found = readOne(main.path, true, problems);
  if (found === "missing") {
    if (main.isNamed) problems.add(main.path, "", "there is no such file");
  } else if (found !== undefined) files.push(found);
  for (const path of includes(join(dirname(main.path), INCLUDES), problems)) {
    const include = readOne(path, false, problems);
    if (include === "missing") problems.add(path, "", "there is no such file");
    else if (include !== undefined) files.push(include);
  }
  return files;
}

function mainFile({ config, configDir }: DaemonFlags): { path: string; isNamed: boolean } {
  if (config !== undefined) return { path: textOf(config), isNamed: true };
  if (configDir !== undefined) return { path: join(textOf(configDir), CONFIG_FILE), isNamed: true };
  return { path: join(DEFAULT_DIRECTORY, CONFIG_FILE), isNamed: false };
}

/** node:fs takes text; a path that is not UTF-8 would name another file, so it is one that is not found. */
function textOf(path: Uint8Array): string {
  return utf8Of(path) ?? Buffer.from(path).toString();
}

function includes(directory: string, problems: Problems): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".toml") && !name.startsWith("."));
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))).map((name) => join(directory, name));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") problems.add(directory, "", `cannot be read: ${code}`);
    return [];
  }
}

function readOne(path: string, isMain: boolean, problems: Problems): ConfigFile | "missing" | undefined {
  const bytes = contentOf(path, problems);
  if (bytes === undefined || bytes === "missing") return bytes;
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

function contentOf(path: string, problems: Problems): Uint8Array | "missing" | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) problems.add(path, "", "is not a file");
    else if (stat.size > LIMITS.configFileBytes) problems.add(path, "", "is larger than 1 MiB");
    else if ((stat.mode & 0o002) !== 0) {
      problems.add(path, "", "may be written by everybody on this machine; chmod o-w");
    } else return readFileSync(path);
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return "missing";
    problems.add(path, "", `cannot be read: ${code ?? String(error)}`);
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
