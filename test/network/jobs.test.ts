/** Jobs of a real daemon: listed, watched, cancelled; whose they are; and what is left of them after a restart. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newCounters } from "../../src/core/events.ts";
import { openJobStore } from "../../src/daemon/jobs/store.ts";
import { assertSameTrees } from "../support/diff.ts";
import { expectDaemonRecords } from "../support/events-schema.ts";
import {
  asUserMissing,
  fastsync,
  fastsyncCommand,
  ORDINARY_USER,
  type ProcessOptions,
  describe as shown,
  startFastsync,
} from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { type DaemonSettings, eventually, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { leftovers, MIB, mixedTree } from "./support/trees.ts";

let scratch: TempDir;
let tree: string;
let count = 0;
beforeAll(() => {
  scratch = tempDir();
  tree = scratch.join("tree");
  mixedTree(tree, 4 * MIB);
});
afterAll(() => scratch[Symbol.dispose]());

function empty(): string {
  const path = scratch.join(`empty${count++}`);
  mkdirSync(path);
  return path;
}

interface JobLine {
  readonly job: string;
  readonly state: string;
  readonly [field: string]: unknown;
}

/** `jobs ACTION --json` at this daemon, held to the schema. */
async function jobs(daemon: TestDaemon, words: readonly string[], options: ProcessOptions = {}) {
  const [action, ...rest] = words as [string, ...string[]];
  const at = `${daemon.host}:${daemon.port}`;
  const result = await fastsync(["jobs", action, at, ...rest, "--json"], options);
  const lines = result.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as JobLine & { type: string });
  expectDaemonRecords(lines);
  return { ...result, lines: lines.filter(({ type }) => type === "job") as JobLine[] };
}

const SLOW = ["--bwlimit", "1M"];
/** For what has to be cancelled first, however long the program that cancels takes to start. */
const SLOWEST = ["--bwlimit", "100K"];

