/**
 * The command line from its words to the exit of the process. Everything ends here: results, usage errors, crashes;
 * with --json each of them as one summary.
 *
 * Exit codes are those of `core/exit-codes.ts`; an internal error exits with 12. Output whose reader left is dropped
 * and changes no exit code (see `output.ts`).
 */
import { bareSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import type { CommandContext, Parts } from "./context.ts";
import { Records } from "./look/records.ts";
import { tellEnding } from "./report/ending-text.ts";
import { JsonPrinter } from "./report/json-printer.ts";
import { type Outputs, standardOutputs } from "./report/output.ts";
import type { Reporter } from "./report/reporter.ts";
import { flowing, hanging, proseWidthOf } from "./report/screen.ts";
import { plain } from "./report/text-printer.ts";
import { asksForJson, type CommandLine, explainedLine, parseCommandLine } from "./words/parse-args.ts";
import type { Argument } from "./words/raw-args.ts";
import { UsageError } from "./words/usage-error.ts";
import { isUtility, VERBS, type VerbName, verbNamed } from "./words/verbs.ts";

export async function runCli(words: readonly Argument[], parts: Parts): Promise<never> {
  const frame = new Frame(words, standardOutputs());
  process.on("uncaughtException", (error) => frame.crash(error));
  process.on("unhandledRejection", (error) => frame.crash(error));
  // Whoever ends the process in the middle of a run: the run still gets its summary, and the end does not look good.
  process.on("exit", () => frame.lostRun());
  try {
    return frame.exit(frame.told(await answer(words, frame, parts)));
  } catch (error) {
    return frame.crash(error);
  }
}

/** The same inside of a process that goes on: the exit code. Rejects with what would be an internal error. */
export async function answerOf(words: readonly Argument[], parts: Parts, outputs: Outputs): Promise<number> {
  const frame = new Frame(words, outputs);
  const code = frame.told(await answer(words, frame, parts));
  outputs.err.flush();
  return code;
}

async function answer(words: readonly Argument[], frame: Frame, parts: Parts): Promise<number> {
  try {
    return await run(parseCommandLine(words), frame, parts);
  } catch (error) {
    if (error instanceof UsageError) return frame.usageError(error);
    // A filter rule that cannot be compiled is a wrong command line, wherever it is noticed.
    if (error instanceof Error && error.name === "FilterError") return frame.usageError(new UsageError(error.message));
    if (error instanceof RunError) return frame.refused(error);
    throw error;
  }
}

async function run(line: CommandLine, frame: Frame, parts: Parts): Promise<number> {
  const { outputs } = frame;
  switch (line.kind) {
    case "nothing": {
      const { shortUsage } = await import("./text/help.ts");
      outputs.err.write(shortUsage());
      return ExitCode.usage;
    }
    case "complete": {
      const { completionAnswer } = await import("./complete/answer.ts");
      outputs.out.write(await completionAnswer(line.words));
      return ExitCode.ok;
    }
    case "help": {
      const { overviewHelp, verbHelp } = await import("./text/help.ts");
      outputs.out.write(line.verb === undefined ? overviewHelp() : verbHelp(line.verb));
      return ExitCode.ok;
    }
    case "version": {
      const { writeVersion } = await import("./text/version-text.ts");
      await writeVersion(outputs.out, line.json);
      return ExitCode.ok;
    }
    case "run": {
      const [{ runCommand }, { loadCommand }] = await Promise.all([import("citty"), import("./commands/index.ts")]);
      const context: CommandContext = {
        args: line.args,
        outputs,
        parts,
        onReporter: (reporter) => {
          frame.reporter = reporter;
        },
        exitCode: ExitCode.ok,
      };
      // The words were parsed by our own strict layer; citty only runs the command.
      await runCommand(await loadCommand(line.command), { rawArgs: [], data: context });
      return context.exitCode;
    }
  }
}

/** The last resort around a command. */
class Frame {
  readonly outputs: Outputs;
  reporter: Reporter | undefined;
  readonly #json: boolean;
  readonly #verb: VerbName | undefined;
  /** Of `explain VERB`: the one whose line it takes. */
  readonly #explained: string | undefined;
  readonly #startedMs = performance.now();
  #exiting = false;

  constructor(words: readonly Argument[], outputs: Outputs) {
    this.outputs = outputs;
    this.#json = asksForJson(words);
    const [first, second] = words.slice(0, 2).map(({ text }) => verbNamed(text));
    this.#verb = first === "utils" && second !== undefined && isUtility(second) ? second : first;
    this.#explained = this.#verb === "explain" ? explainedLine(words.slice(1))?.[0]?.text : undefined;
  }

  exit(code: number): never {
    this.#exiting = true;
    this.outputs.out.flush();
    this.outputs.err.flush();
    process.exit(code);
  }

  /** The exit code: what could not be written in full looks neither like success nor like the answer of a check. */
  told(code: number): number {
    const { out, err } = this.outputs;
    out.flush();
    const verb = this.#verb;
    const isAnswer = code === ExitCode.ok || (verb === "check" && code === ExitCode.usage);
    if (out.failure === undefined || !isAnswer) return code;
    const isRun = verb !== undefined && VERBS[verb].group === "Transfer" && verb !== "explain";
    tellEnding(
      err,
      isRun ? undefined : verb,
      `the report could not be written: ${out.failure.message}`,
      ExitCode.fileIo,
    );
    return ExitCode.fileIo;
  }

  usageError(error: UsageError): ExitCode {
    const { err } = this.outputs;
    const verbs = [this.#verb, this.#explained].filter((verb) => verb !== undefined);
    const width = proseWidthOf(err, "stderr");
    const ways = error.way === undefined ? [] : error.way.split("\n").map((way) => way.replace(/^ {2}/, ""));
    for (const line of hanging("", `${["fastsync", ...verbs].join(" ")}: ${error.message}`, width)) err.line(line);
    for (const way of ways) for (const line of flowing(way, width - 2)) err.line(`  ${line}`);
    err.line(`  See: ${["fastsync", ...verbs.slice(-1)].join(" ")} --help`);
    if (this.#json) this.#bareJson(ExitCode.usage, "usage", error.message);
    return ExitCode.usage;
  }

  /** Something outside of a run cannot go on, such as `capabilities` for a place that does not exist. */
  refused(error: RunError): ExitCode {
    tellEnding(this.outputs.err, this.#verb, plain(error.message), error.exitCode);
    if (this.#json) this.#bareJson(error.exitCode, error.reason, error.message);
    return error.exitCode;
  }

  crash(error: unknown): never {
    if (!this.#exiting) {
      this.#exiting = true;
      try {
        this.#reportCrash(error);
      } catch (second) {
        // The report itself is broken: the plainest way that is left.
        console.error("fastsync: internal error:", error, second);
      }
    }
    process.exit(ExitCode.stream);
  }

  lostRun(): void {
    if (this.#exiting || this.reporter === undefined || this.reporter.ended !== undefined) return;
    this.#exiting = true;
    this.#reportCrash(new Error("the run stopped without an end"));
    process.exitCode = ExitCode.stream;
  }

  #reportCrash(error: unknown): void {
    const { out, err } = this.outputs;
    const message = `internal error: ${error instanceof Error ? error.message : String(error)}`;
    const { reporter } = this;
    if (reporter !== undefined && reporter.ended === undefined) {
      reporter.endAbruptly({ exitCode: ExitCode.stream, exitReason: "internal_error", message });
    } else {
      tellEnding(err, this.#verb, message, ExitCode.stream);
      if (this.#json && reporter === undefined) this.#bareJson(ExitCode.stream, "internal_error", message);
    }
    const stack = error instanceof Error && process.env["FASTSYNC_DEBUG"] === "1" ? error.stack : undefined;
    err.line(stack ?? "  This is a mistake in fastsync. FASTSYNC_DEBUG=1 shows where it happened.");
    out.flush();
    err.flush();
  }

  /** The one summary of a command line that never became a run. That of verbs that move no content has no counters. */
  #bareJson(exitCode: ExitCode, exitReason: string, message: string): void {
    const verb = this.#verb;
    if (verb !== undefined && (VERBS[verb].group !== "Transfer" || verb === "explain")) {
      const records = new Records(this.outputs.out);
      records.line("error", { code: exitReason, message });
      records.end({
        verb,
        exit_code: exitCode,
        exit_reason: exitReason,
        message,
        failures: 1,
        duration_ms: Math.round(performance.now() - this.#startedMs),
      });
      return;
    }
    const printer = new JsonPrinter(this.outputs.out, undefined);
    printer.error(exitReason, message);
    printer.end(bareSummary({ exitCode, exitReason, message }));
  }
}
