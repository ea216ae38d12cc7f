/**
 * Writes the man pages into a directory:
 *
 *   node scripts/bun.mjs scripts/build/man-pages.ts DIRECTORY
 *
 * They go below DIRECTORY as an installed system has them: man1/fastsync.1, man5/fastsync.toml.5, man8/fastsyncd.8.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manPages } from "./man/pages.ts";

/** The paths that were written, relative to `directory`. The date is that of SOURCE_DATE_EPOCH where it is set. */
export function writeManPages(
  directory: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string[] {
  const epoch = env["SOURCE_DATE_EPOCH"];
  const date = new Date(epoch === undefined || epoch === "" ? Date.now() : Number(epoch) * 1000);
  return manPages(date.toISOString().slice(0, 10)).map(({ file, text }) => {
    const folder = `man${file.at(-1)}`;
    mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, folder, file), text);
    return join(folder, file);
  });
}

if (import.meta.main) {
  const [directory] = process.argv.slice(2);
  if (directory === undefined) {
    console.error("usage: man-pages.ts DIRECTORY");
    process.exitCode = 1;
  } else for (const path of writeManPages(directory)) console.log(join(directory, path));
}
