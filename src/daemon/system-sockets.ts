/**
 * The few calls on sockets that neither Bun nor node:net have, from the C library that is there anyway. Linux only;
 * `systemSockets` is undefined elsewhere. Every function answers a result, or a negative errno.
 */
import { ptr } from "bun:ffi";
import { errnoChecker, openSystemLibc } from "../../ffi/system-libc.ts";

const SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
} as const;

const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCK_DGRAM_CLOEXEC = 0o2000002;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
export const SO_ACCEPTCONN = 30;
export const SO_DOMAIN = 39;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const CLOCK_MONOTONIC = 1;
/** struct sockaddr_storage. */
const ADDRESS_BYTES = 128;

export const systemSockets = openSockets();

function openSockets() {
  const c = openSystemLibc(SYMBOLS);
  if (c === undefined) return undefined;
  const checked = errnoChecker(c.__errno_location);
  return {
    /** One datagram to a unix socket. `address`: the bytes of sun_path; an abstract name begins with NUL. */
    sendUnixDatagram(address: Uint8Array, message: Uint8Array): number {
      const fd = checked(c.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0));
      if (fd < 0) return fd;
      const name = new Uint8Array(2 + address.length);
      new DataView(name.buffer).setUint16(0, AF_UNIX, true);
      name.set(address, 2);
      const sent = checked(c.sendto(fd, ptr(message), message.length, MSG_NOSIGNAL, ptr(name), name.length));
      c.close(fd);
      return sent;
    },
    socketOption(fd: number, option: number): number {
      const value = new Int32Array(1);
      const size = new Uint32Array([4]);
      const result = checked(c.getsockopt(fd, SOL_SOCKET, option, ptr(value), ptr(size)));
      return result < 0 ? result : value[0]!;
    },
    /** struct sockaddr of the own side. */
    socketName(fd: number): Uint8Array | number {
      const name = new Uint8Array(ADDRESS_BYTES);
      const size = new Uint32Array([ADDRESS_BYTES]);
      const result = checked(c.getsockname(fd, ptr(name), ptr(size)));
      return result < 0 ? result : name.subarray(0, size[0]!);
    },
    closeOnExec: (fd: number): number => checked(c.fcntl(fd, F_SETFD, FD_CLOEXEC)),
    /** CLOCK_MONOTONIC, which Bun's own clocks do not show: they begin with the process. */
    monotonicMicroseconds(): bigint {
      const time = new BigInt64Array(2);
      c.clock_gettime(CLOCK_MONOTONIC, ptr(time));
      return time[0]! * 1_000_000n + time[1]! / 1000n;
    },
  };
}
