/** The units as systemd reads them: a key that it does not know would be a protection that is not there. */
import { afterAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { start } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

const UNITS = resolve(import.meta.dir, "../../packaging/systemd");
const scratch = tempDir();
afterAll(() => scratch[Symbol.dispose]());

const missing = Bun.which("systemd-analyze") === null ? "systemd-analyze is not installed" : undefined;

async function verify(change: (text: string) => string) {
  const paths = ["fastsyncd.service", "fastsyncd.socket"].map((name) => {
    const path = scratch.join(name);
    // The program need not be installed where the unit will find it.
    const text = readFileSync(resolve(UNITS, name), "utf8").replace("/usr/bin/fastsyncd", process.execPath);
    writeFileSync(path, name.endsWith(".service") ? change(text) : text);
    return path;
  });
  return await start(["systemd-analyze", "verify", "--man=no", ...paths]).result;
}

test.skipIf(missing !== undefined)("systemd-analyze finds nothing to say", async () => {
  const { exitCode, stdout, stderr } = await verify((text) => text);
  expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
});

test.skipIf(missing !== undefined)("and would: a key that it does not know", async () => {
  const { stderr } = await verify((text) => text.replace("NoNewPrivileges=", "NoNewPriviliges="));
  expect(stderr).toContain("NoNewPriviliges");
});
