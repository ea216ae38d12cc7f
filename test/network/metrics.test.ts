/** What a real daemon tells those who watch it: metrics that a real parser takes, health, and whether it is ready. */
import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fastsync, startFastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { startDaemon, type TestDaemon } from "./support/daemon.ts";
import { MIB, mixedTree } from "./support/trees.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());
let count = 0;
const empty = (): string => {
  const path = scratch.join(`empty${count++}`);
  mkdirSync(path);
  return path;
};

const WATCHED = 'metrics = "127.0.0.1:0"';
const TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

function watch(daemon: TestDaemon, path: string, init: RequestInit = {}): Promise<Response> {
  const [started] = daemon.log("started");
  return fetch(`http://${started!["metrics"]}${path}`, { ...init, headers: { connection: "close" } });
}

/** Samples by what stands before their value; the text is held to the form while it is read. */
async function samples(daemon: TestDaemon): Promise<Map<string, number>> {
  const response = await watch(daemon, "/metrics");
  expect([response.status, response.headers.get("content-type")]).toEqual([200, TYPE]);
  const text = await response.text();
  expect(text).toEndWith("\n# EOF\n");
  const found = new Map<string, number>();
  let family = "";
  let suffix = "";
  const families = new Set<string>();
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const [, type] = /^# TYPE ([a-z_]+) (?:counter|gauge|info)$/.exec(line) ?? [];
    if (type !== undefined) {
      expect([type, families.has(type)]).toEqual([type, false]);
      families.add(type);
      family = type;
      suffix = line.endsWith("counter") ? "_total" : line.endsWith("info") ? "_info" : "";
    } else if (!new RegExp(`^# (UNIT|HELP) ${family} .+$`).test(line)) {
      const sample = /^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([0-9.e+]+)$/.exec(line);
      expect([line, sample?.[1]]).toEqual([line, family + suffix]);
      const key = `${sample![1]}${sample![2] ?? ""}`;
      expect([key, found.has(key)]).toEqual([key, false]);
      found.set(key, Number(sample![3]));
    }
  }
  return found;
}

function of(all: Map<string, number>, name: string, labels: string): number | undefined {
  return all.get(`fastsync_${name}{module="m",${labels}}`);
}

test("count sessions, bytes, files, failures and deletions of a module, by role", async () => {
  const [tree, served] = [empty(), empty()];
  mixedTree(tree, MIB);
  mkdirSync(join(served, "old/empty"), { recursive: true });
  await using daemon = await startDaemon({ path: served, daemon: WATCHED });
  const before = await samples(daemon);
  expect(of(before, "sessions_total", 'role="target",exit_code="0"')).toBe(0);
  expect((await fastsync(["mirror", "--yes", `${tree}/`, daemon.place()])).exitCode).toBe(0);
  const end = await daemon.logged("session_end");
  const after = await samples(daemon);
  const target = 'role="target"';
  expect(of(after, "sessions_total", `${target},exit_code="0"`)).toBe(1);
  expect(of(after, "content_bytes_total", target)).toBe(end["bytes"] as number);
  expect(of(after, "files_total", target)).toBe(27);
  expect(of(after, "deletions_total", target)).toBe(2);
  expect(of(after, "failures_total", target)).toBe(0);
  expect(of(after, "phase_seconds_total", `${target},phase="copying"`)).toBeGreaterThan(0);
  // A directory where a file is to be.
  mkdirSync(join(served, "to/large"), { recursive: true });
  writeFileSync(join(served, "to/large/kept"), "");
  expect((await fastsync(["copy", `${tree}/`, daemon.place("to/")])).exitCode).toBe(23);
  expect((await fastsync(["copy", daemon.place("a/"), `${empty()}/`])).exitCode).toBe(0);
  expect((await fastsync(["copy", `${tree}/`, daemon.place().replace("/m/", "/n/")])).exitCode).toBe(3);
  await daemon.logged("session_end", ({ role }) => role === "source");
  const last = await samples(daemon);
  expect(of(last, "sessions_total", `${target},exit_code="23"`)).toBe(1);
  expect(of(last, "failures_total", target)).toBe(1);
  expect(of(last, "sessions_total", 'role="source",exit_code="0"')).toBe(1);
  expect(of(last, "files_total", 'role="source"')).toBe(25);
  expect(last.get('fastsync_refused_total{reason="no_such_module"}')).toBe(1);
  for (const [key, value] of before) if (!key.includes("running")) expect(last.get(key)!).toBeGreaterThanOrEqual(value);
});

