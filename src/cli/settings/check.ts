/** Looks at every value of a configuration as a run would, one by one: a mistake is found before a run needs it. */
import { type FlagName, flagNamed } from "../words/flags.ts";
import { ParsedArgs } from "../words/parse-args.ts";
import { argumentOf } from "../words/raw-args.ts";
import { resolveOptions, type Surroundings, systemSurroundings } from "../words/resolve-options.ts";
import { UsageError } from "../words/usage-error.ts";
import { SETTING_KEYS, type SettingKey } from "./keys.ts";
import { type Layer, placeOfKey, type SettingValue } from "./layer.ts";

/** What is wrong with the values of these layers; empty: nothing. */
export async function checkValues(
  layers: readonly Layer[],
  around: Surroundings = systemSurroundings(),
): Promise<string[]> {
  const problems: string[] = [];
  for (const layer of layers) {
    for (const setting of SETTING_KEYS) {
      const value = layer.values.get(setting.key);
      if (value === undefined || typeof value === "boolean") continue;
      const problem = await problemOf(setting, value, around);
      if (problem !== undefined) problems.push(`${placeOfKey(layer, setting.key)}: ${problem}`);
    }
  }
  return problems;
}

async function problemOf(
  { on }: SettingKey,
  value: Exclude<SettingValue, boolean>,
  around: Surroundings,
): Promise<string | undefined> {
  const flag = flagNamed(on!)!;
  const verb = flag.verbs.includes("mirror") ? "mirror" : "copy";
  const occurrences = value.map((text) => ({ flag: flag.name as FlagName, value: argumentOf(text) }));
  try {
    await resolveOptions(new ParsedArgs(verb, occurrences, []), around);
    return undefined;
  } catch (error) {
    // The key is named, and stands for the flag.
    if (error instanceof UsageError) return error.message.replace(`--${flag.name}: `, "");
    throw error;
  }
}
