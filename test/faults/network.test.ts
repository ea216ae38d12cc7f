/**
 * The connection is cut at each boundary of its frames and inside each of them, one side is stopped, or lets bytes
 * through one by one. The frames of a small session are recorded first; each case is a session of its own at one daemon,
 * which must outlive them all. The usual run takes a sample; FASTSYNC_FAULTS=all takes every frame.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { until } from "../behaviours/moments.ts";
import { placeAt, startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { libcMissing } from "../support/libc.ts";
import { PLACEMENT } from "../support/placement.ts";
import {
  describe as describeResult,
  fastsync,
  fastsyncMissing,
  type ProcessResult,
  startFastsync,
} from "../support/run.ts";
import { type Cut, FrameProxy, type Grammar, type Way } from "./support/frame-proxy.ts";
import { ALL, assertDocumented, inShard } from "./support/runs.ts";
import { makeScene, modeNamed, type Scene } from "./support/scene.ts";

setDefaultTimeout(3_600_000);

const missing = libcMissing ?? fastsyncMissing() ?? (PLACEMENT === undefined ? undefined : "chooses placements itself");

/** What a caller may say of a connection that is gone, before there was a session or during it: see docs/scripting.md. */
const LOST: ReadonlySet<number> = new Set([5, 10, 12]);

let daemon: TestDaemon;
let proxies: Record<Grammar, FrameProxy>;
const host = `127.0.${process.pid % 250}.77`;

beforeAll(async () => {
  if (missing !== undefined) return;
  daemon = await startDaemon({
    path: "/",
    module: "strip_setid = false\nallow_devices = true\nallow_specials = true",
  });
  proxies = {
    control: await FrameProxy.start("control", host, daemon.host, daemon.port),
    data: await FrameProxy.start("data", host, daemon.host, daemon.dataPort),
  };
});
afterAll(async () => {
  await proxies?.control[Symbol.asyncDispose]();
  await proxies?.data[Symbol.asyncDispose]();
  await daemon?.[Symbol.asyncDispose]();
});

type Direction = "push" | "pull";
type Carrier = "data streams" | "control connection";
const DIRECTIONS: readonly Direction[] = ["push", "pull"];
const CARRIERS: readonly Carrier[] = ["data streams", "control connection"];

/** The scene's words with one side behind the daemon, by way of `at`. */
function wordsOf(scene: Scene, direction: Direction, carrier: Carrier, at: string): string[] {
  const words = scene.words([carrier === "data streams" ? "--streams=1" : "--force-grpc"]);
  const place = words.length - (direction === "push" ? 1 : 2);
  words[place] = placeAt(at, daemon.port, words[place]!.slice(1));
  return words;
}

/** Sessions that have begun are over: the daemon touches nothing any more. */
async function rest(): Promise<void> {
  await until(
    () => daemon.log("session_end").length >= daemon.log("session_start").length,
    "the end of the daemon's session",
    90_000,
  );
}

async function session(scene: Scene, direction: Direction, carrier: Carrier, at: string): Promise<ProcessResult> {
  const result = await fastsync(wordsOf(scene, direction, carrier, at), { timeoutMs: 80_000 });
  await rest();
  return result;
}

interface Case {
  readonly grammar: Grammar;
  readonly cut: Cut;
}

/** Both ways of both connections: before each frame, and in the middle of it. */
function casesOf(frames: Record<Grammar, Record<Way, readonly number[]>>): Case[] {
  const cases: Case[] = [];
  for (const grammar of ["control", "data"] as const)
    for (const way of ["up", "down"] as const)
      for (const [frame, size] of frames[grammar][way].entries())
        for (const bytes of new Set([0, Math.ceil(size / 2)]))
          cases.push({ grammar, cut: { way, frame, bytes, reset: (frame + bytes) % 2 === 1 } });
  return cases;
}

function sample<T>(all: readonly T[], most: number): readonly T[] {
  if (ALL) return inShard(all);
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, i) => all[Math.floor((i * all.length) / most)]!);
}

