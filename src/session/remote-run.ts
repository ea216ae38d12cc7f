/**
 * A run with one side behind a daemon.
 *
 *     push   sources here, target there: we play the source, the daemon decides and reports, its summary is the run's
 *     pull   sources there, target here: we play the target
 *     both behind daemons: they do it between them, see delegated-run.ts
 *
 * A session that breaks is opened again as often as --retry says; what arrived is there and is not sent twice.
 */
import { availableParallelism } from "node:os";
import { bareSummary, type Counters, newCounters, type RunSummary } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { compileFilter } from "../filter/compile.ts";
import { Accounts } from "../fs/accounts.ts";
import { type Backend, WORKING_DIRECTORY } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import { openBackend } from "../fs/open-backend.ts";
import { Capability, hasCapability } from "../fs/privileges.ts";
import type { EarlyDial } from "../link/dial.ts";
import { isNearLine } from "../link/line.ts";
import { decodeTargetFacts, encodeSourceFacts, encodeTargetFacts } from "../wire/facts.ts";
import { Role, type SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { encodeOptions } from "../wire/options.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import {
  type DaemonPlace,
  isLocal,
  type LocalPlace,
  type NetworkOptions,
  type Placement,
  type Run,
  type RunRequest,
} from "./api.ts";
import { factsOf } from "./asked.ts";
import { askedOnce, beginAgain, EarlierAttempts, mayPass, waitForNext } from "./attempts.ts";
import { CallerSession, type OpenedSession, openSession } from "./caller.ts";
import { carrierBuffers } from "./carriers.ts";
import { openDelegated } from "./delegated-run.ts";
import { lookAt, lookAtSource, sourceFacts, targetFacts } from "./facts.ts";
import { guardDirectories } from "./guard-directories.ts";
import { guardOwners } from "./guard-owners.ts";
import { sourceEnd, targetEnd } from "./network-link.ts";
import { flushDirectories } from "./open-directories.ts";
import { OpenPlaces } from "./open-places.ts";
import { guardOverlapByInodes, onGround } from "./overlap.ts";
import { ownerMapOf } from "./owner-names.ts";
import { placementOfTarget, resolveSources, resolveTarget, type SourcePlace } from "./places.ts";
import { type Attempt, moduleOf, type OpenAttempt, writtenOf } from "./remote-attempt.ts";
import { SessionLost } from "./session-end.ts";
import { SourceRunner } from "./source-runner.ts";
import { summarize } from "./summary.ts";
import { prepareTarget, writeSettings } from "./target-side.ts";
import { ToldSummary } from "./told-summary.ts";

const DEFAULT_NETWORK: NetworkOptions = { inStream: false, streams: 0, detach: false, acceptsDeletions: false };

/** `dialled`: to the daemon of a run with one side here, for its first session. */
export async function startRemoteRun(asked: RunRequest, dialled?: EarlyDial): Promise<Run> {
  const request = { ...asked, hooks: askedOnce(asked.hooks) };
  const { options, hooks, signal } = request;
  const open = lawful(attemptOf(request));
  // Without zero-copy there is one method, and that one has its effect on the way as well.
  if (options.write.methods !== undefined && options.write.methods.join() !== "read_write") {
    hooks.onEvent({
      kind: "notice",
      level: "warning",
      code: "copy_methods",
      message: "between machines content comes over the network: of the copy methods only sendfile counts there",
    });
  }
  const counters = newCounters();
  const attempt: Attempt = {
    request,
    network: request.network ?? DEFAULT_NETWORK,
    counters,
    filter: compileFilter(options.filter, { deleteExcluded: options.delete.excluded }),
    backend: backendFor(options),
    startedMs: performance.now(),
    dialled,
  };
  let first: OpenAttempt;
  try {
    first = await open(attempt);
  } catch (error) {
    await attempt.backend.shutdown();
    throw error;
  }
  hooks.onStart(counters);
  return { placement: first.placement, summary: runToEnd(attempt, first, open, signal) };
}

function backendFor({ write }: RunOptions): Backend {
  const backend = openBackend({ workers: write.workers > 0 ? write.workers : Math.max(2, availableParallelism()) });
  backend.setRate(write.rateBytesPerSecond);
  return backend;
}

