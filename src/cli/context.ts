/** What every command gets. */
import type { CheckDaemon, RunDaemon } from "../core/daemon-flags.ts";
import type { StartRun } from "../session/api.ts";
import type { Outputs } from "./report/output.ts";
import type { Reporter } from "./report/reporter.ts";
import type { ParsedArgs } from "./words/parse-args.ts";

/** The rest of the program, loaded when a command needs it: help and usage errors stay instant. */
export interface Parts {
  readonly startRun: () => Promise<StartRun>;
  readonly runDaemon: () => Promise<RunDaemon>;
  readonly checkDaemon: () => Promise<CheckDaemon>;
}

export interface CommandContext {
  readonly args: ParsedArgs;
  readonly outputs: Outputs;
  readonly parts: Parts;
  /** Tells the outer frame which run is going on, so that a crash ends it with a summary. */
  readonly onReporter: (reporter: Reporter) => void;
  /** Set by the command. */
  exitCode: number;
}
