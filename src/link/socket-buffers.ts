/**
 * What the kernel holds for one connection. Left alone it grows the buffers as it learns the line, up to net.ipv4.tcp_rmem
 * and tcp_wmem; a size that is asked for stands instead, and is cut down to net.core.rmem_max and wmem_max, which most
 * systems have far below. Then what was asked for would be less than what comes by itself, and nothing is set.
 */
import { readFileSync } from "node:fs";
import { SOL_SOCKET, setSocketOption, socketOption } from "./socket-options.ts";

export interface SocketBuffers {
  /** Bytes; 0: as the kernel sees fit. */
  readonly sendBytes: number;
  readonly receiveBytes: number;
}

/** What became of it. */
export interface GrantedBuffer {
  /** Bytes that the kernel holds now. */
  readonly bytes: number;
  /** It goes on growing them by itself: it would have given less than that. */
  readonly isAutomatic: boolean;
}

export interface GrantedBuffers {
  readonly send: GrantedBuffer | undefined;
  readonly receive: GrantedBuffer | undefined;
}

/* asm-generic/socket.h; the kernel keeps twice the size, for its own use, and tells that. */
const OPTIONS = {
  send: { plain: 7, forced: 32, most: "core/wmem_max", automatic: "ipv4/tcp_wmem" },
  receive: { plain: 8, forced: 33, most: "core/rmem_max", automatic: "ipv4/tcp_rmem" },
} as const;

/** `beyondLimits`: where this process may, the limits of the system do not count; for the operator's own connections. */
export function sizeSocketBuffers(fd: number, asked: SocketBuffers, beyondLimits: boolean): GrantedBuffers {
  const one = (way: keyof typeof OPTIONS, bytes: number): GrantedBuffer | undefined =>
    bytes === 0 ? undefined : sizeBuffer(fd, way, bytes, beyondLimits);
  return { send: one("send", asked.sendBytes), receive: one("receive", asked.receiveBytes) };
}

function sizeBuffer(fd: number, way: keyof typeof OPTIONS, bytes: number, beyondLimits: boolean) {
  const { plain, forced, most, automatic } = OPTIONS[way];
  const limit = systemLimit(most);
  const isWithin = limit === undefined || bytes <= limit;
  const isForced = !isWithin && beyondLimits && set(fd, forced, bytes);
  // Cut down it still has to be as much as comes by itself.
  const isWorth = isWithin || limit >= (systemLimit(automatic) ?? 0);
  const isSet = isForced || (isWorth && set(fd, plain, bytes));
  const granted = socketOption(fd, SOL_SOCKET, plain);
  return granted === undefined ? undefined : { bytes: isSet ? granted >>> 1 : granted, isAutomatic: !isSet };
}

function set(fd: number, option: number, bytes: number): boolean {
  return setSocketOption(fd, SOL_SOCKET, option, Math.min(bytes, 0x3fffffff));
}

/** The last number of a sysctl; undefined: not told, as inside some network namespaces. */
function systemLimit(name: string): number | undefined {
  try {
    const value = Number(readFileSync(`/proc/sys/net/${name}`, "latin1").trim().split(/\s+/).at(-1));
    return Number.isSafeInteger(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
