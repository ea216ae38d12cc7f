/** The history of runs, as text and as JSON. */
import { bytesOf, printable } from "../../core/paths.ts";
import type { RunRecord } from "../../history/run-record.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "../report/format.ts";
import { hanging, tableLines } from "../report/screen.ts";
import { plain } from "../report/text-printer.ts";

export interface HistoryReport {
  readonly enabled: boolean;
  readonly path: string;
  readonly count: number;
  /** The newest first. */
  readonly runs: readonly RunRecord[];
  /** Why it cannot be read. */
  readonly problem: string | undefined;
}

export function historyText(
  { enabled, path, count, runs, problem }: HistoryReport,
  shown: number,
  width: number,
): string {
  const state = enabled ? "" : "  Runs are not noted: fastsync profile enable";
  const lines = [
    ...hanging("History: ", `${plural(count, "run")} in ${printable(bytesOf(path))}`, width),
    ...(state === "" ? [] : [state]),
  ];
  if (problem !== undefined) lines.push(...hanging("  ", `It cannot be read: ${plain(problem)}`, width));
  if (runs.length === 0) return `${lines.join("\n")}\n`;
  lines.push("", ...tableLines([HEAD, ...runs.slice(0, shown).map(cellsOf)], width));
  if (count > shown) lines.push(`and ${formatCount(count - shown)} more; --json gives each`);
  lines.push("", "Usual (the middle one of each kind)", ...tableLines(kindsOf(runs).map(kindCells), width));
  return `${lines.join("\n")}\n`;
}

const HEAD = ["ENDED", "VERB", "WAY", "FILES", "BYTES", "TIME", "RATE", "BY"];

function cellsOf(run: RunRecord): string[] {
  const [method] = Object.entries(run.methods).sort(([, a], [, b]) => b - a)[0] ?? ["-"];
  return [
    new Date(run.endedMs).toISOString().slice(0, 16).replace("T", " "),
    plain(run.command),
    wayOf(run),
    formatCount(run.files),
    formatBytes(run.bytes),
    formatDuration(run.durationMs),
    run.bytes > 0 && run.durationMs > 0 ? formatRate((run.bytes * 1000) / run.durationMs) : "-",
    plain(method),
  ];
}

/** `local`, `push`, `pull`, `between` daemons. */
function wayOf({ source, target }: RunRecord): string {
  if (source === target) return source === "local" ? "local" : "between";
  return source === "local" ? "push" : "pull";
}

function kindsOf(runs: readonly RunRecord[]): [kind: string, runs: RunRecord[]][] {
  const kinds = new Map<string, RunRecord[]>();
  for (const run of runs) {
    const kind = `${plain(run.command)} ${wayOf(run)}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), run]);
  }
  return [...kinds].sort(([, a], [, b]) => b.length - a.length);
}

function kindCells([kind, runs]: [string, RunRecord[]]): string[] {
  const timed = runs.filter(({ durationMs }) => durationMs > 0);
  const rate = middle(timed.map(({ bytes, durationMs }) => (bytes * 1000) / durationMs));
  const files = middle(timed.map((run) => (run.files * 1000) / run.durationMs));
  return [`  ${kind}`, plural(runs.length, "run"), formatRate(rate), `${formatCount(files)} files/s`];
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

export function historyJson({ enabled, path, count, runs, problem }: HistoryReport): string {
  const lines: object[] = [...runs].reverse().map((run) => ({
    schema: 1,
    type: "profile_run",
    ended: new Date(run.endedMs).toISOString(),
    version: run.version,
    verb: run.verb,
    command: run.command,
    source: run.source,
    target: run.target,
    ...(run.peer === undefined ? {} : { peer: run.peer }),
    duration_ms: run.durationMs,
    entries: run.entries,
    files: run.files,
    bytes: run.bytes,
    bytes_moved: run.bytesMoved,
    deleted: run.deleted,
    plan: run.plan,
    methods: run.methods,
    phases: run.phases,
    backend: run.backend,
    workers: run.workers,
    ...(run.carrier === undefined ? {} : { carrier: run.carrier }),
    ...(run.streams === undefined ? {} : { streams: run.streams }),
    ...(run.roundTripMs === undefined ? {} : { round_trip_ms: run.roundTripMs }),
    ...(run.foundStreams === undefined ? {} : { found_streams: run.foundStreams }),
    ...(run.firstContentMs === undefined ? {} : { first_content_ms: run.firstContentMs }),
  }));
  lines.push({ schema: 1, type: "profile", enabled, path, runs: count, ...(problem === undefined ? {} : { problem }) });
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}
