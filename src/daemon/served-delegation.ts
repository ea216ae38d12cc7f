/**
 * A session between two daemons, on the one that the caller asked: it opens the session with the other itself, and the
 * caller only steers and watches. Not a byte of content passes through the caller.
 *
 *     the gate              may this daemon dial that host? resolved once, and that very address is dialled
 *     we are the target     we play the target, the other daemon the source; events and summary go to the caller
 *     we are the source     we play the source; what the other daemon tells is handed on to the caller as it is
 *     detached              the caller leaves after our word; deletions need to have been accepted before
 */
import type { RunHooks } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { Accounts } from "../fs/accounts.ts";
import { factsOf } from "../session/asked.ts";
import { CallerSession, openSession } from "../session/caller.ts";
import { carrierBuffers } from "../session/carriers.ts";
import { targetFacts } from "../session/facts.ts";
import { sourceEnd } from "../session/network-link.ts";
import { say } from "../session/wire-messages.ts";
import { applyProgress, decodeSummary } from "../wire/events.ts";
import { decodeTargetFacts, encodeSourceFacts, encodeTargetFacts } from "../wire/facts.ts";
import {
  type Delegation,
  type Hello,
  type Open,
  Role,
  type SessionMessage,
  type Summary,
} from "../wire/gen/fastsync/v1/session_pb.ts";
import { encodeOptions } from "../wire/options.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { CallersFace } from "./callers-face.ts";
import { CANCELLED, type ServedEnd, type ServedSession } from "./served-session.ts";
import { openServedSource, sourceRunnerOf } from "./served-source.ts";
import { admitTarget, openServedTarget, prepareServedTarget, servedTargetEnd, tellSummary } from "./served-target.ts";

/** Content between daemons goes as it would for a caller of ours. */
function networkOf(delegation: Delegation) {
  return { inStream: delegation.inStream, streams: 0, detach: false, acceptsDeletions: false };
}

export async function serveDelegated(
  session: ServedSession,
  _hello: Hello,
  open: Open,
  options: RunOptions,
): Promise<ServedEnd> {
  const delegation = open.delegation!;
  if (delegation.detach) session.outlivesCaller();
  return open.daemonRole === Role.TARGET
    ? await serveAsTarget(session, open, delegation, options)
    : await serveAsSource(session, open, delegation, options);
}

/** What a caller who left cannot be asked, it said before. */
function hooksOf(delegation: Delegation, face: CallersFace): RunHooks {
  if (!delegation.detach) return face.hooks;
  return {
    ...face.hooks,
    confirmDeletions: () => Promise.resolve(delegation.acceptDeletions ? "accepted" : "unattended"),
  };
}

async function serveAsTarget(
  session: ServedSession,
  open: Open,
  delegation: Delegation,
  options: RunOptions,
): Promise<ServedEnd> {
  if (open.target === undefined) throw new ProtocolViolation("a session without a target");
  // Whether it may write here comes first: nobody is dialled for a run that will not be.
  const module = admitTarget(session, open.target, options);
  const held = await session.openModule(module);
  const address = await session.dialable(delegation);
  const own = targetFacts(held.root);
  const asked = {
    daemonRole: Role.SOURCE,
    sources: delegation.sources,
    options: encodeOptions(options),
    explains: open.explains,
    targetFacts: encodeTargetFacts(own),
  };
  const other = await session.whileAwaited((signal) => openSession(address, asked, signal));
  const face = new CallersFace(session.stream, session.counters, open, {
    landed: () => session.backend!.bytesDone(),
    onPhase: (phase) => session.enter(phase),
  });
  let role: CallerSession | undefined;
  let inOrder = false;
  try {
    const facts = other.accept.sourceFacts!;
    const peer = factsOf(
      delegation.sources.map(({ path }) => path),
      other.accept.sourceFacts,
    );
    const { oneMachine } = other;
    const target = await openServedTarget(session, module, held, open.target, peer, oneMachine, options);
    const link = servedTargetEnd(session, other.stream, target, options);
    session.stream.send(
      say({
        case: "accept",
        value: {
          ...session.acceptance(),
          ...(delegation.detach ? { job: session.name } : {}),
          placement: {
            sources: facts.arguments,
            target: open.target.path,
            targetExists: target.exists,
          },
        },
      }),
    );
    session.started(module, "target", open.target.path, open, options);
    const hooks = hooksOf(delegation, face);
    const told = own.openDirectories;
    const side = await prepareServedTarget(session, target, peer, other.oneMachine, options, hooks, link, true, told);
    role = new CallerSession(
      other,
      session.backend!,
      { direction: "receive", backlog: () => side.runner.backlog },
      hooks,
      carrierBuffers(options.transfer, false),
      session.host.stalledMs,
    );
    session.carriers = role.carriers;
    session.follow(role.carriers);
    session.steer((message) => face.take(message));
    role.dispatch(link, () => false);
    side.runner.start();
    void role.chooseCarrier(networkOf(delegation));
    try {
      const done = role.untilDone(side.runner.done, session.stopping.signal, () => {
        side.runner.stop();
        face.stop();
      });
      await session.untilDone(done, () => undefined);
      inOrder = !session.isStopped;
      await side.tidy();
    } finally {
      await side.runner.dispose();
    }
    await role.close(inOrder);
    face.close();
    const end = tellSummary(session, side);
    session.stream.finish();
    return session.endOf(end);
  } finally {
    face.close();
    await role?.close(false);
    other.stream.finish();
  }
}

