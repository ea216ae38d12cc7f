/** `cp` without its -R: a directory on the command line was not meant, or the flag was forgotten. */
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";

/** Throws RunError (exit 1) for the first source that is a directory, where the run takes none. `show`: its path, in words. */
export function guardDirectories(
  { recursive }: RunOptions,
  sources: readonly { readonly isDirectory: boolean; readonly written: Uint8Array }[],
  show: (path: Uint8Array) => string = printable,
): void {
  const directory = recursive ? undefined : sources.find(({ isDirectory }) => isDirectory);
  if (directory === undefined) return;
  throw new RunError(
    ExitCode.usage,
    "directory",
    `source ${show(directory.written)} is a directory; directories are copied with -R (--recursive)`,
  );
}
