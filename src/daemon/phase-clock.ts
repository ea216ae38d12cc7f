/** How long a session was in each of its phases. */
import { PHASES, type Phase } from "../core/events.ts";

export type PhaseTimes = Readonly<Record<Phase, number>>;

export class PhaseClock {
  private readonly spentMs = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<Phase, number>;
  private readonly now: () => number;
  private phase: Phase = "scanning";
  private sinceMs: number;

  constructor(now: () => number = () => performance.now()) {
    this.now = now;
    this.sinceMs = now();
  }

  /** From now on it is in this phase; what it is in already goes on. */
  enter(phase: Phase): void {
    const now = this.now();
    this.spentMs[this.phase] += now - this.sinceMs;
    this.sinceMs = now;
    this.phase = phase;
  }

  /** Milliseconds, up to now. */
  times(): PhaseTimes {
    this.enter(this.phase);
    return { ...this.spentMs };
  }
}
