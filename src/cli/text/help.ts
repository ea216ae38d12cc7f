/** Help texts, made from the table of verbs and the table of flags. */

import { wrap } from "../report/screen.ts";
import { type Flag, flagsOf, GROUPS, helpOf, lettersOf } from "../words/flags.ts";
import {
  isUtility,
  letterSetOf,
  VERB_GROUPS,
  VERB_NAMES,
  VERBS,
  type VerbInfo,
  type VerbName,
} from "../words/verbs.ts";

const WIDTH = 80;
const FLAG_COLUMN = 28;
const VERB_COLUMN = 16;
const EXAMPLE_COLUMN = 51;

/** Command lines, and what each is for; the man page has them too. */
export const EXAMPLES = [
  ["fastsync mirror photos/ /mnt/backup/photos/", "make the backup equal"],
  ["fastsync mirror -n photos/ /mnt/backup/photos/", "only show what would happen"],
  ["fastsync mirror photos/ nas:/media/photos/", "to the module media of nas"],
  ["fastsync check --checksum photos/ /mnt/backup/photos/", ""],
] as const;

export function overviewHelp(): string {
  return [
    "fastsync copies, mirrors and moves file trees: complete, atomic and fast.",
    "",
    "Usage: fastsync VERB [flags] SOURCE... TARGET",
    ...VERB_GROUPS.flatMap((group) => [
      "",
      group,
      ...verbsOf(group).flatMap((verb) => entry(`  ${verb}`, VERBS[verb].summary, VERB_COLUMN)),
    ]),
    "",
    "Examples",
    ...EXAMPLES.map(([line, about]) => `  ${line.padEnd(EXAMPLE_COLUMN - 2)}${about}`.trimEnd()),
    "",
    "fastsync help VERB lists the flags of a verb.",
    "",
  ].join("\n");
}

/** What `fastsync` alone prints: names only, so that it fits a small terminal whatever is added. */
export function shortUsage(): string {
  return [
    "Usage: fastsync VERB [flags] SOURCE... TARGET",
    "",
    ...VERB_GROUPS.flatMap((group) => entry(`  ${group}`, verbsOf(group).join(", "), VERB_COLUMN)),
    "",
    "fastsync help says what each of them does, fastsync help VERB lists its flags.",
    "",
  ].join("\n");
}

function verbsOf(group: (typeof VERB_GROUPS)[number]): VerbName[] {
  return VERB_NAMES.filter((verb) => VERBS[verb].group === group);
}

export function verbHelp(verb: VerbName): string {
  const info: VerbInfo = VERBS[verb];
  const lines = [...wrap(`fastsync ${verb}: ${info.summary}`, WIDTH), "", `Usage: ${info.usage}`];
  for (const note of info.notes) lines.push("", ...wrap(note, WIDTH));
  if (verb === "utils")
    lines.push(
      "",
      ...VERB_NAMES.filter(isUtility).flatMap((one) => entry(`  ${one}`, VERBS[one].summary, VERB_COLUMN)),
    );
  const flags = flagsOf(verb);
  for (const group of GROUPS) {
    const members = flags.filter((flag) => flag.group === group);
    if (members.length === 0) continue;
    lines.push("", group);
    for (const flag of members) lines.push(...entry(`  ${flagSpelling(flag, verb)}`, helpOf(flag, verb), FLAG_COLUMN));
  }
  const exits = exitCodesText(verb);
  if (exits !== undefined) lines.push("", ...wrap(`Exit codes: ${exits}`, WIDTH));
  return `${lines.join("\n")}\n`;
}

/** The exit codes that are worth naming beside a verb; the whole list is in docs/scripting.md. */
export function exitCodesText(verb: VerbName): string | undefined {
  switch (verb) {
    case "check":
      return "0 equal, 1 different (or wrong usage), 23 not all could be compared.";
    case "doctor":
      return "0 no problem, warnings or not, 1 wrong usage, 23 at least one problem.";
    case "daemon":
      return "0 stopped in order, 1 wrong usage or configuration, 5 cannot start, 10 cannot listen, 20 stopped while sessions were running.";
    case "scan":
      return "0 done, also when nothing was found; 1 wrong usage, 10 no network to look in, 20 interrupted.";
    case "jobs":
      return "0 done, 1 wrong usage, 3 no such job, 10 no daemon there; of watch ID that of the job, and 12 for one that was lost.";
    case "copy":
    case "mirror":
    case "move":
    case "cp":
    case "sync":
      return "0 done, 1 wrong usage, 3 unusable source or target, 11 file I/O, 20 interrupted, 23 some failed, 24 some vanished, 25 deletions refused.";
    case "rm":
      return "0 done, 1 wrong usage, 3 unusable place, 10 nothing listens there, 20 interrupted, 23 something could not be removed, 25 nobody said yes.";
    default:
      return letterSetOf(verb) === "look"
        ? "0 done, 1 wrong usage, 3 unusable place, 10 nothing listens there, 20 interrupted, 23 something could not be read."
        : undefined;
  }
}

/** `-c, --checksum`, `    --max-size SIZE`, `    --verify[=readback]` */
export function flagSpelling(flag: Flag, verb: VerbName): string {
  const [letter] = lettersOf(flag, verb);
  const short = letter === undefined ? "    " : `-${letter}, `;
  if (flag.value === undefined) return `${short}--${flag.name}`;
  if (flag.value.optional) return `${short}--${flag.name}[=${flag.value.hint}]`;
  return `${short}--${flag.name} ${flag.value.hint}`;
}

/** A name with its text beside it, from `column` on. */
function entry(name: string, text: string, column: number): string[] {
  const [first = "", ...rest] = wrap(text, WIDTH - column);
  const indent = " ".repeat(column);
  const head = name.length + 2 > column ? [name, indent + first] : [name.padEnd(column) + first];
  return [...head, ...rest.map((line) => indent + line)];
}
