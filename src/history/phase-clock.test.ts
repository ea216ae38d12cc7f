/** Time by phase, in a time that is made up. */
import { expect, test } from "bun:test";
import { PhaseClock } from "./phase-clock.ts";

test("each phase has what passed while it lasted, up to now", () => {
  const clock = new PhaseClock("scanning", 100);
  clock.enter("copying", 130);
  clock.enter("copying", 150);
  expect([...clock.times(150)]).toEqual([
    ["scanning", 30],
    ["copying", 20],
  ]);
  clock.enter("finishing", 1000);
  const before = clock.times(1001);
  expect([before.get("copying"), before.get("finishing")]).toEqual([870, 1]);
  clock.enter("deleting", 2000);
  expect(before.get("finishing")).toBe(1);
  expect(clock.end(2000.4)).toMatchObject({ scanning: 30, copying: 870, finishing: 1000, deleting: 0 });
});
