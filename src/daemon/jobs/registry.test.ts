/** Which jobs are remembered, and what is told of them. */
import { expect, test } from "bun:test";
import { newCounters } from "../../core/events.ts";
import type { JobEnd } from "../../core/jobs.ts";
import { type JobFacts, JobRegistry, type KeptJob } from "./registry.ts";
import type { JobStore } from "./store.ts";

const OK: JobEnd = { exitCode: 0, exitReason: "ok", message: undefined };

function facts(number: number): JobFacts {
  return {
    id: number.toString(16).padStart(12, "0"),
    peer: "10.0.0.5",
    module: "m",
    path: new Uint8Array(),
    role: "target",
    verb: "copy",
    dryRun: false,
    explains: undefined,
    other: undefined,
  };
}

function storeIn(memory: Map<string, KeptJob>): JobStore & { isClosed: boolean } {
  return {
    isClosed: false,
    earlier: [...memory.values()],
    save: (job) => memory.set(job.id, job),
    remove: (ids) => {
      for (const id of ids) memory.delete(id);
    },
    close() {
      this.isClosed = true;
    },
  };
}

function registry(store?: JobStore, kept = 3) {
  const problems: string[] = [];
  let nowMs = 1000;
  const jobs = new JobRegistry({
    kept: () => kept,
    store,
    onProblem: (text) => problems.push(text),
    now: () => nowMs++,
  });
  const begin = (number: number, counters = newCounters()) => {
    let cancelled = 0;
    const end = jobs.begin(facts(number), Promise.resolve("user 1"), {
      look: () => ({ counters, bytes: number, phases: new Map() }),
      cancel: () => cancelled++,
    });
    return { end, counters, cancelled: () => cancelled };
  };
  return { jobs, begin, problems };
}
const ids = (jobs: readonly KeptJob[]): number[] => jobs.map(({ id }) => Number.parseInt(id, 16));

test("those that ended last are remembered, and all that run; the latest first", () => {
  const memory = new Map<string, KeptJob>();
  const { jobs, begin } = registry(storeIn(memory));
  const long = begin(1);
  for (let number = 2; number < 8; number++) begin(number).end(OK);
  expect(ids(jobs.list())).toEqual([7, 6, 5, 1]);
  long.end(OK);
  expect(ids(jobs.list())).toEqual([7, 6, 5]);
  expect(ids([...memory.values()]).sort()).toEqual([5, 6, 7]);
});

test("a job that runs shows its counters as they are; one that ended, as they were", () => {
  const { jobs, begin } = registry();
  const { end, counters } = begin(1);
  counters.filesTransferred = 5;
  expect(jobs.list()[0]).toMatchObject({ state: "running", bytes: 1, endedMs: undefined, end: undefined });
  expect(jobs.list()[0]!.counters.filesTransferred).toBe(5);
  counters.filesTransferred = 6;
  end({ exitCode: 23, exitReason: "partial", message: "1 failed" });
  counters.filesTransferred = 7;
  end(OK);
  const [job] = jobs.list();
  expect(job!.counters.filesTransferred).toBe(6);
  expect(job).toMatchObject({ state: "ended", endedMs: 1001, end: { exitCode: 23 } });
});

test("only what runs is cancelled", () => {
  const { jobs, begin } = registry();
  const one = begin(1);
  expect([jobs.cancel(facts(1).id), jobs.cancel(facts(2).id)]).toEqual([true, false]);
  expect(one.cancelled()).toBe(1);
  one.end(OK);
  expect(jobs.cancel(facts(1).id)).toBe(false);
});

test("what ran when the daemon died is lost, and stays so", () => {
  const memory = new Map<string, KeptJob>();
  registry(storeIn(memory)).begin(1);
  const job = { ...facts(1), owner: "user 1", startedMs: 1, endedMs: undefined, state: "running" as const };
  memory.set(job.id, { ...job, counters: newCounters(), bytes: 9, end: undefined });
  const { jobs } = registry(storeIn(memory));
  expect(jobs.list()).toMatchObject([{ state: "lost", bytes: 9, owner: "user 1" }]);
  expect([...memory.values()]).toMatchObject([{ state: "lost" }]);
});

test("a history that cannot be written is told once, and jobs go on in memory", async () => {
  const broken = storeIn(new Map());
  broken.save = () => {
    throw new Error("database or disk is full");
  };
  const { jobs, begin, problems } = registry(broken);
  const { end } = begin(1);
  await Promise.resolve();
  end(OK);
  begin(2).end(OK);
  await Promise.resolve();
  expect(problems).toEqual([
    "the history of jobs is not written any more, and kept in memory: database or disk is full",
  ]);
  expect(broken.isClosed).toBe(true);
  expect(ids(jobs.list())).toEqual([2, 1]);
});

test("who waits for a change hears of a beginning and an end at once", async () => {
  const { jobs, begin } = registry();
  const never = new AbortController();
  const first = jobs.changed(1_000_000, never.signal);
  const { end } = begin(1);
  await first;
  await Promise.resolve();
  const second = jobs.changed(1_000_000, never.signal);
  end(OK);
  await second;
  const third = jobs.changed(1_000_000, never.signal);
  never.abort();
  await third;
});

test("who a job belongs to is not written down once it is forgotten; and where nobody can say, that is told", async () => {
  const memory = new Map<string, KeptJob>();
  const { jobs, problems } = registry(storeIn(memory), 0);
  const controls = {
    look: () => ({ counters: newCounters(), bytes: 0, phases: new Map() }),
    cancel: () => undefined,
  };
  const owner = Promise.withResolvers<string>();
  jobs.begin(facts(1), owner.promise, controls)(OK);
  owner.resolve("user 1");
  jobs.begin(facts(2), Promise.reject(new Error("no such socket")), controls)(OK);
  await Bun.sleep(0);
  expect([...memory.keys()]).toEqual([]);
  expect(problems).toEqual(["whose the job 000000000002 is, is not known: no such socket"]);
});
