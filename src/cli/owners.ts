/** `--chown USER:GROUP`: names become numbers here, so that an unknown name is an error and never root. */
import { readFileSync } from "node:fs";
import { printable } from "../core/paths.ts";
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

function idOf(name: string, what: "user" | "group", read: () => Uint8Array, file: string): number {
  const found = lookUp(name, read);
  const id = found ?? (/^\d+$/.test(name) ? Number(name) : undefined);
  if (id !== undefined && id <= MAX_ID) return id;
  const shown = printable(Buffer.from(name, "latin1"));
  if (id !== undefined) throw new UsageError(`--chown: ${shown} is too large for a ${what} number`);
  throw new UsageError(`--chown: there is no ${what} '${shown}' in ${file}`, `Write the ${what}'s number instead.`);
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
