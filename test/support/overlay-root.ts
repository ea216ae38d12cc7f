/** Scripts in a root file system of their own (`overlay-root.sh`). */
import { join } from "node:path";
import { isRoot, type ProcessResult, start } from "./run.ts";

/** With all that is not shared with this machine. */
export const NAMESPACES = [
  "unshare",
  ...["--mount", "--propagation", "private", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"],
];
export const OVERLAY_ROOT = join(import.meta.dir, "overlay-root.sh");

/** Why there can be none here; undefined where there can. */
export function overlayRootMissing(): string | undefined {
  if (!isRoot()) return "only root can make the machine that they run on";
  for (const tool of ["unshare", "ip", "chroot"]) if (Bun.which(tool) === null) return `${tool} is not installed`;
  const script = `set -e; . "$0"; work=$(mktemp -d); trap 'rmdir "$work"' EXIT; overlay_root "$work"; umount -R "$work"`;
  const tried = Bun.spawnSync([...NAMESPACES, "bash", "-c", script, OVERLAY_ROOT]);
  return tried.exitCode === 0 ? undefined : `namespaces or overlays cannot be made: ${tried.stderr.toString().trim()}`;
}

/** Runs `script`, in which `$root` is the root and `inside` runs a command there, with `args` as `$1` and so on. */
export function inOverlayRoot(work: string, script: string, args: readonly string[] = []): Promise<ProcessResult> {
  const whole = `set -euo pipefail; . "$0"; overlay_root "$1"; shift; ${script}`;
  return start([...NAMESPACES, "bash", "-c", whole, OVERLAY_ROOT, work, ...args], { timeoutMs: 120_000 }).result;
}
