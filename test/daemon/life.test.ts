/** The daemon's process around a server made by hand: start, reload, stop, and what systemd sees of them. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tempDir } from "../support/temp.ts";
import { connectTo, type DaemonProcess, portOf, startDaemon } from "./daemon-process.ts";
import { givenSocket } from "./given-socket.ts";
import { datagramsMissing, receiveDatagrams } from "./unix-datagrams.ts";

const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());
let count = 0;

/** A config file with a module whose directory is there. */
function configFile(daemon = "", more = ""): string {
  const number = count++;
  mkdirSync(scratch.join(`served-${number}`));
  const file = scratch.join(`config-${number}.toml`);
  writeFileSync(file, configText(number, daemon, more));
  return file;
}

function configText(number: number, daemon: string, more = ""): string {
  const module = `[[module]]\nname = "m${number}"\npath = "${scratch.join(`served-${number}`)}"\n`;
  return `[daemon]\nlog = "json"\nport = 0\n${daemon}\n${module}${more}`;
}

/** A second signal counts only when it is not the echo of the first, which no test can time: it is sent until it is. */
async function signalUntilEnd(daemon: DaemonProcess, signal: NodeJS.Signals): Promise<number> {
  const timer = setInterval(() => daemon.kill(signal), 50);
  try {
    return await daemon.exited;
  } finally {
    clearInterval(timer);
  }
}

describe("start", () => {
  test("says where it listens and what it serves", async () => {
    await using daemon = startDaemon(["--config", configFile()]);
    const started = await daemon.next("started");
    expect(started).toMatchObject({ level: "info", modules: [`m${count - 1}`], pid: daemon.pid });
    (await connectTo(portOf(started))).destroy();
    await daemon.next("session_start");
    await daemon.next("session_end");
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
    expect(daemon.text()).not.toContain('"warning"');
  });
  test("B71 a module that is not there is a warning, and the others are served", async () => {
    const more = '[[module]]\nname = "gone"\npath = "/no/such/place"\n';
    await using daemon = startDaemon(["--config", configFile("", more)]);
    expect(await daemon.next("started")).toMatchObject({ modules: [`m${count - 1}`, "gone"] });
    expect(await daemon.next("warning")).toMatchObject({
      message: 'module "gone" is not available: its path does not exist (/no/such/place)',
    });
  });
  test("an address that others can reach is a loud warning", async () => {
    await using daemon = startDaemon(["--config", configFile(), "--bind", "0.0.0.0"]);
    await daemon.next("started");
    const { message } = await daemon.next("warning");
    expect(message).toContain("ANYBODY WHO CAN REACH 0.0.0.0 CAN USE THIS DAEMON: there is no authentication");
  });
  test("an address in use: exit 10, and which", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    await using daemon = startDaemon(["--config", configFile(), "--port", String(port)]);
    expect(await daemon.exited).toBe(10);
    other.close();
    expect(JSON.parse(daemon.text())).toMatchObject({
      level: "error",
      event: "stopped",
      reason: `cannot listen on 127.0.0.1, port ${port}: the address is in use; another daemon may be running (--port chooses another port)`,
      exit_code: 10,
    });
  });
  test("in text, for people", async () => {
    const file = scratch.join("text.toml");
    writeFileSync(file, '[daemon]\nroot = "/"\nbind = "192.0.2.1"\nport = 0\n');
    await using daemon = startDaemon(["--config", file]);
    expect(await daemon.exited).toBe(10);
    expect(daemon.text()).toBe(
      "fastsync daemon: cannot listen on 192.0.2.1, port 0: this machine has no such address (exit 10)\n",
    );
  });
});

describe("reload", () => {
  test("a new file is in force, for what can change", async () => {
    const file = configFile();
    const number = count - 1;
    await using daemon = startDaemon(["--config", file]);
    const started = await daemon.next("started");
    const more = '[[module]]\nname = "new"\npath = "/no/such/place"\n';
    writeFileSync(file, configText(number, "bind = '127.0.0.2'\ndata_port = 0", more));
    daemon.kill("SIGHUP");
    expect(await daemon.next("reload")).toMatchObject({ outcome: "done", modules: [`m${number}`, "new"] });
    const warnings = [await daemon.next("warning"), await daemon.next("warning"), await daemon.next("warning")];
    expect(warnings.map(({ message }) => message)).toEqual([
      "bind cannot change while the daemon runs; it takes a restart",
      "data_port cannot change while the daemon runs; it takes a restart",
      'module "new" is not available: its path does not exist (/no/such/place)',
    ]);
    (await connectTo(portOf(started))).destroy();
    await daemon.next("session_start");
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
  });
  test("B71 a bad one keeps the old, and says why", async () => {
    const file = configFile();
    const number = count - 1;
    await using daemon = startDaemon(["--config", file]);
    const port = portOf(await daemon.next("started"));
    writeFileSync(file, "[daemon]\nprot = 1\n[[module]]\n");
    daemon.kill("SIGHUP");
    expect(await daemon.next("reload")).toMatchObject({
      level: "error",
      outcome: "kept_old",
      problems: [
        `${file}: module 1.name: is missing`,
        `${file}: module 1.path: is missing`,
        `${file}: daemon.prot: unknown key; did you mean port?`,
      ].join("; "),
    });
    rmSync(file);
    daemon.kill("SIGHUP");
    expect(await daemon.next("reload")).toMatchObject({
      outcome: "kept_old",
      problems: `${file}: there is no such file`,
    });
    (await connectTo(port)).destroy();
    expect(await daemon.next("session_start")).toMatchObject({ module: `m${number}` });
  });
});

