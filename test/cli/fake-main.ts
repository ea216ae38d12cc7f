/** The real command line in a real process, with a session made by hand: FAKE_STORY says which. */
import { runCli } from "../../src/cli/cli.ts";
import { commandLineArguments } from "../../src/cli/raw-args.ts";
import { fakeStartRun, type Story } from "./fake-run.ts";

const story = (process.env["FAKE_STORY"] ?? "normal") as Story;
await runCli(commandLineArguments(), {
  startRun: async () => fakeStartRun(story),
  checkDaemon: async () => () => ({ kind: "none" }),
  runDaemon: async () => async (flags) => {
    console.log(
      JSON.stringify(flags, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value)),
    );
    return 0;
  },
});
