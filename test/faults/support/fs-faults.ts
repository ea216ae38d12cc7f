/**
 * Preloaded before the program's sources: calls of node:fs and of the C library (bun:ffi) that the portable twin makes
 * fail, move less, or end the process, as FS_FAULT says: `call:nth[+]:errno|kill|short[,...]`, and FS_FAULT_TRACE names
 * a file that gets a line for each. Only what the twin uses of node:fs for the trees is a point: its synchronous calls.
 */
import type * as ffi from "bun:ffi";
import fs from "node:fs";
import { constants } from "node:os";

interface Plan {
  readonly call: string;
  readonly pass: number;
  readonly onward: boolean;
  readonly fault: string;
}

const plans: readonly Plan[] = (process.env["FS_FAULT"] ?? "")
  .split(",")
  .filter((text) => text !== "")
  .map((text) => {
    const [call = "", pass = "1", fault = "5"] = text.split(":");
    return { call, pass: Number.parseInt(pass, 10), onward: pass.endsWith("+"), fault };
  });
const traceFile = process.env["FS_FAULT_TRACE"];
const write = fs.appendFileSync.bind(fs);
const passes = new Map<string, number>();

/** 0, an errno, or `short`. */
function pass(call: string): number | "short" {
  const count = (passes.get(call) ?? 0) + 1;
  passes.set(call, count);
  if (traceFile !== undefined) write(traceFile, `${call}\n`);
  for (const plan of plans) {
    if (plan.call !== call || !(plan.pass === count || (plan.onward && count > plan.pass))) continue;
    if (plan.fault === "kill") {
      process.kill(process.pid, "SIGKILL");
      for (;;) Bun.sleepSync(1000);
    }
    return plan.fault === "short" ? "short" : Number(plan.fault);
  }
  return 0;
}

const NAMES = Object.fromEntries(Object.entries(constants.errno).map(([name, number]) => [number, name]));

type Call = (...args: unknown[]) => unknown;
const table = fs as unknown as Record<string, Call>;
for (const name of [
  ...["openSync", "readSync", "writeSync", "ftruncateSync", "fchmodSync", "chmodSync", "fchownSync", "chownSync"],
  ...["lchownSync", "fsyncSync", "fdatasyncSync", "linkSync", "unlinkSync", "rmdirSync", "mkdirSync", "renameSync"],
  ...["symlinkSync", "readlinkSync", "readdirSync"],
]) {
  const original = table[name]!;
  table[name] = (...args) => {
    // What is not about the trees: configuration, the library, scripts of the engine itself.
    const fault = pass(name);
    if (fault === "short" && typeof args[3] === "number") args[3] = Math.max(1, args[3] >> 1);
    else if (typeof fault === "number" && fault !== 0) {
      const code = NAMES[fault] ?? "EIO";
      throw Object.assign(new Error(`${code}: planned, ${name}`), { errno: -fault, code, syscall: name });
    }
    return original.apply(fs, args);
  };
}

/** Of the C library: 0 and more is success, -1 a failure that errno explains. */
const FFI = [
  "mknod",
  "utimensat",
  "futimens",
  "setxattr",
  "lsetxattr",
  "removexattr",
  "lremovexattr",
  "syscall",
  "syncfs",
];
const library = require("bun:ffi") as typeof ffi;
const open = library.dlopen as (path: string, symbols: object) => { symbols: Record<string, Call> };
(library as { dlopen: unknown }).dlopen = (path: string, wanted: object) => {
  const opened = open(path, wanted);
  const errnoAt = opened.symbols["__errno_location"];
  if (errnoAt === undefined || !("flock" in opened.symbols)) return opened;
  const symbols: Record<string, Call> = { ...opened.symbols };
  for (const name of FFI) {
    const original = symbols[name];
    if (original === undefined) continue;
    symbols[name] = (...args) => {
      const fault = pass(name);
      if (typeof fault !== "number" || fault === 0) return original(...args);
      new Int32Array(library.toArrayBuffer(errnoAt() as ffi.Pointer, 0, 4))[0] = fault;
      return typeof args[0] === "bigint" ? -1n : -1;
    };
  }
  return { ...opened, symbols };
};
