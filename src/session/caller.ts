/**
 * The caller's side of a session with a daemon: opening it, choosing how content travels, and what to do with messages
 * that are not the role's.
 */

import type { Socket } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { NetworkSummary, RunHooks } from "../core/events.ts";
import { ExitCode, failureExitCode } from "../core/exit-codes.ts";
import { jobIdOf } from "../core/jobs.ts";
import { LIMITS } from "../core/limits.ts";
import { RunError } from "../core/run-error.ts";
import type { Backend } from "../fs/backend.ts";
import { openControl } from "../link/control-client.ts";
import type { ControlStream } from "../link/control-stream.ts";
import { SESSION_ID_BYTES, TOKEN_BYTES } from "../link/data-handshake.ts";
import { type DaemonAddress, printableAddress, saidAt } from "../link/dial.ts";
import type { GrantedBuffer, GrantedBuffers, SocketBuffers } from "../link/socket-buffers.ts";
import type { Accept, Hello, Open, SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { OpenSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { told, toldWord } from "../wire/told.ts";
import type { NetworkOptions } from "./api.ts";
import { type CallerRole, CallerStreams } from "./caller-streams.ts";
import { type CarrierBuffers, Carriers, type ConnectionTrace } from "./carriers.ts";
import { bootId } from "./facts.ts";
import { greeting, isCompatible, versionsOf } from "./greeting.ts";
import { PROTOCOL_VERSION } from "./messages.ts";
import type { NetworkLink } from "./network-link.ts";
import { SessionLost } from "./session-end.ts";
import { say } from "./wire-messages.ts";

export type OpenFields = MessageInitShape<typeof OpenSchema>;

export interface OpenedSession {
  readonly address: DaemonAddress;
  readonly stream: ControlStream;
  readonly accept: Accept;
  /** What the daemon is called, as it says, such as `fastsync 0.1.0`. */
  readonly product: string;
  /** The daemon's; empty: unknown. */
  readonly bootId: string;
  /** Caller and daemon run on one machine, and see the same inodes. */
  readonly oneMachine: boolean;
}

/** Throws RunError: the daemon cannot be reached, refuses, or does not answer. */
export async function openSession(
  address: DaemonAddress,
  open: OpenFields,
  signal: AbortSignal,
  /** Of the machine that this side of the session stands for. */
  own: string = bootId(),
  dialled?: Promise<Socket>,
): Promise<OpenedSession> {
  const stream = await openControl(address, signal, dialled);
  stream.send(say({ case: "hello", value: greeting(own) }));
  stream.send(say({ case: "open", value: create(OpenSchema, open) as Open }));
  try {
    const { hello, accept } = await answerOf(stream, address, signal);
    const product = told(hello.product);
    return { address, stream, accept, product, bootId: hello.bootId, oneMachine: own !== "" && own === hello.bootId };
  } catch (error) {
    stream.finish();
    throw error;
  }
}

/** For the daemon to close a session that was opened and is not used. */
const LEAVE_MS = 2_000;

/**
 * Ends a session that was only opened, in order, so that the daemon counts no failure; one that does not close it is left
 * all the same. `role`: the daemon's, where it waits for this side's words before it ends.
 */
export async function leaveSession({ stream }: OpenedSession, role?: "source" | "target"): Promise<void> {
  const closed = Promise.withResolvers<void>();
  stream.onMessage(({ body }) => {
    if (body.case === "finished" && role === "target") stream.send(say({ case: "closed", value: {} }));
    if (body.case === "closed" || body.case === "summary" || body.case === "refusal") closed.resolve();
  });
  const patience = setTimeout(() => closed.resolve(), LEAVE_MS);
  void stream.ended.then(() => closed.resolve());
  stream.send(say({ case: "stop", value: {} }));
  if (role === "source") stream.send(say({ case: "finished", value: {} }));
  await closed.promise;
  clearTimeout(patience);
  stream.finish();
}

function answerOf(
  stream: ControlStream,
  address: DaemonAddress,
  signal: AbortSignal,
): Promise<{ hello: Hello; accept: Accept }> {
  const where = printableAddress(address);
  return new Promise((resolve, reject) => {
    let hello: Hello | undefined;
    const settled = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupt);
    };
    const refuse = (exitCode: ExitCode, reason: string, message: string): void => {
      settled();
      reject(new RunError(exitCode, reason, message));
    };
    const interrupt = (): void => refuse(ExitCode.interrupted, "interrupted", "interrupted");
    const timer = setTimeout(
      () => refuse(ExitCode.timeout, "timeout", `${where} did not answer within ${LIMITS.idleMs / 1000} s`),
      LIMITS.idleMs,
    );
    signal.addEventListener("abort", interrupt, { once: true });
    // While a connection that was dialled early waited to be used.
    if (signal.aborted) return interrupt();
    void stream.ended.then((failure) => {
      if (failure !== undefined)
        refuse(ExitCode.starting, "no_session", `${where} did not open a session: ${failure.message}`);
    });
    stream.onMessage(({ body }) => {
      switch (body.case) {
        case "hello":
          hello = body.value;
          if (!isCompatible(hello)) refuse(ExitCode.protocol, "version", versionsOf(hello, `the daemon at ${where}`));
          return;
        case "accept":
          if (hello === undefined) return refuse(ExitCode.protocol, "protocol", `${where} accepted without a greeting`);
          if (!isUsable(body.value))
            return refuse(ExitCode.protocol, "protocol", `${where} accepted in a way that cannot be used`);
          settled();
          stream.hold();
          resolve({ hello, accept: body.value });
          return;
        case "refusal": {
          const { exitCode, reason, message } = body.value;
          return refuse(failureExitCode(exitCode), reason, saidAt(address, message, reason));
        }
        default:
          refuse(ExitCode.protocol, "protocol", `${where} answered with ${body.case ?? "nothing"}`);
      }
    });
  });
}

