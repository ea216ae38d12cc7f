import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/core/limits.ts";
import { flushDirectories } from "../../src/session/open-directories.ts";
import { NEAR_WINDOW } from "../../src/session/source-state.ts";
import {
  describeTree,
  type ModelNode,
  modelDirectory,
  modelFile,
  randomGenerator,
  randomTree,
  simulate,
  withoutEmpty,
} from "./model.ts";

const RUNS = 400;

function hasConflict(source: ModelNode, target: ModelNode): boolean {
  for (const [name, child] of source.children) {
    const other = target.children.get(name);
    if (other === undefined) continue;
    if (child.kind !== "directory" && other.kind === "directory") return true;
    if (child.kind === "directory" && other.kind === "directory" && hasConflict(child, other)) return true;
  }
  return false;
}

/** Mostly directories, many of them without anything in them. */
function sparseTree(random: () => number, depth: number): ModelNode {
  const directory = modelDirectory({}, Math.floor(random() * 1000));
  const names = Math.floor(random() * 4);
  for (let i = 0; i < names; i++) {
    const name = String.fromCharCode(97 + Math.floor(random() * 5));
    if (random() < 0.8 && depth > 0) directory.children.set(name, sparseTree(random, depth - 1));
    else directory.children.set(name, modelFile(`version ${depth}`, depth));
  }
  return directory;
}

