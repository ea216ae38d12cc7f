/** Settings from one place: a table of a file, or the environment. What is wrong in it is noted, all at once. */
import { type Problems, shownValue, TableReader } from "../../config/table.ts";
import { flagNamed } from "../words/flags.ts";
import { zeroCopyDisabledBy } from "../words/resolve-options.ts";
import { SETTING_KEYS, type SettingKey, whyNoKey } from "./keys.ts";

/** A boolean, or the texts that a value flag or its repetitions would have on the command line. */
export type SettingValue = boolean | readonly string[];

export interface Layer {
  /** For messages and `config show`: `/etc/fastsync/config.toml [global]`, `FASTSYNC_BWLIMIT`. */
  readonly origin: (key: string) => string;
  readonly values: ReadonlyMap<string, SettingValue>;
  /** Keys that are decided here by other means than a value: what is farther away has no say in them. */
  readonly decides?: readonly string[];
}

/** One table. `others` are keys that belong to the table and are no settings. */
export function layerOfTable(
  problems: Problems,
  file: string,
  name: string,
  table: unknown,
  others: readonly string[] = [],
): { layer: Layer; reader: TableReader } {
  const reader = new TableReader(problems, file, `${name}.`, table);
  const values = new Map<string, SettingValue>();
  for (const setting of SETTING_KEYS) {
    const value = readSetting(reader, setting, writtenAs(reader, setting));
    if (value !== undefined) values.set(setting.key, value);
  }
  for (const key of others) reader.raw(key);
  for (const key of reader.unasked()) {
    const why = whyNoKey(key);
    if (why === undefined) continue;
    reader.raw(key);
    reader.problem(key, why);
  }
  reader.finish();
  return { layer: { origin: () => `${file} [${name}]`, values }, reader };
}

/** The name by which the table has it; a second one beside it is a mistake. */
function writtenAs(reader: TableReader, { key, aliases }: SettingKey): string {
  const [first = key, ...others] = [key, ...aliases].filter((name) => reader.has(name));
  for (const other of others) reader.problem(other, `is another name of ${first}; leave one out`);
  for (const name of aliases) reader.raw(name);
  return first;
}

function readSetting(reader: TableReader, { on, form }: SettingKey, key: string): SettingValue | undefined {
  switch (form) {
    case "switch":
      return reader.boolean(key);
    case "list":
      return reader.strings(key, { alone: true });
    case "switch-or-value":
      if (typeof reader.raw(key) === "boolean") return reader.boolean(key);
      break;
    case "value":
      break;
  }
  const value = reader.raw(key);
  if (value === undefined) return undefined;
  const choices = flagNamed(on!)?.value?.choices;
  if (choices !== undefined) {
    const chosen = reader.choice(key, choices);
    return chosen === undefined ? undefined : [chosen];
  }
  if (typeof value === "string") return [value];
  // Which numbers are right is the flag's matter, which knows the reason why not.
  if (typeof value === "number") return [String(value)];
  reader.problem(key, `is ${shownValue(value)}, not a string or a number`);
  return undefined;
}

const TRUE = ["1", "true", "yes", "on"];
const FALSE = ["0", "false", "no", "off"];

/** `FASTSYNC_` and the key in capitals. An empty variable is one that is not set. */
export function layerOfEnvironment(problems: Problems, env: Readonly<Record<string, string | undefined>>): Layer {
  const values = new Map<string, SettingValue>();
  for (const setting of SETTING_KEYS) {
    const name = [setting.key, ...setting.aliases].map(variableOf).find((variable) => env[variable]);
    const text = name === undefined ? undefined : env[name];
    if (name === undefined || text === undefined) continue;
    const value = readText(setting, text);
    if (typeof value === "string") problems.add(name, "", value);
    else values.set(setting.key, value);
  }
  // Its variable is older than the key, and is obeyed where methods are chosen.
  const decides = zeroCopyDisabledBy(env) === undefined ? [] : ["use_zero_copy"];
  return { origin: variableOf, values, decides };
}

/** Where a layer has this key, as problems name it: `/etc/fastsync/config.toml: global.bwlimit`, `FASTSYNC_BWLIMIT`. */
export function placeOfKey({ origin }: Layer, key: string): string {
  const [, file, table] = /^(.*) \[(.*)\]$/s.exec(origin(key)) ?? [];
  return file === undefined ? origin(key) : `${file}: ${table}.${key}`;
}

export function variableOf(key: string): string {
  return `FASTSYNC_${key.toUpperCase()}`;
}

/** A string is what is wrong with it. */
function readText({ on, form }: SettingKey, text: string): SettingValue | string {
  const truth = TRUE.includes(text.toLowerCase()) ? true : FALSE.includes(text.toLowerCase()) ? false : undefined;
  if (form === "switch") return truth ?? `is ${shownValue(text)}, not 1 or 0`;
  if (form === "switch-or-value" && truth !== undefined) return truth;
  const choices = flagNamed(on!)?.value?.choices;
  if (choices !== undefined && !choices.includes(text))
    return `is ${shownValue(text)}, not ${choices.map((choice) => shownValue(choice)).join(" or ")}`;
  return [text];
}
