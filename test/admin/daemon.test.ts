/** What verbs that look get from a daemon: what its modules allow, in every spelling, and no more. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { RemoteCalls } from "../../src/admin/remote.ts";
import { RunError } from "../../src/core/run-error.ts";
import { eventually, type OwnDaemon, startDaemon } from "../conformance/peer/daemon.ts";
import { fastsync, fastsyncJson, startFastsync } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectLookLines } from "./support/look-schema.ts";

let daemon: OwnDaemon;
let scratch: TempDir;
const at = (path: string): string => daemon.process.path(path);
beforeAll(async () => {
  scratch = tempDir();
  daemon = await startDaemon({
    modules: `
[[module]]
name = "drop"
path = "DIR/drop"
read_only = false
write_only = true
[[module]]
name = "hidden"
path = "DIR/ro"
comment = "not shown"
list = false
[[module]]
name = "denied"
path = "DIR/ro"
deny = ["127.0.0.0/8"]
[[module]]
name = "others"
path = "DIR/ro"
allow = ["192.0.2.0/24"]
[[module]]
name = "missing"
path = "DIR/not-there"
comment = "a disk \\u001b[31mthat is away"
`,
  });
  for (const path of ["drop", "rw/tree", "rw/tree/sub", "rw/real"]) mkdirSync(at(path));
  writeFileSync(at("drop/there"), "there");
  writeFileSync(at("rw/tree/file"), "file");
  writeFileSync(at("rw/tree/ev\u001b[31mil\n"), "");
  writeFileSync(at("rw/real/inner"), "inner");
  symlinkSync("../outside", at("rw/out"));
  symlinkSync(at("outside"), at("rw/absolute"));
  symlinkSync("real", at("rw/inside"));
  symlinkSync("../../outside/secret", at("rw/tree/secret"));
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  scratch[Symbol.dispose]();
});

const host = (): string => `127.0.0.1:${daemon.port}`;
const place = (module: string, path = ""): string => `${host()}:/${module}/${path}`;

/** One call as the program makes it: how it ended, and what it told. */
type Verb = "list" | "find" | "du" | "df" | "complete" | "rm" | "rm -n";
const VERBS: readonly Verb[] = ["list", "find", "du", "df", "complete", "rm", "rm -n"];
const FIND = {
  ...{ names: [], paths: [], types: "", minSize: undefined, maxSize: undefined, modifiedAfter: undefined },
  ...{ modifiedBefore: undefined, maxDepth: undefined, limit: 0, oneFileSystem: false },
};
async function asked(verb: Verb, module: string, path: string): Promise<{ reason: string; told: string }> {
  const calls = new RemoteCalls(daemon, module, new AbortController().signal);
  const bytes = Buffer.from(path);
  const told: unknown[] = [];
  const all = async (parts: AsyncIterable<unknown>): Promise<void> => {
    for await (const part of parts) told.push(part);
  };
  const removal = { recursive: true, dryRun: verb === "rm -n", tellEntries: true };
  try {
    if (verb === "list") await all(calls.list(bytes, { all: true, after: new Uint8Array(0), limit: 0, self: false }));
    else if (verb === "find") await all(calls.find(bytes, FIND));
    else if (verb === "du") await all(calls.usage(bytes, { maxDepth: undefined, oneFileSystem: false }));
    else if (verb === "df") told.push(await calls.filesystem(bytes));
    else if (verb === "complete") told.push(await calls.complete(bytes, { limit: 0, directoriesOnly: false }));
    else await all(calls.remove([bytes], removal));
    return { reason: "ok", told: textOf(told) };
  } catch (error) {
    if (!(error instanceof RunError)) throw error;
    expect([verb, path, error.exitCode]).toEqual([verb, path, 3]);
    return { reason: error.reason, told: textOf(told) };
  }
}
const textOf = (told: unknown): string =>
  JSON.stringify(told, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value,
  );

