/** Jobs of a daemon for people, and as JSON. */
import type { Counters } from "../../core/events.ts";
import { type Job, workOf } from "../../core/jobs.ts";
import { bytesOf, printable, printableInModule } from "../../core/paths.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../report/format.ts";
import { counterFields, pathFields, SCHEMA } from "../report/json-printer.ts";
import { tableLines } from "../report/screen.ts";

type Json = Readonly<Record<string, unknown>>;

/** One line of `--json`. */
export function jobFields(job: Job, daemon: string): Json {
  return {
    schema: SCHEMA,
    type: "job",
    daemon,
    job: job.id,
    state: job.state,
    peer: job.peer,
    module: job.module,
    ...pathFields(job.path),
    role: job.role,
    verb: job.verb,
    dry_run: job.dryRun,
    explains: job.explains,
    other: job.other,
    started: new Date(job.startedMs).toISOString(),
    ended: job.endedMs === undefined ? undefined : new Date(job.endedMs).toISOString(),
    ...counterFields(job.counters),
    network_bytes: job.bytes,
    ...(job.end === undefined
      ? {}
      : { exit_code: job.end.exitCode, exit_reason: job.end.exitReason, message: job.end.message }),
  };
}

const HEAD = ["ID", "STARTED", "STATE", "FILES", "BYTES", "WHAT"];
/** Of what stands in front of the last column, at least; the numbers stand at their right. */
const WIDTHS = [12, 16, 12, 9, 8];
const NUMBERS = new Set([3, 4]);

/** A table, the latest first. */
export function jobTable(jobs: readonly Job[], width: number, isFirst: boolean): string[] {
  const rows = jobs.map((job) => [
    job.id,
    timeText(job.startedMs),
    stateText(job),
    formatCount(job.counters.filesTransferred),
    formatBytes(job.bytes),
    whatText(job),
  ]);
  return tableLines(isFirst ? [HEAD, ...rows] : rows, width, NUMBERS, WIDTHS);
}

/** Of the machine that prints it. */
function timeText(ms: number): string {
  const time = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}`;
}

/** What it does, or how it ended: `copying`, `ok`, `partial (23)`. */
export function stateText({ state, counters, end }: Job): string {
  if (state === "running") return counters.phase;
  if (end === undefined) return "lost";
  return end.exitCode === 0 ? end.exitReason : `${end.exitReason} (${end.exitCode})`;
}

/** `copy to /photos/2024 by 10.0.0.5`, as seen from the daemon. */
export function whatText(job: Job): string {
  const direction = job.role === "target" ? "to" : "from";
  const place = printableInModule(job.module, job.path);
  const other =
    job.other === undefined
      ? `by ${job.peer}`
      : `${job.role === "target" ? "from" : "to"} ${job.other}, asked by ${job.peer}`;
  return `${workOf(job)} ${direction} ${place} ${other}`;
}

/** How far a job got, in one line. */
export function progressOf(job: Job): string {
  const { counters } = job;
  const pieces = [
    filesText(job, counters),
    formatBytes(job.bytes),
    ...(counters.deleted > 0 ? [`${formatCount(counters.deleted)} deleted`] : []),
    ...(counters.failed > 0 ? [`${formatCount(counters.failed)} failed`] : []),
  ];
  return pieces.join(", ");
}

function filesText(
  { role, other }: Job,
  { filesTransferred, filesToTransfer, scanComplete }: Readonly<Counters>,
): string {
  if (role === "source" && other === undefined) return `${plural(filesTransferred, "file")} sent`;
  const more = scanComplete ? "" : "+";
  return `${formatCount(filesTransferred)}/${formatCount(Math.max(filesTransferred, filesToTransfer))}${more} files`;
}

/** The last line on a job that was watched. */
export function endText(job: Job): string {
  const took = job.endedMs === undefined ? "" : ` after ${formatDuration(job.endedMs - job.startedMs)}`;
  const reason = job.end?.message === undefined ? "" : `: ${printable(bytesOf(job.end.message))}`;
  const code = job.end?.exitCode ?? 0;
  const state = job.end === undefined || code === 0 ? stateText(job) : `${job.end.exitReason} (exit ${code})`;
  return `Job ${job.id}: ${state}${took}, ${progressOf(job)}${reason}`;
}
