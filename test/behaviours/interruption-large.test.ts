/** A large file is stopped in the middle: the old one stays, and the next run goes on from what it can verify. */
import { expect, setDefaultTimeout } from "bun:test";
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { startFastsync } from "../support/run.ts";
import type { TempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { because, behavioursMissing, mirror } from "./behaviour.ts";
import { MIB, pair, quickDir, temporariesIn, temporaryBytes, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** Above the size from which files are split, so that they leave a part. */
const SIZE = 56 * MIB;
const CONTENT = noise(SIZE, 5);
const OTHER = noise(SIZE, 77);
/** What the first run has written at least when it is stopped. */
const WRITTEN = 16 * MIB;

/** Runs until a good part of `big` is written, then ends it so. */
async function interrupt(
  source: string,
  target: string,
  signal: NodeJS.Signals,
  flags: readonly string[] = [],
): Promise<void> {
  const words = ["mirror", "--yes", "--json", "--bwlimit", "80M", ...flags, `${source}/`, `${target}/`];
  const running = startFastsync(words);
  await until(() => existsSync(target) && temporaryBytes(target) >= WRITTEN, `${WRITTEN} bytes of the file`);
  running.kill(signal);
  const result = await running.result;
  if (signal === "SIGKILL") expect(result.signal).toBe("SIGKILL");
  else expect(result.exitCode).toBe(20);
}

function makeBig(dir: TempDir): { source: string; target: string } {
  const places = pair(dir);
  writeFileSync(join(places.source, "big"), CONTENT);
  writeFileSync(join(places.source, "small"), "small");
  return places;
}

function expectClean(source: string, target: string): void {
  assertSameTrees(source, target);
  expect(temporariesIn(target)).toEqual([]);
}

describe.skipIf(behavioursMissing !== undefined)(because("B49 large file", behavioursMissing), () => {
  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "B49 %s: the next run sends less than the file",
    async (signal) => {
      using dir = quickDir();
      const { source, target } = makeBig(dir);
      await interrupt(source, target, signal);
      expect(existsSync(join(target, "big"))).toBe(false);
      const { summary } = await mirror(source, target);
      expectClean(source, target);
      expect(summary["bytes_transferred"]).toBeGreaterThan(0);
      expect(summary["bytes_transferred"]).toBeLessThanOrEqual(SIZE - WRITTEN / 2);
    },
  );

  test("B49 the portable twin resumes as well", async () => {
    using dir = quickDir();
    const { source, target } = makeBig(dir);
    const env = { FASTSYNC_NATIVE: "off" };
    const words = ["mirror", "--yes", "--bwlimit", "80M", `${source}/`, `${target}/`];
    const running = startFastsync(words, { env });
    await until(() => existsSync(target) && temporaryBytes(target) >= WRITTEN, `${WRITTEN} bytes of the file`);
    running.kill("SIGKILL");
    await running.result;
    expect(existsSync(join(target, "big"))).toBe(false);
    const { summary } = await mirror(source, target, [], { env });
    expectClean(source, target);
    expect(summary["bytes_transferred"]).toBeLessThanOrEqual(SIZE - WRITTEN / 2);
  });

  test("B49 an older version stays in place until the new one is whole", async () => {
    using dir = quickDir();
    const { source, target } = makeBig(dir);
    await mirror(source, target);
    const old = Bun.hash(readFileSync(join(target, "big")));
    writeFileSync(join(source, "big"), OTHER);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      for (const name of temporariesIn(target)) unlinkSync(join(target, name));
      await interrupt(source, target, signal);
      expect(Bun.hash(readFileSync(join(target, "big")))).toBe(old);
    }
    await mirror(source, target);
    expectClean(source, target);
  });

  test("B15 a part left by a killed --update run is not taken for a newer finished file", async () => {
    using dir = quickDir();
    const { source, target } = makeBig(dir);
    utimesSync(join(source, "big"), 1e9, 1e9);
    await interrupt(source, target, "SIGKILL", ["--update"]);
    await mirror(source, target, ["--update"]);
    expectClean(source, target);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("B50 resume", behavioursMissing), () => {
  test.each([
    ["rewritten with the same size", (big: string) => writeFileSync(big, OTHER)],
    ["grown", (big: string) => writeFileSync(big, Buffer.concat([OTHER, noise(MIB, 3)]))],
    ["shrunk", (big: string) => truncateSync(big, SIZE - 3 * MIB - 1)],
    ["shrunk below what was written", (big: string) => writeFileSync(big, noise(49 * MIB, 9))],
    [
      "changed in the middle, its size and time as before",
      (big: string) => {
        utimesSync(big, 1.5e9, 1.5e9);
        const fd = openSync(big, "r+");
        writeSync(fd, "changed", 5 * MIB);
        writeSync(fd, "changed", 50 * MIB);
        closeSync(fd);
        utimesSync(big, 1.5e9, 1.5e9);
      },
    ],
  ])("B50 a source that was %s after the interruption arrives as it is now", async (_, change) => {
    using dir = quickDir();
    const { source, target } = makeBig(dir);
    utimesSync(join(source, "big"), 1.5e9, 1.5e9);
    await interrupt(source, target, "SIGKILL");
    change(join(source, "big"));
    await mirror(source, target);
    expectClean(source, target);
  });

  test("B50 a part that was tampered with is not trusted", async () => {
    using dir = quickDir();
    const { source, target } = makeBig(dir);
    await interrupt(source, target, "SIGKILL");
    for (const name of readdirSync(target)) {
      if (!name.startsWith(".fastsync.")) continue;
      const fd = openSync(join(target, name), "r+");
      for (let at = 0; at < SIZE; at += 4 * MIB) writeSync(fd, "tampered", at + 12345);
      closeSync(fd);
    }
    await mirror(source, target);
    expectClean(source, target);
  });
});
