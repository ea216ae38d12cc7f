/** Where the figures were taken: without it they mean nothing. */

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";
import { resolve } from "node:path";
import { subjectCommand } from "./commands.ts";

export interface Machine {
  readonly lines: readonly string[];
  /** True when something else kept the processors busy as the run began. */
  readonly busy: boolean;
}

export function describeMachine(compiled: boolean): Machine {
  const processors = cpus();
  const [load = 0] = loadavg();
  const busy = load > 0.3 * processors.length;
  const lines = [
    `${processors.length} x ${processors[0]?.model.trim() ?? "?"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB of memory, Linux ${release()}`,
    `filesystems: images in /dev/shm on loop devices, made with ${firstLine("mkfs.xfs", "-V")}`,
    `subject: \`${subjectCommand().map(shortened).join(" ")}\`, ${firstLine(...subjectCommand(), "version")}`,
    `peers: ${[firstLine("rsync", "--version"), firstLine("cp", "--version"), firstLine("tar", "--version"), firstLine("rclone", "version")].join("; ")}`,
    `Bun ${Bun.version}; measured ${compiled ? "by a C launcher (wait4)" : "by Bun: no C compiler, so RSS includes the bench's own"}`,
    `load when the run began: ${load.toFixed(2)}${busy ? " (BUSY: the figures are worth little)" : ""}`,
    `memory free of use: ${availableGiB()} GiB`,
  ];
  return { lines, busy };
}

/** Where somebody keeps the repository is nobody's business. */
function shortened(word: string): string {
  const root = `${resolve(import.meta.dir, "..")}/`;
  return word.startsWith(root) ? word.slice(root.length) : word;
}

function firstLine(...command: string[]): string {
  const [program, ...args] = command;
  const result = spawnSync(program!, args, { encoding: "utf8" });
  const text = `${result.stdout ?? ""}${result.stderr ?? ""}`.trim();
  if (result.status !== 0 || text === "") return `${program}: not there`;
  return text.split("\n")[0]!.replace(/\s+/g, " ");
}

function availableGiB(): string {
  const match = /MemAvailable:\s+(\d+) kB/.exec(readFileSync("/proc/meminfo", "utf8"));
  return match === null ? "?" : (Number(match[1]) / 2 ** 20).toFixed(0);
}
