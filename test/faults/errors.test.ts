/**
 * System calls fail: each point of `ffi/fault.h` with each errno, and calls that are interrupted, would have to wait,
 * or move less than they were asked to.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { bytesOf } from "../../src/core/paths.ts";
import { because } from "../behaviours/behaviour.ts";
import { getXattr, libcMissing, setXattr } from "../support/libc.ts";
import { PLACEMENT, stopDaemons } from "../support/placement.ts";
import { describe as describeResult, fastsyncMissing, type ProcessResult } from "../support/run.ts";
import { kindOf, libraryMissing, type Plan, POINTS, type PointKind } from "./support/library.ts";
import { ALL, assertDocumented, forEach, inShard, ROLES, type Role, runAgain, runFaulted } from "./support/runs.ts";
import { MODES, type Mode, makeScene, modeNamed, summaryOf } from "./support/scene.ts";

setDefaultTimeout(3_600_000);

const missing =
  libcMissing ??
  fastsyncMissing() ??
  libraryMissing ??
  (PLACEMENT === undefined ? undefined : "chooses placements itself");

afterAll(stopDaemons);

const E = {
  EINTR: 4,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EROFS: 30,
  EDQUOT: 122,
};
const LASTING = [E.EIO, E.ENOMEM, E.EACCES, E.ENFILE, E.EMFILE, E.ENOSPC, E.EROFS, E.EDQUOT];
const VOLUME = new Set([E.ENOSPC, E.EROFS, E.EDQUOT]);

/** No calls: an errno stands for something else there. */
const NO_CALLS: ReadonlySet<PointKind> = new Set(["VERDICT", "MARK", "FRAME"]);
/** Calls that may move less than they were asked to. */
const SHORT = ["read", "write", "copy_file_range", "sendfile", "stream_recv", "stream_send", "stream_sendfile"];

/** Without them nobody knows what is in a directory. */
const LISTING: ReadonlySet<string> = new Set(["open_directory", "getdents"]);
/** What may fail without a consequence, but that something temporary stays until the next run. */
const TIDY: ReadonlySet<string> = new Set(POINTS.filter(({ kind }) => kind === "TIDY").map(({ name }) => name));

interface Case {
  readonly role: Role;
  readonly mode: Mode;
  readonly plan: Plan;
}

const here = ROLES[0]!;

function nameOf({ role, mode, plan }: Case): string {
  return `${role.name}, ${mode.name}, ${plan.point}, pass ${plan.pass}, errno ${plan.fault}`;
}

interface Failed {
  readonly side: string;
  readonly code: string;
  readonly operation: string;
}

/** Of --json: what failed, and on which side. */
function failuresOf(result: ProcessResult): Failed[] {
  return (summaryOf(result)?.["failures"] as Failed[] | undefined) ?? [];
}

async function failOnce({ role, mode, plan }: Case, thorough: boolean): Promise<void> {
  using scene = makeScene(mode);
  const { result } = await runFaulted(scene, role, [plan]);
  assertDocumented(result);
  const failures = failuresOf(result);
  const summary = summaryOf(result)!;
  const unread = failures.some(({ side, code }) => side === "source" && code !== "vanished");
  scene.assertOldOrNew({ nothingDeleted: unread && LISTING.has(plan.point) });
  // What could not be swept is the next run's.
  if (result.exitCode === 0 && !TIDY.has(plan.point)) scene.assertDone();
  const named = failures.length > 0 || (summary["attribute_warnings"] as number) > 0 || summary["message"] !== null;
  if (result.exitCode !== 0 && !named) throw new Error(`nothing is named\n${describeResult(result)}`);
  // What a move cannot take away is still there, and no matter of the target.
  const isKept = failures.some(({ side, operation }) => side === "source" && operation === "remove");
  const isFull = failures.some(({ side, code }) => side === "target" && /^(no_space|read_only)$/.test(code));
  if (isFull && result.exitCode !== 11)
    throw new Error(`a full target does not end the run\n${describeResult(result)}`);
  if (
    kindOf(plan.point) === "TARGET" &&
    VOLUME.has(plan.fault as number) &&
    !isFull &&
    !isKept &&
    result.exitCode !== 0
  )
    throw new Error(`what the target lacks is said in other words\n${describeResult(result)}`);
  await runAgain(scene, role, thorough);
}