/** What a daemon's acceptance says is decoded here and there: where it cannot be, the daemon broke the protocol. */
function lawful(open: (attempt: Attempt) => Promise<OpenAttempt>): (attempt: Attempt) => Promise<OpenAttempt> {
  return (attempt) =>
    open(attempt).catch((error: unknown) => {
      if (!(error instanceof ProtocolViolation)) throw error;
      throw new RunError(ExitCode.protocol, "protocol", `the daemon broke the protocol: ${error.message}`);
    });
}

async function runToEnd(
  began: Attempt,
  first: OpenAttempt,
  open: (attempt: Attempt) => Promise<OpenAttempt>,
  signal: AbortSignal,
): Promise<RunSummary> {
  const { request, counters, startedMs } = began;
  const { options, hooks } = request;
  let attempt = began;
  let current: OpenAttempt | undefined = first;
  let lost: RunError | undefined;
  const earlier = new EarlierAttempts();
  try {
    for (let tries = 0; ; tries++) {
      let summary: RunSummary | undefined;
      try {
        current ??= await open(attempt);
        summary = await current.run();
      } catch (error) {
        if (!(error instanceof RunError)) throw error;
        lost = error;
      }
      current = undefined;
      // Whoever cancelled the job at the daemon does not want it tried again.
      const isWanted = summary?.exitCode !== ExitCode.interrupted;
      const isPassing = summary === undefined ? isTransient(lost!) : isWanted && mayPass(summary.failures);
      const again = tries < options.retry.attempts && isPassing && !signal.aborted && !options.dryRun;
      const end = (): RunSummary =>
        earlier.total(
          summary ??
            lostSummary(
              signal.aborted ? interrupted(lost!) : lost!,
              counters,
              performance.now() - startedMs,
              options.dryRun,
            ),
        );
      if (!again) return end();
      const what = summary === undefined ? lost!.message : `${counters.failed + counters.vanished} failed`;
      if (!(await waitForNext(what, tries, options, hooks, signal))) return end();
      if (summary === undefined) earlier.addLost(counters);
      else earlier.add(summary);
      beginAgain(counters);
      // A backend whose streams have ended takes no further content: each session has its own.
      await attempt.backend.shutdown();
      attempt = { ...attempt, backend: backendFor(options) };
    }
  } finally {
    await attempt.backend.shutdown();
  }
}

/** Of what a daemon tells: its own connection to another one, and its end, are no more lasting than ours to it. */
const TRANSIENT: ReadonlySet<string> = new Set(["connection_lost", "timeout", "daemon_stopped"]);

function isTransient(error: RunError): boolean {
  return (
    error instanceof SessionLost ||
    TRANSIENT.has(error.reason) ||
    error.exitCode === ExitCode.socket ||
    error.exitCode === ExitCode.connectTimeout ||
    error.exitCode === ExitCode.starting
  );
}

/** After an interruption it does not matter how the session came to its end. */
function interrupted(lost: RunError): RunError {
  return new RunError(ExitCode.interrupted, "interrupted", `interrupted; ${lost.message}`);
}

/** What is known of a run whose session ended before it could tell. */
function lostSummary(lost: RunError, counters: Counters, durationMs: number, dryRun: boolean): RunSummary {
  const { exitCode, reason, message } = lost;
  const ending = { exitCode, exitReason: reason, message };
  return { ...bareSummary(ending, { ...counters }, Math.round(durationMs)), dryRun };
}

/** How this run's sessions are opened; throws RunError for a placement that cannot be. */
function attemptOf({ sources, target, options }: RunRequest): (attempt: Attempt) => Promise<OpenAttempt> {
  const daemons = sources.filter((place): place is DaemonPlace => !isLocal(place));
  if (daemons.length === 0) {
    const local = resolveSources(sources.filter(isLocal));
    guardDirectories(options, local);
    return (attempt) => openPush(attempt, local, target as DaemonPlace);
  }
  const [first] = daemons;
  const isOne = daemons.every(
    ({ host, port, module }) => host === first!.host && port === first!.port && module === first!.module,
  );
  if (daemons.length !== sources.length || !isOne) {
    throw new RunError(
      ExitCode.usage,
      "mixed_sources",
      "the sources of one run have to be on one side: all local, or all in one module of one daemon",
    );
  }
  if (!isLocal(target)) return (attempt) => openDelegated(attempt, daemons, target);
  guardOwners(options);
  return (attempt) => openPull(attempt, daemons, target);
}

