/**
 * How many system calls a file costs: a figure that no noise of the machine can touch, kept as golden values.
 *
 *   count the calls of a run over N files, and of one over 2N in as many directories
 *   the difference over N is what one file costs; start-up and directories cancel out
 *
 * `bun bench/syscalls.ts` prints the counts beside the golden ones; `--write` records them.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { resolve } from "node:path";
import { canMount, mountFilesystem } from "../test/support/filesystems.ts";
import { subjectCommand } from "./commands.ts";
import { generate } from "./generate.ts";

/** Calls per file by name, and their sum. */
export interface SyscallCounts {
  readonly total: number;
  readonly calls: Readonly<Record<string, number>>;
}

export const SCENARIOS = ["mirror", "noop"] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** Of one architecture, since the names of calls differ between them. */
export interface Golden {
  readonly arch: string;
  readonly scenarios: Readonly<Record<Scenario, SyscallCounts>>;
}

const FILES = 1000;
const DIRECTORIES = 10;
const GOLDEN_PATH = resolve(import.meta.dir, "golden-syscalls.json");

/** Memory, threads and waiting: the runtime's affair, and another number at every run. */
const NOT_COUNTED =
  /^(futex|sched_|epoll_|poll|ppoll|madvise|mmap|munmap|mprotect|mremap|brk|clock_|nanosleep|rt_sig|getrusage|gettid|rseq|set_robust_list|clone|exit|restart_syscall|membarrier|timerfd|eventfd)/;

/** Why the counts cannot be taken here, or undefined where they can. */
export function syscallsMissing(): string | undefined {
  const subject = subjectCommand().at(-1)!;
  if (Bun.which("strace") === null) return "strace is not installed";
  if (!existsSync(subject)) return `there is no ${subject}`;
  const probe = spawnSync("strace", ["-o", "/dev/null", "true"]);
  if (probe.status !== 0) return "strace may not trace here";
  if (!hasYoungCalls(release())) return "the kernel is older than 6.13 and takes other calls for attributes";
  const backend = backendInUse();
  if (backend !== "native") return `fastsync runs on the backend ${backend}, the counts are those of native`;
  return canMount("xfs");
}

export function readGolden(): Golden | undefined {
  return existsSync(GOLDEN_PATH) ? (JSON.parse(readFileSync(GOLDEN_PATH, "utf8")) as Golden) : undefined;
}

/** Counts on XFS, the filesystem of the golden values. */
export async function measureSyscalls(): Promise<Golden> {
  await using mounted = await mountFilesystem("xfs", "512M");
  const few = countRuns(`${mounted.path}/few`, FILES);
  const many = countRuns(`${mounted.path}/many`, 2 * FILES);
  const scenarios = Object.fromEntries(SCENARIOS.map((name) => [name, perFile(few[name], many[name])]));
  return { arch: process.arch, scenarios: scenarios as Record<Scenario, SyscallCounts> };
}

/**
 * A line for every count that left its golden value by more than the tolerance, either way: a gain is recorded with
 * `--write`, so that it cannot be lost again unseen. Calls below 0.05 a file are the batches' own and not compared.
 */
export function compareSyscalls(golden: SyscallCounts, measured: SyscallCounts, tolerance = 0.1): string[] {
  const lines: string[] = [];
  const compare = (name: string, expected: number, got: number) => {
    const slack = Math.max(0.05, expected * tolerance);
    if (Math.abs(got - expected) > slack)
      lines.push(`${name}: ${got.toFixed(2)} a file, golden ${expected.toFixed(2)}`);
  };
  compare("total", golden.total, measured.total);
  for (const name of new Set([...Object.keys(golden.calls), ...Object.keys(measured.calls)]))
    compare(name, golden.calls[name] ?? 0, measured.calls[name] ?? 0);
  return lines;
}

type Counts = ReadonlyMap<string, number>;

function countRuns(root: string, files: number): Record<Scenario, Counts> {
  mkdirSync(root);
  generate("files", `${root}/source`, files, DIRECTORIES, 4096, 0);
  const mirror = () => trace(`${root}/counts`, ["mirror", "--yes", `${root}/source/`, `${root}/target/`]);
  return { mirror: mirror(), noop: mirror() };
}

/* The summary of `strace -c` leaves out calls that this strace has no name for, so the log itself is counted. */
function trace(into: string, args: readonly string[]): Counts {
  const command = ["-f", "-qq", "-s", "0", "-e", "signal=none", "-o", into, ...subjectCommand(), ...args];
  const result = spawnSync("strace", command, { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`fastsync under strace: exit ${result.status}: ${result.stderr}`);
  return countCalls(readFileSync(into, "latin1"));
}

/** Of Linux 6.13, by number, which is one on all architectures: newer than many a strace. */
const YOUNG_CALLS: Readonly<Record<string, string>> = {
  syscall_0x1cf: "setxattrat",
  syscall_0x1d0: "getxattrat",
  syscall_0x1d1: "listxattrat",
  syscall_0x1d2: "removexattrat",
};

/** Lines are `PID name(arguments...`; a call that another thread interrupted has a second line, `<... name resumed>`. */
export function countCalls(log: string): Counts {
  const counts = new Map<string, number>();
  for (const [, name] of log.matchAll(/^\d+ +([a-z_]\w*)\(/gm)) {
    const known = YOUNG_CALLS[name!] ?? name!;
    counts.set(known, (counts.get(known) ?? 0) + 1);
  }
  return counts;
}

function perFile(few: Counts, many: Counts): SyscallCounts {
  const calls: Record<string, number> = {};
  let total = 0;
  for (const name of [...new Set([...few.keys(), ...many.keys()])].sort()) {
    if (NOT_COUNTED.test(name)) continue;
    const cost = ((many.get(name) ?? 0) - (few.get(name) ?? 0)) / FILES;
    total += cost;
    if (Math.abs(cost) >= 0.05) calls[name] = Math.round(cost * 100) / 100;
  }
  return { total: Math.round(total * 100) / 100, calls };
}

export function hasYoungCalls(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map((part) => Number.parseInt(part, 10));
  return major > 6 || (major === 6 && minor >= 13);
}

/** What the summary of a run says; `unknown` where there is none. */
function backendInUse(): string {
  const [program, ...args] = subjectCommand();
  const result = spawnSync(program!, [...args, "check", "--json", import.meta.dir, import.meta.dir], {
    encoding: "utf8",
  });
  const lines = result.stdout.split("\n").filter((line) => line.includes('"summary"'));
  try {
    const summary = JSON.parse(lines.at(-1) ?? "") as { readonly backend?: unknown };
    return typeof summary.backend === "string" ? summary.backend : "unknown";
  } catch {
    return "unknown";
  }
}

if (import.meta.main) {
  const reason = syscallsMissing();
  if (reason !== undefined) throw new Error(reason);
  const measured = await measureSyscalls();
  const golden = readGolden();
  for (const scenario of SCENARIOS) {
    console.log(scenario, JSON.stringify(measured.scenarios[scenario], null, 2));
    if (golden !== undefined)
      console.log(compareSyscalls(golden.scenarios[scenario], measured.scenarios[scenario]).join("\n"));
  }
  if (process.argv.includes("--write")) writeFileSync(GOLDEN_PATH, `${JSON.stringify(measured, null, 2)}\n`);
}
