/** The real command line in a real process, with a session made by hand: FAKE_STORY says which. */
import { runCli } from "../../src/cli/cli.ts";
import { commandLineArguments } from "../../src/cli/words/raw-args.ts";
import { fakeParts } from "./fake-parts.ts";
import type { Story } from "./fake-run.ts";

await runCli(commandLineArguments(), fakeParts((process.env["FAKE_STORY"] ?? "normal") as Story));
