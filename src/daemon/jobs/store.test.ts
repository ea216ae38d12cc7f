/** The history of jobs as a file: what was written is there again, and whatever is wrong with the file is a sentence. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newCounters } from "../../core/events.ts";
import type { KeptJob } from "./registry.ts";
import { JOB_STEPS, JOBS_FILE, openJobStore } from "./store.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "fastsync-jobs-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const file = (): string => join(directory, JOBS_FILE);

function job(id: string, more: Partial<KeptJob> = {}): KeptJob {
  return {
    id,
    owner: "address 10.0.0.5",
    peer: "10.0.0.5",
    module: "backup",
    path: Uint8Array.of(0x61, 0xff, 0x62),
    role: "target",
    verb: "mirror",
    dryRun: false,
    explains: undefined,
    other: undefined,
    startedMs: 1_700_000_000_123,
    endedMs: 1_700_000_001_123,
    state: "ended",
    counters: { ...newCounters(), phase: "deleting", filesTransferred: 7, failed: 1 },
    bytes: 2 ** 45,
    end: { exitCode: 23, exitReason: "partial", message: "1 failed" },
    ...more,
  };
}

async function opened() {
  const { store, warnings } = await openJobStore(directory);
  expect(warnings).toEqual([]);
  return store!;
}

test("what was saved is there after it was closed, in the order in which it came", async () => {
  const running = job("00000000000a", {
    ...{ state: "running", endedMs: undefined, end: undefined, module: undefined, owner: undefined },
    ...{ role: "source", other: "nas:9040", dryRun: true, explains: "any" },
  });
  const ended = job("00000000000b");
  const first = await opened();
  for (const one of [running, ended, job("00000000000c")]) first.save(one);
  const grown = { ...running, bytes: 5 };
  first.save(grown);
  first.remove(["00000000000c"]);
  first.close();
  const second = await opened();
  expect(second.earlier).toEqual([grown, ended]);
  second.close();
});

test("the file is for its owner only", async () => {
  const store = await opened();
  store.save(job("00000000000a"));
  for (const name of [JOBS_FILE, `${JOBS_FILE}-wal`])
    expect([name, statSync(join(directory, name)).mode & 0o777]).toEqual([name, 0o600]);
  store.close();
});

test("a directory that is not there is made, and what cannot be made is told", async () => {
  directory = join(directory, "state/fastsync");
  (await opened()).close();
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  writeFileSync(join(directory, "plain"), "");
  const { store, warnings } = await openJobStore(join(directory, "plain/below"));
  expect(store).toBeUndefined();
  expect(warnings.join()).toContain("kept in memory only");
  rmSync(join(directory, "../.."), { recursive: true, force: true });
});

test("a link in its place is not followed, and a directory of everybody not used", async () => {
  writeFileSync(join(directory, "elsewhere"), "kept");
  symlinkSync("elsewhere", file());
  const linked = await openJobStore(directory);
  expect(linked.store).toBeUndefined();
  expect(readFileSync(join(directory, "elsewhere"), "utf8")).toBe("kept");
  rmSync(file());
  chmodSync(directory, 0o777);
  const open = await openJobStore(directory);
  expect(open.store).toBeUndefined();
  expect(open.warnings.join()).toContain("is not a directory that only you may write to");
});

test.skipIf(process.geteuid?.() !== 0)(
  "what is somebody else's is not used, nor is anything made in it (root only)",
  async () => {
    chownSync(directory, 65_534, 65_534);
    for (const path of [directory, join(directory, "state/fastsync")]) {
      const { store, warnings } = await openJobStore(path);
      expect(store).toBeUndefined();
      expect(warnings.join()).toContain("is not yours to make");
    }
    expect(readdirSync(directory)).toEqual([]);
  },
);

test("two do not have it at the same time", async () => {
  const first = await opened();
  const { store, warnings } = await openJobStore(directory);
  expect(store).toBeUndefined();
  expect(warnings.join()).toContain("another daemon has it; give each its own state_directory");
  first.save(job("00000000000a"));
  first.close();
  const third = await opened();
  expect(third.earlier).toHaveLength(1);
  third.close();
});

test.each([
  ["no database", () => writeFileSync(file(), "this is no database, whatever its name says".repeat(100))],
  [
    "a job that makes no sense",
    () => {
      const database = new Database(file());
      database.run("UPDATE jobs SET role = 'third'");
      database.close();
    },
  ],
  [
    "pages that were overwritten",
    () => {
      const bytes = readFileSync(file());
      bytes.fill(0xa5, 4096);
      writeFileSync(file(), bytes);
    },
  ],
])("%s: it is set aside, and a new one begins", async (_, damage) => {
  const store = await opened();
  store.save(job("00000000000a"));
  store.close();
  damage();
  const again = await openJobStore(directory);
  expect(again.warnings.join()).toContain(`it was set aside as ${file()}.damaged`);
  expect(again.store!.earlier).toEqual([]);
  again.store!.save(job("00000000000b"));
  again.store!.close();
  expect(existsSync(`${file()}.damaged`)).toBe(true);
  const last = await opened();
  expect(last.earlier).toHaveLength(1);
  last.close();
});

test("the jobs of a file of the first version are there, and explain nothing", async () => {
  const { explains: _, ...first } = job("00000000000a");
  const database = new Database(file(), { create: true });
  database.run(JOB_STEPS[0]!);
  database.run(
    `INSERT INTO jobs (id, owner, peer, module, path, role, verb, dry_run, started_ms, ended_ms, state, bytes, counters,
       exit_code, exit_reason, message) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      ...[first.id, first.owner!, first.peer, first.module!, first.path, first.role, first.verb, first.startedMs],
      ...[first.endedMs!, first.state, first.bytes, JSON.stringify(first.counters)],
      ...[first.end!.exitCode, first.end!.exitReason, first.end!.message!],
    ],
  );
  database.run("PRAGMA user_version = 1");
  database.close();
  const store = await opened();
  expect(store.earlier).toEqual([job("00000000000a")]);
  const explaining = job("00000000000b", { dryRun: true, explains: "move" });
  store.save(explaining);
  store.close();
  const again = await opened();
  expect(again.earlier[1]).toEqual(explaining);
  again.close();
});

test("a file of an earlier version is brought up to date, one of a later version is left alone", async () => {
  const first = await opened();
  first.save(job("00000000000a"));
  first.close();
  const versions = (): unknown => {
    const database = new Database(file());
    const version = database.query("PRAGMA user_version").get();
    database.close();
    return version;
  };
  expect(versions()).toEqual({ user_version: 2 });
  const done = JOB_STEPS.map(() => "never run again");
  const later = await openJobStore(directory, [...done, "ALTER TABLE jobs ADD COLUMN more TEXT"]);
  expect(later.store!.earlier).toHaveLength(1);
  later.store!.close();
  expect(versions()).toEqual({ user_version: 3 });
  const { store, warnings } = await openJobStore(directory);
  expect(store).toBeUndefined();
  expect(warnings.join()).toContain("a later fastsync wrote it (version 3, and 2 is known here)");
  expect(versions()).toEqual({ user_version: 3 });
  expect(existsSync(`${file()}.damaged`)).toBe(false);
});
