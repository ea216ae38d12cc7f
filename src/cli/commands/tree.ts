/** copy, mirror, move and check: from parsed flags to a run with its printers, and to its exit code. */
import { constants, openSync, writeSync } from "node:fs";
import { defineCommand } from "citty";
import type { RunHooks, RunSummary } from "../../core/events.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import type { Endpoint } from "../../endpoints/parse.ts";
import { whyThrown } from "../../fs/denied.ts";
import { teaches } from "../../history/run-record.ts";
import { isLocal, type NetworkOptions, type Place, type Placement } from "../../session/api.ts";
import { confirmDeletions } from "../confirm.ts";
import type { CommandContext } from "../context.ts";
import { tellEnding, tellWarning } from "../report/ending-text.ts";
import { formatRate } from "../report/format.ts";
import { JsonPrinter } from "../report/json-printer.ts";
import { hasLiveLine, Output, type Outputs } from "../report/output.ts";
import { LiveLine } from "../report/progress-line.ts";
import { type PacedPrinter, Reporter } from "../report/reporter.ts";
import { wrap } from "../report/screen.ts";
import { isTerminal } from "../report/terminal.ts";
import { TextPrinter } from "../report/text-printer.ts";
import { settingNotes } from "../settings/notes.ts";
import { configureRun, explained, minding } from "../settings/of-run.ts";
import { unknownVariables } from "../settings/variables.ts";
import { onStopSignals } from "../stop-signals.ts";
import { takeHint } from "../text/hints.ts";
import type { ParsedArgs } from "../words/parse-args.ts";
import { heldOpen } from "../words/places.ts";
import { type FaceOptions, type Resolved, resolveOptions } from "../words/resolve-options.ts";
import { UsageError } from "../words/usage-error.ts";

export const treeCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const context = data!;
    const { args, places, origins, remotes } = configureRun(context.args, process.env);
    const resolved = await resolveOptions(args).catch((error: unknown) => {
      throw error instanceof UsageError ? explained(error, origins) : error;
    });
    if (!resolved.face.quiet)
      for (const warning of warningsBefore(resolved, places, context.args)) tellWarning(context.outputs.err, warning);
    const log = resolved.face.logFile === undefined ? undefined : openLog(resolved.face.logFile);
    const { reporter, live } = makeReporter(
      withOrigins(resolved, origins),
      context.outputs,
      log,
      standingPatterns(args, context.args),
    );
    context.onReporter(reporter);
    using _resizes = onResize(live);
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
      const connecting = connectingText(places);
      if (connecting !== undefined) reporter.waitFor(connecting);
      const startRun = await context.parts.startRun();
      const run = await startRun({
        sources: places.slice(0, -1),
        target: places.at(-1)!,
        options: resolved.options,
        network: { ...resolved.network, ...learning(resolved, places) },
        hooks: makeHooks(resolved, context.outputs, reporter, stop.signal),
        signal: stop.signal,
      });
      reporter.placed(run.placement);
      const summary = await run.summary;
      reporter.end(summary);
      sayHint(resolved, context.outputs, run.placement, summary);
      if (resolved.face.history && teaches(resolved.options, summary))
        await noteInHistory(summary, resolved, places, reporter.phases);
    } catch (error) {
      if (error instanceof RunError) {
        reporter.refuse(minding(remotes, hostsOf(places), error));
      } else {
        throw error;
      }
    }
    context.exitCode = exitCodeOf(reporter.ended!, context.outputs, log);
    if (resolved.face.history && isFailure(reporter.ended!)) {
      const { noteFailure } = await import("../diagnostics/failures.ts");
      noteFailure(process.env, { verb: resolved.options.verb, command: resolved.face.command }, reporter.ended!);
    }
  },
});

/** Bytes a second that nobody means. */
const SLOW_RATE = 16 * 1024;

