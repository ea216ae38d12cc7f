/**
 * A run between two daemons. They do it between them; we steer and watch.
 *
 *     ask the target's daemon to dial the source's
 *     it may not, or cannot       ask the source's daemon to dial the target's
 *     neither                     relay: a session with each, and every message handed from one to the other
 */

import { bareSummary, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { RunError } from "../core/run-error.ts";
import { printableAddress } from "../link/dial.ts";
import { Role, type SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { encodeOptions } from "../wire/options.ts";
import type { DaemonPlace } from "./api.ts";
import { type OpenedSession, type OpenFields, openSession, steerSession } from "./caller.ts";
import { openRelay } from "./relayed-run.ts";
import { type Attempt, moduleOf, type OpenAttempt, placementBetween } from "./remote-attempt.ts";
import { ToldSummary } from "./told-summary.ts";

/** Refusals that say something of who may dial whom, and nothing of the run. */
const DIALLING: ReadonlySet<string> = new Set([
  "delegation_disabled",
  "host_invalid",
  "host_not_allowed",
  "host_unresolvable",
  "address_unspecified",
  "address_multicast",
  "address_loopback",
  "address_link_local",
  "address_metadata",
  "connect_failed",
  "connect_timeout",
  "no_session",
]);

export async function openDelegated(
  attempt: Attempt,
  sources: readonly DaemonPlace[],
  target: DaemonPlace,
): Promise<OpenAttempt> {
  const { options, hooks, explains } = attempt.request;
  const { inStream, detach, acceptsDeletions } = attempt.network;
  const common = {
    options: encodeOptions(options),
    explains: explains ?? "",
    wantsItems: hooks.wantsItems,
    wantsReasons: hooks.wantsReasons ?? false,
  };
  const how = { inStream, detach: leaves(attempt), acceptDeletions: acceptsDeletions };
  const [source] = sources;
  const toSource = { ...how, host: source!.host, port: source!.port, sources: sources.map(moduleOf) };
  const toTarget = { ...how, host: target.host, port: target.port, target: moduleOf(target) };
  const tries: readonly { readonly asked: DaemonPlace; readonly open: OpenFields }[] = [
    { asked: target, open: { ...common, daemonRole: Role.TARGET, target: moduleOf(target), delegation: toSource } },
    {
      asked: source!,
      open: { ...common, daemonRole: Role.SOURCE, sources: sources.map(moduleOf), delegation: toTarget },
    },
  ];
  if (attempt.network.trace === true)
    hooks.onEvent({
      kind: "notice",
      level: "info",
      code: "data_plane",
      message: "content does not pass here; a daemon with trace_data_plane = true tells of its connections in its log",
    });
  const reasons: string[] = [];
  for (const { asked, open } of tries) {
    try {
      const session = await openSession(asked, open, attempt.request.signal);
      return watched(attempt, session, sources, target);
    } catch (error) {
      // Ours with the daemon that was asked is another matter than its own with the other.
      if (!(error instanceof RunError) || !DIALLING.has(error.reason) || isOurs(error, asked)) throw error;
      reasons.push(error.message);
    }
  }
  if (detach) {
    throw new RunError(
      ExitCode.selecting,
      "detach",
      `--detach: neither daemon dials the other, and a relay ends with us: ${reasons.join("; ")}`,
    );
  }
  hooks.onEvent({
    kind: "notice",
    level: "warning",
    code: "relayed",
    message: `content is relayed by this machine, since neither daemon dials the other: ${reasons.join("; ")}`,
  });
  return openRelay(attempt, sources, target);
}

/** Whoever wants to be told what a run would do stays to hear it. */
function leaves({ network, request }: Attempt): boolean {
  return network.detach && request.explains === undefined;
}

/** A daemon's refusal begins with its address; what was said here of a connection does not. */
function isOurs(error: RunError, { host, port }: DaemonPlace): boolean {
  return !error.message.startsWith(`${printableAddress({ host, port })}: `);
}

function watched(
  attempt: Attempt,
  session: OpenedSession,
  sources: readonly DaemonPlace[],
  target: DaemonPlace,
): OpenAttempt {
  const { request, counters } = attempt;
  return {
    placement: placementBetween(sources, target, session),
    run: async (): Promise<RunSummary> => {
      if (leaves(attempt)) return leave(attempt, session);
      const told = new ToldSummary(session.stream, counters, request.hooks);
      const end = steerSession(session, (message: SessionMessage) => told.take(message));
      try {
        await end.untilDone(told.summary, request.signal);
        return { ...(await told.summary), durationMs: Math.round(performance.now() - attempt.startedMs) };
      } finally {
        session.stream.finish();
      }
    },
  };
}

/** The job's id is the result. */
function leave(attempt: Attempt, session: OpenedSession): RunSummary {
  const { job } = session.accept;
  session.stream.finish();
  return {
    ...bareSummary(
      { exitCode: ExitCode.ok, exitReason: "detached", message: undefined },
      { ...attempt.counters },
      Math.round(performance.now() - attempt.startedMs),
    ),
    job: { id: job, daemon: printableAddress(session.address) },
    dryRun: attempt.request.options.dryRun,
  };
}
