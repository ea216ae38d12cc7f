import { expect, test } from "bun:test";
import { mapsShowMusl } from "./process-libc.ts";

const line = (path: string): string => `7f0000000000-7f0000001000 r--p 00000000 08:01 42    ${path}\n`;

test.each([
  ["Alpine", "/lib/ld-musl-x86_64.so.1", true],
  ["Alpine, by its other name", "/lib/libc.musl-aarch64.so.1", true],
  ["musl on Debian", "/usr/lib/x86_64-linux-musl/libc.so", true],
  ["glibc", "/usr/lib/x86_64-linux-gnu/libc.so.6", false],
  ["glibc, and a program from a folder of that name", "/opt/bun-linux-x64-musl/bin/bun", false],
  ["glibc, and a library for musl that is mapped too", "/srv/prebuilt/linux-x64-musl/libfsy.so", false],
])("%s", (_, path, expected) => {
  expect(mapsShowMusl(line("/usr/bin/program") + line(path))).toBe(expected);
});
