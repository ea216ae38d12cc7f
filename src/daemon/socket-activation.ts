/**
 * Sockets that systemd opened for the service: sd_listen_fds(3). They come as descriptors from 3 on, LISTEN_FDS of
 * them, for the process LISTEN_PID, with names in LISTEN_FDNAMES.
 */
import { closeSync } from "node:fs";
import { formatIp, parseIp } from "../core/ip.ts";
import { AF_INET, AF_INET6, SO_ACCEPTCONN, SO_DOMAIN, systemSockets } from "./system-sockets.ts";

type Environment = Record<string, string | undefined>;

export type Activation =
  | { readonly kind: "none" }
  | {
      readonly kind: "socket";
      readonly fd: number;
      readonly address: string;
      readonly port: number;
      readonly warnings: readonly string[];
    }
  | { readonly kind: "unusable"; readonly message: string };

const FIRST_FD = 3;
const CONTROL_NAME = "control";

export function activationOf(env: Environment, pid: number): Activation {
  const [givenPid, count, names] = [env["LISTEN_PID"], env["LISTEN_FDS"], env["LISTEN_FDNAMES"]];
  for (const name of ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete env[name];
  if (givenPid !== String(pid) || count === undefined || !/^[1-9]\d{0,3}$/.test(count)) return { kind: "none" };
  const fds = Array.from({ length: Number(count) }, (_, index) => FIRST_FD + index);
  const labels = names?.split(":") ?? [];
  const named = fds.filter((fd) => labels[fd - FIRST_FD] === CONTROL_NAME);
  const chosen = fds.length === 1 ? fds[0]! : named.length === 1 ? named[0]! : undefined;
  if (chosen === undefined) {
    return unusable(`systemd passed ${fds.length} sockets; FileDescriptorName=control has to name one of them`);
  }
  const others = fds.filter((fd) => fd !== chosen);
  for (const fd of others) closeQuietly(fd);
  const warnings = others.length === 0 ? [] : ["sockets from systemd other than the one named control are not used"];
  return describe(chosen, warnings);
}

function describe(fd: number, warnings: readonly string[]): Activation {
  if (systemSockets === undefined) return unusable("sockets from systemd can be used on Linux only");
  const isListening = systemSockets.socketOption(fd, SO_ACCEPTCONN) === 1;
  const domain = systemSockets.socketOption(fd, SO_DOMAIN);
  const name = systemSockets.socketName(fd);
  if (!isListening || (domain !== AF_INET && domain !== AF_INET6) || typeof name === "number") {
    return unusable(`descriptor ${fd}, which systemd passed, is not a listening TCP socket`);
  }
  systemSockets.closeOnExec(fd);
  const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
  return { kind: "socket", fd, address: addressOf(view, domain), port: view.getUint16(2), warnings };
}

/** struct sockaddr_in has the address at 4, struct sockaddr_in6 at 8; both in network order. */
function addressOf(view: DataView, domain: number): string {
  if (domain === AF_INET) return formatIp({ family: 4, bits: BigInt(view.getUint32(4)) });
  const text = formatIp({ family: 6, bits: (view.getBigUint64(8) << 64n) | view.getBigUint64(16) });
  // A socket of IPv6 may be bound to an address of IPv4.
  return formatIp(parseIp(text)!);
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // It was not open: nothing to give back.
  }
}

function unusable(message: string): Activation {
  return { kind: "unusable", message };
}
