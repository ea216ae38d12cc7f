/**
 * One side goes, or is asked to stop, at the moment that is worst for the other: nobody waits for what cannot come any
 * more. Each of these waits would outlast the test.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { fastsync, fastsyncJson, fastsyncOnTerminal, describe as shown, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { type DaemonSettings, eventually, startDaemon, type TestDaemon } from "./support/daemon.ts";
import { freePort } from "./support/ports.ts";
import { proxied } from "./support/proxy.ts";
import { bytesOf, MIB } from "./support/trees.ts";

let scratch: TempDir;
let tree: string;
let count = 0;
/** With a file each: content that is asked for by itself. */
const DIRECTORIES = [1, 2, 3, 4, 5, 6];
beforeAll(() => {
  scratch = tempDir();
  tree = scratch.join("tree");
  for (const directory of DIRECTORIES) {
    mkdirSync(`${tree}/${directory}`, { recursive: true });
    writeFileSync(`${tree}/${directory}/file`, bytesOf(900_000, directory));
  }
});
afterAll(() => scratch[Symbol.dispose]());

const LOST = 12;
const INTERRUPTED = 20;
const BACKENDS = { native: {}, portable: { FASTSYNC_NATIVE: "off" } } as const;

function empty(): string {
  const path = scratch.join(`empty${count++}`);
  mkdirSync(path);
  return path;
}

/** A module with the tree and room for a copy of it. */
function served(settings: Partial<DaemonSettings> = {}): Promise<TestDaemon> {
  return startDaemon({ path: scratch.path, ...settings });
}

describe("a source that waits for its turn under a rate limit", () => {
  const cases = (["push", "pull"] as const).flatMap((way) =>
    (["native", "portable"] as const).flatMap((backend) =>
      ([[], ["--force-grpc"]] as const).map((flags) => [way, backend, flags] as const),
    ),
  );
  /** The next piece of content is due in a quarter of an hour. */
  const slow = ["--bwlimit=1K"];

  async function waiting(way: "push" | "pull", backend: keyof typeof BACKENDS, flags: readonly string[]) {
    const daemon = await served({ env: BACKENDS[backend] });
    const target = empty();
    const inside = `${target.slice(scratch.path.length + 1)}/`;
    const words = way === "push" ? [`${tree}/`, daemon.place(inside)] : [daemon.place("tree/"), `${target}/`];
    const caller = startFastsync(["copy", ...slow, ...flags, ...words], { env: BACKENDS[backend] });
    await eventually(
      () => DIRECTORIES.some((directory) => existsSync(`${target}/${directory}/file`)),
      () => "the first file",
    );
    return { daemon, caller };
  }

  test.each(cases)("the caller is stopped: %s, %s, %j", async (way, backend, flags) => {
    const { daemon: started, caller } = await waiting(way, backend, flags);
    await using daemon = started;
    caller.kill("SIGINT");
    const result = await caller.result;
    expect(result.exitCode, shown(result)).toBe(INTERRUPTED);
    // Both sides ended in order.
    expect(result.stderr).not.toContain("did not stop in time");
    expect((await daemon.logged("session_end"))["exit_reason"]).toBe("interrupted");
  });

  test.each(cases.filter(([way, , flags]) => way === "push" && flags.length === 0))(
    "the daemon is killed: %s, %s",
    async (way, backend, flags) => {
      const { daemon: started, caller } = await waiting(way, backend, flags);
      await using daemon = started;
      daemon.signal("SIGKILL");
      const result = await caller.result;
      expect(result.exitCode, shown(result)).toBe(LOST);
    },
  );
});

test.each(["push", "pull"] as const)("a caller that is stopped while no data stream is open yet: %s", async (way) => {
  const target = empty();
  await using daemon = await served();
  await using proxy = await proxied(daemon);
  // It connects, and no word comes back.
  proxy.data.stall();
  const at = (inside: string): string => `${proxy.host}:${daemon.port}:/m/${inside}/`;
  const words = way === "push" ? [`${tree}/`, at(target.slice(scratch.path.length + 1))] : [at("tree"), `${target}/`];
  const caller = startFastsync(["copy", ...words]);
  await daemon.logged("session_start");
  await eventually(
    () => proxy.data.connections > 0 && readdirSync(target).length > 0,
    () => "directories, and content that is asked for",
  );
  caller.kill("SIGINT");
  const result = await caller.result;
  expect(result.exitCode, shown(result)).toBe(INTERRUPTED);
  expect(result.stderr).not.toContain("did not stop in time");
  expect((await daemon.logged("session_end"))["exit_reason"]).toBe("interrupted");
});

