/**
 * The line on stderr that a command ends with when its exit code is not 0: why, and the code. A wrong command line, whose
 * code is always 1, and answers (`check`, `doctor`, `config check`) are told without it.
 */
import type { Output } from "./output.ts";
import { flowing, hanging, proseWidthOf } from "./screen.ts";

/**
 * Writes it, in lines that fit. `verb` undefined: of a run, whose lines all begin with the program alone. `paint` colours
 * what stands behind the name of the program.
 */
export function tellEnding(
  err: Output,
  verb: string | undefined,
  why: string,
  exitCode: number,
  paint: (text: string) => string = (text) => text,
): void {
  const name = `fastsync${verb === undefined ? "" : ` ${verb}`}: `;
  const [first = "", ...rest] = hanging("", `${name}${why} (exit ${exitCode})`, proseWidthOf(err, "stderr"));
  err.line(name + paint(first.slice(name.length)));
  for (const line of rest) err.line(paint(line));
}

/** `warning: ...` on stderr, in lines that fit. `head`: what stands before it, without colour. */
export function tellWarning(
  err: Output,
  text: string,
  head = "",
  paint: (text: string) => string = (one) => one,
): void {
  const [first = "", ...rest] = flowing(`${head}warning: ${text}`, proseWidthOf(err, "stderr"));
  err.line(head + paint(first.slice(head.length)));
  for (const line of rest) err.line(paint(line));
}

/** Said once where permission to entries was denied; the lines on the entries say to whom. */
export const DENIED_WAY = "Denied: run fastsync as a user who may (sudo), or let the daemon's user in.";
