/** One daemon and many callers, its end, its addresses, and peers of another build or backend. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { ROOT } from "../support/program.ts";
import { fastsync, fastsyncCommand, fastsyncJson, describe as shown, start, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { eventually, placeAt, startDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { expectSchema } from "./support/schema.ts";
import { leftovers, MIB, mixedTree } from "./support/trees.ts";

let scratch: TempDir;
let tree: string;
beforeAll(() => {
  scratch = tempDir();
  tree = scratch.join("tree");
  mixedTree(tree, 2 * MIB);
});
afterAll(() => scratch[Symbol.dispose]());

let count = 0;
function empty(): string {
  const path = scratch.join(`empty${count++}`);
  mkdirSync(path);
  return path;
}

describe("many sessions", () => {
  interface Ended {
    readonly at: number;
    readonly exitCode: number;
    readonly exitReason: string;
    readonly message?: string;
  }
  async function manyRuns(directory: string, daemon: { host: string; port: number }, runs: number): Promise<Ended[]> {
    const script = join(import.meta.dir, "support/many-runs.ts");
    const words = [process.execPath, script, directory, `${daemon.host}:${daemon.port}`, String(runs)];
    const result = await start(words, { timeoutMs: 120_000 }).result;
    if (result.exitCode !== 0) throw new Error(shown(result));
    return result.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Ended);
  }
  const prepared = (): { directory: string; served: string } => {
    const directory = empty();
    const served = join(directory, "served");
    for (const path of [served, join(directory, "pulled")]) mkdirSync(path);
    for (const at of [directory, served]) mixedTree(join(at, "tree"), MIB + 1);
    return { directory, served };
  };

  test("B68 S32 64 at a time, some of each direction; the daemon gives back what they took", async () => {
    const { directory, served } = prepared();
    await using daemon = await startDaemon({ path: served });
    expect((await fastsync(["copy", `${tree}/`, daemon.place("warm/")])).exitCode).toBe(0);
    await daemon.logged("session_end");
    await Bun.sleep(200);
    const descriptors = daemon.descriptors();
    const wave = async (): Promise<void> => {
      const ended = await manyRuns(directory, daemon, 64);
      expect(ended.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
      expect(ended).toHaveLength(64);
    };
    await wave();
    for (let at = 0; at < 64; at += 21) {
      const copy = at % 2 === 0 ? join(served, "pushed", String(at)) : join(directory, "pulled", String(at));
      assertSameTrees(join(directory, "tree"), copy, { ignore: ["mtime"] });
      expect(leftovers(copy)).toEqual([]);
    }
    await eventually(
      () => daemon.log("session_end").length === 65 && daemon.descriptors() <= descriptors + 4,
      () => `${daemon.descriptors()} descriptors instead of ${descriptors}`,
    );
    await wave();
    await eventually(
      () => daemon.log("session_end").length === 129,
      () => "the second wave's end",
    );
    // The heap of 64 sessions may wait for its collection; a library for each session may not (1 MiB of each stayed).
    expect(daemon.rssBytes()).toBeLessThan(512 * MIB);
    await eventually(
      () => daemon.descriptors() <= descriptors + 4,
      () => `${daemon.descriptors()} descriptors`,
    );
  }, 180_000);

  test("B68 S32 as many as max_sessions come in however many knock, and the others are told to come again", async () => {
    const { directory, served } = prepared();
    await using daemon = await startDaemon({ path: served, daemon: "max_sessions = 4" });
    const ended = await manyRuns(directory, daemon, 12);
    const refused = ended.filter(({ exitCode }) => exitCode !== 0);
    // Sessions are short: one that ends may make room for one that came late.
    expect(ended.length - refused.length).toBeGreaterThanOrEqual(4);
    for (const { exitCode, exitReason, message } of refused) {
      expect([exitCode, exitReason]).toEqual([5, "too_many_sessions"]);
      expect(message).toContain("try again later");
    }
  });

  test("B63 B68 callers that are killed leave their places to others", async () => {
    const target = empty();
    await using daemon = await startDaemon({ path: target, daemon: "max_sessions = 2" });
    const slow = (at: number) => startFastsync(["copy", `${tree}/`, daemon.place(`${at}/`), "--bwlimit", "200K"]);
    const running = [slow(0), slow(1)];
    await eventually(
      () => daemon.log("session_start").length === 2,
      () => "two sessions",
    );
    const third = await fastsyncJson(["copy", `${tree}/`, daemon.place("2/")]);
    expect(third.exitCode).toBe(5);
    expectSchema(third.events);
    expect(third.summary["message"]).toContain("serves 2 sessions already; try again later");
    const withRetry = fastsync(["copy", `${tree}/`, daemon.place("2/"), "--retry", "100", "--wait", "0.2"]);
    for (const { kill, result } of running) {
      kill("SIGKILL");
      await result;
    }
    await eventually(
      () => daemon.log("session_end").length >= 2,
      () => "their ends in the log",
    );
    expect(shown(await withRetry)).toStartWith("exit 0");
    assertSameTrees(tree, join(target, "2"));
  });
});

describe("the daemon's end", () => {
  test("SIGTERM lets a running session finish, and takes no other", async () => {
    const target = empty();
    await using daemon = await startDaemon({ path: target });
    const running = startFastsync(["copy", `${tree}/`, daemon.place(), "--bwlimit", "1M"]);
    await daemon.logged("session_start");
    daemon.signal("SIGTERM");
    expect(await daemon.logged("stopping")).toMatchObject({ sessions: 1 });
    const other = await fastsync(["copy", `${tree}/`, daemon.place("other/")]);
    expect([5, 10]).toContain(other.exitCode);
    expect(shown(await running.result)).toStartWith("exit 0");
    assertSameTrees(tree, target);
    expect(await daemon.exited).toBe(0);
  });

  test.each(["push", "pull"] as const)(
    "B63 a second SIGTERM cuts it, and the caller is told: %s",
    async (direction) => {
      const target = empty();
      await using daemon = await startDaemon({ path: direction === "push" ? target : tree });
      const places = direction === "push" ? [`${tree}/`, daemon.place()] : [daemon.place(), `${target}/`];
      const running = startFastsync(["copy", ...places, "--bwlimit", "200K", "--json"]);
      await daemon.logged("session_start");
      daemon.signal("SIGTERM");
      await daemon.logged("stopping");
      // What comes within moments of the first counts as one with it.
      await Bun.sleep(500);
      daemon.signal("SIGTERM");
      const result = await running.result;
      expect(shown(result)).toStartWith("exit 12");
      expect(result.stdout).toContain("the daemon was stopped during the run");
      expect(await daemon.logged("stopped")).toMatchObject({ reason: "second SIGTERM", sessions_cut: 1 });
      expect(await daemon.exited).toBe(20);
      expect(readdirSync(target)).not.toContain("large");
    },
  );

  test("with --retry a run goes on at the daemon that follows", async () => {
    const target = empty();
    const port = await freePort();
    const first = await startDaemon({ path: target, port });
    const words = ["copy", `${tree}/`, first.place(), "--bwlimit", "1M", "--retry", "100", "--wait", "0.2"];
    const running = startFastsync(words);
    await first.logged("session_start");
    for (let at = 0; at < 2; at++) {
      first.signal("SIGTERM");
      if (at === 0) await Bun.sleep(500);
    }
    await first.exited;
    await first[Symbol.asyncDispose]();
    await using _second = await startDaemon({ path: target, port });
    expect(shown(await running.result)).toStartWith("exit 0");
    assertSameTrees(tree, target);
  });
});

describe("addresses", () => {
  const both = async (bind: readonly string[], places: (port: number) => string[]) => {
    const target = empty();
    await using daemon = await startDaemon({ path: target, bind, port: await freePort() });
    for (const place of places(daemon.port)) {
      const result = await fastsync(["copy", `${tree}/`, place]);
      expect(shown(result)).toStartWith("exit 0");
      // No notice that content travels in the control connection: the data port is there too.
      expect(result.stderr).toBe("");
      assertSameTrees(tree, target);
      for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
    }
  };

  test("IPv6 by address and as a URL", () =>
    both(["::1"], (port) => [placeAt("::1", port), `fastsync://[::1]:${port}/m/`]));

  test("every address that is bound has the data port", () =>
    both(["127.0.0.1", "::1", "127.0.0.9"], (port) =>
      ["127.0.0.1", "::1", "127.0.0.9"].map((at) => placeAt(at, port)),
    ));

  test("all of IPv4 and all of IPv6, beside each other", () =>
    both(["0.0.0.0", "::"], (port) => ["127.0.0.1", "::1"].map((at) => placeAt(at, port))));

  test.each([
    ["127.0.0.9", ["127.0.0.9"]],
    ["::", ["127.0.0.1", "::1"]],
  ] as const)("a control socket from systemd on %s", async (address, hosts) => {
    const target = empty();
    const opener = join(import.meta.dir, "support/with-socket.ts");
    const command = [process.execPath, opener, address, ...fastsyncCommand()];
    await using daemon = await startDaemon({ path: target, command });
    for (const host of hosts) {
      const result = await fastsync(["copy", `${tree}/`, placeAt(host, daemon.port)]);
      expect(shown(result)).toStartWith("exit 0");
      expect(result.stderr).toBe("");
      assertSameTrees(tree, target);
      for (const name of readdirSync(target)) rmSync(join(target, name), { recursive: true });
    }
  });
});

describe("B75 peers that differ", () => {
  const source = [process.execPath, resolve(ROOT, "src/main.ts")];
  const binary = [resolve(ROOT, "dist/fastsync")];
  const noBinary = existsSync(binary[0]!) ? undefined : "there is no dist/fastsync: npm run build makes it";
  const off = { FASTSYNC_NATIVE: "off" };

  async function roundTrip(
    daemonOf: { command: readonly string[]; env?: Record<string, string> },
    callerOf: { command: readonly string[]; env?: Record<string, string> },
  ): Promise<void> {
    const target = empty();
    await using daemon = await startDaemon({ path: target, ...daemonOf });
    const options = callerOf.env === undefined ? {} : { env: callerOf.env };
    const call = (...words: string[]) => start([...callerOf.command, ...words], options).result;
    const back = empty();
    for (const carrier of [[], ["--force-grpc"]]) {
      const push = await call("copy", `${tree}/`, daemon.place(), ...carrier);
      expect(shown(push)).toStartWith("exit 0");
      assertSameTrees(tree, target);
      const pull = await call("copy", daemon.place(), `${back}/`, ...carrier);
      expect(shown(pull)).toStartWith("exit 0");
      assertSameTrees(tree, back);
      expect((await call("check", "--checksum", daemon.place(), `${back}/`)).exitCode).toBe(0);
      for (const at of [target, back]) for (const name of readdirSync(at)) rmSync(join(at, name), { recursive: true });
    }
  }

  const title = noBinary === undefined ? "" : ` (${noBinary})`;
  test.skipIf(noBinary !== undefined)(`a daemon from source, a compiled caller${title}`, () =>
    roundTrip({ command: source }, { command: binary }),
  );
  test.skipIf(noBinary !== undefined)(`a compiled daemon, a caller from source${title}`, () =>
    roundTrip({ command: binary }, { command: source }),
  );
  test("a portable daemon, a native caller", () =>
    roundTrip({ command: fastsyncCommand(), env: off }, { command: fastsyncCommand() }));
  test("a native daemon, a portable caller", () =>
    roundTrip({ command: fastsyncCommand() }, { command: fastsyncCommand(), env: off }));
});
