/**
 * The life of the daemon's process.
 *
 *     configuration   from files and flags; anything wrong in it: exit 1, and nothing listens
 *     socket          one that systemd passed, or our own
 *     serve           listens; told to systemd (READY=1) and to the log
 *     SIGHUP          reads the configuration again; a wrong one changes nothing
 *     SIGTERM         accepts nothing new, lets sessions end until the deadline, then cuts them
 *     a second one    cuts them at once
 */

import { safe } from "../config/table.ts";
import type { DaemonFlags, RunDaemon } from "../core/daemon-flags.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { isLoopback } from "../core/ip.ts";
import { RunError } from "../core/run-error.ts";
import { type Announcer, announce } from "./announce.ts";
import type { DaemonConfig } from "./config.ts";
import { openedRanges } from "./delegation.ts";
import { listenFailure } from "./listen-failure.ts";
import { loadConfig } from "./load-config.ts";
import { DaemonLog } from "./log.ts";
import { moduleWarnings } from "./module-state.ts";
import { type Notifier, notifierOf } from "./notify.ts";
import type { Listener, Serve } from "./server-contract.ts";
import { ServiceSignals } from "./signals.ts";
import { type Activation, activationOf } from "./socket-activation.ts";

/** Cutting what is left is only closing sockets; a process that cannot do that in time goes all the same. */
const CUT_MS = 2000;

export const runDaemon: RunDaemon = (flags) =>
  runDaemonWith(flags, () => import("./serve.ts").then((module) => module.serve));

export async function runDaemonWith(flags: DaemonFlags, loadServe: () => Promise<Serve>): Promise<number> {
  const loaded = loadConfig(flags);
  if (loaded.kind === "unusable") {
    console.error(`fastsync daemon: the configuration cannot be used:\n${indented(loaded.problems)}`);
    return ExitCode.usage;
  }
  const log = new DaemonLog(loaded.config.logFormat);
  const activation = activationOf(process.env, process.pid);
  if (activation.kind === "unusable") return failed(log, ExitCode.starting, activation.message);
  using signals = new ServiceSignals();
  const daemon = new Daemon(flags, loaded.config, activation, log);
  const serve = await loadServe();
  let listener: Listener;
  try {
    listener = await serve(
      { config: () => daemon.config, log },
      activation.kind === "socket" ? { controlFd: activation.fd } : {},
    );
  } catch (error) {
    const { exitCode, message } = error instanceof RunError ? error : listenFailure(error, daemon.config);
    return failed(log, exitCode, message);
  }
  daemon.started(listener, loaded.warnings);
  signals.onReload(() => daemon.reload());
  const signal = await signals.stop;
  signals.onReload(undefined);
  return await daemon.stop(signal, signals.stopAtOnce);
}

class Daemon {
  /** In force: what was loaded, on the addresses that are bound. */
  config: DaemonConfig;
  /** As it was loaded last. */
  #loaded: DaemonConfig;
  #listener: Listener | undefined;
  #announcer: Promise<Announcer | undefined> | undefined;
  readonly #flags: DaemonFlags;
  readonly #log: DaemonLog;
  readonly #notifier: Notifier;
  readonly #activation: Activation;

  constructor(flags: DaemonFlags, config: DaemonConfig, activation: Activation, log: DaemonLog) {
    this.#flags = flags;
    this.#loaded = config;
    this.#activation = activation;
    this.#log = log;
    this.config = boundTo(config, activation);
    this.#notifier = notifierOf(process.env, (problem) => log.warning(problem));
  }

