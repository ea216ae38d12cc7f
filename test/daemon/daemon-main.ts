/** The real command line and the real life of a daemon, around a server made by hand. */
import { runCli } from "../../src/cli/cli.ts";
import { commandLineArguments } from "../../src/cli/words/raw-args.ts";
import { runDaemonWith } from "../../src/daemon/run-daemon.ts";
import { fakeServe } from "./fake-serve.ts";

await runCli(commandLineArguments(), {
  startRun: () => Promise.reject(new Error("no runs here")),
  checkDaemon: async () => () => ({ kind: "none" }),
  runDaemon: async () => (flags) => runDaemonWith(flags, async () => fakeServe),
});
