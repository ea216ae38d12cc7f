/**
 * Takes out of texts for a bug report what is nobody's business. What may stay is listed; the rest goes: who forgets a
 * kind of secret in such a list shows too little, not too much.
 */
import { hostname, userInfo } from "node:os";
import type { SettingValue } from "../settings/layer.ts";

export interface Private {
  readonly home: string | undefined;
  /** Names of the account and of the machine. */
  readonly names: readonly string[];
}

export function privateFacts(env: Readonly<Record<string, string | undefined>>): Private {
  const names = [env["USER"], env["LOGNAME"], env["SUDO_USER"], env["HOSTNAME"], hostname(), accountName()];
  const long = names.flatMap((name) => (name === undefined || name.length < 2 || COMMON.has(name) ? [] : [name]));
  return { home: env["HOME"], names: [...new Set(long)].sort((a, b) => b.length - a.length) };
}

/** Names that say nothing of anybody, and words of every text. */
const COMMON = new Set(["root", "localhost", "user", "nobody", "admin", "host"]);

function accountName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}

/** Paths below these are the same on many machines. */
const SYSTEM_PATHS =
  /^\/(?:(?:proc|sys|usr|lib|lib64|bin|sbin|dev\/shm|nix\/store)(?:\/|$)|etc\/fastsync(?:\/config\.toml)?$)/;

export function redacted(text: string, { home, names }: Private): string {
  let out = text
    // URLs first: what follows the scheme may be anything.
    .replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, (url) => `${url.slice(0, url.indexOf("://"))}://(left out)`)
    .replace(/\S+@\S+/g, "(left out)")
    // Of another machine: whom its daemon runs as.
    .replace(/(?<=denied to user )[^\s,;:]+/g, "(name)");
  if (home !== undefined && home.length > 1) out = out.replaceAll(home, "~");
  out = out
    .replace(/~(?=\/)[^\s'",;)]*/g, "~/(left out)")
    .replace(/(?<![\w~.)])\/[^\s'",;()]+/g, (found) => {
      const path = found.replace(/[:.]+$/, "");
      return keptPart(path) + found.slice(path.length);
    })
    .replace(/\[?(?<![\w.])[0-9a-f]*(?::[0-9a-f]*){2,7}(?:%\w+)?\]?(?![\w.])/gi, (address) =>
      /[0-9a-f]/i.test(address) && !/^\d+:\d\d(:\d\d)?$/.test(address) ? "(address)" : address,
    )
    .replace(/(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])/g, "(address)");
  for (const name of names.toSorted((a, b) => b.length - a.length))
    out = out.replace(new RegExp(`(?<![A-Za-z0-9])${escapedPattern(name)}(?![A-Za-z0-9])`, "gi"), "(name)");
  return out;
}

/** `/srv/clients/acme` says that it is below /srv, and no more. */
function keptPart(path: string): string {
  if (path === "//" || SYSTEM_PATHS.test(path)) return path;
  const [, first = ""] = path.split("/");
  return KNOWN_ROOTS.has(first) ? `/${first}/(left out)` : "/(left out)";
}

const KNOWN_ROOTS = new Set(["srv", "mnt", "media", "home", "var", "tmp", "opt", "etc", "root", "run", "dev"]);

function escapedPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** A setting's value where it can only be a number, a switch or a word of the program's own; else how much there is. */
export function redactedValue(value: SettingValue | undefined, choices: readonly string[]): string {
  if (value === undefined) return "-";
  if (typeof value === "boolean") return String(value);
  const harmless = value.every(
    (text) => /^\d+(\.\d+)?(%|[a-z]{0,3})$/i.test(text) || text.split(",").every((word) => choices.includes(word)),
  );
  if (harmless) return value.join(" ");
  return value.length === 1 ? "(a text)" : `(${value.length} texts)`;
}
