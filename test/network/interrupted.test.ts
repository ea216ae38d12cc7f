/**
 * A session is cut at random moments: the caller is stopped or killed, or the daemon is killed. Whatever happens, no
 * file has its name before it is whole, the other side ends with a documented word, and the next run goes on from what
 * is there. The moments are random, their seed is in the test's name.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB, quickDir, temporariesIn, temporaryBytes, until } from "../behaviours/moments.ts";
import { assertSameTrees } from "../support/diff.ts";
import { libcMissing } from "../support/libc.ts";
import { PLACEMENT, type Placement, placed, type RunningDaemon, startDaemon } from "../support/placement.ts";
import { describe as describeResult, fastsyncJson, fastsyncMissing, startFastsync } from "../support/run.ts";
import { noise } from "../support/tree.ts";

setDefaultTimeout(120_000);

const missing = libcMissing ?? fastsyncMissing() ?? (PLACEMENT === undefined ? undefined : "chooses placements itself");

const LARGE = 56 * MIB;
const CONTENT = noise(LARGE, 5);
const SMALL_FILES = 400;
/** FASTSYNC_SEEDS tries more. */
const MOMENTS = Array.from({ length: Number(process.env["FASTSYNC_SEEDS"] ?? 1) }, (_, i) => i + 1);

type Cut = "caller stopped" | "caller killed" | "daemon killed";
const CUTS: readonly Cut[] = ["caller stopped", "caller killed", "daemon killed"];
/** What a caller may say of a daemon that is gone; see docs/scripting.md. */
const CONNECTION_LOST = 12;
const INTERRUPTED = 20;

describe.skipIf(missing !== undefined)(`B63 B49 cut sessions${missing === undefined ? "" : ` (${missing})`}`, () => {
  const cases = (["push", "pull"] as const).flatMap((placement) =>
    CUTS.flatMap((cut) => MOMENTS.map((seed) => [placement, cut, seed] as const)),
  );

  test.each(cases)("%s, %s, small files, moment %i", async (placement, cut, seed) => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    mkdirSync(source);
    for (let i = 0; i < SMALL_FILES; i++) writeFileSync(join(source, `file${i}`), noise(20_000, i + 1));
    const files = 1 + ((seed * 7919 + cut.length * 104_729) % (SMALL_FILES - 100));
    await cutOnce(placement, cut, source, target, ["--bwlimit=8M"], () => named(target).length >= files);
    await expectWhole(source, target);
    const { summary } = await again(placement, source, target);
    expect(summary["files_transferred"]).toBeLessThan(SMALL_FILES);
  });

  test.each(cases)("%s, %s, one large file, moment %i", async (placement, cut, seed) => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    mkdirSync(source);
    writeFileSync(join(source, "large"), CONTENT);
    const bytes = (18 + ((seed * 7919 + cut.length) % 16)) * MIB;
    await cutOnce(placement, cut, source, target, ["--bwlimit=60M"], () => temporaryBytes(target) >= bytes);
    expect(named(target)).toEqual([]);
    const { summary } = await again(placement, source, target);
    expect(summary["bytes_transferred"]).toBeLessThan(LARGE);
  });
});

async function cutOnce(
  placement: Placement,
  cut: Cut,
  source: string,
  target: string,
  flags: readonly string[],
  moment: () => boolean,
): Promise<void> {
  const daemon = startDaemon({});
  try {
    const words = ["mirror", "--yes", "--json", ...flags, `${source}/`, `${target}/`];
    const caller = startFastsync(placed(words, placement, daemon.port, "/"), { timeoutMs: 100_000 });
    await until(() => existsSync(target) && moment(), "the moment", 60_000);
    if (cut === "daemon killed") process.kill(daemon.pid, "SIGKILL");
    else caller.kill(cut === "caller stopped" ? "SIGINT" : "SIGKILL");
    const result = await caller.result;
    if (cut === "caller killed") expect(result.signal).toBe("SIGKILL");
    else {
      const expected = cut === "caller stopped" ? INTERRUPTED : CONNECTION_LOST;
      if (result.exitCode !== expected) throw new Error(`expected ${expected}\n${describeResult(result)}`);
      const last = JSON.parse(result.stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>;
      expect(last).toMatchObject({ type: "summary", exit_code: expected });
    }
    if (cut !== "daemon killed") expect(await endOf(daemon)).not.toBe("ok");
  } finally {
    await daemon.stop();
  }
}

/** How the daemon says that its one session ended. */
async function endOf(daemon: RunningDaemon): Promise<unknown> {
  const ends = (): string[] =>
    daemon
      .log()
      .split("\n")
      .filter((line) => line.includes('"event":"session_end"'));
  await until(() => ends().length > 0, "the end of the daemon's session", 90_000);
  return (JSON.parse(ends()[0]!) as Record<string, unknown>)["exit_reason"];
}

/** What has its final name. */
function named(target: string): string[] {
  return readdirSync(target).filter((name) => !name.startsWith(".fastsync."));
}

async function expectWhole(source: string, target: string): Promise<void> {
  for (const name of named(target))
    expect(readFileSync(join(target, name)).equals(readFileSync(join(source, name)))).toBe(true);
}

/** The next run, with a daemon of its own, ends what the first began and leaves nothing behind. */
async function again(placement: Placement, source: string, target: string) {
  const daemon = startDaemon({});
  try {
    const words = ["mirror", "--yes", `${source}/`, `${target}/`];
    const result = await fastsyncJson(placed(words, placement, daemon.port, "/"));
    if (result.exitCode !== 0) throw new Error(describeResult(result));
    assertSameTrees(source, target);
    expect(temporariesIn(target)).toEqual([]);
    return result;
  } finally {
    await daemon.stop();
  }
}