// ---- push -----------------------------------------------------------------------------------------------------

async function openPush(attempt: Attempt, places: readonly SourcePlace[], target: DaemonPlace): Promise<OpenAttempt> {
  const { request, backend, network } = attempt;
  const { options, hooks, signal } = request;
  const opened = new OpenPlaces(backend);
  try {
    const roots = await opened.sources(places);
    const facts = await lookAtSource(backend, roots[0]!);
    const own = sourceFacts(roots, facts, places, doer());
    const session = await openSession(
      target,
      {
        daemonRole: Role.TARGET,
        target: moduleOf(target),
        options: encodeOptions(options),
        explains: request.explains ?? "",
        sourceFacts: encodeSourceFacts(own),
        wantsItems: hooks.wantsItems,
        wantsReasons: hooks.wantsReasons ?? false,
        maxStreams: network.streams,
      },
      signal,
      undefined,
      attempt.dialled?.take(),
    );
    const peer = session.accept.targetFacts;
    if (peer === undefined) throw new RunError(ExitCode.protocol, "protocol", "the daemon told nothing of its target");
    const their = decodeTargetFacts(peer);
    const link = sourceEnd(session.stream, {
      inodes: session.oneMachine,
      accounts: options.preserve.numericIds ? undefined : new Accounts(),
      loops: backend.loops,
    });
    const runner = (): SourceRunner =>
      new SourceRunner(
        {
          backend,
          options,
          roots,
          filter: attempt.filter,
          settings: backend.prepare(writeSettings(options, own.privileged && their.privileged)),
          mayMakeDevices: their.makesDevices,
          targetIdentity: session.oneMachine ? their.chain[0] : undefined,
          payload: "streams",
          isNear: isNearLine(session.stream.descriptor),
          confine: undefined,
          rootDev: facts.dev,
          openMost: Math.min(own.openDirectories, their.openDirectories),
          flushMost: flushDirectories(Math.min(own.openDirectories, their.openDirectories)),
        },
        link,
      );
    return {
      placement: {
        sources: places.map(({ written, entry }) => ({
          path: written,
          kind: entry === undefined ? "contents" : "entry",
        })),
        target: writtenOf(target),
        targetExists: session.accept.placement?.targetExists ?? true,
      },
      run: async () => {
        try {
          return await push(attempt, session, runner(), (role, others) => role.dispatch(link, others));
        } finally {
          opened.close();
        }
      },
    };
  } catch (error) {
    opened.close();
    throw error;
  }
}

async function push(
  attempt: Attempt,
  session: OpenedSession,
  source: SourceRunner,
  dispatch: (role: CallerSession, others: (message: SessionMessage) => boolean) => void,
): Promise<RunSummary> {
  const { request, backend, network, counters } = attempt;
  const { hooks, signal } = request;
  const direction = { direction: "send", backlog: () => source.backlog } as const;
  const role = new CallerSession(session, backend, direction, hooks, carrierBuffers(request.options.transfer, true));
  const told = new ToldSummary(session.stream, counters, hooks);
  dispatch(role, (message) => told.take(message));
  source.onUnwanted = () => role.carriers.stop();
  source.start();
  void role.chooseCarrier(network);
  let inOrder = false;
  try {
    // The daemon sums up when every stream has said goodbye.
    const sent = source.done.then(() => role.carriers.end(!signal.aborted, told.summary));
    await role.untilDone(Promise.all([sent, told.summary]), signal, () => source.stop());
    inOrder = !signal.aborted;
    const summary = await told.summary;
    return {
      ...summary,
      ...(summary.network === undefined ? {} : { network: role.withLine(summary.network) }),
      durationMs: Math.round(performance.now() - attempt.startedMs),
    };
  } finally {
    await role.close(inOrder);
    await source.dispose();
  }
}

// ---- pull -----------------------------------------------------------------------------------------------------

