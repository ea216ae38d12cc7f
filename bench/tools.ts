/**
 * The bench's own tools: small C programs compiled at start, with slower twins in TypeScript where there is no
 * compiler. A twin measures the same things, but charges a child for this process's memory.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
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
  /** Runs a command after making the filesystem of `settle` quiet. stderr comes back for a failure's message. */
  readonly timed: (command: readonly string[], settle: string) => { cost: Cost; stderr: string };
  /** The floor of what two threads of C can do, `floor SOURCE TARGET`; undefined where it is not there. */
  readonly floor: string | undefined;
}

const BENCH = import.meta.dir;
const OUT = resolve(BENCH, "out");

export function prepareTools(): Tools {
  mkdirSync(OUT, { recursive: true });
  const gen = compile("c/gen.c");
  const verify = compile("c/verify.c");
  const timed = compile("c/timed.c");
  const floor = compile("../ffi/bench/floor.c");
  if (gen === undefined || verify === undefined || timed === undefined) return { ...twins, floor };
  return {
    compiled: true,
    floor,
    gen: (...args) => void run([gen, ...args.map(String)]),
    verify: (level, source, target) => {
      const result = spawnSync(verify, [level, source, target], { encoding: "latin1" });
      return result.status === 0 ? [] : `${result.stdout}${result.stderr}`.trim().split("\n");
    },
    timed: (command, settle) => {
      const report = resolve(OUT, "timed.json");
      const result = spawnSync(timed, [report, settle, ...command], {
        encoding: "utf8",
        stdio: ["ignore", "ignore", "pipe"],
      });
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

export const twins: Omit<Tools, "floor"> = {
  compiled: false,
  gen: generate,
  verify: (level, source, target) =>
    diffTrees(
      source,
      target,
      level === "full" ? {} : { ignore: ["mode", "uid", "gid", "mtime", "xattrs", "sparse"] },
    ).slice(0, 10),
  timed: (command, settle) => {
    run(["sync", "-f", settle]);
    const start = performance.now();
    const child = Bun.spawnSync([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
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
