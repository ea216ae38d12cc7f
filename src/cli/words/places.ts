/** Sources and targets: what the words for them name. */
import { lstatSync } from "node:fs";
import { printable } from "../../core/paths.ts";
import { type Endpoint, EndpointError, parseEndpoint } from "../../endpoints/parse.ts";
import type { LocalPlace, Place } from "../../session/api.ts";
import { quoted } from "./parse-args.ts";
import type { Argument } from "./raw-args.ts";
import { UsageError } from "./usage-error.ts";

/** A local path, or a place behind a daemon. */
export function place(word: Argument): Endpoint {
  if (word.text === "-") {
    throw new UsageError("'-' (standard input or output) cannot be copied", "A file of that name is written ./-");
  }
  try {
    return parseEndpoint(word.bytes, { exists, drives: process.platform === "win32" });
  } catch (error) {
    if (error instanceof EndpointError) throw new UsageError(error.message, error.way);
    throw error;
  }
}

/** Refuses what was meant for another machine: copying it into a local file named `host:` would look like success. */
export function localPlace(word: Argument): LocalPlace {
  const isElsewhere = !exists(word.bytes) && /^[^/]*:/.test(word.text);
  const { kind, path } = isElsewhere ? { kind: "daemon", path: undefined } : place(word);
  if (kind === "local" && path !== undefined) return { path };
  const shown = quoted(word).slice(1, -1);
  throw new UsageError(
    `${quoted(word)} is a place on another machine, and here only local paths can be used`,
    `fastsync doctor ${shown} looks behind a daemon. If it is a local path, write ./${shown}`,
  );
}

/**
 * `cp <(command) DIR`, `cp /dev/stdin DIR`: what to say of a source that is a link to something this process holds open,
 * which lands as a link that leads nowhere.
 */
export function heldOpen({ kind, path }: Place): string | undefined {
  if (
    kind === "daemon" ||
    !/^\/(dev\/(stdin|stdout|stderr|fd\/\d+)|proc\/[^/]+\/fd\/\d+)$/.test(Buffer.from(path).toString())
  )
    return undefined;
  return `${printable(path)} is a link to what this process has open: the link lands, not what can be read there; write that to a file first`;
}

export function exists(path: Uint8Array): boolean {
  try {
    lstatSync(Buffer.from(path));
    return true;
  } catch {
    return false;
  }
}
