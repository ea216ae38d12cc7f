/** Prints the bytes of its arguments, for tests of how they arrive. */
import { commandLineArguments } from "../../src/cli/words/raw-args.ts";

console.log(JSON.stringify(commandLineArguments().map(({ bytes }) => Buffer.from(bytes).toString("latin1"))));