describe("both roles over a simulated link", () => {
  test("a mirror makes the target equal, in any order of completions", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomGenerator(seed);
      const source = randomTree(random, 4);
      const target = randomTree(random, 4);
      const result = simulate({ source, target, verb: "mirror", seed });
      expect(result.finished).toBe(true);
      expect(result.leftOpen).toBe(0);
      expect(describeTree(target)).toEqual(describeTree(source));
      expect(result.state.counters.failed).toBe(0);
    }
  });

  test("the second mirror does nothing", () => {
    for (let seed = 1; seed <= RUNS / 4; seed++) {
      const random = randomGenerator(seed * 7);
      const source = randomTree(random, 4);
      const target = randomTree(random, 3);
      simulate({ source, target, verb: "mirror", seed });
      const { counters } = simulate({ source, target, verb: "mirror", seed: seed + 1 }).state;
      expect(
        counters.created +
          counters.updated +
          counters.repaired +
          counters.deleted +
          counters.directoriesCreated +
          counters.linked,
      ).toBe(0);
    }
  });

  test("a dry run and a check change nothing, and the dry run counts what the mirror then does", () => {
    for (let seed = 1; seed <= RUNS / 2; seed++) {
      const random = randomGenerator(seed * 13);
      const source = randomTree(random, 4);
      const target = randomTree(random, 4);
      const before = describeTree(target);
      simulate({ source, target, verb: "check", seed });
      const dry = simulate({ source, target, verb: "mirror", dryRun: true, seed }).state.counters;
      expect(describeTree(target)).toEqual(before);
      if (hasConflict(source, target)) continue;
      const real = simulate({ source, target, verb: "mirror", seed }).state.counters;
      expect({
        created: dry.created,
        updated: dry.updated,
        deleted: dry.deleted,
        directories: dry.directoriesCreated,
        linked: dry.linked,
      }).toEqual({
        created: real.created,
        updated: real.updated,
        deleted: real.deleted,
        directories: real.directoriesCreated,
        linked: real.linked,
      });
    }
  });

  test("empty directories are pruned at any depth, and what the target has there is extraneous", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomGenerator(seed * 23);
      const source = sparseTree(random, 5);
      const target = sparseTree(random, 5);
      const wanted = describeTree(withoutEmpty(source));
      const simulation = { source, target, verb: "mirror", pruneEmptyDirs: true } as const;
      const dry = simulate({ ...simulation, dryRun: true, seed }).state.counters;
      const result = simulate({ ...simulation, seed });
      expect(result.finished).toBe(true);
      expect(result.leftOpen).toBe(0);
      expect(describeTree(target)).toEqual(wanted);
      const { counters } = result.state;
      if (!hasConflict(source, target))
        expect([dry.created, dry.deleted, dry.directoriesCreated]).toEqual([
          counters.created,
          counters.deleted,
          counters.directoriesCreated,
        ]);
      const again = simulate({ ...simulation, seed: seed + 1 }).state.counters;
      expect(again.created + again.updated + again.repaired + again.deleted + again.directoriesCreated).toBe(0);
    }
  });

  test("a stop or a cut while directories are held back leaves nothing open", () => {
    for (let seed = 1; seed <= RUNS / 2; seed++) {
      const random = randomGenerator(seed * 29);
      const source = sparseTree(random, 5);
      const target = sparseTree(random, 4);
      const before = describeTree(target, "", false);
      const simulation = { source, target, verb: "mirror", pruneEmptyDirs: true, seed } as const;
      const stopped = simulate({ ...simulation, stopAfter: seed % 30 });
      expect(stopped.finished).toBe(true);
      if (stopped.state.scanned?.complete !== true)
        for (const line of before.filter((entry) => entry.includes("|file|")))
          expect(describeTree(target, "", false).map((entry) => entry.split("|")[0])).toContain(line.split("|")[0]);
      simulate({ ...simulation, cutAfter: seed % 30 });
      simulate(simulation);
      expect(describeTree(target)).toEqual(describeTree(withoutEmpty(source)));
    }
  });

  test("a move empties the source and only what arrived is removed", () => {
    for (let seed = 1; seed <= RUNS / 2; seed++) {
      const random = randomGenerator(seed * 17);
      const source = randomTree(random, 4);
      const before = describeTree(source);
      const target = modelDirectory();
      const failRate = seed % 2 === 0 ? 0.3 : 0;
      const result = simulate({ source, target, verb: "move", seed, failRate });
      expect(result.finished).toBe(true);
      if (failRate === 0) {
        expect(describeTree(target)).toEqual(before);
        expect(source.children.size).toBe(0);
        continue;
      }
      // Every file is in one of the two trees, and never in none.
      const names = new Set([...describeTree(source, "", false), ...describeTree(target, "", false)]);
      for (const line of before) expect(names.has(line.replace(/\|\d+$/, "|"))).toBe(true);
    }
  });

  test("a move whose data cannot be made durable removes nothing", () => {
    for (let seed = 1; seed <= RUNS / 8; seed++) {
      const source = randomTree(randomGenerator(seed * 19), 4);
      const before = describeTree(source);
      const result = simulate({ source, target: modelDirectory(), verb: "move", seed, syncStatus: -5 });
      expect(result.finished).toBe(true);
      expect(describeTree(source)).toEqual(before);
      expect(result.failures.length > 0).toBe(before.length > 0);
    }
  });

  test("hard links stay together, whichever name comes first, and when leaders fail", () => {
    for (let seed = 1; seed <= RUNS / 2; seed++) {
      const shared = modelFile("shared", 9);
      const source = modelDirectory({
        a: modelDirectory({ one: shared, x: modelFile("x", 1) }),
        b: modelDirectory({ c: modelDirectory({ two: shared }) }),
        three: shared,
      });
      const target = modelDirectory(seed % 3 === 0 ? { three: modelFile("old", 3) } : {});
      const failRate = seed % 2 === 0 ? 0.4 : 0;
      const result = simulate({ source, target, verb: "copy", seed, failRate });
      expect(result.finished).toBe(true);
      if (failRate > 0) continue;
      const one = target.children.get("a")!.children.get("one");
      expect(target.children.get("three")).toBe(one!);
      expect(target.children.get("b")!.children.get("c")!.children.get("two")).toBe(one!);
      expect(result.state.counters.linked).toBe(2);
    }
  });

  test("an unreadable source directory disables every deletion", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const source = modelDirectory({
        d: { ...modelDirectory({ x: modelFile("x", 1) }), unreadable: true },
        e: modelFile("e", 1),
      });
      const target = modelDirectory({
        d: modelDirectory({ x: modelFile("x", 1), y: modelFile("y", 1) }),
        old: modelFile("old", 1),
      });
      const result = simulate({ source, target, verb: "mirror", seed });
      expect(result.finished).toBe(true);
      expect(target.children.has("old")).toBe(true);
      expect(target.children.get("d")!.children.size).toBe(2);
      expect(result.state.counters.deleted).toBe(0);
    }
  });

  test("refused, declined and unattended deletions delete nothing", () => {
    for (const [answer, limit] of [
      ["declined", undefined],
      ["unattended", undefined],
      ["accepted", 1],
    ] as const) {
      const source = modelDirectory({ a: modelFile("a", 1) });
      const target = modelDirectory({
        b: modelFile("b", 1),
        c: modelFile("c", 1),
        d: modelDirectory({ e: modelFile("e", 1) }),
      });
      const result = simulate({
        source,
        target,
        verb: "mirror",
        seed: 3,
        answer,
        ...(limit === undefined ? {} : { deletionLimit: limit }),
      });
      expect(result.finished).toBe(true);
      expect([...target.children.keys()].sort()).toEqual(["a", "b", "c", "d"]);
      expect(result.state.deletionRefused).toBeDefined();
    }
  });

  test("a cut link never looks like success, and the next run finishes the work", () => {
    let cuts = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomGenerator(seed * 31);
      const source = randomTree(random, 4);
      const target = randomTree(random, 4);
      const result = simulate({ source, target, verb: "mirror", seed, cutAfter: Math.floor(random() * 60) });
      if (!result.finished) cuts++;
      else expect(describeTree(target)).toEqual(describeTree(source));
      simulate({ source, target, verb: "mirror", seed: seed + 1 });
      expect(describeTree(target)).toEqual(describeTree(source));
    }
    expect(cuts).toBeGreaterThan(RUNS / 4);
  });

  test("a stop ends the session in order and deletes nothing", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const random = randomGenerator(seed * 41);
      const source = randomTree(random, 4);
      const target = randomTree(random, 4);
      const stopAfter = Math.floor(random() * 80);
      const result = simulate({ source, target, verb: "mirror", seed, stopAfter });
      expect(result.finished).toBe(true);
      simulate({ source, target, verb: "mirror", seed: seed + 1 });
      expect(describeTree(target)).toEqual(describeTree(source));
    }
  });

  test.each(["handles", "streams"] as const)("a stop ends it too where the window is full: %s", (payload) => {
    for (const stopAfter of [300, 700, 3000]) {
      const children: Record<string, ModelNode> = {};
      // Some are still on their way when the stop comes, and have directories of their own.
      for (let i = 0; i < 1500; i++)
        children[`d${i}`] = modelDirectory({ sub: modelDirectory({ f: modelFile("f", 1) }) });
      const source = modelDirectory(children);
      expect(simulate({ source, target: modelDirectory(), verb: "copy", seed: 7, payload, stopAfter }).finished).toBe(
        true,
      );
    }
  });

  test("a wide tree stays within the window of unsettled directories", () => {
    const children: Record<string, ModelNode> = {};
    for (let i = 0; i < 3000; i++) children[`d${i}`] = modelDirectory({ f: modelFile("f", 1) });
    const wide = { source: modelDirectory(children), verb: "copy", seed: 5 } as const;
    const local = simulate({ ...wide, target: modelDirectory(), payload: "handles" });
    expect(local.finished).toBe(true);
    expect(local.maxUnsettled).toBeLessThanOrEqual(LIMITS.unsettledDirectories + 1);
    const remote = simulate({ ...wide, target: modelDirectory(), payload: "streams" });
    expect(remote.finished).toBe(true);
    expect(remote.maxUnsettled).toBeLessThanOrEqual(LIMITS.offeredDirectories + 1);
    // Few until the target has asked for something, and then all that the window holds.
    expect(remote.maxUnsettledFirst).toBe(NEAR_WINDOW.first!);
    expect(remote.maxUnsettled).toBeGreaterThan(LIMITS.unsettledDirectories);
  });

  test("with few descriptors every run ends, whatever the tree, and no more is open than there has to be", () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const verb = (["copy", "mirror", "move"] as const)[seed % 3]!;
      const random = randomGenerator(seed * 31);
      const source = randomTree(random, 6);
      const whole = describeTree(source);
      const target = verb === "mirror" ? randomTree(random, 3) : modelDirectory();
      const openMost = 1 + (seed % 12);
      const result = simulate({ source, target, verb, seed, openMost });
      expect([seed, result.finished, result.leftOpen]).toEqual([seed, true, 0]);
      expect(describeTree(target)).toEqual(whole);
    }
    const chain = (depth: number): ModelNode =>
      modelDirectory({ f: modelFile("f", 1), ...(depth > 0 ? { d: chain(depth - 1) } : {}) });
    for (const verb of ["copy", "move"] as const) {
      for (const payload of ["handles", "streams"] as const) {
        const children = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`d${i}`, chain(3)]));
        const [source, openMost] = [modelDirectory(children), 40];
        const result = simulate({ source, target: modelDirectory(), verb, seed: 5, payload, openMost });
        expect(result.finished).toBe(true);
        // The chain that is offered next; of a move those that are made durable together.
        expect(result.maxOpen).toBeLessThanOrEqual(openMost + 4 + (verb === "move" ? flushDirectories(openMost) : 0));
      }
    }
  });
});