  started(listener: Listener, warnings: readonly string[]): void {
    this.#listener = listener;
    const { bind, modules, root, files } = this.config;
    this.#log.event("info", "started", {
      listen: bind.map((address) => withPort(address, listener.controlPort)),
      data_port: listener.dataPort ?? "none",
      metrics: listener.metrics,
      modules: modules.map(({ name }) => name),
      root: root?.path,
      config: files,
      pid: process.pid,
    });
    const given = this.#activation.kind === "socket" ? this.#activation.warnings : [];
    for (const warning of [...given, ...warnings, ...exposure(this.config), ...standing(this.config)])
      this.#log.warning(warning);
    this.#announcer = announce(this.config, listener.controlPort, this.#log);
    this.#notifier.ready(this.#status());
  }

  reload(): void {
    this.#notifier.reloading();
    const loaded = loadConfig(this.#flags);
    if (loaded.kind === "unusable") {
      const { problems } = loaded;
      this.#log.event("error", "reload", { outcome: "kept_old", problems: problems.join("; ") });
    } else {
      const bound = boundFields(this.config);
      const fixed = fixedChanges(this.#loaded, loaded.config);
      this.#loaded = loaded.config;
      this.config = { ...loaded.config, ...bound };
      this.#log.format = loaded.config.logFormat;
      void this.#announcer?.then((announcer) => announcer?.update(this.config));
      this.#log.event("info", "reload", {
        outcome: "done",
        modules: this.config.modules.map(({ name }) => name),
        config: this.config.files,
      });
      for (const warning of [...fixed, ...loaded.warnings, ...standing(this.config)]) this.#log.warning(warning);
    }
    this.#notifier.ready(this.#status());
  }

  async stop(signal: string, atOnce: Promise<string>): Promise<ExitCode> {
    const listener = this.#listener!;
    const deadlineMs = this.config.drainTimeoutMs;
    // First of all nobody new comes in: when it is said, it is so.
    const drained = listener.drain(deadlineMs).then(() => "drained");
    // Nobody is to find what takes no sessions any more.
    const gone = this.#announcer?.then((announcer) => announcer?.stop());
    this.#log.event("info", "stopping", { signal, sessions: listener.sessions(), deadline_ms: deadlineMs });
    this.#notifier.stopping(`Waiting for ${sessionsText(listener.sessions())} to end`);
    using deadline = timer(deadlineMs, "deadline");
    const ended = await Promise.race([drained, deadline.promise, atOnce.then((second) => `second ${second}`)]);
    const cut = ended === "drained" ? 0 : listener.sessions();
    using patience = timer(CUT_MS, undefined);
    await Promise.race([Promise.all([listener.stop(), gone]), patience.promise]);
    const level = cut > 0 ? "warning" : "info";
    this.#log.event(level, "stopped", { reason: ended, sessions_cut: cut });
    return cut > 0 ? ExitCode.interrupted : ExitCode.ok;
  }

  #status(): string {
    const { bind, modules, root } = this.config;
    const listen = bind.map((address) => withPort(address, this.#listener!.controlPort)).join(", ");
    const served = `${modules.length} ${modules.length === 1 ? "module" : "modules"}`;
    return `Serving ${served}${root === undefined ? "" : " and the root"} on ${listen}`;
  }
}

/** A socket from systemd decides where we listen; the data port follows it unless it was set. */
function boundTo(config: DaemonConfig, activation: Activation): DaemonConfig {
  if (activation.kind !== "socket") return config;
  const { address, port } = activation;
  const follows = config.dataPort === config.port + 1 && port < 65_535;
  return { ...config, bind: [address], port, dataPort: follows ? port + 1 : config.dataPort };
}

/** What is decided once, when the daemon starts. */
function boundFields(config: DaemonConfig): Partial<DaemonConfig> {
  const { bind, port, dataPort, mdns, stateDirectory, metrics } = config;
  return { bind, port, dataPort, mdns, stateDirectory, metrics };
}

function fixedChanges(before: DaemonConfig, after: DaemonConfig): string[] {
  const keys = {
    ...({ bind: "bind", port: "port", dataPort: "data_port", mdns: "mdns" } as const),
    ...({ stateDirectory: "state_directory", metrics: "metrics" } as const),
  } as const;
  return Object.entries(keys).flatMap(([field, key]) => {
    const [old, fresh] = [before, after].map((config) => JSON.stringify(config[field as keyof typeof keys]));
    return old === fresh ? [] : [`${key} cannot change while the daemon runs; it takes a restart`];
  });
}

/** Loud, because nothing stands between the network and the modules but addresses. */
function exposure({ bind }: DaemonConfig): string[] {
  const open = bind.filter((address) => !isLoopback(address));
  if (open.length === 0) return [];
  return [
    `ANYBODY WHO CAN REACH ${open.join(", ")} CAN USE THIS DAEMON: there is no authentication and no encryption yet. ` +
      "Use bind = 127.0.0.1 with ssh -L, or a network that you trust, and allow lists",
  ];
}

/** True of the configuration at a start and at each reload. */
function standing(config: DaemonConfig): string[] {
  const opened = openedRanges(config.delegation);
  return [
    ...moduleWarnings(config),
    ...(opened.length === 0 ? [] : [`delegation may dial the own machine or link: ${opened.join(", ")}`]),
  ];
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function sessionsText(count: number): string {
  return count === 1 ? "1 session" : `${count} sessions`;
}

/** The last word of a start that failed: for people as the command line speaks, for machines as an event. */
function failed(log: DaemonLog, exitCode: ExitCode, message: string): ExitCode {
  if (log.format === "json") log.event("error", "stopped", { reason: message, exit_code: exitCode });
  else console.error(`fastsync daemon: ${safe(message)} (exit ${exitCode})`);
  return exitCode;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}`).join("\n");
}

function timer<T>(delayMs: number, value: T): Disposable & { readonly promise: Promise<T> } {
  const { promise, resolve } = Promise.withResolvers<T>();
  const handle = setTimeout(() => resolve(value), delayMs);
  return { promise, [Symbol.dispose]: () => clearTimeout(handle) };
}
