/** The native library in the flavour that fails and dies where it is told to, and the table of where that can be. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT } from "../../support/program.ts";

/** See the head of `ffi/fault.h`. */
export type PointKind = "SOURCE" | "TARGET" | "META" | "METHOD" | "TIDY" | "VERDICT" | "STREAM" | "MARK" | "FRAME";

export interface Point {
  readonly name: string;
  readonly kind: PointKind;
}

/** Every point, in the order of the table. */
export const POINTS: readonly Point[] = [
  ...readFileSync(join(ROOT, "ffi/fault.h"), "utf8").matchAll(/^ {2}X\((\w+), (\w+)\)/gm),
].map(([, name, kind]) => ({ name: name!, kind: kind as PointKind }));

export function kindOf(name: string): PointKind {
  return POINTS.find((point) => point.name === name)!.kind;
}

/** Why no such library can be had here, or undefined. */
export const libraryMissing: string | undefined =
  process.platform !== "linux"
    ? "needs Linux"
    : Bun.which(process.env["CC"] ?? "cc") === null
      ? "there is no C compiler"
      : existsSync(join(ROOT, "node_modules/xxhash-addon"))
        ? undefined
        : "the package xxhash-addon is missing";

const FFI = join(ROOT, "ffi");
const LIBRARY = join(FFI, "build/faults/libfsy.so");

/** Compiled where it is older than what it is made of. */
export function faultyLibrary(): string {
  const builtMs = statSync(LIBRARY, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const parts = readdirSync(FFI).filter((name) => /\.(c|h|sh)$/.test(name));
  if (parts.every((name) => statSync(join(FFI, name)).mtimeMs < builtMs)) return LIBRARY;
  const result = spawnSync("bash", [join(FFI, "build.sh"), "faults", dirname(LIBRARY)], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`ffi/build.sh faults: ${result.stdout}${result.stderr}`);
  return LIBRARY;
}

export interface Plan {
  readonly point: string;
  /** Which pass of it, from 1. */
  readonly pass: number;
  /** Each pass from there on. */
  readonly onward?: boolean;
  /** An errno, or what else happens there. */
  readonly fault: number | "kill" | "short";
}

function planText({ point, pass, onward = false, fault }: Plan): string {
  return `${point}:${pass}${onward ? "+" : ""}:${fault}`;
}

/** What makes a program use the library, and fail as planned; `trace` is a file that gets a line for each pass. */
export function faultEnvironment(plans: readonly Plan[], trace?: string): Record<string, string | undefined> {
  return {
    FASTSYNC_LIBRARY: faultyLibrary(),
    FASTSYNC_NATIVE: undefined,
    FSY_FAULT: plans.length === 0 ? undefined : plans.map(planText).join(","),
    FSY_FAULT_TRACE: trace,
  };
}

/** How often each point was passed. */
export function passesIn(trace: string): Map<string, number> {
  const passes = new Map<string, number>();
  if (!existsSync(trace)) return passes;
  for (const name of readFileSync(trace, "latin1").split("\n"))
    if (name !== "") passes.set(name, (passes.get(name) ?? 0) + 1);
  return passes;
}
