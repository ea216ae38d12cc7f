/**
 * The portable twin's calls of the system fail, or the process dies at them: each call of node:fs and of the C library
 * that it makes for the trees, at its first, a middle and its last time, in every way of working. The usual run takes a
 * sample that has every call; FASTSYNC_FAULTS=all takes every case.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { because } from "../behaviours/behaviour.ts";
import { libcMissing } from "../support/libc.ts";
import { PLACEMENT } from "../support/placement.ts";
import { ROOT } from "../support/program.ts";
import { describe as describeResult, type ProcessResult, start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { passesIn } from "./support/library.ts";
import { ALL, assertDocumented, forEach, inShard } from "./support/runs.ts";
import { MODES, type Mode, makeScene, type Scene, summaryOf } from "./support/scene.ts";

setDefaultTimeout(3_600_000);

const missing = libcMissing ?? (PLACEMENT === undefined ? undefined : "chooses placements itself");

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

/** Methods are the native library's. */
const modes = MODES.filter(({ name }) => !["sendfile", "mmap"].includes(name));

interface Outcome {
  readonly result: ProcessResult;
  readonly passes: ReadonlyMap<string, number>;
}

async function runPlanned(scene: Scene, plan: string | undefined, isTraced = false): Promise<Outcome> {
  using scratch = tempDir();
  const trace = scratch.join("trace");
  const preload = join(import.meta.dir, "support/fs-faults.ts");
  const command = [process.execPath, `--preload=${preload}`, join(ROOT, "src/main.ts"), ...scene.words()];
  const env = { FASTSYNC_NATIVE: "off", FS_FAULT: plan, FS_FAULT_TRACE: isTraced ? trace : undefined };
  const result = await start(command, { env, timeoutMs: 90_000 }).result;
  return { result, passes: passesIn(trace) };
}

async function again(scene: Scene): Promise<void> {
  const { result } = await runPlanned(scene, undefined);
  if (result.exitCode !== 0) throw new Error(`the next run: ${describeResult(result)}`);
  scene.assertDone(true);
}

interface Case {
  readonly mode: Mode;
  readonly call: string;
  readonly pass: number;
  readonly fault: number | "kill";
}

const nameOf = ({ mode, call, pass, fault }: Case): string => `${mode.name}, ${call}, pass ${pass}, ${fault}`;

let recorded: Promise<Map<string, { mode: Mode; count: number }[]>> | undefined;
function record() {
  recorded ??= (async () => {
    const seen = new Map<string, { mode: Mode; count: number }[]>();
    await forEach(
      modes,
      (mode) => mode.name,
      async (mode) => {
        using scene = makeScene(mode);
        const { result, passes } = await runPlanned(scene, undefined, true);
        if (result.exitCode !== 0) throw new Error(describeResult(result));
        scene.assertDone();
        for (const [call, count] of passes) seen.set(call, [...(seen.get(call) ?? []), { mode, count }]);
      },
    );
    for (const all of seen.values()) all.sort((a, b) => modes.indexOf(a.mode) - modes.indexOf(b.mode));
    return new Map([...seen].sort(([a], [b]) => (a < b ? -1 : 1)));
  })();
  return recorded;
}

describe.skipIf(missing !== undefined)(because("the portable twin", missing), () => {
  test("B49 it dies at each of its calls: old or new stands, the next run ends the work", async () => {
    const cases: Case[] = [];
    for (const [index, [call, all]] of [...(await record())].entries()) {
      for (const [place, { mode, count }] of all.entries()) {
        if (!ALL && place !== index % all.length) continue;
        const passes = [...new Set([1, Math.ceil(count / 2), count])];
        for (const pass of ALL ? passes : [passes[index % passes.length]!])
          cases.push({ mode, call, pass, fault: "kill" });
      }
    }
    const chosen = inShard(cases);
    let kills = 0;
    await forEach(chosen, nameOf, async ({ mode, call, pass }) => {
      using scene = makeScene(mode);
      const { result } = await runPlanned(scene, `${call}:${pass}:kill`);
      if (result.signal === "SIGKILL") kills++;
      else assertDocumented(result);
      scene.assertOldOrNew();
      await again(scene);
    });
    console.log(`${chosen.length} of ${cases.length} cases, ${kills} killed`);
    expect(kills).toBeGreaterThan(chosen.length * 0.7);
  });

  test("B43 B53 each call with each errno: it is named, nothing is partial, the next run ends the work", async () => {
    const cases: Case[] = [];
    for (const [index, [call, all]] of [...(await record())].entries()) {
      for (const [at, fault] of LASTING.entries()) {
        if (!ALL && at !== index % LASTING.length) continue;
        for (const [place, { mode, count }] of all.entries()) {
          if (!ALL && place !== (index + 1) % all.length) continue;
          const pass = ALL ? Math.ceil(count / 2) : 1 + ((index * 5) % count);
          cases.push({ mode, call, pass, fault });
        }
      }
    }
    const chosen = inShard(cases);
    await forEach(chosen, nameOf, async ({ mode, call, pass, fault }) => {
      using scene = makeScene(mode);
      const { result } = await runPlanned(scene, `${call}:${pass}:${fault}`);
      assertDocumented(result);
      const failures = summaryOf(result)!["failures"] as { side: string; code: string }[];
      const unread = failures.some(({ side, code }) => side === "source" && code !== "vanished");
      scene.assertOldOrNew({ nothingDeleted: unread && call === "readdirSync" });
      // What could not be swept is the next run's.
      if (result.exitCode === 0 && call !== "unlinkSync") scene.assertDone();
      await again(scene);
    });
    console.log(`${chosen.length} of ${cases.length} cases`);
  });

  test("EINTR, EAGAIN and short transfers are invisible", async () => {
    const twice = (call: string): string => `${call}:1:${E.EINTR},${call}:3:${E.EAGAIN},${call}:4:${E.EAGAIN}`;
    for (const plan of [`${twice("readSync")},${twice("writeSync")}`, "readSync:1+:short,writeSync:1+:short"]) {
      using scene = makeScene(modes[0]!);
      const { result } = await runPlanned(scene, plan);
      if (result.exitCode !== 0) throw new Error(describeResult(result));
      scene.assertDone();
    }
  });
});
