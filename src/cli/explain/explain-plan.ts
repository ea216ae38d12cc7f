/** From what a dry run found, and what the places are, to the decisions of the real one: each with its reason. */
import { availableParallelism } from "node:os";
import type { Counters, NetworkSummary } from "../../core/events.ts";
import { LIMITS } from "../../core/limits.ts";
import type { RunOptions } from "../../core/options.ts";
import { expectedMethods, type MethodOutlook, methodLadder } from "../../engine/method-ladder.ts";
import { workerChoice } from "../../engine/worker-policy.ts";
import { filesystemName } from "../../fs/filesystems.ts";
import type { NetworkOptions, Placement } from "../../session/api.ts";
import type { PlaceFacts } from "../../session/look-at-places.ts";
import { mayRename } from "../../session/may-rename.ts";
import { formatBytes } from "../report/format.ts";
import type { VerbName } from "../words/verbs.ts";

export interface Decision {
  /** One word, the same in every version. */
  readonly topic: string;
  readonly value: string;
  readonly reason: string;
}

export interface Side {
  /** Behind a daemon: what lies there is known there. */
  readonly kind: "local" | "daemon";
  /** undefined: not known here. */
  readonly facts: PlaceFacts | undefined;
}

export interface Deletions {
  /** Only in the target; undefined: this was not looked at, and why. */
  readonly entries: number | undefined;
  /** Why a mirror would not delete them; undefined: it would. */
  readonly refusal: string | undefined;
}

export interface Preview {
  readonly placement: Placement;
  readonly counters: Counters;
  readonly durationMs: number;
  readonly network: NetworkSummary | undefined;
  /** Codes and texts of the dry run's remarks. */
  readonly notices: readonly { readonly code: string; readonly message: string }[];
  readonly deletions: Deletions;
}

export interface Explained {
  /** undefined: none was named. */
  readonly verb: VerbName | undefined;
  readonly preview: Preview;
  readonly source: Side;
  readonly target: Side;
  /** Between two local places. */
  readonly methods: readonly MethodOutlook[] | undefined;
  readonly decisions: readonly Decision[];
}

export interface PlanFacts {
  readonly verb: VerbName | undefined;
  readonly options: RunOptions;
  readonly network: NetworkOptions;
  readonly engine: { readonly kind: string; readonly reason: string; readonly methods: readonly string[] };
  readonly source: Side;
  readonly target: Side;
  readonly preview: Preview;
}

export function explainedOf(facts: PlanFacts): Explained {
  const { verb, options, engine, source, target, preview } = facts;
  const isLocal = source.kind === "local" && target.kind === "local";
  const methods =
    isLocal && source.facts !== undefined && target.facts !== undefined
      ? methodLadder(source.facts, target.facts, engine.methods, options.write.methods)
      : undefined;
  return {
    verb,
    preview,
    source,
    target,
    methods,
    decisions: [
      { topic: "engine", value: engine.kind, reason: engine.reason },
      comparing(options),
      ...(isLocal ? [moving(facts, methods)] : carrying(facts)),
      workers(facts),
      ...ranging(options, isLocal),
      verifying(options),
      flushing(options),
      resuming(options),
      writing(options),
      ...limiting(options),
      ...removing(options),
    ],
  };
}

/** `xfs on device 259:1` */
export function sideText({ kind, facts }: Side): string {
  if (kind === "daemon") return "behind a daemon, which decides what concerns its own disks";
  if (facts === undefined) return "not known";
  const { filesystemType, dev, rotational, remote } = facts;
  const what = [...(rotational ? ["rotating"] : []), ...(remote ? ["over a network"] : [])];
  const more = what.length === 0 ? "" : `, ${what.join(", ")}`;
  return `${filesystemName(filesystemType)} on device ${dev >>> 20}:${dev & 0xfffff}${more}`;
}

function comparing({ compare }: RunOptions): Decision {
  const topic = "compare";
  if (compare.checksum)
    return { topic, value: "contents", reason: "--checksum: both sides read every file of equal size" };
  if (compare.sizeOnly) return { topic, value: "size", reason: "--size-only" };
  if (compare.ignoreTimes) return { topic, value: "nothing", reason: "--ignore-times: every file is copied" };
  const window = compare.modifyWindowNs === 0 ? "" : `, times within ${compare.modifyWindowNs / 1e9} s are equal`;
  return { topic, value: "size and time", reason: `any difference counts, not only a newer source${window}` };
}

function moving({ options, source, target }: PlanFacts, methods: readonly MethodOutlook[] | undefined): Decision {
  const expected = methods === undefined ? [] : expectedMethods(methods);
  const renames = source.facts !== undefined && mayRename(options, source.facts, target.facts);
  const names = [...(renames ? ["rename"] : []), ...expected.map(({ method }) => method)];
  return {
    topic: "method",
    value: names.length === 0 ? "not known" : names.join(" or "),
    reason: renames
      ? "one filesystem: what the target lacks is renamed, and no content moves"
      : (expected[0]?.reason ?? "the filesystems are not known"),
  };
}

