/**
 * The strict first step of a command line: words become a verb, flags and places, and whatever does not fit the flag
 * table is a UsageError that names the nearest right word. It knows spelling, not meaning.
 */
import { lstatSync } from "node:fs";
import { nearest } from "../../core/nearest.ts";
import { printable } from "../../core/paths.ts";
import { takenBackBy } from "../settings/keys.ts";
import { presetNamed, unknownPreset } from "../settings/presets.ts";
import { FLAGS, type Flag, type FlagName, flagNamed, flagOfLetter, flagsOf } from "./flags.ts";
import { foreignFlag, foreignLetter } from "./foreign-flags.ts";
import { valueOfSwitch, wrongLetterValue } from "./letter-mistakes.ts";
import { type Argument, COMPLETE } from "./raw-args.ts";
import { UsageError } from "./usage-error.ts";
import {
  EXPLAINED_VERBS,
  FOREIGN_VERBS,
  isUtility,
  isVerb,
  PENDING_VERBS,
  VERB_ALIASES,
  VERB_NAMES,
  VERBS,
  type VerbName,
  verbNamed,
} from "./verbs.ts";

export interface Occurrence {
  readonly flag: FlagName;
  readonly value: Argument | undefined;
}

export class ParsedArgs {
  readonly verb: VerbName;
  /** In the order of the command line: filters depend on it. */
  readonly occurrences: readonly Occurrence[];
  readonly places: readonly Argument[];
  /** Flags whose standing value from a configuration is not meant for this run: `--no-bwlimit`, `--perms`. */
  readonly takenBack: ReadonlySet<FlagName>;

  constructor(
    verb: VerbName,
    occurrences: readonly Occurrence[],
    places: readonly Argument[],
    takenBack: ReadonlySet<FlagName> = new Set(),
  ) {
    this.verb = verb;
    this.occurrences = occurrences;
    this.places = places;
    this.takenBack = takenBack;
  }
  has(name: FlagName): boolean {
    return this.occurrences.some((occurrence) => occurrence.flag === name);
  }
  value(name: FlagName): Argument | undefined {
    return this.occurrences.find((occurrence) => occurrence.flag === name)?.value;
  }
}

/**
 * What is asked for: a verb with its flags, a help text, or the short usage that `fastsync` alone gives. Of `explain VERB`
 * the command is `explain`, and `args` are those of the verb.
 */
export type CommandLine =
  | { readonly kind: "run"; readonly command: VerbName; readonly args: ParsedArgs }
  | { readonly kind: "help"; readonly verb: VerbName | undefined }
  | { readonly kind: "version"; readonly json: boolean }
  | { readonly kind: "complete"; readonly words: readonly string[] }
  | { readonly kind: "nothing" };

/** True when `--json` was asked for, whatever else is wrong with the line. */
export function asksForJson(words: readonly Argument[]): boolean {
  for (const word of words) {
    if (word.text === "--") return false;
    if (word.text === "--json") return true;
  }
  return false;
}

export function parseCommandLine(words: readonly Argument[]): CommandLine {
  const [first, ...rest] = words;
  if (first === undefined) return { kind: "nothing" };
  if (first.text === COMPLETE) return { kind: "complete", words: rest.map(({ text }) => text) };
  if (first.text === "--help" || first.text === "-h") return { kind: "help", verb: verbNamed(rest[0]?.text ?? "") };
  if (first.text === "--version") return { kind: "version", json: asksForJson(rest) };
  if (first.text === "utils" && rest[0] !== undefined && !rest[0].text.startsWith("-")) return utility(rest);
  const verb = verbOf(first, rest);
  const line = verb === "explain" ? explainedLine(rest) : undefined;
  if (line !== undefined) return explainRun(line);
  const parser = new Parser(verb);
  const special = parser.read(rest);
  if (special === "help") return { kind: "help", verb };
  if (special === "version") return { kind: "version", json: asksForJson(rest) };
  parser.checkRelations();
  parser.checkPlaces();
  const args = new ParsedArgs(verb, parser.occurrences, parser.places, parser.takenBack);
  return { kind: "run", command: verb, args };
}

