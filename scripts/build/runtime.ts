/**
 * The runtime of another platform, from its npm package, by npm itself. What arrives has to have the checksum that the
 * lock file has for it; it is kept in `node_modules/.cache`.
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { note } from "./log.ts";
import { root } from "./root.ts";
import type { Target } from "./targets.ts";

/** Absolute path of the runtime's program. Throws when it cannot be had, or is not what the lock file names. */
export function runtimeOf({ runtime: { packageName, program } }: Target): string {
  const { version, integrity } = lockedPackage(packageName);
  const cache = join(root, "node_modules", ".cache", "fastsync");
  const folder = join(cache, `${packageName.replace("/", "-")}-${version}`);
  const path = join(folder, "package", program);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  // Under another name first: two builds may want it, and an interrupted one must leave nothing that looks whole.
  const fresh = mkdtempSync(join(cache, ".fresh-"));
  try {
    run(["npm", "pack", "--silent", "--pack-destination", fresh, `${packageName}@${version}`], root);
    const archive = readdirSync(fresh).find((name) => name.endsWith(".tgz"));
    if (archive === undefined) throw new Error(`npm pack ${packageName}@${version} left no archive`);
    const [algorithm = "", expected] = integrity.split("-", 2);
    const found = createHash(algorithm)
      .update(readFileSync(join(fresh, archive)))
      .digest("base64");
    if (found !== expected) throw new Error(`${archive}: its ${algorithm} is not the one of package-lock.json`);
    run(["tar", "-xzf", archive], fresh);
    rmSync(join(fresh, archive));
    chmodSync(join(fresh, "package", program), 0o755);
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  note(`runtime ${packageName}@${version}`);
  return path;
}

function lockedPackage(name: string): { version: string; integrity: string } {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
  };
  const { version, integrity } = lock.packages[`node_modules/${name}`] ?? {};
  if (version === undefined || integrity === undefined) throw new Error(`package-lock.json does not know ${name}`);
  return { version, integrity };
}

function run(command: readonly string[], cwd: string): void {
  const child = Bun.spawnSync([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  if (child.exitCode !== 0) throw new Error(`${command.join(" ")}:\n${child.stdout}${child.stderr}`);
}
