/** bin/fastsync.mjs under Node and under Bun, and src/main.ts itself. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { overviewHelp, shortUsage } from "../../src/cli/text/help.ts";
import { cleanEnv, jsonLines, run } from "./processes.ts";

const PROJECT = join(import.meta.dir, "../..");
const NODE = Bun.which("node");

/** A project of the same shape, whose program is the fake one; as npm would install it. */
const home = mkdtempSync(join(tmpdir(), "fastsync-launcher-"));
afterAll(() => rmSync(home, { recursive: true }));
beforeAll(() => {
  mkdirSync(join(home, "src"));
  mkdirSync(join(home, "node_modules", "bun", "bin"), { recursive: true });
  copyLauncher(home);
  writeFileSync(join(home, "src", "main.ts"), `import ${JSON.stringify(join(import.meta.dir, "fake-main.ts"))};\n`);
  writeFileSync(join(home, "node_modules", "bun", "package.json"), '{"name":"bun","version":"0.0.0"}');
  symlinkSync(process.execPath, join(home, "node_modules", "bun", "bin", "bun.exe"));
  mkdirSync(join(home, "node_modules", ".bin"));
  symlinkSync("../../bin/fastsync.mjs", join(home, "node_modules", ".bin", "fastsync"));
});

function copyLauncher(to: string): void {
  for (const file of ["bin/fastsync.mjs", "scripts/find-bun.mjs"]) cpSync(join(PROJECT, file), join(to, file));
}

async function launch(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: cleanEnv(env) });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

describe("the real program", () => {
  test("answers help and usage errors", async () => {
    expect(await run(["help"], { main: "real" })).toEqual({ code: 0, out: overviewHelp(), err: "" });
    expect(await run([], { main: "real" })).toEqual({ code: 1, out: "", err: shortUsage() });
    expect((await run(["copy", "--chekcsum", "A", "B"], { main: "real" })).err).toContain("did you mean --checksum?");
  });
});

describe.each([
  ["node", NODE],
  ["bun", process.execPath],
])("the launcher under %s", (_, runtime) => {
  const program = join(home, "bin", "fastsync.mjs");
  test.skipIf(runtime === null)("passes words, output and exit codes on", async () => {
    const words = ["mirror", "--json", "a b/", "--", "-x"];
    const { code, out } = await launch([runtime!, program, ...words], { FAKE_STORY: "failing" });
    expect(code).toBe(23);
    const lines = jsonLines(out);
    expect(lines[0]!["sources"]).toEqual([{ path: "a b/", kind: "contents" }]);
    expect(lines.at(-1)!["type"]).toBe("summary");
    expect((await launch([runtime!, program])).code).toBe(1);
  });
  test.skipIf(runtime === null)("works through the link in node_modules/.bin", async () => {
    const { code, out } = await launch([runtime!, join(home, "node_modules", ".bin", "fastsync"), "help"]);
    expect({ code, out }).toEqual({ code: 0, out: overviewHelp() });
  });
  test.skipIf(runtime === null)("passes signals on", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const child = Bun.spawn([runtime!, program, "mirror", "--json", "A/", "B"], {
        stdout: "pipe",
        stderr: "ignore",
        env: cleanEnv({ FAKE_STORY: "endless" }),
      });
      const reader = child.stdout.getReader();
      let out = new TextDecoder().decode((await reader.read()).value);
      child.kill(signal);
      while (true) {
        const { value, done } = await reader.read();
        if (done) break;
        out += new TextDecoder().decode(value);
      }
      expect(await child.exited).toBe(20);
      expect(jsonLines(out).at(-1)).toMatchObject({ type: "summary", message: "interrupted" });
    }
  });
});

describe.skipIf(NODE === null)("the launcher under node", () => {
  test("prefers the compiled binary", async () => {
    mkdirSync(join(home, "dist"));
    writeFileSync(join(home, "dist", "fastsync"), '#!/bin/sh\necho compiled "$@"\nexit 24\n', { mode: 0o755 });
    expect(await launch([NODE!, join(home, "bin", "fastsync.mjs"), "copy", "a b"])).toEqual({
      code: 24,
      out: "compiled copy a b\n",
      err: "",
    });
    rmSync(join(home, "dist"), { recursive: true });
  });
  test("says what is missing without Bun", async () => {
    const bare = join(home, "bare");
    copyLauncher(bare);
    rmSync(join(home, "node_modules", "bun"), { recursive: true });
    const { code, err } = await launch([NODE!, join(bare, "bin", "fastsync.mjs"), "help"], { PATH: "/nowhere" });
    expect(err).toStartWith("fastsync: Bun is missing.");
    expect(code).toBe(5);
  });
});
