/** The C library that is there anyway: calls of the system that Bun and node have not. Linux only. */
import { dlopen, type FFIFunction, read } from "bun:ffi";

const ENOSYS = 38;

/** Undefined where it cannot be opened. */
export function openSystemLibc<Symbols extends Record<string, FFIFunction>>(symbols: Symbols) {
  if (process.platform !== "linux") return undefined;
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  for (const name of ["libc.so.6", `libc.musl-${machine}.so.1`]) {
    try {
      return dlopen(name, symbols).symbols;
    } catch {
      // The next name; glibc and musl are never both there.
    }
  }
  return undefined;
}

/**
 * A call's result, or the negative errno. Nothing may run between a call and reading its errno, so the two stand next to
 * each other: `checked(libc.call(...))`. `location`: `__errno_location` of the same library.
 */
export function errnoChecker(
  location: () => Parameters<typeof read.i32>[0] | null,
): (result: number | bigint) => number {
  return (result) => {
    if (result >= 0) return Number(result);
    const at = location();
    return at === null ? -ENOSYS : -read.i32(at) || -ENOSYS;
  };
}
