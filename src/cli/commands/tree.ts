/** copy, mirror, move and check: from parsed flags to a run with its printers, and to its exit code. */
import { defineCommand } from "citty";
import type { RunHooks, RunSummary } from "../../core/events.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { RunError } from "../../core/run-error.ts";
import { confirmDeletions, readTerminalLine } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { JsonPrinter } from "../json-printer.ts";
import type { Outputs } from "../output.ts";
import { LiveLine } from "../progress-line.ts";
import { type PacedPrinter, Reporter } from "../reporter.ts";
import { type FaceOptions, type Resolved, resolveOptions } from "../resolve-options.ts";
import { configureRun, explained } from "../settings/of-run.ts";
import { onStopSignals } from "../stop-signals.ts";
import { TextPrinter } from "../text-printer.ts";
import { UsageError } from "../usage-error.ts";

export const treeCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, places, origins } = configureRun(context.args, process.env);
    const resolved = await resolveOptions(args).catch((error: unknown) => {
      throw error instanceof UsageError ? explained(error, origins) : error;
    });
    const reporter = makeReporter(withOrigins(resolved, origins), context.outputs);
    context.onReporter(reporter);
    const stop = new AbortController();
    using _signals = onStopSignals({
      onFirst: () => {
        sayStopping(context.outputs, resolved.face);
        stop.abort();
      },
      onSecond: (signal) => {
        reporter.endAbruptly({
          exitCode: ExitCode.interrupted,
          exitReason: "interrupted",
          message: `ended at once by ${signal}`,
        });
        process.exit(ExitCode.interrupted);
      },
    });
    try {
      const startRun = await context.parts.startRun();
      const run = await startRun({
        sources: places.slice(0, -1),
        target: places.at(-1)!,
        options: resolved.options,
        network: resolved.network,
        hooks: makeHooks(resolved, context.outputs, reporter, stop.signal),
        signal: stop.signal,
      });
      reporter.placed(run.placement);
      reporter.end(await run.summary);
    } catch (error) {
      if (error instanceof RunError) {
        reporter.endAbruptly({ exitCode: error.exitCode, exitReason: error.reason, message: error.message });
      } else if (error instanceof Error && error.name === "FilterError") {
        // A filter rule that cannot be compiled is a wrong command line, wherever it is noticed.
        throw new UsageError(error.message);
      } else {
        throw error;
      }
    }
    context.exitCode = exitCodeOf(reporter.ended!, context.outputs);
  },
});

/** With --verbose it is told what the configuration added to the line. */
function withOrigins(resolved: Resolved, origins: ReadonlyMap<string, string>): Resolved {
  const byOrigin = new Map<string, string[]>();
  for (const [flag, origin] of origins) byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), `--${flag}`]);
  const notes = [...byOrigin].map(([origin, flags]) => `settings: ${flags.join(" ")} (${origin})`);
  return { ...resolved, face: { ...resolved.face, notes: [...notes, ...resolved.face.notes] } };
}

/** What is listed is decided here, so that the session makes no items that nobody prints. */
function listsItems({ options, face }: Resolved): boolean {
  return !face.quiet && (face.verbose || face.itemize || options.dryRun || options.verb === "check");
}

function makeHooks(resolved: Resolved, outputs: Outputs, reporter: Reporter, signal: AbortSignal): RunHooks {
  const { face } = resolved;
  return {
    wantsItems: face.json || listsItems(resolved),
    wantsReasons: face.itemize,
    onStart: (counters) => reporter.begin(counters),
    onEvent: (event) => reporter.event(event),
    confirmDeletions: (plan) =>
      reporter.whilePaused(() =>
        confirmDeletions(plan, {
          yes: face.yes,
          json: face.json,
          stdinIsTerminal: process.stdin.isTTY === true,
          err: outputs.err,
          readLine: readTerminalLine,
          signal,
        }),
      ),
  };
}

function makeReporter(resolved: Resolved, { out, err }: Outputs): Reporter {
  const { options, face } = resolved;
  const facts = { verb: options.verb, dryRun: options.dryRun, zeroCopy: face.zeroCopy };
  const printers: PacedPrinter[] = [];
  if (face.json)
    printers.push({ printer: new JsonPrinter(out, facts), pace: face.progress === "off" ? "never" : "second" });
  const live =
    err.isTerminal && !face.quiet && face.progress !== "off"
      ? new LiveLine(
          (text) => err.writeNow(text),
          () => process.stderr.columns,
        )
      : undefined;
  const text = new TextPrinter(face.json ? err : out, err, facts, {
    verbose: face.verbose,
    quiet: face.quiet,
    // With --json every item is already a line on stdout.
    items: !face.json && listsItems(resolved),
    reasons: face.itemize || options.verb === "check",
    notes: face.notes,
    live,
  });
  printers.push({ printer: text, pace: live !== undefined ? "live" : face.progress === "on" ? "second" : "never" });
  if (live !== undefined)
    for (const output of [out, err]) if (output.isTerminal) output.beforeWrite = () => live.clear();
  return new Reporter(printers, [out, err]);
}

function sayStopping({ err }: Outputs, face: FaceOptions): void {
  if (!err.isTerminal || face.quiet) return;
  err.line("fastsync: stopping in order; once more stops at once");
  err.flush();
}

/** A report that could not be written in full must not look like success. */
export function exitCodeOf(summary: Pick<RunSummary, "exitCode">, { out, err }: Outputs): number {
  if (out.failure === undefined || summary.exitCode !== ExitCode.ok) return summary.exitCode;
  err.line(`fastsync: the report could not be written: ${out.failure.message}`);
  err.flush();
  return ExitCode.fileIo;
}
