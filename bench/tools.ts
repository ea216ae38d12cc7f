/**
 * The bench's own tools: small C programs compiled at start, with slower twins in TypeScript where there is no
 * compiler. A twin measures the same things, but charges a child for this process's memory.
 */
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { diffTrees } from "../test/support/diff.ts";
import { generate } from "./generate.ts";

export interface Cost {
  readonly wallMs: number;
  readonly userMs: number;
  readonly sysMs: number;
  readonly maxRssKiB: number;
  readonly exitCode: number;
}

/** How much of a copy must equal its source: `content` for tools that promise no more. */
export type VerifyLevel = "full" | "content";

export interface Tools {
  readonly compiled: boolean;
  readonly gen: (...args: (string | number)[]) => void;
  /** The differences; none when the copy is good. */
  readonly verify: (level: VerifyLevel, source: string, target: string) => string[];
  /** Runs a command after making the filesystem of `settle` quiet. stderr comes back, stdout goes to a file or nowhere. */
  readonly timed: (command: readonly string[], settle: string, stdout?: string) => { cost: Cost; stderr: string };
  /** The floor of what two threads of C can do, `floor SOURCE TARGET`; undefined where it is not there. */
  readonly floor: string | undefined;
  /** The long line, `delay LISTEN TARGET ROUND_TRIP_MS PORT...`; undefined where there is no compiler. */
  readonly delay: string | undefined;
  /** The floor between two processes, `wire send SOURCE TARGET STREAMS`; compiled when it is first asked for. */
  readonly wire: () => string | undefined;
}

const BENCH = import.meta.dir;
const OUT = resolve(BENCH, "out");

export function prepareTools(): Tools {
  mkdirSync(OUT, { recursive: true });
  const gen = compile("c/gen.c");
  const verify = compile("c/verify.c");
  const timed = compile("c/timed.c");
  const floor = compile("../ffi/bench/floor.c");
  const more = { floor, delay: compile("c/delay.c"), wire: compileWire };
  if (gen === undefined || verify === undefined || timed === undefined) return { ...twins, ...more };
  return {
    compiled: true,
    ...more,
    gen: (...args) => void run([gen, ...args.map(String)]),
    verify: (level, source, target) => {
      const result = spawnSync(verify, [level, source, target], { encoding: "latin1" });
      return result.status === 0 ? [] : `${result.stdout}${result.stderr}`.trim().split("\n");
    },
    timed: (command, settle, stdout) => {
      const report = resolve(OUT, "timed.json");
      const fd = stdout === undefined ? undefined : openSync(stdout, "w");
      const result = spawnSync(timed, [report, settle, ...command], {
        encoding: "utf8",
        stdio: ["ignore", fd ?? "ignore", "pipe"],
      });
      if (fd !== undefined) closeSync(fd);
      if (result.status !== 0) throw new Error(`timed: ${result.stderr}`);
      return { cost: JSON.parse(readFileSync(report, "utf8")) as Cost, stderr: result.stderr };
    },
  };
}

/** Runs a command that must succeed. */
export function run(command: readonly string[]): string {
  const [program, ...args] = command;
  const result = spawnSync(program!, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Error(`${command.join(" ")}: exit ${result.status}: ${result.stderr}`);
  return result.stdout;
}

/** The compiled program, or undefined where there is no source or no compiler. */
function compile(source: string): string | undefined {
  const from = resolve(BENCH, source);
  const to = resolve(OUT, source.split("/").at(-1)!.replace(/\.c$/, ""));
  if (!existsSync(from) || Bun.which("cc") === null) return undefined;
  if (existsSync(to) && statSync(to).mtimeMs > statSync(from).mtimeMs) return to;
  run(["cc", "-std=gnu11", "-O2", "-pthread", "-o", to, from]);
  return to;
}

/** It is the library's own requests that it sends, so all of the library is part of it. */
function compileWire(): string | undefined {
  const ffi = resolve(BENCH, "../ffi");
  const to = resolve(OUT, "wire");
  const newest = Math.max(
    ...[...new Bun.Glob("{*.c,*.h,bench/wire.c,test/client.h}").scanSync(ffi)].map(
      (name) => statSync(resolve(ffi, name)).mtimeMs,
    ),
  );
  if (existsSync(to) && statSync(to).mtimeMs > newest) return to;
  const script = `set -e; source "$1/flags.sh"; fsy_flags release "$1"
    "$CC" "\${FLAGS[@]}" "$1"/bench/wire.c "$1"/*.c -o "$2" -lpthread`;
  return spawnSync("bash", ["-c", script, "bash", ffi, to]).status === 0 ? to : undefined;
}

export const twins: Omit<Tools, "floor" | "delay" | "wire"> = {
  compiled: false,
  gen: generate,
  verify: (level, source, target) =>
    diffTrees(
      source,
      target,
      level === "full" ? {} : { ignore: ["mode", "uid", "gid", "mtime", "xattrs", "sparse"] },
    ).slice(0, 10),
  timed: (command, settle, stdout) => {
    run(["sync", "-f", settle]);
    const start = performance.now();
    const child = Bun.spawnSync([...command], {
      stdin: "ignore",
      stdout: stdout === undefined ? "ignore" : Bun.file(stdout),
      stderr: "pipe",
    });
    const { cpuTime, maxRSS } = child.resourceUsage;
    const cost = {
      wallMs: performance.now() - start,
      userMs: Number(cpuTime.user) / 1000,
      sysMs: Number(cpuTime.system) / 1000,
      maxRssKiB: Math.round(maxRSS / 1024),
      exitCode: child.exitCode,
    };
    return { cost, stderr: child.stderr.toString() };
  },
};
