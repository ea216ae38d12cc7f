/** Starts the face that was called for. There is one so far: the command line. */
import { runCli } from "./cli/cli.ts";
import { commandLineArguments } from "./cli/raw-args.ts";

await runCli(commandLineArguments());