/** How long a refused stream waits for the word that the run is over. */
const OVER_SOON_MS = 300;

/** What a daemon says last: as the target the summary, as the source that it is done. */
const LAST_WORD = { send: "summary", receive: "closed" } as const;
/** Tokens become connections, and the id goes into each of their greetings: both are what the protocol says they are. */
function isUsable({ sessionId, protocol, dataPort, tokens }: Accept): boolean {
  return (
    sessionId.length === SESSION_ID_BYTES &&
    protocol === PROTOCOL_VERSION &&
    dataPort < 65_536 &&
    tokens.length <= LIMITS.streamsGrantable &&
    tokens.every((token) => token.length === TOKEN_BYTES)
  );
}

/** How long this side waits: as the daemon does, within what makes sense. A daemon cannot switch the wait off. */
export function idleOf(idleTimeoutMs: number): number {
  if (idleTimeoutMs === 0) return LIMITS.idleMs;
  return Math.min(LIMITS.idleMostMs, Math.max(LIMITS.idleLeastMs, idleTimeoutMs));
}

/** A session that plays no role: it waits for the end, and passes on that it should stop. */
export interface SteeredSession {
  /** Throws RunError when the session ends before. */
  untilDone(done: Promise<unknown>, signal: AbortSignal): Promise<void>;
}

/** `take` gets every message; false: it does not belong there. */
export function steerSession(session: OpenedSession, take: (message: SessionMessage) => boolean): SteeredSession {
  const { stream, accept, address } = session;
  const peer = printableAddress(address);
  const refusals: RunError[] = [];
  stream.keepAlive(idleOf(accept.idleTimeoutMs), () => false);
  stream.onMessage((message) => {
    const refusal = refusalOf(message, address);
    if (refusal !== undefined) {
      refusals.push(refusal);
      stream.fail("broken", refusal.message);
      return;
    }
    try {
      if (!take(message)) stream.fail("misbehaved", `${message.body.case} where it does not belong`);
    } catch (error) {
      stream.fail("misbehaved", error instanceof Error ? error.message : String(error));
    }
  });
  return {
    untilDone: (done, signal) => untilDone(stream, peer, done, signal, () => undefined, refusals),
  };
}

