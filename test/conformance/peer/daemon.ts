/**
 * The daemon under test: one that is started here (from source, or FASTSYNC_BIN), or one that runs somewhere already:
 *
 *     FASTSYNC_DAEMON=host:port          its control port
 *     FASTSYNC_DAEMON_WRITE=name         a module that may be read and written (default "rw"), empty at the start
 *     FASTSYNC_DAEMON_READ=name          a read-only module (default "ro")
 *
 * What needs another configuration, or the process itself (memory, descriptors, log, files), starts its own.
 */
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
  /** Undefined: it was not started here. */
  readonly process: DaemonProcess | undefined;
}

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
    return eventually(() => this.log(event).find(fits), `a log line ${event} in\n${this.text.slice(-2000)}`, withinMs);
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
export async function eventually<T>(find: () => T | undefined | false, what: string, withinMs = 20_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found as T;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
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
export async function startDaemon(
  settings: DaemonSettings = {},
): Promise<Daemon & { readonly process: DaemonProcess }> {
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
    process,
    [Symbol.asyncDispose]: () => process.kill(),
  };
}

/** The daemon that FASTSYNC_DAEMON names, or one of our own. */
export async function daemonUnderTest(): Promise<Daemon> {
  const address = external();
  if (address === undefined) return startDaemon();
  return {
    ...address,
    modules: {
      read: process.env["FASTSYNC_DAEMON_READ"] ?? "ro",
      write: process.env["FASTSYNC_DAEMON_WRITE"] ?? "rw",
    },
    process: undefined,
    [Symbol.asyncDispose]: async () => {},
  };
}