function carrying({ network: asked, preview: { network, notices }, options }: PlanFacts): Decision[] {
  const inStream = notices.find(({ code }) => code === "in_stream");
  const relayed = notices.find(({ code }) => code === "relayed");
  const carrier: Decision =
    inStream !== undefined
      ? { topic: "carrier", value: "control connection", reason: inStream.message }
      : relayed !== undefined
        ? { topic: "carrier", value: "relayed by this machine", reason: relayed.message }
        : network === undefined || network.streams === 0
          ? { topic: "carrier", value: "data connections", reason: "opened when there is content; none was needed yet" }
          : { topic: "carrier", value: "data connections", reason: "the data port can be reached" };
  const ceiling = asked.streams === 0 ? LIMITS.streamsMost : asked.streams;
  const most = `at most ${ceiling}, or as many as the daemon grants`;
  const lineMs = network?.roundTripMs;
  const line =
    lineMs === undefined
      ? "how far the other end is will be seen when they are opened"
      : lineMs < LIMITS.tuneFromMs
        ? `a round trip takes ${lineMs.toFixed(2)} ms: so near that more streams would not help`
        : `a round trip takes ${lineMs.toFixed(1)} ms: more are tried while work waits, and kept when they help`;
  const isFar = lineMs !== undefined && lineMs >= LIMITS.farFromMs;
  const first = Math.min(isFar ? LIMITS.streamsAtFirstFar : LIMITS.streamsAtFirst, ceiling);
  const streams: Decision = { topic: "streams", value: `${first} at first, ${most}`, reason: line };
  const { sendBufferBytes: send, receiveBufferBytes: receive } = options.transfer;
  const granted = notices.find(({ code }) => code === "socket_buffers");
  const buffers: Decision[] =
    send + receive === 0
      ? []
      : [{ topic: "socket_buffers", value: "as asked for", reason: granted?.message ?? "set when they are opened" }];
  return relayed === undefined && inStream === undefined ? [carrier, streams, ...buffers] : [carrier];
}

function workers({ options, source, target, preview: { counters } }: PlanFacts): Decision {
  const topic = "workers";
  if (options.write.workers > 0)
    return { topic, value: String(options.write.workers), reason: "--workers, or a setting" };
  if (target.kind === "daemon")
    return { topic, value: "as its daemon decides", reason: "the target's side writes, with its own threads" };
  const { filesToTransfer, bytesToTransfer } = counters;
  const sides = [source.facts, target.facts];
  const choice = workerChoice({
    cores: availableParallelism(),
    rotational: sides.some((side) => side?.rotational === true),
    remote: sides.some((side) => side?.remote === true),
    averageFileBytes: filesToTransfer === 0 ? undefined : bytesToTransfer / filesToTransfer,
  });
  return { topic, value: String(choice.workers), reason: choice.reason };
}

function ranging({ transfer }: RunOptions, isLocal: boolean): Decision[] {
  const { chunkBytes, bufferBytes, smallFileBytes } = transfer;
  const from = formatBytes(isLocal ? LIMITS.splitFileBytes : LIMITS.stripeFileBytes);
  const length = isLocal
    ? `${formatBytes(LIMITS.minRangeBytes)} to ${formatBytes(LIMITS.rangeBytes)}, by size and workers`
    : formatBytes(LIMITS.stripeRangeBytes);
  const ranges: Decision = {
    topic: "ranges",
    value: chunkBytes === 0 ? length : formatBytes(chunkBytes),
    reason: `files from ${from} on are moved in ranges, in parallel${chunkBytes === 0 ? "" : "; --chunk-size, or a setting"}`,
  };
  return [
    ranges,
    ...(bufferBytes === 0
      ? []
      : [{ topic: "buffer", value: formatBytes(bufferBytes), reason: "no more content is on its way at a time" }]),
    ...(smallFileBytes === 0
      ? []
      : [{ topic: "small_files", value: formatBytes(smallFileBytes), reason: "files below travel whole, grouped" }]),
  ];
}

function verifying({ write: { verify } }: RunOptions): Decision {
  const topic = "verify";
  switch (verify) {
    case "none":
      return { topic, value: "no", reason: "every write is checked for errors; --verify compares what landed as well" };
    case "compare":
      return { topic, value: "compare", reason: "each file is read again and compared before it gets its name" };
    case "readback":
      return { topic, value: "readback", reason: "the same, from disk and not from memory" };
  }
}

function flushing({ write: { fsync } }: RunOptions): Decision {
  const topic = "fsync";
  switch (fsync) {
    case "none":
      return { topic, value: "none", reason: "the system writes to disk by itself, within a minute or so" };
    case "file":
      return { topic, value: "file", reason: "each file is on disk before it gets its name" };
    case "end":
      return { topic, value: "end", reason: "the run ends when everything is on disk" };
  }
}

function resuming({ write: { resume } }: RunOptions): Decision {
  const topic = "resume";
  return resume
    ? {
        topic,
        value: "on",
        reason: "what the target has of a differing file is compared, and only blocks that differ move",
      }
    : { topic, value: "automatic", reason: "a large file that was interrupted goes on where it stopped" };
}

function writing({ write: { inplace, tempDir, backup } }: RunOptions): Decision {
  const topic = "write";
  if (inplace) return { topic, value: "in place", reason: "--inplace: an interruption leaves a half-written file" };
  const where = tempDir === undefined ? "beside the target" : "in --temp-dir";
  const kept = backup === undefined ? "" : "; what is replaced is kept";
  return { topic, value: "whole", reason: `a file is written ${where} and gets its name when it is complete${kept}` };
}

function limiting({ write: { rateBytesPerSecond } }: RunOptions): Decision[] {
  return rateBytesPerSecond === 0
    ? []
    : [{ topic: "rate", value: `${formatBytes(rateBytesPerSecond)}/s`, reason: "--bwlimit, or a setting" }];
}

function removing({ verb }: RunOptions): Decision[] {
  return verb === "move"
    ? [{ topic: "sources", value: "removed", reason: "each after its own copy is safe, and still as it was copied" }]
    : [];
}