function refusalOf({ body }: SessionMessage, address: DaemonAddress): RunError | undefined {
  if (body.case !== "refusal") return undefined;
  const { exitCode, reason, message } = body.value;
  return new RunError(failureExitCode(exitCode), toldWord(reason, "protocol"), saidAt(address, told(message), reason));
}

/** Waits for the run's end; throws RunError when the session ends before. `stop` is called when the run is interrupted. */
async function untilDone(
  stream: ControlStream,
  peer: string,
  done: Promise<unknown>,
  signal: AbortSignal,
  stop: () => void,
  refusals: readonly RunError[],
): Promise<void> {
  const lost = stream.ended.then((failure) => {
    if (failure !== undefined) throw refusals[0] ?? new SessionLost(failure, peer);
    return new Promise<never>(() => undefined);
  });
  let patience: ReturnType<typeof setTimeout> | undefined;
  const onAbort = (): void => {
    stream.send(say({ case: "stop", value: {} }));
    stop();
    patience = setTimeout(() => stream.fail("silent", "it did not stop in time"), LIMITS.stopMs);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await Promise.race([done, lost]);
  } catch (error) {
    // What the role makes of a message is the other side's fault as well.
    if (!(error instanceof ProtocolViolation)) throw error;
    throw new SessionLost({ kind: "misbehaved", message: error.message }, peer);
  } finally {
    clearTimeout(patience);
    signal.removeEventListener("abort", onAbort);
  }
}

/** `socket buffers of each stream: send 16.0 MiB, receive left to the kernel, which gives no 16.0 MiB` */
function grantedText(asked: SocketBuffers, { send, receive }: GrantedBuffers): string {
  const one = (way: string, wanted: number, granted: GrantedBuffer | undefined): string[] => {
    if (wanted === 0) return [];
    if (granted === undefined) return [`${way} not told`];
    if (granted.isAutomatic)
      return [`${way} left to the kernel, whose limit for what is asked for is below what it gives`];
    return [`${way} ${mib(granted.bytes)}${granted.bytes < wanted ? ` of ${mib(wanted)}` : ""}`];
  };
  const parts = [...one("send", asked.sendBytes, send), ...one("receive", asked.receiveBytes, receive)];
  return `socket buffers of each stream: ${parts.join(", ")}`;
}

/** `connection 2: 12.3 MiB sent in 0.45 s, closed in order` */
function traceText({ index, end }: ConnectionTrace, direction: "send" | "receive"): string {
  const which = index === undefined ? "the control connection" : `connection ${index}`;
  if (end === undefined) return index === undefined ? `${which} carries the content` : `${which}: open`;
  const moved = `${mib(end.bytes)} ${direction === "send" ? "sent" : "received"} in ${(end.durationMs / 1000).toFixed(2)} s`;
  return `${which}: ${moved}, ${end.problem === undefined ? "closed in order" : `ended by ${end.problem}`}`;
}

