/** Refuses copy methods that the backend of this process does not have. */
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import type { Backend } from "../fs/backend.ts";

/** Otherwise every file would fail for itself, as if its filesystem were to blame. */
export function guardMethods({ verb, write: { methods } }: RunOptions, backend: Backend): void {
  const known = backend.capabilities.methods;
  if (verb === "check" || methods === undefined || methods.some((method) => known.includes(method))) return;
  throw new RunError(
    ExitCode.usage,
    "copy_method",
    `--copy-method ${methods.join(",")} needs the native library, which is not in use (${backend.reason}); ` +
      `without it there is ${known.join(",")}`,
  );
}
