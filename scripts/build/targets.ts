/** The platforms that fastsync is built for. */
import { libcOfProcess } from "../../ffi/process-libc.ts";

export type TargetName = keyof typeof TARGETS;

export interface Target {
  readonly os: "linux" | "darwin" | "windows";
  readonly arch: "x64" | "arm64";
  readonly libc: "glibc" | "musl" | undefined;
  /** The name that the bundler has for it. On x86-64 the runtime needs no newer processor than the baseline. */
  readonly bun: Bun.Build.CompileTarget;
  /** The npm package of its runtime, and the program in it. */
  readonly runtime: { readonly packageName: string; readonly program: string };
  /** How Debian calls the processor, where there is a package for it. */
  readonly debian?: "amd64" | "arm64";
}

const TARGETS = {
  "linux-x64": linux("x64", "glibc"),
  "linux-arm64": linux("arm64", "glibc"),
  "linux-x64-musl": linux("x64", "musl"),
  "linux-arm64-musl": linux("arm64", "musl"),
  "darwin-x64": other("darwin", "x64"),
  "darwin-arm64": other("darwin", "arm64"),
  "windows-x64": other("windows", "x64"),
} as const satisfies Readonly<Record<string, Target>>;

export const TARGET_NAMES = Object.keys(TARGETS) as TargetName[];

export function targetNamed(name: string): Target | undefined {
  return Object.hasOwn(TARGETS, name) ? TARGETS[name as TargetName] : undefined;
}

/** The machine that builds, where it is one of the targets. */
export function hostTargetName(): TargetName | undefined {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const name = `${system}-${process.arch}${runsOnMusl() ? "-musl" : ""}`;
  return TARGET_NAMES.find((one) => one === name);
}

/** The folder of a prebuilt library, as `ffi/library.ts` looks for it. */
export function prebuiltFolder({ os, arch, libc }: Target): string {
  return `${os}-${arch}-${libc ?? "none"}`;
}

/** With the ending that the platform's programs have. */
export function programName(target: Target | undefined): string {
  return target?.os === "windows" ? "fastsync.exe" : "fastsync";
}

function linux(arch: Target["arch"], libc: "glibc" | "musl"): Target {
  const suffix = libc === "musl" ? "-musl" : "";
  const machine = arch === "arm64" ? "aarch64" : "x64";
  return {
    os: "linux",
    arch,
    libc,
    bun: arch === "x64" ? `bun-linux-x64-baseline${suffix}` : `bun-linux-arm64${suffix}`,
    runtime: { packageName: `@oven/bun-linux-${machine}${suffix}`, program: "bin/bun" },
    ...(libc === "glibc" ? { debian: arch === "x64" ? "amd64" : "arm64" } : {}),
  };
}

function other(os: "darwin" | "windows", arch: Target["arch"]): Target {
  const machine = arch === "arm64" ? "aarch64" : "x64";
  return {
    os,
    arch,
    libc: undefined,
    bun: `bun-${os}-${arch}`,
    runtime: { packageName: `@oven/bun-${os}-${machine}`, program: os === "windows" ? "bin/bun.exe" : "bin/bun" },
  };
}

function runsOnMusl(): boolean {
  return process.platform === "linux" && libcOfProcess() === "musl";
}
