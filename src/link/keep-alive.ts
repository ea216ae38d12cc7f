/**
 * Between two frames a data connection says nothing, for hours where little changed, and what lies on its way (a firewall,
 * an address translation) may forget it meanwhile without a word. Then the control connection stands, the source has sent
 * all that it was asked for as far as it knows, and the target waits. So the kernel asks the other one's now and then.
 */
import { IPPROTO_TCP, SOL_SOCKET, setSocketOption } from "./socket-options.ts";

/* asm-generic/socket.h and linux/tcp.h */
const SO_KEEPALIVE = 9;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;

const PROBES = 4;

/** Fails with ETIMEDOUT within about that time when the other end is not reached any more, and that is in seconds. */
export function keepAlive(fd: number, withinMs: number): void {
  const seconds = (ms: number): number => Math.max(1, Math.floor(ms / 1000));
  setSocketOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, Math.min(32_767, seconds(withinMs / 2)));
  setSocketOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Math.min(32_767, seconds(withinMs / 2 / PROBES)));
  setSocketOption(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
  setSocketOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}
