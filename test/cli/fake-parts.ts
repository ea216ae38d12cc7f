/** What the command line is handed instead of sessions and daemons: nothing that touches a file. */
import type { Parts } from "../../src/cli/context.ts";
import { fakeStartRun, type Story } from "./fake-run.ts";

export function fakeParts(story: Story): Parts {
  return {
    startRun: async () => fakeStartRun(story),
    checkDaemon: async () => () => ({ kind: "none" }),
    runDaemon: async () => async (flags) => {
      console.log(
        JSON.stringify(flags, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString() : value)),
      );
      return 0;
    },
  };
}