/** Modes in which a run passes the point here, with how often. */
async function passesByMode(role: Role, modes: readonly Mode[]): Promise<Map<string, { mode: Mode; count: number }[]>> {
  const seen = new Map<string, { mode: Mode; count: number }[]>();
  await forEach(
    modes,
    (mode) => mode.name,
    async (mode) => {
      using scene = makeScene(mode);
      const { result, passes } = await runFaulted(scene, role, [], [], true);
      if (result.exitCode !== 0) throw new Error(`undisturbed: ${describeResult(result)}`);
      for (const [point, count] of passes) seen.set(point, [...(seen.get(point) ?? []), { mode, count }]);
    },
  );
  for (const all of seen.values()) all.sort((a, b) => modes.indexOf(a.mode) - modes.indexOf(b.mode));
  return seen;
}

describe.skipIf(missing !== undefined)(because("B43 B53 system calls that fail", missing), () => {
  test("B43 B53 each point with each errno: it is named, nothing is partial, the next run ends the work", async () => {
    const seen = await passesByMode(here, MODES);
    const cases: Case[] = [];
    for (const [index, { name: point, kind }] of POINTS.entries()) {
      const all = seen.get(point) ?? [];
      if (all.length === 0) continue;
      const errnos = kind === "FRAME" ? [] : NO_CALLS.has(kind) ? [E.EIO] : LASTING;
      for (const [at, fault] of errnos.entries()) {
        if (!ALL && at !== index % errnos.length) continue;
        for (const [place, { mode, count }] of all.entries()) {
          if (!ALL && place !== (index + at) % all.length) continue;
          for (const pass of ALL ? new Set([1, Math.ceil(count / 2)]) : [1 + ((index + at) % count)])
            cases.push({ role: here, mode, plan: { point, pass, fault } });
        }
      }
    }
    const chosen = inShard(cases);
    let turn = 0;
    await forEach(chosen, nameOf, (one) => failOnce(one, ALL || turn++ % 5 === 0));
    console.log(`${chosen.length} of ${cases.length} cases`);
    expect(cases.length).toBeGreaterThan(POINTS.length / 2);
  });

  test.each(ROLES.slice(1).map((role) => [role.name, role] as const))(
    "B63 connections that fail: %s",
    async (_, role) => {
      const seen = await passesByMode(role, (ALL ? ["plain", "move"] : ["plain"]).map(modeNamed));
      const cases: Case[] = [];
      for (const [index, { name: point, kind }] of POINTS.entries()) {
        const isOfStreams = kind === "STREAM" || kind === "FRAME";
        const errnos = isOfStreams ? [104, E.ENOMEM] : NO_CALLS.has(kind) ? [E.EIO] : LASTING;
        for (const { mode, count } of seen.get(point) ?? []) {
          for (const [at, fault] of errnos.entries()) {
            if (!ALL && (isOfStreams ? at !== index % 2 : index % 6 !== 0 || at !== index % errnos.length)) continue;
            for (const pass of ALL ? new Set([1, Math.ceil(count / 2)]) : [1 + ((index * 7) % count)])
              cases.push({ role, mode, plan: { point, pass, fault } });
          }
        }
      }
      const chosen = inShard(cases);
      let turn = 0;
      await forEach(chosen, nameOf, (one) => failOnce(one, ALL || turn++ % 5 === 0));
      console.log(`${role.name}: ${chosen.length} of ${cases.length} cases`);
    },
  );
});

describe.skipIf(missing !== undefined)(because("a move", missing), () => {
  const HARD = ["hard-a", "hard-b", "hard-c"];
  test.each(ROLES.slice(0, 3).map((role) => [role.name, role] as const))(
    "B46 keeps every name of a file that lacks attributes in the target, also when it was linked before: %s",
    async (_, role) => {
      using scene = makeScene(modeNamed("move"));
      setXattr(join(scene.source, "hard-a"), "user.only-here", bytesOf("x"));
      const kept = (): string[] => readdirSync(scene.source).filter((name) => HARD.includes(name));
      const inodes = (): Set<number> => new Set(HARD.map((name) => statSync(join(scene.target, name)).ino));
      const refused: Plan = { point: "setxattr", pass: 1, onward: true, fault: E.EACCES };
      for (const what of ["copied", "repaired"]) {
        const { result } = await runFaulted(scene, role, [refused]);
        expect([what, result.exitCode, ...kept().sort()]).toEqual([what, 23, ...HARD]);
        expect([what, inodes().size]).toEqual([what, 1]);
      }
      const { result } = await runFaulted(scene, role, []);
      expect([result.exitCode, ...kept()]).toEqual([0]);
      expect(inodes().size).toBe(1);
      expect(getXattr(join(scene.target, "hard-c"), "user.only-here")).toEqual(bytesOf("x"));
    },
  );
});

