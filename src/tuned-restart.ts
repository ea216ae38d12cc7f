/**
 * Settings of the JavaScript engine, which reads them from the environment when the process starts: so the compiled
 * program starts itself once more with them, for some 10 ms that any run that is long enough to notice saves.
 *
 *   compilers  the last tier (FTL) pays for itself after seconds of running; a copy of a hundred thousand files takes
 *              less, and loses a quarter of its processor time to that compiler on a small machine. The one before (DFG)
 *              is put off a little: what a run of half a second repeats some thousand times is not worth compiling twice
 *   collector  generations suit garbage that dies young. What is made for a directory lives as long as it is open, is
 *              dead when it counts as old, and keeps what it refers to: the heap of an idle run grows over millions of
 *              files between two looks at the whole of it. With whole collections only it stays flat
 */
import { isDaemonName } from "./core/program-name.ts";

/** Calls of a function or turns of a loop before that tier is considered; the engine's own value is 64,000. */
const FTL_THRESHOLD = "4000000";
/** The same before the tier below that one; the engine's own value is 1,000. */
const DFG_THRESHOLD = "5000";
/** Its presence says that this is the second start. */
const MARK = "BUN_JSC_thresholdForFTLOptimizeAfterWarmUp";
/** Variables of the environment of the second start. */
export const TUNED_SETTINGS: Readonly<Record<string, string>> = {
  BUN_JSC_useGenerationalGC: "0",
  BUN_JSC_thresholdForOptimizeAfterWarmUp: DFG_THRESHOLD,
  [MARK]: FTL_THRESHOLD,
};
const VERBS_THAT_RUN = new Set(["copy", "mirror", "move", "check", "cp", "sync", "explain", "daemon"]);

/** Does not return when it restarts. Words that are not UTF-8 would not survive: then the program goes on as it is. */
export function restartTuned(words: readonly string[]): void {
  const isCompiled = import.meta.path.startsWith("/$bunfs/");
  const [first = ""] = words;
  const isAnsweredAtOnce = first.startsWith("__") || words.includes("--help") || words.includes("-h");
  const runs = !isAnsweredAtOnce && (isDaemonName(process.argv0) || VERBS_THAT_RUN.has(first));
  const isClean = !words.some((word) => word.includes("\ufffd"));
  if (!isCompiled || !runs || !isClean || process.env[MARK] !== undefined || process.execve === undefined) return;
  if (usesDescriptors(words)) return;
  try {
    process.execve(process.execPath, [process.argv0, ...words], { ...process.env, ...TUNED_SETTINGS });
  } catch {
    // As it is, then: slower by a little, and just as right.
    silenceExecve();
  }
}

/**
 * The engine remarks on its own call, at the next turn and on stderr, that it is an experiment: nobody who copies files can
 * do anything about that. Every other warning is printed as ever.
 */
function silenceExecve(): void {
  const printers = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name === "ExperimentalWarning" && warning.message.startsWith("process.execve ")) return;
    for (const print of printers) print.call(process, warning);
  });
}

/**
 * Descriptors beyond the standard ones do not survive the restart. They matter where somebody handed them over: a
 * shell's `<(...)` as a word, or sockets from systemd.
 */
function usesDescriptors(words: readonly string[]): boolean {
  const isHanded = process.env["LISTEN_FDS"] !== undefined;
  return isHanded || words.some((word) => /(^|=)\/(dev|proc\/[^/]+)\/fd\//.test(word));
}
