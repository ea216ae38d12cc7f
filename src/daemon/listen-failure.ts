/** What it means when the daemon cannot listen. */
import { ExitCode } from "../core/exit-codes.ts";
import { printableAddress } from "../link/dial.ts";
import type { DaemonConfig } from "./config.ts";

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use; another daemon may be running (--port chooses another port)",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "that is not permitted; ports below 1024 need CAP_NET_BIND_SERVICE",
  EAFNOSUPPORT: "this machine does not speak that family of addresses",
};

const METRICS_WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use; metrics in [daemon] names another",
};

/** Rethrows what has nothing to do with listening. */
export function listenFailure(error: unknown, config: DaemonConfig): { exitCode: ExitCode; message: string } {
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (typeof code !== "string" || !(code in WORDS)) throw error;
  const { metrics } = config;
  // `address` and `port` are those that were asked for.
  if (metrics !== undefined && metrics.host === address && metrics.port === port && port !== config.port)
    return {
      exitCode: ExitCode.socket,
      message: `cannot listen on ${printableAddress({ host: address, port })} for metrics: ${METRICS_WORDS[code] ?? WORDS[code]}`,
    };
  const hosts = address === undefined ? config.bind : [address];
  const where = hosts.map((host) => (host.includes(":") ? `[${host}]` : host)).join(", ");
  return {
    exitCode: ExitCode.socket,
    message: `cannot listen on ${where}, port ${port ?? config.port}: ${WORDS[code]}`,
  };
}
