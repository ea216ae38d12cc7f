/**
 * Letters that are a switch in one set of verbs and take a value in the other (`-p`, `-c`): what is said when they are
 * mixed up. Each message names the long flag that the letter stands for, and the one that was meant.
 */
import type { FlagName } from "./flags.ts";
import type { Argument } from "./raw-args.ts";
import { UsageError } from "./usage-error.ts";
import { letterSetOf, type VerbName } from "./verbs.ts";

const COUNT = /^\d+$/;
const SIZE = /^(\d+(\.\d*)?|\.\d+)([kmgtp](i?b)?|b)?$/i;
/** No chunk is shorter; a number below was meant for something else. */
const CHUNK_LEAST = 65_536;

/** A letter that takes no value, before a word that would be one elsewhere; undefined: no such mistake. */
export function valueOfSwitch(written: string, flag: FlagName, value: string, verb: VerbName): UsageError | undefined {
  const noPlace = `${written} is --${flag} here and takes no value, so ${value} has no place`;
  if (flag === "progress" && COUNT.test(value)) {
    const streams = letterSetOf(verb) === "transfer" ? `-p ${value} (--streams)` : `--streams ${value}`;
    return new UsageError(
      noPlace,
      `For ${value} data streams write ${streams}, for ${value} threads --workers ${value}.`,
    );
  }
  if (flag === "checksum" && SIZE.test(value))
    return new UsageError(noPlace, `To move large files in pieces of ${value} write --chunk-size ${value}.`);
  return undefined;
}

/** A letter that takes a value, and what stands there is none; undefined: it may be one. */
export function wrongLetterValue(
  written: string,
  flag: FlagName,
  value: Argument,
  shown: string,
): UsageError | undefined {
  const { text } = value;
  if (flag === "streams" && !COUNT.test(text)) {
    const way = SIZE.test(text)
      ? `A size of chunks is -c ${text} (--chunk-size).`
      : "Attributes are kept without a flag; to see progress write -P (--progress).";
    return new UsageError(`${written} is --streams here and takes a number, not ${shown}`, way);
  }
  if (flag === "chunk-size") {
    if (!SIZE.test(text))
      return new UsageError(
        `${written} is --chunk-size here and takes a size, not ${shown}`,
        "To compare contents write --checksum.",
      );
    if (COUNT.test(text) && Number(text) < CHUNK_LEAST)
      return new UsageError(
        `${written} is --chunk-size here, and no chunk is as short as ${text} bytes`,
        `For ${text} data streams write -p ${text} (--streams); sizes look like 4M.`,
      );
  }
  return undefined;
}
