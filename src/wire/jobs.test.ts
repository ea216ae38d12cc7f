/** A job there and back, and what a daemon may not call one. */
import { expect, test } from "bun:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { newCounters } from "../core/events.ts";
import type { Job } from "../core/jobs.ts";
import { JobSchema, JobState } from "./gen/fastsync/v1/jobs_pb.ts";
import { decodeJob, encodeJob } from "./jobs.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const JOB: Job = {
  id: "0123456789ab",
  peer: "2001:db8::5",
  module: "photos",
  path: Uint8Array.of(0x61, 0xff),
  role: "target",
  verb: "mirror",
  dryRun: true,
  explains: "mirror",
  other: "nas:9040",
  startedMs: 1_700_000_000_000,
  endedMs: 1_700_000_001_000,
  state: "ended",
  counters: { ...newCounters(), phase: "deleting", scanComplete: true, filesTransferred: 9, bytesLogical: 2 ** 50 },
  bytes: 2 ** 50 + 1,
  end: { exitCode: 23, exitReason: "partial", message: "1 failed" },
};

test.each([
  ["one that ended", JOB],
  [
    "one that runs",
    { ...JOB, state: "running", endedMs: undefined, end: undefined, module: undefined, other: undefined },
  ],
  ["one that explains nothing", { ...JOB, explains: undefined }],
  ["one that is lost", { ...JOB, state: "lost", endedMs: undefined, end: undefined, role: "source" }],
] as [string, Job][])("%s comes back as it was", (_, job) => {
  expect(decodeJob(fromBinary(JobSchema, toBinary(JobSchema, encodeJob(job))))).toEqual(job);
});

test.each([
  ["no id", { id: "" }],
  ["an id that is text", { id: "../../etc/pw" }],
  ["no state", { state: JobState.UNSPECIFIED }],
  ["an unknown state", { state: 99 as JobState }],
  ["an unknown verb", { verb: "erase" }],
  ["a path without end", { path: new Uint8Array(5000) }],
])("%s breaks the protocol", (_, wrong) => {
  expect(() => decodeJob({ ...encodeJob(JOB), ...wrong })).toThrow(ProtocolViolation);
});

test("what a later version explains is an explain of something", () => {
  expect(decodeJob({ ...encodeJob(JOB), explains: "prune" }).explains).toBe("any");
});

test("text steers no terminal, and numbers are in their range", () => {
  const job = decodeJob({
    ...encodeJob(JOB),
    ...{ peer: "\u001b[2J", module: "a\nb", other: "\u202e", message: "\u009b1m", exitReason: "Not A Word" },
    ...{ exitCode: 4000, startedMs: 2n ** 63n, bytes: 2n ** 63n },
  });
  expect(job).toMatchObject({ peer: "\\033[2J", module: "a\\012b", startedMs: 0, bytes: 0 });
  expect(job.end).toEqual({ exitCode: 2, exitReason: "protocol", message: "\\302\\2331m" });
});
