/** What `doctor` found: text in three columns, and one JSON object a line. */
import type { Check, Finding, Level } from "../../doctor/finding.ts";
import { plural } from "../report/format.ts";
import { jsonText } from "../report/json-printer.ts";
import { beside, longestWord } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";

const LEVEL_WIDTH = 9;
const CHECK_WIDTH = 20;
/** For what helps, beside a message: below that it begins farther left. */
const LEAST_ROOM = 30;

const COLOURS: Readonly<Record<Level, string>> = { ok: "32", warning: "33", problem: "31" };

/** `width`: see `screen.ts`; where that is no bound what helps stands on the same line. */
export function findingLines({ level, check, message, fix }: Finding, width: number, colour: boolean): string[] {
  const head = `${level.padEnd(LEVEL_WIDTH)}${checkText(check).padEnd(CHECK_WIDTH)}`;
  const way = fix === undefined ? [] : [`> ${plain(fix)}`];
  const lines = Number.isFinite(width)
    ? bounded(head, plain(message), way, width)
    : [`${head}${[plain(message), ...way].join("  ")}`];
  const shown = colour ? `\u001b[${COLOURS[level]}m${level}\u001b[39m` : level;
  return lines.map((line, at) => (at === 0 ? shown + line.slice(level.length) : line));
}

/** In three columns, or where that is too narrow with the texts below the others. */
function bounded(head: string, message: string, way: readonly string[], width: number): string[] {
  const room = width - head.length;
  const isNarrow = room < LEAST_ROOM || [message, ...way].some((text) => longestWord(text) > room - 2);
  const indent = " ".repeat(isNarrow ? LEVEL_WIDTH : head.length);
  const ways = way.flatMap((text) => beside(`${indent}> `, text.slice(2), width));
  return [...(isNarrow ? [head.trimEnd(), ...beside(indent, message, width)] : beside(head, message, width)), ...ways];
}

function checkText(check: Check): string {
  return check.replaceAll("_", " ");
}

export interface Totals {
  readonly ok: number;
  readonly warnings: number;
  readonly problems: number;
}

export function totalsOf(findings: readonly Finding[]): Totals {
  const count = (level: Level): number => findings.filter((one) => one.level === level).length;
  return { ok: count("ok"), warnings: count("warning"), problems: count("problem") };
}

export function totalsText({ warnings, problems }: Totals): string {
  if (warnings + problems === 0) return "All is well.";
  const parts = [
    ...(problems === 0 ? [] : [plural(problems, "problem")]),
    ...(warnings === 0 ? [] : [plural(warnings, "warning")]),
  ];
  return `${parts.join(" and ")}; what helps stands behind >.`;
}

export function findingJson({ check, level, message, fix, place }: Finding): string {
  return jsonText({ schema: 1, type: "finding", check, level, message, fix, place });
}

export function totalsJson(totals: Totals, exitCode: number): string {
  return jsonText({ schema: 1, type: "doctor", ...totals, exit_code: exitCode });
}
