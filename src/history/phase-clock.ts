/** How long each phase of a run took. */

/** Milliseconds by phase; one that never was is not there. */
export type PhaseTimes = ReadonlyMap<string, number>;

export class PhaseClock {
  private phase: string;
  private sinceMs: number;
  private readonly spent = new Map<string, number>();

  constructor(phase: string, nowMs: number) {
    this.phase = phase;
    this.sinceMs = nowMs;
  }

  enter(phase: string, nowMs: number): void {
    this.spent.set(this.phase, (this.spent.get(this.phase) ?? 0) + nowMs - this.sinceMs);
    this.phase = phase;
    this.sinceMs = nowMs;
  }

  /** Milliseconds up to now; the phase goes on. */
  times(nowMs: number): PhaseTimes {
    this.enter(this.phase, nowMs);
    return new Map(this.spent);
  }

  /** Whole milliseconds; ends the phase that goes on. */
  end(nowMs: number): Record<string, number> {
    this.enter("", nowMs);
    return Object.fromEntries([...this.spent].map(([phase, ms]) => [phase, Math.round(ms)]));
  }
}
