/**
 * Run by `npm pack`: puts a prebuilt native library for each Linux platform that this machine can compile for into the
 * package, so that whoever installs it needs no compiler. A platform without one uses the portable backend.
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findCompiler } from "./build/compiler.ts";
import { glibcNeeded } from "./build/glibc.ts";
import { note, warn } from "./build/log.ts";
import { compileLibrary } from "./build/native.ts";
import { root } from "./build/root.ts";

const machines = [
  { arch: "x64", compilers: ["x86_64-linux-gnu-gcc"] },
  { arch: "arm64", compilers: ["aarch64-linux-gnu-gcc"] },
] as const;

const prebuilt = join(root, "ffi", "prebuilt");
// A library of an older source must not slip into the package.
rmSync(prebuilt, { recursive: true, force: true });
for (const { arch, compilers } of machines) {
  const isHost = process.platform === "linux" && process.arch === arch;
  const compiler = isHost ? findCompiler() : findCompiler(compilers);
  const platform = `linux-${arch}-glibc`;
  if (compiler.kind === "none") {
    const tell = isHost ? warn : note;
    tell(`no prebuilt library for ${platform}: ${compiler.reason}`);
    continue;
  }
  const folder = join(prebuilt, platform);
  compileLibrary(compiler.command, folder, { forOldSystems: true });
  const needs = glibcNeeded(readFileSync(join(folder, "libfsy.so")));
  note(`prebuilt ${platform}, needs glibc ${needs ?? "of any version"}`);
}
