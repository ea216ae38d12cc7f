/** A unix datagram socket that takes messages, as systemd's notification socket does. Bun has none. */
import { dlopen, ptr } from "bun:ffi";

const signatures = {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
} as const;

const MSG_DONTWAIT = 0x40;
const POLL_MS = 10;

function load() {
  if (process.platform !== "linux") return undefined;
  for (const name of ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`]) {
    try {
      return dlopen(name, signatures).symbols;
    } catch {}
  }
  return undefined;
}

const libc = load();
export const datagramsMissing = libc === undefined ? "no C library that bun:ffi can load (Linux only)" : undefined;

export interface DatagramSocket extends Disposable {
  readonly next: () => Promise<string>;
}

/** `address` as in NOTIFY_SOCKET: a path, or `@name` for an abstract one. */
export function receiveDatagrams(address: string): DatagramSocket {
  const fd = libc!.socket(1, 2, 0);
  const name = Buffer.from(`\x01\0${address}`);
  if (address.startsWith("@")) name[2] = 0;
  if (fd < 0 || libc!.bind(fd, ptr(name), name.length) < 0) throw new Error(`cannot bind to ${address}`);
  const buffer = Buffer.alloc(4096);
  return {
    async next() {
      for (;;) {
        const got = Number(libc!.recv(fd, ptr(buffer), buffer.length, MSG_DONTWAIT));
        if (got >= 0) return buffer.toString("utf8", 0, got);
        await Bun.sleep(POLL_MS);
      }
    },
    [Symbol.dispose]: () => void libc!.close(fd),
  };
}
