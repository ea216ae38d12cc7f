/** The bug report: facts of program and machine, without anything personal. */
import { availableParallelism, release, totalmem } from "node:os";
import type { Finding } from "../../doctor/finding.ts";
import type { CommandContext } from "../context.ts";
import { examineMachine, examinePlaces } from "../doctor/doctor-examination.ts";
import { effectiveSettings } from "../settings/apply.ts";
import { SETTING_KEYS } from "../settings/keys.ts";
import { layersInOrder, loadSettings, type Settings } from "../settings/load.ts";
import { requestOf } from "../settings/of-run.ts";
import { VERSION } from "../version.ts";
import { COPY_METHODS, flagNamed } from "../words/flags.ts";
import { type NotedFailure, recentFailures } from "./failures.ts";
import { type Private, privateFacts, redacted, redactedValue } from "./redact.ts";

export interface Diagnostics {
  readonly version: string;
  readonly bun: string;
  readonly platform: string;
  readonly libc: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly compiled: boolean;
  readonly findings: readonly Finding[];
  readonly configuration: {
    readonly files: number;
    readonly profiles: number;
    readonly remotes: number;
    readonly problems: readonly string[];
    readonly settings: readonly { readonly key: string; readonly value: string; readonly origin: string }[];
  };
  /** How the last runs ended that did not end well, the oldest first. */
  readonly recentFailures: readonly NotedFailure[];
  /** Names of variables that are set, without their values. */
  readonly variables: readonly string[];
}

const VARIABLES =
  /^(FASTSYNC_|ORBIT_|XDG_|LC_|BUN_)|^(LANG|TERM|NO_COLOR|FORCE_COLOR|CLICOLOR|CLICOLOR_FORCE|CI|TMPDIR|HOME|SHELL|NOTIFY_SOCKET|LISTEN_FDS|LD_PRELOAD)$/;

export async function diagnose(context: CommandContext): Promise<Diagnostics> {
  const { env } = process;
  const settings = loadSettings(requestOf(context.args, env));
  const secret = withNamesOf(privateFacts(env), [
    ...context.args.places.map(({ text }) => text),
    ...[...settings.remotes.values()].flatMap(({ name, endpoint }) => [name, endpoint]),
    ...settings.profiles,
  ]);
  const findings: Finding[] = [];
  let placeNumber = 0;
  const tell = (found: Finding): void => {
    const { message, fix, place, ...rest } = found;
    findings.push({
      ...rest,
      message: withoutQuotes(redacted(message, secret)),
      ...(fix === undefined ? {} : { fix: redacted(fix, secret) }),
      ...(place === undefined ? {} : { place: `place ${placeNumber}` }),
    });
  };
  await examineMachine(context, tell);
  await examinePlaces(context, tell, () => {
    placeNumber++;
  });
  return {
    version: VERSION,
    bun: Bun.version,
    platform: `${process.platform} ${process.arch} ${release()}`,
    libc: libcName(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    compiled: import.meta.path.startsWith("/$bunfs/"),
    findings,
    configuration: configurationOf(settings, secret),
    recentFailures: recentFailures(env),
    variables: Object.keys(env)
      .filter((name) => VARIABLES.test(name) && /^[A-Za-z0-9_]+$/.test(name))
      .sort(),
  };
}

/** Hosts, modules and directories of places may stand in what is said of them. */
function withNamesOf({ home, names }: Private, words: readonly string[]): Private {
  const parts = words.flatMap((word) => word.split(/[/:@[\]?#&=]+/)).filter((part) => part.length > 2);
  return { home, names: [...new Set([...names, ...parts])].sort((a, b) => b.length - a.length) };
}

/** What is quoted was written by somebody. */
function withoutQuotes(text: string): string {
  return text.replace(/"[^"]*"|'[^']*'/g, '"(left out)"');
}

function libcName(): string {
  const header = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  const version = header?.header?.glibcVersionRuntime;
  return version === undefined ? "unknown" : `glibc ${version}`;
}

function configurationOf(settings: Settings, secret: Private): Diagnostics["configuration"] {
  return {
    files: settings.files.length,
    profiles: settings.profiles.length,
    remotes: settings.remotes.size,
    problems: settings.problems.map((problem) => withoutQuotes(redacted(problem, secret))),
    settings: effectiveSettings(layersInOrder(settings))
      .filter(({ origin }) => origin !== "default")
      .map(({ key, value, origin }) => ({
        key,
        value: redactedValue(value, choicesOf(key)),
        origin: originKind(origin),
      })),
  };
}

function choicesOf(key: string): readonly string[] {
  const setting = SETTING_KEYS.find((one) => one.key === key);
  const flag = setting?.on === undefined ? undefined : flagNamed(setting.on);
  if (flag?.name === "copy-method") return COPY_METHODS;
  return flag?.value?.choices ?? [];
}

/** Which kind of place said it; names of files and profiles are left out. */
function originKind(origin: string): string {
  if (origin.startsWith("FASTSYNC_")) return "variable";
  const [, table = ""] = /\[(\w+)/.exec(origin) ?? [];
  return ["global", "profiles", "remotes"].includes(table) ? `[${table}]` : "file";
}
