/** All needs that wait for an answer. A frame may come a moment before its need is known here: both run side by side. */
import { refuse } from "../../../core/frames.ts";
import { LIMITS } from "../../../core/limits.ts";
import type { NeedNumber } from "../../backend.ts";
import { E } from "../errno.ts";
import { StreamEnded } from "./channel.ts";
import { Expectation, type Receiver } from "./expectation.ts";

export class Expectations {
  private readonly byNeed = new Map<NeedNumber, Expectation>();
  /** Streams that hold a frame of a need that is not known yet. */
  private readonly waiting = new Set<() => void>();
  private streams = 0;
  private hasOpened = false;

  add(need: NeedNumber, receiver: Receiver): Expectation {
    const expectation = new Expectation(need, receiver);
    if (receiver.count === 0) return expectation;
    if (!Number.isInteger(need) || need < 1 || need > 0xffffffff) expectation.fail(-E.EINVAL);
    else if (this.byNeed.has(need)) expectation.fail(-E.EEXIST);
    else if (this.hasOpened && this.streams === 0) expectation.fail(-E.EPIPE);
    else {
      this.byNeed.set(need, expectation);
      for (const wake of [...this.waiting]) wake();
    }
    return expectation;
  }

  /** Waits a while for a need that is not known; then it is a protocol error. */
  async find(need: NeedNumber, isOver: () => boolean): Promise<Expectation> {
    for (const from = performance.now(); ; ) {
      const found = this.byNeed.get(need);
      if (found !== undefined) return found;
      const left = LIMITS.unknownNeedMs - (performance.now() - from);
      if (isOver()) throw new StreamEnded(-E.EPIPE, "the peer closed the stream");
      if (left <= 0) refuse("a frame for a need that nobody asked");
      await this.change(left);
    }
  }

  /** To be called when all that the peer has to say about an item was said. */
  forgetAnswered(expectation: Expectation): void {
    if (expectation.isAnswered) this.byNeed.delete(expectation.need);
  }

  join(): void {
    this.streams++;
    this.hasOpened = true;
  }
  leave(): void {
    if (--this.streams > 0) return;
    const lost = [...this.byNeed.values()];
    this.byNeed.clear();
    for (const expectation of lost) expectation.fail(-E.EPIPE);
  }
  cancel(): void {
    for (const expectation of this.byNeed.values()) expectation.fail(-E.ECANCELED);
  }
  /** Streams that wait for a need look again. */
  wakeAll(): void {
    for (const wake of [...this.waiting]) wake();
  }

  private change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.waiting.add(wake);
    });
  }
}
