/** Modules beside those of rsync's daemon. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { because } from "../behaviours/behaviour.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { freePort } from "../network/support/ports.ts";
import { fastsync, describe as shown, start } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { referenceMissing, run } from "./beside.ts";

/** rsync's daemon with these modules; ends with the scope. */
async function rsyncDaemon(dir: TempDir, modules: string): Promise<{ port: number } & AsyncDisposable> {
  const port = await freePort();
  const config = dir.join("rsyncd.conf");
  writeFileSync(config, `use chroot = no\nlog file = ${dir.join("rsyncd.log")}\nuid = root\ngid = root\n${modules}`);
  const words = ["rsync", "--daemon", "--no-detach", `--config=${config}`, `--port=${port}`, "--address=127.0.0.1"];
  const child = Bun.spawn(words, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  const answers = async (): Promise<boolean> =>
    (await start(["rsync", `rsync://127.0.0.1:${port}/`]).result).exitCode === 0;
  for (let tries = 0; !(await answers()); tries++) {
    if (tries > 100) {
      await dispose();
      throw new Error("rsync's daemon did not start");
    }
    await Bun.sleep(50);
  }
  return { port, [Symbol.asyncDispose]: dispose };
}

describe.skipIf(referenceMissing !== undefined)(because("modules beside rsync", referenceMissing), () => {
  test("B64 rsync agrees: read-only takes nothing, write-only gives nothing, unlisted serves who knows its name", async () => {
    using dir = tempDir();
    for (const name of ["served", "back", "tree"]) mkdirSync(dir.join(name));
    for (const at of ["served/there", "tree/new"]) writeFileSync(dir.join(at), "x");
    const served = dir.join("served");
    await using theirs = await rsyncDaemon(
      dir,
      `[ro]\npath = ${served}\nread only = yes\n[wo]\npath = ${served}\nread only = no\nwrite only = yes\n[hidden]\npath = ${served}\nlist = no\n`,
    );
    const more = `[[module]]
name = "ro"
path = ${JSON.stringify(served)}
[[module]]
name = "wo"
path = ${JSON.stringify(served)}
read_only = false
write_only = true
[[module]]
name = "hidden"
path = ${JSON.stringify(served)}
list = false`;
    await using ours = await startDaemon({ path: served, module: more });
    const at = (module: string): [string, string] => [
      `127.0.0.1:${ours.port}:/${module}/`,
      `rsync://127.0.0.1:${theirs.port}/${module}/`,
    ];
    const back = `${dir.join("back")}/`;
    const tree = `${dir.join("tree")}/`;
    const ends = async (one: readonly string[], other: readonly string[]): Promise<boolean[]> => [
      (await fastsync(one)).exitCode === 0,
      (await start(["rsync", ...other]).result).exitCode === 0,
    ];
    for (const verb of ["copy", "move"]) {
      const [mine, other] = at("ro");
      const flags = verb === "move" ? ["--remove-source-files"] : [];
      expect([verb, ...(await ends([verb, "--yes", tree, mine], ["-a", ...flags, tree, other]))]).toEqual([
        verb,
        false,
        false,
      ]);
    }
    expect(await ends(["mirror", "--yes", tree, at("ro")[0]], ["-a", "--delete", tree, at("ro")[1]])).toEqual([
      false,
      false,
    ]);
    expect(await ends(["copy", at("wo")[0], back], ["-a", at("wo")[1], back])).toEqual([false, false]);
    expect(readdirSync(served)).toEqual(["there"]);
    expect(readdirSync(dir.join("back"))).toEqual([]);
    expect(await ends(["copy", at("hidden")[0], back], ["-a", at("hidden")[1], back])).toEqual([true, true]);
    expect(readFileSync(dir.join("back/there"), "utf8")).toBe("x");
    expect((await start(["rsync", `rsync://127.0.0.1:${theirs.port}/`]).result).stdout).not.toContain("hidden");
  });

  test("B70 rsync agrees: a module may be /", async () => {
    using dir = tempDir();
    for (const name of ["served", "ours", "theirs"]) mkdirSync(dir.join(name));
    writeFileSync(dir.join("served/file"), "x");
    await using theirs = await rsyncDaemon(dir, "[all]\npath = /\nread only = yes\n");
    await using ours = await startDaemon({ path: "/" });
    const mine = await fastsync(["copy", ours.place(`${dir.join("served").slice(1)}/`), `${dir.join("ours")}/`]);
    expect(shown(mine)).toStartWith("exit 0");
    await run("theirs", ["-a", `rsync://127.0.0.1:${theirs.port}/all${dir.join("served")}/`, `${dir.join("theirs")}/`]);
    for (const who of ["ours", "theirs"]) expect(readFileSync(dir.join(`${who}/file`), "utf8")).toBe("x");
  });
});
