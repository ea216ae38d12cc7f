/** What the program says is what it did. */
import { expect, setDefaultTimeout } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { describe as describeResult, fastsync, fastsyncOnTerminal, startFastsync } from "../support/run.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { noise, TreeBuilder } from "../support/tree.ts";
import { HOSTILE_NAMES, RAW_NAMES } from "../support/variety-tree.ts";
import { because, behavioursMissing, itemsOf, mirror, run } from "./behaviour.ts";
import { MIB, pair, quickDir, until } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** C0 without newline and tab, DEL and C1 as UTF-8, in text that goes to a terminal. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

function fill(source: string): void {
  const tree = new TreeBuilder(source);
  for (let i = 0; i < 20; i++) tree.file(`dir${i % 4}/file${i}`, noise(1000 * i, i + 1));
  tree.file("top", "top").symlink("link", "top").special("fifo", "fifo").dir("empty");
  tree.file("hard-a", "hard").hardlink("hard-b", "hard-a");
}

function bytesOf(tree: Snapshot, only: (path: string) => boolean = () => true): number {
  let bytes = 0;
  const seen = new Set<bigint>();
  for (const [path, entry] of tree) {
    if (entry.type !== "file" || !only(path) || seen.has(entry.stat.ino)) continue;
    seen.add(entry.stat.ino);
    bytes += entry.size;
  }
  return bytes;
}

function count(tree: Snapshot, type: string): number {
  return [...tree.values()].filter((entry) => entry.type === type).length;
}

