/** What ls, find, du and df tell of random trees, here and through a daemon: that of GNU's programs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, statfsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { buildRandomTree } from "../support/random-tree.ts";
import { type Argument, fastsync, fastsyncJson, type JsonEvent } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectLookLines } from "./support/look-schema.ts";

/** A copy of the first random tree in which every file has one name. */
const SINGLE = 3;
let dir: TempDir;
let daemon: TestDaemon;
beforeAll(async () => {
  dir = tempDir();
  mkdirSync(dir.join("trees"));
  for (const seed of [1, 2]) {
    mkdirSync(dir.join(`trees/${seed}`));
    buildRandomTree(dir.join(`trees/${seed}`), seed, { entries: 80 });
  }
  spawnSync("cp", ["-R", "--sparse=always", dir.join("trees/1"), dir.join(`trees/${SINGLE}`)]);
  mkdirSync(dir.join("trees/plain"));
  writeFileSync(dir.join("trees/plain/a"), "a");
  writeFileSync(dir.join("trees/plain/.hidden"), "h");
  writeFileSync(dir.join("trees/plain/large"), "x".repeat(100_000));
  mkdirSync(dir.join("trees/plain/sub"));
  symlinkSync("a", dir.join("trees/plain/link"));
  daemon = await startDaemon({ path: dir.join("trees") });
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

const SIDES = ["here", "behind a daemon"] as const;
/** A place in the trees, as it is written on this side. */
const place = (side: (typeof SIDES)[number], path: string): string =>
  side === "here" ? dir.join(`trees/${path}`) : daemon.place(path);

/** Standard output of a program in a directory, as bytes in latin1. */
function told(cwd: string, command: readonly string[]): string {
  const done = spawnSync(command[0]!, command.slice(1), {
    cwd,
    env: { ...process.env, LC_ALL: "C" },
    maxBuffer: 1 << 26,
  });
  return done.stdout.toString("latin1");
}

async function records(words: readonly Argument[]): Promise<readonly JsonEvent[]> {
  const { events, exitCode } = await fastsyncJson(words);
  expect(exitCode).toBe(0);
  expectLookLines(events);
  return events;
}

const bytesOf = ({ path, path_b64 }: Record<string, unknown>): string =>
  (typeof path_b64 === "string" ? Buffer.from(path_b64, "base64") : Buffer.from(String(path))).toString("latin1");
const sorted = (lines: readonly string[]): string[] => [...lines].sort();
const ofType = (events: readonly JsonEvent[], type: string): readonly JsonEvent[] =>
  events.filter((event) => event.type === type);

describe.each(SIDES)("%s", (side) => {
  test.concurrent.each([1, 2])("find lists random tree %d as find(1) does", async (seed) => {
    const entries = ofType(await records(["find", place(side, String(seed))]), "entry");
    const root = dir.join(`trees/${seed}`);
    const expected = told(root, ["find", ".", "-printf", "%P\\t%y\\t%s\\t%m\\t%n\\t%U\\t%G\\t%b\\t%l\\0"]).split("\0");
    const TYPES: Record<string, string> = { file: "f", directory: "d", symlink: "l", fifo: "p", socket: "s" };
    const found = entries.map((entry) => {
      const path = bytesOf(entry) === "." ? "" : bytesOf(entry);
      const target =
        entry["target_b64"] !== undefined ? Buffer.from(String(entry["target_b64"]), "base64") : entry["target"];
      const fields = [
        ...[path, TYPES[String(entry["kind"])], entry["size"], Number.parseInt(String(entry["mode"]), 8).toString(8)],
        ...[entry["links"], entry["uid"], entry["gid"], Number(entry["disk_bytes"]) / 512],
        Buffer.from((target as string) ?? "").toString("latin1"),
      ];
      return fields.join("\t");
    });
    expect(sorted(found)).toEqual(sorted(expected.filter((line) => line !== "")));
    // Each directory before what is in it, and names in the order of their bytes.
    const paths = entries.map(bytesOf).filter((path) => path !== ".");
    const key = (path: string): string => path.replaceAll("/", "\0");
    expect(paths).toEqual([...paths].sort((a, b) => (key(a) < key(b) ? -1 : 1)));
  });

  const filters: readonly (readonly [string[], string[]])[] = [
    [
      ["--type", "f"],
      ["-type", "f"],
    ],
    [
      ["--type", "d,l"],
      ["(", "-type", "d", "-o", "-type", "l", ")"],
    ],
    [
      ["--size", "+4K"],
      ["-type", "f", "-size", "+4096c"],
    ],
    [
      ["--size", "4096"],
      ["-type", "f", "-size", "4096c"],
    ],
    [
      ["--size", "+100", "--size", "-60K"],
      ["-type", "f", "-size", "+100c", "-size", "-61440c"],
    ],
    [
      ["--name", "*e*"],
      ["-name", "*e*"],
    ],
    [
      ["--name", "[a-m]*", "--name", "*.txt"],
      ["(", "-name", "[a-m]*", "-o", "-name", "*.txt", ")"],
    ],
    [
      ["--newer", "2000-01-01T00:00:00Z"],
      ["-newermt", "1999-12-31 23:59:59 UTC"],
    ],
    [
      ["--max-depth", "1"],
      ["-maxdepth", "1"],
    ],
    [
      ["--type", "f", "--max-depth", "2", "--size", "+0"],
      ["-maxdepth", "2", "-type", "f", "-size", "+0c"],
    ],
  ];
  test.concurrent.each(filters)("find %j is find(1) %j", async (ours, theirs) => {
    const root = dir.join("trees/2");
    const entries = ofType(await records(["find", ...ours, `${place(side, "2")}`]), "entry");
    // Only what is below: the tree itself has another name in each of the two.
    const found = entries.map(bytesOf).filter((path) => path !== ".");
    const expected = told(root, ["find", ".", "-mindepth", "1", ...orderOf(theirs), "-printf", "%P\\0"]).split("\0");
    expect(sorted(found)).toEqual(sorted(expected.filter((line) => line !== "")));
  });

  test.concurrent("find --print0 gives names as they are, which are places again", async () => {
    const { exitCode, stdoutBytes } = await fastsync(["find", "--print0", place(side, "2")]);
    const raw = Buffer.from(stdoutBytes).toString("latin1");
    const names = raw.split("\0").slice(0, -1);
    const expected = told(dir.join("trees/2"), ["find", ".", "-printf", "%P\\0"]).split("\0").slice(0, -1);
    const shown = expected.map((path) => place(side, path === "" ? "2" : `2/${path}`));
    expect([exitCode, raw.at(-1), sorted(names)]).toEqual([0, "\0", sorted(shown)]);
    const odd = names.find((name) => /[^ -~]/.test(name))!;
    const again = await records(["ls", "-d", Buffer.from(odd, "latin1")]);
    expect(ofType(again, "entry")).toHaveLength(1);
  });

  test.concurrent("find --path matches the whole path below the place", async () => {
    const found = async (...patterns: string[]): Promise<string[]> => {
      const flags = patterns.flatMap((pattern) => ["--path", pattern]);
      return ofType(await records(["find", ...flags, place(side, "")]), "entry").map(bytesOf);
    };
    expect(await found("plain/*")).toEqual(["plain/.hidden", "plain/a", "plain/large", "plain/link", "plain/sub"]);
    expect(await found("*/a", "plain/**.hidden")).toEqual(["plain/.hidden", "plain/a"]);
    expect(await found("lain/*")).toEqual([]);
  });

  test.concurrent("find --limit ends after so many, and says that there is more", async () => {
    const events = await records(["find", "--limit", "3", place(side, "1")]);
    expect(ofType(events, "entry").length).toBe(3);
    expect(events.at(-1)).toMatchObject({ entries: 3, more: true });
    const { stderr } = await fastsync(["find", "--limit", "3", place(side, "1")]);
    expect(stderr).toBe("There is more than --limit 3 lets through\n");
  });

  test.concurrent.each([1, SINGLE])("du of random tree %d is du(1)", async (seed) => {
    const usage = ofType(await records(["du", place(side, String(seed))]), "usage");
    const root = dir.join(`trees/${seed}`);
    const expected = told(root, ["du", "-0", "-B1", "."])
      .split("\0")
      .filter((line) => line !== "");
    const rest = (line: string): [number, string] => {
      const tab = line.indexOf("\t");
      return [Number(line.slice(0, tab)), line.slice(tab + 1).replace(/^\.\//, "")];
    };
    const ours = usage.map((line) => [line["disk_bytes"], bytesOf(line)]).sort(byPath);
    // Which of its directories a file with several names counts in is each program's own.
    if (seed === SINGLE) expect(ours).toEqual(expected.map(rest).sort(byPath));
    expect(usage.at(-1)!["disk_bytes"]).toBe(rest(expected.at(-1)!)[0]);
    // Each inode once, directories left out.
    const sizes = told(root, ["find", ".", "(", "-type", "f", "-o", "-type", "l", ")", "-printf", "%i %s\\n"]);
    const inodes = new Map(
      sizes
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => line.split(" ") as [string, string]),
    );
    const apparent = [...inodes.values()].reduce((sum, size) => sum + Number(size), 0);
    expect(usage.at(-1)).toMatchObject({ path: ".", apparent_bytes: apparent });
    const count = (...type: string[]): number =>
      told(root, ["find", ".", "-mindepth", "1", ...type, "-printf", "x"]).length;
    expect(usage.at(-1)).toMatchObject({ directories: count("-type", "d"), files: count("!", "-type", "d") });
  });

  test.concurrent("du --max-depth and -s tell less and count the same", async () => {
    const whole = ofType(await records(["du", place(side, "1")]), "usage");
    const depth = (line: JsonEvent): number => (line["path"] === "." ? 0 : bytesOf(line).split("/").length);
    expect(ofType(await records(["du", "--max-depth", "1", place(side, "1")]), "usage")).toEqual(
      whole.filter((line) => depth(line) <= 1),
    );
    expect(ofType(await records(["du", "-s", place(side, "1")]), "usage")).toEqual(whole.slice(-1));
  });

  test.concurrent.each([1, 2])("ls of random tree %d has the names of ls(1)", async (seed) => {
    const entries = ofType(await records(["ls", "--all", place(side, String(seed))]), "entry");
    const names = readdirSync(dir.join(`trees/${seed}`), { encoding: "buffer" }).sort(Buffer.compare);
    expect(entries.map(bytesOf)).toEqual(names.map((name) => name.toString("latin1")));
  });

  test.concurrent("ls as text is ls -1p, and -a shows what is hidden", async () => {
    const ls = async (...flags: string[]): Promise<string> =>
      (await fastsync(["ls", ...flags, place(side, "plain")])).stdout;
    expect(await ls()).toBe(told(dir.join("trees/plain"), ["ls", "-1p"]));
    expect(await ls("-a")).toBe(told(dir.join("trees/plain"), ["ls", "-1Ap"]));
    expect((await fastsync(["list", place(side, "plain/a")])).stdout).toBe(`${place(side, "plain/a")}\n`);
  });

  test.concurrent("ls -l has mode, size and target", async () => {
    const { stdout } = await fastsync(["ls", "-lb", place(side, "plain")]);
    const lines = stdout.split("\n").map((line) => line.split(/ +/));
    expect(lines.map(([mode]) => mode)).toEqual(["-rw-r--r--", "-rw-r--r--", "lrwxrwxrwx", "drwxr-xr-x", ""]);
    expect([lines[0]![4], lines[1]![4]]).toEqual(["1", "100000"]);
    expect(stdout).toContain(" link -> a\n");
    expect((await fastsync(["ls", "-ld", place(side, "plain")])).stdout).toMatch(/^drwx.*plain\/\n$/);
  });

  test.concurrent("ls --limit and --after go through a directory page by page", async () => {
    const pages: string[][] = [];
    for (let after: string | undefined, more: unknown = true; more === true; ) {
      const flags = ["--limit", "2", ...(after === undefined ? [] : [`--after=${after}`])];
      const events = await records(["ls", "-a", ...flags, place(side, "plain")]);
      pages.push(ofType(events, "entry").map(bytesOf));
      after = pages.at(-1)!.at(-1);
      more = events.at(-1)!["more"];
    }
    expect(pages).toEqual([[".hidden", "a"], ["large", "link"], ["sub"]]);
    const { stderr } = await fastsync(["ls", "--limit", "1", place(side, "plain")]);
    expect(stderr).toBe("There is more; go on with --after a\n");
  });

  test.concurrent("df is statfs(2) of the place", async () => {
    const [line] = ofType(await records(["df", place(side, "plain")]), "filesystem");
    const { blocks, bsize, files } = statfsSync(dir.path);
    expect(line).toMatchObject({ total_bytes: blocks * bsize, total_inodes: files });
    expect((await fastsync(["df", place(side, "plain/a")])).stdout).toContain(place(side, "plain/a"));
  });

  test.concurrent("a place that is not there is named, and others are looked at", async () => {
    const alone = await fastsync(["ls", place(side, "plain/nothing")]);
    expect([alone.exitCode, alone.stdout]).toEqual([3, ""]);
    expect(alone.stderr).toContain("nothing cannot be used: it does not exist");
    const both = await fastsync(["du", "-s", place(side, "plain/nothing"), place(side, "plain/a")]);
    expect(both.exitCode).toBe(23);
    expect(both.stdout).toContain("plain/a\n");
    expect((await fastsync(["ls", place(side, "plain/a/")])).stderr).toContain("not a directory");
  });

  test.concurrent("ls -d shows a directory that has no name of its own in the place", async () => {
    for (const path of side === "here" ? ["plain/.", "plain/..", "/", "plain/"] : ["", "plain/.", "plain/"]) {
      const written = path === "/" ? path : place(side, path);
      const [entry, ...others] = ofType(await records(["ls", "-d", written]), "entry");
      const { size, mtime } = statSync(path === "/" ? path : dir.join(`trees/${path}`));
      expect([written, entry, others]).toMatchObject([written, { kind: "directory", size, path: "." }, []]);
      expect(String(entry!["mtime"]).slice(0, 19)).toBe(mtime.toISOString().slice(0, 19));
      const { stdout } = await fastsync(["ls", "-d", written]);
      const shown = side === "here" ? written : written.replace(/\/\.$/, "");
      expect(stdout.replace(/\/+\n/, "")).toBe(shown.replace(/\/+$/, ""));
    }
  });

  test.concurrent("ls has no heading over what cannot be used, nor with -d", async () => {
    const [gone, there] = [place(side, "plain/nothing"), place(side, "plain/sub")];
    expect((await fastsync(["ls", gone, there])).stdout).toStartWith(`${there}:\n`);
    expect((await fastsync(["ls", "-d", there, there])).stdout).toBe(`${there}/\n${there}/\n`);
  });

  test.concurrent("a link at the end of a place is told, not followed", async () => {
    const [entry] = ofType(await records(["ls", place(side, "plain/link")]), "entry");
    expect(entry).toMatchObject({ kind: "symlink", target: "a", path: "." });
  });
});

/** find(1) wants its global options first. */
function orderOf(words: readonly string[]): string[] {
  const at = words.indexOf("-maxdepth");
  return at < 0 ? [...words] : [...words.slice(at, at + 2), ...words.slice(0, at), ...words.slice(at + 2)];
}

function byPath(a: readonly unknown[], b: readonly unknown[]): number {
  return String(a[1]) < String(b[1]) ? -1 : 1;
}
