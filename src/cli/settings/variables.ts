/** Variables that begin with ours and say nothing to anybody: a mistyped one would be obeyed by silence. */
import { nearest } from "../../core/nearest.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { isNativeSwitch } from "../../fs/native-switch.ts";
import { flagNamed } from "../words/flags.ts";
import { keyOfFlag, SETTING_KEYS, whyOnLineOnly } from "./keys.ts";
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
  const unknown = Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && env[name] && !known.has(name) && !OF_THE_WORKSHOP.test(name))
    .sort()
    .map(
      (name) =>
        `${printable(bytesOf(name))}: nothing reads a variable of this name${wayOf(name.slice(PREFIX.length), keys)}`,
    );
  const native = env["FASTSYNC_NATIVE"];
  return native && !isNativeSwitch(native)
    ? [...unknown, `FASTSYNC_NATIVE: is ${printable(bytesOf(JSON.stringify(native)))}, not on or off`]
    : unknown;
}

function wayOf(word: string, keys: readonly string[]): string {
  const name = word.toLowerCase().replaceAll("_", "-");
  const why = whyOnLineOnly(name);
  if (why !== undefined) return `: --${name} ${why}`;
  const flag = flagNamed(name);
  const setting = flag === undefined ? undefined : keyOfFlag(flag.name);
  if (setting !== undefined)
    return `; did you mean ${variableOf(setting.key)}${setting.off === flag?.name ? "=0" : ""}?`;
  const meant = nearest(word, keys);
  return meant === undefined ? "" : `; did you mean ${variableOf(meant)}?`;
}