async function openPull(attempt: Attempt, sources: readonly DaemonPlace[], target: LocalPlace): Promise<OpenAttempt> {
  const { request, backend, network } = attempt;
  const { options, signal } = request;
  const opened = new OpenPlaces(backend);
  const writes = !options.dryRun && options.verb !== "check";
  const before = await targetBefore(backend, target);
  const session = await openSession(
    sources[0]!,
    {
      daemonRole: Role.SOURCE,
      sources: sources.map(moduleOf),
      options: encodeOptions(options),
      explains: request.explains ?? "",
      targetFacts: encodeTargetFacts(before),
      maxStreams: network.streams,
    },
    signal,
    undefined,
    attempt.dialled?.take(),
  );
  try {
    const peer = factsOf(
      sources.map(({ path }) => path),
      session.accept.sourceFacts,
    );
    const decision = resolveTarget(peer.arguments, target.path);
    if (session.oneMachine) {
      const resolve = (path: Uint8Array) => backend.resolve(WORKING_DIRECTORY, path, { create: false, operator: true });
      await onGround(backend, resolve, decision.target, (ground) =>
        guardOverlapByInodes(peer, ground, decision, options, attempt.filter.root(), before.chain.length === 0),
      );
    }
    const placement: Placement = {
      sources: sources.map((place, i) => ({
        path: writtenOf(place),
        kind: peer.arguments[i]?.entry === undefined ? "contents" : "entry",
      })),
      ...placementOfTarget(decision),
    };
    const pull = async (): Promise<RunSummary> => {
      const sink = await opened.target(decision, writes);
      const own = targetFacts(sink.handle);
      const link = targetEnd(session.stream, {
        owners: ownerMapOf(options.preserve),
        policy: { stripSetid: false, devices: hasCapability(Capability.mknod), specials: true },
        memory: (bytes) => backend.batchMemory(bytes),
        loops: backend.loops,
      });
      const side = await prepareTarget({
        backend,
        options,
        hooks: request.hooks,
        counters: attempt.counters,
        filter: attempt.filter,
        target: sink,
        rename: decision.rename,
        targetFacts: sink.handle >= 0 ? await lookAt(backend, sink.handle) : undefined,
        source: peer,
        sourceDevice: { rotational: false, remote: false },
        doers: { source: peer.doer, target: doer() },
        payload: "streams",
        openDirectories: Math.min(before.openDirectories, peer.openDirectories),
        sharesInodes: session.oneMachine,
        privileged: own.privileged && peer.privileged,
        backupRoot: await opened.auxiliary(options.write.backup?.directory, decision.target, writes),
        temp: await opened.auxiliary(options.write.tempDir, decision.target, writes),
        renames: false,
        signal,
        onContentLost: () => role.carriers.contentLost(),
        onUnwanted: () => role.carriers.stop(),
        link,
      });
      const role = new CallerSession(
        session,
        backend,
        { direction: "receive", backlog: () => side.runner.backlog },
        request.hooks,
        carrierBuffers(options.transfer, true),
      );
      role.dispatch(link, () => false);
      side.runner.start();
      void role.chooseCarrier(network);
      const landedBefore = attempt.counters.bytesLanded;
      const landed = setInterval(() => {
        attempt.counters.bytesLanded = landedBefore + backend.bytesDone();
      }, LIMITS.progressMs);
      let inOrder = false;
      try {
        await role.untilDone(side.runner.done, signal, () => side.runner.stop());
        inOrder = !signal.aborted;
        await side.tidy();
      } finally {
        clearInterval(landed);
        await role.close(inOrder);
        await side.runner.dispose();
      }
      return summarize(side.state, {
        backend,
        durationMs: performance.now() - attempt.startedMs,
        aborted: signal.aborted,
        network: role.withLine(role.carriers.summary(side.runner.firstContentMs)),
      });
    };
    return {
      placement,
      run: async () => {
        try {
          return await pull();
        } finally {
          session.stream.finish();
          opened.close();
        }
      },
    };
  } catch (error) {
    session.stream.finish();
    throw error;
  }
}

/** What the daemon has to know of the target before it is decided what that is. */
async function targetBefore(backend: Backend, target: LocalPlace) {
  const handle = await backend.resolve(WORKING_DIRECTORY, target.path, { create: false, operator: true });
  try {
    return targetFacts(handle);
  } finally {
    if (handle >= 0) backend.close([handle]);
  }
}
