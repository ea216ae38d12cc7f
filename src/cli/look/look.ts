/**
 * The frame of every verb that looks: places from words, signals, what could not be done, the summary and the exit code.
 *
 *     each place for itself; one that cannot be used does not keep others from being looked at
 *     exit 0 all was told, 23 something could not be read, the place's own code where there was only one
 */
import type { PathFailure, TreeCalls } from "../../core/admin-calls.ts";
import { isDenied } from "../../core/errno.ts";
import { ExitCode } from "../../core/exit-codes.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import { printableAddress } from "../../link/dial.ts";
import type { CommandContext } from "../context.ts";
import { DENIED_WAY, tellEnding } from "../report/ending-text.ts";
import { formatCount } from "../report/format.ts";
import type { Output } from "../report/output.ts";
import { plain } from "../report/text-printer.ts";
import type { Remote } from "../settings/load.ts";
import { daemonWords, minding, placesOf } from "../settings/of-run.ts";
import { onStopSignals } from "../stop-signals.ts";
import type { FlagName } from "../words/flags.ts";
import type { ParsedArgs } from "../words/parse-args.ts";
import { parseCount } from "../words/sizes.ts";
import { type LookPlace, shownPath } from "./place.ts";
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
  /** Of the configuration. */
  remotes: ReadonlyMap<string, Remote> = new Map();
  /** Lines on failures that were printed, where a verb looks twice; undefined: it looks once. */
  saidBefore: Set<string> | undefined;
  private readonly verb: string;
  private readonly startedMs = performance.now();
  private readonly opened: (() => Promise<void>)[] = [];
  private local: Promise<TreeCalls> | undefined;
  private refused: RunError[] = [];
  private done = 0;
  private denied = false;
  /** Refused, and not told yet: when nothing more comes, it is what the command ends with. */
  private untold: RunError | undefined;

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
      this.denied ||= isDenied(failure.errno);
      const shown = printable(shownPath(place, failure.path));
      const doing = failure.operation === "" ? "" : `cannot ${failure.operation}: `;
      this.say(`${shown}: ${doing}${failure.message}`);
      this.records?.line("error", failureFields(printable(place.shown), failure));
    }
    if (failures.length > 0) this.err.flush();
  }

  /** One place after the other; what cannot be used is told and counted. */
  async each(places: readonly LookPlace[], look: (place: LookPlace) => Promise<void>): Promise<void> {
    for (const place of places) {
      if (this.signal.aborted || this.isUnread) return;
      this.tellRefusal();
      try {
        await look(place);
        this.done++;
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        this.refuse(place.kind === "module" ? minding(this.remotes, [place.address.host], error) : error);
      }
    }
  }

  refuse(error: RunError): void {
    if (this.signal.aborted) return;
    this.tellRefusal();
    this.refused.push(error);
    this.untold = error;
    this.records?.line("error", { code: error.reason, message: plain(error.message) });
  }

  private tellRefusal(): void {
    const { untold } = this;
    this.untold = undefined;
    if (untold !== undefined) this.say(plain(untold.message));
  }

  private say(text: string): void {
    this.tellRefusal();
    if (this.saidBefore?.has(text) === true) return;
    this.saidBefore?.add(text);
    this.err.line(`fastsync ${this.verb}: ${text}`);
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
    this.out.flush();
    if (exitCode !== ExitCode.ok) this.tellEnd(exitCode, message);
    return exitCode;
  }

  /** Why it ends with that code, once: what was refused as a whole, or how much failed. */
  private tellEnd(exitCode: ExitCode, message: string | undefined): void {
    const only = this.refused.length === 1 ? message : undefined;
    if (only === undefined) this.tellRefusal();
    if (this.denied) this.err.line(`  ${DENIED_WAY}`);
    const counted = `${formatCount(this.failures + this.refused.length)} failed`;
    const why = exitCode === ExitCode.interrupted ? "interrupted; more was to be done" : (only ?? counted);
    tellEnding(this.err, this.verb, why, exitCode);
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
    const { places, remotes } = placesOf(context.args, process.env);
    looking.remotes = remotes;
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

/** The same for a verb whose words are hosts. `begin` writes the heading, where there is to be one. */
export async function lookAtHosts(
  context: CommandContext,
  run: (looking: Looking, host: LookPlace & { kind: "host" }, begin: () => void) => Promise<void>,
): Promise<void> {
  const { daemonOf } = daemonWords(context.args, process.env);
  const hosts = context.args.places.map((word) => {
    const host = daemonOf(word);
    return { kind: "host", address: host, shown: bytesOf(`${printableAddress(host)}:`) } as const;
  });
  await framed(context, async (looking) => {
    await looking.each(hosts, async (host) => {
      if (host.kind !== "host") return;
      await run(looking, host, () => {
        if (hosts.length > 1 && looking.records === undefined) looking.out.line(printable(host.shown));
      });
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