describe.skipIf(behavioursMissing !== undefined)(because("output", behavioursMissing), () => {
  test("B61 counts of a first run are those of the tree", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source);
    const tree = takeSnapshot(source);
    const result = await mirror(source, target, ["--copy-method=read_write"]);
    const files = tree.size - count(tree, "directory");
    expect(result.summary).toMatchObject({
      directories_examined: count(tree, "directory"),
      entries_examined: tree.size - 1,
      files_examined: files,
      files_to_transfer: files - 1,
      files_transferred: files - 1,
      bytes_to_transfer: bytesOf(tree),
      bytes_transferred: bytesOf(tree),
      bytes_logical: bytesOf(tree),
      created: files - 1,
      linked: 1,
      updated: 0,
      unchanged: 0,
      repaired: 0,
      files_deleted: 0,
      files_failed: 0,
      directories_created: count(tree, "directory"),
    });
    /* Every entry is an item, once. */
    const items = result.events.filter((event) => event.type === "item").map((event) => event["path"]);
    expect(items.sort()).toEqual([...tree.keys()].map((path) => path || ".").sort());
  });

  test("B61 counts of a run that creates, replaces, mends, links and deletes", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source);
    await mirror(source, target);
    /* Two replaced, one new, one mended, one link, two deleted with a directory, nothing else. */
    writeFileSync(join(source, "dir0/file4"), noise(700, 1));
    truncateSync(join(source, "dir1/file5"), 10);
    new TreeBuilder(source).file("dir2/new", noise(333, 2)).hardlink("hard-c", "hard-a");
    utimesSync(join(source, "dir3/file3"), 1e9, 1e9);
    utimesSync(join(target, "dir3/file3"), 1e9, 1e9);
    Bun.spawnSync(["chmod", "600", join(source, "dir3/file7")]);
    new TreeBuilder(target).file("gone/a", "x").symlink("gone/b", "x");
    const expected = takeSnapshot(source);
    const result = await mirror(source, target, ["--copy-method=read_write"]);
    assertSameTrees(expected, target);
    expect(result.summary).toMatchObject({
      files_transferred: 3,
      bytes_transferred: 700 + 10 + 333,
      created: 1,
      updated: 2,
      linked: 1,
      files_deleted: 3,
      files_failed: 0,
      unchanged: expected.size - count(expected, "directory") - 3 - 1 - 1,
    });
    expect(itemsOf(result).filter((item) => !item.startsWith("repair"))).toEqual([
      "create dir2/new",
      "delete gone",
      "delete gone/a",
      "delete gone/b",
      "link hard-c",
      "update dir0/file4",
      "update dir1/file5",
    ]);
    expect(itemsOf(result)).toContain("repair dir3/file7");
  });

  test("B61 failures are counted and named in the summary, in error lines and for people", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source);
    new TreeBuilder(target).file("top/full", "x").file("link/full", "x");
    const result = await run("copy", [`${source}/`, `${target}/`], { exitCode: 23 });
    expect(result.summary).toMatchObject({ exit_reason: "partial", files_failed: 2 });
    const names = (list: unknown) => (list as { path: string }[]).map((item) => item.path).sort();
    expect(names(result.summary["failures"])).toEqual(["link", "top"]);
    expect(names(result.events.filter((event) => event.type === "error"))).toEqual(["link", "top"]);
    expect(result.stderr).toContain("Failed (2)");
    expect(result.stderr).toMatch(/^ {2}top: /m);
  });

  test("B61 -q prints nothing and still copies; failures still come, on stderr", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source);
    const quiet = await fastsync(["mirror", "-q", `${source}/`, `${target}/`]);
    expect([quiet.exitCode, quiet.stdout, quiet.stderr]).toEqual([0, "", ""]);
    assertSameTrees(source, target);
    new TreeBuilder(source).file("blocked", "x");
    new TreeBuilder(target).file("blocked/full", "x");
    const failed = await fastsync(["copy", "-q", `${source}/`, `${target}/`]);
    expect([failed.exitCode, failed.stdout]).toEqual([23, ""]);
    expect(failed.stderr).toContain("blocked");
  });

  test("B61 results are on stdout, warnings and failures on stderr; with --json stdout is JSON alone", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    fill(source);
    new TreeBuilder(target).file("top/full", "x");
    const text = await fastsync(["copy", "-v", `${source}/`, `${target}/`]);
    expect(text.exitCode).toBe(23);
    expect(text.stdout).toContain("dir3/file3");
    expect(text.stdout).toContain("Examined");
    expect(text.stdout).not.toContain("cannot");
    expect(text.stderr).toContain("top: cannot");
    const missing = await fastsync(["copy", dir.join("nothing"), target]);
    expect([missing.exitCode, missing.stdout]).toEqual([3, ""]);
    expect(missing.stderr).toContain("nothing");
    const json = await run("copy", [`${source}/`, `${target}/`], { exitCode: 23 });
    expect(json.events[0]).toMatchObject({ schema: 1, type: "start", verb: "copy" });
    expect(json.events.at(-1)).toMatchObject({ schema: 1, type: "summary" });
    for (const event of json.events) expect(event["schema"]).toBe(1);
  });

  test.each([
    ["a source that is missing", ["mirror", "{dir}/missing/", "{dir}/target"], 3],
    ["a wrong flag", ["mirror", "--delet", "{dir}/source/", "{dir}/target"], 1],
    ["a missing argument", ["mirror", "{dir}/source/"], 1],
    ["a target that is a file", ["mirror", "{dir}/source/", "{dir}/file"], 3],
    ["a filter that is wrong", ["mirror", "--filter=nonsense x", "{dir}/source/", "{dir}/target"], 1],
  ] as const)("B61 exactly one JSON summary for %s", async (_, words, exitCode) => {
    using dir = tempDir();
    pair(dir);
    writeFileSync(dir.join("file"), "x");
    const [verb, ...rest] = words.map((word) => word.replace("{dir}", dir.path));
    const result = await run(verb!, rest, { exitCode });
    expect(result.summary["exit_reason"]).not.toBe("ok");
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "B61 exactly one JSON summary after %s, with the true counts",
    async (signal) => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      for (let i = 0; i < 60; i++) writeFileSync(join(source, `file${i}`), noise(MIB / 4, i + 1));
      const running = startFastsync(["mirror", "--json", "--bwlimit", "10M", `${source}/`, `${target}/`]);
      await until(
        () =>
          lstatSync(target, { throwIfNoEntry: false }) !== undefined &&
          readdirSync(target).filter((name) => name.startsWith("file")).length > 5,
        "some files",
      );
      running.kill(signal);
      const result = await running.result;
      const events = result.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      const summaries = events.filter((event) => event.type === "summary");
      expect(result.exitCode).toBe(20);
      expect(summaries).toMatchObject([{ exit_code: 20, exit_reason: "interrupted", files_failed: 0 }]);
      const there = takeSnapshot(target);
      expect(summaries[0].files_transferred).toBe(there.size - 1);
      expect(summaries[0].bytes_transferred).toBe(bytesOf(there));
      expect(events.filter((event) => event.type === "item" && event.kind === "file").length).toBe(there.size - 1);
    },
  );

  test("B61 a second signal ends the run at once, still with one summary", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    for (let i = 0; i < 60; i++) writeFileSync(join(source, `file${i}`), noise(MIB / 4, i + 1));
    const running = startFastsync(["mirror", "--json", "--bwlimit", "10M", `${source}/`, `${target}/`]);
    await until(() => lstatSync(join(target, "file0"), { throwIfNoEntry: false }) !== undefined, "a file");
    running.kill("SIGINT");
    await Bun.sleep(260);
    running.kill("SIGINT");
    const result = await running.result;
    if (result.exitCode !== 20) throw new Error(describeResult(result));
    expect(result.stdout.split('"type":"summary"').length).toBe(2);
  });

  test("B61 a reader that leaves early does not stop the copy", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    for (let i = 0; i < 1000; i++) writeFileSync(join(source, `${"a-name-that-fills-the-pipe-".repeat(8)}${i}`), "");
    const command = `"$0" "$1" mirror -v "$2/" "$3/" | head -1 >/dev/null; exit \${PIPESTATUS[0]}`;
    const child = Bun.spawnSync([
      "bash",
      "-c",
      command,
      process.execPath,
      join(import.meta.dir, "../../src/main.ts"),
      source,
      target,
    ]);
    expect(child.exitCode).toBe(0);
    assertSameTrees(source, target);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("hostile names", behavioursMissing), () => {
  const evil = [
    "esc\u001b[2J\u001b]0;title\u0007",
    "csi\u009b2J",
    "bell\u0007",
    "back\bspace",
    "cr\rreturn",
    "new\nline\nsummary: all is well",
    '{"schema":1,"type":"summary","exit_code":0}\n',
    "del\u007f",
    "percent%s%n%d",
    "-rf",
    "--delete",
    "rtl\u202egpj.exe",
    "line\u2028separator",
  ];

  function build(source: string): void {
    const tree = new TreeBuilder(source);
    for (const name of [...evil, ...HOSTILE_NAMES])
      tree.file(Buffer.concat([Buffer.from("dir/"), Buffer.from(name)]), "x");
    for (const name of [...RAW_NAMES, Buffer.from([0x9b, 0x32, 0x4a])])
      tree.file(Buffer.concat([Buffer.from("raw/"), name]), "x");
    tree.file("top\u001b[31m", "x").symlink("link\u001b", "text\u001b[1m");
  }

  test("B62 S33 control characters in names are escaped in listings, failures, questions and JSON", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    mkdirSync(target);
    for (const name of evil) mkdirSync(join(target, "dir", name, "blocked"), { recursive: true });
    const lines = (text: string) => expect(text).not.toMatch(CONTROLS);
    const listed = await fastsync(["mirror", "--dry-run", "-v", "--yes", `${source}/`, `${target}/`]);
    lines(listed.stdout + listed.stderr);
    expect(listed.stdout).toContain("percent%s%n%d");
    const failed = await fastsync(["copy", "-v", `${source}/`, `${target}/`]);
    expect(failed.exitCode).toBe(23);
    lines(failed.stdout + failed.stderr);
    expect(failed.stderr.split("\n").filter((line) => /^summary: all is well/.test(line))).toEqual([]);
    const json = await run("mirror", ["--yes", `${source}/`, `${target}/`]);
    lines(json.stdout + json.stderr);
    expect(Buffer.from(json.stdoutBytes).includes(0x9b)).toBe(false);
    expect(json.stdout).not.toMatch(/[\u2028\u2029\u202a-\u202e]/);
    assertSameTrees(source, target);
    const paths = json.events.filter((event) => event.type === "item").map((event) => event["path"]);
    for (const name of evil) expect(paths).toContain(`dir/${name}`);
  });

  test("B62 names that are not UTF-8 travel in JSON with their bytes", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    build(source);
    const { events } = await mirror(source, target);
    const sent = events.filter((event) => event["path_b64"] !== undefined);
    const raw = [...takeSnapshot(join(source, "raw")).values()]
      .map((entry) => Buffer.concat([Buffer.from("raw/"), entry.path]))
      .filter((path) => !Buffer.from(path.toString("utf8")).equals(path));
    expect(raw.length).toBeGreaterThan(1);
    expect(sent.map((event) => event["path_b64"]).sort()).toEqual(raw.map((path) => path.toString("base64")).sort());
    for (const event of sent) expect(String(event["path"])).toContain("\ufffd");
  });

  test("B62 S33 the question on a terminal shows names without their power", async () => {
    using dir = tempDir();
    const { source, target } = pair(dir);
    new TreeBuilder(source).file("file", "x");
    new TreeBuilder(target).file("extra\u001b[2J\u0007", "x").file("csi\u009b2J", "x");
    const { exitCode, output } = await fastsyncOnTerminal(
      ["mirror", "--no-progress", `${source}/`, `${target}/`],
      [{ prompt: "[y/N]", reply: "n\n" }],
    );
    expect(exitCode).toBe(25);
    expect(output.replaceAll("\r", "")).not.toMatch(CONTROLS);
    expect(output).toContain("extra");
    expect(lstatSync(join(target, "extra\u001b[2J\u0007")).size).toBe(1);
  });

  test("B62 S33 arguments with control characters are escaped in banner, failures and usage errors", async () => {
    using dir = tempDir();
    const source = dir.join("so\u001b[2Jurce");
    mkdirSync(source);
    writeFileSync(join(source, "file"), "x");
    for (const words of [
      ["mirror", `${source}/`, dir.join("tar\u009bget")],
      ["mirror", `${source}-missing/`, dir.join("target")],
      ["mirror", "--excl\u001b[2Jude=x", source, dir.path],
      ["mirror", "--filter=\u001b[2J x", `${source}/`, dir.join("target")],
      ["mirror", "--max-size=\u001b[2J", `${source}/`, dir.join("target")],
      [`mir\u001b[2Jror`],
    ]) {
      const result = await fastsync(words);
      expect(result.stdout + result.stderr).not.toMatch(CONTROLS);
    }
  });

  test("S33 names that look like flags are names", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.path).file("work/-rf", "x").file("work/--yes/file", "x").dir("work/-t");
    const options = { cwd: dir.join("work") };
    expect((await fastsync(["copy", "--", "-rf", "--yes", "-t"], options)).exitCode).toBe(0);
    expect(readFileSync(dir.join("work/-t/-rf"), "utf8")).toBe("x");
    expect(readFileSync(dir.join("work/-t/--yes/file"), "utf8")).toBe("x");
    rmSync(dir.join("work/-t"), { recursive: true });
    symlinkSync("work", dir.join("-link"));
    await run("mirror", ["--yes", "./-link/", "./-target"], { cwd: dir.path });
    assertSameTrees(dir.join("work"), dir.join("-target"));
  });
});
