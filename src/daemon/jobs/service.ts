/** The calls about jobs, as a caller makes them. What is not told to it looks to it as if it were not there. */
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { LIMITS } from "../../core/limits.ts";
import {
  CancelJobResponseSchema,
  type Job,
  JobSchema,
  type JobsService,
  ListJobsResponseSchema,
  type WatchJobsResponse,
  WatchJobsResponseSchema,
} from "../../wire/gen/fastsync/v1/jobs_pb.ts";
import { encodeJob } from "../../wire/jobs.ts";
import { attended } from "../attended.ts";
import { type JobRights, mayKnow } from "./ownership.ts";
import type { JobRegistry, KeptJob } from "./registry.ts";

export interface JobsHost {
  /** Of who makes this call. */
  readonly rightsOf: (context: HandlerContext) => Promise<JobRights>;
  /** Its address. */
  readonly peerOf: (context: HandlerContext) => string;
  /** How long a watcher may hear nothing, and how long it may take nothing. */
  readonly times: () => { readonly aliveMs: number; readonly idleMs: number };
}

export function jobsService(jobs: JobRegistry, host: JobsHost): ServiceImpl<typeof JobsService> {
  const watchers = new Watchers();
  const unknown = (): ConnectError => new ConnectError("there is no such job, or it is not yours", Code.NotFound);
  const known = (rights: JobRights, id: string): KeptJob => {
    const job = jobs.get(id);
    if (job !== undefined && mayKnow(rights, job)) return job;
    throw unknown();
  };
  async function* watch(id: string, context: HandlerContext, signal: AbortSignal): AsyncGenerator<WatchJobsResponse> {
    const rights = await host.rightsOf(context);
    const peer = host.peerOf(context);
    watchers.enter(peer);
    try {
      const one = id === "" ? undefined : jobs.follow(id);
      if (id !== "" && (one === undefined || !mayKnow(rights, one()))) throw unknown();
      const told = new Map<string, string>();
      for (let isFirst = true; ; isFirst = false) {
        const seen = one === undefined ? jobs.list().filter((job) => mayKnow(rights, job)) : [one()];
        // Of all jobs, those that had ended before are told by the list.
        const fresh = seen.filter(
          (job) => told.get(job.id) !== stepOf(job) && !(isFirst && id === "" && job.state !== "running"),
        );
        told.clear();
        for (const job of seen) told.set(job.id, stepOf(job));
        // The earliest first, as they came to be. At first also when there is nothing: the watcher is let in.
        if (fresh.length > 0 || isFirst)
          yield create(WatchJobsResponseSchema, { jobs: fresh.reverse().map(encodeJob) });
        if (one !== undefined && seen[0]!.state !== "running") return;
        await jobs.changed(LIMITS.jobWatchMs, signal);
        if (signal.aborted) return;
      }
    } finally {
      watchers.leave(peer);
    }
  }
  return {
    async listJobs({ limit, before }, context) {
      const rights = await host.rightsOf(context);
      const all = jobs.list().filter((job) => mayKnow(rights, job));
      const from = before === "" ? 0 : all.findIndex(({ id }) => id === before) + 1;
      if (before !== "" && from === 0) throw unknown();
      const asked = all.slice(from, limit === 0 ? undefined : from + limit);
      const told = fitting(asked);
      const moreBefore = told.length < asked.length ? told.at(-1)!.id : "";
      return create(ListJobsResponseSchema, { jobs: told, moreBefore, forgetsBeyond: jobs.fullAt ?? 0 });
    },

    watchJobs: ({ id }, context) =>
      attended((signal) => watch(id, context, signal), {
        ...host.times(),
        alive: () => create(WatchJobsResponseSchema, {}),
        signal: context.signal,
        abandoned: () => new ConnectError("the watcher took nothing for too long", Code.DeadlineExceeded),
      }),

    async cancelJob({ id }, context) {
      const rights = await host.rightsOf(context);
      known(rights, id);
      if (!jobs.cancel(id)) throw new ConnectError("the job ended before", Code.FailedPrecondition);
      return create(CancelJobResponseSchema, { job: encodeJob(known(rights, id)) });
    },
  };
}

/** Who watches: so many in all, and so many from one address. */
class Watchers {
  private all = 0;
  private readonly from = new Map<string, number>();

  /** Throws ConnectError. */
  enter(peer: string): void {
    const own = this.from.get(peer) ?? 0;
    if (own >= LIMITS.jobWatchersOfPeer)
      throw new ConnectError(`${own} watch from your address already; try again later`, Code.ResourceExhausted);
    if (this.all >= LIMITS.jobWatchers)
      throw new ConnectError(`${this.all} watch already; try again later`, Code.ResourceExhausted);
    this.all++;
    this.from.set(peer, own + 1);
  }

  leave(peer: string): void {
    this.all--;
    const own = this.from.get(peer)! - 1;
    if (own === 0) this.from.delete(peer);
    else this.from.set(peer, own);
  }
}

/** As many as one answer holds, and one at least: who asked takes no larger one. */
function fitting(jobs: readonly KeptJob[]): Job[] {
  const messages: Job[] = [];
  let bytes = 0;
  for (const job of jobs) {
    const message = encodeJob(job);
    bytes += toBinary(JobSchema, message).length;
    if (bytes > LIMITS.jobListBytes && messages.length > 0) break;
    messages.push(message);
  }
  return messages;
}

/** Differs when there is something new to tell. */
function stepOf({ state, bytes, counters }: KeptJob): string {
  const { phase, scanComplete, entriesExamined, filesTransferred, bytesLanded, deleted, failed } = counters;
  return [state, bytes, phase, scanComplete, entriesExamined, filesTransferred, bytesLanded, deleted, failed].join();
}
