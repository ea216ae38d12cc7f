/** The processes at the other end: fastsync's daemon, rsync's, and the long line between. They end with their scope. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { type TempDir, tempDir } from "../test/support/temp.ts";
import { subjectCommand } from "./commands.ts";

const READY_MS = 30_000;
/** Of /proc/PID/stat, on every Linux. */
const TICKS_PER_SECOND = 100;

export const HERE = "127.0.0.1";

export interface Service extends AsyncDisposable {
  readonly pid: number;
  /** What it wrote so far. */
  readonly log: () => string;
  /** Asks it to end, and waits for that. */
  readonly end: () => Promise<void>;
}

/** Each is given a scratch directory of its own. */
async function startService(
  make: (scratch: TempDir) => readonly string[],
  isReady: (log: string) => boolean,
): Promise<Service> {
  const scratch = tempDir();
  const command = make(scratch);
  const path = scratch.join("log");
  const fd = openSync(path, "a");
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: fd, stderr: fd });
  closeSync(fd);
  const log = () => readFileSync(path, "utf8");
  /* Before the filesystem is unmounted, which happens at the exit too. */
  const atExit = () => child.kill("SIGKILL");
  process.prependListener("exit", atExit);
  const end = async (): Promise<void> => {
    child.kill("SIGTERM");
    await child.exited;
  };
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
    process.off("exit", atExit);
    scratch[Symbol.dispose]();
  };
  for (const endMs = performance.now() + READY_MS; !isReady(log()); await Bun.sleep(5)) {
    if (child.exitCode === null && performance.now() < endMs) continue;
    const said = log();
    await dispose();
    throw new Error(`${command.join(" ")}: did not start:\n${said}`);
  }
  return { pid: child.pid, log, end, [Symbol.asyncDispose]: dispose };
}

/** Ports of this machine that nobody listens on now. */
export function freePorts(count: number): number[] {
  const probes = Array.from({ length: count }, () => Bun.listen({ hostname: HERE, port: 0, socket: { data() {} } }));
  const ports = probes.map(({ port }) => port);
  for (const probe of probes) probe.stop(true);
  return ports;
}

// ---- fastsync's daemon ---------------------------------------------------------------------------------------

export interface SessionEnd {
  /** Through data connections, frames included. */
  readonly bytes: number;
  readonly exitReason: string;
}

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  readonly dataPort: number;
  /** Another process on the same ports. */
  readonly restart: () => Promise<void>;
  readonly sessionEnds: () => SessionEnd[];
}

