/**
 * Many runs at the same time in one process, as the command line would resolve them: `DIR HOST:PORT COUNT`. Run N pushes
 * DIR/tree to `m/pushed/N` or, when N is odd, pulls `m/tree/` into DIR/pulled/N. Prints one line of JSON a run.
 */

import { parseCommandLine } from "../../../src/cli/words/parse-args.ts";
import { place } from "../../../src/cli/words/places.ts";
import { argumentOf } from "../../../src/cli/words/raw-args.ts";
import { resolveOptions } from "../../../src/cli/words/resolve-options.ts";
import { newCounters } from "../../../src/core/events.ts";
import { RunError } from "../../../src/core/run-error.ts";
import { startRun } from "../../../src/session/run.ts";

const [directory, daemon, count] = process.argv.slice(2) as [string, string, string];

async function one(at: number): Promise<void> {
  const words =
    at % 2 === 0
      ? [`${directory}/tree/`, `${daemon}:/m/pushed/${at}/`]
      : [`${daemon}:/m/tree/`, `${directory}/pulled/${at}/`];
  const line = parseCommandLine(["copy", ...words, "--workers", "2"].map(argumentOf));
  if (line.kind !== "run") throw new Error(`not a run: ${words.join(" ")}`);
  const { options, network } = await resolveOptions(line.args);
  const [source, target] = words.map((word) => place(argumentOf(word)));
  try {
    const run = await startRun({
      sources: [source!],
      target: target!,
      options,
      network,
      hooks: {
        wantsItems: false,
        onStart: () => newCounters(),
        onEvent: () => undefined,
        confirmDeletions: () => Promise.resolve("declined"),
      },
      signal: new AbortController().signal,
    });
    const { exitCode, exitReason, message } = await run.summary;
    console.log(JSON.stringify({ at, exitCode, exitReason, message }));
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    console.log(JSON.stringify({ at, exitCode: error.exitCode, exitReason: error.reason, message: error.message }));
  }
}

await Promise.all(Array.from({ length: Number(count) }, (_, at) => one(at)));
process.exit(0);
