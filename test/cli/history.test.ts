/** The history of runs: what is noted, what is not, and that nothing about it can harm a run. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { MIGRATIONS } from "../../src/history/migrations.ts";
import { PhaseClock } from "../../src/history/phase-clock.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { fastsync, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { jsonLines } from "./processes.ts";

let dir: TempDir;
let env: Record<string, string>;
beforeEach(() => {
  dir = tempDir();
  mkdirSync(dir.join("source"));
  writeFileSync(dir.join("source/secret-name"), "text");
  env = { XDG_STATE_HOME: dir.join("state") };
});
afterEach(() => dir[Symbol.dispose]());

const file = (): string => dir.join("state/fastsync/history.sqlite");
const run = (...words: string[]) => fastsync(words, { env, cwd: dir.path });
const copy = async (target: string, ...flags: string[]) => {
  const result = await run("copy", ...flags, "source/", target);
  expect(shown(result)).toStartWith("exit 0");
  return result;
};
async function noted(): Promise<Record<string, unknown>[]> {
  const { exitCode, stdout } = await run("profile", "--json");
  expect(exitCode).toBe(0);
  return jsonLines(stdout);
}
const runsNoted = async (): Promise<number> => (await noted()).filter(({ type }) => type === "profile_run").length;

describe("what is noted", () => {
  test("how much, how fast and by what means; no name, and for nobody else's eyes", async () => {
    await copy("target-name");
    const [one, end] = await noted();
    expect(one).toMatchObject({
      schema: 1,
      type: "profile_run",
      verb: "copy",
      source: "local",
      target: "local",
      files: 1,
      bytes: 4,
      entries: 1,
      plan: { direct: 1 },
      methods: { read_write: 1 },
    });
    expect(Object.keys(one!["phases"] as object)).toContain("copying");
    expect(end).toMatchObject({ type: "profile", enabled: true, runs: 1, path: file() });
    const bytes = readFileSync(file(), "latin1");
    for (const name of ["secret-name", "target-name", dir.path]) expect(bytes).not.toContain(name);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(dir.join("state/fastsync")).mode & 0o777).toBe(0o700);
    expect(readdirSync(dir.join("state/fastsync"))).toEqual(["history.sqlite"]);
    const text = (await run("profile")).stdout;
    expect(text).toContain("History: 1 run in ");
    expect(text).toMatch(/copy +local +1 +4 B/);
  });
  test("a daemon as a word of its own, the same each time, that is not its address", async () => {
    await using daemon = await startDaemon({ path: dir.path });
    await copy(daemon.place("pushed/"));
    await copy(daemon.place("again/"));
    const [first, second] = await noted();
    expect(first).toMatchObject({ target: "daemon", carrier: "streams", round_trip_ms: expect.any(Number) });
    expect(first!["peer"]).toMatch(/^[0-9a-f]{16}$/);
    expect(second!["peer"]).toBe(first!["peer"]);
    expect(readFileSync(file(), "latin1")).not.toContain("127.0.0.1");
  });
  test("no dry run, no check, no run that failed or found nothing to do, none with --no-history", async () => {
    await copy("target", "--dry-run");
    await run("check", "source/", "target");
    await run("copy", "gone", "target");
    await copy("target", "--no-history");
    await copy("target");
    expect(existsSync(file())).toBe(false);
    env["FASTSYNC_HISTORY"] = "0";
    await copy("other");
    expect(existsSync(file())).toBe(false);
  });
  test("two that end at once are both noted", async () => {
    await Promise.all(Array.from({ length: 6 }, (_, i) => copy(`target${i}`)));
    expect(await runsNoted()).toBe(6);
  });
});

describe("enable, disable, clear", () => {
  test("do what they say, and say what they did", async () => {
    expect((await run("profile")).stdout).toBe(`History: 0 runs in ${file()}\n`);
    await copy("one");
    expect((await run("profile", "disable")).stdout).toContain("not noted any more");
    await copy("two");
    expect(await runsNoted()).toBe(1);
    expect((await run("profile")).stdout).toContain("fastsync profile enable");
    expect((await run("profile", "enable")).exitCode).toBe(0);
    await copy("three");
    expect(await runsNoted()).toBe(2);
    expect((await run("profile", "clear")).stdout).toBe("Forgot 2 runs.\n");
    expect(await noted()).toEqual([expect.objectContaining({ type: "profile", runs: 0 })]);
    const { exitCode, stderr } = await run("profile", "forget");
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("profile knows show, enable, disable and clear")]);
  });
});

test("enable and disable say when nothing can be written", async () => {
  writeFileSync(dir.join("no-directory"), "");
  const nowhere = { ...env, XDG_STATE_HOME: dir.join("no-directory") };
  for (const what of ["enable", "disable"]) {
    const { exitCode, stdout, stderr } = await fastsync(["profile", what], { env: nowhere });
    expect([what, exitCode, stdout]).toEqual([what, 11, ""]);
    expect(stderr).toContain("no-directory");
  }
});

test("a home that is not there is not made: an account of a service has one by name only", async () => {
  const homeless = { ...env, XDG_STATE_HOME: "", HOME: dir.join("no-home") };
  expect((await fastsync(["copy", "source/", "target"], { env: homeless, cwd: dir.path })).exitCode).toBe(0);
  expect((await fastsync(["copy", "gone/", "target"], { env: homeless, cwd: dir.path })).exitCode).toBe(3);
  expect(existsSync(dir.join("no-home"))).toBe(false);
});

describe("what stands in its way", () => {
  const why = async (): Promise<string> => {
    const result = await fastsync(["copy", "source/", `t${Math.random()}`], {
      env: { ...env, FASTSYNC_DEBUG: "1" },
      cwd: dir.path,
    });
    expect(result.exitCode).toBe(0);
    return result.stderr;
  };
  test("a broken file is put aside, and begun anew", async () => {
    mkdirSync(dir.join("state/fastsync"), { recursive: true, mode: 0o700 });
    writeFileSync(file(), "no database ".repeat(1000), { mode: 0o600 });
    const shown = await run("profile");
    expect([shown.exitCode, shown.stdout]).toEqual([0, expect.stringContaining("It cannot be read")]);
    expect((await copy("one")).stderr).toBe("");
    expect(readdirSync(dir.join("state/fastsync"))).toEqual(["history.sqlite.broken"]);
    await copy("two");
    expect(await runsNoted()).toBe(1);
  });
  test("a later version's file is left as it is", async () => {
    await copy("one");
    const db = new Database(file());
    db.run(`PRAGMA user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    expect(await why()).toContain("was written by a later version");
    expect(existsSync(`${file()}.broken`)).toBe(false);
  });
  test("an earlier version's file is read, and brought up to date by the next run", async () => {
    mkdirSync(dir.join("state/fastsync"), { recursive: true, mode: 0o700 });
    const db = new Database(file(), { create: true });
    db.run(MIGRATIONS[0]!);
    db.run("PRAGMA user_version = 1");
    db.run(
      `INSERT INTO runs VALUES (1, 1700000000000, '0.0.9', 'mirror', 'local', 'local', 1000, 5, 4, 4000, 4000, 0,
       0, 0, 0, 4, '{"clone":4}', '{}', 'native', 2, NULL, NULL)`,
    );
    db.close();
    expect(await noted()).toMatchObject([{ verb: "mirror", files: 4, methods: { clone: 4 } }, { runs: 1 }]);
    await copy("one");
    expect((await noted()).map(({ verb }) => verb)).toEqual(["mirror", "copy", undefined]);
  });
  test("a place that is not the user's own: a link, a directory that others may write to, a file in the way", async () => {
    mkdirSync(dir.join("elsewhere"));
    mkdirSync(dir.join("state"));
    symlinkSync(dir.join("elsewhere"), dir.join("state/fastsync"));
    expect(await why()).toContain("is not a directory that only you may write to");
    rmSync(dir.join("state/fastsync"));
    mkdirSync(dir.join("state/fastsync"));
    chmodSync(dir.join("state/fastsync"), 0o777);
    expect(await why()).toContain("only you may write to");
    chmodSync(dir.join("state/fastsync"), 0o700);
    symlinkSync(dir.join("elsewhere/file"), file());
    expect(await why()).toContain("ELOOP");
    rmSync(dir.join("state"), { recursive: true });
    writeFileSync(dir.join("state"), "");
    expect(await why()).toContain("not noted in the history");
    expect(readdirSync(dir.join("elsewhere"))).toEqual([]);
  });
  test("another run that holds it: this one ends without having noted", async () => {
    await copy("one");
    const db = new Database(file());
    db.run("BEGIN EXCLUSIVE");
    expect(await why()).toContain("database is locked");
    db.run("ROLLBACK");
    db.close();
    expect(await runsNoted()).toBe(1);
  });
});

test("phases add up, and may come again", () => {
  const clock = new PhaseClock("scanning", 0);
  clock.enter("copying", 10);
  clock.enter("deleting", 30.4);
  clock.enter("copying", 31);
  expect(clock.end(40)).toEqual({ scanning: 10, copying: 29, deleting: 1 });
});
