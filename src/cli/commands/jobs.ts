/** `jobs list|watch|cancel [HOST] [ID]`: what a daemon does and did, until its end, or to its end. */
import { defineCommand } from "citty";
import { DEFAULT_PORT } from "../../core/default-port.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { isJobId, type Job } from "../../core/jobs.ts";
import type { HostAddress } from "../../endpoints/host.ts";
import type { CommandContext } from "../context.ts";
import { plural } from "../report/format.ts";
import { jsonText } from "../report/json-printer.ts";
import type { Outputs } from "../report/output.ts";
import { widthOf } from "../report/screen.ts";
import { StatusLine } from "../report/status-line.ts";
import { type DaemonWords, daemonWords } from "../settings/of-run.ts";
import { onStopSignals } from "../stop-signals.ts";
import { endText, jobFields, jobTable, progressOf, stateText, whatText } from "../text/job-text.ts";
import { type ParsedArgs, quoted, unknownWord } from "../words/parse-args.ts";
import type { Argument } from "../words/raw-args.ts";
import { parseCount } from "../words/sizes.ts";
import { UsageError } from "../words/usage-error.ts";

const ACTIONS = ["list", "watch", "cancel"] as const;
type Action = (typeof ACTIONS)[number];

/** What the words after the verb ask for. */
export interface JobsRequest {
  readonly action: Action;
  readonly address: HostAddress;
  readonly id: string | undefined;
}

export const jobsCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, outputs } = context;
    const request = jobsRequest(args.places, daemonWords(args, process.env));
    const quiet = args.has("quiet");
    if (quiet && request.action !== "cancel" && request.id === undefined)
      throw new UsageError(
        "--quiet is for watch ID and for cancel: what list and watch print is their answer",
        "For the exit code alone write >/dev/null",
      );
    if (args.has("limit") && request.action !== "list")
      throw new UsageError("--limit is for list: of watch and cancel there is nothing to cut");
    const limit = parsedLimit(args);
    const stop = new AbortController();
    using _signals = onStopSignals({
      onFirst: () => stop.abort(),
      onSecond: () => process.exit(ExitCode.interrupted),
    });
    context.exitCode = await ACT[request.action](
      request,
      { json: args.has("json"), quiet, limit },
      outputs,
      stop.signal,
    );
  },
});

function parsedLimit(args: ParsedArgs): number {
  const given = args.value("limit");
  return given === undefined ? Number.POSITIVE_INFINITY : parseCount(given.text, "limit", 1, 0xffff_ffff);
}

/** `[ACTION] [HOST] [ID]`; the daemon of this machine where no HOST is named. */
export function jobsRequest(places: readonly Argument[], { isRemote, daemonOf }: DaemonWords): JobsRequest {
  const [first, ...others] = places;
  const action = ACTIONS.find((name) => name === first?.text);
  if (first !== undefined && action === undefined && !isRemote(first) && !looksLikeHost(first))
    throw unknownWord(
      "jobs",
      ACTIONS,
      first,
      `For a daemon elsewhere write: fastsync jobs list ${quoted(first).slice(1, -1)}`,
    );
  const words = action === undefined ? places : others;
  const last = words.at(-1);
  const id = last !== undefined && isJobId(last.text) ? last.text : undefined;
  const hosts = id === undefined ? words : words.slice(0, -1);
  const usage = `fastsync jobs ${action ?? "list"} ${action === "cancel" ? "[HOST] ID" : action === "watch" ? "[HOST] [ID]" : "[HOST]"}`;
  if (hosts.length > 1)
    throw new UsageError(`${quoted(hosts[1]!)} is no job: an id has 12 hexadecimal digits`, `Usage: ${usage}`);
  if (action === "cancel" && id === undefined) throw new UsageError("which job? ID is missing", `Usage: ${usage}`);
  if ((action ?? "list") === "list" && id !== undefined)
    throw new UsageError(
      `list shows all jobs, and ${quoted(last!)} is one`,
      `fastsync jobs watch ${id} shows that one`,
    );
  const [host] = hosts;
  return { action: action ?? "list", address: host === undefined ? LOCAL : daemonOf(host), id };
}

const LOCAL: HostAddress = { host: "127.0.0.1", port: DEFAULT_PORT };

