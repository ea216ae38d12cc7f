/** The daemon as the target of a session: it writes below the module's root, decides, and tells the caller's face. */

import type { RunHooks } from "../core/events.ts";
import type { JobEnd } from "../core/jobs.ts";
import type { RunOptions } from "../core/options.ts";
import { compileFilter } from "../filter/compile.ts";
import type { DirHandle } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import type { ControlStream } from "../link/control-stream.ts";
import { lookAt, type SourceFacts, type TargetFacts, targetFacts } from "../session/facts.ts";
import { guardOwners } from "../session/guard-owners.ts";
import type { SourceMessage, TargetMessage } from "../session/messages.ts";
import { type HeldModule, type ModuleTarget, openModuleAuxiliary, openModuleTarget } from "../session/module-places.ts";
import { type NetworkLink, targetEnd } from "../session/network-link.ts";
import { guardOverlapByInodes } from "../session/overlap.ts";
import { ownerMapOf } from "../session/owner-names.ts";
import { summarize } from "../session/summary.ts";
import { prepareTarget, type TargetSide } from "../session/target-side.ts";
import { say } from "../session/wire-messages.ts";
import { encodeSummary } from "../wire/events.ts";
import { decodeSourceFacts, encodeTargetFacts } from "../wire/facts.ts";
import type { Hello, Open, Place } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { CallersFace } from "./callers-face.ts";
import type { ModuleConfig } from "./config.ts";
import { CANCELLED, type ServedEnd, type ServedSession } from "./served-session.ts";

export interface ServedTarget extends ModuleTarget {
  readonly module: ModuleConfig;
  readonly facts: TargetFacts;
  readonly backupRoot: DirHandle;
  readonly temp: DirHandle;
}

/** Admits the session to the module of its target; nothing is opened yet. */
export function admitTarget(session: ServedSession, place: Place, options: RunOptions): ModuleConfig {
  guardOwners(options);
  return session.admit(place.module, {
    reads: options.verb === "check" || options.dryRun,
    writes: options.verb !== "check",
  });
}

export async function openServedTarget(
  session: ServedSession,
  module: ModuleConfig,
  held: HeldModule,
  place: Place,
  peer: SourceFacts,
  oneMachine: boolean,
  options: RunOptions,
): Promise<ServedTarget> {
  const backend = session.backend!;
  const writes = !options.dryRun && options.verb !== "check";
  const filter = compileFilter(options.filter, { deleteExcluded: options.delete.excluded }).root();
  const target = await openModuleTarget(backend, held, peer.arguments, place.path, writes, (ground, decision) => {
    if (oneMachine) guardOverlapByInodes(peer, ground, decision, options, filter, false);
  });
  const { handle } = target.opened;
  if (handle >= 0) session.handles.push(handle);
  const own = targetFacts(handle >= 0 ? handle : held.root);
  const { write } = options;
  const auxiliary = (flag: string, path: Uint8Array | undefined): Promise<DirHandle> =>
    openModuleAuxiliary(backend, held, handle, target.decision.target, { flag, path });
  const backupRoot = await auxiliary("--backup-dir", write.backup?.directory);
  const temp = await auxiliary("--temp-dir", write.tempDir);
  for (const opened of [backupRoot, temp]) if (opened >= 0) session.handles.push(opened);
  return {
    ...target,
    module,
    facts: { ...own, makesDevices: own.makesDevices && module.allowDevices },
    backupRoot,
    temp,
  };
}

/** The end of a link that brings what the module admits. */
export function servedTargetEnd(
  session: ServedSession,
  stream: ControlStream,
  { module, facts }: ServedTarget,
  options: RunOptions,
): NetworkLink<TargetMessage, SourceMessage> {
  return targetEnd(stream, {
    owners: ownerMapOf(options.preserve),
    policy: { stripSetid: module.stripSetid, devices: facts.makesDevices, specials: module.allowSpecials },
    memory: (bytes) => session.backend!.batchMemory(bytes),
    loops: session.backend?.loops,
  });
}

