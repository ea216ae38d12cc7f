/**
 * A program of the tests in one file, for what starts it hundreds of times: loading it from its sources takes three
 * times as long as running it. It is made when it is first asked for, from the sources as they are then.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const made = new Map<string, string>();

/** The path of the bundle of `entry`, a path. Throws what the bundler says. */
export function bundled(entry: string): string {
  const known = made.get(entry);
  if (known !== undefined) return known;
  const directory = mkdtempSync(join(tmpdir(), "fastsync-bundle-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
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
