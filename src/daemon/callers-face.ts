/** The face of a run is at the caller's: what it is told travels there, and its answers come back. */
import { type Counters, newCounters, type Phase, type RunEvent, type RunHooks } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { ControlStream } from "../link/control-stream.ts";
import { say } from "../session/wire-messages.ts";
import { encodeEvent, encodeProgress } from "../wire/events.ts";
import type { Open, SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";

/** What an item takes, about. */
const ITEM_BYTES = 64;

/** What a face hears of the run, beside its events. */
export interface FaceNeeds {
  /** Payload bytes that are in the target by now, files in progress included. */
  readonly landed: () => number;
  /** Hears of each phase as it begins. */
  readonly onPhase: (phase: Phase) => void;
}

export class CallersFace {
  readonly hooks: RunHooks;
  private readonly stream: ControlStream;
  private readonly counters: Counters;
  private readonly landed: () => number;
  private readonly sent = newCounters();
  private readonly timer: ReturnType<typeof setInterval>;
  private answer: ((answer: "accepted" | "declined" | "unattended") => void) | undefined;

  constructor(stream: ControlStream, counters: Counters, open: Open, { landed, onPhase }: FaceNeeds) {
    this.stream = stream;
    this.counters = counters;
    this.landed = landed;
    this.hooks = {
      wantsItems: open.wantsItems,
      wantsReasons: open.wantsReasons,
      onStart: () => undefined,
      onEvent: (event) => {
        if (event.kind === "phase") onPhase(event.phase);
        this.tell(event);
      },
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
    if (message !== undefined) this.handOn(message);
  }

  /** Also what another daemon has said. A caller that reads nothing of it costs no memory without end. */
  handOn(message: SessionMessage): void {
    const { body } = message;
    if (this.stream.outbox.waitingBytes > LIMITS.unreadBytes)
      return this.stream.fail("silent", "it does not read what it is told");
    this.stream.send(message, body.case === "items" ? body.value.names.length * ITEM_BYTES : 0);
  }

  private tellCounters(): void {
    this.counters.bytesLanded = this.landed();
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

  /** The run is being stopped: whoever still waits for an answer gets the one that deletes nothing. */
  stop(): void {
    this.answer?.("declined");
    this.answer = undefined;
  }

  close(): void {
    clearInterval(this.timer);
    this.stop();
    this.tellCounters();
  }
}
