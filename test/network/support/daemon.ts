/** A real daemon as a process, on addresses and in a network namespace of the test's choosing. */
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type Circumstances, commandPrefix, environment, fastsyncCommand, ROOT } from "../../support/program.ts";
import { type TempDir, tempDir } from "../../support/temp.ts";

export interface LogLine {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface DaemonSettings extends Circumstances {
  /** Default 127.0.0.1. */
  readonly bind?: readonly string[];
  /** Default: any that is free. */
  readonly port?: number;
  /** Further lines of [daemon]. */
  readonly daemon?: string;
  /** Lines of [delegation]. */
  readonly delegation?: string;
  /** What the module `m` serves, for reading and writing. */
  readonly path: string;
  /** Further lines of the module. */
  readonly module?: string;
  /** Default: the program under test. */
  readonly command?: readonly string[];
}

export interface TestDaemon extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly dataPort: number;
  readonly pid: number;
  readonly exited: Promise<number>;
  /** `HOST:PORT:/m/PATH`. */
  place(path?: string): string;
  log(event?: string): LogLine[];
  /** Waits until the log has such a line. */
  logged(event: string, fits?: (line: LogLine) => boolean): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  rssBytes(): number;
  descriptors(): number;
}

export async function startDaemon(settings: DaemonSettings): Promise<TestDaemon> {
  const scratch = tempDir();
  const { bind = ["127.0.0.1"], port = 0, daemon = "", delegation, path, module = "" } = settings;
  const config = scratch.join("config.toml");
  writeFileSync(
    config,
    `[daemon]
log = "json"
bind = ${JSON.stringify(bind)}
port = ${port}
${daemon}
[[module]]
name = "m"
path = ${JSON.stringify(path)}
read_only = false
${module}
${delegation === undefined ? "" : `[delegation]\n${delegation}`}
`,
    { mode: 0o644 },
  );
  const logFile = scratch.join("log");
  const fd = openSync(logFile, "w");
  const command = settings.command ?? fastsyncCommand();
  const child = Bun.spawn([...commandPrefix(settings), ...command, "daemon", "--config", config], {
    cwd: ROOT,
    // Its history of jobs is its own, also on a port that others have had.
    env: { ...environment(settings), XDG_STATE_HOME: scratch.join("state") },
    stdin: "ignore",
    stdout: "ignore",
    stderr: fd,
  });
  closeSync(fd);
  const text = (): string => readFileSync(logFile, "utf8");
  const log = (event?: string): LogLine[] =>
    text()
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line) => JSON.parse(line) as LogLine)
      .filter((line) => event === undefined || line.event === event);
  const logged: TestDaemon["logged"] = (event, fits = () => true) =>
    eventually(
      () => {
        const found = log(event).find(fits);
        if (found === undefined && child.exitCode !== null) throw new Error(`the daemon ended:\n${text()}`);
        return found;
      },
      () => `a line ${event} in the log:\n${text().slice(-2000)}`,
    );
  const dispose = async (): Promise<void> => {
    using _: TempDir = scratch;
    child.kill("SIGKILL");
    await child.exited;
  };
  try {
    const started = await logged("started");
    const listen = (started["listen"] as string[])[0]!;
    const bound = Number(listen.slice(listen.lastIndexOf(":") + 1));
    const [host] = bind as [string];
    return {
      host,
      port: bound,
      dataPort: Number(started["data_port"]),
      pid: child.pid,
      exited: child.exited,
      place: (inside = "") => placeAt(host, bound, inside),
      log,
      logged,
      signal: (signal) => child.kill(signal),
      rssBytes: () => {
        const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
        return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
      },
      descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length,
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

export function placeAt(host: string, port: number, inside = ""): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}:/m/${inside}`;
}

/** What `find` gives as soon as it gives something. The bound only ends a test that would wait for ever. */
export async function eventually<T>(find: () => T | undefined | false, what: () => string): Promise<T> {
  const endMs = performance.now() + 30_000;
  for (;;) {
    const found = find();
    if (found !== undefined && found !== false) return found as T;
    if (performance.now() > endMs) throw new Error(`not within 30 s: ${what()}`);
    await Bun.sleep(10);
  }
}
