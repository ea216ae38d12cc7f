/**
 * One session, as the daemon sees it.
 *
 *     hello, open           within the handshake deadline
 *     the module            exists, lets this peer in, allows this role
 *     places                opened below the module's root, by held descriptors
 *     accept                with tokens for the data plane
 *     the role              talks to the caller's until it is done
 *     summary (target)      the caller prints it
 *
 * Whatever goes wrong ends this session and no other; the caller hears why where it can still be told.
 */
import { availableParallelism } from "node:os";
import { type Counters, newCounters, type RunEvent, type RunHooks } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { compileFilter } from "../filter/compile.ts";
import { Accounts } from "../fs/accounts.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { WORKING_DIRECTORY } from "../fs/backend.ts";
import { openBackend } from "../fs/open-backend.ts";
import type { ControlStream } from "../link/control-stream.ts";
import type { DataSocket } from "../link/data-client.ts";
import { SESSION_ID_BYTES } from "../link/data-handshake.ts";
import { Carriers } from "../session/carriers.ts";
import { bootId, lookAt, lookAtSource, sourceFacts, targetFacts } from "../session/facts.ts";
import { greeting, isCompatible, versionsOf } from "../session/greeting.ts";
import {
  type ModuleSource,
  openModuleAuxiliary,
  openModuleSource,
  openModuleTarget,
} from "../session/module-places.ts";
import { type NetworkLink, sourceEnd, targetEnd } from "../session/network-link.ts";
import { guardChains } from "../session/overlap.ts";
import { SessionLost } from "../session/session-end.ts";
import { SourceRunner } from "../session/source-runner.ts";
import { summarize } from "../session/summary.ts";
import { prepareTarget, writeSettings } from "../session/target-side.ts";
import { say } from "../session/wire-messages.ts";
import { encodeEvent, encodeProgress, encodeSummary } from "../wire/events.ts";
import { decodeSourceFacts, decodeTargetFacts, encodeSourceFacts, encodeTargetFacts } from "../wire/facts.ts";
import { type Hello, type Open, Role, type SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { decodeOptions } from "../wire/options.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import type { ModuleConfig } from "./config.ts";

/** What a session needs of the daemon. */
export interface SessionHost {
  /** The module, if this peer may use it like this now; throws RunError. The lease is given back at the end. */
  admit(
    module: string | undefined,
    use: { readonly reads: boolean; readonly writes: boolean },
  ): {
    readonly module: ModuleConfig;
    readonly leave: () => void;
  };
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly streamsMost: number;
  /** Undefined: content travels in the control plane. */
  readonly data:
    | {
        readonly port: number;
        add(sessionId: Uint8Array, take: (index: number, socket: DataSocket) => boolean): void;
        remove(sessionId: Uint8Array): void;
        grant(sessionId: Uint8Array, count: number): Uint8Array[];
      }
    | undefined;
  /** Aborted when the daemon is to end at once. */
  readonly signal: AbortSignal;
  onStart(facts: {
    module: string | undefined;
    role: "source" | "target";
    verb: string;
    path: Uint8Array;
    session: string;
  }): void;
}

export interface ServedEnd {
  readonly exitReason: string;
  readonly counters: Readonly<Counters>;
  readonly bytes: number;
}

interface Opening {
  readonly hello: Hello;
  readonly open: Open;
}

/** Serves one session to its end; never throws. */
export async function serveSession(stream: ControlStream, host: SessionHost): Promise<ServedEnd> {
  const session = new ServedSession(stream, host);
  try {
    return await session.run();
  } catch (error) {
    return session.refuse(error);
  } finally {
    await session.close();
  }
}

class ServedSession {
  private readonly stream: ControlStream;
  private readonly host: SessionHost;
  private readonly sessionId = crypto.getRandomValues(new Uint8Array(SESSION_ID_BYTES));
  private readonly counters = newCounters();
  private readonly handles: DirHandle[] = [];
  private readonly closing: (() => void)[] = [];
  private backend: Backend | undefined;
  private carriers: Carriers | undefined;
  private readonly stopping = new AbortController();
  /** Streams of a source that the caller has not said it is ready for. */
  private parked: DataSocket[] = [];
  private isReady = false;

  constructor(stream: ControlStream, host: SessionHost) {
    this.stream = stream;
    this.host = host;
  }

  async run(): Promise<ServedEnd> {
    const { hello, open } = await this.opening();
    const options = decodeOptions(open.options!);
    this.checkOptions(open, options);
    const workers = options.write.workers > 0 ? options.write.workers : Math.max(2, availableParallelism());
    this.backend = openBackend({ workers });
    this.backend.setRate(options.write.rateBytesPerSecond);
    return open.daemonRole === Role.SOURCE
      ? await this.runSource(hello, open, options)
      : await this.runTarget(hello, open, options);
  }

  // ---- opening ------------------------------------------------------------------------------------------------

  private opening(): Promise<Opening> {
    return new Promise((resolve, reject) => {
      let hello: Hello | undefined;
      const timer = setTimeout(
        () => reject(new RunError(ExitCode.timeout, "handshake_timeout", "the session was not opened in time")),
        this.host.handshakeMs,
      );
      this.closing.push(() => clearTimeout(timer));
      void this.stream.ended.then((failure) => {
        if (failure !== undefined) reject(new SessionLost(failure, "the caller"));
      });
      this.stream.onMessage(({ body }) => {
        if (body.case === "hello" && hello === undefined) {
          hello = body.value;
          this.stream.send(say({ case: "hello", value: greeting() }));
          if (isCompatible(hello)) return;
          reject(new RunError(ExitCode.protocol, "version", versionsOf(hello, "the caller")));
        } else if (body.case === "open" && hello !== undefined && body.value.options !== undefined) {
          clearTimeout(timer);
          this.stream.hold();
          resolve({ hello, open: body.value });
        } else reject(new ProtocolViolation(`${body.case ?? "nothing"} before the session was open`));
      });
    });
  }

  private checkOptions(open: Open, options: RunOptions): void {
    if (open.daemonRole !== Role.SOURCE && open.daemonRole !== Role.TARGET)
      throw new ProtocolViolation("a session without a role for the daemon");
    if (open.daemonRole === Role.SOURCE && options.copyLinks) {
      throw new RunError(
        ExitCode.usage,
        "copy_links",
        "--copy-links cannot be used with a daemon as the source: its links may lead out of the module",
      );
    }
  }

  /** Whether both sides see the same inodes. */
  private isOneMachine(hello: Hello): boolean {
    const own = bootId();
    return own !== "" && hello.bootId === own;
  }

  private async openModule(module: ModuleConfig): Promise<DirHandle> {
    const root = await this.backend!.resolve(WORKING_DIRECTORY, module.path, { create: false, operator: true });
    if (root < 0)
      throw new RunError(
        ExitCode.selecting,
        "module_unavailable",
        `module ${module.name} is not available at the moment`,
      );
    this.handles.push(root);
    return root;
  }

  private offerStreams(
    direction: "send" | "receive",
    open: Open,
  ): { dataPort: number; tokens: Uint8Array[]; maxStreams: number } {
    this.carriers = new Carriers(this.backend!, direction, this.stream, this.host.idleMs);
    const { data } = this.host;
    if (data === undefined) return { dataPort: 0, tokens: [], maxStreams: 0 };
    const maxStreams = Math.max(
      1,
      Math.min(this.host.streamsMost, open.maxStreams === 0 ? LIMITS.streamsMost : open.maxStreams),
    );
    data.add(this.sessionId, (_index, socket) => this.takeStream(socket));
    this.closing.push(() => data.remove(this.sessionId));
    const tokens = data.grant(this.sessionId, Math.min(LIMITS.streamsAtFirst, maxStreams));
    this.granted = tokens.length;
    this.maxStreams = maxStreams;
    return { dataPort: data.port, tokens, maxStreams };
  }
  private granted = 0;
  private maxStreams = 0;

  private takeStream(socket: DataSocket): boolean {
    const { carriers } = this;
    if (carriers === undefined || carriers.inStream || this.stopping.signal.aborted) return false;
    // A caller that receives has to be ready first: what came early would be read by its handshake.
    if (this.isReady || this.isReceiver) carriers.add(socket);
    else this.parked.push(socket);
    return true;
  }
  private isReceiver = false;

  private onControl({ body }: SessionMessage): boolean {
    switch (body.case) {
      case "carrier":
        if (body.value.inStream) this.carriers!.useControlPlane();
        this.isReady = true;
        for (const socket of this.parked.splice(0)) this.carriers!.add(socket);
        return true;
      case "streamRequest": {
        const room = Math.max(0, this.maxStreams - this.granted);
        const tokens = this.host.data?.grant(this.sessionId, Math.min(room, body.value.count)) ?? [];
        this.granted += tokens.length;
        if (body.value.count > 0) this.stream.send(say({ case: "streamGrant", value: { tokens } }));
        if (body.value.fewer > 0 && !this.isReceiver) this.carriers!.fewer(body.value.fewer);
        return true;
      }
      case "stop":
        this.stopping.abort();
        return true;
      default:
        return false;
    }
  }

  /** Role messages go to the role, from now on. */
  private dispatch<Out, In>(link: NetworkLink<Out, In>, others: (message: SessionMessage) => boolean): void {
    this.stream.onMessage((message) => {
      try {
        if (this.onControl(message) || this.carriers!.take(message) || others(message)) return;
        link.take(message);
      } catch (error) {
        this.stream.fail("misbehaved", error instanceof Error ? error.message : String(error));
      }
    });
    this.stream.keepAlive(this.host.idleMs, this.movement());
  }

  /** True when content moved since it was last asked. */
  private movement(): () => boolean {
    let last = 0;
    return () => {
      const bytes = this.carriers?.bytes() ?? 0;
      const moved = bytes !== last;
      last = bytes;
      return moved;
    };
  }

  /** Waits for the role, or for the connection to go, or for the daemon to be stopped. */
  private async untilDone(done: Promise<unknown>, stop: () => void): Promise<void> {
    const lost = this.stream.ended.then((failure) => {
      if (failure !== undefined) throw new SessionLost(failure, "the caller");
      return new Promise<never>(() => undefined);
    });
    const onStop = (): void => stop();
    this.stopping.signal.addEventListener("abort", onStop, { once: true });
    const onHost = (): void => this.stream.fail("broken", "the daemon was stopped");
    this.host.signal.addEventListener("abort", onHost, { once: true });
    if (this.host.signal.aborted) onHost();
    try {
      await Promise.race([done, lost]);
    } finally {
      this.stopping.signal.removeEventListener("abort", onStop);
      this.host.signal.removeEventListener("abort", onHost);
    }
  }

  // ---- source -------------------------------------------------------------------------------------------------

  private async runSource(hello: Hello, open: Open, options: RunOptions): Promise<ServedEnd> {
    const backend = this.backend!;
    const first = open.sources[0];
    const peer = open.targetFacts === undefined ? undefined : decodeTargetFacts(open.targetFacts);
    if (first === undefined || peer === undefined || open.sources.length > LIMITS.sourceArguments)
      throw new ProtocolViolation("a session without sources, or without the facts of its target");
    if (open.sources.some(({ module }) => module !== first.module))
      throw new RunError(ExitCode.usage, "several_modules", "the sources of one run have to be in one module");
    const { module, leave } = this.host.admit(first.module === "" ? undefined : first.module, {
      reads: true,
      writes: options.verb === "move" && !options.dryRun,
    });
    this.closing.push(leave);
    const moduleRoot = await this.openModule(module);
    const sources: ModuleSource[] = [];
    for (const { path } of open.sources) {
      const source = await openModuleSource(backend, moduleRoot, path);
      if (source.root.entry === undefined) this.handles.push(source.root.handle);
      sources.push(source);
    }
    const roots = sources.map(({ root }) => root);
    const facts = await lookAtSource(backend, roots[0]!);
    const own = sourceFacts(
      roots[0]!,
      facts,
      sources.map(({ argument }) => argument),
    );
    const oneMachine = this.isOneMachine(hello);
    if (oneMachine) guardChains(own, peer, options);
    const filter = compileFilter(options.filter, { deleteExcluded: options.delete.excluded });
    const link = sourceEnd(this.stream, {
      inodes: oneMachine,
      accounts: options.preserve.numericIds ? undefined : new Accounts(),
    });
    const grant = this.offerStreams("send", open);
    this.stream.send(
      say({
        case: "accept",
        value: {
          sessionId: this.sessionId,
          protocol: 1,
          sourceFacts: encodeSourceFacts(own),
          ...grant,
          idleTimeoutMs: this.host.idleMs,
        },
      }),
    );
    this.started(open, module, "source", options);
    const runner = new SourceRunner(
      {
        backend,
        options,
        roots,
        filter,
        settings: backend.prepare(writeSettings(options, own.privileged && peer.privileged)),
        mayMakeDevices: peer.makesDevices,
        targetIdentity: oneMachine ? peer.chain[0] : undefined,
        payload: "streams",
        rootDev: facts.dev,
      },
      link,
    );
    this.dispatch(link, () => false);
    runner.start();
    try {
      await this.untilDone(runner.done, () => {
        this.carriers!.stop();
        runner.stop();
      });
      await this.carriers!.end(!this.stopping.signal.aborted);
      this.stream.finish();
    } finally {
      runner.dispose();
    }
    return this.endOf(this.stopping.signal.aborted ? "interrupted" : "ok");
  }

  // ---- target -------------------------------------------------------------------------------------------------

  private async runTarget(hello: Hello, open: Open, options: RunOptions): Promise<ServedEnd> {
    const backend = this.backend!;
    const peer = open.sourceFacts === undefined ? undefined : decodeSourceFacts(open.sourceFacts);
    if (open.target === undefined || peer === undefined || peer.arguments.length === 0)
      throw new ProtocolViolation("a session without a target, or without the facts of its source");
    const writes = !options.dryRun && options.verb !== "check";
    const { module, leave } = this.host.admit(open.target.module === "" ? undefined : open.target.module, {
      reads: options.verb === "check" || options.dryRun,
      writes: options.verb !== "check",
    });
    this.closing.push(leave);
    this.isReceiver = true;
    const moduleRoot = await this.openModule(module);
    const { decision, opened } = await openModuleTarget(backend, moduleRoot, peer.arguments, open.target.path, writes);
    if (opened.handle >= 0) this.handles.push(opened.handle);
    const own = targetFacts(opened.handle >= 0 ? opened.handle : moduleRoot);
    const makesDevices = own.makesDevices && module.allowDevices;
    const oneMachine = this.isOneMachine(hello);
    if (oneMachine && opened.handle >= 0) guardChains(peer, own, options);
    const { write } = options;
    const backupRoot = await openModuleAuxiliary(backend, moduleRoot, opened.handle, write.backup?.directory);
    const temp = await openModuleAuxiliary(backend, moduleRoot, opened.handle, write.tempDir);
    for (const handle of [backupRoot, temp]) if (handle >= 0) this.handles.push(handle);
    const link = targetEnd(this.stream, {
      accounts: options.preserve.numericIds ? undefined : new Accounts(),
      policy: { stripSetid: module.stripSetid, devices: makesDevices, specials: module.allowSpecials },
      memory: (bytes) => backend.batchMemory(bytes),
    });
    const grant = this.offerStreams("receive", open);
    this.stream.send(
      say({
        case: "accept",
        value: {
          sessionId: this.sessionId,
          protocol: 1,
          targetFacts: encodeTargetFacts({ ...own, makesDevices }),
          placement: { target: open.target.path, targetExists: decision.targetExists },
          ...grant,
          idleTimeoutMs: this.host.idleMs,
        },
      }),
    );
    this.started(open, module, "target", options);
    const startedMs = performance.now();
    const face = new CallersFace(this.stream, this.counters, open);
    const side = await prepareTarget({
      backend,
      options,
      hooks: face.hooks,
      counters: this.counters,
      filter: compileFilter(options.filter, { deleteExcluded: options.delete.excluded }),
      target: opened,
      rename: decision.rename,
      targetFacts: opened.handle >= 0 ? await lookAt(backend, opened.handle) : undefined,
      source: peer,
      sourceDevice: { rotational: false, remote: false },
      payload: "streams",
      sharesInodes: oneMachine,
      privileged: own.privileged && peer.privileged,
      backupRoot,
      temp,
      renames: false,
      signal: this.stopping.signal,
      link,
    });
    this.dispatch(link, (message) => face.take(message));
    side.runner.start();
    try {
      await this.untilDone(side.runner.done, () => {
        this.carriers!.stop();
        side.runner.stop();
        backend.cancel();
      });
      await side.tidy();
    } finally {
      face.close();
      side.runner.dispose();
    }
    const aborted = this.stopping.signal.aborted;
    await this.carriers!.end(!aborted);
    const summary = summarize(side.state, { backend, durationMs: performance.now() - startedMs, aborted });
    this.stream.send(say({ case: "summary", value: encodeSummary(summary) }));
    this.stream.finish();
    return this.endOf(summary.exitReason);
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  private started(open: Open, module: ModuleConfig, role: "source" | "target", options: RunOptions): void {
    this.host.onStart({
      module: module.name === "" ? undefined : module.name,
      role,
      verb: options.dryRun ? `${options.verb} (dry run)` : options.verb,
      path: (role === "source" ? open.sources[0]?.path : open.target?.path) ?? new Uint8Array(0),
      session: Buffer.from(this.sessionId.subarray(0, 6)).toString("hex"),
    });
  }

  private endOf(exitReason: string): ServedEnd {
    return { exitReason, counters: this.counters, bytes: this.carriers?.bytes() ?? 0 };
  }

  /** Tells the caller, where there still is one, and says what it was for the log. */
  refuse(error: unknown): ServedEnd {
    const known =
      error instanceof RunError
        ? error
        : error instanceof ProtocolViolation
          ? new RunError(ExitCode.protocol, "protocol", `the protocol was broken: ${error.message}`)
          : error instanceof Error && error.name === "FilterError"
            ? new RunError(ExitCode.usage, "filter", error.message)
            : new RunError(ExitCode.stream, "internal_error", "the daemon failed; its log says more");
    if (!(error instanceof SessionLost)) {
      const { exitCode, reason, message } = known;
      this.stream.send(say({ case: "refusal", value: { exitCode, reason, message } }));
    }
    this.stream.finish();
    if (known.reason === "internal_error") console.error("fastsync daemon: internal error:", error);
    return this.endOf(known.reason);
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0)) close();
    for (const socket of this.parked.splice(0)) socket.release();
    this.carriers?.stop();
    await this.carriers?.end(false);
    this.backend?.close(this.handles.filter((handle) => handle >= 0));
    await this.backend?.shutdown();
  }
}

