/** Jobs of a daemon as messages, and back. */
import { create } from "@bufbuild/protobuf";
import { newCounters } from "../core/events.ts";
import { ExitCode, isExitCode } from "../core/exit-codes.ts";
import { isJobId, type Job, type JobState } from "../core/jobs.ts";
import { LIMITS } from "../core/limits.ts";
import type { Verb } from "../core/options.ts";
import { applyProgress, encodeProgress } from "./events.ts";
import { type Job as JobMessage, JobSchema, JobState as WireState } from "./gen/fastsync/v1/jobs_pb.ts";
import { Role } from "./gen/fastsync/v1/session_pb.ts";
import { decodeExplains } from "./options.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { told, toldCount, toldWord } from "./told.ts";

const STATES: Readonly<Record<JobState, WireState>> = {
  running: WireState.RUNNING,
  ended: WireState.ENDED,
  lost: WireState.LOST,
};
const VERBS: ReadonlySet<string> = new Set<Verb>(["copy", "mirror", "move", "check"]);
/** The year 2286: what lies behind it is no time of day. */
const LAST_MS = 10_000_000_000_000;

export function encodeJob(job: Job): JobMessage {
  return create(JobSchema, {
    id: job.id,
    peer: job.peer,
    module: job.module ?? "",
    path: job.path,
    role: job.role === "source" ? Role.SOURCE : Role.TARGET,
    verb: job.verb,
    dryRun: job.dryRun,
    explains: job.explains ?? "",
    other: job.other ?? "",
    startedMs: BigInt(job.startedMs),
    endedMs: BigInt(job.endedMs ?? 0),
    state: STATES[job.state],
    progress: encodeProgress(job.counters, newCounters()) ?? { phase: job.counters.phase },
    bytes: BigInt(job.bytes),
    exitCode: job.end?.exitCode ?? 0,
    exitReason: job.end?.exitReason ?? "",
    message: job.end?.message ?? "",
  });
}

/** What cannot be made sense of breaks the protocol; text is made safe for terminals. */
export function decodeJob(message: JobMessage): Job {
  const { id, verb, path, state } = message;
  if (!isJobId(id)) throw new ProtocolViolation("a job without an id");
  if (path.length > LIMITS.pathBytes) throw new ProtocolViolation(`a job's path of ${path.length} bytes`);
  const known = (Object.keys(STATES) as JobState[]).find((name) => STATES[name] === state);
  if (known === undefined) throw new ProtocolViolation(`a job in state ${state}`);
  if (!VERBS.has(verb)) throw new ProtocolViolation(`a job that does ${told(verb)}`);
  const counters = newCounters();
  if (message.progress !== undefined) applyProgress(message.progress, counters);
  const exitCode = isExitCode(message.exitCode) ? message.exitCode : ExitCode.protocol;
  return {
    id,
    peer: told(message.peer),
    module: message.module === "" ? undefined : told(message.module),
    path,
    role: message.role === Role.SOURCE ? "source" : "target",
    verb: verb as Verb,
    dryRun: message.dryRun,
    explains: decodeExplains(message.explains),
    other: message.other === "" ? undefined : told(message.other),
    startedMs: toldTime(message.startedMs) ?? 0,
    endedMs: known === "ended" ? toldTime(message.endedMs) : undefined,
    state: known,
    counters,
    bytes: toldCount(Number(message.bytes)),
    end:
      known === "ended"
        ? {
            exitCode,
            exitReason: toldWord(message.exitReason, exitCode === ExitCode.ok ? "ok" : "protocol"),
            message: told(message.message) || undefined,
          }
        : undefined,
  };
}

function toldTime(ms: bigint): number | undefined {
  const time = Number(ms);
  return time > 0 && time < LAST_MS ? time : undefined;
}
