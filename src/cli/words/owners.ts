/** `--chown USER:GROUP` and the maps of owners: names become numbers here, so that an unknown name is an error and never root. */
import { readFileSync } from "node:fs";
import { LIMITS } from "../../core/limits.ts";
import type { OwnerRule, OwnerSubject } from "../../core/owner-rule.ts";
import { printable } from "../../core/paths.ts";
import { UsageError } from "./usage-error.ts";

export interface AccountFiles {
  readonly passwd: () => Uint8Array;
  readonly group: () => Uint8Array;
}

export const SYSTEM_ACCOUNTS: AccountFiles = {
  passwd: () => readFileSync("/etc/passwd"),
  group: () => readFileSync("/etc/group"),
};

/** The highest id; the next one, -1, means "leave as it is" to chown(2). */
const MAX_ID = 0xffff_fffe;

export function parseOwner(
  value: Uint8Array,
  accounts: AccountFiles = SYSTEM_ACCOUNTS,
): { uid: number | undefined; gid: number | undefined } {
  // One character a byte: account names are bytes too.
  const text = Buffer.from(value).toString("latin1");
  const parts = text.split(":");
  const [user = "", group = ""] = parts;
  if (parts.length > 2 || (user === "" && group === "")) {
    throw new UsageError(
      `--chown: '${printable(value)}' is not USER:GROUP`,
      "Write USER:GROUP, USER or :GROUP, each by name or number.",
    );
  }
  return {
    uid: user === "" ? undefined : idOf(user, "user", accounts.passwd, "/etc/passwd"),
    gid: group === "" ? undefined : idOf(group, "group", accounts.group, "/etc/group"),
  };
}

/**
 * `FROM:TO,FROM:TO`, as rsync's. FROM means owners where the sources are: a name, a pattern, a number, a range of numbers,
 * `*` for everybody, nothing for numbers without a name. TO means one here, and has to exist.
 */
export function parseOwnerRules(
  flag: "usermap" | "groupmap",
  value: Uint8Array,
  accounts: AccountFiles = SYSTEM_ACCOUNTS,
): OwnerRule[] {
  const what = flag === "usermap" ? "user" : "group";
  const rules = Buffer.from(value).toString("latin1").split(",");
  if (rules.length > LIMITS.ownerRules) throw new UsageError(`--${flag}: more than ${LIMITS.ownerRules} rules`);
  return rules.map((rule) => {
    const colon = rule.indexOf(":");
    const to = rule.slice(colon + 1);
    if (colon < 0 || to === "" || to.includes(":")) {
      throw new UsageError(
        `--${flag}: '${printable(Buffer.from(rule, "latin1"))}' is not FROM:TO`,
        `Write --${flag} FROM:TO, such as ${what === "user" ? "anna:media" : "users:media"} or '*:nobody'.`,
      );
    }
    const file = what === "user" ? accounts.passwd : accounts.group;
    return {
      from: subjectOf(flag, rule.slice(0, colon)),
      to: idOf(to, what, file, what === "user" ? "/etc/passwd" : "/etc/group", flag),
    };
  });
}

function subjectOf(flag: string, text: string): OwnerSubject {
  if (text === "*") return { kind: "everybody" };
  if (text === "") return { kind: "nameless" };
  const range = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (range === null) return { kind: "name", name: Buffer.from(text, "latin1") };
  const first = Number(range[1]);
  const last = range[2] === undefined ? first : Number(range[2]);
  if (last < first || last > MAX_ID) throw new UsageError(`--${flag}: ${text} is no range of numbers`);
  return { kind: "ids", first, last };
}

function idOf(
  name: string,
  what: "user" | "group",
  read: () => Uint8Array,
  file: string,
  flag: "chown" | "usermap" | "groupmap" = "chown",
): number {
  const found = lookUp(name, read);
  const id = found ?? (/^\d+$/.test(name) ? Number(name) : undefined);
  if (id !== undefined && id <= MAX_ID) return id;
  const shown = printable(Buffer.from(name, "latin1"));
  if (id !== undefined) throw new UsageError(`--${flag}: ${shown} is too large for a ${what} number`);
  throw new UsageError(`--${flag}: there is no ${what} '${shown}' in ${file}`, `Write the ${what}'s number instead.`);
}

/** Both files hold `name:password:id:...` lines. */
function lookUp(name: string, read: () => Uint8Array): number | undefined {
  let text: string;
  try {
    text = Buffer.from(read()).toString("latin1");
  } catch {
    return undefined;
  }
  for (const line of text.split("\n")) {
    const fields = line.split(":");
    if (fields[0] === name && fields[2] !== undefined && /^\d+$/.test(fields[2])) return Number(fields[2]);
  }
  return undefined;
}