describe.skipIf(missing !== undefined)(`connections${missing === undefined ? "" : ` (skipped: ${missing})`}`, () => {
  for (const direction of DIRECTIONS) {
    for (const carrier of CARRIERS) {
      test(`B49 B63 cut at and inside of each frame: ${direction}, ${carrier}`, async () => {
        const failures: string[] = [];
        const plain = modeNamed("plain");
        const record = async (): Promise<Case[]> => {
          using scene = makeScene(plain);
          proxies.control.reset(undefined);
          proxies.data.reset(undefined);
          const result = await session(scene, direction, carrier, host);
          if (result.exitCode !== 0) throw new Error(describeResult(result));
          scene.assertDone();
          return casesOf({ control: { ...proxies.control.frames }, data: { ...proxies.data.frames } });
        };
        const all = await record();
        const cases = sample(all, 8);
        let cuts = 0;
        for (const { grammar, cut } of cases) {
          using scene = makeScene(plain);
          proxies.control.reset(undefined);
          proxies.data.reset(undefined);
          proxies[grammar].cut = cut;
          try {
            const result = await session(scene, direction, carrier, host);
            if (proxies[grammar].wasCut) cuts++;
            assertDocumented(result);
            scene.assertOldOrNew();
            if (result.exitCode === 0) scene.assertDone();
            else if (!LOST.has(result.exitCode)) throw new Error(`not of a lost connection\n${describeResult(result)}`);
            const again = await session(scene, direction, carrier, daemon.host);
            if (again.exitCode !== 0) throw new Error(`the next run: ${describeResult(again)}`);
            scene.assertDone();
          } catch (error) {
            failures.push(`${grammar} ${JSON.stringify(cut)}: ${error instanceof Error ? error.message : error}`);
          }
        }
        console.log(`${direction}, ${carrier}: ${cases.length} of ${all.length} cases, ${cuts} cut`);
        expect(failures).toEqual([]);
        // Frames on the way back come together in ever other numbers.
        expect(cuts).toBeGreaterThan(cases.length / 2);
      });
    }

    test(`bytes that come one by one make no difference: ${direction}`, async () => {
      for (const carrier of CARRIERS) {
        using scene = makeScene(modeNamed("plain"));
        for (const proxy of Object.values(proxies)) {
          proxy.reset(undefined);
          proxy.trickleBytes = 6000;
        }
        const result = await session(scene, direction, carrier, host);
        for (const proxy of Object.values(proxies)) proxy.trickleBytes = 0;
        if (result.exitCode !== 0) throw new Error(describeResult(result));
        scene.assertDone();
      }
    });

    test.each(["the daemon", "the caller"])(
      `B63 %s is stopped in its work: the other ends with 30, and the next run ends the work: ${direction}`,
      async (who) => {
        await using other = await startDaemon({
          path: "/",
          daemon: 'idle_timeout = "1s"',
          module: "strip_setid = false\nallow_devices = true\nallow_specials = true",
        });
        using scene = makeScene(modeNamed("plain"));
        const words = scene.words(["--bwlimit=1M"]);
        const place = words.length - (direction === "push" ? 1 : 2);
        words[place] = other.place(words[place]!.slice(1));
        const running = startFastsync(words);
        await other.logged("session_start");
        await Bun.sleep(300);
        if (who === "the daemon") {
          other.signal("SIGSTOP");
          const result = await running.result;
          expect([result.exitCode, describeResult(result)]).toEqual([30, expect.any(String)]);
          assertDocumented(result);
          other.signal("SIGCONT");
          await other.logged("session_end");
        } else {
          running.kill("SIGSTOP");
          expect((await other.logged("session_end"))["exit_reason"]).toBe("timeout");
          running.kill("SIGCONT");
          const result = await running.result;
          assertDocumented(result);
          expect(result.exitCode).not.toBe(0);
        }
        scene.assertOldOrNew();
        const again = words.filter((word) => !word.startsWith("--bwlimit"));
        const result = await fastsync(again);
        if (result.exitCode !== 0) throw new Error(describeResult(result));
        scene.assertDone();
      },
    );
  }
});