describe("list", () => {
  test("a relay leaves no job that looks lost: what it opened to learn of the source ended well", async () => {
    const served = empty();
    await using target = await startDaemon({ path: served });
    await using source = await startDaemon({ path: tree });
    const relayed = await fastsync(["copy", source.place(), target.place("in/")]);
    expect(shown(relayed)).toStartWith("exit 0");
    expect(relayed.stderr).toContain("relayed by this machine");
    const same = await fastsync(["copy", target.place("in/"), target.place("in/")]);
    expect([same.exitCode, same.stderr]).toEqual([3, expect.stringContaining("the same, on one machine")]);
    for (const daemon of [source, target]) {
      const all = (): readonly string[] => daemon.log("session_end").map(({ exit_reason }) => String(exit_reason));
      await eventually(
        () => all().length === daemon.log("session_start").length,
        () => all().join(),
      );
      expect(new Set(all())).toEqual(new Set(["ok"]));
    }
    assertSameTrees(tree, join(served, "in"));
  });
  test("tells of both directions, while they run and afterwards, the latest first", async () => {
    const [served, pulled] = [empty(), empty()];
    await using daemon = await startDaemon({ path: served });
    expect((await fastsync(["copy", `${tree}/`, daemon.place("in/")])).exitCode).toBe(0);
    expect((await fastsync(["copy", daemon.place("in/"), `${pulled}/`])).exitCode).toBe(0);
    await eventually(
      () => daemon.log("session_end").length === 2,
      () => "two ends",
    );
    const slow = startFastsync(["mirror", "--yes", `${tree}/`, daemon.place("slow/"), ...SLOW]);
    await eventually(
      () => daemon.log("session_start").length === 3,
      () => "the third session",
    );
    const first = await jobs(daemon, ["list", "--limit", "1"]);
    expect(first.lines).toMatchObject([{ state: "running", path: "slow/" }]);
    const { lines } = await jobs(daemon, ["list"]);
    expect(lines).toMatchObject([
      { state: "running", verb: "mirror", role: "target", module: "m", path: "slow/", peer: "127.0.0.1" },
      { state: "ended", verb: "copy", role: "source", exit_code: 0, exit_reason: "ok", files_transferred: 27 },
      { state: "ended", verb: "copy", role: "target", exit_code: 0, files_transferred: 27, files_to_transfer: 27 },
    ]);
    expect(lines.map(({ job }) => job)).toEqual(
      daemon
        .log("session_start")
        .map(({ session }) => session as string)
        .reverse(),
    );
    const ends = daemon.log("session_end");
    expect([lines[2]!["network_bytes"], lines[1]!["network_bytes"]]).toEqual([ends[0]!["bytes"], ends[1]!["bytes"]]);
    slow.kill("SIGINT");
    expect((await slow.result).exitCode).toBe(20);
    await daemon.logged("session_end", ({ exit_reason }) => exit_reason === "interrupted");
    expect((await jobs(daemon, ["list"])).lines[0]).toMatchObject({ state: "ended", exit_code: 20 });
  });

  test("as a table, and a sentence where there is nothing", async () => {
    await using daemon = await startDaemon({ path: empty() });
    const at = `${daemon.host}:${daemon.port}`;
    const none = await fastsync(["jobs", "list", at]);
    expect([none.exitCode, none.stdout, none.stderr]).toEqual([
      0,
      "",
      `The daemon at ${at} tells of no jobs that are yours.\n`,
    ]);
    expect((await fastsync(["copy", "--dry-run", `${tree}/`, daemon.place("x/")])).exitCode).toBe(0);
    const { session } = await daemon.logged("session_end");
    const [head, row] = (await fastsync(["jobs", at])).stdout.split("\n");
    expect(head).toBe("ID            STARTED           STATE             FILES     BYTES  WHAT");
    expect(row).toMatch(
      new RegExp(
        `^${session}  \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d  ok +27 +\\d+ B  copy \\(dry run\\) to /m/x/ by 127.0.0.1$`,
      ),
    );
  });

  test("an explain is told as that, of which verb, in the list and in the log; whichever verb looks", async () => {
    const served = empty();
    await using daemon = await startDaemon({ path: served });
    const [here, there] = [`${tree}/`, daemon.place("x/")];
    const lines: readonly (readonly [words: readonly string[], explains: string, told: string, verb: string])[] = [
      [[here, there], "any", "explain", "mirror"],
      [["mirror", here, there], "mirror", "explain mirror", "mirror"],
      [["sync", here, there], "copy", "explain copy", "copy"],
      [["move", daemon.place(), `${scratch.join("nowhere")}/`], "move", "explain move", "move"],
    ];
    for (const [words] of lines) expect((await fastsync(["explain", ...words])).exitCode).toBe(0);
    expect((await fastsync(["copy", "-n", here, there])).exitCode).toBe(0);
    await eventually(
      () => daemon.log("session_end").length === lines.length + 1,
      () => "their ends",
    );
    const told = [...lines.map(([, , what]) => what), "copy (dry run)"];
    for (const event of ["session_start", "session_end"])
      expect(daemon.log(event).map(({ verb }) => verb as string)).toEqual(told);
    const listed = (await jobs(daemon, ["list"])).lines.reverse();
    expect(listed.map(({ explains, verb, dry_run }) => [explains, verb, dry_run])).toEqual([
      ...lines.map(([, explains, , verb]) => [explains, verb, true]),
      [undefined, "copy", true],
    ]);
    const text = (await fastsync(["jobs", `${daemon.host}:${daemon.port}`])).stdout.split("\n").slice(1, -1).reverse();
    for (const [at, line] of text.entries())
      expect(line).toMatch(new RegExp(`  ${told[at]!.replace(/[()]/g, "\\$&")} (to|from) /m(/|\\b)`));
    expect(readdirSync(served)).toEqual([]);
  });

  test("an explain between two daemons is told by both, and stays with who asked, whatever the line says", async () => {
    const served = empty();
    const delegation = 'enabled = true\nallow = ["127.0.0.1"]';
    await using from = await startDaemon({ path: tree, delegation });
    await using to = await startDaemon({ path: served, delegation });
    const result = await fastsync(["explain", "mirror", "--detach", "--yes", from.place(), to.place()]);
    expect([result.exitCode, result.stdout]).toEqual([0, expect.stringContaining("Nothing was changed.")]);
    for (const daemon of [from, to]) expect((await daemon.logged("session_end"))["verb"]).toBe("explain mirror");
    expect(readdirSync(served)).toEqual([]);
  });

  test("all that is remembered, also where it does not fit one answer; and that no more is", async () => {
    const state = empty();
    const path = Buffer.alloc(4000, "d");
    const count = 5000;
    const { store } = await openJobStore(state);
    for (let number = 0; number < count; number++)
      store!.save({
        ...{ id: number.toString(16).padStart(12, "0"), owner: `user ${process.getuid!()}`, peer: "127.0.0.1" },
        ...{ module: "m", path, role: "target", verb: "copy", dryRun: false, explains: undefined, other: undefined },
        ...{
          startedMs: 1_700_000_000_000,
          endedMs: 1_700_000_001_000,
          state: "ended",
          counters: newCounters(),
          bytes: 0,
        },
        end: { exitCode: 0, exitReason: "ok", message: undefined },
      });
    store!.close();
    await using daemon = await startDaemon({
      path: empty(),
      daemon: `job_history = ${count}\nstate_directory = ${JSON.stringify(state)}`,
    });
    const result = await fastsync(["jobs", "list", `${daemon.host}:${daemon.port}`, "--json"]);
    expect([result.exitCode, result.stderr]).toEqual([
      0,
      "The daemon remembers the last 5,000 jobs that ended, of all its callers.\n",
    ]);
    const ids = result.stdout
      .split("\n")
      .slice(0, -1)
      .map((line) => Number.parseInt(JSON.parse(line).job, 16));
    expect(ids).toEqual(Array.from({ length: count }, (_, at) => count - 1 - at));
    const text = (await fastsync(["jobs", `${daemon.host}:${daemon.port}`])).stdout.split("\n");
    expect(text.filter((line) => line.startsWith("ID "))).toEqual([text[0]!]);
    expect(text).toHaveLength(count + 2);
  });

  test("as many as job_history says are remembered", async () => {
    await using daemon = await startDaemon({ path: empty(), daemon: "job_history = 1" });
    for (let at = 0; at < 2; at++) await fastsync(["copy", "--dry-run", `${tree}/`, daemon.place(`${at}/`)]);
    await eventually(
      () => daemon.log("session_end").length === 2,
      () => "two ends",
    );
    expect((await jobs(daemon, ["list"])).lines.map(({ path }) => path)).toEqual(["1/"]);
  });
});

