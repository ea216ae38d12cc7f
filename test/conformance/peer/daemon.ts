/**
 * The daemon under test: one that is started here (from source, or FASTSYNC_BIN), or any other that runs already:
 *
 *     FASTSYNC_DAEMON=host:port          its control port
 *     FASTSYNC_DAEMON_WRITE=name         a module that may be read and written (default "rw")
 *     FASTSYNC_DAEMON_READ=name          a read-only module (default "ro"), whose root is a directory
 *     FASTSYNC_DAEMON_PATH=/directory    that of the writable module, where the tests can reach it
 *
 * It has a data port, serves nothing under the empty module name, waits for an opening at most 10 s, admits 32 sessions
 * and 200 connections of us at a time, and drops setuid bits, devices, FIFOs and sockets that are sent to it. What the
 * tests write begins with `conformance-` and a number of the test run; where they know the directory they remove it.
 *
 * Without FASTSYNC_DAEMON_PATH what has to prepare files, or look at them, is left out. What needs another configuration
 * (modules with rules, short timeouts), or the process itself (memory, descriptors, log), is left out beside any daemon
 * that was not started here. The name of such a test says so.
 */
import { test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnv } from "../../cli/processes.ts";

const ROOT = join(import.meta.dir, "../../..");

/** The command under test. */
export function fastsync(): string[] {
  const binary = process.env["FASTSYNC_BIN"];
  return binary === undefined
    ? [process.execPath, join(ROOT, "src/main.ts")]
    : [binary.startsWith("/") ? binary : join(ROOT, binary)];
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface Daemon extends Address, AsyncDisposable {
  readonly modules: { readonly read: string; readonly write: string };
  /** What names in the writable module begin with: that of another daemon keeps what earlier runs left. */
  readonly prefix: string;
  /** The writable module's directory; undefined: out of reach. */
  readonly directory: string | undefined;
  /** Undefined: it was not started here. */
  readonly process: DaemonProcess | undefined;
}
export type OwnDaemon = Daemon & { readonly directory: string; readonly process: DaemonProcess };

export class DaemonProcess {
  readonly directory: string;
  private readonly child: Bun.Subprocess;
  private text = "";

  constructor(directory: string, child: Bun.Subprocess) {
    this.directory = directory;
    this.child = child;
    void this.read();
  }

  private async read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.child.stderr as ReadableStream<Uint8Array>)
      this.text += decoder.decode(chunk, { stream: true });
  }

  get stderr(): string {
    return this.text;
  }
  get pid(): number {
    return this.child.pid;
  }
  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
  path(name: string): string {
    return join(this.directory, name);
  }

  log(event?: string): LogLine[] {
    const lines = this.text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as LogLine);
    return event === undefined ? lines : lines.filter((line) => line.event === event);
  }

  /** Waits until the log has such a line. */
  async logged(event: string, fits: (line: LogLine) => boolean = () => true, withinMs = 20_000): Promise<LogLine> {
    return eventually(
      () => this.log(event).find(fits),
      () => `a log line ${event} in\n${this.text.slice(-2000)}`,
      withinMs,
    );
  }

  rssBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, "latin1");
    return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
  }
  descriptors(): string[] {
    return readdirSync(`/proc/${this.pid}/fd`);
  }

  async kill(): Promise<void> {
    // A crash is told where it is seen: the tests that ran then say little about it.
    if (!this.isAlive) console.error(`the daemon is dead (${this.child.signalCode}):\n${this.text.slice(-3000)}`);
    this.child.kill("SIGKILL");
    await this.child.exited;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What `find` gives as soon as it gives something; a test's only clock is this bound. */
export async function eventually<T>(
  find: () => T | undefined | false,
  what: string | (() => string),
  withinMs = 20_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found as T;
    if (performance.now() > deadline)
      throw new Error(`not within ${withinMs} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(10);
  }
}

export function external(): Address | undefined {
  const given = process.env["FASTSYNC_DAEMON"];
  if (given === undefined || given === "") return undefined;
  const colon = given.lastIndexOf(":");
  return { host: given.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(given.slice(colon + 1)) };
}

export interface DaemonSettings {
  /** `idle_timeout`: long enough for a loaded machine, where it is not what is tested. */
  readonly idle?: string;
  /** Lines of [daemon]. */
  readonly daemon?: string;
  /** Further modules, as TOML; `DIR` is the daemon's directory. */
  readonly modules?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A daemon with small deadlines, a module `rw` and a read-only module `ro` with a file in it. */
export async function startDaemon(settings: DaemonSettings = {}): Promise<OwnDaemon> {
  const directory = mkdtempSync(join(tmpdir(), "fastsync-conformance-"));
  for (const name of ["rw", "ro", "outside"]) mkdirSync(join(directory, name));
  writeFileSync(join(directory, "ro/file"), "read only\n");
  writeFileSync(join(directory, "outside/secret"), "secret\n");
  writeFileSync(
    join(directory, "config.toml"),
    `[daemon]
port = 0
data_port = "any"
log = "json"
handshake_timeout = "2s"
idle_timeout = "${settings.idle ?? "8s"}"
${settings.daemon ?? ""}
[[module]]
name = "rw"
path = "${directory}/rw"
read_only = false
[[module]]
name = "ro"
path = "${directory}/ro"
${(settings.modules ?? "").replaceAll("DIR", directory)}
`.replace('data_port = "any"\n', ""),
    { mode: 0o644 },
  );
  const child = Bun.spawn([...fastsync(), "daemon", "--config", join(directory, "config.toml")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: cleanEnv({ FASTSYNC_DEBUG: "1", ...settings.env }),
  });
  const process = new DaemonProcess(directory, child);
  const started = await process.logged("started");
  const port = Number(
    String((started["listen"] as string[])[0])
      .split(":")
      .at(-1),
  );
  return {
    host: "127.0.0.1",
    port,
    modules: { read: "ro", write: "rw" },
    prefix: "",
    directory: join(directory, "rw"),
    process,
    [Symbol.asyncDispose]: () => process.kill(),
  };
}

/** The daemon that FASTSYNC_DAEMON names, or one of our own. */
export async function daemonUnderTest(settings: DaemonSettings = {}): Promise<Daemon> {
  const address = external();
  if (address === undefined) return startDaemon(settings);
  const directory = givenDirectory();
  const prefix = `conformance-${crypto.randomUUID().slice(0, 8)}-`;
  return {
    ...address,
    modules: {
      read: process.env["FASTSYNC_DAEMON_READ"] ?? "ro",
      write: process.env["FASTSYNC_DAEMON_WRITE"] ?? "rw",
    },
    prefix,
    directory,
    process: undefined,
    [Symbol.asyncDispose]: async () => {
      if (directory === undefined) return;
      for (const name of readdirSync(directory))
        if (name.startsWith(prefix)) rmSync(join(directory, name), { recursive: true, force: true });
    },
  };
}

function givenDirectory(): string | undefined {
  const given = process.env["FASTSYNC_DAEMON_PATH"];
  return given === undefined || given === "" ? undefined : given;
}

/** A path in the writable module, as a peer says it. */
export function named({ prefix }: Daemon, path: string): string {
  return prefix + path;
}
/** The same path for the tests' own hands. */
export function fileOf({ directory, prefix }: Daemon, path: string): string {
  if (directory === undefined) throw new Error("the files of this daemon are out of reach");
  return join(directory, prefix + path);
}

// ---- what another daemon cannot be asked for --------------------------------------------------------------------

type Define = typeof test;

function unless(reason: string | undefined): Define {
  if (reason === undefined) return test;
  const skip = (name: string, run: Parameters<Define>[1]): void => test.skip(`${name} (${reason})`, run);
  return Object.assign(skip, { concurrent: skip }) as unknown as Define;
}

const isOther = external() !== undefined;
/** Tests of a daemon that has to be configured for them. */
export const configured = unless(isOther ? "needs a configuration of its own" : undefined);
/** Tests that look at the process or its log. */
export const watched = unless(isOther ? "looks at the daemon's process" : undefined);
/** Tests that prepare files of the writable module, or look at them. */
export const withFiles = unless(
  isOther && givenDirectory() === undefined ? "needs the daemon's files: FASTSYNC_DAEMON_PATH" : undefined,
);
