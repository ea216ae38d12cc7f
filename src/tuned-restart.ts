/**
 * The JavaScript engine's last compiler tier (FTL) pays for itself after seconds of running; a copy of a hundred
 * thousand files takes less, and loses a quarter of its processor time to that compiler on a small machine. The engine
 * reads its settings from the environment when the process starts, so the compiled program starts itself once more
 * with the tier's threshold raised: 7 ms, saved many times over by any run that is long enough to notice.
 */
import { isDaemonName } from "./core/daemon-name.ts";

/** Calls of a function or turns of a loop before that tier is considered; the engine's own value is 64,000. */
const FTL_THRESHOLD = "4000000";
const SETTING = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
const VERBS_THAT_RUN = new Set(["copy", "mirror", "move", "check", "daemon"]);

/** Does not return when it restarts. Words that are not UTF-8 would not survive: then the program goes on as it is. */
export function restartTuned(words: readonly string[]): void {
  const isCompiled = import.meta.path.startsWith("/$bunfs/");
  const runs = isDaemonName(process.argv0) || words.some((word) => VERBS_THAT_RUN.has(word));
  const isClean = !words.some((word) => word.includes("\ufffd"));
  if (!isCompiled || !runs || !isClean || process.env[SETTING] !== undefined || process.execve === undefined) return;
  if (usesDescriptors(words)) return;
  try {
    process.execve(process.execPath, [process.argv0, ...words], { ...process.env, [SETTING]: FTL_THRESHOLD });
  } catch {
    // As it is, then: slower by a little, and just as right.
  }
}

/**
 * Descriptors beyond the standard ones do not survive the restart. They matter where somebody handed them over: a
 * shell's `<(...)` as a word, or sockets from systemd.
 */
function usesDescriptors(words: readonly string[]): boolean {
  const isHanded = process.env["LISTEN_FDS"] !== undefined;
  return isHanded || words.some((word) => /(^|=)\/(dev|proc\/[^/]+)\/fd\//.test(word));
}
