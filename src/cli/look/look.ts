/**
 * The frame of every verb that looks: places from words, signals, what could not be done, the summary and the exit code.
 *
 *     each place for itself; one that cannot be used does not keep others from being looked at
 *     exit 0 all was told, 23 something could not be read, the place's own code where there was only one
 */
import type { PathFailure, TreeCalls } from "../../core/admin-calls.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import { printableAddress } from "../../link/dial.ts";
import type { CommandContext } from "../context.ts";
import type { FlagName } from "../flags.ts";
import type { Output } from "../output.ts";
import type { ParsedArgs } from "../parse-args.ts";
import { placesOf, remoteHosts } from "../settings/of-run.ts";
import { parseCount } from "../sizes.ts";
import { onStopSignals } from "../stop-signals.ts";
import { plain } from "../text-printer.ts";
import { hostOfWord, type LookPlace, shownPath } from "./place.ts";
import { failureFields, Records } from "./records.ts";

export class Looking {
  readonly args: ParsedArgs;
  readonly out: Output;
  readonly err: Output;
  /** Undefined: text for people. */
  readonly records: Records | undefined;
  readonly stop = new AbortController();
  /** Numbers for the summary, by name. */
  readonly counts: Record<string, number | boolean> = {};
  failures = 0;
  private readonly verb: string;
  private readonly startedMs = performance.now();
  private readonly opened: (() => Promise<void>)[] = [];
  private local: Promise<TreeCalls> | undefined;
  private refused: RunError[] = [];
  private done = 0;

  constructor({ args, outputs }: CommandContext) {
    this.args = args;
    this.verb = args.verb;
    this.out = outputs.out;
    this.err = outputs.err;
    this.records = args.has("json") ? new Records(outputs.out) : undefined;
  }

  get signal(): AbortSignal {
    return this.stop.signal;
  }
  /** Nobody reads what is printed any more: looking on helps nobody. */
  get isUnread(): boolean {
    return this.out.isClosed;
  }

  count(flag: FlagName, least: number, otherwise: number): number;
  count(flag: FlagName, least: number): number | undefined;
  count(flag: FlagName, least: number, otherwise?: number): number | undefined {
    const value = this.args.value(flag);
    return value === undefined ? otherwise : parseCount(value.text, flag, least, 0xffff_ffff);
  }

  /** The code that does it is loaded when it is needed. */
  async calls(place: LookPlace & { kind: "local" | "module" }): Promise<TreeCalls> {
    if (place.kind === "module") {
      const { RemoteCalls } = await import("../../admin/remote.ts");
      return new RemoteCalls(place.address, place.module, this.signal);
    }
    this.local ??= import("../../admin/local.ts").then(({ LocalCalls }) => {
      const calls = new LocalCalls(this.signal);
      this.opened.push(() => calls.close());
      return calls;
    });
    return await this.local;
  }

  fail(place: LookPlace, failures: readonly PathFailure[]): void {
    for (const failure of failures) {
      // What was stopped was not refused by anybody.
      if (failure.code === "canceled" && this.signal.aborted) continue;
      this.failures++;
      const shown = printable(shownPath(place, failure.path));
      this.err.line(`fastsync ${this.verb}: ${shown}: ${failure.operation}: ${failure.message}`);
      this.records?.line("error", failureFields(printable(place.shown), failure));
    }
    if (failures.length > 0) this.err.flush();
  }

  /** One place after the other; what cannot be used is told and counted. */
  async each(places: readonly LookPlace[], look: (place: LookPlace) => Promise<void>): Promise<void> {
    for (const place of places) {
      if (this.signal.aborted || this.isUnread) return;
      try {
        await look(place);
        this.done++;
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        this.refuse(error);
      }
    }
  }

  refuse(error: RunError): void {
    if (this.signal.aborted) return;
    this.refused.push(error);
    this.err.line(`fastsync ${this.verb}: ${plain(error.message)}`);
    this.records?.line("error", { code: error.reason, message: plain(error.message) });
  }

  outcome(): { readonly exitCode: ExitCode; readonly exitReason: string; readonly message?: string } {
    const [first] = this.refused;
    if (this.signal.aborted) return { exitCode: ExitCode.interrupted, exitReason: "interrupted" };
    if (first !== undefined && this.done === 0)
      return { exitCode: first.exitCode, exitReason: first.reason, message: plain(first.message) };
    if (first !== undefined || this.failures > 0) return { exitCode: ExitCode.partial, exitReason: "partial" };
    return { exitCode: ExitCode.ok, exitReason: "ok" };
  }

  end(): ExitCode {
    const { exitCode, exitReason, message } = this.outcome();
    this.records?.end({
      verb: this.verb,
      exit_code: exitCode,
      exit_reason: exitReason,
      message,
      ...this.counts,
      failures: this.failures + this.refused.length,
      duration_ms: Math.round(performance.now() - this.startedMs),
    });
    if (exitCode === ExitCode.interrupted) this.err.line(`fastsync ${this.verb}: interrupted; more was to be done`);
    this.out.flush();
    const { failure } = this.out;
    if (failure === undefined || exitCode !== ExitCode.ok) return exitCode;
    this.err.line(`fastsync: the report could not be written: ${failure.message}`);
    return ExitCode.fileIo;
  }

  async close(): Promise<void> {
    for (const close of this.opened) await close();
  }
}

/** Runs a verb that looks. `places`: of its words; `.` where there is none. */
export async function look(
  context: CommandContext,
  run: (looking: Looking, places: readonly LookPlace[]) => Promise<void>,
): Promise<void> {
  await framed(context, async (looking) => {
    const places = placesOf(context.args, process.env);
    await run(looking, places.length > 0 || context.args.verb === "rm" ? places : [HERE]);
  });
}

async function framed(context: CommandContext, run: (looking: Looking) => Promise<void>): Promise<void> {
  const looking = new Looking(context);
  using _signals = onStopSignals({
    onFirst: () => looking.stop.abort(),
    onSecond: () => process.exit(ExitCode.interrupted),
  });
  try {
    await run(looking);
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    looking.refuse(error);
  } finally {
    await looking.close();
  }
  context.exitCode = looking.end();
}

/** The same for a verb whose words are hosts. */
export async function lookAtHosts(
  context: CommandContext,
  run: (looking: Looking, host: LookPlace & { kind: "host" }) => Promise<void>,
): Promise<void> {
  const remotes = remoteHosts(context.args, process.env);
  const hosts = context.args.places.map((word) => {
    const host = remotes(word) ?? hostOfWord(word);
    return { kind: "host", address: host, shown: bytesOf(`${printableAddress(host)}:`) } as const;
  });
  await framed(context, async (looking) => {
    await looking.each(hosts, async (host) => {
      if (host.kind !== "host") return;
      if (hosts.length > 1 && looking.records === undefined) looking.out.line(printable(host.shown));
      await run(looking, host);
    });
  });
}

const HERE: LookPlace = { kind: "local", path: bytesOf("."), shown: bytesOf(".") };

/** The parts of an answer as far as somebody reads what is made of them. */
export async function takeParts<Part extends { readonly failures: readonly PathFailure[] }>(
  looking: Looking,
  place: LookPlace,
  parts: AsyncIterable<Part>,
  take: (part: Part) => void,
): Promise<void> {
  for await (const part of parts) {
    looking.fail(place, part.failures);
    take(part);
    looking.out.flush();
    if (looking.isUnread || looking.signal.aborted) return;
  }
}
