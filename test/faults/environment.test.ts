/** What the system does to a run: quotas, disks that fail or turn read-only, few descriptors, a clock that is set. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { because, behavioursMissing, needsRoot } from "../behaviours/behaviour.ts";
import { MIB, pair, quickDir, temporariesIn, until } from "../behaviours/moments.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, type FilesystemKind, type MountedFilesystem, mountFilesystem } from "../support/filesystems.ts";
import { PLACEMENT, type Placement, placed as placedWords, startDaemon as startServer } from "../support/placement.ts";
import { fastsyncCommand, ROOT } from "../support/program.ts";
import {
  asUserMissing,
  describe as describeResult,
  fastsync,
  fastsyncJson,
  ORDINARY_USER,
  type ProcessOptions,
  type ProcessResult,
  start,
  startFastsync,
} from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { assertDocumented } from "./support/runs.ts";
import { makeScene, modeNamed, summaryOf } from "./support/scene.ts";

setDefaultTimeout(120_000);

const placed = PLACEMENT === undefined ? undefined : "chooses placements itself";
const missing = behavioursMissing ?? placed;
const NATIVE: ProcessOptions = { env: { FASTSYNC_NATIVE: undefined } };
const PORTABLE: ProcessOptions = { env: { FASTSYNC_NATIVE: "off" } };
const BACKENDS = [
  ["native library", NATIVE],
  ["portable twin", PORTABLE],
] as const;

/** Files of the target that are neither what they were nor what they are to become. */
function strangers(source: string, target: string, old: ReadonlyMap<string, string>): string[] {
  const want = takeSnapshot(source);
  return [...takeSnapshot(target)]
    .filter(([path, { type }]) => type === "file" && !path.includes(".fastsync."))
    .filter(([path, { content }]) => content !== want.get(path)?.content && content !== old.get(path))
    .map(([path]) => path);
}

function contents(root: string): ReadonlyMap<string, string> {
  return new Map([...takeSnapshot(root)].map(([path, { content }]) => [path, content]));
}

// ---- room ------------------------------------------------------------------------------------------------------

