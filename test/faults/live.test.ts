/** What others do to the trees while a run is at work on them. */
import { expect, setDefaultTimeout } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { because, behavioursMissing } from "../behaviours/behaviour.ts";
import { MIB, pair, quickDir, temporariesIn, temporaryBytes, until } from "../behaviours/moments.ts";
import { describe, test } from "../behaviours/placed-test.ts";
import { assertSameTrees } from "../support/diff.ts";
import { setTimes } from "../support/libc.ts";
import { describe as describeResult, fastsyncJson, type ProcessOptions, startFastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { assertDocumented } from "./support/runs.ts";
import { summaryOf } from "./support/scene.ts";

setDefaultTimeout(120_000);

const BACKENDS = [
  ["native library", { env: { FASTSYNC_NATIVE: undefined } }],
  ["portable twin", { env: { FASTSYNC_NATIVE: "off" } }],
] as const;

/** a00 .. a23, then m, o and z: the later ones are still to come when the first have arrived. */
function fillQueue(source: string, target: string): void {
  mkdirSync(join(source, "n/inner"), { recursive: true });
  mkdirSync(join(target, "n/inner"), { recursive: true });
  for (let i = 0; i < 24; i++) writeFileSync(join(source, `a${String(i).padStart(2, "0")}`), noise(MIB / 4, i + 1));
  for (const name of ["m", "n/file", "n/inner/file", "o"]) {
    writeFileSync(join(source, name), noise(MIB / 2, name.length + 50));
    writeFileSync(join(target, name), "old");
  }
  writeFileSync(join(source, "z"), "the last");
  mkdirSync(join(target, "extra/inner"), { recursive: true });
  writeFileSync(join(target, "extra/inner/file"), "x");
}

async function disturbed(source: string, target: string, how: ProcessOptions, change: () => void) {
  const running = startFastsync(["mirror", "--yes", "--json", "--bwlimit=8M", `${source}/`, `${target}/`], how);
  await until(() => existsSync(join(target, "a12")), "the moment to step in");
  change();
  const result = await running.result;
  assertDocumented(result);
  const failures = summaryOf(result)!["failures"] as { path: string; code: string; side: string }[];
  return { result, failures };
}

/** After a disturbance: a run that is left alone ends the work. */
async function converges(source: string, target: string, how: ProcessOptions): Promise<void> {
  const again = await fastsyncJson(["mirror", "--yes", `${source}/`, `${target}/`], how);
  expect(describeResult(again)).toStartWith("exit 0");
  assertSameTrees(source, target);
  expect(temporariesIn(target)).toEqual([]);
}

describe.skipIf(behavioursMissing !== undefined)(because("a target that changes underneath", behavioursMissing), () => {
  describe.each(BACKENDS)("%s", (_, how) => {
    test("a file of it is removed, or replaced by an empty directory: the new one comes all the same", async () => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      fillQueue(source, target);
      const { result } = await disturbed(source, target, how, () => {
        rmSync(join(target, "m"));
        rmSync(join(target, "o"));
        mkdirSync(join(target, "o"));
      });
      expect(describeResult(result)).toStartWith("exit 0");
      assertSameTrees(source, target);
    });

    test("a file of it is replaced by a directory with something in it: that is named, and what is in it stays", async () => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      fillQueue(source, target);
      const { result, failures } = await disturbed(source, target, how, () => {
        rmSync(join(target, "m"));
        mkdirSync(join(target, "m"));
        writeFileSync(join(target, "m/precious"), "precious");
      });
      expect(result.exitCode).toBe(23);
      expect(failures).toMatchObject([{ path: "m", code: "not_empty", side: "target" }]);
      expect(readFileSync(join(target, "m/precious"), "utf8")).toBe("precious");
      expect(readFileSync(join(target, "z"), "utf8")).toBe("the last");
      await converges(source, target, how);
    });

    test.each([
      ["removed", (path: string, _away: string) => rmSync(path, { recursive: true })],
      ["renamed away", (path: string, away: string) => renameSync(path, away)],
      [
        "replaced by a file",
        (path: string, away: string) => {
          renameSync(path, away);
          writeFileSync(path, "a file");
        },
      ],
    ])("a directory of it is %s: what cannot be put there is named, the rest arrives", async (_, change) => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      fillQueue(source, target);
      const { result, failures } = await disturbed(source, target, how, () =>
        change(join(target, "n"), dir.join("away")),
      );
      // Renamed away it is still held: what belongs there goes where it is.
      expect([0, 23]).toContain(result.exitCode);
      for (const { path } of failures) expect(path).toMatch(/^n(\/|$)/);
      expect(readFileSync(join(target, "z"), "utf8")).toBe("the last");
      expect(existsSync(join(target, "extra"))).toBe(false);
      await converges(source, target, how);
    });

    test("B41 what comes into an extraneous directory after it was looked at is not deleted with it", async () => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      fillQueue(source, target);
      const { result, failures } = await disturbed(source, target, how, () => {
        writeFileSync(join(target, "extra/inner/precious"), "precious");
        rmSync(join(target, "extra/inner/file"));
        mkdirSync(join(target, "extra/inner/file"));
      });
      expect(result.exitCode).toBe(23);
      expect(failures.length).toBeGreaterThan(0);
      expect(readFileSync(join(target, "extra/inner/precious"), "utf8")).toBe("precious");
      expect(existsSync(join(target, "extra/inner/file"))).toBe(true);
      await converges(source, target, how);
    });

    test("the target itself is removed: that is named, and the next run makes it anew", async () => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      fillQueue(source, target);
      const { result } = await disturbed(source, target, how, () => rmSync(target, { recursive: true }));
      expect([11, 23]).toContain(result.exitCode);
      await converges(source, target, how);
    });
  });
});

