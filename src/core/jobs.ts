/** A session of a daemon as it is told to people and scripts: what it is, how far it got, how it ended. */
import type { Counters } from "./events.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { ExplainedVerb, Verb } from "./options.ts";

/** `lost`: the daemon ended in the middle of it without a word. */
export const JOB_STATES = ["running", "ended", "lost"] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobEnd {
  readonly exitCode: ExitCode;
  readonly exitReason: string;
  /** For people; undefined where the exit code says it all. */
  readonly message: string | undefined;
}

export interface Job {
  /** As `session` in the daemon's log. */
  readonly id: string;
  /** Address of the caller, as its socket told it. */
  readonly peer: string;
  /** undefined: the daemon's root. */
  readonly module: string | undefined;
  /** Of several sources the first. */
  readonly path: Uint8Array;
  /** The daemon's. */
  readonly role: "source" | "target";
  /** As the session says; one that explains may look with another verb than the one that it explains. */
  readonly verb: Verb;
  readonly dryRun: boolean;
  /** undefined: it is a run, and not a look for `explain`. */
  readonly explains: ExplainedVerb | undefined;
  /** `HOST:PORT` of another daemon that this one dialled; undefined: the caller is the other side. */
  readonly other: string | undefined;
  /** Since 1970. */
  readonly startedMs: number;
  /** undefined: it runs, or is lost. */
  readonly endedMs: number | undefined;
  readonly state: JobState;
  /** Where the daemon is the source: phase, entries offered and files asked for only. */
  readonly counters: Readonly<Counters>;
  /** Content with its frames, as it travelled. */
  readonly bytes: number;
  /** Of a job that ended. */
  readonly end: JobEnd | undefined;
}

/** What it does, in words: `mirror`, `copy (dry run)`, `explain mirror`. */
export function workOf({ verb, dryRun, explains }: Pick<Job, "verb" | "dryRun" | "explains">): string {
  if (explains !== undefined) return explains === "any" ? "explain" : `explain ${explains}`;
  return dryRun ? `${verb} (dry run)` : verb;
}

/** It says what would be done or what differs, and does nothing. */
export function onlyLooks({ verb, dryRun }: Pick<Job, "verb" | "dryRun">): boolean {
  return dryRun || verb === "check";
}

/** As the daemon that serves the session calls its job, in its log too. */
export function jobIdOf(sessionId: Uint8Array): string {
  return Buffer.from(sessionId.subarray(0, 6)).toString("hex");
}

/** What a daemon calls a job: 6 random bytes. */
export function isJobId(text: string): boolean {
  return /^[0-9a-f]{12}$/.test(text);
}