/** The image behind a mount of `mountFilesystem`, mounted again: with its journal replayed, writable, or with other options. */
function remounted({ path }: MountedFilesystem, options = "rw"): void {
  spawnSync("umount", [path]);
  const image = `/dev/shm/${basename(path)}.img`;
  const result = spawnSync("mount", ["-o", `loop,${options}`, image, path], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
}

function findTool(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin` });
}

const quotaMissing =
  missing ??
  needsRoot ??
  canMount("xfs") ??
  asUserMissing() ??
  (findTool("xfs_quota") === null ? "xfs_quota is not installed" : undefined) ??
  (existsSync("/proc/fs/xfs/xqmstat") ? undefined : "this kernel's XFS has no quotas");

describe.skipIf(quotaMissing !== undefined)(because("quotas", quotaMissing), () => {
  test.each([
    ["of a user", "uquota", (path: string) => [`limit -u bhard=8m ${ORDINARY_USER}`, path], 122],
    [
      "of a directory",
      "prjquota",
      (path: string) => [`project -s -p ${path}/target 42`, "limit -p bhard=8m 42", path],
      28,
    ],
  ] as const)("B53 a quota %s is a full target: exit 11, old files whole, nothing temporary left", async (...row) => {
    const [, option, commands, errno] = row;
    for (const [, how] of BACKENDS) {
      using dir = quickDir();
      await using mounted = await mountFilesystem("xfs", "320M");
      remounted(mounted, option);
      const { source } = pair(dir);
      const target = join(mounted.path, "target");
      for (let i = 0; i < 40; i++)
        writeFileSync(join(source, `file${String(i).padStart(2, "0")}`), noise(MIB / 2, i + 1));
      new TreeBuilder(target).file("file00", "old").file("extra", "x").finish();
      for (const path of [dir.path, source, target]) chmodSync(path, 0o777);
      for (const path of [target, join(target, "file00"), join(target, "extra")])
        chownSync(path, ORDINARY_USER, ORDINARY_USER);
      const words = commands(mounted.path);
      const xfsQuota = ["-x", ...words.slice(0, -1).flatMap((word) => ["-c", word]), words.at(-1)!];
      const limited = spawnSync(findTool("xfs_quota")!, xfsQuota, { encoding: "utf8" });
      if (limited.status !== 0) throw new Error(limited.stderr);
      const old = contents(target);
      const user = { ...how, asUser: ORDINARY_USER };
      const result = await fastsyncJson(["mirror", "--yes", `${source}/`, `${target}/`], user);
      expect(describeResult(result)).toStartWith("exit 11");
      expect(result.summary["exit_reason"]).toBe("no_space");
      const [failure] = result.summary["failures"] as { errno: number }[];
      expect(failure).toMatchObject({ errno });
      expect(strangers(source, target, old)).toEqual([]);
      expect(existsSync(join(target, "extra"))).toBe(true);
      expect(temporariesIn(target)).toEqual([]);
      spawnSync("sh", ["-c", `rm ${source}/file1* ${source}/file2* ${source}/file3*`]);
      const again = await fastsyncJson(["mirror", "--yes", "--max-delete=100%", `${source}/`, `${target}/`], user);
      expect(describeResult(again)).toStartWith("exit 0");
      assertSameTrees(source, target, { ignore: ["uid", "gid"] });
    }
  });
});

// ---- disks -----------------------------------------------------------------------------------------------------

const diskMissing = (kind: FilesystemKind) =>
  missing ?? needsRoot ?? canMount(kind) ?? (findTool("xfs_io") === null ? "xfs_io is not installed" : undefined);

/** A run that is slow enough for something to happen to it, and has written some of its files. */
async function midway(
  words: readonly string[],
  target: string,
  how: ProcessOptions,
  happens: () => void | Promise<void>,
) {
  const running = startFastsync(["mirror", "--yes", "--json", "--bwlimit=2M", ...words], how);
  await until(() => existsSync(join(target, "file03")), "the first files");
  await happens();
  return await running.result;
}

/** As ext4 does when it finds its disk in disorder, whoever has files open: ext4(5), errors=remount-ro. */
function turnReadOnly(path: string): void {
  const { stdout } = spawnSync("findmnt", ["--noheadings", "--output=SOURCE", path], { encoding: "utf8" });
  const device = basename(stdout.trim());
  writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "a test");
}

function fill(source: string, target: string): ReadonlyMap<string, string> {
  for (let i = 0; i < 30; i++) writeFileSync(join(source, `file${String(i).padStart(2, "0")}`), noise(MIB / 4, i + 1));
  const tree = new TreeBuilder(target);
  for (let i = 20; i < 30; i++) tree.file(`file${i}`, `old ${i}`);
  tree.file("extra", "x").finish();
  return contents(target);
}

describe.skipIf(diskMissing("ext4") !== undefined)(because("disks", diskMissing("ext4")), () => {
  test.each(BACKENDS)("B53 a target that turns read-only under the run ends it with 11: %s", async (_, how) => {
    using dir = quickDir();
    await using disk = await mountFilesystem("ext4", "64M", ["errors=remount-ro"]);
    const { source } = pair(dir);
    const target = join(disk.path, "target");
    const old = fill(source, target);
    spawnSync("sync", ["-f", disk.path]);
    const result = await midway([`${source}/`, `${target}/`], target, how, () => turnReadOnly(disk.path));
    expect(describeResult(result)).toStartWith("exit 11");
    expect(summaryOf(result)).toMatchObject({ exit_reason: "read_only" });
    expect(strangers(source, target, old)).toEqual([]);
    expect(existsSync(join(target, "extra"))).toBe(true);
    remounted(disk);
    const again = await fastsyncJson(["mirror", "--yes", "--checksum", `${source}/`, `${target}/`], how);
    expect(describeResult(again)).toStartWith("exit 0");
    assertSameTrees(source, target);
    expect(temporariesIn(target)).toEqual([]);
  });

  test.each(BACKENDS)(
    "B53 a disk of the target that fails under the run: it is said, and the old stands: %s",
    async (_, how) => {
      using dir = quickDir();
      await using disk = await mountFilesystem("ext4", "64M");
      const { source } = pair(dir);
      const target = join(disk.path, "target");
      const old = fill(source, target);
      spawnSync("sync", ["-f", disk.path]);
      const shutdown = () => void spawnSync(findTool("xfs_io")!, ["-x", "-c", "shutdown", disk.path]);
      const result = await midway([`${source}/`, `${target}/`], target, how, shutdown);
      assertDocumented(result);
      expect([11, 23]).toContain(result.exitCode);
      const failures = summaryOf(result)!["failures"] as unknown[];
      expect(failures.length).toBeGreaterThan(0);
      remounted(disk);
      // What was not synced may be gone, but what has its name is whole or as long as its journal says.
      const again = await fastsyncJson(["mirror", "--yes", "--checksum", `${source}/`, `${target}/`], how);
      expect(describeResult(again)).toStartWith("exit 0");
      assertSameTrees(source, target);
      expect(temporariesIn(target)).toEqual([]);
      expect(old.size).toBeGreaterThan(0);
    },
  );

  test.each(BACKENDS)("B43 a disk of the source that fails under the run: nothing is deleted: %s", async (_, how) => {
    using dir = quickDir();
    await using disk = await mountFilesystem("ext4", "64M");
    const source = join(disk.path, "source");
    mkdirSync(source);
    const target = dir.join("target");
    const old = fill(source, target);
    const want = takeSnapshot(source);
    spawnSync("sync", ["-f", disk.path]);
    const result = await midway([`${source}/`, `${target}/`], target, how, () => {
      spawnSync(findTool("xfs_io")!, ["-x", "-c", "shutdown", disk.path]);
    });
    assertDocumented(result);
    expect(result.exitCode).toBe(23);
    expect(existsSync(join(target, "extra"))).toBe(true);
    for (const [path, { type, content }] of takeSnapshot(target)) {
      if (type !== "file" || path.includes(".fastsync.")) continue;
      expect([path, [want.get(path)?.content, old.get(path)].includes(content)]).toEqual([path, true]);
    }
  });
});

// ---- descriptors -----------------------------------------------------------------------------------------------

function limited(limit: string, command: readonly string[]): string[] {
  return ["bash", "-c", `ulimit ${limit}; exec "$@"`, "bash", ...command];
}

/** 40 directories, each with files and a directory: a walk has several open. */
function wide(root: string): void {
  const tree = new TreeBuilder(root);
  for (let i = 0; i < 300; i++) tree.file(`d${i % 40}/e/file${i}`, `${i}`);
  tree.file("large", noise(2 * MIB, 1)).finish();
}

describe.skipIf(missing !== undefined)(because("descriptors", missing), () => {
  describe.each(BACKENDS)("%s", (_, how) => {
    test.each([24, 32, 64])("a limit of %i open files: it works, or says that it is the limit", async (limit) => {
      using dir = quickDir();
      const { source, target } = { source: dir.join("source"), target: dir.join("target") };
      wide(source);
      new TreeBuilder(target).file("extra", "x").finish();
      const words = ["mirror", "--yes", "--json", `${source}/`, `${target}/`];
      const command = limited(`-n ${limit}`, [...fastsyncCommand(), ...words]);
      const result = await start(command, how).result;
      // What a run needs at the least is there with 64.
      if (result.exitCode === 0 || limit >= 64) assertSameTrees(source, target);
      else {
        expect(result.exitCode).not.toBeGreaterThan(35);
        expect(result.stdout + result.stderr).toMatch(/too many open files|ulimit -n|EMFILE/i);
        expect(existsSync(join(target, "extra"))).toBe(true);
      }
      const again = await fastsyncJson(["mirror", "--yes", `${source}/`, `${target}/`], how);
      expect(describeResult(again)).toStartWith("exit 0");
      assertSameTrees(source, target);
      expect(temporariesIn(target)).toEqual([]);
    });
  });

  test("a soft limit of 24 is raised to the hard one", async () => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    wide(source);
    const command = limited("-Sn 24", [...fastsyncCommand(), "mirror", "--yes", `${source}/`, `${target}/`]);
    const result = await start(command, NATIVE).result;
    expect(describeResult(result)).toStartWith("exit 0");
    assertSameTrees(source, target);
  });

  /** A run in which either side has few descriptors, and there are far more directories. */
  test.each([
    ["mirror", "here"],
    ["move", "here"],
    ["mirror", "push, the caller"],
    ["mirror", "pull, the caller"],
    ["mirror", "push, the daemon"],
    ["mirror", "pull, the daemon"],
    ["move", "push, the daemon"],
  ] as const)("no more directories are open than there are descriptors for: %s, %s", async (verb, where) => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const tree = new TreeBuilder(source);
    for (let i = 0; i < 250; i++) tree.file(`d${i}/e/f/g/file`, `${i}`);
    tree.finish();
    const want = takeSnapshot(source);
    const few = { prefix: ["prlimit", "--nofile=160", "--"] };
    const words = [verb, "--yes", "--no-xattrs", `${source}/`, `${target}/`];
    const [direction, limited] = where.split(", the ");
    let result: ProcessResult;
    if (limited === undefined) result = await fastsync(words, { ...NATIVE, ...few });
    else {
      const daemon = startServer({ ...NATIVE, ...(limited === "daemon" ? few : {}) });
      try {
        const places = placedWords(words, direction as Placement, daemon.port, "/");
        result = await fastsync(places, { ...NATIVE, ...(limited === "caller" ? few : {}) });
      } finally {
        await daemon.stop();
      }
    }
    expect(describeResult(result)).toStartWith("exit 0");
    assertSameTrees(want, target, { except: (path, attribute) => path === "" && attribute === "mtime" });
  });

  test.each(["push", "pull"])("B10 a daemon that inherits 1,100 descriptors serves: %s", async (direction) => {
    using dir = quickDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    wide(source);
    mkdirSync(target);
    const script = 'ulimit -n 4096; for i in $(seq 10 1110); do eval "exec $i</dev/null"; done; exec "$@"';
    await using daemon = await startDaemon({
      path: direction === "push" ? target : source,
      prefix: ["bash", "-c", script, "bash"],
    });
    const places = direction === "push" ? [`${source}/`, daemon.place()] : [daemon.place(), `${target}/`];
    const result = await fastsync(["mirror", "--yes", ...places]);
    expect(describeResult(result)).toStartWith("exit 0");
    assertSameTrees(source, target);
  });
});

// ---- the clock -------------------------------------------------------------------------------------------------

/** Files of `src` that ask what time it is on the clock that people set, and what for. */
const WALL_CLOCK: Readonly<Record<string, string>> = {
  "src/cli/commands/find.ts": "ages are about that clock",
  "src/cli/commands/tree.ts": "when a run was, for the history",
  "src/cli/diagnostics/failures.ts": "when a run failed, for the reader",
  "src/cli/report/json-printer.ts": "when a run began and ended, for the reader",
  "src/cli/words/resolve-options.ts": "--min-age and --max-age are about that clock",
  "src/daemon/log.ts": "when a line was written",
  "src/daemon/serve.ts": "since when its counters count, for whoever reads them",
  "src/doctor/machine.ts": "it is what is looked at",
  "src/fs/portable/remove.ts": "a temporary file's age, which its filesystem has by that clock",
};

const clockMissing = missing ?? (Bun.which("cc") === null ? "there is no C compiler" : undefined);

describe.skipIf(clockMissing !== undefined)(because("the clock", clockMissing), () => {
  test("no duration is measured with the clock that people set", () => {
    const found = [...new Bun.Glob("src/**/*.ts").scanSync(ROOT)]
      .filter((path) => !path.endsWith(".test.ts") && !path.includes("/gen/"))
      .filter((path) => /Date\.now\(|new Date\(\)/.test(readFileSync(join(ROOT, path), "utf8")));
    expect(found.sort()).toEqual(Object.keys(WALL_CLOCK).sort());
  });

  test.each(["here", "push", "pull"])(
    "it jumps by days all the time: nothing times out, and times are right: %s",
    async (where) => {
      using scratch = tempDir();
      const shim = scratch.join("clock.so");
      const code = join(import.meta.dir, "support/jumping-clock.c");
      const built = spawnSync("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", code, "-o", shim]);
      if (built.status !== 0) throw new Error(String(built.stderr));
      const env = { LD_PRELOAD: shim, FASTSYNC_NATIVE: undefined };
      using scene = makeScene(modeNamed("plain"));
      await using daemon = await startDaemon({
        path: "/",
        env,
        daemon: 'idle_timeout = "3s"\nhandshake_timeout = "3s"',
        module: "strip_setid = false\nallow_devices = true\nallow_specials = true",
      });
      const words = scene.words(["--bwlimit=2M"]);
      const place = words.length - (where === "push" ? 1 : 2);
      if (where !== "here") words[place] = daemon.place(words[place]!.slice(1));
      const startedMs = performance.now();
      const result = await fastsync(words, { env });
      const tookMs = performance.now() - startedMs;
      if (result.exitCode !== 0) throw new Error(describeResult(result));
      scene.assertDone();
      const durationMs = summaryOf(result)!["duration_ms"] as number;
      expect(durationMs).toBeGreaterThan(0);
      expect(durationMs).toBeLessThanOrEqual(tookMs);
      // The shim was there: what is told of the time is a day off.
      const began = JSON.parse(result.stdout.split("\n")[0]!) as { time?: string; started_at?: string };
      const told = Date.parse(began.time ?? began.started_at ?? "");
      expect(Math.abs(told - Date.now())).toBeGreaterThan(80_000_000);
    },
  );
});
