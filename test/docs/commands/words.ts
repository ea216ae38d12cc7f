/** The commands of a shell block that call fastsync, as the words that it would get. Reads no more shell than documents use. */
import { parseCommandLine } from "../../../src/cli/words/parse-args.ts";
import { argumentOf, wordsCalledAs } from "../../../src/cli/words/raw-args.ts";

export interface Call {
  /** As written. */
  readonly name: string;
  readonly words: readonly string[];
}

export function callsIn(script: string): Call[] {
  return simpleCommands(script.replace(/\\\n/g, " ")).flatMap((words) => {
    const at = words.findIndex((word) => /(^|\/)fastsync(d|-utils)?$/.test(word));
    // In the argument of another program (`install dist/fastsync`, `ln -s fastsync`) it is a file.
    if (at < 0 || !words.slice(0, at).every(mayStandBefore)) return [];
    return [{ name: words[at]!.replace(/^.*\//, ""), words: words.slice(at + 1) }];
  });
}

/** What the command line says against the call; undefined when it would be taken. */
export function complaintAbout({ name, words }: Call): string | undefined {
  try {
    parseCommandLine(wordsCalledAs(name, words.map(argumentOf)));
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function mayStandBefore(word: string): boolean {
  return /^(sudo|env|exec|nice|ionice|time|flock|chronic|npx|bunx|!|if|then|until|while|do|-\S+|[A-Z_]+=.*|\d+|\/\S+\.lock)$/.test(
    word,
  );
}

/** Splits at operators and newlines, and takes quotes away; substitutions stay as they are written. */
function simpleCommands(script: string): string[][] {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | undefined;
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  const endCommand = (): void => {
    endWord();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (let at = 0; at < script.length; at++) {
    const char = script[at]!;
    if (char === "#" && word === undefined) {
      while (at + 1 < script.length && script[at + 1] !== "\n") at++;
    } else if (char === "\n" || char === ";" || char === "|" || (char === "&" && script[at - 1] !== ">")) {
      endCommand();
    } else if (char === "(" || char === ")") {
      // A substitution inside a word is a command of its own; what is around it is no longer of interest.
      endCommand();
    } else if (char === ">" || char === "<") {
      if (/^\d?$/.test(word ?? "")) word = undefined;
      endWord();
      at = endOfRedirection(script, at);
    } else if (char === " " || char === "\t") {
      endWord();
    } else if (char === "'" || char === '"') {
      const end = script.indexOf(char, at + 1);
      word = `${word ?? ""}${script.slice(at + 1, end < 0 ? script.length : end)}`;
      at = end < 0 ? script.length : end;
    } else {
      word = `${word ?? ""}${char === "\\" ? (script[++at] ?? "") : char}`;
    }
  }
  endCommand();
  return commands;
}

/** Index of the last character of `> file`, `2>&1`, `< file`. */
function endOfRedirection(script: string, at: number): number {
  const [whole] = /^[<>]+&?\s*[^\s;|&()]*/.exec(script.slice(at))!;
  return at + whole.length - 1;
}