test("a caller that leaves while its daemon waits for another one gives its place back", async () => {
  const sockets: Socket[] = [];
  // Takes every connection, and says nothing.
  const silent = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const { port } = silent.address() as AddressInfo;
  await using daemon = await served({
    daemon: "max_sessions = 1",
    delegation: 'enabled = true\nallow = ["127.0.0.1"]',
  });
  const caller = startFastsync(["copy", `127.0.0.1:${port}:/m/tree/`, daemon.place("between/")]);
  await eventually(
    () => sockets.length === 1,
    () => "the daemon dials",
  );
  caller.kill("SIGKILL");
  await daemon.logged("refused", ({ reason }) => reason === "connection_lost");
  const next = await fastsync(["copy", `${tree}/`, daemon.place("next/")]);
  expect(next.exitCode, shown(next)).toBe(0);
  for (const socket of sockets) socket.destroy();
  silent.close();
});

test("a job that is cancelled while its question is open ends", async () => {
  const target = empty();
  writeFileSync(`${target}/extra`, "");
  await using daemon = await served();
  const place = daemon.place(`${target.slice(scratch.path.length + 1)}/`);
  const asked = Promise.withResolvers<void>();
  // Somebody was at the terminal, and is not there any more.
  const question = {
    prompt: "Delete? [y/N]",
    get reply() {
      asked.resolve();
      return "";
    },
  };
  const caller = fastsyncOnTerminal(["mirror", `${tree}/`, place], [question]);
  await asked.promise;
  const { session } = await daemon.logged("session_start");
  const cancelled = await fastsync(["jobs", "cancel", `${daemon.host}:${daemon.port}`, String(session)]);
  expect(cancelled.exitCode, shown(cancelled)).toBe(0);
  expect((await daemon.logged("session_end"))["exit_reason"]).toBe("cancelled");
  expect((await caller).exitCode).toBe(INTERRUPTED);
  expect(existsSync(`${target}/extra`)).toBe(true);
});

const mountMissing = canMount("tmpfs");
describe.skipIf(mountMissing !== undefined)(
  `a target that is full${mountMissing === undefined ? "" : ` (${mountMissing})`}`,
  () => {
    const cases = (["push", "pull"] as const).flatMap((way) =>
      ([[], ["--force-grpc"]] as const).map((flags) => [way, flags] as const),
    );
    test.each(cases)("is told at once, and nothing more is sent: %s, %j", async (way, flags) => {
      await using small = await mountFilesystem("tmpfs", "3M");
      const source = empty();
      let all = 0;
      for (let i = 0; i < 80; i++) {
        mkdirSync(`${source}/${i}`);
        writeFileSync(`${source}/${i}/file`, bytesOf(300_000, i));
        all += 300_000;
      }
      await using daemon = await startDaemon({ path: way === "push" ? small.path : source });
      const words = way === "push" ? [`${source}/`, daemon.place()] : [daemon.place(), `${small.path}/`];
      const result = await fastsyncJson(["copy", "--bwlimit=6M", ...flags, ...words]);
      expect(result.exitCode, shown(result)).toBe(11);
      expect(result.summary["exit_reason"]).toBe("no_space");
      expect((result.summary["network"] as { bytes: number }).bytes).toBeLessThan(all * 0.8);
      await daemon.logged("session_end");
    });
  },
);

test("content that was lost holds up nothing else: what the session had open is closed", async () => {
  const source = empty();
  writeFileSync(`${source}/large`, bytesOf(64 * MIB, 7));
  for (let i = 0; i < 200; i++) writeFileSync(`${source}/small${i}`, bytesOf(100_000, i));
  const target = empty();
  const port = await freePort();
  await using daemon = await startDaemon({ path: target, port });
  await using proxy = await proxied(daemon);
  proxy.data.cutAtByte = 3 * MIB;
  const result = await fastsync([
    ...["copy", "--buffer-size=1M", "--bwlimit=20M"],
    ...[`${source}/`, `${proxy.host}:${daemon.port}:/m/`],
  ]);
  expect(result.exitCode, shown(result)).toBe(LOST);
  await daemon.logged("session_end");
  const below = (): string[] =>
    readdirSync(`/proc/${daemon.pid}/fd`).flatMap((fd) => {
      try {
        const path = readlinkSync(`/proc/${daemon.pid}/fd/${fd}`);
        return path.startsWith(target) ? [path] : [];
      } catch {
        return [];
      }
    });
  await eventually(
    () => below().length === 0,
    () => `nothing of the target is open: ${below()}`,
  );
});
