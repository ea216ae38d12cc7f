/**
 * Sets of settings that come with the program. Each is a layer like that of a profile: what a run says by itself, or a
 * file in a nearer place, counts before it.
 *
 * Streams are a ceiling: how many are opened below it is found out while the run goes on.
 */
import { nearest } from "../../core/nearest.ts";
import type { Layer, SettingValue } from "./layer.ts";

export interface Preset {
  readonly name: string;
  /** Other names that are taken for it; `_` and `-` are the same in all of them. */
  readonly aliases: readonly string[];
  readonly purpose: string;
  readonly settings: Readonly<Record<string, SettingValue>>;
}

export const PRESETS: readonly Preset[] = [
  {
    name: "lan",
    aliases: ["lan-optimized"],
    purpose: "a fast network: many streams, long ranges",
    settings: { streams: ["32"], chunk_size: ["16M"] },
  },
  {
    name: "wan",
    aliases: ["wan-optimized"],
    purpose: "a long line: room for what is on its way",
    settings: { streams: ["8"], chunk_size: ["4M"], tcp_send_buffer: ["16M"], tcp_recv_buffer: ["16M"] },
  },
  {
    name: "small-files",
    aliases: ["small-files-optimized"],
    purpose: "trees of small files: what is below 10 MiB travels whole, grouped",
    settings: { streams: ["64"], small_file_size: ["10M"] },
  },
  {
    name: "low-memory",
    aliases: ["low-memory-optimized"],
    purpose: "a small machine: little is on its way at a time",
    settings: {
      streams: ["4"],
      chunk_size: ["1M"],
      buffer_size: ["4M"],
      tcp_send_buffer: ["1M"],
      tcp_recv_buffer: ["1M"],
    },
  },
  {
    name: "max-throughput",
    aliases: ["maximum-throughput", "throughput"],
    purpose: "all that the machines give",
    settings: { streams: ["64"], chunk_size: ["32M"], buffer_size: ["256M"] },
  },
  {
    name: "fast",
    aliases: [],
    purpose: "the kernel copies, and nothing is read twice",
    settings: { use_zero_copy: true, verify: false, checksum: false },
  },
  {
    name: "safe",
    aliases: [],
    purpose: "every byte passes this program, and is compared with what landed",
    settings: { use_zero_copy: false, verify: true, resume: true },
  },
  {
    name: "network",
    aliases: [],
    purpose: "content passes this program on its way out, and goes on after a break",
    settings: { use_zero_copy: false, resume: true, retry: ["3"] },
  },
  {
    name: "backup",
    aliases: [],
    purpose: "compared with what landed, on disk before the run ends, tried again",
    settings: { verify: true, resume: true, fsync: ["end"], retry: ["3"] },
  },
];

/** `lan`, `lan_optimized`, `LAN`: however it is written. */
export function presetNamed(word: string): Preset | undefined {
  const name = word.toLowerCase().replaceAll("_", "-");
  return PRESETS.find((preset) => preset.name === name || preset.aliases.includes(name));
}

export function layerOfPreset({ name, settings }: Preset): Layer {
  return { origin: () => `preset ${name}`, values: new Map(Object.entries(settings)) };
}

/** What is wrong with a name that is none. */
export function unknownPreset(word: string): string {
  const names = PRESETS.map(({ name }) => name);
  const meant = nearest(word.toLowerCase().replaceAll("_", "-"), names);
  const way = meant === undefined ? ` (there are ${names.join(", ")})` : `; did you mean ${meant}?`;
  return `there is no preset ${JSON.stringify(word)}${way}`;
}
