/** The data streams of a session that this side called for: opened with granted tokens, more or fewer as it helps. */
import type { RunHooks } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import { dialStreams } from "../link/data-client.ts";
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import type { OpenedSession } from "./caller.ts";
import type { Carriers } from "./carriers.ts";
import { StreamTuner, type TunerDecision } from "./stream-tuner.ts";
import { say } from "./wire-messages.ts";

export interface CallerRole {
  readonly direction: "send" | "receive";
  /** Answers that are due. */
  readonly backlog: () => number;
}

export class CallerStreams {
  private readonly session: OpenedSession;
  private readonly carriers: Carriers;
  private readonly role: CallerRole;
  private readonly hooks: RunHooks;
  /** Streams that were asked for so far: the index of the next one. */
  private asked = 0;
  private roundTripMs = Number.POSITIVE_INFINITY;
  private tuning: ReturnType<typeof setInterval> | undefined;
  private tuner: StreamTuner | undefined;

  constructor(session: OpenedSession, carriers: Carriers, role: CallerRole, hooks: RunHooks) {
    this.session = session;
    this.carriers = carriers;
    this.role = role;
    this.hooks = hooks;
  }

  /**
   * At most so many (0: as many as help). Why it could not be done, or undefined. `learnt`: how many earlier runs to this
   * daemon found to help; asked on a line that is not near, where finding it out takes longer than many a run.
   */
  async open(asked: number, learnt: (() => Promise<number | undefined>) | undefined): Promise<string | undefined> {
    const { tokens, maxStreams } = this.session.accept;
    const most = asked > 0 ? Math.min(asked, maxStreams) : maxStreams;
    const reason = await this.dial(asked > 0 ? tokens.slice(0, asked) : tokens);
    // A near line is full with the first few: there is nothing to find out.
    if (reason !== undefined || this.roundTripMs < LIMITS.tuneFromMs) return reason;
    // The session ended while they were dialled.
    if (this.isStopped) return undefined;
    this.tune(most);
    void learnt?.().then((streams) => this.begin(Math.min(streams ?? 0, most)));
    return undefined;
  }

  /** With as many as are known to help, where they are more than a session begins with. */
  private begin(streams: number): void {
    const { asked } = this;
    if (streams <= asked || this.carriers.isEnding) return;
    const message = `data streams: ${asked} to ${streams}, as many as helped earlier runs to this daemon`;
    this.hooks.onEvent({ kind: "notice", level: "info", code: "streams_learnt", message });
    this.session.stream.send(say({ case: "streamRequest", value: { count: streams - asked } }));
  }

  private async dial(tokens: readonly Uint8Array[]): Promise<string | undefined> {
    const { accept, address } = this.session;
    const { host } = address;
    const grant = { host, port: accept.dataPort, sessionId: accept.sessionId, tokens, firstIndex: this.asked };
    this.asked += tokens.length;
    const dialled = await dialStreams(grant, LIMITS.dataConnectMs);
    if (dialled.kind === "unreachable") return dialled.reason;
    this.roundTripMs = Math.min(this.roundTripMs, dialled.roundTripMs);
    for (const socket of dialled.sockets) this.carriers.add(socket, socket.index);
    return undefined;
  }

  /** Looks, a few times a second, whether more or fewer streams would do better. */
  private tune(most: number): void {
    const tuner = new StreamTuner(most);
    this.tuner = tuner;
    this.tuning = setInterval(() => {
      const { count } = this.carriers;
      const decision = tuner.sample({
        nowMs: performance.now(),
        bytes: this.carriers.bytes(),
        streams: count,
        isWaiting: this.role.backlog() > count,
      });
      if (decision.kind !== "stay") this.change(decision, count);
    }, LIMITS.progressMs);
    this.tuning.unref();
  }

  private change(decision: Exclude<TunerDecision, { kind: "stay" }>, count: number): void {
    const { kind, by, rate } = decision;
    const isGrowing = kind === "grow";
    const why = isGrowing
      ? `to see whether ${speed(rate)} is all`
      : `${speed(rate)} instead of ${speed(decision.before)}`;
    const message = `data streams: ${count} to ${isGrowing ? count + by : count - by}, ${why}`;
    this.hooks.onEvent({ kind: "notice", level: "info", code: "streams", message });
    const { stream } = this.session;
    if (isGrowing) stream.send(say({ case: "streamRequest", value: { count: by } }));
    else if (this.role.direction === "send") this.carriers.fewer(by);
    else stream.send(say({ case: "streamRequest", value: { fewer: by } }));
  }

  /** True when the message was about streams. */
  take({ body }: SessionMessage): boolean {
    if (body.case !== "streamGrant") return false;
    void this.openMore(body.value.tokens);
    return true;
  }

  private async openMore(tokens: readonly Uint8Array[]): Promise<void> {
    if (tokens.length === 0 || (await this.dial(tokens)) !== undefined) return;
    this.session.stream.send(say({ case: "carrier", value: { inStream: false } }));
  }

  /** The shortest round trip so far; undefined: no stream was opened. */
  get lineMs(): number | undefined {
    return Number.isFinite(this.roundTripMs) ? this.roundTripMs : undefined;
  }

  /** Streams of which it was found that they help; undefined: nothing was found out. */
  get found(): number | undefined {
    return this.tuner?.found;
  }

  stop(): void {
    this.isStopped = true;
    clearInterval(this.tuning);
  }
  private isStopped = false;
}

function speed(bytesPerSecond: number): string {
  return `${(bytesPerSecond / (1 << 20)).toFixed(0)} MiB/s`;
}
