/**
 * Refuses sessions between two processes of one machine whose places overlap in a way that could destroy what is read.
 * Neither side knows the other's paths; that one directory lies inside another shows in the inodes above it.
 */
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { isSameDirectory, type SourceFacts, type TargetFacts } from "./facts.ts";

export function guardChains(source: SourceFacts, target: TargetFacts, options: RunOptions): void {
  if (options.verb === "check") return;
  const [from] = source.chain;
  const [to] = target.chain;
  const only = source.arguments.length === 1 ? source.arguments[0] : undefined;
  if (from === undefined || to === undefined || only === undefined || only.entry !== undefined) return;
  const refuse = (reason: string, message: string): never => {
    throw new RunError(ExitCode.selecting, reason, message);
  };
  if (isSameDirectory(from, to))
    refuse("same_place", "source and target are one directory of one machine; nothing to do");
  if (options.verb === "copy") return;
  if (target.chain.some((above) => isSameDirectory(above, from)))
    refuse("target_inside_source", "the target lies inside the source, on the same machine; choose another target");
  if (options.verb === "mirror" && source.chain.some((above) => isSameDirectory(above, to))) {
    refuse(
      "source_inside_target",
      "the source lies inside the target, on the same machine, and a mirror would delete it; choose another target, or use copy",
    );
  }
}
