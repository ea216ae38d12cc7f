/** The settings of one run of a tree verb: loaded, checked, and joined with its command line. */
import { DEFAULT_PORT } from "../../core/default-port.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import { parseHost as parseDaemon } from "../../endpoints/host.ts";
import { type Endpoint, EndpointError, parseHost } from "../../endpoints/parse.ts";
import type { DaemonAddress } from "../../link/dial.ts";
import { type LookPlace, modulePlace } from "../look/place.ts";
import type { FlagName } from "../words/flags.ts";
import { type ParsedArgs, quoted } from "../words/parse-args.ts";
import { exists, place } from "../words/places.ts";
import type { Argument } from "../words/raw-args.ts";
import { UsageError } from "../words/usage-error.ts";
import { type Applied, applySettings, checkNeeds } from "./apply.ts";
import type { Layer } from "./layer.ts";
import { layersInOrder, loadSettings, type Remote, type Settings, type SettingsRequest } from "./load.ts";

export interface ConfiguredRun extends Applied {
  readonly places: readonly Endpoint[];
  /** Files that were read, the nearest first. */
  readonly files: readonly string[];
  readonly remotes: Settings["remotes"];
}

/** A host that has a remote's name and cannot be found was meant for the remote. */
export function minding(remotes: Settings["remotes"], hosts: readonly string[], error: RunError): RunError {
  const name = hosts.find((host) => remotes.has(host) && error.message.startsWith(`the name of ${host}:`));
  if (name === undefined || error.reason !== "connect_failed") return error;
  const way = `${name} is a configured remote, too: ${name}:PATH, without a slash behind the colon, is below it`;
  return new RunError(error.exitCode, error.reason, `${error.message}; ${way}`);
}

export function requestOf(args: ParsedArgs, env: SettingsRequest["env"]): SettingsRequest {
  return {
    env,
    file: textOf(args, "config"),
    noFiles: args.has("no-config"),
    profile: textOf(args, "profile"),
    preset: textOf(args, "preset"),
    project: args.has("project"),
  };
}

function textOf(args: ParsedArgs, flag: FlagName): string | undefined {
  const value = args.value(flag);
  if (value?.text === "") throw new UsageError(`--${flag} is empty`);
  return value?.text;
}

export function configureRun(args: ParsedArgs, env: SettingsRequest["env"]): ConfiguredRun {
  const settings = usable(loadSettings(requestOf(args, env)));
  const remotes = new Set<Remote>();
  const places = args.places.map((word) => placeWithRemotes(word, settings.remotes, remotes));
  const applied = applySettings(args, layersInOrder(settings, layersOf([...remotes])));
  checkNeeds(applied.args);
  return { ...applied, places, files: settings.files, remotes: settings.remotes };
}

/** What the places of a verb that looks are. Remotes are known; settings of runs do not concern it. */
export function placesOf(args: ParsedArgs, env: SettingsRequest["env"]) {
  const remotes: Settings["remotes"] =
    args.places.length === 0 ? new Map() : usable(loadSettings(requestOf(args, env))).remotes;
  const places = args.places.map((word): LookPlace => {
    const host = daemonWord(word, remotes);
    if (host !== undefined) return { kind: "host", address: host, shown: word.bytes };
    const endpoint = placeWithRemotes(word, remotes, new Set());
    return endpoint.kind === "local" ? { ...endpoint, shown: endpoint.path } : modulePlace(endpoint);
  });
  return { places, remotes };
}

/** A daemon as such, where the word is none of a remote's and no local path that exists. Throws UsageError. */
export function daemonWord(word: Argument, remotes: ReadonlyMap<string, Remote>): DaemonAddress | undefined {
  const name = /^([A-Za-z0-9_][A-Za-z0-9_-]+):$/.exec(word.text)?.[1];
  const host = name !== undefined && remotes.has(name) ? undefined : hostOf(word, remotes);
  return host === undefined || exists(word.bytes) ? undefined : host;
}

/** `HOST:` and `HOST:PORT`: a daemon as such. `REMOTE:NUMBER` is a path of the remote. */
function hostOf(word: Argument, remotes: ReadonlyMap<string, Remote>): DaemonAddress | undefined {
  const named = /^([^:[\]/]+):\d+$/.exec(word.text)?.[1];
  if (named !== undefined && remotes.has(named)) return undefined;
  const bare = named !== undefined || /^\[[^\]/]*\]:\d+$/.test(word.text);
  if (remotes.has(word.text) && !exists(word.bytes))
    throw new UsageError(
      `${word.text} does not exist here, and is a configured remote`,
      `Write ${word.text}: for the place that it stands for.`,
    );
  return parseHost(word.bytes, { bare });
}

/** Daemons as a whole, as words name them; remotes of the configuration are known. */
export interface DaemonWords {
  isRemote(word: Argument): boolean;
  /** Throws UsageError with the spelling that is right. */
  daemonOf(word: Argument): DaemonAddress;
}