/** `utils VERB ...`: the words behind it, as far as their verb is a utility. */
function utility(words: readonly Argument[]): CommandLine {
  const [first] = words;
  const verb = verbOf(first!, words.slice(1));
  if (isUtility(verb) || verb === "help" || verb === "version") return parseCommandLine(words);
  throw new UsageError(`${quoted(first!)} is none of the utilities`, `Write: fastsync ${verb} ...`);
}

/** The verb of the run that `explain VERB ...` is about; a source of that name comes first. */
function explainedVerb(word: Argument | undefined): VerbName | undefined {
  return word !== undefined && isVerb(word.text) && EXPLAINED_VERBS.includes(word.text) && !exists(word)
    ? word.text
    : undefined;
}

/** The words of that run, with the switches that stand before its verb behind it. */
export function explainedLine(words: readonly Argument[]): Argument[] | undefined {
  const isSwitch = (text: string): boolean => /^--./.test(text) && flagNamed(text.slice(2))?.value === undefined;
  const at = words.findIndex(({ text }) => !isSwitch(text));
  return explainedVerb(words[at]) === undefined
    ? undefined
    : [words[at]!, ...words.slice(0, at), ...words.slice(at + 1)];
}

/** `explain mirror -nv A B`: a run's line as it is, refused where the run would be. */
function explainRun(words: readonly Argument[]): CommandLine {
  const line = parseCommandLine(words);
  if (line.kind === "help") return { kind: "help", verb: "explain" };
  return line.kind === "run" ? { ...line, command: "explain" } : line;
}

function verbOf(first: Argument, rest: readonly Argument[]): VerbName {
  const verb = verbNamed(first.text);
  if (verb !== undefined) return verb;
  const shown = quoted(first);
  if (first.text === "-V") throw new UsageError(`unknown flag ${shown}; did you mean --version?`);
  if (first.text.startsWith("-")) {
    const verb = verbNamed(rest.find((word) => isVerb(word.text))?.text ?? "copy")!;
    const words = ["fastsync", verb, ...knownPart(first, verb), "..."].join(" ");
    throw new UsageError(`the verb comes first, before ${shown}`, `Write: ${words} (verbs: ${VERB_NAMES.join(", ")})`);
  }
  if (Object.hasOwn(PENDING_VERBS, first.text))
    throw new UsageError(
      `there is no verb ${first.text} yet: ${PENDING_VERBS[first.text]}`,
      "fastsync copy takes what is here or behind a daemon: fastsync copy HOST:/MODULE/PATH .",
    );
  const meant = Object.hasOwn(FOREIGN_VERBS, first.text)
    ? FOREIGN_VERBS[first.text]
    : nearest(first.text, [...VERB_NAMES, ...Object.keys(VERB_ALIASES)]);
  if (meant !== undefined) throw new UsageError(`unknown verb ${shown}; did you mean ${meant}?`);
  const looksLikePlace = first.text.includes("/") || first.text.startsWith(".") || exists(first);
  throw new UsageError(
    `unknown verb ${shown}`,
    looksLikePlace
      ? "Put a verb before the places, such as: fastsync copy SOURCE TARGET"
      : `The verbs are ${VERB_NAMES.join(", ")}.`,
  );
}

/** What of a flag, or of a bundle of letters, the verb knows: nothing is proposed that would be refused. */
function knownPart({ text }: Argument, verb: VerbName): string[] {
  if (text.startsWith("--"))
    return flagNamed(text.slice(2).split("=", 1)[0]!)?.verbs.includes(verb) === true ? [text] : [];
  const letters = [...text.slice(1)].filter((letter) => flagOfLetter(letter, verb)?.verbs.includes(verb));
  return letters.length === 0 ? [] : [`-${letters.join("")}`];
}

