/** Jobs of a daemon, as somebody asks for them from here. Everything throws RunError. */
import { create } from "@bufbuild/protobuf";
import { ExitCode } from "../core/exit-codes.ts";
import type { Job } from "../core/jobs.ts";
import { RunError } from "../core/run-error.ts";
import { callDaemon } from "../link/daemon-call.ts";
import { type DaemonAddress, printableAddress } from "../link/dial.ts";
import { CallFailed } from "../link/grpc-call.ts";
import {
  CancelJobRequestSchema,
  JobsService,
  ListJobsRequestSchema,
  type ListJobsResponse,
  WatchJobsRequestSchema,
} from "../wire/gen/fastsync/v1/jobs_pb.ts";
import { decodeJob } from "../wire/jobs.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { told } from "../wire/told.ts";

const { method } = JobsService;

/** What a list of jobs does not have. */
export interface ListEnd {
  /** The daemon remembers so many that ended, and no earlier ones; undefined: it has room for more. */
  readonly forgetsBeyond: number | undefined;
  /** Earlier ones were forgotten while the list was read. */
  readonly wasCut: boolean;
}

/** Calls `onJobs` with each part of the list, the latest first. */
export async function listJobs(
  address: DaemonAddress,
  onJobs: (jobs: readonly Job[]) => void,
  signal: AbortSignal,
): Promise<ListEnd> {
  return await explained(address, signal, async () => {
    const seen = new Set<string>();
    for (let before = ""; ; ) {
      let answer: ListJobsResponse;
      try {
        answer = await onlyAnswer(
          callDaemon(address, method.listJobs, create(ListJobsRequestSchema, { before }), signal),
        );
      } catch (error) {
        if (before !== "" && error instanceof CallFailed && error.status === NOT_FOUND)
          return { forgetsBeyond: undefined, wasCut: true };
        throw error;
      }
      const jobs = answer.jobs.map(decodeJob);
      // A list that goes round in circles would have no end.
      for (const { id } of jobs) {
        if (seen.has(id)) throw new ProtocolViolation(`job ${id} is told twice`);
        seen.add(id);
      }
      onJobs(jobs);
      before = answer.moreBefore;
      if (before === "") return { forgetsBeyond: answer.forgetsBeyond || undefined, wasCut: false };
      if (jobs.at(-1)?.id !== before) throw new ProtocolViolation("a list of jobs that goes on behind none of them");
    }
  });
}

async function onlyAnswer<T>(answers: AsyncIterable<T>): Promise<T> {
  for await (const answer of answers) return answer;
  throw new ProtocolViolation("no answer");
}

/** Calls `onJobs` with what is there, and with each change; of one job until it ended. */
export async function watchJobs(
  address: DaemonAddress,
  id: string | undefined,
  onJobs: (jobs: readonly Job[]) => void,
  signal: AbortSignal,
): Promise<void> {
  await explained(address, signal, async () => {
    const request = create(WatchJobsRequestSchema, { id: id ?? "" });
    for await (const { jobs } of callDaemon(address, method.watchJobs, request, signal)) {
      if (jobs.length > 0) onJobs(jobs.map(decodeJob));
    }
  });
}

/** The job as it was when it was asked to stop. */
export async function cancelJob(address: DaemonAddress, id: string, signal: AbortSignal): Promise<Job> {
  return await explained(address, signal, async () => {
    const request = create(CancelJobRequestSchema, { id });
    const { job } = await onlyAnswer(callDaemon(address, method.cancelJob, request, signal));
    if (job === undefined) throw new ProtocolViolation("no job in the answer");
    return decodeJob(job);
  });
}

/* Of gRPC: what a daemon answers instead. */
const NOT_FOUND = 5;
const RESOURCE_EXHAUSTED = 8;
const FAILED_PRECONDITION = 9;
const UNIMPLEMENTED = 12;

async function explained<T>(address: DaemonAddress, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw new RunError(ExitCode.interrupted, "interrupted", "interrupted");
    if (error instanceof RunError) throw error;
    const where = printableAddress(address);
    const message = error instanceof Error ? told(error.message) : String(error);
    if (error instanceof ProtocolViolation)
      throw new RunError(ExitCode.protocol, "protocol", `${where} broke the protocol: ${message}`);
    if (!(error instanceof CallFailed)) throw new RunError(ExitCode.stream, "connection_lost", `${where}: ${message}`);
    switch (error.status) {
      case NOT_FOUND:
        throw new RunError(ExitCode.selecting, "no_such_job", `${where}: ${message}`);
      case FAILED_PRECONDITION:
        throw new RunError(ExitCode.selecting, "job_ended", `${where}: ${message}`);
      case RESOURCE_EXHAUSTED:
        throw new RunError(ExitCode.starting, "too_many_watchers", `${where}: ${message}`);
      case UNIMPLEMENTED:
        throw new RunError(ExitCode.protocol, "version", `${where} is an older fastsync, which tells nothing of jobs`);
      default:
        throw new RunError(ExitCode.stream, "connection_lost", `${where}: ${message}`);
    }
  }
}