describe.skipIf(missing !== undefined)(because("attributes that cannot be read", missing), () => {
  const NAMES = ["attributes", "with-attributes"];
  const SENDERS = ROLES.filter(({ name }) =>
    ["here", "push, the sending caller", "pull, the sending daemon"].includes(name),
  );
  test.each(SENDERS.map((role) => [role.name, role] as const))(
    "B46 are read again, or named and kept by a move: %s",
    async (_, role) => {
      using scene = makeScene(modeNamed("move"));
      const failing = (onward: boolean): Plan => ({ point: "getxattr", pass: 1, onward, fault: E.EIO });
      const always = await runFaulted(scene, role, [failing(true)]);
      const left = readdirSync(scene.source).filter((name) => NAMES.includes(name));
      expect([always.result.exitCode, ...left.sort()]).toEqual([23, ...NAMES]);
      // What the target has of them stays meanwhile.
      expect(getXattr(join(scene.target, "attributes"), "user.kept")).toEqual(bytesOf("old"));
      const once = await runFaulted(scene, role, [failing(false)]);
      expect([once.result.exitCode, ...readdirSync(scene.source).filter((name) => NAMES.includes(name))]).toEqual([0]);
      scene.assertDone(true);
    },
  );
});

describe.skipIf(missing !== undefined)(because("calls that are made again", missing), () => {
  const calls = POINTS.filter(({ kind }) => !NO_CALLS.has(kind)).map(({ name }) => name);
  const plans: readonly Plan[] = calls.flatMap((point) => [
    { point, pass: 1, fault: E.EINTR },
    { point, pass: 2, fault: E.EINTR },
    { point, pass: 3, fault: E.EAGAIN },
    { point, pass: 5, fault: E.EAGAIN },
  ]);
  const shorts: readonly Plan[] = SHORT.map((point) => ({ point, pass: 1, onward: true, fault: "short" }));

  test.each(MODES.map((mode) => [mode.name, mode] as const))(
    "EINTR, EAGAIN and short transfers at every call are invisible: %s",
    async (_, mode) => {
      for (const planned of [plans, shorts]) {
        using scene = makeScene(mode);
        const { result } = await runFaulted(scene, here, planned, [], true);
        if (result.exitCode !== 0) throw new Error(describeResult(result));
        scene.assertDone();
      }
    },
  );

  test.each(ROLES.slice(1).map((role) => [role.name, role] as const))(
    "EINTR, EAGAIN and short transfers at every call are invisible: %s",
    async (_, role) => {
      for (const planned of [plans, shorts]) {
        using scene = makeScene(modeNamed("plain"));
        const { result } = await runFaulted(scene, role, planned, [], true);
        if (result.exitCode !== 0) throw new Error(describeResult(result));
        scene.assertDone();
      }
    },
  );

  test.each([
    ["copy_file_range", "copy_file_range"],
    ["sendfile", "sendfile"],
    ["mmap", "write"],
    ["read_write", "read"],
  ])("a %s that moves less than it was asked to goes on", async (method, point) => {
    const mode: Mode = { name: method, verb: "mirror", flags: [`--copy-method=${method}`], retypes: true };
    using scene = makeScene(mode);
    const plan: Plan = { point, pass: 1, onward: true, fault: "short" };
    const { result, passes } = await runFaulted(scene, here, [plan], [], true);
    if (result.exitCode !== 0) throw new Error(describeResult(result));
    scene.assertDone();
    using undisturbed = makeScene(mode);
    const before = (await runFaulted(undisturbed, here, [], [], true)).passes.get(point)!;
    expect(passes.get(point)!).toBeGreaterThan(before);
  });
});
