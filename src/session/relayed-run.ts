/**
 * A run between two daemons of which neither dials the other: a session with each, content inside the control planes, and
 * every message handed from one to the other as it is. What the target tells the face stays here.
 */
import type { RunSummary } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { decodeTargetFacts, encodeSourceFacts, encodeTargetFacts } from "../wire/facts.ts";
import { Role, type SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { encodeOptions } from "../wire/options.ts";
import type { DaemonPlace } from "./api.ts";
import { factsOf } from "./asked.ts";
import { leaveSession, type OpenedSession, openSession, steerSession } from "./caller.ts";
import type { TargetFacts } from "./facts.ts";
import { type Attempt, moduleOf, type OpenAttempt, placementBetween } from "./remote-attempt.ts";
import { ToldSummary } from "./told-summary.ts";
import { say } from "./wire-messages.ts";

/** Until the target has told: the most that it can be. */
const ANY_TARGET: TargetFacts = { makesDevices: true, privileged: true, chain: [], openDirectories: Infinity };

export async function openRelay(
  attempt: Attempt,
  sources: readonly DaemonPlace[],
  target: DaemonPlace,
): Promise<OpenAttempt> {
  const { options, hooks, signal, explains = "" } = attempt.request;
  const message = encodeOptions(options);
  const openSource = (facts: TargetFacts): Promise<OpenedSession> =>
    openSession(
      sources[0]!,
      {
        daemonRole: Role.SOURCE,
        sources: sources.map(moduleOf),
        options: message,
        explains,
        targetFacts: encodeTargetFacts(facts),
      },
      signal,
      // The target is not known yet, and whatever it is, it is not us.
      "",
    );
  let from = await openSource(ANY_TARGET);
  let to: OpenedSession | undefined;
  try {
    const peer = factsOf(
      sources.map(({ path }) => path),
      from.accept.sourceFacts,
    );
    to = await openSession(
      target,
      {
        daemonRole: Role.TARGET,
        target: moduleOf(target),
        options: message,
        explains,
        sourceFacts: encodeSourceFacts(peer),
        wantsItems: hooks.wantsItems,
        wantsReasons: hooks.wantsReasons ?? false,
      },
      signal,
      from.bootId,
    );
    const their = to.accept.targetFacts === undefined ? ANY_TARGET : decodeTargetFacts(to.accept.targetFacts);
    const isAny = their.privileged && their.makesDevices && their.openDirectories >= LIMITS.offeredDirectories;
    if (!isAny) {
      // Both sides have to know the same of each other: the source is asked once more, now that the target is known.
      await leaveSession(from, "source");
      from = await openSource(their);
    }
  } catch (error) {
    await Promise.all([leaveSession(from, "source"), to && leaveSession(to, "target")]);
    throw error;
  }
  const [source, sink] = [from, to];
  const placement = placementBetween(sources, target, sink);
  return {
    placement: {
      ...placement,
      sources: placement.sources.map((place, i) => ({
        ...place,
        kind: (source.accept.sourceFacts?.arguments[i]?.entry.length ?? 0) > 0 ? "entry" : "contents",
      })),
    },
    run: () => relay(attempt, source, sink),
  };
}

async function relay(attempt: Attempt, from: OpenedSession, to: OpenedSession): Promise<RunSummary> {
  const { request, counters } = attempt;
  const told = new ToldSummary(to.stream, counters, request.hooks);
  let saidLast = false;
  const source = steerSession(from, (message) => {
    if (message.body.case === "closed") saidLast = true;
    return hand(message, to);
  });
  const target = steerSession(to, (message) => told.take(message) || hand(message, from));
  for (const { stream } of [from, to]) stream.send(say({ case: "carrier", value: { inStream: true } }));
  try {
    await Promise.race([
      target.untilDone(told.summary, request.signal),
      // The source's session ends with its last word, before the summary: only its breaking counts.
      source.untilDone(new Promise<never>(() => undefined), request.signal).catch((error: unknown) => {
        if (!saidLast) throw error;
        return told.summary;
      }),
    ]);
    return { ...(await told.summary), durationMs: Math.round(performance.now() - attempt.startedMs) };
  } finally {
    from.stream.finish();
    to.stream.finish();
  }
}

function hand(message: SessionMessage, to: OpenedSession): boolean {
  const { body } = message;
  to.stream.send(
    message,
    body.case === "payload" ? body.value.data.length : body.case === "manifest" ? LIMITS.payloadBytes : 0,
  );
  return true;
}
