/** Adds to a command line what the configuration says and the line does not. */
import { type Flag, type FlagName, flagNamed } from "../words/flags.ts";
import { listed, type Occurrence, ParsedArgs } from "../words/parse-args.ts";
import { argumentOf } from "../words/raw-args.ts";
import { UsageError } from "../words/usage-error.ts";
import { SETTING_KEYS, type SettingKey } from "./keys.ts";
import type { Layer, SettingValue } from "./layer.ts";

export interface Effective {
  readonly key: string;
  /** undefined: nobody said anything, and what happens is more than a word. */
  readonly value: SettingValue | undefined;
  readonly origin: string;
}

export interface Applied {
  readonly args: ParsedArgs;
  /** Where each flag that the line does not have comes from. */
  readonly origins: ReadonlyMap<FlagName, string>;
}

/** The key's word on the command line. */
interface Word extends Occurrence {
  readonly key: string;
  readonly layer: Layer;
}

/**
 * `layers`: the nearest first. What contradicts the line, or a nearer layer, is dropped: the nearer one decides. What
 * one and the same layer says against itself is a UsageError. What needs a flag that is not there waits for it.
 */
export function applySettings(args: ParsedArgs, layers: readonly Layer[]): Applied {
  const words: Word[] = [];
  const decided = new Set<string>();
  for (const layer of layers) {
    for (const setting of SETTING_KEYS) {
      const value = layer.values.get(setting.key);
      if (value === undefined || (!setting.adds && (decided.has(setting.key) || isDecidedBy(args, setting)))) continue;
      decided.add(setting.key);
      for (const occurrence of occurrencesOf(setting, value))
        if (fits(args, words, { ...occurrence, key: setting.key, layer }))
          words.push({ ...occurrence, key: setting.key, layer });
    }
    for (const key of layer.decides ?? []) decided.add(key);
  }
  const kept = words.filter(({ flag }) => hasWhatItNeeds(flag, args, words));
  return {
    args: new ParsedArgs(
      args.verb,
      [...args.occurrences, ...kept.map(({ flag, value }) => ({ flag, value }))],
      args.places,
      args.takenBack,
    ),
    origins: originsOf(kept),
  };
}

/** Of what adds up: all of its places, the nearest first. */
function originsOf(words: readonly Word[]): ReadonlyMap<FlagName, string> {
  const origins = new Map<FlagName, Set<string>>();
  for (const { flag, key, layer } of words) origins.set(flag, (origins.get(flag) ?? new Set()).add(layer.origin(key)));
  return new Map([...origins].map(([flag, places]) => [flag, [...places].join(", ")]));
}

/** The line has the flag, its opposite, or takes it back. */
function isDecidedBy(args: ParsedArgs, { on, off }: SettingKey): boolean {
  return [on, off].some((flag) => flag !== undefined && (args.has(flag) || args.takenBack.has(flag)));
}

function occurrencesOf({ on, off }: SettingKey, value: SettingValue): Occurrence[] {
  if (value === true) return on === undefined ? [] : [{ flag: on, value: undefined }];
  if (value === false) return off === undefined ? [] : [{ flag: off, value: undefined }];
  return value.map((text) => ({ flag: on!, value: argumentOf(text) }));
}

function fits(args: ParsedArgs, words: readonly Word[], { flag, key, layer }: Word): boolean {
  if (!flagNamed(flag)!.verbs.includes(args.verb)) return false;
  if (args.occurrences.some((given) => contradict(flag, given.flag))) return false;
  const other = words.find((word) => contradict(flag, word.flag));
  if (other === undefined) return true;
  if (other.layer !== layer) return false;
  throw new UsageError(`${layer.origin(key)}: ${other.key} and ${key} contradict each other; leave one out`);
}

function contradict(a: FlagName, b: FlagName): boolean {
  const conflictsOf = (name: FlagName): readonly string[] => (flagNamed(name) as Flag).conflicts ?? [];
  return conflictsOf(a).includes(b) || conflictsOf(b).includes(a);
}

function hasWhatItNeeds(flag: FlagName, args: ParsedArgs, words: readonly Word[]): boolean {
  const needs = neededBy(flag, args);
  return needs.length === 0 || needs.some((other) => args.has(other) || words.some((w) => w.flag === other));
}

/** Of the flags that it needs, those that the verb has: a mirror deletes without being told to. */
function neededBy(flag: FlagName, { verb }: ParsedArgs): FlagName[] {
  const { needs }: Flag = flagNamed(flag)!;
  return ((needs ?? []) as readonly FlagName[]).filter((other) => flagNamed(other)!.verbs.includes(verb));
}

/** What `fits` leaves to the end: `--suffix` may wait for a `backup` of the configuration. */
export function checkNeeds(args: ParsedArgs): void {
  for (const { flag: name } of args.occurrences) {
    const needs = neededBy(name, args);
    if (needs.length > 0 && !needs.some((other) => args.has(other))) {
      throw new UsageError(
        `--${name} needs ${listed(
          needs.map((other) => `--${other}`),
          "or",
        )}`,
      );
    }
  }
}

/** undefined: the work decides. */
function defaultOf({ on, off, form }: SettingKey): boolean | undefined {
  if (form === "value" || form === "list" || (on !== undefined && off !== undefined)) return undefined;
  return off !== undefined;
}

/** Every key with the value that counts and where it comes from, for `config show`. */
export function effectiveSettings(layers: readonly Layer[]): Effective[] {
  return SETTING_KEYS.map((setting) => {
    const saying = layers.filter((layer) => layer.values.has(setting.key));
    const [first] = saying;
    if (first === undefined) return { key: setting.key, value: defaultOf(setting), origin: "default" };
    if (!setting.adds)
      return { key: setting.key, value: first.values.get(setting.key)!, origin: first.origin(setting.key) };
    return {
      key: setting.key,
      value: saying.flatMap((layer) => layer.values.get(setting.key) as readonly string[]),
      origin: saying.map((layer) => layer.origin(setting.key)).join(", "),
    };
  });
}