describe("watch", () => {
  test("follows a job to its end, and exits as it does", async () => {
    const [source, served] = [empty(), empty()];
    mixedTree(source, MIB);
    // A file where the source has a directory: that one fails, the rest arrives.
    mkdirSync(join(served, "to/large"), { recursive: true });
    writeFileSync(join(served, "to/large/kept"), "");
    await using daemon = await startDaemon({ path: served });
    const run = startFastsync(["copy", `${source}/`, daemon.place("to/"), ...SLOW]);
    const { session } = await daemon.logged("session_start");
    const watched = await jobs(daemon, ["watch", session as string]);
    expect((await run.result).exitCode).toBe(23);
    expect(watched.exitCode).toBe(23);
    expect(watched.lines.length).toBeGreaterThan(1);
    expect(watched.lines.map(({ job }) => job)).toEqual(watched.lines.map(() => session as string));
    expect(watched.lines.at(-1)).toMatchObject({
      state: "ended",
      exit_code: 23,
      exit_reason: "partial",
      files_failed: 1,
    });
    const done = watched.lines.map((line) => line["network_bytes"] as number);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    // One that ended before is told at once.
    const again = await fastsync(["jobs", "watch", `${daemon.host}:${daemon.port}`, session as string]);
    expect(again.exitCode).toBe(23);
    expect(again.stdout).toMatch(
      /^Job [0-9a-f]{12}: copy to \/m\/to\/ by 127.0.0.1\nJob .*: partial \(exit 23\) after .*: 1 failed\n$/,
    );
  });

  test("of all jobs tells what begins and ends, until it is stopped", async () => {
    await using daemon = await startDaemon({ path: empty() });
    const at = `${daemon.host}:${daemon.port}`;
    expect((await fastsync(["copy", "--dry-run", `${tree}/`, daemon.place("before/")])).exitCode).toBe(0);
    const child = Bun.spawn([...fastsyncCommand(), "jobs", "watch", at, "--json"], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const lines: JobLine[] = [];
    const reading = (async () => {
      for await (const chunk of child.stdout)
        for (const line of Buffer.from(chunk).toString().split("\n")) if (line !== "") lines.push(JSON.parse(line));
    })();
    // Jobs are begun until one is seen: when the watcher is there nobody tells.
    for (let n = 0; !lines.some(({ state }) => state === "ended"); n++)
      await fastsync(["copy", `${tree}/`, daemon.place(`after${n}/`)]);
    child.kill("SIGINT");
    await reading;
    expect(await child.exited).toBe(0);
    expect(lines.some(({ path }) => path === "before/")).toBe(false);
    expectDaemonRecords(lines as never);
  });
});

describe("cancel", () => {
  test("of a push: what is there is whole, and the caller is told", async () => {
    const served = empty();
    await using daemon = await startDaemon({ path: served });
    const run = startFastsync(["copy", `${tree}/`, daemon.place("to/"), ...SLOWEST, "--retry", "3"]);
    const { session } = await daemon.logged("session_start");
    await eventually(
      () => existsSync(join(served, "to/a/b0")),
      () => "the first directory",
    );
    const cancelled = await jobs(daemon, ["cancel", session as string]);
    expect([cancelled.exitCode, cancelled.lines[0]!.job]).toEqual([0, session as string]);
    const result = await run.result;
    expect(shown(result)).toStartWith("exit 20");
    expect(result.stderr).toContain("the job was cancelled at the daemon; what is there is whole");
    expect(result.stderr).not.toContain("trying again");
    expect(await daemon.logged("session_end")).toMatchObject({ exit_reason: "cancelled" });
    expect((await jobs(daemon, ["list"])).lines).toMatchObject([
      { state: "ended", exit_code: 20, exit_reason: "cancelled" },
    ]);
    expect(existsSync(join(served, "to/large"))).toBe(false);
    expect((await fastsync(["copy", `${tree}/`, daemon.place("to/")])).exitCode).toBe(0);
    assertSameTrees(tree, join(served, "to"));
  });

  test("of a pull: likewise", async () => {
    const target = empty();
    await using daemon = await startDaemon({ path: tree });
    const run = startFastsync(["copy", daemon.place(), `${target}/`, ...SLOWEST, "--retry", "3"]);
    const { session } = await daemon.logged("session_start");
    expect((await jobs(daemon, ["cancel", session as string])).exitCode).toBe(0);
    const result = await run.result;
    expect(shown(result)).toStartWith("exit 20");
    expect(result.stderr).toContain("the job was cancelled at the daemon");
    expect(result.stderr).not.toContain("trying again");
    expect(leftovers(target).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    expect((await jobs(daemon, ["list"])).lines).toMatchObject([{ exit_code: 20, exit_reason: "cancelled" }]);
  });

  test("of what is over, or never was, is refused in words", async () => {
    await using daemon = await startDaemon({ path: empty() });
    const at = `${daemon.host}:${daemon.port}`;
    await fastsync(["copy", "--dry-run", `${tree}/`, daemon.place("x/")]);
    const { session } = await daemon.logged("session_end");
    const over = await fastsync(["jobs", "cancel", at, session as string]);
    expect([over.exitCode, over.stderr]).toEqual([3, `fastsync jobs: ${at}: the job ended before (exit 3)\n`]);
    for (const action of ["cancel", "watch"]) {
      const none = await fastsync(["jobs", action, at, "0123456789ab"]);
      expect([none.exitCode, none.stderr]).toEqual([
        3,
        `fastsync jobs: ${at}: there is no such job, or it is not yours (exit 3)\n`,
      ]);
    }
  });
});

const unprivileged = asUserMissing();
describe.skipIf(unprivileged !== undefined)(
  `whose they are${unprivileged === undefined ? "" : ` (${unprivileged})`}`,
  () => {
    const other = { asUser: ORDINARY_USER };
    /** For everybody to read, and slow enough to be looked at. */
    let open: string;
    beforeAll(() => {
      open = empty();
      writeFileSync(join(open, "large"), Buffer.alloc(6 * MIB, "x"), { mode: 0o644 });
    });

    test.each([
      ["without admin = true root is a user like others", "", [] as string[]],
      ["with it root sees and cancels all", "admin = true", ["running"]],
    ])("%s", async (_, daemonLines, seen) => {
      await using daemon = await startDaemon({ path: empty(), daemon: daemonLines });
      const run = startFastsync(["copy", `${open}/`, daemon.place("to/"), ...SLOWEST], other);
      const { session } = await daemon.logged("session_start");
      const byOwner = await jobs(daemon, ["list"], other);
      expect(byOwner.lines.map(({ job }) => job)).toEqual([session as string]);
      expect((await jobs(daemon, ["list"])).lines.map(({ state }) => state)).toEqual(seen);
      const byRoot = await jobs(daemon, ["cancel", session as string]);
      expect(byRoot.exitCode).toBe(seen.length > 0 ? 0 : 3);
      if (seen.length === 0) expect((await jobs(daemon, ["cancel", session as string], other)).exitCode).toBe(0);
      expect((await run.result).exitCode).toBe(20);
    });

    test("an ordinary user does not see those of root, whatever admin says", async () => {
      await using daemon = await startDaemon({ path: empty(), daemon: "admin = true" });
      await fastsync(["copy", "--dry-run", `${tree}/`, daemon.place("x/")]);
      const { session } = await daemon.logged("session_end");
      expect((await jobs(daemon, ["list"], other)).lines).toEqual([]);
      expect((await jobs(daemon, ["watch", session as string], other)).exitCode).toBe(3);
    });
  },
);

describe("history", () => {
  const kept = (state: string, more: Partial<DaemonSettings> = {}): Promise<TestDaemon> =>
    startDaemon({ path: empty(), daemon: `state_directory = "${state}"`, ...more });

  test("is there after a restart; what ran at a crash is lost", async () => {
    const state = scratch.join(`state${count++}`);
    let first: unknown;
    {
      await using daemon = await kept(state);
      expect((await fastsync(["copy", `${tree}/`, daemon.place("x/")])).exitCode).toBe(0);
      first = (await daemon.logged("session_end"))["session"];
      await eventually(
        () => daemon.log("session_end").length === 1,
        () => "the end",
      );
      daemon.signal("SIGTERM");
      expect(await daemon.exited).toBe(0);
    }
    let second: unknown;
    {
      await using daemon = await kept(state);
      expect((await jobs(daemon, ["list"])).lines).toMatchObject([{ job: first, exit_code: 0, files_transferred: 27 }]);
      const run = startFastsync(["copy", `${tree}/`, daemon.place("x/"), ...SLOWEST]);
      second = (await daemon.logged("session_start"))["session"];
      await eventually(
        () => existsSync(join(state, "jobs.db-wal")),
        () => "the history",
      );
      await jobs(daemon, ["list"]);
      daemon.signal("SIGKILL");
      expect((await run.result).exitCode).toBe(12);
    }
    await using daemon = await kept(state);
    const { lines } = await jobs(daemon, ["list"]);
    expect(lines).toMatchObject([
      { job: second, state: "lost" },
      { job: first, state: "ended" },
    ]);
    expect(lines[0]).not.toHaveProperty("exit_code");
    expect((await jobs(daemon, ["watch", second as string])).exitCode).toBe(12);
    expect(daemon.log("warning")).toEqual([]);
  });

  async function servesAllTheSame(daemon: TestDaemon): Promise<void> {
    const result = await fastsync(["copy", `${tree}/`, daemon.place("y/")]);
    expect(shown(result)).toStartWith("exit 0");
    expect((await jobs(daemon, ["list"])).lines).toMatchObject([{ exit_code: 0 }]);
  }

  test("that is damaged is set aside, and the daemon serves", async () => {
    const state = empty();
    writeFileSync(join(state, "jobs.db"), "no database at all ".repeat(1000));
    await using daemon = await kept(state);
    await servesAllTheSame(daemon);
    expect(String((await daemon.logged("warning"))["message"])).toContain("it was set aside as");
    expect(readdirSync(state)).toContain("jobs.db.damaged");
  });

  test("that another daemon has is left to it", async () => {
    const state = empty();
    await using first = await kept(state);
    await using second = await kept(state);
    await servesAllTheSame(second);
    await servesAllTheSame(first);
    expect(String((await second.logged("warning"))["message"])).toContain("another daemon has it");
  });

  const mountless = process.getuid?.() === 0 ? undefined : "only root can mount";
  describe.skipIf(mountless !== undefined)(
    `on a disk that is${mountless === undefined ? "" : ` (${mountless})`}`,
    () => {
      /** A mount of its own, gone with the test. */
      function mounted(options: string): Disposable & { readonly path: string } {
        const path = empty();
        const { status, stderr } = spawnSync("mount", ["-t", "tmpfs", "-o", options, "fastsync-test", path]);
        if (status !== 0) throw new Error(String(stderr));
        return { path, [Symbol.dispose]: () => void spawnSync("umount", ["-l", path]) };
      }

      test("full", async () => {
        using disk = mounted("size=256k,mode=755");
        await using daemon = await kept(join(disk.path, "state"));
        spawnSync("dd", ["if=/dev/zero", `of=${join(disk.path, "filler")}`, "bs=4k"]);
        await servesAllTheSame(daemon);
        expect(String((await daemon.logged("warning"))["message"])).toContain(
          "the history of jobs is not written any more",
        );
        await fastsync(["copy", `${tree}/`, daemon.place("z/")]);
        expect(daemon.log("warning")).toHaveLength(1);
      });

      test("read-only", async () => {
        using disk = mounted("ro,mode=755");
        await using daemon = await kept(disk.path);
        await servesAllTheSame(daemon);
        expect(String((await daemon.logged("warning"))["message"])).toContain("kept in memory only");
      });
    },
  );
});
