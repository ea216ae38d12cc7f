/** The compiled program starts itself once more with settings of its engine; everywhere else the tests give it those. */
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { TUNED_SETTINGS } from "../../src/tuned-restart.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { assertSameTrees } from "../support/diff.ts";
import { fastsync, fastsyncCommand, describe as shown } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

const without = Object.fromEntries(Object.keys(TUNED_SETTINGS).map((name) => [name, undefined]));
const isSource = fastsyncCommand().length > 1;

describe.skipIf(isSource)(`the second start${isSource ? " (FASTSYNC_BIN is no compiled program)" : ""}`, () => {
  test("has the settings, the words, and the process that was started", async () => {
    using scratch = tempDir();
    await using daemon = await startDaemon({ path: scratch.path, env: without });
    const environment = readFileSync(`/proc/${daemon.pid}/environ`, "utf8").split("\0");
    for (const [name, value] of Object.entries(TUNED_SETTINGS)) expect(environment).toContain(`${name}=${value}`);
  });

  test("copies what it was asked for, names of any bytes among it, and ends as a process does", async () => {
    using scratch = tempDir();
    const source = scratch.join("source");
    await Bun.write(`${source}/a b`, "text");
    const named = Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff])]);
    writeFileSync(named, "bytes");
    for (const [word, name] of [
      [Buffer.from(`${source}/a b`), "space"],
      [named, "bytes"],
      [Buffer.from(`${source}/`), "tree"],
    ] as const) {
      const result = await fastsync(["copy", word, scratch.join(name)], { env: without });
      expect(shown(result)).toStartWith("exit 0");
    }
    assertSameTrees(source, scratch.join("tree"));
    expect((await fastsync(["copy", scratch.join("none"), scratch.join("x")], { env: without })).exitCode).toBe(3);
  });

  const noStrace = Bun.which("strace") === null;
  test.skipIf(noStrace)("where the kernel refuses it the run goes on, and nothing is said (needs strace)", async () => {
    using scratch = tempDir();
    writeFileSync(scratch.join("a"), "text");
    const log = scratch.join("strace");
    const injected = ["-e", "trace=execve", "-e", "inject=execve:error=ENOSYS:when=1"];
    const prefix = ["strace", "-f", "-qq", ...injected, "-o", log];
    const { exitCode, stderr } = await fastsync(["copy", scratch.join("a"), scratch.join("b")], {
      env: without,
      prefix,
    });
    expect([exitCode, stderr]).toEqual([0, ""]);
    expect(readFileSync(log, "utf8")).toContain("(INJECTED)");
    expect(readFileSync(scratch.join("b"), "utf8")).toBe("text");
  });

  test("is left out where somebody handed a descriptor over", async () => {
    using scratch = tempDir();
    writeFileSync(scratch.join("a"), "text");
    const words = ["copy", "--files-from", "/dev/fd/7", `${scratch.path}/`, scratch.join("to/")];
    const prefix = ["bash", "-c", `exec "$@" 7< <(echo a)`, "bash"];
    expect(shown(await fastsync(words, { env: without, prefix }))).toStartWith("exit 0");
    expect(readFileSync(scratch.join("to/a"), "utf8")).toBe("text");
  });
});
