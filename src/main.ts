/** Starts the face that was called for. There is one so far: the command line. */
import { restartTuned } from "./tuned-restart.ts";

restartTuned(process.argv.slice(2));

// Loaded after that, and not awaited at the top level: bytecode compilation does not take that.
void Promise.all([import("./cli/cli.ts"), import("./cli/raw-args.ts")]).then(([{ runCli }, { commandLineArguments }]) =>
  runCli(commandLineArguments()),
);
