/**
 * Where a run's settings come from, the nearest first:
 *
 *     the command line
 *     the environment                        FASTSYNC_KEY
 *     [profiles.NAME] of any of the files    --profile NAME, FASTSYNC_PROFILE; of that name only, the preset
 *     a preset                               --preset NAME, FASTSYNC_PRESET; one that a table names comes right behind it
 *     [remotes.NAME] of any of the files     where a place is written NAME:PATH
 *     [global] of ./.fastsync.toml           only with --project: a directory that one happens to stand in decides nothing
 *     [global] of the user's files           $XDG_CONFIG_HOME/fastsync, ~/.config/fastsync
 *     [global] of the system's files         /etc/fastsync
 *
 * A directory has config.toml and conf.d/*.toml; of two files the one that is read later counts. FILE of --config stands
 * in the place of the user's and the system's. A configuration with anything wrong in it is not used at all.
 */
import { join } from "node:path";
import { CLIENT_TABLES, DAEMON_TABLES, isTable, kindOf, Problems, TableReader } from "../../config/table.ts";
import {
  CONFIG_FILE,
  type ConfigFile,
  type FileRules,
  INCLUDES,
  includes,
  readTomlFile,
  SYSTEM_DIRECTORY,
} from "../../config/toml-file.ts";
import { nearest } from "../../core/nearest.ts";
import { bytesOf } from "../../core/paths.ts";
import { EndpointError, parseEndpoint } from "../../endpoints/parse.ts";
import { type Layer, layerOfEnvironment, layerOfTable, placeOfKey } from "./layer.ts";
import { layerOfPreset, PRESETS, type Preset, presetNamed, unknownPreset } from "./presets.ts";

export interface SettingsRequest {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** --config; undefined: the system's and the user's. */
  readonly file: string | undefined;
  /** --no-config: no file, whatever the environment says. */
  readonly noFiles: boolean;
  readonly profile: string | undefined;
  /** --preset. */
  readonly preset: string | undefined;
  readonly project: boolean;
  /** Default /etc/fastsync; tests give their own. */
  readonly systemDirectory?: string;
}

export interface Remote {
  readonly name: string;
  /** What stands for the name and its colon. */
  readonly endpoint: string;
  readonly layer: Layer;
}

export interface Settings {
  /** Files that were read, the nearest first. */
  readonly files: readonly string[];
  readonly environment: Layer;
  /** Of the chosen profile, the nearest file first; or the preset of its name. */
  readonly profile: readonly Layer[];
  /** Of --preset, or its variable. */
  readonly preset: Layer | undefined;
  readonly profileName: string | undefined;
  readonly profiles: readonly string[];
  readonly remotes: ReadonlyMap<string, Remote>;
  /** [global] of each file, the nearest first. */
  readonly globals: readonly Layer[];
  /** [profiles.NAME] of all the files, each the nearest file first. */
  readonly ownProfiles: ReadonlyMap<string, readonly Layer[]>;
  /** Every table and the environment, also what this run does not use. */
  readonly layers: readonly Layer[];
  readonly problems: readonly string[];
}

interface NameForm {
  readonly form: RegExp;
  readonly words: string;
}

const PROFILE_NAME: NameForm = {
  form: /^[A-Za-z0-9][A-Za-z0-9_-]*$/,
  words: "letters, digits, - and _ make one, which begins with a letter or a digit",
};
/** Not one letter, which is a drive elsewhere. */
const REMOTE_NAME: NameForm = {
  form: /^[A-Za-z0-9_][A-Za-z0-9_-]+$/,
  words: "two or more letters, digits, - and _ make one, which begins with no -",
};

