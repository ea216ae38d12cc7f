/**
 * The process dies at a step of its work, at any of them: each point of `ffi/fault.h` that a run passes, at its first
 * and at later passes, in every way of working, on one machine and on either side of a connection.
 *
 *   which points a run passes, and how often, is recorded in a run that nothing disturbs
 *   each case is a tree of its own, a run that is killed there, what must hold of the trees, and the next run
 *
 * The usual run takes a sample that has every point; FASTSYNC_FAULTS=all takes every case.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { because } from "../behaviours/behaviour.ts";
import { libcMissing } from "../support/libc.ts";
import { PLACEMENT, stopDaemons } from "../support/placement.ts";
import { describe as describeResult, fastsyncMissing } from "../support/run.ts";
import { libraryMissing, type Plan, POINTS } from "./support/library.ts";
import { ALL, assertDocumented, forEach, inShard, ROLES, type Role, runAgain, runFaulted } from "./support/runs.ts";
import { MODES, type Mode, makeScene } from "./support/scene.ts";

setDefaultTimeout(3_600_000);

const missing =
  libcMissing ??
  fastsyncMissing() ??
  libraryMissing ??
  (PLACEMENT === undefined ? undefined : "chooses placements itself");

afterAll(stopDaemons);

interface Case {
  readonly role: Role;
  readonly mode: Mode;
  readonly plan: Plan;
}

function nameOf({ role, mode, plan }: Case): string {
  return `${role.name}, ${mode.name}, ${plan.point}, pass ${plan.pass}`;
}

/** Modes of a role: between two processes content moves by no method of copying, and nothing is renamed. */
function modesOf(role: Role): readonly Mode[] {
  if (role.placement === undefined) return MODES;
  const left = new Set(["sendfile", "mmap", "move"]);
  const all = MODES.filter(({ name }) => !left.has(name));
  return ALL ? all : all.filter(({ name }) => ["plain", "move that copies"].includes(name));
}

/** What a run that nothing disturbs passes. */
async function record(role: Role, mode: Mode): Promise<ReadonlyMap<string, number>> {
  using scene = makeScene(mode);
  const { result, passes } = await runFaulted(scene, role, [], [], true);
  if (result.exitCode !== 0) throw new Error(`undisturbed: ${describeResult(result)}`);
  scene.assertDone();
  return passes;
}

/** First, in the middle, last. */
function passesToTry(count: number): number[] {
  return [...new Set([1, Math.ceil((count + 1) / 2), count])];
}

async function killOnce({ role, mode, plan }: Case, thorough: boolean): Promise<boolean> {
  using scene = makeScene(mode);
  const { result, killed } = await runFaulted(scene, role, [plan]);
  scene.assertOldOrNew();
  // Threads take their work in no fixed order: a later pass need not come.
  if (!killed && plan.pass === 1) throw new Error(`it was never there\n${describeResult(result)}`);
  if (!killed || role.inDaemon) {
    assertDocumented(result);
    if (result.exitCode === 0) scene.assertDone();
  }
  await runAgain(scene, role, thorough);
  return killed;
}

const passed = new Set<string>();

describe.skipIf(missing !== undefined)(because("B49 B63 killed at every step", missing), () => {
  for (const [number, role] of ROLES.entries()) {
    test(`B49 B63 ${role.name} dies at each of its steps: old or new stands, the next run ends the work`, async () => {
      const cases: Case[] = [];
      const seen = new Map<string, { mode: Mode; count: number }[]>();
      const modes = modesOf(role);
      await forEach(
        modes,
        (mode) => mode.name,
        async (mode) => {
          for (const [point, count] of await record(role, mode)) {
            passed.add(point);
            const before = seen.get(point) ?? [];
            seen.set(point, [...before, { mode, count }]);
          }
        },
      );
      const order = (mode: Mode): number => modes.indexOf(mode);
      for (const [index, { name: point }] of POINTS.entries()) {
        const all = (seen.get(point) ?? []).toSorted((a, b) => order(a.mode) - order(b.mode));
        for (const [place, { mode, count }] of all.entries()) {
          const passes = passesToTry(count);
          // A mode and a pass for each point; between processes a quarter of the points for each role.
          const isChosen = place === index % all.length && (role.placement === undefined || index % 4 === number % 4);
          const some = [passes[index % passes.length]!];
          for (const pass of ALL ? passes : isChosen ? some : [])
            cases.push({ role, mode, plan: { point, pass, fault: "kill" } });
        }
      }
      const chosen = inShard(cases);
      let kills = 0;
      let turn = 0;
      await forEach(chosen, nameOf, async (one) => {
        if (await killOnce(one, ALL || turn++ % 5 === 0)) kills++;
      });
      console.log(`${role.name}: ${chosen.length} of ${cases.length} cases, ${kills} killed`);
      expect(kills).toBeGreaterThan(chosen.length / 2);
    });
  }

  test("every point of the table is a step of some run here", () => {
    const never = POINTS.map(({ name }) => name).filter((name) => !passed.has(name) && !(name in NEVER));
    expect(never).toEqual([]);
  });
});

/** Points that these runs do not come to, and where they are tested. */
const NEVER: Readonly<Record<string, string>> = {};
