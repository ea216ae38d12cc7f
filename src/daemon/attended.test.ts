import { describe, expect, test } from "bun:test";
import { attended } from "./attended.ts";

async function* numbers(closed: () => void, waits: Promise<unknown> = Promise.resolve()): AsyncGenerator<number> {
  try {
    yield 1;
    await waits;
    yield 2;
  } finally {
    closed();
  }
}

function setUp(waits?: Promise<unknown>, { aliveMs = 60_000, idleMs = 60_000 } = {}) {
  const stop = new AbortController();
  const closed = Promise.withResolvers<void>();
  const stream = attended(() => numbers(closed.resolve, waits), {
    ...{ alive: () => 0, aliveMs, idleMs, signal: stop.signal },
    abandoned: () => new Error("abandoned"),
  });
  return { stop, closed: closed.promise, iterator: stream[Symbol.asyncIterator]() };
}

describe("attended", () => {
  test("hands on what comes, and closes behind the last", async () => {
    const { iterator, closed } = setUp();
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(await iterator.next()).toEqual({ done: false, value: 2 });
    expect((await iterator.next()).done).toBe(true);
    await closed;
  });
  test("says that the work goes on while nothing comes, and loses nothing by it", async () => {
    const waits = Promise.withResolvers<void>();
    const { iterator } = setUp(waits.promise, { aliveMs: 1 });
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(await iterator.next()).toEqual({ done: false, value: 0 });
    expect(await iterator.next()).toEqual({ done: false, value: 0 });
    waits.resolve();
    let next = await iterator.next();
    while (next.value === 0) next = await iterator.next();
    expect(next).toEqual({ done: false, value: 2 });
  });
  test("ends the work of a caller that takes nothing, and tells it", async () => {
    const { iterator, closed } = setUp(undefined, { idleMs: 1 });
    await iterator.next();
    await closed;
    expect(iterator.next()).rejects.toThrow("abandoned");
  });
  test("also where all that it was given says that the work goes on", async () => {
    const ended = Promise.withResolvers<void>();
    async function* endless(signal: AbortSignal): AsyncGenerator<number> {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      ended.resolve();
      yield 1;
    }
    const stream = attended(endless, {
      ...{ alive: () => 0, aliveMs: 1, idleMs: 5, signal: new AbortController().signal },
      abandoned: () => new Error("abandoned"),
    });
    const iterator = stream[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ done: false, value: 0 });
    await ended.promise;
    await expect(iterator.next()).rejects.toThrow("abandoned");
  });
  test("ends the work of a caller that was gone before it began", async () => {
    const stop = new AbortController();
    stop.abort();
    let worked = false;
    async function* work(): AsyncGenerator<number> {
      worked = true;
      yield 1;
    }
    const stream = attended(work, {
      ...{ alive: () => 0, aliveMs: 60_000, idleMs: 60_000, signal: stop.signal },
      abandoned: () => new Error("abandoned"),
    });
    expect((await stream[Symbol.asyncIterator]().next()).done).toBe(true);
    expect(worked).toBe(false);
  });
  test("ends the work of a caller that is gone", async () => {
    const { iterator, stop, closed } = setUp();
    await iterator.next();
    stop.abort();
    await closed;
  });
  test("ends the work when the answer is left", async () => {
    const { iterator, closed } = setUp();
    await iterator.next();
    await iterator.return!();
    await closed;
  });
});
