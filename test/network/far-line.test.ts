/** A line of 20 ms: what earlier runs found out about it counts, and a run says so. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { LIMITS } from "../../src/core/limits.ts";
import { History } from "../../src/history/history.ts";
import type { RunRecord } from "../../src/history/run-record.ts";
import { statePlace } from "../../src/history/state-place.ts";
import { fastsyncJson } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { startDaemon, type TestDaemon } from "./support/daemon.ts";
import { type FarLine, farLine, farLineMissing } from "./support/far-line.ts";

const missing = farLineMissing();
const MIB = 1 << 20;
const FIRST = LIMITS.streamsAtFirstFar;

describe.skipIf(missing !== undefined)(`a far line${missing === undefined ? "" : ` (${missing})`}`, () => {
  let scratch: TempDir;
  let line: FarLine;
  let daemon: TestDaemon;
  beforeAll(async () => {
    scratch = tempDir();
    for (const name of ["module", "source"]) mkdirSync(scratch.join(name));
    // Enough for streams that are asked for later to come into it.
    for (let i = 0; i < 64; i++) writeFileSync(scratch.join(`source/${i}`), noise(MIB, i));
    line = await farLine(20);
    const path = scratch.join("module");
    daemon = await startDaemon({
      bind: [line.farAddress],
      prefix: line.far,
      path,
      port: 9040,
      daemon: "max_streams = 16",
    });
  });
  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await line?.[Symbol.asyncDispose]();
    scratch?.[Symbol.dispose]();
  });

  const FOUND: Omit<RunRecord, "endedMs" | "peer" | "foundStreams"> = {
    version: "0",
    verb: "copy",
    command: "copy",
    source: "local",
    target: "daemon",
    durationMs: 60_000,
    entries: 1,
    files: 1,
    bytes: 1,
    bytesMoved: 1,
    deleted: 0,
    plan: { shards: 0, bundles: 0, large: 1, direct: 0 },
    methods: { stream: 1 },
    phases: {},
    backend: "native",
    workers: 2,
    carrier: "streams",
    streams: 8,
    roundTripMs: 20,
    firstContentMs: undefined,
  };
  /** A history in which runs to the daemon found this out. */
  function historyOf(name: string, found: readonly { streams: number; daysAgo: number }[]): Record<string, string> {
    const env = { XDG_STATE_HOME: scratch.join(name) };
    using history = History.open(statePlace(env)!);
    const peer = history.peerWord(`${daemon.host}:${daemon.port}`);
    for (const { streams, daysAgo } of found)
      history.add({ ...FOUND, peer, foundStreams: streams, endedMs: Date.now() - daysAgo * 86_400_000 });
    return env;
  }
  async function push(env: Record<string, string>, ...flags: readonly string[]) {
    const words = ["copy", "--ignore-times", ...flags, scratch.join("source/"), daemon.place("target/")];
    const { exitCode, summary } = await fastsyncJson(words, { prefix: line.near, env });
    expect(exitCode).toBe(0);
    const notices = (summary["notices"] as { code: string; message: string }[]).filter(
      ({ code }) => code === "streams_learnt",
    );
    const network = summary["network"] as { streams: number; round_trip_ms: number };
    expect(network.round_trip_ms).toBeGreaterThan(15);
    return { streams: network.streams, learnt: notices.map(({ message }) => message) };
  }

  test("begins with as many streams as helped earlier runs, and says so", async () => {
    const env = historyOf("known", [{ streams: 4, daysAgo: 9 }, ...Array(3).fill({ streams: 12, daysAgo: 1 })]);
    const { streams, learnt } = await push(env);
    expect(learnt).toEqual([`data streams: ${FIRST} to 12, as many as helped earlier runs to this daemon`]);
    expect(streams).toBe(12);
    // The most that the line allows counts, whatever was found.
    expect(await push(env, "--streams", "9")).toEqual({
      streams: 9,
      learnt: [expect.stringContaining(`${FIRST} to 9, `)],
    });
    expect((await push(env, "--no-history")).learnt).toEqual([]);
  });

  test("knows nothing of another daemon, of what is too long ago, or of fewer than a session begins with", async () => {
    for (const found of [[], [{ streams: 12, daysAgo: 31 }], [{ streams: 4, daysAgo: 1 }]])
      expect((await push(historyOf(`unknown${found.length}${found[0]?.daysAgo}`, found))).learnt).toEqual([]);
  });
});
