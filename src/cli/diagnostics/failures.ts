/**
 * The last runs of this user that did not end well, for `diagnostics`: how they ended and what kinds of failures there
 * were, without a name or a path. In the directory of the history, and not noted where that is turned off.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RunSummary } from "../../core/events.ts";
import { makePrivateFile, makeStateDirectory, type StatePlace, statePlace } from "../../history/state-place.ts";
import { VERSION } from "../version.ts";

const KEPT = 20;

export interface NotedFailure {
  /** RFC 3339. */
  readonly ended: string;
  readonly version: string;
  readonly verb: string;
  /** The verb as it was written; absent in notes of earlier versions. */
  readonly command?: string;
  readonly exit_code: number;
  readonly exit_reason: string;
  /** Items that failed, and how many of the first of them had which code. */
  readonly failed: number;
  readonly codes: Readonly<Record<string, number>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Nothing that stands in the way is more than a failure that is not noted. */
export function noteFailure(
  env: Environment,
  run: { readonly verb: string; readonly command: string },
  summary: RunSummary,
  now = new Date(),
): void {
  const place = statePlace(env);
  if (place === undefined || existsSync(place.off)) return;
  const codes: Record<string, number> = {};
  for (const { code } of summary.failures) codes[code] = (codes[code] ?? 0) + 1;
  const noted: NotedFailure = {
    ended: now.toISOString(),
    version: VERSION,
    ...run,
    exit_code: summary.exitCode,
    exit_reason: summary.exitReason,
    failed: summary.counters.failed,
    codes,
  };
  try {
    makeStateDirectory(place);
    makePrivateFile(failuresFile(place));
    const lines = [...recentFailures(env), noted].slice(-KEPT).map((one) => JSON.stringify(one));
    writeFileSync(failuresFile(place), `${lines.join("\n")}\n`);
  } catch {
    // A run is what it is without a note.
  }
}

/** The oldest first; what is no note is passed over. */
export function recentFailures(env: Environment): NotedFailure[] {
  const place = statePlace(env);
  if (place === undefined) return [];
  let text: string;
  try {
    text = readFileSync(failuresFile(place), "utf8");
  } catch {
    return [];
  }
  return text
    .split("\n")
    .flatMap((line) => {
      const noted = read(line);
      return noted === undefined ? [] : [noted];
    })
    .slice(-KEPT);
}

export function failuresFile({ directory }: StatePlace): string {
  return join(directory, "failures.ndjson");
}

/** Somebody may have edited it: only what has the form of a note is shown. */
function read(line: string): NotedFailure | undefined {
  try {
    const { ended, version, verb, command, exit_code, exit_reason, failed, codes } = JSON.parse(line) as NotedFailure;
    const words = [version, verb, command ?? verb, exit_reason, ...Object.keys(codes)];
    const numbers = [exit_code, failed, ...Object.values(codes)];
    const isNote =
      /^[\dT:.Z-]{10,30}$/.test(ended) &&
      words.every((word) => typeof word === "string" && /^[a-z0-9_.-]{1,40}$/.test(word)) &&
      numbers.every((value) => Number.isSafeInteger(value) && value >= 0);
    const written = command === undefined ? {} : { command };
    return isNote ? { ended, version, verb, ...written, exit_code, exit_reason, failed, codes } : undefined;
  } catch {
    return undefined;
  }
}
