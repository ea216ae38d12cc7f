/** `config show`: each setting with its origin. `config check`: what is wrong with the configuration. */
import { defineCommand } from "citty";
import type { DaemonCheck } from "../../core/daemon-flags.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { tellWarning } from "../report/ending-text.ts";
import type { Output } from "../report/output.ts";
import { flowing, hanging, indented, proseWidthOf, widthOf } from "../report/screen.ts";
import { type Effective, effectiveSettings } from "../settings/apply.ts";
import { checkValues } from "../settings/check.ts";
import type { SettingValue } from "../settings/layer.ts";
import { layersInOrder, loadSettings, type Settings } from "../settings/load.ts";
import { requestOf, usable } from "../settings/of-run.ts";
import { unknownVariables } from "../settings/variables.ts";
import { unknownWord } from "../words/parse-args.ts";
import { VERBS } from "../words/verbs.ts";

export const configCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, outputs } = context;
    const [what] = args.places;
    const settings = loadSettings(requestOf(args, process.env));
    const json = args.has("json");
    switch (what?.text ?? "show") {
      case "show":
        outputs.out.write(json ? jsonOf(usable(settings)) : textOf(usable(settings), widthOf(outputs.out)));
        for (const problem of unknownVariables(process.env)) tellWarning(outputs.err, problem);
        return;
      case "check": {
        const daemon = await daemonCheck(context);
        const found = [...settings.problems, ...(await checkValues(settings.layers)), ...unknownVariables(process.env)];
        if (daemon.kind === "checked") found.push(...daemon.problems);
        // Both readers see what is wrong with a file as a whole.
        const problems = [...new Set(found.map(safe))];
        if (json)
          outputs.out.line(JSON.stringify({ schema: 1, type: "config_check", files: settings.files, problems }));
        else if (problems.length === 0) {
          const too = daemon.kind === "checked" ? ", that of the daemon too" : "";
          const text = `The configuration is right${too}. ${filesText(settings)}`;
          for (const line of hanging("", text, proseWidthOf(outputs.out))) outputs.out.line(line);
        } else for (const problem of problems) tellProblem(outputs.err, problem);
        if (daemon.kind === "private") tellWarning(outputs.err, "the daemon's files may not be read: not checked");
        if (daemon.kind === "checked") for (const warning of daemon.warnings) tellWarning(outputs.err, safe(warning));
        context.exitCode = problems.length === 0 ? ExitCode.ok : ExitCode.usage;
        return;
      }
      default:
        throw unknownWord("config", VERBS.config.operands, what!);
    }
  },
});

/** Of the files that `config` itself reads, those that a daemon would. */
async function daemonCheck({ args, parts }: CommandContext): Promise<DaemonCheck> {
  if (args.has("no-config")) return { kind: "none" };
  const variable = process.env["FASTSYNC_CONFIG"];
  const checkDaemon = await parts.checkDaemon();
  return checkDaemon(args.value("config")?.bytes ?? (variable ? bytesOf(variable) : undefined));
}

function tellProblem(err: Output, problem: string): void {
  for (const line of flowing(`fastsync config: ${problem}`, proseWidthOf(err, "stderr"))) err.line(line);
}

function textOf(settings: Settings, width: number): string {
  const effective = effectiveSettings(layersInOrder(settings));
  const column = Math.max(...effective.map((setting) => shown(setting).length)) + 2;
  const wide = Math.min(column, 44);
  const lines = effective.flatMap((setting) => {
    const text = shown(setting);
    const origin = safe(setting.origin);
    if (text.length + 2 <= wide) return hanging(text.padEnd(wide), origin, width);
    return text.length + 2 + origin.length <= width
      ? [`${text}  ${origin}`]
      : [...flowing(text, width), ...indented(origin, width)];
  });
  const remotes = [...settings.remotes.values()].flatMap(({ name, endpoint, layer }) => [
    `  ${name}:  ${safe(endpoint)}`,
    ...[...layer.values].map(([key, value]) => `    ${shown({ key, value })}`),
  ]);
  return [
    ...hanging("", filesText(settings), width),
    ...(settings.profileName === undefined ? [] : [`Profile: ${settings.profileName}`]),
    ...(settings.profiles.length === 0 ? [] : hanging("Profiles: ", settings.profiles.join(", "), width)),
    ...(remotes.length === 0 ? [] : ["Remotes:", ...remotes]),
    "",
    ...lines,
    "",
  ].join("\n");
}

function filesText({ files }: Settings): string {
  return files.length === 0 ? "Files: none" : `Files, the nearest first: ${files.map(safe).join(", ")}`;
}

function shown({ key, value }: Pick<Effective, "key" | "value">): string {
  return `${key} = ${valueText(value)}`;
}

function valueText(value: SettingValue | undefined): string {
  if (value === undefined) return "-";
  if (typeof value === "boolean") return String(value);
  const shown = value.map((one) => JSON.stringify(one));
  return shown.length === 1 ? shown[0]! : `[${shown.join(", ")}]`;
}

/** One line a setting, then one that ends the list. */
function jsonOf(settings: Settings): string {
  const lines: object[] = effectiveSettings(layersInOrder(settings)).map(({ key, value, origin }) => ({
    schema: 1,
    type: "setting",
    key,
    value: value ?? null,
    origin,
  }));
  const all = [...settings.remotes.values()];
  const remotes = Object.fromEntries(all.map(({ name, endpoint }) => [name, endpoint]));
  const remote_settings = Object.fromEntries(all.map(({ name, layer }) => [name, Object.fromEntries(layer.values)]));
  const { files, profiles, profileName } = settings;
  lines.push({ schema: 1, type: "config", files, profile: profileName ?? null, profiles, remotes, remote_settings });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** Names and values come from files and variables: nothing of them may reach the terminal as commands. */
function safe(text: string): string {
  return printable(bytesOf(text));
}
