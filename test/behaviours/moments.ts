/** Waiting for the moment in a run at which a test steps in. */
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type TempDir, tempDir } from "../support/temp.ts";

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
  return readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => /(^|\/)\.fastsync\./.test(path));
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