class Parser {
  readonly occurrences: Occurrence[] = [];
  readonly places: Argument[] = [];
  readonly takenBack = new Set<FlagName>();
  readonly #verb: VerbName;
  /** `copy -p 8` and `copy -c 16M`: a switch followed by a number that is no file, seen while reading. */
  #mistakenValue: UsageError | undefined;
  /** Flags of other tools, and what to write instead; they are told all at once. */
  readonly #foreign: Foreign[] = [];
  /** What is left of a bundle of letters when those that say nothing here are taken out. */
  readonly #rewrites: string[] = [];

  constructor(verb: VerbName) {
    this.#verb = verb;
  }

  /** Reads all words; stops at --help and --version, which outrank everything after them. */
  read(words: readonly Argument[]): "help" | "version" | undefined {
    const special = this.#read(words);
    if (special === undefined) this.#refuseForeign();
    return special;
  }

  #refuseForeign(): void {
    const [first, ...others] = this.#foreign;
    if (first === undefined) return;
    if (others.length === 0 && first.alone !== undefined) throw first.alone;
    if (others.length === 0) {
      const ways = [...(first.way === undefined ? [] : [first.way]), ...this.#rewrites];
      throw new UsageError(
        `${first.shown}${first.where} ${first.text}`,
        ways.length === 0 ? undefined : ways.join(" "),
      );
    }
    const shown = [...new Set(this.#foreign.map((one) => one.shown))];
    const ways = shown.map((one) => {
      const { text, also } = this.#foreign.find((foreign) => foreign.shown === one)!;
      return `${one} ${text}${also ?? ""}`;
    });
    throw new UsageError(`${listed(shown, "and")} are not written here`, [...ways, ...this.#rewrites].join("\n  "));
  }

  #read(words: readonly Argument[]): "help" | "version" | undefined {
    for (let at = 0; at < words.length; at++) {
      const word = words[at]!;
      const text = word.text;
      if (text === "--") {
        this.places.push(...words.slice(at + 1));
        return undefined;
      }
      if (text === "-" || !text.startsWith("-")) {
        this.places.push(word);
        continue;
      }
      const last = text.startsWith("--") ? this.#long(word) : this.#oneDash(word);
      if (last === "done") continue;
      if (last.flag.name === "help" && last.written === "-h" && words.length > 1) {
        this.#foreign.push(strayHelp(word));
        continue;
      }
      if (last.flag.name === "help" || last.flag.name === "version") return last.flag.name;
      if (last.flag.value === undefined || last.flag.value.optional) {
        this.#add(last.flag, undefined);
        this.#noteMistakenValue(last, words[at + 1]);
        continue;
      }
      at++;
      const value = this.#letterValue(last, valueAfter(last, words[at], this.#verb));
      refuseNoValue(last, value);
      this.#add(last.flag, value);
    }
    return undefined;
  }

  /** `--name` or `--name=value`. */
  #long(word: Argument): "done" | { flag: Named; written: string } {
    const equals = word.text.indexOf("=");
    const written = equals < 0 ? word.text : word.text.slice(0, equals);
    const back = equals < 0 ? takenBackBy(written.slice(2)) : undefined;
    if (back !== undefined && flagNamed(back)!.verbs.includes(this.#verb)) {
      this.takenBack.add(back);
      return "done";
    }
    const flag = this.#known(written.slice(2), written);
    if (flag === undefined) return "done";
    if (equals < 0) return { flag, written };
    if (flag.value === undefined) {
      throw new UsageError(`${written} takes no value`, `Leave ${quoted(text(word.text.slice(equals)))} out.`);
    }
    this.#add(flag, { text: word.text.slice(equals + 1), bytes: word.bytes.subarray(word.bytes.indexOf(0x3d) + 1) });
    return "done";
  }

  /** A bundle of letters; of find also the words that find(1) has: `-name`, `-type`. */
  #oneDash(word: Argument): "done" | { flag: Named; written: string } {
    const name = word.text.slice(1);
    if (this.#verb !== "find" || name.length < 3) return this.#bundle(word);
    const known = flagNamed(name);
    if (known?.verbs.includes("find"))
      throw new UsageError(`unknown flag ${quoted(word)}; did you mean --${name}?`, FIND_WORDS);
    const foreign = foreignFlag(name, "find");
    if (foreign === undefined) return this.#bundle(word);
    throw new UsageError(`-${name} ${foreign}`, FIND_WORDS);
  }

  /** `-nv`, `-p16`: a letter that takes a value ends the bundle, with what follows it in the word or with the next word. */
  #bundle(word: Argument): "done" | { flag: Named; written: string } {
    const letters = [...word.text.slice(1)];
    const kept: string[] = [];
    for (const [index, letter] of letters.entries()) {
      const written = `-${letter}`;
      const rest = letters.slice(index + 1).join("");
      const flag = flagOfLetter(letter, this.#verb);
      if (flag === undefined) {
        if (this.#noteForeignLetter(letter, word)) continue;
        // What follows a letter of another tool may be its value.
        if (index > 0 && this.#foreign.some((one) => one.word === word && isOfAnotherTool(one))) return "done";
        this.#noteUseless(letter, word, `is no flag of ${this.#verb}`, this.#unknownLetter(letter, word));
        continue;
      }
      if (flag.name === "help" && letters.length > 1) {
        if (this.#meantBy(word) !== undefined) throw this.#unknownLetter(letter, word);
        this.#foreign.push(strayHelp(word));
        continue;
      }
      if (flag.value !== undefined) {
        this.#belongs(flag, written);
        if (rest === "") return { flag, written };
        this.#add(flag, this.#letterValue({ flag, written }, afterLetter(word, letters.slice(0, index + 1).join(""))));
        return "done";
      }
      if (/^=?[0-9.]/.test(rest)) {
        const mistake = valueOfSwitch(written, flag.name, rest.replace(/^=/, ""), this.#verb);
        if (mistake !== undefined) throw mistake;
      }
      if (rest.startsWith("="))
        throw new UsageError(`${written} (--${flag.name}) takes no value`, `Leave ${quoted(text(rest))} out.`);
      const elsewhere = this.#belongsElsewhere(flag, written);
      if (elsewhere !== undefined) {
        this.#noteUseless(letter, word, `belongs to ${listed(verbsOf(flag), "and")}`, elsewhere);
        continue;
      }
      kept.push(letter);
      if (rest === "") {
        this.#noteRewrite(word, kept);
        return { flag, written };
      }
      this.#add(flag, undefined);
    }
    this.#noteRewrite(word, kept);
    return "done";
  }

  /** Only where nothing is to be written for what is taken out. */
  #noteRewrite(word: Argument, kept: readonly string[]): void {
    const out = this.#foreign.filter((one) => one.word === word);
    if (
      out.length === 0 ||
      kept.length === 0 ||
      !out.every(({ text, also }) => `${text}${also ?? ""}`.includes(LEAVE_OUT))
    )
      return;
    this.#rewrites.push(`Write -${kept.join("")} in the place of ${word.text}.`);
  }

  #letterValue({ flag, written }: { flag: Named; written: string }, value: Argument): Argument {
    const mistake = written.startsWith("--") ? undefined : wrongLetterValue(written, flag.name, value, quoted(value));
    if (mistake !== undefined) throw mistake;
    return value;
  }

  /** undefined: a flag of another tool, which was noted. */
  #known(name: string, written: string): Named | undefined {
    const flag = flagNamed(name);
    if (flag?.verbs.includes(this.#verb)) return flag;
    // What another tool's flag is here says more than which verb has it.
    const foreign = foreignFlag(name, this.#verb);
    if (foreign !== undefined) {
      this.#foreign.push({ shown: written, where: "", text: foreign });
      return undefined;
    }
    if (flag !== undefined) {
      this.#belongs(flag, written);
      return flag;
    }
    const here = flagsOf(this.#verb).map((known) => known.name);
    const meant =
      nearest(name, here) ??
      nearest(
        name,
        FLAGS.map((known) => known.name),
      );
    throw new UsageError(
      `unknown flag ${quoted(text(written))}${meant === undefined ? "" : `; did you mean --${meant}?`}`,
      meant === undefined ? "A path that begins with - is written ./-NAME, or after --." : undefined,
    );
  }

  #belongs(flag: Named, written: string): void {
    const elsewhere = this.#belongsElsewhere(flag, written);
    if (elsewhere !== undefined) throw elsewhere;
  }

  #belongsElsewhere(flag: Named, written: string): UsageError | undefined {
    if (flag.verbs.includes(this.#verb)) return undefined;
    const shown = written === `--${flag.name}` ? written : `${written} (--${flag.name})`;
    const verbs = verbsOf(flag);
    return new UsageError(
      `${shown} belongs to ${listed(verbs, "and")}; ${this.#verb} has no use for it`,
      this.#verb === "explain" && verbs.includes("mirror")
        ? "Before the line of a run it is taken: fastsync explain mirror ..., with all its flags"
        : flag.name === "quiet" && this.#verb !== "daemon"
          ? `What ${this.#verb} prints is its answer: >/dev/null leaves the exit code, 2>/dev/null what could be read`
          : undefined,
    );
  }

  /** Of several letters, so that all that is wrong with them is told; `alone`: what is said where it is the only one. */
  #noteUseless(letter: string, word: Argument, text: string, alone: UsageError): void {
    if (word.text.length <= 2 || this.#meantBy(word) !== undefined || !/[A-Za-z]/.test(letter)) throw alone;
    this.#foreign.push({ shown: `-${letter}`, where: "", text, alone, word });
  }

  /** True: it is what another tool has, and was noted. */
  #noteForeignLetter(letter: string, word: Argument): boolean {
    const text = foreignLetter(letter, this.#verb);
    if (text === undefined || this.#meantBy(word) !== undefined) return false;
    const where = word.text.length > 2 ? ` (in ${quoted(word)})` : "";
    this.#foreign.push({ shown: `-${letter}`, where, text, word });
    return true;
  }

  /** `-verbose` is one dash short of a flag, not seven switches. */
  #meantBy(word: Argument): string | undefined {
    if (word.text.length <= 3) return undefined;
    const name = word.text.slice(1).split("=", 1)[0]!;
    return nearest(
      name,
      flagsOf(this.#verb).map((known) => known.name),
    );
  }

  #unknownLetter(letter: string, word: Argument): UsageError {
    const shown = `-${letter}`;
    const where = word.text.length > 2 ? ` (in ${quoted(word)})` : "";
    const meant = this.#meantBy(word);
    if (meant !== undefined) return new UsageError(`unknown flag ${quoted(word)}; did you mean --${meant}?`);
    return new UsageError(
      `unknown flag ${quoted(text(shown))}${where}`,
      "A path that begins with - is written ./-NAME, or after --.",
    );
  }

  #add(flag: Named, value: Argument | undefined): void {
    const choices = flag.value?.choices;
    if (flag.name === "preset" && value !== undefined && value.text !== "" && presetNamed(value.text) === undefined)
      throw new UsageError(`--preset: ${unknownPreset(value.text)}`, "fastsync presets shows what each turns on.");
    if (value !== undefined && choices !== undefined && !choices.includes(value.text)) {
      const meant = nearest(value.text, choices);
      throw new UsageError(
        `--${flag.name} knows ${listed(choices, "and")}, not ${quoted(value)}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
      );
    }
    if (flag.value !== undefined && !flag.repeatable) {
      const before = this.occurrences.find((occurrence) => occurrence.flag === flag.name);
      if (before !== undefined) {
        throw new UsageError(
          `--${flag.name} is given twice (${shownValue(before.value)} and ${shownValue(value)}); keep one`,
        );
      }
    }
    this.occurrences.push({ flag: flag.name, value });
  }

  #noteMistakenValue({ flag, written }: { flag: Named; written: string }, next: Argument | undefined): void {
    if (next === undefined || this.#mistakenValue !== undefined || written.startsWith("--") || exists(next)) return;
    this.#mistakenValue = valueOfSwitch(written, flag.name, next.text, this.#verb);
  }

  checkRelations(): void {
    const given = new Set<string>(this.occurrences.map((occurrence) => occurrence.flag));
    for (const { flag: name } of this.occurrences) {
      const flag: Flag = flagNamed(name)!;
      for (const other of flag.conflicts ?? []) {
        if (given.has(other)) throw new UsageError(`--${name} and --${other} contradict each other; leave one out`);
      }
      if (this.takenBack.has(name)) {
        const back = name.startsWith("no-") ? name.slice(3) : `no-${name}`;
        throw new UsageError(`--${name} and --${back} contradict each other; leave one out`);
      }
    }
  }

  checkPlaces(): void {
    const { minPlaces, maxPlaces, usage } = VERBS[this.#verb];
    const count = this.places.length;
    const wrongCount = count < minPlaces || count > maxPlaces;
    const [verb] = this.places;
    if (this.#verb === "explain" && explainedVerb(verb) !== undefined && count > minPlaces)
      throw new UsageError(
        `${quoted(verb!)} comes first, before its flags`,
        `Write: fastsync explain ${verb!.text} ...`,
      );
    if (this.#verb === "explain" && verb !== undefined && isVerb(verb.text) && !exists(verb) && count >= minPlaces)
      throw new UsageError(
        `explain knows the runs of ${listed(EXPLAINED_VERBS, "and")}, not ${verb.text}`,
        `A source of that name is written ./${verb.text}`,
      );
    // With a free number of sources, `-p 8 A B` would take 8 for a source.
    if (this.#mistakenValue !== undefined) throw this.#mistakenValue;
    for (const place of this.places) {
      if (place.bytes.length === 0) throw new UsageError("an argument is empty; the current directory is written .");
    }
    if (!wrongCount && !(this.#verb === "capabilities" && count === 1)) return;
    if (count > maxPlaces) {
      const extra = quoted(this.places[maxPlaces]!);
      const several =
        this.#verb === "mirror" ? ". Several sources: use copy, or mirror each into a target of its own." : "";
      throw new UsageError(
        maxPlaces === 0
          ? `${this.#verb} takes no arguments; ${extra} is too many`
          : `${extra} is one argument too many`,
        `Usage: ${usage}${several}`,
      );
    }
    if (maxPlaces === 1) throw new UsageError(`${this.#verb} needs an argument`, `Usage: ${usage}`);
    if (count === 0) {
      const missing = minPlaces > 1 ? "SOURCE and TARGET are" : `${usage.split(" ").at(-1)!.replace("...", "")} is`;
      throw new UsageError(`${missing} missing`, `Usage: ${usage}`);
    }
    throw new UsageError(`TARGET is missing after ${quoted(this.places[0]!)}`, `Usage: ${usage}`);
  }
}

type Named = (typeof FLAGS)[number];

/** A flag that is written elsewhere, as the beginning and the end of a sentence. */
interface Foreign {
  readonly shown: string;
  readonly where: string;
  readonly text: string;
  /** Among others, behind the text. */
  readonly also?: string;
  /** Alone: the way out, below it; or all that is said. */
  readonly way?: string;
  readonly alone?: UsageError;
  readonly word?: Argument;
}

function verbsOf(flag: Named): VerbName[] {
  return flag.verbs.filter((verb) => verb !== "help" && verb !== "version");
}

function isOfAnotherTool({ alone, also }: Foreign): boolean {
  return alone === undefined && also === undefined;
}

const LEAVE_OUT = "leave it out";

/** `rsync -avh`, `du -sh`: whoever writes so wants work done, and would take a help text for its end. */
function strayHelp(word: Argument): Foreign {
  return {
    shown: "-h",
    where: word.text === "-h" ? "" : ` (in ${quoted(word)})`,
    text: "is the help, and stands alone",
    also: `; sizes are shown in units anyway: ${LEAVE_OUT}`,
    way: "Sizes are shown in units anyway: leave -h out. The help beside other words is --help.",
    word,
  };
}

/** What follows a letter in its word, without a `=` between them. */
function afterLetter({ text, bytes }: Argument, before: string): Argument {
  const from = 1 + before.length + (text[1 + before.length] === "=" ? 1 : 0);
  // Letters are ASCII, so that characters and bytes of what stands before the value are as many.
  return { text: text.slice(from), bytes: bytes.subarray(from) };
}

function valueAfter(from: { flag: Named; written: string }, next: Argument | undefined, verb: VerbName): Argument {
  const { flag, written } = from;
  const hint = flag.value!.choices?.join("|") ?? flag.value!.hint;
  if (next === undefined) throw new UsageError(`${written} needs a value: --${flag.name}=${hint}`);
  // A value may begin with a dash (`--filter '- *.o'`), but one that is a flag itself was more likely forgotten.
  const name = next.text.startsWith("--") ? next.text.slice(2).split("=", 1)[0]! : undefined;
  const isFlag =
    name !== undefined
      ? flagNamed(name) !== undefined
      : /^-[A-Za-z0-9]$/.test(next.text) && flagOfLetter(next.text[1]!, verb) !== undefined;
  if (next.text === "--" || isFlag) {
    throw new UsageError(
      `${written} needs a value before ${next.text}`,
      `If ${next.text} is the value, write --${flag.name}=${next.text}`,
    );
  }
  return next;
}

/** What values of these hints begin with, and what they are called. */
const VALUE_FORMS: Readonly<Record<string, readonly [form: RegExp, name: string]>> = {
  N: [/^\d+$/, "a number"],
  "N|P%": [/^\d/, "a number or a percentage"],
  SECONDS: [/^[+-]?[.\d]/, "a number of seconds"],
  SIZE: [/^[+-]?[.\d]/, "a size such as 4M"],
  RATE: [/^[+-]?[.\d]/, "a rate such as 10M"],
  AGE: [/^[+-]?[.\d]/, "an age such as 7d, or a date"],
};

/** The word behind a flag was meant for a place: told as such, before the places are counted. */
function refuseNoValue({ flag, written }: { flag: Named; written: string }, value: Argument): void {
  const [form, name] = VALUE_FORMS[flag.value!.hint] ?? [];
  if (form === undefined || form.test(value.text)) return;
  const shown = written.startsWith("--") ? written : `${written} (--${flag.name})`;
  throw new UsageError(`${shown} takes ${name}, not ${quoted(value)}`);
}

const FIND_WORDS = "Flags have two dashes here, and PLACE may stand anywhere.";

function exists(word: Argument): boolean {
  try {
    lstatSync(Buffer.from(word.bytes));
    return true;
  } catch {
    return false;
  }
}

function text(value: string): Argument {
  return { text: value, bytes: Buffer.from(value) };
}

function shownValue(value: Argument | undefined): string {
  return value === undefined ? "no value" : quoted(value);
}

/** A word that is none of those that stand behind a verb. */
export function unknownWord(verb: VerbName, known: readonly string[], word: Argument, way?: string): UsageError {
  const meant = nearest(word.text, known);
  const hint = meant === undefined ? "" : `; did you mean ${meant}?`;
  return new UsageError(`${verb} knows ${listed(known, "and")}, not ${quoted(word)}${hint}`, way);
}

/** For messages: safe on a terminal, in quotes. */
export function quoted(word: Argument): string {
  return `'${printable(word.bytes)}'`;
}

export function listed(words: readonly string[], joiner: "and" | "or"): string {
  if (words.length < 2) return words[0] ?? "";
  return `${words.slice(0, -1).join(", ")} ${joiner} ${words[words.length - 1]}`;
}