function mib(bytes: number): string {
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** A session whose role runs here. */
export class CallerSession {
  readonly carriers: Carriers;
  private readonly streams: CallerStreams;
  private readonly session: OpenedSession;
  private readonly hooks: RunHooks;
  private readonly direction: "send" | "receive";
  private readonly refusals: RunError[] = [];

  /** `stalledMs`: a daemon that dials another one waits no longer for it than for its own callers. */
  constructor(
    session: OpenedSession,
    backend: Backend,
    role: CallerRole,
    hooks: RunHooks,
    buffers: CarrierBuffers,
    stalledMs = Number.POSITIVE_INFINITY,
  ) {
    this.session = session;
    this.hooks = hooks;
    this.direction = role.direction;
    const idleMs = idleOf(session.accept.idleTimeoutMs);
    this.carriers = new Carriers(backend, role.direction, session.stream, idleMs, {
      ...buffers,
      onGranted: (granted) => {
        const message = grantedText(buffers.asked, granted);
        hooks.onEvent({ kind: "notice", level: "info", code: "socket_buffers", message });
      },
    });
    this.streams = new CallerStreams(session, this.carriers, role, hooks);
    let last = 0;
    const hasMoved = (): boolean => {
      const bytes = this.carriers.bytes();
      const moved = bytes !== last;
      last = bytes;
      return moved;
    };
    session.stream.keepAlive(idleMs, hasMoved, stalledMs);
  }

  private get peer(): string {
    return printableAddress(this.session.address);
  }

  /** Opens the data streams, or falls back to the control plane and says so once. */
  async chooseCarrier(network: NetworkOptions): Promise<void> {
    const { accept, stream } = this.session;
    if (network.trace === true) this.traceConnections();
    const inStream = async (): Promise<string | undefined> => {
      if (network.inStream) return "--force-grpc";
      if (accept.dataPort === 0) return "the daemon has no data port";
      const reason = await this.streams.open(network.streams, network.learntStreams);
      if (reason === undefined || (await this.isOverSoon())) return undefined;
      return `the data port ${accept.dataPort} cannot be reached (${reason})`;
    };
    const reason = await inStream();
    stream.send(say({ case: "carrier", value: { inStream: reason !== undefined } }));
    if (reason === undefined) return;
    this.carriers.useControlPlane();
    const isAsked = network.inStream;
    this.hooks.onEvent({
      kind: "notice",
      level: isAsked ? "info" : "warning",
      code: "in_stream",
      message: `content travels in the control connection: ${reason}`,
    });
  }

  private traceConnections(): void {
    const { accept } = this.session;
    const tell = (message: string): void =>
      this.hooks.onEvent({ kind: "notice", level: "info", code: "data_plane", message });
    tell(
      `session ${jobIdOf(accept.sessionId)} with ${this.peer}: ` +
        (accept.dataPort === 0
          ? "no data port"
          : `data port ${accept.dataPort}, ${accept.tokens.length} connections granted, at most ${accept.maxStreams}`),
    );
    this.carriers.trace = (told) => tell(traceText(told, this.direction));
  }

  /** What this side knows of the network beside what the target sums up. */
  withLine(summary: NetworkSummary): NetworkSummary {
    return { ...summary, roundTripMs: this.streams.lineMs, foundStreams: this.streams.found };
  }

  /** A run without content may be over before its streams are open, and then nobody waits for them. */
  private async isOverSoon(): Promise<boolean> {
    const { stream } = this.session;
    for (let waitedMs = 0; waitedMs < OVER_SOON_MS; waitedMs += 10) {
      if (stream.isDone || this.carriers.isEnding) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return false;
  }

  /** Role messages go to the role, from now on; `others` takes what is for the face. */
  dispatch<Out, In>(link: NetworkLink<Out, In>, others: (message: SessionMessage) => boolean): void {
    const { stream } = this.session;
    stream.onMessage((message) => {
      try {
        const { body } = message;
        if (body.case === LAST_WORD[this.direction]) stream.heardAll();
        // A target that ended ahead of time, as one whose job was cancelled, takes no more content.
        if (body.case === "finished" && this.direction === "send") this.carriers.isEnding = true;
        if (this.carriers.take(message) || this.streams.take(message) || others(message)) return;
        const refusal = refusalOf(message, this.session.address);
        if (refusal !== undefined) {
          this.refusals.push(refusal);
          stream.fail("broken", refusal.message);
          return;
        }
        if (body.case === "hello" || body.case === "accept") throw new ProtocolViolation(`a second ${body.case}`);
        link.take(message);
      } catch (error) {
        stream.fail("misbehaved", error instanceof Error ? error.message : String(error));
      }
    });
  }

  /** Waits for the run's end; throws RunError when the session ends before. `stop` is called when the run is interrupted. */
  async untilDone(done: Promise<unknown>, signal: AbortSignal, stop: () => void): Promise<void> {
    const stopAll = (): void => {
      // A target knows what it did without the source's help.
      if (this.direction === "receive") this.session.stream.heardAll();
      this.carriers.stop();
      stop();
    };
    await untilDone(this.session.stream, this.peer, done, signal, stopAll, this.refusals);
  }

  async close(inOrder: boolean): Promise<void> {
    this.streams.stop();
    await this.carriers.end(inOrder);
    this.session.stream.finish();
  }
}
