/** Scratch trees, and waiting for the moment in a run at which a test steps in. */
import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TempDir, tempDir } from "../support/temp.ts";

/** Two places side by side; the source is there and empty. */
export function pair(dir: TempDir): { source: string; target: string } {
  const [source, target] = [dir.join("source"), dir.join("target")];
  mkdirSync(source);
  return { source, target };
}

/** Polls until `holds` is true; throws when it never is. */
export async function until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
  for (const endMs = performance.now() + withinMs; !holds(); ) {
    if (performance.now() > endMs) throw new Error(`never came: ${what}`);
    await Bun.sleep(1);
  }
}

/** Scratch in RAM, where there is some: no disk's mood decides how far a run has come. */
export function quickDir(): TempDir {
  return existsSync("/dev/shm") ? tempDir("/dev/shm") : tempDir();
}

/** Paths of temporary files of fastsync anywhere below `root`. */
export function temporariesIn(root: string): string[] {
  const found = spawnSync("find", [root, "-name", ".fastsync.*", "-printf", "%P\\n"], { encoding: "utf8" });
  return found.stdout.split("\n").filter((path) => path !== "");
}

/** Bytes allocated to the temporary files directly in `directory`. */
export function temporaryBytes(directory: string): number {
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(".fastsync.")) continue;
    try {
      bytes += lstatSync(join(directory, name)).blocks * 512;
    } catch {
      /* it got its name */
    }
  }
  return bytes;
}

export const MIB = 1 << 20;