describe("stop", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("%s lets sessions end", async (signal) => {
    await using daemon = startDaemon(["--config", configFile()]);
    const port = portOf(await daemon.next("started"));
    const session = await connectTo(port);
    await daemon.next("session_start");
    daemon.kill(signal);
    expect(await daemon.next("stopping")).toMatchObject({ signal, sessions: 1, deadline_ms: 30_000 });
    await expect(connectTo(port)).rejects.toThrow();
    session.end();
    expect(await daemon.exited).toBe(0);
    expect(await daemon.next("stopped")).toMatchObject({ reason: "drained", sessions_cut: 0 });
  });
  test("at the deadline sessions are cut: exit 20", async () => {
    await using daemon = startDaemon(["--config", configFile('drain_timeout = "50ms"')]);
    const session = await connectTo(portOf(await daemon.next("started")));
    const closed = new Promise((resolve) => session.once("close", resolve));
    await daemon.next("session_start");
    daemon.kill("SIGTERM");
    expect(await daemon.next("stopped")).toMatchObject({ level: "warning", reason: "deadline", sessions_cut: 1 });
    expect(await daemon.exited).toBe(20);
    await closed;
  });
  test("a second signal cuts them at once", async () => {
    await using daemon = startDaemon(["--config", configFile('drain_timeout = "1h"')]);
    const session = await connectTo(portOf(await daemon.next("started")));
    await daemon.next("session_start");
    daemon.kill("SIGTERM");
    await daemon.next("stopping");
    expect(await signalUntilEnd(daemon, "SIGINT")).toBe(20);
    expect(await daemon.next("stopped")).toMatchObject({ reason: "second SIGINT", sessions_cut: 1 });
    session.destroy();
  });
});

describe.skipIf(datagramsMissing !== undefined)("systemd", () => {
  test.each([
    ["a path", () => scratch.join("notify")],
    ["an abstract name", () => `@fastsync-test-${process.pid}`],
  ])("is told of start, reload and stop through %s", async (_, addressOf) => {
    const address = addressOf();
    using notify = receiveDatagrams(address);
    await using daemon = startDaemon(["--config", configFile()], { env: { NOTIFY_SOCKET: address } });
    const port = portOf(await daemon.next("started"));
    const status = `STATUS=Serving 1 module on 127.0.0.1:${port}`;
    expect(await notify.next()).toBe(`READY=1\n${status}`);
    daemon.kill("SIGHUP");
    const [reloading, time] = (await notify.next()).split("\n");
    expect([reloading, time]).toEqual(["RELOADING=1", expect.stringMatching(/^MONOTONIC_USEC=\d+$/)]);
    expect(await notify.next()).toBe(`READY=1\n${status}`);
    daemon.kill("SIGTERM");
    expect(await notify.next()).toBe("STOPPING=1\nSTATUS=Waiting for 0 sessions to end");
    expect(await daemon.exited).toBe(0);
  });
  test("that cannot be told is a warning only", async () => {
    const env = { NOTIFY_SOCKET: scratch.join("nobody") };
    await using daemon = startDaemon(["--config", configFile()], { env });
    await daemon.next("started");
    expect(await daemon.next("warning")).toMatchObject({
      message: "systemd cannot be told how the service is doing: ENOENT",
    });
  });
  test("hands a socket over, which decides the address", async () => {
    using given = givenSocket();
    const env = { LISTEN_FDS: "1" };
    await using daemon = startDaemon(["--config", configFile(), "--port", "9"], { socket: given.fd, env });
    const started = await daemon.next("started");
    expect(started["listen"]).toEqual([`127.0.0.1:${given.port}`]);
    expect(started["data_port"]).toBe(given.port + 1);
    given.release();
    (await connectTo(given.port)).destroy();
    await daemon.next("session_start");
    daemon.kill("SIGTERM");
    expect(await daemon.exited).toBe(0);
  });
  test("hands over something else: exit 5, and what it is", async () => {
    const env = { LISTEN_FDS: "1" };
    await using daemon = startDaemon(["--config", configFile()], { socket: 2, env });
    expect(await daemon.exited).toBe(5);
    expect(JSON.parse(daemon.text())).toMatchObject({
      reason: "descriptor 3, which systemd passed, is not a listening TCP socket",
      exit_code: 5,
    });
  });
  test("hands over several without saying which: exit 5", async () => {
    const env = { LISTEN_FDS: "2", LISTEN_FDNAMES: "a:b" };
    await using daemon = startDaemon(["--config", configFile()], { socket: 2, env });
    expect(await daemon.exited).toBe(5);
    expect(daemon.text()).toContain("FileDescriptorName=control has to name one of them");
  });
  test("passed sockets to another process", async () => {
    await using daemon = startDaemon(["--config", configFile()], { env: { LISTEN_FDS: "1", LISTEN_PID: "1" } });
    expect(portOf(await daemon.next("started"))).toBeGreaterThan(0);
  });
});
