/** Which method moves a file: where the kernel's are worth their calls, and what does not turn them off. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { isNativeOff } from "../../src/fs/native-switch.ts";
import { fastsyncJson } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const KIB = 1024;
/** Split, so that it goes by ranges. */
const LARGE = 49 * KIB * KIB;

let dir: TempDir;
let count = 0;
beforeAll(() => {
  dir = tempDir();
  for (const [name, bytes] of [
    ["below", 64 * KIB - 1],
    ["small", 64 * KIB],
    ["large", LARGE],
  ] as const)
    writeFileSync(dir.join(name), randomBytes(bytes));
});
afterAll(() => dir[Symbol.dispose]());

async function methodsOf(name: string, ...flags: string[]): Promise<string[]> {
  const target = dir.join(`target${count++}`);
  const { exitCode, summary } = await fastsyncJson(["copy", ...flags, dir.join(name), `${target}/`]);
  expect(exitCode).toBe(0);
  expect(readFileSync(`${target}/${name}`).equals(readFileSync(dir.join(name)))).toBe(true);
  return Object.keys(summary["methods"] as object);
}

const portable = isNativeOff(process.env["FASTSYNC_NATIVE"]);
/** The portable twin knows one method. */
const native = portable ? " (skipped: FASTSYNC_NATIVE turns the native library off)" : "";

test.skipIf(portable)(`files below 64 KiB go by read and write, from there on the kernel copies${native}`, async () => {
  expect(await methodsOf("below")).toEqual(["read_write"]);
  const [method, ...others] = await methodsOf("small");
  expect(others).toEqual([]);
  expect(["clone", "copy_file_range", "sendfile"]).toContain(method!);
});

test.skipIf(portable).each([
  [["--bwlimit", "200M"], "large"],
  [["--bwlimit", "200M"], "small"],
  [["--resume"], "large"],
  [["--resume"], "small"],
  [["--verify"], "small"],
  [["--verify=readback"], "small"],
  [["--preset", "backup"], "small"],
] as const)("the kernel still copies with %j: %s", async (flags, name) => {
  expect(await methodsOf(name, ...flags)).toEqual(await methodsOf("small"));
});

test.each([
  [["--no-zero-copy"], "large"],
  [["--preset", "safe"], "small"],
  [["--copy-method", "read_write"], "small"],
] as const)("but not with %j: %s", async (flags, name) => {
  expect(await methodsOf(name, ...flags)).toEqual(["read_write"]);
});
