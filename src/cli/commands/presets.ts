/** `presets`: what each preset, and each profile of the configuration, makes of a run that says nothing else. */
import { defineCommand } from "citty";
import { bytesOf, printable } from "../../core/paths.ts";
import type { CommandContext } from "../context.ts";
import { formatBytes } from "../report/format.ts";
import { flowing, hanging, proseWidthOf, tableLines } from "../report/screen.ts";
import { applySettings } from "../settings/apply.ts";
import type { Layer, SettingValue } from "../settings/layer.ts";
import { layersInOrder, loadSettings, type Settings } from "../settings/load.ts";
import { requestOf, usable } from "../settings/of-run.ts";
import { layerOfPreset, PRESETS, presetNamed } from "../settings/presets.ts";
import { ParsedArgs } from "../words/parse-args.ts";
import { type Resolved, resolveOptions, systemSurroundings } from "../words/resolve-options.ts";

/** One row: a preset, or a profile. */
interface Listed {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly purpose: string | undefined;
  /** Where it is written; undefined: it comes with the program. */
  readonly origin: string | undefined;
  readonly settings: ReadonlyMap<string, SettingValue>;
  readonly resolved: Resolved;
}

export const presetsCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const listed = await listAll(usable(loadSettings(requestOf(args, process.env))));
    if (args.has("json")) for (const one of listed) outputs.out.line(JSON.stringify(jsonOf(one)));
    else outputs.out.write(textOf(listed, proseWidthOf(outputs.out)));
  },
});

async function listAll(settings: Settings): Promise<Listed[]> {
  const own = settings.ownProfiles;
  // A profile of a preset's name is what a run gets by it.
  const builtIn = PRESETS.filter(({ name, aliases }) => ![name, ...aliases].some((word) => own.has(word)));
  return await Promise.all([
    ...builtIn.map(async (preset): Promise<Listed> => {
      const layer = layerOfPreset(preset);
      const { name, aliases, purpose } = preset;
      return { name, aliases, purpose, origin: undefined, settings: layer.values, resolved: await resolvedOf([layer]) };
    }),
    ...[...own].map(async ([name, layers]): Promise<Listed> => {
      const origin = layers.map((layer) => layer.origin("")).join(", ");
      const order = withPreset(settings, layers);
      const merged = new Map([...order].reverse().flatMap((layer) => [...layer.values]));
      const resolved = await resolvedOf(order);
      return { name, aliases: [], purpose: undefined, origin, settings: merged, resolved };
    }),
  ]);
}

/** The profile's own layers, with the preset that one of them names. */
function withPreset(settings: Settings, layers: readonly Layer[]): readonly Layer[] {
  const alone = { ...settings, environment: EMPTY, profile: layers, preset: undefined, globals: [] };
  return layersInOrder(alone);
}

const EMPTY: Layer = { origin: () => "", values: new Map() };

function resolvedOf(layers: readonly Layer[]): Promise<Resolved> {
  const { args } = applySettings(new ParsedArgs("copy", [], []), layers);
  return resolveOptions(args, { ...systemSurroundings(), env: {} });
}

const HEAD = ["NAME", "STREAMS", "CHUNKS", "BUFFER", "ZERO-COPY", "VERIFY", "RESUME", "FSYNC"] as const;

function cellsOf({ name, resolved: { options, network, face } }: Listed): string[] {
  const { transfer, write } = options;
  return [
    safe(name),
    network.streams === 0 ? "auto" : `to ${network.streams}`,
    size(transfer.chunkBytes),
    size(transfer.bufferBytes),
    face.zeroCopy?.allowed === false ? "off" : "on",
    write.verify,
    write.resume ? "yes" : "no",
    write.fsync,
  ];
}

function textOf(listed: readonly Listed[], width: number): string {
  const lines = tableLines([[...HEAD], ...listed.map(cellsOf)], width);
  const notes = listed.flatMap((one) => flowing(`${safe(one.name)}: ${noteOf(one)}`, width));
  return `${[...lines, "", ...notes, "", ...hanging("", ENDING, width), EXAMPLE].join("\n")}\n`;
}

const ENDING =
  "auto: as it follows from the work. Streams are a ceiling. What a run says itself outranks a preset, as in";
const EXAMPLE = "  fastsync copy --preset wan --streams 2 SOURCE TARGET";

/** What the columns have no room for. */
function noteOf({ purpose, origin, aliases, resolved: { options } }: Listed): string {
  const { transfer, retry } = options;
  const { sendBufferBytes: send, receiveBufferBytes: receive, smallFileBytes } = transfer;
  const also = [
    ...(send === 0 && receive === 0 ? [] : [`socket buffers ${size(send)} out and ${size(receive)} in`]),
    ...(smallFileBytes === 0 ? [] : [`small files up to ${size(smallFileBytes)}`]),
    ...(retry.attempts === 0 ? [] : [`tried ${retry.attempts} times more`]),
    ...(aliases.length === 0 ? [] : [`also ${aliases.join(", ")}`]),
  ];
  const head = purpose ?? safe(origin ?? "");
  return also.length === 0 ? head : `${head} (${also.join("; ")})`;
}

function jsonOf({ name, aliases, origin, settings, resolved: { options, network, face } }: Listed): object {
  const { transfer, write, retry } = options;
  const orNull = (value: number): number | null => (value === 0 ? null : value);
  return {
    schema: 1,
    type: "preset",
    name,
    aliases,
    built_in: origin === undefined,
    origin: origin ?? null,
    replaces: origin === undefined ? null : (presetNamed(name)?.name ?? null),
    settings: Object.fromEntries([...settings].map(([key, value]) => [key, plainValue(value)])),
    streams: orNull(network.streams),
    chunk_bytes: orNull(transfer.chunkBytes),
    buffer_bytes: orNull(transfer.bufferBytes),
    small_file_bytes: orNull(transfer.smallFileBytes),
    tcp_send_buffer_bytes: orNull(transfer.sendBufferBytes),
    tcp_recv_buffer_bytes: orNull(transfer.receiveBufferBytes),
    zero_copy: face.zeroCopy?.allowed ?? true,
    verify: write.verify,
    resume: write.resume,
    fsync: write.fsync,
    retry: retry.attempts,
  };
}

function plainValue(value: SettingValue): boolean | string | readonly string[] {
  return typeof value === "boolean" ? value : value.length === 1 ? value[0]! : value;
}

/** `16M`: as it would be written. */
function size(bytes: number): string {
  if (bytes === 0) return "auto";
  return formatBytes(bytes)
    .replace(/(\.\d*?)0+ /, "$1 ")
    .replace(/\. /, " ")
    .replace(/ ([KMGT])iB$/, "$1");
}

/** Names come from files: nothing of them may reach the terminal as commands. */
function safe(text: string): string {
  return printable(bytesOf(text));
}