async function serveAsSource(
  session: ServedSession,
  open: Open,
  delegation: Delegation,
  options: RunOptions,
): Promise<ServedEnd> {
  if (delegation.target === undefined) throw new ProtocolViolation("a session without a target");
  const places = await openServedSource(session, open.sources, options);
  const address = await session.dialable(delegation);
  const asked = {
    daemonRole: Role.TARGET,
    target: delegation.target,
    options: encodeOptions(options),
    explains: open.explains,
    sourceFacts: encodeSourceFacts(places.facts),
    wantsItems: open.wantsItems,
    wantsReasons: open.wantsReasons,
  };
  const other = await session.whileAwaited((signal) => openSession(address, asked, signal));
  let role: CallerSession | undefined;
  let inOrder = false;
  try {
    const facts = other.accept.targetFacts;
    if (facts === undefined)
      throw new RunError(ExitCode.protocol, "protocol", "the other daemon told nothing of its target");
    const link = sourceEnd(other.stream, {
      inodes: other.oneMachine,
      accounts: options.preserve.numericIds ? undefined : new Accounts(),
      loops: session.backend?.loops,
    });
    session.stream.send(
      say({
        case: "accept",
        value: {
          ...session.acceptance(),
          ...(delegation.detach ? { job: session.name } : {}),
          placement: {
            sources: encodeSourceFacts(places.facts).arguments,
            target: delegation.target.path,
            targetExists: other.accept.placement?.targetExists ?? true,
          },
        },
      }),
    );
    session.started(places.module, "source", open.sources[0]!.path, open, options);
    const runner = sourceRunnerOf(session, places, decodeTargetFacts(facts), other.oneMachine, options, link);
    const notices = new CallersFace(session.stream, session.counters, open, {
      landed: () => 0,
      onPhase: (phase) => session.enter(phase),
    });
    notices.close();
    role = new CallerSession(
      other,
      session.backend!,
      { direction: "send", backlog: () => runner.backlog },
      notices.hooks,
      carrierBuffers(options.transfer, false),
      session.host.stalledMs,
    );
    session.carriers = role.carriers;
    session.follow(role.carriers);
    const told = new Promise<Summary>((resolve) => {
      role!.dispatch(link, (message) => {
        if (!isForFace(message)) return false;
        // They are the caller's, and the job's.
        if (message.body.case === "progress") {
          applyProgress(message.body.value, session.counters);
          session.enter(session.counters.phase);
        }
        if (message.body.case === "summary") resolve(message.body.value);
        else if (message.body.case === "confirm" && delegation.detach) {
          const answer = delegation.acceptDeletions ? "accepted" : "unattended";
          other.stream.send(say({ case: "confirmed", value: { answer } }));
        } else notices.handOn(message);
        return true;
      });
    });
    session.steer((message) => {
      if (message.body.case !== "confirmed") return false;
      other.stream.send(message);
      return true;
    });
    runner.onUnwanted = () => role!.carriers.stop();
    runner.start();
    void role.chooseCarrier(networkOf(delegation));
    try {
      const sent = runner.done.then(() => role!.carriers.end(!session.isStopped));
      const done = role.untilDone(Promise.all([sent, told]), session.stopping.signal, () => runner.stop());
      await session.untilDone(done, () => undefined);
      inOrder = !session.isStopped;
    } finally {
      await role.close(inOrder);
      await runner.dispose();
    }
    const summary = await told;
    if (session.isCancelled) Object.assign(summary, CANCELLED);
    session.stream.send(say({ case: "summary", value: summary }));
    session.stream.finish();
    const { counters, ...end } = decodeSummary(summary);
    Object.assign(session.counters, counters);
    return session.endOf(end);
  } finally {
    await role?.close(false);
    other.stream.finish();
  }
}

/** What a daemon that is the target tells whoever watches. */
function isForFace({ body }: SessionMessage): boolean {
  switch (body.case) {
    case "items":
    case "deletions":
    case "failure":
    case "notice":
    case "progress":
    case "confirm":
    case "summary":
      return true;
    default:
      return false;
  }
}