/** `fastsync jobs nas` lists; a word that is nearly an action is a mistake. */
function looksLikeHost({ text }: Argument): boolean {
  return /[.:[\]]/.test(text) || text === "localhost";
}

interface Face {
  readonly json: boolean;
  /** Nothing but errors. */
  readonly quiet: boolean;
  /** Jobs that are listed. */
  readonly limit: number;
}
type Act = (request: JobsRequest, face: Face, outputs: Outputs, signal: AbortSignal) => Promise<number>;

const ACT: Readonly<Record<Action, Act>> = {
  list: async ({ address }, { json, limit }, { out, err }, signal) => {
    const { listJobs } = await import("../../session/daemon-jobs.ts");
    let listed = 0;
    let isMore = false;
    const { forgetsBeyond, wasCut } = await listJobs(
      address,
      (all) => {
        // Few enough are remembered to hear of all of them.
        const jobs = all.slice(0, limit - listed);
        isMore ||= jobs.length < all.length;
        if (json) for (const job of jobs) out.line(jsonText(jobFields(job, written(address))));
        else if (jobs.length > 0) for (const line of jobTable(jobs, widthOf(out), listed === 0)) out.line(line);
        listed += jobs.length;
        out.flush();
      },
      signal,
    );
    if (listed === 0 && !json) err.line(`The daemon at ${written(address)} tells of no jobs that are yours.`);
    else if (isMore) err.line(`There is more than --limit ${limit} lets through`);
    else if (wasCut) err.line("The list ends here: what came before was forgotten while it was read.");
    else if (listed > 0 && forgetsBeyond !== undefined)
      err.line(`The daemon remembers the last ${plural(forgetsBeyond, "job")} that ended, of all its callers.`);
    return ExitCode.ok;
  },

  watch: async ({ address, id }, { json, quiet }, outputs, signal) => {
    const { watchJobs } = await import("../../session/daemon-jobs.ts");
    const watcher = json ? jsonWatcher(outputs, address) : quiet ? NOBODY : textWatcher(outputs, id);
    let last: Job | undefined;
    try {
      await watchJobs(
        address,
        id,
        (jobs) => {
          last = jobs.at(-1);
          watcher.take(jobs);
        },
        signal,
      );
    } catch (error) {
      // Whoever watches all of them has seen enough.
      if (id !== undefined || !signal.aborted) throw error;
    } finally {
      watcher.end();
    }
    if (id === undefined || last === undefined) return ExitCode.ok;
    // Nobody knows how a lost one ended: as with a connection that broke, what is there is whole.
    return last.end?.exitCode ?? ExitCode.stream;
  },

  cancel: async ({ address, id }, { json, quiet }, { out }, signal) => {
    const { cancelJob } = await import("../../session/daemon-jobs.ts");
    const job = await cancelJob(address, id!, signal);
    if (json) out.line(jsonText(jobFields(job, written(address))));
    else if (!quiet) out.line(`Job ${job.id} was asked to stop: ${whatText(job)}`);
    return ExitCode.ok;
  },
};

function written({ host, port }: HostAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

interface Watcher {
  take(jobs: readonly Job[]): void;
  end(): void;
}

const NOBODY: Watcher = { take: () => undefined, end: () => undefined };

function jsonWatcher({ out }: Outputs, address: HostAddress): Watcher {
  return {
    take: (jobs) => {
      for (const job of jobs) out.line(jsonText(jobFields(job, written(address))));
      out.flush();
    },
    end: () => undefined,
  };
}

/** Beginnings and ends as lines; in between, of one job on a terminal, a line that changes. */
function textWatcher({ out, err }: Outputs, id: string | undefined): Watcher {
  const known = new Set<string>();
  const live =
    id !== undefined && err.isTerminal
      ? new StatusLine(
          (text) => err.writeNow(text),
          () => process.stderr.columns,
        )
      : undefined;
  if (live !== undefined) out.beforeWrite = () => live.clear();
  return {
    take: (jobs) => {
      for (const job of jobs) {
        if (!known.has(job.id)) out.line(`Job ${job.id}: ${whatText(job)}`);
        known.add(job.id);
        // Before the line that changes, which passes by the buffer.
        out.flush();
        if (job.state !== "running") out.line(endText(job));
        else live?.show(`${stateText(job)}  ${progressOf(job)}`);
      }
      out.flush();
    },
    end: () => live?.clear(),
  };
}
