/** `scan`: the daemons that announce themselves in the local network. */
import { defineCommand } from "citty";
import { ExitCode } from "../../core/exit-codes.ts";
import { bytesOf, printable } from "../../core/paths.ts";
import { RunError } from "../../core/run-error.ts";
import type { Browsed } from "../../discovery/browse.ts";
import type { FoundDaemon } from "../../discovery/service.ts";
import type { CommandContext } from "../context.ts";
import { plural } from "../report/format.ts";
import { jsonText, SCHEMA } from "../report/json-printer.ts";
import { hanging, proseWidthOf } from "../report/screen.ts";
import { onStopSignals } from "../stop-signals.ts";
import { quoted } from "../words/parse-args.ts";
import { UsageError } from "../words/usage-error.ts";

const TIMEOUT_S = { least: 0.1, usual: 2, most: 60 };

export const scanCommand = defineCommand({
  async run({ data }: { data?: CommandContext }) {
    const { args, outputs } = data!;
    const { out, err } = outputs;
    const timeoutS = timeoutOf(args.value("timeout"));
    const stop = new AbortController();
    using _signals = onStopSignals({
      onFirst: () => stop.abort(),
      onSecond: () => process.exit(ExitCode.interrupted),
    });
    const startedMs = performance.now();
    const { browse } = await import("../../discovery/browse.ts");
    const browsed = await browse(timeoutS * 1000, stop.signal);
    for (const problem of browsed.problems) {
      err.line(`fastsync scan: ${safe(problem)}`);
      if (args.has("json"))
        out.line(jsonText({ schema: SCHEMA, type: "error", code: "interface_unusable", message: safe(problem) }));
    }
    if (stop.signal.aborted) throw new RunError(ExitCode.interrupted, "interrupted", "interrupted");
    if (browsed.interfaces.length === 0)
      throw new RunError(
        ExitCode.socket,
        "no_network",
        "there is no network to look in: no interface but loopback has an address, or none of them can be used",
      );
    if (args.has("json")) {
      for (const daemon of browsed.daemons) out.line(jsonText(fieldsOf(daemon)));
      out.line(jsonText(summaryOf(browsed, performance.now() - startedMs)));
    } else for (const line of daemonLines(browsed.daemons, proseWidthOf(out))) out.line(line);
    if (browsed.daemons.length === 0)
      for (const line of hanging("", nothingText(browsed, timeoutS), proseWidthOf(err, "stderr"))) err.line(line);
  },
});

function timeoutOf(value: Parameters<typeof quoted>[0] | undefined): number {
  if (value === undefined) return TIMEOUT_S.usual;
  const seconds = /^\d{1,3}(\.\d{1,3})?$/.test(value.text) ? Number(value.text) : Number.NaN;
  if (seconds >= TIMEOUT_S.least && seconds <= TIMEOUT_S.most) return seconds;
  throw new UsageError(`--timeout is ${quoted(value)}, not seconds from ${TIMEOUT_S.least} to ${TIMEOUT_S.most}`);
}

function nothingText({ interfaces }: Browsed, timeoutS: number): string {
  return (
    `No daemon announced itself within ${timeoutS} s on ${interfaces.map(safe).join(", ")}. ` +
    "Daemons do so only with mdns = true, and routers and firewalls keep it in the local network (UDP port 5353)."
  );
}

/** Addresses with their port: what `fastsync ls` takes, and what a place begins with. */
export function daemonLines(daemons: readonly FoundDaemon[], width: number): string[] {
  return daemons.flatMap(({ name, port, addresses, facts }) => {
    const modules = /^\d{1,9}$/.test(facts.modules ?? "") ? plural(Number(facts.modules), "module") : undefined;
    const about = [facts.version === undefined ? undefined : `fastsync ${safe(facts.version)}`, modules]
      .concat(facts.auth === "none" ? "no authentication" : [])
      .filter((text) => text !== undefined);
    return [
      ...(about.length === 0 ? [safe(name)] : hanging(`${safe(name)}  `, `(${about.join(", ")})`, width)),
      ...addresses.map((at) => `  ${placeOf(at, port)}`),
    ];
  });
}

function placeOf(address: string, port: number): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return safe(`${host}:${port}`);
}

function fieldsOf({ name, port, addresses, facts }: FoundDaemon): Readonly<Record<string, unknown>> {
  const modules = Number(facts.modules);
  return {
    schema: SCHEMA,
    type: "daemon",
    name,
    port,
    addresses,
    places: addresses.map((address) => placeOf(address, port)),
    version: facts.version,
    protocol: facts.protocol,
    modules: Number.isSafeInteger(modules) && modules >= 0 ? modules : undefined,
    auth: facts.auth,
  };
}

function summaryOf({ daemons, problems }: Browsed, durationMs: number): Readonly<Record<string, unknown>> {
  return {
    schema: SCHEMA,
    type: "summary",
    verb: "scan",
    exit_code: ExitCode.ok,
    exit_reason: "ok",
    daemons: daemons.length,
    failures: problems.length,
    duration_ms: Math.round(durationMs),
  };
}

/** Whoever is in the network chooses these names. */
function safe(text: string): string {
  return printable(bytesOf(text));
}