/** The configuration is read when a word asks for it: the daemon of this machine needs none. */
export function daemonWords(args: ParsedArgs, env: SettingsRequest["env"]): DaemonWords {
  let known: DaemonWords | undefined;
  const words = (): DaemonWords => {
    known ??= wordsWith(usable(loadSettings(requestOf(args, env))).remotes);
    return known;
  };
  if (args.has("config")) words();
  return { isRemote: (word) => words().isRemote(word), daemonOf: (word) => words().daemonOf(word) };
}

/** `HOST`, `HOST:PORT`, `[IPV6]:PORT`, or `NAME` of a remote, each also with a colon behind it. */
export function wordsWith(remotes: ReadonlyMap<string, Remote>): DaemonWords {
  return {
    isRemote: ({ text }) => remotes.has(text.replace(/:$/, "")),
    daemonOf: (word) => {
      const [, name = "", path = ""] = /^([^:/]*):?(.*)$/s.exec(word.text) ?? [];
      const remote = remotes.get(name);
      if (remote === undefined || path.startsWith("/") || /^\d+:?$/.test(path)) return hostWord(word);
      if (path !== "")
        throw new UsageError(`${quoted(word)} is a place, and a daemon as a whole is meant here`, `Write ${name}`);
      const endpoint = place({ bytes: bytesOf(remote.endpoint), text: remote.endpoint });
      if (endpoint.kind === "daemon") return { host: endpoint.host, port: endpoint.port };
      throw new UsageError(
        `the remote ${name} stands for a local path: there is no daemon behind it`,
        `For a host of that name write ${name}:${DEFAULT_PORT}`,
      );
    },
  };
}

function hostWord(word: Argument): DaemonAddress {
  try {
    return parseDaemon(word.bytes);
  } catch (error) {
    if (error instanceof EndpointError) throw new UsageError(error.message, error.way);
    throw error;
  }
}

/** Throws UsageError with everything that is wrong. */
export function usable(settings: Settings): Settings {
  const [first, ...others] = settings.problems;
  if (first === undefined) return settings;
  const more = others.length === 0 ? "" : ` (and ${others.length} more; fastsync config check lists them)`;
  throw new UsageError(`${first}${more}`, wayOut(first));
}

/** Problems begin with where they are. */
function wayOut(problem: string): string {
  if (/^(--preset|FASTSYNC_PRESET): /.test(problem)) return "fastsync presets shows what each turns on.";
  if (/^(--profile|FASTSYNC_PROFILE): /.test(problem))
    return "fastsync config show lists the profiles, fastsync presets the presets.";
  if (problem.startsWith("FASTSYNC_")) return "Put it right, or unset the variable.";
  return "Put it right, or leave the files out with --no-config.";
}

/** One place, where what the remote says beside its endpoint plays no part. */
export function placeOf(word: Argument, remotes: ReadonlyMap<string, Remote>): Endpoint {
  return placeWithRemotes(word, remotes, new Set());
}

function layersOf(remotes: readonly Remote[]): Layer[] {
  const [first, second] = remotes;
  if (first !== undefined && second !== undefined) {
    for (const [key, value] of first.layer.values) {
      const other = second.layer.values.get(key);
      if (other !== undefined && String(other) !== String(value)) {
        throw new UsageError(
          `the remotes ${first.name} and ${second.name} have different values for ${key}`,
          `Say on the command line which one is meant: --${key.replaceAll("_", "-")}`,
        );
      }
    }
  }
  return remotes.map(({ layer }) => layer);
}

/**
 * `NAME:PATH` below a remote's endpoint, `NAME:` the endpoint itself. A slash after the colon is a module of a host of
 * that name, as ever, and a local path that exists comes first.
 */
function placeWithRemotes(word: Argument, remotes: ReadonlyMap<string, Remote>, used: Set<Remote>): Endpoint {
  const [, name, rest] = /^([A-Za-z0-9_][A-Za-z0-9_-]+):((?![/:]|\d+:).*)$/s.exec(word.text) ?? [];
  const remote = name === undefined ? undefined : remotes.get(name);
  if (remote === undefined) return place(word);
  const asLocal = parseLocal(word);
  if (asLocal !== undefined) return asLocal;
  used.add(remote);
  const base = bytesOf(remote.endpoint);
  const path = word.bytes.subarray(word.bytes.indexOf(0x3a) + 1);
  const slash = path.length === 0 || base.at(-1) === 0x2f ? [] : [0x2f];
  const bytes = new Uint8Array([...base, ...slash, ...path]);
  return place({ bytes, text: rest === "" ? remote.endpoint : printable(bytes) });
}

/** The word as a local path, where there is something of that name. */
function parseLocal(word: Argument): Endpoint | undefined {
  try {
    const parsed = place({ ...word });
    return parsed.kind === "local" ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** A mistake in a value is explained by the flag's name; this adds where the value comes from. */
export function explained(error: UsageError, origins: ReadonlyMap<FlagName, string>): UsageError {
  for (const [flag, origin] of origins) {
    if (!new RegExp(`--${flag}(?![a-z-])`).test(error.message)) continue;
    const way = `--${flag} comes from ${origin}.`;
    return new UsageError(error.message, error.way === undefined ? way : `${way} ${error.way}`);
  }
  return error;
}
