/** rm, here and in modules: what goes, what is refused before anything goes, and what stays. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { OPERATOR } from "../../src/admin/open-place.ts";
import { removePaths } from "../../src/admin/remove.ts";
import { openBackend } from "../../src/fs/open-backend.ts";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { buildDeepTree } from "../support/deep-tree.ts";
import { buildRandomTree } from "../support/random-tree.ts";
import { asUserMissing, fastsync, fastsyncJson, fastsyncOnTerminal, isRoot, ORDINARY_USER } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectLookLines } from "./support/look-schema.ts";

let dir: TempDir;
let daemon: TestDaemon | undefined;
beforeEach(() => {
  dir = tempDir();
  mkdirSync(dir.join("m/tree/sub"), { recursive: true });
  writeFileSync(dir.join("m/tree/file"), "x");
  writeFileSync(dir.join("m/tree/sub/inner"), "y");
  writeFileSync(dir.join("m/alone"), "z");
  mkdirSync(dir.join("outside"));
  writeFileSync(dir.join("outside/kept"), "kept");
  symlinkSync(dir.join("outside"), dir.join("m/tree/out"));
  symlinkSync("tree", dir.join("m/link"));
});
afterEach(async () => {
  await daemon?.[Symbol.asyncDispose]();
  daemon = undefined;
  dir[Symbol.dispose]();
});

const SIDES = ["here", "in a module"] as const;
async function place(side: (typeof SIDES)[number], path: string, module = ""): Promise<string> {
  if (side === "here") return dir.join(`m/${path}`);
  daemon ??= await startDaemon({ path: dir.join("m"), module });
  return daemon.place(path);
}
const has = (path: string): boolean => existsSync(dir.join(path));

describe.each(SIDES)("%s", (side) => {
  test("a file and a tree go, links in it are removed and not followed", async () => {
    const paths = [await place(side, "alone"), await place(side, "tree")];
    const { exitCode, events, summary } = await fastsyncJson(["rm", "-r", "--yes", ...paths]);
    expect(exitCode).toBe(0);
    expectLookLines(events);
    expect(events.filter(({ type }) => type === "removed")).toMatchObject([
      { path: paths[0], removed: true, dry_run: false, entries: 1, directory: false },
      { path: paths[1], removed: true, entries: 5, directory: true },
    ]);
    expect(summary).toMatchObject({ entries: 6, failures: 0, dry_run: false });
    expect(readdirSync(dir.join("m"))).toEqual(["link"]);
    expect(has("outside/kept")).toBe(true);
  });

  test("a random tree goes whole, and -v names each entry", async () => {
    mkdirSync(dir.join("m/random"));
    buildRandomTree(dir.join("m/random"), 7, { entries: 100 });
    const count = spawnSync("find", [dir.join("m/random"), "-printf", "x"]).stdout.length;
    const { events } = await fastsyncJson(["rm", "-rv", "--yes", await place(side, "random/")]);
    expectLookLines(events);
    expect(events.filter(({ type }) => type === "delete").length).toBe(count);
    expect(has("m/random")).toBe(false);
  });

  test("a link is removed, not what it leads to; with a slash it is refused", async () => {
    const link = await place(side, "link");
    const refused = await fastsync(["rm", "-r", "--yes", `${link}/`]);
    expect([refused.exitCode, has("m/link")]).toEqual([3, true]);
    expect((await fastsync(["rm", "--yes", link])).exitCode).toBe(0);
    expect([has("m/tree/file"), readdirSync(dir.join("m")).sort()]).toEqual([true, ["alone", "tree"]]);
  });

  test("nothing goes without --yes where nobody can be asked", async () => {
    const { exitCode, stderr } = await fastsync(["rm", await place(side, "alone")]);
    expect(exitCode).toBe(25);
    expect(stderr).toContain("--yes is missing");
    expect(has("m/alone")).toBe(true);
  });

  test("a dry run counts and touches nothing", async () => {
    const { exitCode, stdout } = await fastsync(["rm", "-rn", await place(side, "tree")]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("would remove");
    expect(stdout).toContain("5 entries");
    const { events } = await fastsyncJson(["rm", "-rnv", await place(side, "tree")]);
    expectLookLines(events);
    const told = events.filter(({ type }) => type === "removed" || type === "delete");
    expect(told.map((event) => event["dry_run"])).toEqual(Array.from({ length: 6 }, () => true));
    expect(readdirSync(dir.join("m/tree")).sort()).toEqual(["file", "out", "sub"]);
  });

  test.each([
    ["n\n", 25, true],
    ["y\n", 0, false],
  ] as const)("on a terminal it asks once; the answer %j", async (reply, code, stays) => {
    const words = ["rm", "-r", await place(side, "tree"), await place(side, "alone")];
    const { exitCode, output } = await fastsyncOnTerminal(words, [{ prompt: "[y/N]", reply }]);
    expect(output).toContain("6 entries");
    expect([exitCode, has("m/tree"), has("m/alone")]).toEqual([code, stays, stays]);
  });

  test("one wrong place among several leaves everything as it was", async () => {
    const words = [await place(side, "alone"), await place(side, "tree")];
    const { exitCode, stderr } = await fastsync(["rm", "--yes", ...words]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("it is a directory, which takes -r");
    expect(has("m/alone")).toBe(true);
  });

  test("what is missing is named, and the others go", async () => {
    const { exitCode, stderr } = await fastsync([
      "rm",
      "--yes",
      await place(side, "nothing"),
      await place(side, "alone"),
    ]);
    expect(exitCode).toBe(23);
    expect(stderr).toContain("nothing: cannot delete: it does not exist");
    expect(has("m/alone")).toBe(false);
  });

  test("other names of a file stay, and their bytes are not counted", async () => {
    linkSync(dir.join("m/alone"), dir.join("outside/other"));
    const { events } = await fastsyncJson(["rm", "--yes", await place(side, "alone")]);
    expect(events[0]).toMatchObject({ type: "removed", entries: 1, disk_bytes: 0 });
    expect(has("outside/other")).toBe(true);
  });

  test("a tree of 600 levels goes, whose path no system call takes", async () => {
    mkdirSync(dir.join("m/deep"));
    buildDeepTree(dir.join("m/deep"), "a-level-of-it", 600);
    expect((await fastsync(["rm", "-r", "--yes", await place(side, "deep")])).exitCode).toBe(0);
    expect(has("m/deep")).toBe(false);
  });

  test.skipIf(asUserMissing() !== undefined)(
    `what may not be removed stays, with what is above it (${asUserMissing() ?? "as an ordinary user"})`,
    async () => {
      chmodSync(dir.join("m/tree/sub"), 0o555);
      for (const path of ["m", "m/tree"]) chmodSync(dir.join(path), 0o777);
      const asUser = { asUser: ORDINARY_USER };
      if (side === "in a module") daemon = await startDaemon({ path: dir.join("m"), ...asUser });
      const { exitCode, stderr, stdout } = await fastsync(["rm", "-r", "--yes", await place(side, "tree")], asUser);
      expect(exitCode).toBe(23);
      expect(stderr).toContain("tree/sub/inner: cannot delete: permission denied");
      expect(stdout).toContain("removed part of");
      expect([has("m/tree/sub/inner"), has("m/tree/file")]).toEqual([true, false]);
    },
  );
});

describe("what must not go", () => {
  const local: readonly (readonly [string, () => string[], string])[] = [
    ["the root", () => ["/"], "it is the root of the file system"],
    ["the root in another spelling", () => ["//"], "it is the root of the file system"],
    ["the root by way of ..", () => [`${dir.path}${"/..".repeat(12)}`], "it ends with .."],
    ["the current directory", () => ["."], "it ends with ."],
    ["the current directory with a slash", () => ["./"], "it ends with ."],
    ["the current directory by name", () => [dir.join("m/tree")], "it is the current directory"],
    ["the current directory by way of another", () => ["../tree"], "it is the current directory"],
    ["a directory above", () => [dir.join("m")], "the current directory is in it"],
    ["a directory above by way of a link", () => [dir.join("here/m")], "the current directory is in it"],
    ["..", () => [".."], "it ends with .."],
    ["sub/..", () => ["sub/.."], "it ends with .."],
  ];
  test.each(local)("here: %s", async (_, words, why) => {
    symlinkSync(dir.path, dir.join("here"));
    const { exitCode, stderr } = await fastsync(["rm", "-r", "--yes", ...words()], { cwd: dir.join("m/tree") });
    expect([exitCode, stderr.includes(why) ? why : stderr]).toEqual([3, why]);
    expect(has("m/tree/sub/inner")).toBe(true);
  });

  test.skipIf(!isRoot())("a mount point, nor what holds one (needs root)", async () => {
    mkdirSync(dir.join("m/tree/mounted"));
    expect(spawnSync("mount", ["--bind", dir.join("outside"), dir.join("m/tree/mounted")]).status).toBe(0);
    try {
      const direct = await fastsync(["rm", "-r", "--yes", dir.join("m/tree/mounted")]);
      expect([direct.exitCode, direct.stderr]).toEqual([3, expect.stringContaining("something is mounted there")]);
      const above = await fastsync(["rm", "-r", "--yes", dir.join("m/tree")]);
      expect([above.exitCode, above.stderr]).toEqual([
        23,
        expect.stringContaining("mounted: cannot delete: something is mounted"),
      ]);
      expect([has("outside/kept"), has("m/tree/mounted/kept"), has("m/tree/file")]).toEqual([true, true, false]);
    } finally {
      spawnSync("umount", [dir.join("m/tree/mounted")]);
    }
  });

  const spellings = ["", "/", ".", "./", "//", "/.", "./."];
  test.each(spellings)("in a module: the module itself, written %j", async (spelling) => {
    const { exitCode, stderr } = await fastsync(["rm", "-r", "--yes", await place("in a module", spelling)]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain("it is the module itself");
    expect(has("m/alone")).toBe(true);
  });

  test("in a module: a daemon as a whole", async () => {
    await place("in a module", "");
    const { exitCode, stderr } = await fastsync(["rm", "-r", "--yes", `127.0.0.1:${daemon!.port}:`]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("names no module")]);
  });
});

test("what became something else after it was let pass stays, and the others go", async () => {
  const backend = openBackend({ workers: 1 });
  const paths = ["alone", "tree/file"].map((path) => Buffer.from(dir.join(`m/${path}`)));
  let looked = 0;
  const refuses = (): string | undefined => {
    if (++looked === 2) {
      unlinkSync(dir.join("m/alone"));
      mkdirSync(dir.join("m/alone"));
      writeFileSync(dir.join("m/alone/kept"), "");
    }
    return undefined;
  };
  const request = { recursive: false, dryRun: false, tellEntries: false };
  try {
    const parts = await Array.fromAsync(
      removePaths(backend, OPERATOR, paths, request, refuses, new AbortController().signal),
    );
    expect(parts.flatMap((part) => part.paths)).toMatchObject([
      { removed: false, isDirectory: true },
      { removed: true, isDirectory: false },
    ]);
    expect(parts.flatMap(({ failures }) => failures)).toMatchObject([{ message: "it is a directory, which takes -r" }]);
    expect([has("m/alone/kept"), has("m/tree/file")]).toEqual([true, false]);
  } finally {
    await backend.shutdown();
  }
});

test("so does what is refused only by then", async () => {
  const backend = openBackend({ workers: 1 });
  let looked = 0;
  const refuses = (): string | undefined => (++looked === 1 ? undefined : "it is the current directory");
  const request = { recursive: true, dryRun: false, tellEntries: false };
  try {
    const parts = await Array.fromAsync(
      removePaths(backend, OPERATOR, [Buffer.from(dir.join("m/tree"))], request, refuses, new AbortController().signal),
    );
    expect(parts.flatMap((part) => part.paths)).toMatchObject([{ removed: false, entries: 0 }]);
    expect(has("m/tree/sub/inner")).toBe(true);
  } finally {
    await backend.shutdown();
  }
});
