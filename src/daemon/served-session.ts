/** One session, as the daemon keeps it: what was said at its opening, its content's ways, and how it ends. */
import { type Counters, newCounters, type Phase } from "../core/events.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { type JobEnd, jobIdOf } from "../core/jobs.ts";
import { LIMITS } from "../core/limits.ts";
import type { ExplainedVerb, RunOptions, Verb } from "../core/options.ts";
import { RunError } from "../core/run-error.ts";
import { type Backend, type DirHandle, WORKING_DIRECTORY } from "../fs/backend.ts";
import { PhaseClock } from "../history/phase-clock.ts";
import type { ControlStream, StreamFailure } from "../link/control-stream.ts";
import type { DataSocket } from "../link/data-client.ts";
import { SESSION_ID_BYTES } from "../link/data-handshake.ts";
import { type DaemonAddress, printableAddress } from "../link/dial.ts";
import { isFarLine } from "../link/line.ts";
import { Carriers, type ConnectionTrace, carrierBuffers } from "../session/carriers.ts";
import { bootId } from "../session/facts.ts";
import { greeting, isCompatible, versionsOf } from "../session/greeting.ts";
import { PROTOCOL_VERSION } from "../session/messages.ts";
import type { HeldModule } from "../session/module-places.ts";
import type { NetworkLink } from "../session/network-link.ts";
import { SessionLost } from "../session/session-end.ts";
import { say } from "../session/wire-messages.ts";
import { type Hello, type Open, Role, type SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { decodeExplains } from "../wire/options.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { shownModule } from "./admission.ts";
import { type ModuleConfig, nameOf } from "./config.ts";
import type { JobControls } from "./jobs/registry.ts";

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
  /** Where a host that a caller wants dialled is, if this daemon dials it; throws RunError. */
  dialable(host: string, port: number): Promise<DaemonAddress>;
  readonly handshakeMs: number;
  readonly idleMs: number;
  readonly stalledMs: number;
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
  onStart(facts: SessionFacts, controls: JobControls): void;
  /** Undefined: nobody follows the connections of sessions. */
  readonly onConnection: ((session: string, told: ConnectionTrace) => void) | undefined;
}

/** What a session that was accepted is about. */
export interface SessionFacts {
  /** undefined: the daemon's root. */
  readonly module: string | undefined;
  readonly role: "source" | "target";
  readonly verb: Verb;
  readonly dryRun: boolean;
  /** undefined: it is a run, and not a look for `explain`. */
  readonly explains: ExplainedVerb | undefined;
  readonly path: Uint8Array;
  /** As the log and `--detach` name it. */
  readonly session: string;
  /** The daemon that was dialled for the caller. */
  readonly other: string | undefined;
}

export interface ServedEnd extends JobEnd {
  readonly counters: Readonly<Counters>;
  readonly bytes: number;
}

/** What a run says of its end that somebody else ended. */
export const CANCELLED: JobEnd = {
  exitCode: ExitCode.interrupted,
  exitReason: "cancelled",
  message: "the job was cancelled at the daemon; what is there is whole, and the next run goes on from here",
};

class CallerLost extends SessionLost {
  /** It is gone, or notices by itself: with --retry it may come again, and a refusal would keep it from that. */
  readonly isGone: boolean;
  constructor(failure: StreamFailure) {
    super(failure, "the caller");
    this.isGone = failure.kind === "broken" || failure.kind === "cut";
  }
}

interface Opening {
  readonly hello: Hello;
  readonly open: Open;
}

export class ServedSession {
  readonly stream: ControlStream;
  readonly host: SessionHost;
  readonly sessionId = crypto.getRandomValues(new Uint8Array(SESSION_ID_BYTES));
  readonly counters = newCounters();
  private readonly clock = new PhaseClock("scanning", performance.now());
  readonly handles: DirHandle[] = [];
  readonly closing: (() => void)[] = [];
  backend: Backend | undefined;
  carriers: Carriers | undefined;
  readonly stopping = new AbortController();
  readonly startedMs = performance.now();
  /** The caller may leave; the run goes on. */
  private isDetached = false;
  /** Nothing but the opening was said by the caller so far. */
  private isNew = true;
  /** The caller said stop before it said anything else: it wanted to know whether it may, and no more. */
  hasLeft = false;
  /** Whoever may stop this job did. */
  isCancelled = false;
  /** Brings the counters up to date where nobody does it as things happen: a source is asked how far it is. */
  refresh: () => void = () => undefined;
  private final: ReturnType<JobControls["look"]> | undefined;
  /** Streams that the caller has not yet spoken of, by Carrier. */
  parked: { readonly index: number; readonly socket: DataSocket }[] = [];

  /** As the log and `--detach` name it. */
  get name(): string {
    return jobIdOf(this.sessionId);
  }
  get isStopped(): boolean {
    return this.stopping.signal.aborted;
  }
  outlivesCaller(): void {
    this.isDetached = true;
  }

