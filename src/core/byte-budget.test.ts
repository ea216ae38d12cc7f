import { expect, test } from "bun:test";
import { ByteBudget } from "./byte-budget.ts";

/** Tasks that end when they are told to. */
function tasks(budget: ByteBudget) {
  const running = new Map<string, () => void>();
  const ended: string[] = [];
  return {
    start(name: string, bytes: number): void {
      const work = () => new Promise<void>((resolve) => running.set(name, resolve));
      void budget.run(bytes, work).then(() => ended.push(name));
    },
    async end(name: string): Promise<void> {
      running.get(name)!();
      running.delete(name);
      await Bun.sleep(0);
    },
    async running(): Promise<string[]> {
      await Bun.sleep(0);
      return [...running.keys()];
    },
  };
}

test("as many bytes as fit run, the others wait in the order they came", async () => {
  const { start, end, running } = tasks(new ByteBudget(10));
  start("a", 4);
  start("b", 4);
  start("c", 4);
  // It would fit, but it came later.
  start("d", 2);
  expect(await running()).toEqual(["a", "b"]);
  await end("b");
  expect(await running()).toEqual(["a", "c", "d"]);
});

test("what is larger than the budget runs alone, and its failure gives the room back", async () => {
  const budget = new ByteBudget(10);
  const { start, end, running } = tasks(budget);
  start("a", 1);
  start("large", 99);
  start("b", 1);
  expect(await running()).toEqual(["a"]);
  await end("a");
  expect(await running()).toEqual(["large"]);
  await end("large");
  expect(await running()).toEqual(["b"]);
  await end("b");
  expect(budget.run(10, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  await Bun.sleep(0);
  start("after", 10);
  expect(await running()).toEqual(["after"]);
});

test("without a bound nothing waits", async () => {
  const { start, running } = tasks(new ByteBudget(0));
  start("a", Number.MAX_SAFE_INTEGER);
  start("b", Number.MAX_SAFE_INTEGER);
  expect(await running()).toEqual(["a", "b"]);
});
