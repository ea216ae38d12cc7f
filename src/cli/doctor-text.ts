/** What `doctor` found: text in three columns, and one JSON object a line. */
import type { Check, Finding, Level } from "../doctor/finding.ts";
import { plural } from "./format.ts";
import { wrap } from "./help.ts";
import { jsonText } from "./json-printer.ts";
import { plain } from "./text-printer.ts";

const LEVEL_WIDTH = 9;
const CHECK_WIDTH = 20;
const MESSAGE_COLUMN = LEVEL_WIDTH + CHECK_WIDTH;

const COLOURS: Readonly<Record<Level, string>> = { ok: "32", warning: "33", problem: "31" };

export function findingLines({ level, check, message, fix }: Finding, width: number, colour: boolean): string[] {
  const room = Math.max(30, width - MESSAGE_COLUMN);
  const [first = "", ...rest] = wrap(plain(message), room);
  const shown = colour ? `\u001b[${COLOURS[level]}m${level}\u001b[39m` : level;
  const indent = " ".repeat(MESSAGE_COLUMN);
  return [
    `${shown}${" ".repeat(LEVEL_WIDTH - level.length)}${checkText(check).padEnd(CHECK_WIDTH)}${first}`,
    ...rest.map((line) => indent + line),
    // Whole, so that a command in it can be copied from one line.
    ...(fix === undefined ? [] : [`${indent}> ${plain(fix)}`]),
  ];
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
