import { expect, test } from "bun:test";
import { wholeCounts } from "./counts.ts";
import { type Runner, runInLanes } from "./lanes.ts";
import type { Part, Printer } from "./run-part.ts";

/** Parts that print and end when the test says so. */
class Stage {
  readonly log: string[] = [];
  readonly started: string[] = [];
  readonly #stage = new Map<string, { print: (text: string) => void; end: () => void }>();

  readonly print: Printer = (chunk) => this.log.push(String(chunk));
  readonly run: Runner = (part, print) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.started.push(part.name);
    this.#stage.set(part.name, { print: (text) => print(text, "stdout"), end: resolve });
    return promise.then(() => ({ part, passed: 1, failed: 0, skipped: 0, seconds: 0, note: "" }));
  };
  say(name: string, text: string): void {
    this.#stage.get(name)!.print(`${name} ${text}`);
  }
  /** Ends the part and lets what follows from that happen. */
  async end(name: string): Promise<void> {
    this.#stage.get(name)!.end();
    await Bun.sleep(0);
  }
}

const part = (name: string, needs?: string): Part => ({
  name,
  command: [],
  counts: wholeCounts,
  ...(needs === undefined ? {} : { needs }),
});

test("no more parts run at a time than there are lanes, and the results keep the order of the parts", async () => {
  const stage = new Stage();
  const all = runInLanes(
    ["a", "b", "c", "d"].map((name) => part(name)),
    2,
    stage.run,
    stage.print,
  );
  expect(stage.started).toEqual(["a", "b"]);
  await stage.end("b");
  expect(stage.started).toEqual(["a", "b", "c"]);
  await stage.end("c");
  await stage.end("d");
  await stage.end("a");
  expect((await all).map((result) => result.part.name)).toEqual(["a", "b", "c", "d"]);
});

test("a part waits for the one it needs while others go first", async () => {
  const stage = new Stage();
  const all = runInLanes([part("build"), part("native", "build"), part("c")], 2, stage.run, stage.print);
  expect(stage.started).toEqual(["build", "c"]);
  await stage.end("c");
  expect(stage.started).toEqual(["build", "c"]);
  await stage.end("build");
  expect(stage.started).toEqual(["build", "c", "native"]);
  await stage.end("native");
  expect((await all).map((result) => result.part.name)).toEqual(["build", "native", "c"]);
});

test("needs that are not in the run, or that are skipped, hold nothing up", async () => {
  const stage = new Stage();
  const skipped = { ...part("build"), skip: "no compiler" };
  const all = runInLanes([part("a", "elsewhere"), part("b", "build"), skipped], 3, stage.run, stage.print);
  expect(stage.started).toEqual(["a", "b", "build"]);
  for (const name of stage.started) await stage.end(name);
  await all;
});

test("parts that need one another are refused, not waited for", async () => {
  const stage = new Stage();
  const circle = [part("a", "b"), part("b", "a")];
  await expect(runInLanes(circle, 2, stage.run, stage.print)).rejects.toThrow("a,b");
});

test("the log has one block per part: the first prints as it goes, the others when it is their turn", async () => {
  const stage = new Stage();
  const all = runInLanes(
    ["a", "b", "c"].map((name) => part(name)),
    2,
    stage.run,
    stage.print,
  );
  stage.say("a", "1");
  stage.say("b", "1");
  expect(stage.log).toEqual(["a 1"]);
  stage.say("a", "2");
  await stage.end("b");
  stage.say("c", "1");
  expect(stage.log).toEqual(["a 1", "a 2"]);
  await stage.end("a");
  expect(stage.log).toEqual(["a 1", "a 2", "b 1", "c 1"]);
  stage.say("c", "2");
  expect(stage.log.at(-1)).toBe("c 2");
  await stage.end("c");
  await all;
});
