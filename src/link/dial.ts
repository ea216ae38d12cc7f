/**
 * Connects to a daemon. In a module of its own, and first: while the connection is on its way there is time to load all
 * that a session needs.
 */
import { connect, type Socket } from "node:net";
import { DEFAULT_PORT } from "../core/default-port.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { RunError } from "../core/run-error.ts";

export interface DaemonAddress {
  /** Name or address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export function printableAddress({ host, port }: DaemonAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * What a daemon says, with where that is. Its sentences about a place begin with that place as it stands behind `HOST:`,
 * or with the side and the place: `/photos/x is ...` becomes `nas:/photos/x is ...`.
 */
export function saidAt(address: DaemonAddress, message: string, reason = ""): string {
  const [, side, sentence] = /^(source |target )?(\/.*)$/s.exec(message) ?? [];
  const where = printableAddress(address);
  const host = address.port === DEFAULT_PORT ? where.slice(0, where.lastIndexOf(":")) : where;
  if (sentence !== undefined) return `${side ?? ""}${host}:${sentence}`;
  const way = reason === "no_such_module" ? `; fastsync list-modules ${host} shows what there is` : "";
  return `${where}: ${message}${way}`;
}

/** Throws RunError: exit 10 when nobody answers there, 35 when nobody answers in time. */
export function dial(
  address: DaemonAddress,
  signal: AbortSignal,
  timeoutMs: number = LIMITS.connectTimeoutMs,
): Promise<Socket> {
  const where = printableAddress(address);
  return new Promise<Socket>((resolve, reject) => {
    const socket = connect({ host: address.host, port: address.port, noDelay: true });
    const fail = (exitCode: ExitCode, reason: string, message: string): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      socket.destroy();
      reject(new RunError(exitCode, reason, message));
    };
    const stop = (): void => fail(ExitCode.interrupted, "interrupted", `interrupted while connecting to ${where}`);
    const timer = setTimeout(
      () =>
        fail(
          ExitCode.connectTimeout,
          "connect_timeout",
          `no answer from ${where} within ${timeoutMs / 1000} s; is the port open in the firewall?`,
        ),
      timeoutMs,
    );
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    socket.once("error", (error: NodeJS.ErrnoException) =>
      fail(ExitCode.socket, "connect_failed", explain(error, where)),
    );
    socket.once("connect", () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      socket.removeAllListeners("error");
      // It may break before anybody uses it, and then whoever does will notice.
      socket.on("error", () => undefined);
      resolve(socket);
    });
  });
}

function explain(error: NodeJS.ErrnoException, where: string): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return `nothing listens at ${where}; is the daemon running there, and bound to that address?`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the name of ${where} cannot be resolved`;
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `there is no route to ${where}`;
    default:
      return `cannot connect to ${where}: ${error.message}`;
  }
}

/** A connection that is made before anybody can use it. Taken once, or closed. */
export class EarlyDial {
  private readonly stop = new AbortController();
  private socket: Promise<Socket> | undefined;

  constructor(address: DaemonAddress, signal: AbortSignal) {
    this.socket = dial(address, AbortSignal.any([signal, this.stop.signal]));
    // Whoever takes it hears why it failed; until then that is nobody's error.
    this.socket.catch(() => undefined);
  }

  take(): Promise<Socket> | undefined {
    const { socket } = this;
    this.socket = undefined;
    return socket;
  }

  /** Nobody will take it any more. */
  drop(): void {
    const socket = this.take();
    this.stop.abort();
    socket?.then(
      (open) => open.destroy(),
      () => undefined,
    );
  }
}
