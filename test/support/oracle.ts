/**
 * rsync as the reference: what the most trusted tool makes of the same trees. One thing it does not carry: a
 * directory's nanoseconds, when the target's seconds happen to be right already. A source for it must be older than
 * the second in which it is copied.
 */
import { spawnSync } from "node:child_process";

/** The options under which rsync carries what fastsync carries by default. */
export const RSYNC_FULL = ["-aHAXS", "--numeric-ids"] as const;

/** Why rsync cannot serve as oracle, or undefined where it can. */
export const rsyncMissing: string | undefined = rsyncVersion() === undefined ? "rsync is not installed" : undefined;

export function rsyncVersion(): string | undefined {
  const result = spawnSync("rsync", ["--version"], { encoding: "utf8" });
  return result.status === 0 ? /version (\S+)/.exec(result.stdout)?.[1] : undefined;
}

/** Makes target equal to source's contents; throws on any exit code but 0. Further options go last. */
export function rsyncMirror(source: string, target: string, options: readonly string[] = ["--delete"]): void {
  const result = rsync([...RSYNC_FULL, ...options, "--", `${source}/`, `${target}/`]);
  if (result.exitCode !== 0) throw new Error(`rsync exited ${result.exitCode}: ${result.stderr}`);
}

export function rsync(args: readonly string[]): { exitCode: number; stdout: string; stderr: string } {
  const result = spawnSync("rsync", [...args], { encoding: "latin1", maxBuffer: 1 << 28 });
  return { exitCode: result.status ?? -1, stdout: result.stdout, stderr: result.stderr };
}