/** The face of a run is at the caller's: what it is told travels there, and its answers come back. */
class CallersFace {
  readonly hooks: RunHooks;
  private readonly stream: ControlStream;
  private readonly counters: Counters;
  private readonly sent = newCounters();
  private readonly timer: ReturnType<typeof setInterval>;
  private answer: ((answer: "accepted" | "declined" | "unattended") => void) | undefined;

  constructor(stream: ControlStream, counters: Counters, open: Open) {
    this.stream = stream;
    this.counters = counters;
    this.hooks = {
      wantsItems: open.wantsItems,
      wantsReasons: open.wantsReasons,
      onStart: () => undefined,
      onEvent: (event) => this.tell(event),
      confirmDeletions: (plan) => {
        const answered = new Promise<"accepted" | "declined" | "unattended">((resolve) => {
          this.answer = resolve;
        });
        this.stream.send(
          say({
            case: "confirm",
            value: {
              entries: BigInt(plan.entries),
              targetEntries: BigInt(plan.targetEntries),
              sample: [...plan.sample],
            },
          }),
        );
        return answered;
      },
    };
    this.timer = setInterval(() => this.tellCounters(), LIMITS.progressMs);
  }

  private tell(event: RunEvent): void {
    const message = encodeEvent(event);
    if (message !== undefined) this.stream.send(message, event.kind === "items" ? event.rows.length * 64 : 0);
  }

  private tellCounters(): void {
    const progress = encodeProgress(this.counters, this.sent);
    if (progress !== undefined) this.stream.send(say({ case: "progress", value: progress }));
  }

  take({ body }: SessionMessage): boolean {
    if (body.case !== "confirmed") return false;
    const { answer } = body.value;
    this.answer?.(answer === "accepted" || answer === "declined" ? answer : "unattended");
    this.answer = undefined;
    return true;
  }

  close(): void {
    clearInterval(this.timer);
    // Whoever still waits for an answer gets the one that deletes nothing.
    this.answer?.("declined");
    this.tellCounters();
  }
}
