/** Sources and targets: which words are local paths. */
import { lstatSync } from "node:fs";
import { printable } from "../core/paths.ts";
import type { LocalPlace } from "../session/api.ts";
import { quoted } from "./parse-args.ts";
import type { Argument } from "./raw-args.ts";
import { UsageError } from "./usage-error.ts";

/** Refuses what was meant for another machine: copying it into a local file named `host:` would look like success. */
export function localPlace(word: Argument): LocalPlace {
  if (word.text === "-") {
    throw new UsageError("'-' (standard input or output) cannot be copied", "A file of that name is written ./-");
  }
  if (looksRemote(word.text) && !exists(word.bytes)) {
    throw new UsageError(
      `${quoted(word)} looks like a place on another machine; this build copies between local paths only`,
      `If it is a local path, write ./${printable(word.bytes)}`,
    );
  }
  return { path: word.bytes };
}

/** As scp and rsync read it: a colon before any slash. That covers URLs too. */
export function looksRemote(text: string): boolean {
  const colon = text.indexOf(":");
  if (colon < 0) return false;
  const slash = text.indexOf("/");
  return slash < 0 || colon < slash;
}

function exists(path: Uint8Array): boolean {
  try {
    lstatSync(Buffer.from(path));
    return true;
  } catch {
    return false;
  }
}
