/** Starts the face that was called for, and hands the command line what it must not import: the daemon. */
import { restartTuned } from "./tuned-restart.ts";

restartTuned(process.argv.slice(2));

// Loaded after that, and not awaited at the top level: bytecode compilation does not take that.
void Promise.all([import("./cli/cli.ts"), import("./cli/words/raw-args.ts")]).then(
  ([{ runCli }, { commandLineArguments }]) =>
    runCli(commandLineArguments(), {
      startRun: () => import("./session/run.ts").then((module) => module.startRun),
      runDaemon: () => import("./daemon/run-daemon.ts").then((module) => module.runDaemon),
      checkDaemon: () => import("./daemon/check-config.ts").then((module) => module.checkDaemon),
    }),
);