const leaseMissing = behavioursMissing ?? (Bun.which("cc") === null ? "there is no C compiler" : undefined);

describe.skipIf(leaseMissing !== undefined)(because("a source that is in use", leaseMissing), () => {
  test.each(BACKENDS)(
    "B60 rewritten with the same size, its time put back: what arrives is the new content: %s",
    async (_, how) => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      const big = join(source, "big");
      writeFileSync(big, noise(12 * MIB, 1));
      const before = statSync(big, { bigint: true }).mtimeNs;
      const words = ["mirror", "--yes", "--json", "--bwlimit=16M", `${source}/`, `${target}/`];
      const running = startFastsync(words, how);
      const begunMs = performance.now();
      await until(
        () => existsSync(target) && (temporaryBytes(target) > MIB || performance.now() - begunMs > 450),
        "the reading",
      );
      const content = noise(12 * MIB, 2);
      writeFileSync(big, content, { flag: "r+" });
      setTimes(Buffer.from(big), before);
      const result = await running.result;
      expect(describeResult(result)).toStartWith("exit 0");
      expect(readFileSync(join(target, "big")).equals(content)).toBe(true);
      assertSameTrees(source, target);
    },
  );

  test.each(BACKENDS)("a file that a server leases to a client is waited for, not left out: %s", async (_, how) => {
    using dir = quickDir();
    using programs = tempDir();
    const lease = programs.join("lease");
    const built = spawnSync("cc", [
      "-O2",
      "-Wall",
      "-Wextra",
      "-Werror",
      join(import.meta.dir, "support/lease.c"),
      "-o",
      lease,
    ]);
    if (built.status !== 0) throw new Error(String(built.stderr));
    const { source, target } = pair(dir);
    for (const name of ["a", "leased", "z"]) writeFileSync(join(source, name), noise(10_000, name.length));
    const holder = Bun.spawn([lease, join(source, "leased"), "1500"], { stdout: "pipe", stderr: "inherit" });
    try {
      const { value } = await holder.stdout.getReader().read();
      expect(Buffer.from(value ?? []).toString()).toBe("ready\n");
      const result = await fastsyncJson(["mirror", "--yes", `${source}/`, `${target}/`], how);
      expect(describeResult(result)).toStartWith("exit 0");
      assertSameTrees(source, target);
      // It was asked for its lease, kept it for a while and gave it up.
      expect(await holder.exited).toBe(0);
    } finally {
      holder.kill("SIGKILL");
      await holder.exited;
    }
  });
});
