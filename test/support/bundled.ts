/**
 * A program of the tests in one file, for what starts it hundreds of times: loading it from its sources takes three
 * times as long as running it. It is made when it is first asked for, from the sources as they are then.
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./program.ts";

/** One directory for each process of tests, by its number: `bun test` tells nobody of its end. */
const CACHE = join(ROOT, "node_modules/.cache/fastsync-tests");
const made = new Map<string, string>();

/** The path of the bundle of `entry`, a path. Throws what the bundler says. */
export function bundled(entry: string): string {
  const known = made.get(entry);
  if (known !== undefined) return known;
  if (made.size === 0) removeOfOthers();
  const directory = join(CACHE, String(process.pid), String(made.size));
  const command = [
    process.execPath,
    "build",
    "--target=bun",
    "--splitting",
    `--outdir=${directory}`,
    "--entry-naming=main.js",
    entry,
  ];
  const { exitCode, stderr, stdout } = Bun.spawnSync(command);
  if (exitCode !== 0) throw new Error(`cannot bundle ${entry}:\n${stdout}${stderr}`);
  const file = join(directory, "main.js");
  made.set(entry, file);
  return file;
}

/** What processes that are over have left. */
function removeOfOthers(): void {
  mkdirSync(CACHE, { recursive: true });
  for (const pid of readdirSync(CACHE))
    if (pid === String(process.pid) || !existsSync(`/proc/${pid}`))
      rmSync(join(CACHE, pid), { recursive: true, force: true });
}
