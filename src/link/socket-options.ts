/**
 * getsockopt(2) and setsockopt(2) for what neither Bun nor node:net set or tell, from the C library that is there anyway.
 * Linux only: elsewhere nothing is known, and nothing is set.
 */
import { ptr } from "bun:ffi";
import { openSystemLibc } from "../../ffi/system-libc.ts";

/* asm-generic/socket.h */
export const SOL_SOCKET = 1;
/* linux/in.h */
export const IPPROTO_TCP = 6;

const SYMBOLS = {
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
} as const;
let libc: ReturnType<typeof openSystemLibc<typeof SYMBOLS>>;

/** Undefined where the kernel does not tell. */
export function socketOption(fd: number, level: number, option: number): number | undefined {
  return socketStruct(fd, level, option, 4)?.[0];
}

/** A struct in words of 32 bits, as many as the kernel filled of at most `bytes`; undefined where it does not tell. */
export function socketStruct(fd: number, level: number, option: number, bytes: number): Int32Array | undefined {
  libc ??= openSystemLibc(SYMBOLS);
  if (libc === undefined) return undefined;
  const value = new Int32Array(bytes / 4);
  const length = new Uint32Array([bytes]);
  if (libc.getsockopt(fd, level, option, ptr(value), ptr(length)) !== 0) return undefined;
  return value.subarray(0, length[0]! >>> 2);
}

/** False where it cannot be set. */
export function setSocketOption(fd: number, level: number, option: number, value: number): boolean {
  libc ??= openSystemLibc(SYMBOLS);
  return libc !== undefined && libc.setsockopt(fd, level, option, ptr(Int32Array.of(value)), 4) === 0;
}