  constructor(stream: ControlStream, host: SessionHost) {
    this.stream = stream;
    this.host = host;
  }

  // ---- opening ------------------------------------------------------------------------------------------------

  opening(): Promise<Opening> {
    return new Promise((resolve, reject) => {
      let hello: Hello | undefined;
      const timer = setTimeout(
        () => reject(new RunError(ExitCode.timeout, "handshake_timeout", "the session was not opened in time")),
        this.host.handshakeMs,
      );
      this.closing.push(() => clearTimeout(timer));
      void this.stream.ended.then((failure) => {
        if (failure !== undefined) reject(new CallerLost(failure));
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
        } else if (body.case !== undefined)
          reject(new ProtocolViolation(`${body.case} out of turn: the session is not open`));
      });
    });
  }

  checkRole(open: Open): void {
    if (open.daemonRole !== Role.SOURCE && open.daemonRole !== Role.TARGET)
      throw new ProtocolViolation("a session without a role for the daemon");
  }

  /** Whether both sides see the same inodes. */
  isOneMachine(hello: Hello): boolean {
    const own = bootId();
    return own !== "" && hello.bootId === own;
  }

  /** The module's lease is given back at the end. Throws RunError. */
  admit(name: string, use: { readonly reads: boolean; readonly writes: boolean }): ModuleConfig {
    const { module, leave } = this.host.admit(name === "" ? undefined : name, use);
    this.closing.push(leave);
    return module;
  }

  /** Where the other daemon of a delegated session is to be dialled. Throws RunError. */
  dialable({ host, port }: { readonly host: string; readonly port: number }): Promise<DaemonAddress> {
    return this.host.dialable(host, port);
  }

  /** Opens something elsewhere that the caller waits for: as long as it does, and the daemon is not to end. */
  async whileAwaited<T>(open: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const left = new AbortController();
    let lost: StreamFailure | undefined;
    void this.stream.ended.then((failure) => {
      lost = failure;
      left.abort();
    });
    try {
      return await open(AbortSignal.any([this.stopping.signal, this.host.signal, left.signal]));
    } catch (error) {
      throw lost === undefined ? error : new CallerLost(lost);
    }
  }

  /** What every acceptance says. */
  acceptance() {
    return { sessionId: this.sessionId, protocol: PROTOCOL_VERSION, idleTimeoutMs: this.host.idleMs };
  }

  look(): ReturnType<JobControls["look"]> {
    if (this.final !== undefined) return this.final;
    this.refresh();
    this.enter(this.counters.phase);
    const phases = this.clock.times(performance.now());
    return { counters: this.counters, bytes: this.carriers?.bytes() ?? 0, phases };
  }

  /** The run is in this phase from now on. */
  enter(phase: Phase): void {
    this.clock.enter(phase, performance.now());
  }

  /** An orderly end, as if the caller had asked for it. */
  cancel(): void {
    this.isCancelled = true;
    this.stopping.abort();
  }

  async openModule(module: ModuleConfig): Promise<HeldModule> {
    const root = await this.backend!.resolve(WORKING_DIRECTORY, module.path, { create: false, operator: true });
    if (root < 0)
      throw new RunError(
        ExitCode.selecting,
        "module_unavailable",
        `${shownModule(nameOf(module))} is not available at the moment`,
      );
    this.handles.push(root);
    return { root, name: nameOf(module) };
  }

  offerStreams(
    direction: "send" | "receive",
    open: Open,
    { transfer }: RunOptions,
  ): { dataPort: number; tokens: Uint8Array[]; maxStreams: number } {
    // A peer gets no more of the kernel's memory than anybody may ask for.
    const buffers = carrierBuffers(transfer, false);
    this.carriers = new Carriers(this.backend!, direction, this.stream, this.host.idleMs, buffers);
    this.follow(this.carriers);
    const { data } = this.host;
    if (data === undefined) return { dataPort: 0, tokens: [], maxStreams: 0 };
    const maxStreams = Math.max(
      1,
      Math.min(this.host.streamsMost, open.maxStreams === 0 ? LIMITS.streamsMost : open.maxStreams),
    );
    data.add(this.sessionId, (index, socket) => this.takeStream(index, socket));
    this.closing.push(() => data.remove(this.sessionId));
    const first = isFarLine(this.stream.descriptor) ? LIMITS.streamsAtFirstFar : LIMITS.streamsAtFirst;
    const tokens = data.grant(this.sessionId, Math.min(first, maxStreams));
    this.granted = tokens.length;
    this.maxStreams = maxStreams;
    return { dataPort: data.port, tokens, maxStreams };
  }
  granted = 0;
  maxStreams = 0;

  /** Each of its connections is told to the host, where that wants it. */
  follow(carriers: Carriers): void {
    const { onConnection } = this.host;
    if (onConnection !== undefined) carriers.trace = (told) => onConnection(this.name, told);
  }

  takeStream(index: number, socket: DataSocket): boolean {
    const { carriers } = this;
    if (carriers === undefined || carriers.inStream || this.stopping.signal.aborted) return false;
    // The caller says when it has what it wants: one that receives has to be ready for the first frame, and of one that
    // gives a stream up nothing may be lost.
    this.parked.push({ index, socket });
    return true;
  }
  isReceiver = false;

  onControl({ body }: SessionMessage): boolean {
    switch (body.case) {
      case "carrier":
        if (body.value.inStream) this.carriers!.useControlPlane();
        // Beside the control plane no stream is used: one that did open is none that the caller waits for.
        for (const { index, socket } of this.parked.splice(0)) {
          if (body.value.inStream) socket.release();
          else this.carriers!.add(socket, index);
        }
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
        this.hasLeft = this.isNew;
        this.stopping.abort();
        return true;
      default:
        return false;
    }
  }

  /** Role messages go to the role, from now on. */
  dispatch<Out, In>(link: NetworkLink<Out, In>, others: (message: SessionMessage) => boolean): void {
    this.stream.onMessage((message) => {
      try {
        const isMine = this.onControl(message) || this.carriers!.take(message) || others(message);
        this.isNew = false;
        if (!isMine) link.take(message);
      } catch (error) {
        this.stream.fail("misbehaved", error instanceof Error ? error.message : String(error));
      }
    });
    this.stream.keepAlive(this.host.idleMs, this.movement(), this.host.stalledMs);
  }

  /** A caller that only steers and watches. */
  steer(others: (message: SessionMessage) => boolean): void {
    this.stream.onMessage((message) => {
      if (message.body.case === "stop") this.stopping.abort();
      else if (!others(message)) this.stream.fail("misbehaved", `${message.body.case} of a caller that only watches`);
    });
    this.stream.keepAlive(this.host.idleMs, () => false);
  }

  /** True when content moved since it was last asked. */
  movement(): () => boolean {
    let last = 0;
    return () => {
      const bytes = this.carriers?.bytes() ?? 0;
      const moved = bytes !== last;
      last = bytes;
      return moved;
    };
  }

  /** Waits for the role, or for the connection to go, or for the daemon to be stopped. */
  async untilDone(done: Promise<unknown>, stop: () => void, endsAtOnce = false): Promise<void> {
    const lost = this.stream.ended.then((failure) => {
      if (failure !== undefined && !this.isDetached) throw new CallerLost(failure);
      return new Promise<never>(() => undefined);
    });
    const stopped = Promise.withResolvers<never>();
    const onStop = (): void => {
      stop();
      // A caller that is the target does not know of it; one that is the source hears it in the summary.
      if (this.isCancelled && endsAtOnce)
        stopped.reject(new RunError(CANCELLED.exitCode, CANCELLED.exitReason, CANCELLED.message!));
    };
    this.stopping.signal.addEventListener("abort", onStop, { once: true });
    // The caller, or whoever may stop the job, was quicker.
    if (this.isStopped) onStop();
    const onHost = (): void => {
      this.stopping.abort();
      stopped.reject(
        new RunError(
          ExitCode.stream,
          "daemon_stopped",
          "the daemon was stopped during the run; what is there is whole, and the next run goes on from here",
        ),
      );
    };
    this.host.signal.addEventListener("abort", onHost, { once: true });
    if (this.host.signal.aborted) onHost();
    try {
      await Promise.race([done, lost, stopped.promise]);
    } finally {
      this.stopping.signal.removeEventListener("abort", onStop);
      this.host.signal.removeEventListener("abort", onHost);
    }
  }

  // ---- the end ------------------------------------------------------------------------------------------------

  started(
    module: ModuleConfig,
    role: "source" | "target",
    path: Uint8Array,
    { explains, delegation }: Open,
    options: RunOptions,
  ): void {
    this.host.onStart(
      {
        module: nameOf(module),
        role,
        verb: options.verb,
        dryRun: options.dryRun,
        // What does more than look is told as what it does.
        explains: options.dryRun ? decodeExplains(explains) : undefined,
        path,
        session: this.name,
        other: delegation === undefined ? undefined : printableAddress(delegation),
      },
      { look: () => this.look(), cancel: () => this.cancel() },
    );
  }

  /** What holds from now on, whatever is closed after it. */
  endOf({ exitCode, exitReason, message }: JobEnd): ServedEnd {
    this.final = this.look();
    return { exitCode, exitReason, message, ...this.final };
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
    if (!(error instanceof CallerLost && error.isGone)) {
      const { exitCode, reason, message } = known;
      this.stream.send(say({ case: "refusal", value: { exitCode, reason, message } }));
    }
    this.stream.finish();
    if (known.reason === "internal_error") console.error("fastsync daemon: internal error:", error);
    return this.endOf({ exitCode: known.exitCode, exitReason: known.reason, message: known.message });
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0)) close();
    for (const { socket } of this.parked.splice(0)) socket.release();
    await this.carriers?.end(false);
    this.backend?.close(this.handles.filter((handle) => handle >= 0));
    await this.backend?.shutdown();
  }
}
