/** Starts the face that was called for. There is one so far: the command line. */
import { runCli } from "./cli/cli.ts";
import { commandLineArguments } from "./cli/raw-args.ts";

// Not awaited at the top level: bytecode compilation does not take that.
void runCli(commandLineArguments());
