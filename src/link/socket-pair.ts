/** A connected pair of sockets inside this process: the backend at one end, the control plane at the other. */
import { dlopen, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

function openSymbols() {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${machine}.so.1`]) {
    try {
      return dlopen(name, { socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" } }).symbols;
    } catch {
      // The next name; glibc and musl are never both there.
    }
  }
  throw new Error("the system's C library cannot be opened, which content inside the control plane needs");
}

let symbols: ReturnType<typeof openSymbols> | undefined;

/** Two descriptors, non-blocking and closed on exec; the caller closes both. */
export function socketPair(): [number, number] {
  symbols ??= openSymbols();
  const fds = new Int32Array(2);
  const made = symbols.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ptr(fds));
  if (made !== 0) throw new Error("no sockets can be made: too many open files?");
  return [fds[0]!, fds[1]!];
}
