/** Asks before the first deletion. Only a person at a terminal can be asked; anything but yes keeps everything. */
import { read } from "node:fs";
import type { DeletionPlan } from "../core/events.ts";
import { printable } from "../core/paths.ts";
import { discardTypedAhead } from "../fs/typed-ahead.ts";
import { formatCount, plural } from "./report/format.ts";
import type { Output } from "./report/output.ts";

export type Answer = "accepted" | "declined" | "unattended";

export interface Asking {
  /** --yes */
  readonly yes: boolean;
  readonly json: boolean;
  readonly stdinIsTerminal: boolean;
  readonly err: Output;
  readonly signal: AbortSignal;
}

export async function confirmDeletions(plan: DeletionPlan, asking: Asking): Promise<Answer> {
  if (asking.yes) return "accepted";
  if (asking.json || !asking.stdinIsTerminal || !asking.err.isTerminal) return "unattended";
  return (await saysYes(questionText(plan), asking.err, asking.signal)) ? "accepted" : "declined";
}

export function questionText({ entries, targetEntries, sample }: DeletionPlan): string {
  const names = sample.map((path) => `  ${printable(path)}\n`).join("");
  const more =
    entries > sample.length && sample.length > 0 ? `  and ${formatCount(entries - sample.length)} more\n` : "";
  return `${plural(entries, "entry", "entries")} of ${formatCount(targetEntries)} in the target will be deleted:\n${names}${more}Delete? [y/N] `;
}

/** Asks the person at the terminal; what was typed before the question is no answer to it. */
export async function saysYes(question: string, err: Output, signal: AbortSignal): Promise<boolean> {
  discardTypedAhead(0);
  err.write(question);
  err.flush();
  return /^\s*y(es)?\s*$/i.test(await readTerminalLine(signal));
}

/** One line of the terminal; empty at its end, or when the run is asked to stop. */
function readTerminalLine(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve("");
    signal.addEventListener("abort", () => resolve(""), { once: true });
    // A terminal hands over whole lines.
    const buffer = Buffer.alloc(1024);
    read(0, buffer, 0, buffer.length, null, (error, count) => resolve(error ? "" : buffer.toString("utf8", 0, count)));
  });
}
