/** What presets and their flags do to the connections of a run: the kernel is asked, not the program. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fastsync, fastsyncJson, isRoot, describe as shown, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { eventually, startDaemon, type TestDaemon } from "./support/daemon.ts";

const MIB = 1 << 20;
const noSs = Bun.which("ss") === null ? "ss (iproute2) is not installed" : undefined;
const noStrace = Bun.which("strace") === null ? "strace is not installed" : undefined;

let scratch: TempDir;
let daemon: TestDaemon;
beforeAll(async () => {
  scratch = tempDir();
  for (const name of ["module", "source", "source/sub"]) mkdirSync(scratch.join(name));
  writeFileSync(scratch.join("source/large"), noise(24 * MIB, 1));
  writeFileSync(scratch.join("source/sub/small"), noise(1000, 2));
  daemon = await startDaemon({ path: scratch.join("module"), daemon: "max_streams = 64" });
});
afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]();
  scratch?.[Symbol.dispose]();
});

interface Seen {
  /** Data connections of the process that runs. */
  readonly streams: number;
  readonly sendBytes: number;
  readonly receiveBytes: number;
}

/** Data connections of `pid` to the daemon, as the kernel has them. */
function connections(pid: number): Seen | undefined {
  const text = spawnSync("ss", ["-tnpmOH", "state", "established", `( dport = :${daemon.dataPort} )`], {
    encoding: "utf8",
  }).stdout;
  const ours = text.split("\n").filter((line) => line.includes(`pid=${pid},`));
  const [, receive, send] = /skmem:\(r\d+,rb(\d+),t\d+,tb(\d+)/.exec(ours[0] ?? "") ?? [];
  if (receive === undefined || send === undefined) return undefined;
  return { streams: ours.length, sendBytes: Number(send) / 2, receiveBytes: Number(receive) / 2 };
}

/** A push that takes its time, looked at until its connections are as they should be. */
async function during(flags: readonly string[], fits: (seen: Seen) => boolean): Promise<Seen> {
  const words = ["copy", "--ignore-times", "--bwlimit=4M", ...flags, scratch.join("source/"), daemon.place("target/")];
  const run = startFastsync(words);
  let last: Seen | undefined;
  try {
    return await eventually(
      () => {
        last = connections(run.pid) ?? last;
        return last !== undefined && fits(last) ? last : undefined;
      },
      () => `its data connections; seen: ${JSON.stringify(last)}`,
    );
  } finally {
    run.kill("SIGKILL");
    await run.result;
  }
}

const KERNEL = (name: string): number =>
  Number(readFileSync(`/proc/sys/net/${name}`, "latin1").trim().split(/\s+/).at(-1));

describe.skipIf(noSs !== undefined)(`socket buffers${noSs === undefined ? "" : ` (${noSs})`}`, () => {
  const holds = (send: number, receive: number) => (seen: Seen) =>
    seen.sendBytes === send && seen.receiveBytes === receive;
  test("--tcp-send-buffer and --tcp-recv-buffer are what the kernel holds", async () => {
    await during(["--tcp-send-buffer=128K", "--tcp-recv-buffer=96K"], holds(128 * 1024, 96 * 1024));
  });
  test.skipIf(!isRoot())("--preset wan: 16 MiB both ways, beyond the system's limit where root asks", async () => {
    await during(["--preset", "wan"], holds(16 * MIB, 16 * MIB));
  });
  test.skipIf(!isRoot())("--preset low-memory: 1 MiB both ways, where 6 MiB would come by themselves", async () => {
    await during(["--preset", "low-memory"], holds(MIB, MIB));
  });
  test.skipIf(!isRoot())("what the system grants nobody is left to the kernel, and said", async () => {
    const most = KERNEL("core/rmem_max");
    const isBelow = most < KERNEL("ipv4/tcp_rmem");
    const words = ["copy", "-v", "--preset", "wan", "--ignore-times", scratch.join("source/"), daemon.place("said/")];
    const unprivileged = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"];
    const result = await fastsync(words, { prefix: unprivileged });
    expect(shown(result)).toStartWith("exit 0");
    const said = isBelow ? "receive left to the kernel" : "socket buffers of each stream: ";
    expect(result.stdout).toContain(said);
    expect((await fastsync(words)).stdout).toContain("socket buffers of each stream: send 16.0 MiB, receive 16.0 MiB");
  });
});

describe("streams", () => {
  test("of a preset are a ceiling: a near line opens no more than help", async () => {
    for (const [preset, most] of [
      ["lan", 4],
      ["low-memory", 4],
      ["max-throughput", 4],
    ] as const) {
      const words = ["copy", "--ignore-times", "--preset", preset, scratch.join("source/"), daemon.place(`${preset}/`)];
      const { exitCode, summary } = await fastsyncJson(words);
      expect(exitCode).toBe(0);
      const network = summary["network"] as { streams: number; round_trip_ms: number };
      expect(network.streams).toBeGreaterThan(0);
      expect(network.streams).toBeLessThanOrEqual(most);
      expect(network.round_trip_ms).toBeLessThan(3);
      // Content does not stay in the program, whatever is on its way: a process that has nothing to do has a third of it.
      expect(daemon.rssBytes()).toBeLessThan(192 * MIB);
    }
  });
  test.skipIf(noSs !== undefined)("a ceiling of 2 is kept", async () => {
    const { streams } = await during(["--streams", "2"], (seen) => seen.streams >= 2);
    expect(streams).toBe(2);
  });
});

describe.skipIf(noStrace !== undefined)(`sendfile${noStrace === undefined ? "" : ` (${noStrace})`}`, () => {
  const calls = async (flags: readonly string[], to: string): Promise<number> => {
    const log = scratch.join(`strace-${to}`);
    const prefix = ["strace", "-f", "-qq", "-e", "trace=sendfile", "-o", log];
    const result = await fastsync(["copy", ...flags, scratch.join("source/"), daemon.place(`${to}/`)], { prefix });
    expect(shown(result)).toStartWith("exit 0");
    expect(result.stderr).toBe("");
    return readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes("sendfile(")).length;
  };
  const isNative = process.env["FASTSYNC_NATIVE"] !== "off";
  test.skipIf(!isNative)("moves large files, but not with --preset network, safe, or --no-zero-copy", async () => {
    expect(await calls([], "kernel")).toBeGreaterThan(0);
    expect(await calls(["--preset", "network"], "network")).toBe(0);
    expect(await calls(["--no-zero-copy"], "flag")).toBe(0);
    for (const name of ["kernel", "network", "flag"])
      expect(readFileSync(scratch.join(`module/${name}/large`))).toEqual(readFileSync(scratch.join("source/large")));
  });
});

describe("cp without -R", () => {
  test("takes no directory of a daemon, and makes none there", async () => {
    const pulled = await fastsync(["cp", daemon.place("lan"), scratch.join("none")]);
    expect([pulled.exitCode, pulled.stderr]).toEqual([
      1,
      expect.stringContaining("is a directory; directories are copied with -R"),
    ]);
    const pushed = await fastsync(["cp", scratch.join("source"), daemon.place("none/")]);
    expect([pushed.exitCode, pushed.stderr]).toEqual([1, expect.stringContaining("are copied with -R (--recursive)")]);
    expect(readdirSync(scratch.join("module"))).not.toContain("none");
    const between = await fastsync(["cp", daemon.place("lan"), daemon.place("none/")]);
    expect([between.exitCode, between.stderr]).toEqual([1, expect.stringContaining("are copied with -R")]);
    expect(readdirSync(scratch.join("module"))).not.toContain("none");
    const file = await fastsync(["cp", "-p", "2", "-c", "1M", daemon.place("lan/large"), scratch.join("pulled")]);
    expect(shown(file)).toStartWith("exit 0");
    expect(readFileSync(scratch.join("pulled"))).toEqual(readFileSync(scratch.join("source/large")));
  });
});
