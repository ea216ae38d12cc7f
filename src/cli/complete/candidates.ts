/**
 * What may stand at the end of a command line that is still being written. Knows the tables of verbs and flags; what
 * only the machine knows (profiles, remotes, what is behind a daemon) it asks `Known` for.
 *
 *     no verb yet                    verbs, and what may stand in a verb's place
 *     explain                        the same as without it, once it has its verb; before that verbs and places
 *     a flag waits for its value     its choices, files, directories, profiles, ...
 *     --flag=                        the same, with the flag before it
 *     - or --                        flags of the verb that still fit
 *     anything else                  what the verb works on
 */

import { PRESETS } from "../settings/presets.ts";
import { COPY_METHODS, FLAGS, type Flag, flagsOf, lettersOf } from "../words/flags.ts";
import { explainedLine } from "../words/parse-args.ts";
import { argumentOf } from "../words/raw-args.ts";
import {
  EXPLAINED_VERBS,
  isUtility,
  VERB_NAMES,
  VERBS,
  type VerbInfo,
  type VerbName,
  verbNamed,
} from "../words/verbs.ts";

export interface Candidate {
  /** The whole word. One that ends in `=`, `:`, `/` or `,` is not finished: no space follows. */
  readonly value: string;
  readonly about?: string;
}

export interface Completion {
  /** All begin with the word as it stands. */
  readonly candidates: readonly Candidate[];
  /** What the shell shall add from its own knowledge. */
  readonly rest: "nothing" | "files" | "directories";
}

/** What the tables do not say. Every answer may be empty; none may throw. */
export interface Known {
  readonly profiles: () => readonly string[];
  /** Each with the endpoint that it stands for. */
  readonly remotes: () => readonly { readonly name: string; readonly endpoint: string }[];
  /** Whole words that continue a place behind a daemon; none where the word names no such place, or nothing answers. */
  readonly remotePaths: (word: string) => Promise<readonly string[]>;
}

const NOTHING: Completion = { candidates: [], rest: "nothing" };
const FILES: Completion = { candidates: [], rest: "files" };
const DIRECTORIES: Completion = { candidates: [], rest: "directories" };

/** `words`: those after the program's name; the last is the one at the cursor, and may be empty. */
export async function complete(words: readonly string[], known: Known): Promise<Completion> {
  const current = words.at(-1) ?? "";
  const [first, ...others] = words.slice(0, -1);
  if (first === undefined) return starting(verbsAndFlags(), current);
  if (first === "utils" && others.length > 0) return await complete(words.slice(1), known);
  const verb = verbNamed(first);
  if (verb === undefined) return NOTHING;
  const run = verb === "explain" ? explained(others) : undefined;
  if (run !== undefined) return await complete([...run, current], known);
  const line = readLine(verb, others);
  if (line.waiting !== undefined) return valueCandidates(line.waiting, "", current, known);
  if (line.onlyPlaces || !current.startsWith("-")) {
    const { candidates, rest } = await operand(verb, line, current, known);
    return verb === "explain"
      ? { candidates: [...starting(explainable(others), current).candidates, ...candidates], rest }
      : { candidates, rest };
  }
  const assigned = /^(--([a-z0-9-]+)=)(.*)$/s.exec(current);
  if (assigned === null) return starting(flagCandidates(verb, line), current);
  const flag = flagsOf(verb).find(({ name }) => name === assigned[2]);
  return flag?.value === undefined ? NOTHING : valueCandidates(flag, assigned[1]!, assigned[3]!, known);
}

function verbsAndFlags(): Candidate[] {
  return [
    ...VERB_NAMES.map((verb) => ({ value: verb, about: VERBS[verb].summary })),
    { value: "--help", about: "show help" },
    { value: "--version", about: "show the version" },
  ];
}

/** The line of the run, where the words behind `explain` are one. */
function explained(words: readonly string[]): string[] | undefined {
  return explainedLine(words.map(argumentOf))?.map(({ text }) => text);
}

/** Verbs that may follow these words of `explain`. */
function explainable(words: readonly string[]): Candidate[] {
  const fitting = EXPLAINED_VERBS.filter((verb) => explained([...words, verb]) !== undefined);
  return fitting.map((verb) => ({ value: verb, about: VERBS[verb].summary }));
}

interface Line {
  readonly given: ReadonlySet<string>;
  readonly places: readonly string[];
  /** The flag whose value comes next. */
  readonly waiting: Flag | undefined;
  /** After `--`. */
  readonly onlyPlaces: boolean;
}

/** As the parser reads it, but whatever does not fit is passed over. */
function readLine(verb: VerbName, words: readonly string[]): Line {
  const flags = flagsOf(verb);
  const given = new Set<string>();
  const places: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    if (word === "--")
      return { given, places: [...places, ...words.slice(at + 1)], waiting: undefined, onlyPlaces: true };
    if (word === "-" || !word.startsWith("-")) {
      places.push(word);
      continue;
    }
    const { bundled, last } = word.startsWith("--")
      ? { bundled: [], last: flags.find(({ name }) => name === word.slice(2).split("=", 1)[0]) }
      : lettersIn(word, verb);
    for (const { name } of bundled) given.add(name);
    const flag: Flag | undefined = last;
    if (flag === undefined) continue;
    given.add(flag.name);
    if (flag.value === undefined || flag.value.optional || word.includes("=")) continue;
    if (at === words.length - 1) return { given, places, waiting: flag, onlyPlaces: false };
    at++;
  }
  return { given, places, waiting: undefined, onlyPlaces: false };
}

