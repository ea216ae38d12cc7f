/** Time by phase, in a time that is made up. */
import { expect, test } from "bun:test";
import { PhaseClock } from "./phase-clock.ts";

test("each phase has what passed while it lasted, up to now", () => {
  let nowMs = 100;
  const clock = new PhaseClock(() => nowMs);
  nowMs = 130;
  clock.enter("copying");
  nowMs = 150;
  clock.enter("copying");
  expect(clock.times()).toEqual({ scanning: 30, copying: 20, linking: 0, deleting: 0, finishing: 0 });
  nowMs = 1000;
  clock.enter("finishing");
  expect(clock.times()).toMatchObject({ scanning: 30, copying: 870, finishing: 0 });
  nowMs = 1001;
  expect(clock.times().finishing).toBe(1);
  expect(clock.times().finishing).toBe(1);
});
