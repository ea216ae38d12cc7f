/** Variables that begin with ours and that nobody reads: a mistyped one would be obeyed by silence. */
import { nearest } from "../../core/nearest.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { SETTING_KEYS } from "./keys.ts";
import { variableOf } from "./layer.ts";

const PREFIX = "FASTSYNC_";

/** What the program reads beside its settings. */
const READ = ["config", "profile", "project", "no_zero_copy", "native", "library", "debug"];

/** What building, testing and measuring fastsync reads: no mistakes, and nothing to propose. */
const OF_THE_WORKSHOP =
  /^FASTSYNC_(BIN|CARRIER|DAEMON(_PATH|_READ|_WRITE)?|FAULTS|FILTER_(CASES|SEED)|FUZZ_(SECONDS|SEED)|JUNIT|LIBRARIES_[A-Z0-9_]+|PLACEMENTS?|RACES|RACE_MS|RELEASE|SEEDS)$/;

/** What to say of each; an empty variable is one that is not set. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const keys = [...SETTING_KEYS.flatMap(({ key, aliases }) => [key, ...aliases]), ...READ];
  const known = new Set(keys.map(variableOf));
  return Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && env[name] && !known.has(name) && !OF_THE_WORKSHOP.test(name))
    .sort()
    .map((name) => {
      const meant = nearest(name.slice(PREFIX.length), keys);
      const way = meant === undefined ? "" : `; did you mean ${variableOf(meant)}?`;
      return `${printable(bytesOf(name))}: nothing reads a variable of this name${way}`;
    });
}
