/** Packing, installing and building for the tests of this folder. */
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { describe, type ProcessResult, start } from "../support/run.ts";

export const checkout = resolve(import.meta.dir, "../..");

const minuteMs = 60_000;

/** Runs a command that has to succeed. */
export async function succeed(
  command: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Promise<ProcessResult> {
  const result = await start(command, { ...options, timeoutMs: 5 * minuteMs }).result;
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}\n${describe(result)}`);
  return result;
}

/** `npm pack`s a copy of the checkout, so that the checkout itself stays as it is. Returns the tarball. */
export async function packTarball(folder: string): Promise<string> {
  const copy = join(folder, "checkout");
  copyCheckout(copy);
  await succeed(["npm", "pack", "--pack-destination", folder], { cwd: copy });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error("npm pack left no tarball");
  return join(folder, tarball);
}

/** The sources, with the installed packages by a link. */
export function copyCheckout(to: string): void {
  mkdirSync(to, { recursive: true });
  const leftOut = new Set([".git", "node_modules", "dist", join("ffi", "build"), join("ffi", "prebuilt")]);
  cpSync(checkout, to, { recursive: true, filter: (from) => !leftOut.has(from.slice(checkout.length + 1)) });
  symlinkSync(join(checkout, "node_modules"), join(to, "node_modules"));
}

/** A project of someone else that installs the tarball. */
export async function installInto(folder: string, tarball: string, ...flags: string[]): Promise<string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), `${JSON.stringify({ name: "someone-else", version: "1.0.0" })}\n`);
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--no-save"];
  await succeed(["npm", "install", ...quiet, ...flags, tarball], { cwd: folder, env: pathWithoutCompiler(folder) });
  return folder;
}

/** A PATH on which npm works and no C compiler can be found, and an empty home; what npm has fetched stays in reach. */
export function pathWithoutCompiler(folder: string): Record<string, string | undefined> {
  const tools = join(folder, ".tools");
  mkdirSync(tools, { recursive: true });
  for (const name of ["node", "npm", "npx", "sh", "uname", "dirname", "basename", "env", "mkdir", "rm"]) {
    const found = Bun.which(name);
    if (found === null) continue;
    try {
      symlinkSync(found, join(tools, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  const home = join(folder, ".home");
  mkdirSync(home, { recursive: true });
  const cache = process.env["npm_config_cache"] ?? join(homedir(), ".npm");
  return { PATH: tools, CC: undefined, ZIG: undefined, HOME: home, npm_config_cache: cache };
}

/** A source tree of three files in two directories. */
export function makeSource(folder: string): string {
  const source = join(folder, "source");
  for (const name of ["one.txt", "two.txt", join("deep", "three.txt")]) {
    mkdirSync(dirname(join(source, name)), { recursive: true });
    writeFileSync(join(source, name), `content of ${name}\n`);
  }
  return source;
}
