/** How far away the other end of a connection is. */
import { LIMITS } from "../core/limits.ts";
import { IPPROTO_TCP, socketStruct } from "./socket-options.ts";

/* linux/tcp.h: struct tcp_info, tcpi_min_rtt in microseconds; the rest of the struct differs between kernels. */
const TCP_INFO = 11;
const MIN_RTT_AT = 148;
const INFO_BYTES = 256;

/** The shortest round trip that the kernel saw on a TCP connection; undefined where it does not tell. */
function kernelRoundTripMs(fd: number): number | undefined {
  const micros = socketStruct(fd, IPPROTO_TCP, TCP_INFO, INFO_BYTES)?.[MIN_RTT_AT / 4];
  // Without a sample it is all ones.
  return micros === undefined || micros <= 0 ? undefined : micros / 1000;
}

/**
 * Round trip of the line below `fd`, on which an answer took `answeredMs`. An answer also waits for two processes that
 * may be busy, which says nothing of the line; the kernel's own figure does. What lies behind a tunnel is not seen: there
 * more streams would share its one connection anyway.
 */
export function lineRoundTripMs(fd: number, answeredMs: number): number {
  return Math.min(answeredMs, kernelRoundTripMs(fd) ?? answeredMs);
}

/** Whether its round trips are what costs; false where nothing is known. */
export function isFarLine(fd: number | undefined): boolean {
  const ms = fd === undefined ? undefined : kernelRoundTripMs(fd);
  return ms !== undefined && ms >= LIMITS.farFromMs;
}

/** Below it an answer is there before anybody misses it. */
const NEAR_MS = 3;

/** Whether the other end of a connection is near; false where nothing is known. */
export function isNearLine(fd: number | undefined): boolean {
  const ms = fd === undefined ? undefined : kernelRoundTripMs(fd);
  return ms !== undefined && ms < NEAR_MS;
}

/** The descriptor below a socket of node:net or node:http2, which their types do not show; undefined: not told. */
export function descriptorOf(socket: object | undefined): number | undefined {
  const fd = (socket as { _handle?: { fd?: unknown } } | undefined)?._handle?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}
