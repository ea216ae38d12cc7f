/**
 * `fastsync __complete SHELL BREAKS PROGRAM WORD...`: what the scripts of `completions` ask at each press of a key.
 *
 * The answer is one candidate a line, its description after a tab where there is one, and as the last line what the
 * shell shall add itself: `:nothing`, `:files` or `:directories`. Whatever goes wrong, the answer is `:files` and the
 * exit code 0: nobody wants to read an error in the middle of a line.
 */
import { readdirSync, statSync } from "node:fs";
import { basename } from "node:path";
import { loadSettings, type Settings } from "../settings/load.ts";
import { argumentOf, wordsCalledAs } from "../words/raw-args.ts";
import { readBashWord, writeBashWord } from "./bash-words.ts";
import { type Candidate, type Completion, complete, type Known } from "./candidates.ts";

/** No shell waits longer. */
const ANSWER_MS = 1500;

/** What would end a line of the answer, or steer a terminal, is not offered. */
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd]/;

/** `words`: those after `__complete`. */
export async function completionAnswer(words: readonly string[]): Promise<string> {
  const [shell = "", breaks = "", program = "", ...line] = words;
  try {
    return await Promise.race([
      shell === "bash" ? forBash(line, breaks, program) : forOthers(line, program),
      tooLate(),
    ]);
  } catch {
    return answer({ candidates: [], rest: "files" });
  }
}

async function tooLate(): Promise<string> {
  await Bun.sleep(ANSWER_MS);
  return answer({ candidates: [], rest: "files" });
}

/** PowerShell before 7.3 loses empty words on their way to a program, so its script writes a space for one. */
async function forOthers(line: readonly string[], program: string): Promise<string> {
  const words = line.map((word) => (word === " " ? "" : word));
  return answer(await complete(calledAs(program, words), known()));
}

async function forBash(line: readonly string[], breaks: string, program: string): Promise<string> {
  const words = line.map((raw) => readBashWord(raw, breaks));
  const current = words.at(-1) ?? readBashWord("", breaks);
  const texts = words.map(({ text }) => text);
  const { candidates, rest } = await complete(calledAs(program, texts), known());
  // Bash takes either our words or its own files: where both are meant, the files come from here.
  const files = rest === "files" && candidates.length > 0 ? filesHere(current.text) : [];
  const written = [...candidates, ...files].flatMap(({ value }) => {
    const word = writeBashWord(value, current);
    return word === undefined ? [] : [{ value: word }];
  });
  return answer({ candidates: written, rest: written.length > 0 ? "nothing" : rest });
}

/** `fastsyncd` has one verb, and it is not written. */
function calledAs(program: string, line: readonly string[]): string[] {
  return wordsCalledAs(basename(program), line.map(argumentOf)).map(({ text }) => text);
}

function filesHere(beginning: string): Candidate[] {
  return readdirSync(".")
    .filter((name) => name.startsWith(beginning) && (beginning !== "" || !name.startsWith(".")))
    .map((name) => ({ value: isDirectory(name) ? `${name}/` : name }));
}

function isDirectory(name: string): boolean {
  try {
    return statSync(name).isDirectory();
  } catch {
    return false;
  }
}

function answer({ candidates, rest }: Completion): string {
  const lines = candidates
    .filter(({ value }) => !UNFIT.test(value))
    .map(({ value, about }) => (about === undefined || UNFIT.test(about) ? value : `${value}\t${about}`));
  return [...lines, `:${rest}`, ""].join("\n");
}

/** Read when it is asked for: most presses of the key are about flags. */
function known(): Known {
  let settings: Settings | undefined;
  const read = (): Settings => {
    settings ??= loadSettings({
      env: process.env,
      file: undefined,
      noFiles: false,
      profile: undefined,
      preset: undefined,
      project: false,
    });
    return settings;
  };
  return {
    profiles: () => read().profiles,
    remotes: () => [...read().remotes.values()],
    remotePaths: async (word) => {
      try {
        const { remotePaths } = await import("./remote-paths.ts");
        return await remotePaths(word, read().remotes);
      } catch {
        return [];
      }
    },
  };
}