export function loadSettings(request: SettingsRequest): Settings {
  const problems = new Problems();
  const files = readFiles(request, problems);
  const globals: Layer[] = [];
  const profiles = new Map<string, Layer[]>();
  const remotes = new Map<string, Remote>();
  for (const { name: file, tables } of files) {
    checkTopLevel(file, tables, problems);
    globals.push(layerOfTable(problems, file, "global", tables["global"]).layer);
    for (const [name, table] of namedTables(problems, file, "profiles", tables, PROFILE_NAME)) {
      const { layer } = layerOfTable(problems, file, `profiles.${name}`, table);
      profiles.set(name, [...(profiles.get(name) ?? []), layer]);
    }
    for (const [name, table] of namedTables(problems, file, "remotes", tables, REMOTE_NAME)) {
      const remote = readRemote(problems, file, name, table);
      // Of one name the nearest counts, as a whole: half of an endpoint from here and half from there is none.
      if (remote !== undefined && !remotes.has(name)) remotes.set(name, remote);
    }
  }
  const environment = layerOfEnvironment(problems, request.env);
  const profileName = request.profile ?? (request.env["FASTSYNC_PROFILE"] || undefined);
  const profile = profileName === undefined ? [] : (profiles.get(profileName) ?? presetAsProfile(profileName));
  if (profile === undefined) addUnknownProfile(problems, profileName!, [...profiles.keys()], request);
  const layers = [
    environment,
    ...globals,
    ...[...profiles.values()].flat(),
    ...[...remotes.values()].map((remote) => remote.layer),
  ];
  for (const layer of layers) checkPreset(problems, layer);
  return {
    files: files.map(({ name }) => name),
    environment,
    profile: profile ?? [],
    preset: presetOfRun(problems, request, environment),
    ownProfiles: profiles,
    profileName,
    profiles: [...profiles.keys()].sort(),
    remotes,
    globals,
    layers,
    problems: problems.list,
  };
}

/** What counts for a run that uses these remotes, the nearest first. */
export function layersInOrder(
  { environment, profile, preset, globals }: Settings,
  remotes: readonly Layer[] = [],
): Layer[] {
  const farther = [...remotes, ...globals];
  if (preset !== undefined) return [environment, ...profile, preset, ...farther];
  const order = [environment, ...profile, ...farther];
  const naming = order.findIndex((layer) => layer.values.has("preset"));
  const named = presetOf(order[naming]);
  return named === undefined ? order : order.toSpliced(naming + 1, 0, layerOfPreset(named));
}

/** The preset that a layer names. */
function presetOf(layer: Layer | undefined): Preset | undefined {
  const [name] = (layer?.values.get("preset") ?? []) as readonly string[];
  return name === undefined ? undefined : presetNamed(name);
}

function checkPreset(problems: Problems, layer: Layer): void {
  const [name] = (layer.values.get("preset") ?? []) as readonly string[];
  if (name !== undefined && presetNamed(name) === undefined)
    problems.add(placeOfKey(layer, "preset"), "", unknownPreset(name));
}

function presetAsProfile(name: string): Layer[] | undefined {
  const preset = presetNamed(name);
  return preset === undefined ? undefined : [layerOfPreset(preset)];
}

/** Of the line, or of the environment, which was checked. */
function presetOfRun(problems: Problems, { preset: name }: SettingsRequest, environment: Layer): Layer | undefined {
  const preset = name === undefined ? presetOf(environment) : presetNamed(name);
  if (preset !== undefined) return layerOfPreset(preset);
  if (name !== undefined) problems.add("--preset", "", unknownPreset(name));
  return undefined;
}

/** The nearest first. */
function readFiles(
  { env, file, noFiles, project, systemDirectory }: SettingsRequest,
  problems: Problems,
): ConfigFile[] {
  if (noFiles) return [];
  const files: ConfigFile[] = [];
  const add = (path: string, isMain: boolean, rules: FileRules, isNamed: boolean): void => {
    const found = readTomlFile(path, isMain, problems, rules);
    if (found === "missing") {
      if (isNamed) problems.add(path, "", "there is no such file");
    } else if (typeof found === "object") files.unshift(found);
  };
  const addDirectory = (directory: string, rules: FileRules): void => {
    add(join(directory, CONFIG_FILE), true, rules, false);
    // They were listed: one that is not there is a link that leads nowhere.
    for (const path of includes(join(directory, INCLUDES), problems)) add(path, false, rules, true);
  };
  const named = file ?? (env["FASTSYNC_CONFIG"] || undefined);
  if (named !== undefined) add(named, true, {}, true);
  else {
    addDirectory(systemDirectory ?? SYSTEM_DIRECTORY, { owned: true, mayBePrivate: true });
    const own = userDirectory(env);
    if (own !== undefined) addDirectory(own, { owned: true });
  }
  if (project || isSet(env["FASTSYNC_PROJECT"])) add(".fastsync.toml", true, { owned: true }, true);
  return files;
}

