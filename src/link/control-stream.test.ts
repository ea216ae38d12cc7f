import { expect, test } from "bun:test";
import { ControlStream } from "./control-stream.ts";

test("a stream that ended before anybody came to watch it is not watched", async () => {
  const stream = new ControlStream();
  stream.fail("broken", "cut at the worst moment");
  let looks = 0;
  stream.keepAlive(20, () => ++looks > 0);
  await Bun.sleep(100);
  expect(looks).toBe(0);
});
