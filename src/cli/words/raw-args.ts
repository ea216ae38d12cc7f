/**
 * The command line as bytes. Bun hands arguments over as strings and replaces what is not UTF-8, so a path with such a
 * name would point nowhere. Linux keeps the bytes in /proc/self/cmdline; the arguments of the program are its tail,
 * however the runtime was started (`bun main.ts`, `bun run main.ts`, a compiled binary, a symlink to one).
 */
import { readFileSync } from "node:fs";
import { bytesOf, lossyUtf8Of } from "../../core/paths.ts";
import { isDaemonName, isUtilsName } from "../../core/program-name.ts";

/** The verb that scripts of shells ask; no help names it. */
export const COMPLETE = "__complete";

/** One word of the command line. */
export interface Argument {
  /** For comparing with names of verbs and flags, and for messages; lossy where the bytes are not UTF-8. */
  readonly text: string;
  readonly bytes: Uint8Array;
}

export function argumentOf(text: string): Argument {
  return { text, bytes: bytesOf(text) };
}

/** The words after the program's name; called as `fastsyncd` or `fastsync-utils`, the first verb is not among them. */
export function commandLineArguments(): Argument[] {
  return wordsCalledAs(process.argv0, wordsOfProcess());
}

/**
 * `fastsyncd --port 1` is `fastsync daemon --port 1`, `fastsync-utils du` is `fastsync utils du`; version and help are
 * asked of any name.
 */
export function wordsCalledAs(name: string, words: readonly Argument[]): Argument[] {
  const [first] = words;
  const isOther = first !== undefined && ["version", "help", COMPLETE].includes(first.text);
  if (isOther) return [...words];
  if (isDaemonName(name)) return [argumentOf("daemon"), ...words];
  return isUtilsName(name) ? [argumentOf("utils"), ...words] : [...words];
}

function wordsOfProcess(): Argument[] {
  const texts = process.argv.slice(2);
  // Only a replacement character shows that bytes were lost; it may also be a real one, which costs one file read.
  if (!texts.some((text) => text.includes("\ufffd"))) return texts.map(argumentOf);
  try {
    return withRawBytes(texts, readFileSync("/proc/self/cmdline"));
  } catch {
    return texts.map(argumentOf);
  }
}

/** Gives the texts the bytes of the last words in `cmdline` (NUL after each); as they are where they do not agree. */
export function withRawBytes(texts: readonly string[], cmdline: Uint8Array): Argument[] {
  const words: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at < cmdline.length; at++) {
    if (cmdline[at] !== 0) continue;
    words.push(cmdline.slice(from, at));
    from = at + 1;
  }
  const first = words.length - texts.length;
  return texts.map((text, index) => {
    const bytes = words[first + index];
    return bytes !== undefined && collapse(lossyUtf8Of(bytes)) === collapse(text) ? { text, bytes } : argumentOf(text);
  });
}

/** Decoders differ in how many replacement characters they make of a broken sequence. */
function collapse(text: string): string {
  return text.replace(/\ufffd+/g, "\ufffd");
}