/** XDG Base Directory Specification: a relative XDG_CONFIG_HOME is to be ignored. */
function userDirectory(env: SettingsRequest["env"]): string | undefined {
  const base = env["XDG_CONFIG_HOME"];
  if (base?.startsWith("/")) return join(base, "fastsync");
  const home = env["HOME"];
  return home?.startsWith("/") ? join(home, ".config/fastsync") : undefined;
}

function isSet(text: string | undefined): boolean {
  return text !== undefined && !["", "0", "false", "no", "off"].includes(text.toLowerCase());
}

function checkTopLevel(file: string, tables: Record<string, unknown>, problems: Problems): void {
  const reader = new TableReader(problems, file, "", tables);
  for (const key of [...CLIENT_TABLES, ...DAEMON_TABLES]) reader.raw(key);
  reader.finish();
}

function namedTables(
  problems: Problems,
  file: string,
  group: string,
  tables: Record<string, unknown>,
  { form, words }: NameForm,
): [string, unknown][] {
  const table = tables[group];
  if (table === undefined) return [];
  if (!isTable(table)) {
    problems.add(file, group, `is ${kindOf(table)}; each of them begins with [${group}.NAME]`);
    return [];
  }
  return Object.entries(table).filter(([name, value]) => {
    if (!form.test(name)) {
      const shown = /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
      problems.add(file, `${group}.${shown}`, `is no name: ${words}`);
    } else if (!isTable(value)) problems.add(file, `${group}.${name}`, `is ${kindOf(value)}, not a table`);
    else return true;
    return false;
  });
}

function readRemote(problems: Problems, file: string, name: string, table: unknown): Remote | undefined {
  const { layer, reader } = layerOfTable(problems, file, `remotes.${name}`, table, ["endpoint"]);
  const endpoint = reader.string("endpoint");
  if (endpoint === undefined) {
    if (!reader.has("endpoint")) reader.problem("endpoint", 'is missing: endpoint = "HOST:/MODULE/PATH"');
    return undefined;
  }
  try {
    const parsed = parseEndpoint(bytesOf(endpoint), { exists: () => false, drives: false });
    if (parsed.kind === "local" && !endpoint.startsWith("/")) {
      reader.problem("endpoint", `is ${JSON.stringify(endpoint)}, which means another place in every directory`);
      return undefined;
    }
  } catch (error) {
    if (!(error instanceof EndpointError)) throw error;
    reader.problem("endpoint", `${error.message}. ${error.way}`);
    return undefined;
  }
  return { name, endpoint, layer };
}

function addUnknownProfile(
  problems: Problems,
  name: string,
  known: readonly string[],
  { profile, noFiles }: SettingsRequest,
): void {
  const where = profile === undefined ? "FASTSYNC_PROFILE" : "--profile";
  const builtIn = PRESETS.map((preset) => preset.name);
  const meant = nearest(name, [...known, ...builtIn]);
  const own = noFiles
    ? "--no-config reads no file"
    : known.length === 0
      ? "no file has a [profiles.NAME]"
      : `there are ${[...known].sort().join(", ")}`;
  const way = meant !== undefined ? `; did you mean ${meant}?` : `; ${own}, and the presets are ${builtIn.join(", ")}`;
  problems.add(where, "", `there is no profile ${JSON.stringify(name)}${way}`);
}
