/** The calls about jobs: how many watch, to which end, and how much one answer holds. */
import { expect, test } from "bun:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { newCounters } from "../../core/events.ts";
import { LIMITS } from "../../core/limits.ts";
import {
  ListJobsRequestSchema,
  ListJobsResponseSchema,
  WatchJobsRequestSchema,
  type WatchJobsResponse,
} from "../../wire/gen/fastsync/v1/jobs_pb.ts";
import { JobRegistry } from "./registry.ts";
import { jobsService } from "./service.ts";

interface Asking {
  readonly peer?: string;
  readonly signal?: AbortSignal;
}

function serving({ kept = 3, idleMs = 60_000 } = {}) {
  const jobs = new JobRegistry({ kept: () => kept, store: undefined, onProblem: () => undefined });
  const service = jobsService(jobs, {
    rightsOf: async () => ({ owner: undefined, isAdmin: true }),
    peerOf: (context) => (context as unknown as Asking).peer ?? "10.0.0.5",
    times: () => ({ aliveMs: 60_000, idleMs }),
  });
  const begin = (number: number, path = new Uint8Array(0)) => {
    const id = number.toString(16).padStart(12, "0");
    const counters = newCounters();
    const end = jobs.begin(
      {
        ...{ id, peer: "10.0.0.5", module: "m", path, role: "target", verb: "copy", dryRun: false },
        ...{ explains: undefined, other: undefined },
      },
      Promise.resolve("user 1"),
      { look: () => ({ counters, bytes: 0, phases: new Map() }), cancel: () => undefined },
    );
    return { id, end: () => end({ exitCode: 0, exitReason: "ok", message: undefined }) };
  };
  const watch = (id: string, asking: Asking = {}): AsyncIterator<WatchJobsResponse> => {
    const context = { signal: new AbortController().signal, ...asking } as unknown as HandlerContext;
    const answers = service.watchJobs(create(WatchJobsRequestSchema, { id }), context);
    return (answers as AsyncIterable<WatchJobsResponse>)[Symbol.asyncIterator]();
  };
  const list = async (limit: number, before = "") => {
    const answer = await service.listJobs(create(ListJobsRequestSchema, { limit, before }), {} as HandlerContext);
    return create(ListJobsResponseSchema, answer);
  };
  return { begin, watch, list };
}

async function refused(iterator: AsyncIterator<WatchJobsResponse>): Promise<boolean> {
  try {
    await iterator.next();
    return false;
  } catch (error) {
    expect(ConnectError.from(error).code).toBe(Code.ResourceExhausted);
    return true;
  }
}

test("one address does not keep the others from watching, and who is gone gives way, whatever it had taken", async () => {
  const { watch } = serving();
  const stop = new AbortController();
  for (let i = 0; i < LIMITS.jobWatchersOfPeer; i++) await watch("", { signal: stop.signal }).next();
  expect(await refused(watch(""))).toBe(true);
  for (let i = LIMITS.jobWatchersOfPeer; i < LIMITS.jobWatchers; i++)
    expect(await refused(watch("", { peer: `10.0.1.${i}` }))).toBe(false);
  expect(await refused(watch("", { peer: "10.0.2.1" }))).toBe(true);
  stop.abort();
  await Promise.resolve();
  expect(await refused(watch(""))).toBe(false);
});

test("who takes nothing for too long is left", async () => {
  const { begin, watch } = serving({ idleMs: 5 });
  begin(1);
  const slow = Array.from({ length: LIMITS.jobWatchersOfPeer }, () => watch(""));
  for (const one of slow) await one.next();
  while (await refused(watch(""))) await Bun.sleep(5);
  await expect(slow[0]!.next()).rejects.toThrow("took nothing for too long");
});

test("a job is followed to its end where none is remembered", async () => {
  const { begin, watch } = serving({ kept: 0 });
  const { id, end } = begin(1);
  const watching = watch(id);
  expect((await watching.next()).value.jobs).toMatchObject([{ id, exitReason: "" }]);
  const next = watching.next();
  end();
  expect((await next).value.jobs).toMatchObject([{ id, exitReason: "ok" }]);
  expect((await watching.next()).done).toBe(true);
});

test("a list of all jobs fits a message, and holds the latest", async () => {
  const { begin, list } = serving({ kept: 10_000 });
  const path = new Uint8Array(LIMITS.pathBytes).fill(0x61);
  for (let number = 1; number <= 10_000; number++) begin(number, path).end();
  const answer = await list(0);
  expect(answer.jobs[0]!.id).toBe((10_000).toString(16).padStart(12, "0"));
  expect(answer.jobs.length).toBeGreaterThan(3000);
  expect(toBinary(ListJobsResponseSchema, answer).length).toBeLessThan(17 << 20);
  expect((await list(2)).jobs).toHaveLength(2);

  // The others are asked for behind the last of these, to the end.
  const ids = answer.jobs.map(({ id }) => id);
  for (let { moreBefore } = answer; moreBefore !== ""; ) {
    expect(moreBefore).toBe(ids.at(-1)!);
    const part = await list(0, moreBefore);
    ids.push(...part.jobs.map(({ id }) => id));
    moreBefore = part.moreBefore;
  }
  expect(ids.map((id) => Number.parseInt(id, 16))).toEqual(Array.from({ length: 10_000 }, (_, at) => 10_000 - at));
});

test("a list says when the ring is full, and knows no job before one that is forgotten", async () => {
  const { begin, list } = serving({ kept: 3 });
  begin(1);
  for (let number = 2; number <= 3; number++) begin(number).end();
  expect(await list(0)).toMatchObject({ forgetsBeyond: 0, moreBefore: "" });
  begin(4).end();
  expect((await list(0)).forgetsBeyond).toBe(3);
  begin(5).end();
  expect((await list(0, (3).toString(16).padStart(12, "0"))).jobs.map(({ id }) => Number(id))).toEqual([1]);
  await expect(list(0, (2).toString(16).padStart(12, "0"))).rejects.toThrow("no such job");
});
