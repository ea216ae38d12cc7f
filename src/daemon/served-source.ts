/** The daemon as the source of a session: places below the module's root, opened and offered. */
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { compileFilter } from "../filter/compile.ts";
import type { CompiledFilter } from "../filter/filter.ts";
import { Accounts } from "../fs/accounts.ts";
import type { DirHandle } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import { isNearLine } from "../link/line.ts";
import {
  type DirectoryFacts,
  lookAtSource,
  type SourceFacts,
  sourceFacts,
  type TargetFacts,
} from "../session/facts.ts";
import { guardDirectories } from "../session/guard-directories.ts";
import { type ModuleSource, openModuleSource, shownIn } from "../session/module-places.ts";
import { sourceEnd } from "../session/network-link.ts";
import { flushDirectories } from "../session/open-directories.ts";
import { type SourceRoot, SourceRunner } from "../session/source-runner.ts";
import { writeSettings } from "../session/target-side.ts";
import { say } from "../session/wire-messages.ts";
import { decodeTargetFacts, encodeSourceFacts } from "../wire/facts.ts";
import type { Hello, Open, Place } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import type { ModuleConfig } from "./config.ts";
import type { ServedEnd, ServedSession } from "./served-session.ts";

/** A source of this daemon, opened. */
export interface ServedPlaces {
  readonly module: ModuleConfig;
  readonly roots: readonly SourceRoot[];
  readonly directory: DirectoryFacts;
  readonly facts: SourceFacts;
  readonly filter: CompiledFilter;
  /** What links that are followed must not lead out of; undefined: none is followed. */
  readonly confine: DirHandle | undefined;
}

export async function openServedSource(
  session: ServedSession,
  places: readonly Place[],
  options: RunOptions,
): Promise<ServedPlaces> {
  const backend = session.backend!;
  const first = places[0];
  if (first === undefined || places.length > LIMITS.sourceArguments)
    throw new ProtocolViolation("a session without sources, or with too many");
  if (places.some(({ module }) => module !== first.module))
    throw new RunError(ExitCode.usage, "several_modules", "the sources of one run have to be in one module");
  const module = session.admit(first.module, { reads: true, writes: options.verb === "move" });
  const held = await session.openModule(module);
  if (options.copyLinks && !backend.capabilities.confinesLinks) {
    throw new RunError(
      ExitCode.usage,
      "copy_links",
      "--copy-links needs the native library where a daemon is the source: without it links may lead out of the module",
    );
  }
  const confine = options.copyLinks ? held.root : undefined;
  const sources: ModuleSource[] = [];
  for (const { path } of places) {
    const source = await openModuleSource(backend, held, path, confine);
    session.handles.push(source.root.handle);
    sources.push(source);
  }
  guardDirectories(
    options,
    sources.map(({ argument }) => argument),
    (path) => shownIn(held, path),
  );
  const roots = sources.map(({ root }) => root);
  const directory = await lookAtSource(backend, roots[0]!);
  const facts = sourceFacts(
    roots,
    directory,
    sources.map(({ argument }) => argument),
    doer("daemon"),
  );
  const filter = compileFilter(options.filter, { deleteExcluded: options.delete.excluded });
  return { module, roots, directory, facts, filter, confine };
}

export async function serveSource(
  session: ServedSession,
  hello: Hello,
  open: Open,
  options: RunOptions,
): Promise<ServedEnd> {
  if (open.targetFacts === undefined) throw new ProtocolViolation("a session without the facts of its target");
  const peer = decodeTargetFacts(open.targetFacts);
  const places = await openServedSource(session, open.sources, options);
  const oneMachine = session.isOneMachine(hello);
  const link = sourceEnd(session.stream, {
    inodes: oneMachine,
    accounts: options.preserve.numericIds ? undefined : new Accounts(),
    loops: session.backend?.loops,
  });
  const grant = session.offerStreams("send", open, options);
  session.stream.send(
    say({
      case: "accept",
      value: { ...session.acceptance(), sourceFacts: encodeSourceFacts(places.facts), ...grant },
    }),
  );
  session.started(places.module, "source", open.sources[0]!.path, open, options);
  const runner = sourceRunnerOf(session, places, peer, oneMachine, options, link);
  session.refresh = () => {
    const { phase, entries, scanComplete, filesAsked, sourcesRemoved } = runner.progress;
    const seen = { phase, scanComplete, entriesExamined: entries, filesTransferred: filesAsked, sourcesRemoved };
    Object.assign(session.counters, seen);
  };
  session.dispatch(link, () => false);
  runner.onUnwanted = () => session.carriers!.stop();
  runner.start();
  // Of a check nothing was asked yet, and nobody is waited for.
  const left = Promise.withResolvers<void>();
  try {
    const stop = (): void => {
      session.carriers!.stop();
      runner.stop();
      if (options.verb === "check" && session.hasLeft) left.resolve();
    };
    await session.untilDone(Promise.race([runner.done, left.promise]), stop, true);
    await session.carriers!.end(!session.isStopped);
    session.stream.finish();
  } finally {
    await runner.dispose();
  }
  // Whoever left before anything else was said did not interrupt anything.
  return session.endOf(
    session.isStopped && !session.hasLeft
      ? { exitCode: ExitCode.interrupted, exitReason: "interrupted", message: "the caller stopped the run" }
      : { exitCode: ExitCode.ok, exitReason: "ok", message: undefined },
  );
}

export function sourceRunnerOf(
  session: ServedSession,
  { roots, directory, facts, filter, confine }: ServedPlaces,
  peer: TargetFacts,
  oneMachine: boolean,
  options: RunOptions,
  link: ReturnType<typeof sourceEnd>,
): SourceRunner {
  const backend = session.backend!;
  return new SourceRunner(
    {
      backend,
      options,
      roots,
      filter,
      settings: backend.prepare({
        ...writeSettings(options, facts.privileged && peer.privileged),
        ...(confine === undefined ? {} : { confine }),
      }),
      confine,
      mayMakeDevices: peer.makesDevices,
      targetIdentity: oneMachine ? peer.chain[0] : undefined,
      payload: "streams",
      isNear: isNearLine(session.stream.descriptor),
      rootDev: directory.dev,
      openMost: Math.min(facts.openDirectories, peer.openDirectories),
      flushMost: flushDirectories(Math.min(facts.openDirectories, peer.openDirectories)),
      onPhase: (phase) => session.enter(phase),
    },
    link,
  );
}
