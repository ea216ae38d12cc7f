/** C compilers for each Linux target: that of the machine, cross compilers of gcc, or zig, which has all of them. */
import { join } from "node:path";
import { findCompiler, linksLibrary } from "./compiler.ts";
import type { Target } from "./targets.ts";

export interface Toolchain {
  /** For people. */
  readonly name: string;
  /** What `ffi/build.sh` is to call as CC, with what that reads from the environment. */
  readonly cc: string;
  readonly env: Readonly<Record<string, string>>;
}

export type ToolchainSearch =
  | { readonly kind: "found"; readonly toolchain: Toolchain }
  | { readonly kind: "none"; readonly reason: string };

/** The first compiler that links a library for `target`; the result serves on old systems of that kind. */
export function findToolchain(target: Target): ToolchainSearch {
  if (target.os !== "linux") return { kind: "none", reason: `the library has no code for ${target.os} yet` };
  const candidates = candidatesFor(target);
  for (const toolchain of candidates)
    if (linksLibrary(toolchain.cc, toolchain.env)) return { kind: "found", toolchain };
  const looked = candidates.map(({ name }) => name).join(", ");
  return { kind: "none", reason: `no C compiler for ${target.arch} and ${target.libc} works here (tried ${looked})` };
}

function candidatesFor(target: Target): Toolchain[] {
  const machine = target.arch === "x64" ? "x86_64" : "aarch64";
  const isHost = process.platform === "linux" && process.arch === target.arch;
  const gccs =
    target.libc === "glibc"
      ? [...(isHost ? hostCompiler() : []), `${machine}-linux-gnu-gcc`].map(forOldGlibc)
      : [`${machine}-linux-musl-gcc`, ...(isHost ? ["musl-gcc"] : [])].map(plain);
  // Zig links to the symbols of the glibc that is named, whatever the machine has.
  const triple = `${machine}-linux-${target.libc === "glibc" ? "gnu.2.17" : "musl"}`;
  return [...gccs, ...zigs().map((zig) => withZig(zig, triple))];
}

function hostCompiler(): string[] {
  const found = findCompiler();
  return found.kind === "found" ? [found.command] : [];
}

function forOldGlibc(compiler: string): Toolchain {
  return { name: compiler, cc: join(import.meta.dir, "cc-oldest-glibc"), env: { FSY_COMPILER: compiler } };
}

function plain(compiler: string): Toolchain {
  return { name: compiler, cc: join(import.meta.dir, "cc-stripped"), env: { FSY_COMPILER: compiler } };
}

function withZig(zig: string, triple: string): Toolchain {
  return {
    name: `${zig} cc -target ${triple}`,
    cc: join(import.meta.dir, "cc-stripped"),
    env: { FSY_COMPILER: `${zig} cc -target ${triple}` },
  };
}

/** $ZIG, the zig on the PATH, and that of the package ziglang of Python. */
function zigs(): string[] {
  const named = process.env["ZIG"];
  return [...(named ? [named] : []), "zig", "python3 -m ziglang"];
}
