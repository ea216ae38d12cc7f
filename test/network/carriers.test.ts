/** Content takes the data port, or the control connection where it has to, and what happens when either breaks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { fastsync, fastsyncJson, type JsonResult, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { eventually, placeAt, startDaemon } from "./support/daemon.ts";
import { type ProxiedDaemon, proxied } from "./support/proxy.ts";
import { expectSchema } from "./support/schema.ts";
import { leftovers, MIB, mixedTree } from "./support/trees.ts";

let scratch: TempDir;
let tree: string;
let treeBytes: number;
beforeAll(() => {
  scratch = tempDir();
  tree = scratch.join("tree");
  treeBytes = mixedTree(tree, 24 * MIB);
});
afterAll(() => scratch[Symbol.dispose]());

let count = 0;
function empty(): string {
  const path = scratch.join(`empty${count++}`);
  mkdirSync(path);
  return path;
}

type Direction = "push" | "pull";
const BOTH: readonly Direction[] = ["push", "pull"];

/** A daemon behind proxies, the other side here, and what has to become equal. */
async function between(direction: Direction, daemonLines = "") {
  const target = empty();
  const stack = new AsyncDisposableStack();
  const daemon = stack.use(await startDaemon({ path: direction === "push" ? target : tree, daemon: daemonLines }));
  const proxy: ProxiedDaemon = stack.use(await proxied(daemon));
  const there = placeAt(proxy.host, daemon.port);
  const places = direction === "push" ? [`${tree}/`, there] : [there, `${target}/`];
  return { daemon, proxy, target, places, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const isWhole = (target: string): void => {
  assertSameTrees(tree, target);
  expect(leftovers(target)).toEqual([]);
};

/** Everything there that has its final name is what it has to be. */
function noneIsPartial(target: string): void {
  for (const entry of readdirSync(target, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith(".fastsync.")) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    const there = readFileSync(path);
    const here = readFileSync(path.replace(target, tree));
    if (!there.equals(here)) throw new Error(`${path} has ${there.length} bytes of ${here.length}, or other ones`);
  }
}

/** Bytes on disk of files that are not published yet. */
function partBytes(target: string): number {
  let bytes = 0;
  for (const name of leftovers(target)) {
    const stat = statSync(`${target}/${name}`, { throwIfNoEntry: false });
    bytes += stat?.isFile() ? stat.blocks * 512 : 0;
  }
  return bytes;
}

const carriers = (result: JsonResult): unknown[] =>
  (result.summary["notices"] as { code: string }[]).map(({ code }) => code);

describe("which way", () => {
  test.each(BOTH)("the data port where it can be reached: %s", async (direction) => {
    await using run = await between(direction);
    const result = await fastsyncJson(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    expectSchema(result.events);
    expect(carriers(result)).toEqual([]);
    expect(run.proxy.data.bytes).toBeGreaterThan(treeBytes);
    expect(run.proxy.control.bytes).toBeLessThan(treeBytes / 100);
    isWhole(run.target);
  });

  test.each(BOTH)("--trace-data-plane and trace_data_plane tell the same of each connection: %s", async (direction) => {
    await using run = await between(direction, "trace_data_plane = true");
    const result = await fastsync(["copy", "--streams", "3", ...run.places, "--trace-data-plane"]);
    expect(result.exitCode).toBe(0);
    const session = (await run.daemon.logged("session_end"))["session"] as string;
    const [head, ...lines] = result.stderr.trimEnd().split("\n");
    expect(head).toMatch(
      new RegExp(`^\\[data-plane\\] session ${session} with .*: data port \\d+, 3 connections granted, at most 3$`),
    );
    const moved = direction === "push" ? "sent" : "received";
    const closed = new RegExp(
      `^\\[data-plane\\] connection (\\d): ([\\d.]+) MiB ${moved} in [\\d.]+ s, closed in order$`,
    );
    const here = lines.flatMap((line) => closed.exec(line)?.slice(1, 3) ?? []);
    expect(lines.filter((line) => line.endsWith(": open"))).toHaveLength(3);
    const logged = run.daemon.log("connection").filter(({ state }) => state === "closed");
    const there = logged.sort((a, b) => Number(a["connection"]) - Number(b["connection"]));
    expect(there).toHaveLength(3);
    for (const line of there)
      expect(line).toMatchObject({ session, peer: expect.any(String), duration_ms: expect.any(Number) });
    const pairs = Array.from({ length: 3 }, (_, at) => [here[2 * at], here[2 * at + 1]]).sort();
    const mib = (bytes: unknown): string => (Number(bytes) / (1 << 20)).toFixed(1);
    expect(pairs).toEqual(there.map(({ connection, bytes }) => [String(connection), mib(bytes)]));
    isWhole(run.target);
  });

  test("--trace-data-plane inside the control connection, and where nothing travels", async () => {
    await using run = await between("push", "trace_data_plane = true");
    const inside = await fastsync(["copy", ...run.places, "--force-grpc", "--trace-data-plane"]);
    expect(inside.stderr).toContain("[data-plane] the control connection carries the content\n");
    expect(inside.stderr).toMatch(
      /^\[data-plane\] the control connection: [\d.]+ MiB sent in [\d.]+ s, closed in order$/m,
    );
    const line = await run.daemon.logged("connection", ({ state }) => state === "closed");
    expect(line).toMatchObject({ connection: "control" });
    const here = await fastsync(["copy", "-n", `${tree}/`, `${empty()}/`, "--trace-data-plane"]);
    expect([here.exitCode, here.stderr]).toEqual([0, expect.stringContaining("no connection carries content")]);
  });

  test.each(BOTH)("--force-grpc: %s", async (direction) => {
    await using run = await between(direction);
    const result = await fastsyncJson(["copy", ...run.places, "--force-grpc"]);
    expect(shown(result)).toStartWith("exit 0");
    expectSchema(result.events);
    expect(run.proxy.data.connections).toBe(0);
    expect(run.proxy.control.bytes).toBeGreaterThan(treeBytes);
    isWhole(run.target);
  });

  test.each(BOTH)("the daemon's force_grpc_data: %s", async (direction) => {
    await using run = await between(direction, "force_grpc_data = true");
    const result = await fastsyncJson(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    expect(carriers(result)).toEqual(["in_stream"]);
    expect(run.proxy.data.connections).toBe(0);
    isWhole(run.target);
  });

  test.each(BOTH)("a data port that takes connections and says nothing is given up: %s", async (direction) => {
    await using run = await between(direction);
    run.proxy.data.stall();
    const startedMs = performance.now();
    const result = await fastsync(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    expect(result.stderr.match(/content travels in the control connection/g)).toHaveLength(1);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
    isWhole(run.target);
  });

  test.each(BOTH)("a data port that closes connections at once is given up: %s", async (direction) => {
    await using run = await between(direction);
    run.proxy.data.isClosed = true;
    const result = await fastsync(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    expect(result.stderr.match(/content travels in the control connection/g)).toHaveLength(1);
    isWhole(run.target);
  });

  test("some data connections of several are enough", async () => {
    await using run = await between("push", "max_connections_per_peer = 2");
    const result = await fastsync(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    isWhole(run.target);
  });
});

describe("B63 a connection that breaks", () => {
  // Early, in the middle of small files, in the middle of the large one: odd numbers, inside of frames.
  const points = [1, 70_003, 9 * MIB + 7];

  for (const direction of BOTH) {
    test.each(points)(`a data connection, after %i bytes: exit 12, ${direction}`, async (at) => {
      await using run = await between(direction);
      run.proxy.data.cutAtByte = 4 * 80 + at;
      const result = await fastsyncJson(["copy", ...run.places]);
      expect(shown(result)).toStartWith("exit 12");
      expectSchema(result.events);
      expect(result.summary["exit_reason"]).toBe("connection_lost");
      noneIsPartial(run.target);
      await run.daemon.logged("session_end");
      const again = await fastsyncJson(["copy", ...run.places]);
      expect(shown(again)).toStartWith("exit 0");
      isWhole(run.target);
    });

    test.each(points)(`a data connection, after %i bytes, with --retry: ${direction}`, async (at) => {
      await using run = await between(direction);
      run.proxy.data.cutAtByte = 4 * 80 + at;
      const result = await fastsyncJson(["copy", ...run.places, "--retry", "3", "--wait", "0.1"]);
      expect(shown(result)).toStartWith("exit 0");
      expectSchema(result.events);
      expect(carriers(result)).toContain("retry");
      isWhole(run.target);
      expect(run.proxy.data.bytes).toBeLessThan(treeBytes + at + 3 * MIB);
    });

    test.each([900, 4_001, 3 * MIB + 11])(
      `the control connection, after %i bytes of everything: ${direction}`,
      async (at) => {
        await using run = await between(direction);
        run.proxy.control.cutAtByte = at;
        const words = ["copy", ...run.places, "--force-grpc", "--retry", "3", "--wait", "0.1"];
        const result = await fastsyncJson(words);
        expect(shown(result)).toStartWith("exit 0");
        expectSchema(result.events);
        expect(carriers(result)).toContain("retry");
        isWhole(run.target);
      },
    );

    test(`a large file goes on from the blocks that are there: ${direction}`, async () => {
      await using run = await between(direction);
      run.proxy.data.cutAtByte = 18 * MIB;
      run.proxy.data.beforeCut = () =>
        eventually(
          () => partBytes(run.target) > 12 * MIB,
          () => "half of the large file",
        );
      const first = await fastsyncJson(["copy", ...run.places]);
      expect(shown(first)).toStartWith("exit 12");
      noneIsPartial(run.target);
      await run.daemon.logged("session_end");
      const before = run.proxy.data.bytes;
      const second = await fastsyncJson(["copy", ...run.places]);
      expect(shown(second)).toStartWith("exit 0");
      isWhole(run.target);
      expect(run.proxy.data.bytes - before).toBeLessThan(treeBytes - 6 * MIB);
    });
  }

  test("a line with a long delay is only slow", async () => {
    await using run = await between("push");
    run.proxy.control.delayMs = 25;
    run.proxy.data.delayMs = 25;
    const result = await fastsync(["copy", ...run.places]);
    expect(shown(result)).toStartWith("exit 0");
    isWhole(run.target);
  });
});

describe("B63 S26 a peer that falls silent", () => {
  test.each(BOTH)("ends the run with 30 within the idle timeout: %s", async (direction) => {
    await using run = await between(direction, 'idle_timeout = "1s"');
    const running = fastsync(["copy", ...run.places, "--bwlimit", "4M"]);
    // Before it is accepted, a caller knows no other time than its own minute.
    await eventually(
      () => run.proxy.data.bytes > 100_000,
      () => "content on its way",
    );
    run.proxy.control.stall();
    run.proxy.data.stall();
    const startedMs = performance.now();
    const result = await running;
    expect(result.exitCode).toBe(30);
    // One second, and what it takes to notice on a busy machine.
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect((await run.daemon.logged("session_end"))["exit_reason"]).toBe("timeout");
    noneIsPartial(run.target);
  });
});
