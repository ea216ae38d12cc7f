/**
 * The keys of a configuration: the flags of the table that may have a standing value, under the names they have in
 * TOML. What a flag turns off is a key that is true unless set: `--no-perms` is `perms = false`.
 */
import { FLAGS, type Flag, type FlagName, flagNamed } from "../words/flags.ts";

type Named = (typeof FLAGS)[number];

export interface SettingKey {
  readonly key: string;
  /** Other names that are taken for it. */
  readonly aliases: readonly string[];
  /** What `true`, a value or a list of them stands for. Absent: true is what is done anyway. */
  readonly on?: FlagName;
  /** What `false` stands for. Absent: false is what is done anyway. */
  readonly off?: FlagName;
  readonly form: "switch" | "value" | "switch-or-value" | "list";
  /** Lists that add up: the nearest comes first, and with rules the first that matches decides. */
  readonly adds: boolean;
}

/** Flags that say what one run is about, and why they have no key. */
const COMMAND_LINE_ONLY: Partial<Record<FlagName, string>> = {
  "dry-run": "is said on the command line, or runs would do nothing and nobody would know why",
  yes: "is said on the command line: a deletion that nobody is asked about is decided where the run is started",
  delete: "is said on the command line: the verb sync deletes where it is told to",
  recursive: "is said on the command line of the cp that is to copy a directory",
  detach: "is said on the command line of the run that is to go on alone",
  json: "is said where the program is called that reads it",
  "files-from": "names what one run takes, so it is said on the command line",
  from0: "goes with --files-from, so it is said on the command line",
  help: "is said on the command line",
  version: "is said on the command line",
  profile: "is said on the command line, or by FASTSYNC_PROFILE",
  config: "is said on the command line, or by FASTSYNC_CONFIG",
  "no-config": "is said on the command line",
  project: "is said on the command line, or by FASTSYNC_PROJECT=1",
};

/** Names that do not follow from the flag's. */
const NAMES: Partial<Record<FlagName, string>> = { "zero-copy": "use_zero_copy", "no-zero-copy": "use_zero_copy" };

/** Second names of keys, for files that were written for other programs. */
const ALIASES: Readonly<Record<string, readonly string[]>> = { streams: ["parallel_streams"] };

/** Keys that people bring along, and what to write instead. */
const FOREIGN: Readonly<Record<string, string>> = {
  transfers: "is called workers",
  parallel: "is called workers",
  threads: "is called workers",
  bandwidth_limit: "is called bwlimit",
  verify_after_copy: "is called verify",
};

const RULES: readonly FlagName[] = ["exclude", "include", "filter", "exclude-from", "include-from"];

export const SETTING_KEYS: readonly SettingKey[] = makeKeys();

const BY_FLAG = new Map<FlagName, SettingKey>(
  SETTING_KEYS.flatMap((setting) =>
    [setting.on, setting.off].flatMap((flag) => (flag === undefined ? [] : [[flag, setting] as const])),
  ),
);

function makeKeys(): SettingKey[] {
  const keys = new Map<string, SettingKey>();
  for (const flag of FLAGS) {
    if (!flag.verbs.includes("copy") && !flag.verbs.includes("mirror")) continue;
    if (COMMAND_LINE_ONLY[flag.name] !== undefined) continue;
    const turnsOff = flag.name.startsWith("no-") && flag.value === undefined;
    const key = NAMES[flag.name] ?? flag.name.slice(turnsOff ? 3 : 0).replaceAll("-", "_");
    keys.set(key, {
      key,
      aliases: ALIASES[key] ?? [],
      ...keys.get(key),
      ...(turnsOff ? { off: flag.name } : { on: flag.name }),
      form: formOf(flag),
      adds: RULES.includes(flag.name),
    });
  }
  return [...keys.values()];
}

function formOf(flag: Named): SettingKey["form"] {
  const { value, repeatable }: Flag = flag;
  if (value === undefined) return "switch";
  if (repeatable) return "list";
  return value.optional ? "switch-or-value" : "value";
}

export function keyOfFlag(flag: FlagName): SettingKey | undefined {
  return BY_FLAG.get(flag);
}

/** Why there is no standing value for this word, where it is a flag that has none. */
export function whyOnLineOnly(word: string): string | undefined {
  const flag = flagNamed(word.replaceAll("_", "-"));
  return flag === undefined ? undefined : COMMAND_LINE_ONLY[flag.name];
}

/** Why this word is no key, where something better than "unknown" can be said. */
export function whyNoKey(word: string): string | undefined {
  if (Object.hasOwn(FOREIGN, word)) return FOREIGN[word];
  const reason = whyOnLineOnly(word);
  if (reason !== undefined) return reason;
  const flag = flagNamed(word.replaceAll("_", "-"));
  const known = flag === undefined ? undefined : keyOfFlag(flag.name);
  if (known === undefined || known.key === word) return undefined;
  return known.off === flag?.name ? `is written ${known.key} = false` : `is written ${known.key}`;
}

/**
 * The flag whose standing value `--no-NAME`, or `--NAME` for one that turns something off, takes back for one run. The
 * table itself knows most spellings; this is for the others.
 */
export function takenBackBy(name: string): FlagName | undefined {
  const other = name.startsWith("no-") ? name.slice(3) : `no-${name}`;
  const flag = flagNamed(other);
  if (flag === undefined || flagNamed(name) !== undefined) return undefined;
  const setting = keyOfFlag(flag.name);
  // `--no-exclude` would be taken for the opposite of --exclude, which is --include.
  return setting === undefined || setting.adds ? undefined : flag.name;
}
