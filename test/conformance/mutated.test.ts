/**
 * Honest sessions, mutated (test/session/mutate.ts), against a real daemon: it takes them or refuses them, goes on serving
 * everybody else, takes no memory for them that stays, and writes nowhere but below the place that was named.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { randomGenerator } from "../session/model.ts";
import { mutated } from "../session/mutate.ts";
import { honestSession } from "../session/transcripts.ts";
import { FUZZ_TEST_MS } from "../support/fuzzing.ts";
import { Caller } from "./peer/caller.ts";
import { type Daemon, daemonUnderTest, eventually, fileOf, watched, withFiles } from "./peer/daemon.ts";
import { options } from "./peer/opening.ts";
import { healthy, into, outOf, PROTOCOL } from "./peer/sessions.ts";

const SECONDS = Number(process.env["FASTSYNC_FUZZ_SECONDS"] ?? 0);
const SEED = Number(process.env["FASTSYNC_FUZZ_SEED"] ?? 1);
const SESSIONS = 120;
const AT_A_TIME = 6;
const VERB_NUMBERS = { copy: 1, mirror: 2, move: 3, check: 4 } as const;

let daemon: Daemon;
let rss = 0;
let descriptors = 0;
beforeAll(async () => {
  daemon = await daemonUnderTest();
  if (daemon.directory !== undefined) {
    mkdirSync(fileOf(daemon, "src/d"), { recursive: true });
    for (const name of ["a", "b", "d/c"]) writeFileSync(fileOf(daemon, `src/${name}`), name.repeat(100));
  }
  await healthy(daemon);
  rss = daemon.process?.rssBytes() ?? 0;
  descriptors = daemon.process?.descriptors().length ?? 0;
});
afterAll(() => daemon[Symbol.asyncDispose]());

const varint = (value: number): number[] => (value > 127 ? [(value & 127) | 128, ...varint(value >>> 7)] : [value]);
/** A request with these messages, which need not be any. */
function requestOf(messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(messages.flatMap((bytes) => [Uint8Array.from([10, ...varint(bytes.length)]), bytes]));
}

/** Ends that a session may have whose messages are wrong; undefined: it went on until the caller left. */
async function play(seed: number): Promise<void> {
  const random = randomGenerator(seed);
  const session = honestSession((seed % 40) + 1);
  const pushes = daemon.directory === undefined || random() < 0.6;
  using caller = new Caller(daemon);
  const verb = { options: options({ verb: VERB_NUMBERS[session.verb] }) };
  await caller.open(
    pushes
      ? into(daemon, `mutated/${seed}/`, verb)
      : outOf(daemon, "src/", { options: options({ verb: session.verb === "check" ? 4 : 1 }) }),
  );
  caller.say({ case: "carrier", value: { inStream: true } });
  const messages = mutated(random, pushes ? session.bySource : session.byTarget);
  for (let at = 0; at < messages.length; ) {
    const together = 1 + Math.floor(random() * 4);
    caller.sayBytes(requestOf(messages.slice(at, at + together)));
    at += together;
  }
  // Most are refused at once; what is taken waits for content, and its caller leaves.
  const ending = await Promise.race([caller.ended().catch(() => undefined), Bun.sleep(150).then(() => undefined)]);
  if (ending?.refusal === undefined) return;
  expect([seed, ending.refusal.reason]).toEqual([
    seed,
    expect.stringMatching(/^(protocol|partial|filter|target_unusable)$/),
  ]);
  if (ending.refusal.reason === "protocol") expect(ending.refusal.exitCode).toBe(PROTOCOL.exitCode);
}

describe("S23 S24 S25 S27 S31 mutated sessions with a daemon", () => {
  test(
    "each is taken or refused, and others are served",
    async () => {
      const endMs = performance.now() + SECONDS * 1000;
      for (let seed = SEED; SECONDS === 0 ? seed < SEED + SESSIONS : performance.now() < endMs; seed += AT_A_TIME) {
        await Promise.all(Array.from({ length: AT_A_TIME }, (_, i) => play(seed + i)));
        if (seed % (4 * AT_A_TIME) === SEED) await healthy(daemon);
      }
      await healthy(daemon);
    },
    FUZZ_TEST_MS,
  );

  withFiles("nothing is outside of the places that were named, and the source is as it was", () => {
    const names = new Set(readdirSync(daemon.directory!));
    for (const name of names) expect(name.replace(daemon.prefix, "")).toMatch(/^(src|mutated|healthy-\d+)$/);
    for (const name of ["a", "b", "d/c"])
      expect(readFileSync(fileOf(daemon, `src/${name}`), "latin1")).toBe(name.repeat(100));
  });

  watched("the daemon is as it was", async () => {
    const { process } = daemon;
    await eventually(() => process!.descriptors().length <= descriptors + 8, "descriptors go back", 30_000);
    expect(process!.isAlive).toBe(true);
    expect(process!.stderr).not.toContain("internal error");
    expect(readFileSync(process!.path("outside/secret"), "latin1")).toBe("secret\n");
    expect(readdirSync(process!.path("outside"))).toEqual(["secret"]);
    expect(process!.rssBytes() - rss).toBeLessThan(400 << 20);
  });
});