/** `-nv`, `-p16`: the flags of a word of letters; `last`: what it ends with, unless that is a value. */
function lettersIn(word: string, verb: VerbName): { bundled: Flag[]; last: Flag | undefined } {
  const bundled: Flag[] = [];
  const flags: readonly Flag[] = flagsOf(verb);
  for (let at = 1; at < word.length; at++) {
    const flag = flags.find((one) => lettersOf(one, verb).includes(word[at]!));
    if (flag === undefined) continue;
    bundled.push(flag);
    if (at === word.length - 1) return { bundled, last: flag };
    if (flag.value !== undefined) break;
  }
  return { bundled, last: undefined };
}

/** Flags that may still be given: neither there already nor at odds with what is. */
function flagCandidates(verb: VerbName, { given }: Line): Candidate[] {
  const contradicted = new Set<string>();
  for (const flag of FLAGS as readonly Flag[]) {
    if (given.has(flag.name)) for (const other of flag.conflicts ?? []) contradicted.add(other);
    else if (flag.conflicts?.some((other) => given.has(other))) contradicted.add(flag.name);
  }
  const fitting = flagsOf(verb).filter(
    (flag) => !contradicted.has(flag.name) && (flag.repeatable || !given.has(flag.name)),
  );
  return fitting.flatMap((flag: Flag) => {
    const { name, value, help } = flag;
    const [letter] = lettersOf(flag, verb);
    const about = firstSentence(help);
    const long = { value: `--${name}${value === undefined || value.optional ? "" : "="}`, about };
    const assigned = value?.optional
      ? (value.choices ?? []).map((choice) => ({ value: `--${name}=${choice}`, about }))
      : [];
    return [...(letter === undefined ? [] : [{ value: `-${letter}`, about }]), long, ...assigned];
  });
}

/** Beside flags there is room for one line. */
function firstSentence(help: string): string {
  return help.split(/[;:(]/, 1)[0]!.trim();
}

/** What the hints of the flag table ask for; other hints are numbers and texts, which nobody can guess. */
function valueCandidates(flag: Flag, before: string, current: string, known: Known): Completion {
  const value = flag.value!;
  const words = (values: readonly string[]): Completion =>
    starting(
      values.map((text) => ({ value: before + text })),
      before + current,
    );
  if (value.choices !== undefined) return words(value.choices);
  if (flag.name === "copy-method") return words(listed(COPY_METHODS, current));
  switch (value.hint) {
    case "FILE":
      return FILES;
    case "DIR":
      return DIRECTORIES;
    case "NAME":
      if (flag.name === "preset") return words(PRESETS.map(({ name }) => name));
      // A preset of that name serves where there is no profile.
      if (flag.name === "profile")
        return words([...new Set([...known.profiles(), ...PRESETS.map(({ name }) => name)])]);
      return NOTHING;
    default:
      return NOTHING;
  }
}

/** `a,b,` continued by each name that is not there yet. */
function listed(names: readonly string[], current: string): string[] {
  const comma = current.lastIndexOf(",");
  const there = current.slice(0, comma + 1);
  const taken = there.split(",");
  return names.filter((name) => !taken.includes(name)).map((name) => there + name);
}

async function operand(verb: VerbName, line: Line, current: string, known: Known): Promise<Completion> {
  const { maxPlaces, operands = "places" }: VerbInfo = VERBS[verb];
  if (verb === "utils")
    return starting(
      VERB_NAMES.filter(isUtility).map((name) => ({ value: name, about: VERBS[name].summary })),
      current,
    );
  if (line.places.length >= maxPlaces) return NOTHING;
  if (typeof operands === "object") {
    const [first, next] = "first" in operands ? [operands.first, operands.next] : [operands, undefined];
    // Behind a host stands the id of a job, which nobody can guess.
    if (line.places.length > 0)
      return next === "hosts" && line.places.length === 1 ? starting(hosts(known), current) : NOTHING;
    return starting(
      first.map((value) => ({ value })),
      current,
    );
  }
  switch (operands) {
    case "verbs":
      return starting(
        VERB_NAMES.map((name) => ({ value: name, about: VERBS[name].summary })),
        current,
      );
    case "directories":
      return DIRECTORIES;
    case "hosts":
      return starting(hosts(known), current);
    case "places":
      return await place(current, known);
  }
}

/** Of the remotes' endpoints, with a port where it is written. */
function hosts(known: Known): Candidate[] {
  const found = known.remotes().flatMap(({ name, endpoint }) => {
    const host = /^(?:fastsync:\/\/)?((?:\[[^\]]+\]|[^/:[\]]+)(?::\d+)?)(?:\/|:)/i.exec(endpoint)?.[1];
    return host === undefined ? [] : [{ value: host, about: `of ${name}` }];
  });
  return found.filter(({ value }, at) => found.findIndex((other) => other.value === value) === at);
}

/** A local path, a remote of the configuration, or what is behind a daemon. */
async function place(current: string, known: Known): Promise<Completion> {
  const colon = current.indexOf(":");
  const slash = current.indexOf("/");
  if (colon < 0 || (slash >= 0 && slash < colon)) {
    if (slash >= 0) return FILES;
    const remotes = known.remotes().map(({ name, endpoint }) => ({ value: `${name}:`, about: endpoint }));
    return { ...starting(remotes, current), rest: "files" };
  }
  const paths = await known.remotePaths(current);
  if (paths.length === 0) return FILES;
  return starting(
    paths.map((value) => ({ value })),
    current,
  );
}

function starting(candidates: readonly Candidate[], current: string): Completion {
  return { candidates: candidates.filter(({ value }) => value.startsWith(current)), rest: "nothing" };
}
