/** Tells systemd how the service is doing: sd_notify(3), a datagram of lines to the socket in NOTIFY_SOCKET. */
import { errnoName } from "../core/errno.ts";
import { bytesOf } from "../core/paths.ts";
import { systemSockets } from "./system-sockets.ts";

type Environment = Record<string, string | undefined>;

/** sun_path, less its NUL. */
const MAX_ADDRESS_BYTES = 107;

export interface Notifier {
  ready(status: string): void;
  reloading(): void;
  stopping(status: string): void;
}

/** Nothing to tell where NOTIFY_SOCKET is not set. `onProblem` is called when a message could not be sent. */
export function notifierOf(env: Environment, onProblem: (problem: string) => void): Notifier {
  const socket = env["NOTIFY_SOCKET"];
  // Not for children: what they would say would be taken for ours.
  delete env["NOTIFY_SOCKET"];
  const send = (lines: readonly string[]): void => {
    if (socket === undefined || socket === "") return;
    const problem = sendTo(socket, lines.join("\n"));
    if (problem !== undefined) onProblem(`systemd cannot be told how the service is doing: ${problem}`);
  };
  return {
    ready: (status) => send(["READY=1", statusLine(status)]),
    // The time lets systemd tell the READY=1 that ends this reload from an earlier one.
    reloading: () => send(["RELOADING=1", `MONOTONIC_USEC=${systemSockets?.monotonicMicroseconds() ?? 0n}`]),
    stopping: (status) => send(["STOPPING=1", statusLine(status)]),
  };
}

function statusLine(status: string): string {
  return `STATUS=${status.replace(/[\u0000-\u001f]/g, " ")}`;
}

function sendTo(socket: string, text: string): string | undefined {
  if (!/^[/@]./.test(socket)) return `NOTIFY_SOCKET=${socket} is of a kind that is not known here`;
  const address = bytesOf(socket);
  if (address.length > MAX_ADDRESS_BYTES) return "the address in NOTIFY_SOCKET is too long";
  if (socket.startsWith("@")) address[0] = 0;
  if (systemSockets === undefined) return "the system's C library cannot be called";
  const sent = systemSockets.sendUnixDatagram(address, bytesOf(text));
  return sent < 0 ? errnoName(sent) : undefined;
}
