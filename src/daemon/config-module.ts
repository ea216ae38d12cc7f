/** `[[module]]` and the lists of addresses in it. */

import { isTable, type Problems, shownValue, TableReader } from "../config/table.ts";
import { type IpNetwork, parseNetwork } from "../core/ip.ts";
import { LIMITS } from "../core/limits.ts";
import { bytesOf } from "../core/paths.ts";
import type { ModuleConfig } from "./config.ts";

export const MAX_SESSIONS = { min: 1, max: 4096 };

/** undefined: nothing can be said of a module without name or path; the problems are noted. */
export function readModule(problems: Problems, file: string, table: unknown, number: number): ModuleConfig | undefined {
  const reader = new TableReader(problems, file, `module ${number}.`, table);
  if (!isTable(table)) return undefined;
  const name = moduleName(reader);
  const known = name === undefined ? reader : new TableReader(problems, file, `module ${shownValue(name)}.`, table);
  return readNamed(known, name);
}

function readNamed(reader: TableReader, name: string | undefined): ModuleConfig | undefined {
  reader.raw("name");
  const path = modulePath(reader);
  const module = {
    comment: reader.string("comment") ?? "",
    access: moduleAccess(reader),
    list: reader.boolean("list") ?? true,
    allow: networks(reader, "allow"),
    deny: networks(reader, "deny") ?? [],
    maxSessions: reader.integer("max_sessions", MAX_SESSIONS),
    stripSetid: reader.boolean("strip_setid") ?? true,
    allowDevices: reader.boolean("allow_devices") ?? false,
    allowSpecials: reader.boolean("allow_specials") ?? false,
  };
  reader.finish();
  return name === undefined || path === undefined ? undefined : { name, path, ...module };
}

function moduleName(reader: TableReader): string | undefined {
  const name = reader.string("name");
  if (!reader.has("name")) reader.problem("name", "is missing");
  if (name === undefined) return undefined;
  const problem = nameProblem(name);
  if (problem === undefined) return name;
  reader.problem("name", `${shownValue(name)} ${problem}`);
  return undefined;
}

function nameProblem(name: string): string | undefined {
  if (name === "") return "is empty";
  if (name === "." || name === "..") return "names a directory, not a module";
  if (name.includes("/")) return "has a slash, which ends a module's name";
  if (/[\u0000-\u001f\u007f-\u009f]/.test(name)) return "has a control character";
  if (bytesOf(name).length > LIMITS.moduleNameBytes) return `is longer than ${LIMITS.moduleNameBytes} bytes`;
  return undefined;
}

function modulePath(reader: TableReader): Uint8Array | undefined {
  if (!reader.has("path")) reader.problem("path", "is missing");
  return absolutePath(reader, "path");
}

export function absolutePath(reader: TableReader, key: string): Uint8Array | undefined {
  const path = reader.string(key);
  if (path === undefined) return undefined;
  if (path.startsWith("/") && !path.includes("\0")) return bytesOf(path);
  reader.problem(key, `${shownValue(path)} is not absolute; it begins with /`);
  return undefined;
}

/** Read-only unless said otherwise; write_only says otherwise by itself. */
function moduleAccess(reader: TableReader): ModuleConfig["access"] {
  const readOnly = reader.boolean("read_only");
  const writeOnly = reader.boolean("write_only") ?? false;
  if (readOnly === true && writeOnly) reader.problem("write_only", "contradicts read_only; leave one out");
  if (writeOnly) return "write_only";
  return readOnly === false ? "read_write" : "read_only";
}

function networks(reader: TableReader, key: string): readonly IpNetwork[] | undefined {
  return reader.strings(key)?.flatMap((text) => {
    const network = parseNetwork(text);
    if (typeof network !== "string") return [network];
    reader.problem(key, `${shownValue(text)} ${network}`);
    return [];
  });
}
