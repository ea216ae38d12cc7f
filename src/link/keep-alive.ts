/**
 * Between two frames a data connection says nothing, for hours where little changed, and what lies on its way (a firewall,
 * an address translation) may forget it meanwhile without a word. Then the control connection stands, the source has sent
 * all that it was asked for as far as it knows, and the target waits. So the kernel asks the other one's now and then.
 */
import { ptr } from "bun:ffi";
import { openSystemLibc } from "../../ffi/system-libc.ts";

/* asm-generic/socket.h and linux/tcp.h */
const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

const PROBES = 4;

const SYMBOLS = { setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" } } as const;
let libc: ReturnType<typeof openSystemLibc<typeof SYMBOLS>>;

/** Fails with ETIMEDOUT within about that time when the other end is not reached any more, and that is in seconds. */
export function keepAlive(fd: number, withinMs: number): void {
  libc ??= openSystemLibc(SYMBOLS);
  if (libc === undefined) return;
  const seconds = (ms: number): number => Math.max(1, Math.floor(ms / 1000));
  const set = (level: number, option: number, value: number): void => {
    libc!.setsockopt(fd, level, option, ptr(Int32Array.of(value)), 4);
  };
  set(IPPROTO_TCP, TCP_KEEPIDLE, Math.min(32_767, seconds(withinMs / 2)));
  set(IPPROTO_TCP, TCP_KEEPINTVL, Math.min(32_767, seconds(withinMs / 2 / PROBES)));
  set(IPPROTO_TCP, TCP_KEEPCNT, PROBES);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
}