/** What is odd about the line, and no reason to refuse it. */
function warningsBefore({ options, network }: Resolved, places: readonly Place[], line: ParsedArgs): string[] {
  const links = options.copyLinks ? [] : places.slice(0, -1).map(heldOpen);
  const rate = options.write.rateBytesPerSecond;
  return [
    ...unknownVariables(process.env),
    ...links.filter((link) => link !== undefined),
    ...(rate > 0 && rate < SLOW_RATE
      ? [`--bwlimit is ${formatRate(rate)}, since it counts bytes; what rsync calls ${rate} is ${rate}K here`]
      : []),
    ...(network.detach && options.delete.enabled && !network.acceptsDeletions
      ? ["--detach without --yes: nobody can be asked, so nothing is deleted"]
      : []),
    ...(line.has("trace-data-plane") && places.every(isLocal)
      ? ["--trace-data-plane: both places are on this machine, and no connection carries content"]
      : []),
  ];
}

/** A wrong command line, trees that differ and a no to deletions are no trouble of ours. */
function isFailure({ exitCode }: RunSummary): boolean {
  return exitCode !== ExitCode.ok && exitCode !== ExitCode.usage && exitCode !== ExitCode.deletionRefused;
}

/** With --verbose it is told what the configuration added to the line. */
function withOrigins(resolved: Resolved, origins: ReadonlyMap<string, string>): Resolved {
  return { ...resolved, face: { ...resolved.face, notes: [...settingNotes(origins), ...resolved.face.notes] } };
}

/** What the configuration added to the filters of the line. */
function standingPatterns({ occurrences }: ParsedArgs, line: ParsedArgs): ReadonlySet<string> {
  const added = occurrences.slice(line.occurrences.length);
  const named = (all: ParsedArgs["occurrences"]): string[] =>
    all.flatMap(({ flag, value }) => (value === undefined ? [] : [`--${flag} ${printable(value.bytes)}`]));
  return new Set(named(added)).difference(new Set(named(line.occurrences)));
}

/** What is listed is decided here, so that the session makes no items that nobody prints. */
function listsItems({ options, face }: Resolved): boolean {
  return !face.quiet && (face.verbose || face.itemize || options.dryRun || options.verb === "check");
}

/** The address by which the history tells one daemon from another; undefined: none takes part. */
function daemonAddress(places: readonly Place[]): string | undefined {
  const daemon = places.find((place) => place.kind === "daemon");
  return daemon === undefined ? undefined : `${daemon.host}:${daemon.port}`;
}

/** Looked up while the run goes on already, and only where the line is not near. */
function learning({ face }: Resolved, places: readonly Place[]): Pick<NetworkOptions, "learntStreams"> {
  const address = daemonAddress(places);
  if (!face.history || address === undefined) return {};
  return {
    learntStreams: () =>
      import("../../history/learnt.ts").then(({ learntStreams }) => learntStreams(process.env, address, Date.now())),
  };
}

/** After everything was printed: nobody waits for it but the end of the process. */
async function noteInHistory(
  summary: RunSummary,
  { options, face }: Resolved,
  places: readonly Place[],
  phases: Readonly<Record<string, number>>,
): Promise<void> {
  const [{ noteRun }, { recordOf }, { VERSION }] = await Promise.all([
    import("../../history/note-run.ts"),
    import("../../history/run-record.ts"),
    import("../version.ts"),
  ]);
  const kindOf = (place: Place) => (place.kind === "daemon" ? "daemon" : "local");
  const facts = {
    endedMs: Date.now(),
    version: VERSION,
    verb: options.verb,
    command: face.command,
    source: kindOf(places[0]!),
    target: kindOf(places.at(-1)!),
    peer: undefined,
    phases,
  } as const;
  const problem = noteRun(process.env, recordOf(facts, summary), daemonAddress(places));
  if (problem !== undefined && process.env["FASTSYNC_DEBUG"])
    console.error(`fastsync: not noted in the history: ${problem}`);
}

