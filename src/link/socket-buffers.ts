/**
 * What the kernel holds for one connection. Left alone it grows the buffers as it learns the line, up to net.ipv4.tcp_rmem
 * and tcp_wmem; a size that is asked for stands instead, and is cut down to net.core.rmem_max and wmem_max, which most
 * systems have far below. Then what was asked for would be less than what comes by itself, and nothing is set.
 */
import { ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import { openSystemLibc } from "../../ffi/system-libc.ts";

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

const SOL_SOCKET = 1;
/* asm-generic/socket.h; the kernel keeps twice the size, for its own use, and tells that. */
const OPTIONS = {
  send: { plain: 7, forced: 32, most: "core/wmem_max", automatic: "ipv4/tcp_wmem" },
  receive: { plain: 8, forced: 33, most: "core/rmem_max", automatic: "ipv4/tcp_rmem" },
} as const;

const SYMBOLS = {
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
} as const;
let libc: ReturnType<typeof openSystemLibc<typeof SYMBOLS>>;

/** `beyondLimits`: where this process may, the limits of the system do not count; for the operator's own connections. */
export function sizeSocketBuffers(fd: number, asked: SocketBuffers, beyondLimits: boolean): GrantedBuffers {
  const one = (way: keyof typeof OPTIONS, bytes: number): GrantedBuffer | undefined =>
    bytes === 0 ? undefined : sizeBuffer(fd, way, bytes, beyondLimits);
  return { send: one("send", asked.sendBytes), receive: one("receive", asked.receiveBytes) };
}

function sizeBuffer(fd: number, way: keyof typeof OPTIONS, bytes: number, beyondLimits: boolean) {
  libc ??= openSystemLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  const { plain, forced, most, automatic } = OPTIONS[way];
  const limit = systemLimit(most);
  const isWithin = limit === undefined || bytes <= limit;
  const isForced = !isWithin && beyondLimits && set(fd, forced, bytes);
  // Cut down it still has to be as much as comes by itself.
  const isWorth = isWithin || limit >= (systemLimit(automatic) ?? 0);
  const isSet = isForced || (isWorth && set(fd, plain, bytes));
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  if (libc.getsockopt(fd, SOL_SOCKET, plain, ptr(value), ptr(length)) !== 0) return undefined;
  return { bytes: isSet ? value[0]! >>> 1 : value[0]!, isAutomatic: !isSet };
}

function set(fd: number, option: number, bytes: number): boolean {
  const value = new Int32Array([Math.min(bytes, 0x3fffffff)]);
  return libc!.setsockopt(fd, SOL_SOCKET, option, ptr(value), 4) === 0;
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