/** Serves `path` as the module `tree`. */
export async function startDaemon(path: string): Promise<Daemon> {
  const [port, dataPort] = freePorts(2) as [number, number];
  const config = `[daemon]
log = "json"
bind = "${HERE}"
port = ${port}
data_port = ${dataPort}
[[module]]
name = "tree"
path = "${path}"
read_only = false
strip_setid = false
`;
  const start = () =>
    startService(
      (scratch) => {
        writeFileSync(scratch.join("config.toml"), config, { mode: 0o644 });
        return [...subjectCommand(), "daemon", "--config", scratch.join("config.toml")];
      },
      (log) => log.includes('"event":"started"'),
    );
  let service = await start();
  return {
    port,
    dataPort,
    get pid() {
      return service.pid;
    },
    restart: async () => {
      await service[Symbol.asyncDispose]();
      service = await start();
    },
    sessionEnds: () => sessionEndsOf(service.log()),
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

export function sessionEndsOf(log: string): SessionEnd[] {
  const ends: SessionEnd[] = [];
  for (const line of log.split("\n")) {
    if (!line.includes('"event":"session_end"')) continue;
    const { bytes, exit_reason } = JSON.parse(line) as { bytes: number; exit_reason: string };
    ends.push({ bytes, exitReason: exit_reason });
  }
  return ends;
}

// ---- rsync's daemon ------------------------------------------------------------------------------------------

export interface Rsyncd extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
  /** Flags of both ends. */
  readonly flags: readonly string[];
}

/** Serves `path` as the module `tree`. */
export async function startRsyncd(path: string, flags: readonly string[]): Promise<Rsyncd> {
  const [port] = freePorts(1) as [number];
  const config = `use chroot = no
munge symlinks = no
reverse lookup = no
uid = ${process.getuid?.() ?? 0}
gid = ${process.getgid?.() ?? 0}
[tree]
path = ${path}
read only = no
`;
  const service = await startService(
    (scratch) => {
      const [file, log] = [scratch.join("rsyncd.conf"), scratch.join("log")];
      writeFileSync(file, config, { mode: 0o644 });
      const words = ["--daemon", "--no-detach", `--config=${file}`, `--log-file=${log}`];
      return ["rsync", ...words, `--address=${HERE}`, `--port=${port}`, ...flags];
    },
    (log) => log.includes("listening on port"),
  );
  return { pid: service.pid, port, flags, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

// ---- the long line -------------------------------------------------------------------------------------------

export interface Traffic {
  readonly port: number;
  readonly connections: number;
  readonly bytesThere: number;
  readonly bytesBack: number;
}

export interface DelayProxy extends AsyncDisposable {
  readonly host: string;
  /** Ends it. */
  readonly finish: () => Promise<Traffic[]>;
}

/** Whoever calls one of `ports` at `host`, an address of this machine, reaches the same port of 127.0.0.1. */
export async function startDelayProxy(
  program: string,
  host: string,
  roundTripMs: number,
  ports: readonly number[],
): Promise<DelayProxy> {
  const service = await startService(
    () => [program, host, HERE, String(roundTripMs), ...ports.map(String)],
    (log) => log.includes("ready"),
  );
  return {
    host,
    finish: async () => {
      await service.end();
      return trafficOf(service.log());
    },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

export function trafficOf(log: string): Traffic[] {
  const lines = log.split("\n").filter((line) => /^\d+ /.test(line));
  return lines.map((line) => {
    const [port = 0, connections = 0, bytesThere = 0, bytesBack = 0] = line.split(" ").map(Number);
    return { port, connections, bytesThere, bytesBack };
  });
}

// ---- what the kernel knows -----------------------------------------------------------------------------------

export interface ProcessUse {
  /** With children that have ended. */
  readonly cpuMs: number;
  /** Of the process alone, since it began. */
  readonly peakRssKiB: number;
}

export function processUse(pid: number): ProcessUse {
  return parseUse(readFileSync(`/proc/${pid}/stat`, "utf8"), readFileSync(`/proc/${pid}/status`, "utf8"));
}

/** proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17; the name before them may hold anything. */
export function parseUse(stat: string, status: string): ProcessUse {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, text) => sum + Number(text), 0);
  return { cpuMs: (ticks * 1000) / TICKS_PER_SECOND, peakRssKiB: Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) };
}

/** proc_pid_task_children: for children of the first thread, which is all that rsync has. */
export function hasChildren(pid: number): boolean {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim() !== "";
}

/**
 * The connections with `host:port` that the kernel knows, also those that ended in the last minute: in whose TIME_WAIT
 * they are does not matter. Each by the other end's address.
 */
export function connectionsWith(host: string, port: number): Set<string> {
  return parseConnections(readFileSync("/proc/net/tcp", "utf8"), host, port);
}

/** proc_net_tcp: `sl local remote state ...`; an address is an IPv4 address in the machine's order, and a port. */
export function parseConnections(table: string, host: string, port: number): Set<string> {
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, "0");
  const bytes = host.split(".").map(Number).reverse();
  const own = `${bytes.map((byte) => hex(byte, 2)).join("")}:${hex(port, 4)}`;
  const found = new Set<string>();
  for (const line of table.split("\n").slice(1)) {
    const [, local = "", remote = "", state] = line.trim().split(/\s+/);
    if (state === LISTENING) continue;
    if (local === own) found.add(remote);
    else if (remote === own) found.add(local);
  }
  return found;
}

const LISTENING = "0A";