function makeHooks(resolved: Resolved, outputs: Outputs, reporter: Reporter, signal: AbortSignal): RunHooks {
  const { face } = resolved;
  return {
    wantsItems: face.json || face.logFile !== undefined || listsItems(resolved),
    wantsReasons: face.itemize,
    onStart: (counters) => reporter.begin(counters),
    onEvent: (event) => reporter.event(event),
    confirmDeletions: (plan) =>
      reporter.whilePaused(() =>
        confirmDeletions(plan, {
          yes: face.yes,
          json: face.json,
          stdinIsTerminal: isTerminal(0),
          err: outputs.err,
          signal,
        }),
      ),
  };
}

function makeReporter(
  resolved: Resolved,
  { out, err }: Outputs,
  log: Output | undefined,
  standing: ReadonlySet<string>,
): { reporter: Reporter; live: LiveLine | undefined } {
  const { options, face } = resolved;
  const { command, zeroCopy } = face;
  const facts = { verb: options.verb, command, dryRun: options.dryRun, zeroCopy };
  const printers: PacedPrinter[] = [];
  if (log !== undefined) printers.push({ printer: new JsonPrinter(log, facts), pace: "never" });
  if (face.json)
    printers.push({ printer: new JsonPrinter(out, facts), pace: face.progress === "off" ? "never" : "second" });
  const live =
    hasLiveLine(process.env, err.isTerminal) && !face.quiet && face.progress !== "off"
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
    stats: face.stats,
    notes: face.notes,
    standing,
    live,
  });
  printers.push({ printer: text, pace: live !== undefined ? "live" : face.progress === "on" ? "second" : "never" });
  if (live !== undefined)
    for (const output of [out, err]) if (output.isTerminal) output.beforeWrite = () => live.clear();
  const outputs = log === undefined ? [out, err] : [out, err, log];
  return { reporter: new Reporter(printers, outputs, { onlyLooks: options.dryRun || options.verb === "check" }), live };
}

/** Appended to, and made for its owner only: names of files are nobody else's business. */
function openLog(path: Uint8Array): Output {
  try {
    const fd = openSync(Buffer.from(path), constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o600);
    return new Output((bytes) => writeSync(fd, bytes), { isTerminal: false, colour: false });
  } catch (error) {
    throw new UsageError(`--log-file: cannot write to '${printable(path)}': ${whyThrown(error)}`);
  }
}

function onResize(live: LiveLine | undefined): Disposable {
  const handle = (): void => live?.resized();
  if (live !== undefined) process.on("SIGWINCH", handle);
  return {
    [Symbol.dispose]: () => {
      process.off("SIGWINCH", handle);
    },
  };
}

function hostsOf(places: readonly Endpoint[]): string[] {
  return places.flatMap((place) => (place.kind === "daemon" ? [place.host] : []));
}

function connectingText(places: readonly Endpoint[]): string | undefined {
  const daemons = hostsOf(places);
  return daemons.length === 0 ? undefined : `connecting to ${[...new Set(daemons)].join(" and ")}`;
}

function sayHint({ options, face }: Resolved, { out, err }: Outputs, placement: Placement, summary: RunSummary): void {
  const facts = { verb: options.verb, command: face.command, dryRun: options.dryRun };
  const onTerminal = out.isTerminal && err.isTerminal && isTerminal(0);
  const { quiet, json } = face;
  const hint = takeHint({ facts, placement, summary }, { env: process.env, onTerminal, quiet, json });
  if (hint === undefined) return;
  for (const line of wrap(hint, process.stderr.columns || 80)) err.line(line);
  err.flush();
}

function sayStopping({ err }: Outputs, face: FaceOptions): void {
  if (!err.isTerminal || face.quiet) return;
  err.line("fastsync: stopping in order; once more stops at once");
  err.flush();
}

/** A log that could not be written in full must not look like success. */
function exitCodeOf({ exitCode }: RunSummary, { out, err }: Outputs, log: Output | undefined): number {
  // Of both the report is told, by the frame around every command.
  if (log?.failure === undefined || out.failure !== undefined || exitCode !== ExitCode.ok) return exitCode;
  tellEnding(err, undefined, `the log could not be written: ${log.failure.message}`, ExitCode.fileIo);
  err.flush();
  return ExitCode.fileIo;
}
