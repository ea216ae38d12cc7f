/**
 * The line on stderr that a command ends with when its exit code is not 0: why, and the code. A wrong command line, whose
 * code is always 1, and answers (`check`, `doctor`, `config check`) are told without it.
 */
import type { Output } from "./output.ts";
import { hanging, proseWidthOf } from "./screen.ts";

/** `verb` undefined: a run, whose lines all begin with the program alone. */
export function endingLine(verb: string | undefined, why: string, exitCode: number): string {
  return `fastsync${verb === undefined ? "" : ` ${verb}`}: ${why} (exit ${exitCode})`;
}

/** Writes it, in lines that fit. */
export function tellEnding(err: Output, verb: string | undefined, why: string, exitCode: number): void {
  const width = proseWidthOf(err, "stderr");
  for (const line of hanging("", endingLine(verb, why, exitCode), width)) err.line(line);
}

/** Said once where permission to entries was denied; the lines on the entries say to whom. */
export const DENIED_WAY =
  "Where permission was denied: run fastsync as a user who may (sudo), or give the daemon's user access.";
