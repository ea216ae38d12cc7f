/** Progress is the same wherever the sides are: what has landed of a file counts before the file is whole. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { truncateSync, writeFileSync } from "node:fs";
import { jsonLines } from "../cli/processes.ts";
import { startFastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { startDaemon, type TestDaemon } from "./support/daemon.ts";

const BYTES = 12 << 20;

const dir = tempDir();
let daemon: TestDaemon;
let other: TestDaemon;
beforeAll(async () => {
  writeFileSync(dir.join("big"), "");
  truncateSync(dir.join("big"), BYTES);
  daemon = await startDaemon({ path: dir.path });
  other = await startDaemon({ path: dir.path, delegation: 'enabled = true\nallow = ["127.0.0.1"]' });
});
afterAll(async () => {
  for (const one of [daemon, other]) await one[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

describe("B283 bytes of a file that is under way are told", () => {
  test.concurrent.each([
    ["on one machine", () => [dir.join("big"), dir.join("local")]],
    ["to a daemon", () => [dir.join("big"), daemon.place("pushed")]],
    ["from a daemon", () => [daemon.place("big"), dir.join("pulled")]],
    ["from a daemon to another", () => [daemon.place("big"), other.place("delegated")]],
  ] as const)("%s", async (_, places) => {
    const slow = ["--no-sparse", "--bwlimit=4M", "--json"];
    const { stdout, exitCode } = await startFastsync(["copy", ...slow, ...places()]).result;
    expect(exitCode).toBe(0);
    const told = jsonLines(stdout).filter(({ type }) => type === "progress");
    const underWay = told.filter(
      (line) => line["files_transferred"] === 0 && Number(line["bytes_done"]) > 0 && Number(line["bytes_done"]) < BYTES,
    );
    expect(underWay.length).toBeGreaterThan(0);
    expect(underWay.at(-1)!["bytes_per_second"]).toBeGreaterThan(0);
  });
});
