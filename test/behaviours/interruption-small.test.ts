/** A run of many small files is stopped at any moment: what has a final name is whole, and the next run finishes. */
import { expect, setDefaultTimeout } from "bun:test";
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { describe as describeResult, type ProcessResult, startFastsync } from "../support/run.ts";
import { noise } from "../support/tree.ts";
import { because, behavioursMissing, mirror } from "./behaviour.ts";
import { quickDir, temporariesIn, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const DIRECTORIES = 24;
const FILES = 40;
const BYTES = 8192;

/** Half of the directories exist in the target already, with older files. */
const OLD_DIRECTORIES = DIRECTORIES / 2;

function nameOf(directory: number, file: number): string {
  return join(`d${String(directory).padStart(2, "0")}`, `f${String(file).padStart(2, "0")}`);
}

function contentOf(directory: number, file: number, version: number): Uint8Array {
  return noise(BYTES, 1 + version + 2 * (file + FILES * directory));
}

function build(root: string, directories: number, version: number): void {
  for (let d = 0; d < directories; d++) {
    mkdirSync(join(root, nameOf(d, 0), ".."), { recursive: true });
    for (let f = 0; f < FILES; f++) writeFileSync(join(root, nameOf(d, f)), contentOf(d, f, version));
  }
}

/** How many files have the new content; throws when one has neither the new nor the old. */
function newFilesIn(target: string): number {
  let fresh = 0;
  for (let d = 0; d < DIRECTORIES; d++) {
    for (let f = 0; f < FILES; f++) {
      const bytes = readMaybe(join(target, nameOf(d, f)));
      if (bytes === undefined) {
        if (d < OLD_DIRECTORIES) throw new Error(`${nameOf(d, f)} was there and is gone`);
      } else if (bytes.equals(contentOf(d, f, 1))) fresh++;
      else if (d >= OLD_DIRECTORIES || !bytes.equals(contentOf(d, f, 0))) throw new Error(`${nameOf(d, f)} is partial`);
    }
  }
  return fresh;
}

function readMaybe(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

function inodesIn(target: string): (bigint | undefined)[] {
  return Array.from({ length: DIRECTORIES * FILES }, (_, i) =>
    inodeOf(join(target, nameOf(Math.floor(i / FILES), i % FILES))),
  );
}

function inodeOf(path: string): bigint | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

/** The end that the signal asks for, or a run that was over before it came. */
function expectEnd(result: ProcessResult, signal: NodeJS.Signals): void {
  if (result.exitCode === 0) return;
  if (signal === "SIGKILL") {
    expect(result.signal).toBe("SIGKILL");
    return;
  }
  if (result.exitCode !== 20) throw new Error(`expected exit 20\n${describeResult(result)}`);
  const summaries = result.stdout.split("\n").filter((line) => line.includes('"type":"summary"'));
  expect(summaries.map((line) => JSON.parse(line))).toMatchObject([{ exit_code: 20, exit_reason: "interrupted" }]);
}

describe.skipIf(behavioursMissing !== undefined)(because("B49 small files", behavioursMissing), () => {
  test.each([
    ["SIGINT", "the chosen backend"],
    ["SIGTERM", "the chosen backend"],
    ["SIGKILL", "the chosen backend"],
    ["SIGTERM", "the portable twin"],
    ["SIGKILL", "the portable twin"],
  ] as const)(
    "B49 %s at any moment leaves whole files, the next run finishes and cleans up: %s",
    async (signal, backend) => {
      const env = backend === "the portable twin" ? { FASTSYNC_NATIVE: "off" } : {};
      using dir = quickDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      build(source, DIRECTORIES, 1);
      build(target, OLD_DIRECTORIES, 0);
      let interrupted = 0;
      for (const delayMs of [0, 40 + (performance.now() % 40), 120 + (performance.now() % 150)]) {
        if (newFilesIn(target) === DIRECTORIES * FILES) break; // an earlier run was over before its signal came
        const before = inodesIn(target);
        let isOver = false;
        const running = startFastsync(["mirror", "--yes", "--json", "--bwlimit", "8M", `${source}/`, `${target}/`], {
          env,
        });
        void running.result.then(() => {
          isOver = true;
        });
        await until(() => isOver || inodesIn(target).some((ino, i) => ino !== before[i]), "the first file");
        await Bun.sleep(delayMs);
        running.kill(signal);
        const result = await running.result;
        expectEnd(result, signal);
        const fresh = newFilesIn(target);
        expect(fresh).toBeGreaterThan(0);
        if (fresh < DIRECTORIES * FILES) interrupted++;
        if (signal !== "SIGKILL") expect(temporariesIn(target)).toEqual([]);
      }
      expect(interrupted).toBeGreaterThan(0);
      const { summary } = await mirror(source, target, [], { env });
      assertSameTrees(source, target);
      expect(temporariesIn(target)).toEqual([]);
      expect(summary["files_transferred"]).toBeLessThan(DIRECTORIES * FILES);
    },
  );
});