test("what only looks counts no files and no deletions, nor does its line in the log", async () => {
  const [tree, served] = [empty(), empty()];
  mixedTree(tree, MIB);
  writeFileSync(join(served, "extra"), "");
  await using daemon = await startDaemon({ path: served, daemon: WATCHED });
  const dry = await fastsync(["mirror", "-n", `${tree}/`, daemon.place()]);
  expect(dry.stdout).toContain("Deleted      1 would be deleted");
  expect((await fastsync(["check", `${tree}/`, daemon.place()])).exitCode).toBe(1);
  await daemon.logged("session_end", ({ verb }) => verb === "check");
  expect(daemon.log("session_end")).toMatchObject([
    { verb: "mirror (dry run)", files: 0, deleted: 0, exit_reason: "ok" },
    { verb: "check", files: 0, deleted: 0, exit_reason: "different" },
  ]);
  const after = await samples(daemon);
  expect(of(after, "files_total", 'role="target"')).toBe(0);
  expect(of(after, "deletions_total", 'role="target"')).toBe(0);
  expect(of(after, "sessions_total", 'role="target",exit_code="0"')).toBe(1);
});

test("of a session that runs, and readiness while the daemon waits for its end", async () => {
  const [tree, served] = [empty(), empty()];
  mixedTree(tree, 4 * MIB);
  await using daemon = await startDaemon({ path: served, daemon: WATCHED });
  const status = async (path: string): Promise<string> => {
    const response = await watch(daemon, path);
    return `${response.status} ${await response.text()}`;
  };
  expect([await status("/healthz"), await status("/readyz")]).toEqual(["200 ok\n", "200 ready\n"]);
  const run = startFastsync(["copy", `${tree}/`, daemon.place(), "--bwlimit", "200K"]);
  await daemon.logged("session_start");
  expect(of(await samples(daemon), "sessions_running", 'role="target"')).toBe(1);
  daemon.signal("SIGTERM");
  await daemon.logged("stopping");
  expect([await status("/healthz"), await status("/readyz")]).toEqual(["200 ok\n", "503 stopping\n"]);
  expect((await samples(daemon)).get("fastsync_draining")).toBe(1);
  run.kill("SIGINT");
  await run.result;
  expect(await daemon.exited).toBe(0);
});

test("an address in use: exit 10, and which key names another", async () => {
  await using daemon = await startDaemon({ path: empty(), daemon: WATCHED });
  const taken = daemon.log("started")[0]!["metrics"] as string;
  const second = startDaemon({ path: empty(), daemon: `metrics = "${taken}"` });
  expect(second).rejects.toThrow(
    `cannot listen on ${taken} for metrics: the address is in use; metrics in [daemon] names another`,
  );
  await second.catch(() => undefined);
});

test("nothing else is answered, and nothing is told where nothing was asked for", async () => {
  await using daemon = await startDaemon({ path: empty(), daemon: WATCHED });
  const statuses = [];
  for (const [method, path] of [
    ["GET", "/"],
    ["GET", "/metrics/../etc/passwd"],
    ["POST", "/metrics"],
    ["DELETE", "/healthz"],
    ["HEAD", "/metrics"],
    ["GET", "/metrics?x=1"],
  ] as const)
    statuses.push((await watch(daemon, path, { method })).status);
  expect(statuses).toEqual([404, 404, 405, 405, 200, 200]);
  await using quiet = await startDaemon({ path: empty() });
  expect(quiet.log("started")[0]).not.toHaveProperty("metrics");
});

/** The system's own, which has the packages of the system. */
const PYTHON = "/usr/bin/python3";
const parser = "import sys; from prometheus_client.openmetrics.parser import text_string_to_metric_families as p;";
const missing =
  spawnSync(PYTHON, ["-c", parser]).status === 0 ? undefined : "python3-prometheus-client is not installed";

describe.skipIf(missing !== undefined)(`Prometheus' own parser${missing === undefined ? "" : ` (${missing})`}`, () => {
  test("takes it, and refuses it without its end", async () => {
    const served = empty();
    await using daemon = await startDaemon({
      ...{ path: served, daemon: `${WATCHED}\nroot = "${served}"` },
      module: `[[module]]\nname = 'a "quoted" \\name'\npath = "${served}"`,
    });
    await fastsync(["copy", `${empty()}/`, daemon.place("x/")]);
    await daemon.logged("session_end");
    const text = await (await watch(daemon, "/metrics")).text();
    const names = `${parser} print(*[f.name + ":" + f.type + ":" + f.unit for f in p(sys.stdin.read())], sep="\\n")`;
    const parse = (input: string) => spawnSync(PYTHON, ["-c", names], { input, encoding: "utf8" });
    const { status, stdout, stderr } = parse(text);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.trim().split("\n")).toEqual([
      ...["fastsync_build:info:", "fastsync_start_time_seconds:gauge:seconds", "fastsync_draining:gauge:"],
      ...["fastsync_sessions_running:gauge:", "fastsync_sessions:counter:", "fastsync_refused:counter:"],
      ...["fastsync_content_bytes:counter:bytes", "fastsync_files:counter:", "fastsync_failures:counter:"],
      ...["fastsync_deletions:counter:", "fastsync_phase_seconds:counter:seconds"],
    ]);
    expect(text).toContain('module="a \\"quoted\\" \\\\name"');
    expect(parse(text.replace("# EOF\n", "")).status).not.toBe(0);
  });
});
