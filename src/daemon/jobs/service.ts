/** The calls about jobs, as a caller makes them. What is not told to it looks to it as if it were not there. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { LIMITS } from "../../core/limits.ts";
import {
  CancelJobResponseSchema,
  type JobsService,
  ListJobsResponseSchema,
  WatchJobsResponseSchema,
} from "../../wire/gen/fastsync/v1/jobs_pb.ts";
import { encodeJob } from "../../wire/jobs.ts";
import { type JobRights, mayKnow } from "./ownership.ts";
import type { JobRegistry, KeptJob } from "./registry.ts";

/** `rightsOf`: of who makes this call. `heartbeatMs`: how long a watcher may hear nothing. */
export function jobsService(
  jobs: JobRegistry,
  rightsOf: (context: HandlerContext) => Promise<JobRights>,
  heartbeatMs: () => number,
): ServiceImpl<typeof JobsService> {
  let watchers = 0;
  const known = (rights: JobRights, id: string): KeptJob => {
    const job = jobs.get(id);
    if (job !== undefined && mayKnow(rights, job)) return job;
    throw new ConnectError("there is no such job, or it is not yours", Code.NotFound);
  };
  return {
    async listJobs({ limit }, context) {
      const rights = await rightsOf(context);
      const all = jobs.list().filter((job) => mayKnow(rights, job));
      return create(ListJobsResponseSchema, { jobs: (limit === 0 ? all : all.slice(0, limit)).map(encodeJob) });
    },

    async *watchJobs({ id }, context) {
      const rights = await rightsOf(context);
      if (watchers >= LIMITS.jobWatchers)
        throw new ConnectError(`${LIMITS.jobWatchers} watch already; try again later`, Code.ResourceExhausted);
      watchers++;
      try {
        const told = new Map<string, string>();
        let saidMs = Number.NEGATIVE_INFINITY;
        for (let isFirst = true; ; isFirst = false) {
          const seen = id === "" ? jobs.list().filter((job) => mayKnow(rights, job)) : [known(rights, id)];
          // Of all jobs, those that had ended before are told by the list.
          const fresh = seen.filter(
            (job) => told.get(job.id) !== stepOf(job) && !(isFirst && id === "" && job.state !== "running"),
          );
          told.clear();
          for (const job of seen) told.set(job.id, stepOf(job));
          if (fresh.length > 0 || performance.now() - saidMs >= heartbeatMs()) {
            saidMs = performance.now();
            // The earliest first, as they came to be.
            yield create(WatchJobsResponseSchema, { jobs: fresh.reverse().map(encodeJob) });
          }
          if (id !== "" && seen[0]!.state !== "running") return;
          await jobs.changed(LIMITS.jobWatchMs, context.signal);
          if (context.signal.aborted) return;
        }
      } finally {
        watchers--;
      }
    },

    async cancelJob({ id }, context) {
      const rights = await rightsOf(context);
      known(rights, id);
      if (!jobs.cancel(id)) throw new ConnectError("the job ended before", Code.FailedPrecondition);
      return create(CancelJobResponseSchema, { job: encodeJob(known(rights, id)) });
    },
  };
}

/** Differs when there is something new to tell. */
function stepOf({ state, bytes, counters }: KeptJob): string {
  const { phase, scanComplete, entriesExamined, filesTransferred, bytesLanded, deleted, failed } = counters;
  return [state, bytes, phase, scanComplete, entriesExamined, filesTransferred, bytesLanded, deleted, failed].join();
}
