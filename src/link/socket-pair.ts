/** A connected pair of sockets inside this process: the backend at one end, the control plane at the other. */
import { ptr } from "bun:ffi";
import { openSystemLibc } from "../../ffi/system-libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

const SYMBOLS = { socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" } } as const;
let libc: ReturnType<typeof openSystemLibc<typeof SYMBOLS>>;

/** Two descriptors, non-blocking and closed on exec; the caller closes both. */
export function socketPair(): [number, number] {
  libc ??= openSystemLibc(SYMBOLS);
  if (libc === undefined)
    throw new Error("the system's C library cannot be opened, which content inside the control plane needs");
  const fds = new Int32Array(2);
  const made = libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ptr(fds));
  if (made !== 0) throw new Error("no sockets can be made: too many open files?");
  return [fds[0]!, fds[1]!];
}
