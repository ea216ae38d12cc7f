/**
 * What is kept of a run: how much, how fast, and by what means. Never what: no path, no name of a file, a host or a
 * module. A daemon is a number that only this history can tell from another one.
 */
import type { RunSummary } from "../core/events.ts";
import type { RunOptions, Verb } from "../core/options.ts";

export type SideKind = "local" | "daemon";

export interface RunRecord {
  /** Milliseconds since 1970. */
  readonly endedMs: number;
  readonly version: string;
  readonly verb: Verb;
  /** The verb as it was written. */
  readonly command: string;
  readonly source: SideKind;
  readonly target: SideKind;
  /** Of the daemon; undefined: none took part. */
  readonly peer: string | undefined;
  readonly durationMs: number;
  readonly entries: number;
  readonly files: number;
  /** Sizes of the files that arrived, and what of it moved. */
  readonly bytes: number;
  readonly bytesMoved: number;
  readonly deleted: number;
  readonly plan: RunSummary["plan"];
  /** Files by method. */
  readonly methods: Readonly<Record<string, number>>;
  /** Milliseconds by phase. */
  readonly phases: Readonly<Record<string, number>>;
  readonly backend: string;
  readonly workers: number;
  /** Of a run between two processes. */
  readonly carrier: string | undefined;
  readonly streams: number | undefined;
  readonly roundTripMs: number | undefined;
  readonly firstContentMs: number | undefined;
  /** Streams of which trying has shown that they help. */
  readonly foundStreams: number | undefined;
}

/**
 * Whether a run says anything about how runs go: it was one, it went well, and it moved or deleted something. What an
 * idle run takes is the scan, which depends on nothing that is chosen.
 */
export function teaches(options: RunOptions, summary: RunSummary): boolean {
  const { counters } = summary;
  const isRun = !options.dryRun && options.verb !== "check" && summary.exitCode === 0 && summary.job === undefined;
  return isRun && counters.filesTransferred + counters.linked + counters.deleted > 0 && summary.workers !== undefined;
}

export interface RecordFacts {
  readonly endedMs: number;
  readonly version: string;
  readonly verb: Verb;
  readonly command: string;
  readonly source: SideKind;
  readonly target: SideKind;
  readonly peer: string | undefined;
  readonly phases: Readonly<Record<string, number>>;
}

export function recordOf(facts: RecordFacts, summary: RunSummary): RunRecord {
  const { counters, network } = summary;
  return {
    ...facts,
    durationMs: summary.durationMs,
    entries: counters.entriesExamined,
    files: counters.filesTransferred,
    bytes: counters.bytesLogical,
    bytesMoved: counters.bytesTransferred,
    deleted: counters.deleted,
    plan: summary.plan,
    methods: summary.methods as Readonly<Record<string, number>>,
    backend: summary.backend ?? "",
    workers: summary.workers ?? 0,
    carrier: network?.carrier,
    streams: network?.streams,
    roundTripMs: network?.roundTripMs,
    firstContentMs: network?.firstContentMs,
    foundStreams: network?.foundStreams,
  };
}