describe("a module", () => {
  const removing = VERBS.filter((verb) => verb.startsWith("rm"));
  const refused: readonly (readonly [string, string, readonly Verb[], string])[] = [
    ["that is not there", "nothing", VERBS, "no_such_module"],
    ["that denies this address", "denied", VERBS, "no_such_module"],
    ["that allows others", "others", VERBS, "no_such_module"],
    ["whose directory is away", "missing", VERBS.filter((verb) => !verb.startsWith("rm")), "module_unavailable"],
    [
      "that is write-only: but its space may be asked for",
      "drop",
      VERBS.filter((verb) => verb !== "df"),
      "write_only_module",
    ],
    ["that is read-only, to which nothing is done", "ro", removing, "read_only_module"],
  ];
  test.concurrent.each(refused)("%s", async (_, module, verbs, reason) => {
    for (const path of ["file", "", "./", "..", "a//b/"])
      for (const verb of verbs)
        expect([verb, path, (await asked(verb, module, path)).reason]).toEqual([verb, path, reason]);
    expect([existsSync(at("ro/file")), existsSync(at("drop/there"))]).toEqual([true, true]);
  });
  test("is refused to the program in the same words", async () => {
    for (const [words, reason] of [
      [["ls", place("drop")], "write_only_module"],
      [["rm", "--yes", place("ro", "file")], "read_only_module"],
      [["find", place("denied")], "no_such_module"],
      [["du", place("missing", "x")], "module_unavailable"],
    ] as const) {
      const { exitCode, summary, events } = await fastsyncJson(words);
      expectLookLines(events);
      expect([words[0], exitCode, summary["exit_reason"]]).toEqual([words[0], 3, reason]);
    }
  });

  const ways = [
    ...[
      "out/",
      "out/secret",
      "absolute/secret",
      "inside/inner",
      "tree/secret/x",
      "tree/../real/inner",
      "..",
      "../ro/file",
    ],
    ...["tree/..", "out//secret", "./out/./secret", "/etc/passwd", "tree/./../../outside/secret"],
  ];
  test.concurrent.each(ways)("is not left, nor gone through a link, by the way of %s", async (path) => {
    for (const verb of VERBS) {
      const { reason, told } = await asked(verb, "rw", path);
      // The names that begin like a link's are names of the module; a slash behind a link of it is no directory.
      const expected = verb.startsWith("rm") && path === "out/" ? "not_removed" : "place_unusable";
      expect([verb, reason, told]).toEqual([verb, expected, "[]"]);
    }
    expect([existsSync(at("outside/secret")), existsSync(at("rw/real/inner"))]).toEqual([true, true]);
  });

  test("does not follow links that it finds", async () => {
    const { stdout } = await fastsync(["find", place("rw")]);
    expect(stdout).toContain("/rw/out\n");
    expect(stdout).not.toContain("outside");
    expect(stdout).not.toContain("out/secret");
  });

  test("is served under its name, though it is hidden", async () => {
    expect((await fastsync(["ls", place("hidden")])).stdout).toBe("file\n");
  });
});

describe("a daemon as a whole", () => {
  test.each(["list-modules %", "ls %:", "list %:/", "utils list-modules %", "ls fastsync://%"])("%s", async (line) => {
    const words = line.replace("%", host()).split(" ");
    const { events, exitCode } = await fastsyncJson(words);
    expectLookLines(events);
    expect(exitCode).toBe(0);
    const modules = events
      .filter(({ type }) => type === "module")
      .map(({ name, read_only, write_only, available }) => [name, read_only, write_only, available]);
    expect(modules).toEqual([
      ["drop", false, true, true],
      ["missing", true, false, false],
      ["ro", true, false, true],
      ["rw", false, false, true],
    ]);
  });
  test("as text steers no terminal", async () => {
    const { stdout } = await fastsync(["list-modules", host()]);
    expect(stdout).toContain("drop     write-only\n");
    expect(stdout).not.toContain("\u001b");
  });
  test("that is not there", async () => {
    const { exitCode, stderr } = await fastsync(["list-modules", "127.0.0.1:1"]);
    expect([exitCode, stderr]).toEqual([10, expect.stringContaining("nothing listens")]);
  });
  test("has no root", async () => {
    const { summary } = await fastsyncJson(["ls", `${host()}://`]);
    expect(summary).toMatchObject({ exit_code: 3, exit_reason: "no_such_module" });
  });
});