export async function prepareServedTarget(
  session: ServedSession,
  target: ServedTarget,
  peer: SourceFacts,
  oneMachine: boolean,
  options: RunOptions,
  hooks: RunHooks,
  link: NetworkLink<TargetMessage, SourceMessage>,
  waitsForClosed: boolean,
  toldDirectories = target.facts.openDirectories,
): Promise<TargetSide> {
  const backend = session.backend!;
  const { opened, decision, facts, backupRoot, temp } = target;
  return await prepareTarget({
    backend,
    options,
    hooks,
    counters: session.counters,
    filter: compileFilter(options.filter, { deleteExcluded: options.delete.excluded }),
    target: opened,
    rename: decision.rename,
    targetFacts: opened.handle >= 0 ? await lookAt(backend, opened.handle) : undefined,
    source: peer,
    sourceDevice: { rotational: false, remote: false },
    doers: { source: peer.doer, target: doer("daemon") },
    payload: "streams",
    openDirectories: Math.min(toldDirectories, peer.openDirectories),
    sharesInodes: oneMachine,
    waitsForClosed,
    privileged: facts.privileged && peer.privileged,
    backupRoot,
    temp,
    renames: false,
    signal: session.stopping.signal,
    onContentLost: () => session.carriers?.contentLost(),
    onUnwanted: () => session.carriers?.stop(),
    link,
  });
}

export async function serveTarget(
  session: ServedSession,
  hello: Hello,
  open: Open,
  options: RunOptions,
): Promise<ServedEnd> {
  const peer = open.sourceFacts === undefined ? undefined : decodeSourceFacts(open.sourceFacts);
  if (open.target === undefined || peer === undefined || peer.arguments.length === 0)
    throw new ProtocolViolation("a session without a target, or without the facts of its source");
  const module = admitTarget(session, open.target, options);
  const held = await session.openModule(module);
  const oneMachine = session.isOneMachine(hello);
  const target = await openServedTarget(session, module, held, open.target, peer, oneMachine, options);
  const link = servedTargetEnd(session, session.stream, target, options);
  session.isReceiver = true;
  const grant = session.offerStreams("receive", open, options);
  session.stream.send(
    say({
      case: "accept",
      value: {
        ...session.acceptance(),
        targetFacts: encodeTargetFacts(target.facts),
        placement: { target: open.target.path, targetExists: target.exists },
        ...grant,
      },
    }),
  );
  session.started(module, "target", open.target.path, open, options);
  const face = new CallersFace(session.stream, session.counters, open, {
    landed: () => session.backend!.bytesDone(),
    onPhase: (phase) => session.enter(phase),
  });
  const side = await prepareServedTarget(session, target, peer, oneMachine, options, face.hooks, link, false);
  session.dispatch(link, (message) => face.take(message));
  side.runner.start();
  try {
    await session.untilDone(side.runner.done, () => {
      session.carriers!.stop();
      side.runner.stop();
      face.stop();
    });
    await side.tidy();
  } finally {
    face.close();
    await side.runner.dispose();
  }
  // The caller waits for the summary, and the streams' goodbyes tell nothing that is not known.
  const end = tellSummary(session, side);
  await session.carriers!.end(!session.isStopped);
  session.stream.finish();
  return session.endOf(end);
}

/** The last thing the caller hears. Returns how the run ended. */
export function tellSummary(session: ServedSession, side: TargetSide): JobEnd {
  const summed = summarize(side.state, {
    backend: session.backend!,
    durationMs: performance.now() - session.startedMs,
    network: session.carriers!.summary(side.runner.firstContentMs),
    aborted: session.isStopped,
  });
  const summary = session.isCancelled ? { ...summed, ...CANCELLED } : summed;
  session.stream.send(say({ case: "summary", value: encodeSummary(summary) }));
  return summary;
}