describe("names", () => {
  test("steer no terminal", async () => {
    for (const words of [["ls", "-l"], ["find"], ["rm", "-rnv"]]) {
      const { stdout, stderr } = await fastsync([...words, place("rw", "tree")]);
      expect(stdout + stderr).not.toContain("\u001b");
      if (words[0] !== "rm" || words.length > 1) expect(stdout).toContain("ev\\033[31mil\\012");
    }
  });
  test("of remotes of the configuration are places", async () => {
    const config = scratch.join("config.toml");
    writeFileSync(config, `[remotes.box]\nendpoint = "${place("rw")}"\nworkers = 3\n[global]\nmax_size = 1\n`);
    chmodSync(config, 0o644);
    const run = async (...words: string[]): Promise<string> => (await fastsync([...words, "--config", config])).stdout;
    expect(await run("find", "--type", "f", "box:real")).toBe(`${place("rw", "real/inner")}\n`);
    expect(await run("ls", "box:")).toContain("real/\n");
    const bare = await fastsync(["ls", "box", "--config", config]);
    expect([bare.exitCode, bare.stderr]).toEqual([1, expect.stringContaining("Write box: for the place")]);
    const named = await fastsync(["list-modules", "box"], { env: { FASTSYNC_CONFIG: config } });
    expect([named.exitCode, named.stdout]).toEqual([0, (await fastsync(["list-modules", host()])).stdout]);
    // A daemon as `scan` prints it; where a remote has the name, a number is a path of it.
    expect(await run("ls", host())).toBe(await run("ls", `${host()}:`));
    expect(await run("find", "--type", "f", "box:9040")).toBe("");
    expect(await run("df", "box:tree")).toContain(place("rw", "tree"));
  });
});

describe("the daemon", () => {
  test("stops looking when nobody takes what it finds", async () => {
    for (let i = 0; i < 5; i++) {
      mkdirSync(at(`rw/wide/${i}`), { recursive: true });
      for (let j = 0; j < 60; j++) writeFileSync(at(`rw/wide/${i}/${"n".repeat(200)}${j}`), "");
    }
    const before = daemon.process.descriptors().length;
    const child = startFastsync(["find", place("rw", "wide")], { prefix: ["bash", "-c", '"$@" | head -n 1', "sh"] });
    const { stdout } = await child.result;
    expect(stdout.trim()).toBe(place("rw", "wide"));
    await daemon.process.logged("call", (line) => line["path"] === "wide");
    await eventually(() => daemon.process.descriptors().length <= before, "descriptors are given back");
  });
  test("tells each call in its log", async () => {
    await fastsync(["du", place("rw", "real")]);
    const line = await daemon.process.logged("call", ({ call, path }) => call === "du" && path === "real");
    expect(line).toMatchObject({
      level: "info",
      peer: expect.stringContaining("127.0.0.1"),
      module: "rw",
      exit_reason: "ok",
    });
    // One that answers once ends as well as one that goes on.
    await fastsync(["df", place("rw", "real")]);
    const df = await daemon.process.logged("call", ({ call, path }) => call === "df" && path === "real");
    expect(df["exit_reason"]).toBe("ok");
    const refused = daemon.process.log("refused").find((one) => one["reason"] === "read_only_module");
    expect(refused).toMatchObject({ level: "warning", module: "ro" });
  });
});
