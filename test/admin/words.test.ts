/** What verbs and daemons say: places are named whole and users by name, one mistake has one wording and one exit code. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { deniedText, E } from "../../src/core/errno.ts";
import { saidAt } from "../../src/link/dial.ts";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { asUserMissing, fastsync, fastsyncJson, fastsyncOnTerminal, ORDINARY_USER } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { expectLookLines } from "./support/look-schema.ts";

let dir: TempDir;
let daemon: TestDaemon;
beforeAll(async () => {
  dir = tempDir();
  mkdirSync(dir.join("m/tree/sub"), { recursive: true });
  writeFileSync(dir.join("m/tree/file"), "file");
  symlinkSync("file", dir.join("m/tree/link"));
  spawnSync("mkfifo", [dir.join("m/tree/pipe")]);
  symlinkSync("tree", dir.join("m/way"));
  writeFileSync(dir.join("m/alone"), "alone");
  daemon = await startDaemon({ path: dir.join("m") });
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  dir[Symbol.dispose]();
});

const host = (): string => `127.0.0.1:${daemon.port}`;
const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1)!;

describe("a place behind a daemon is named with host and module", () => {
  test.concurrent.each(["ls", "ls -d", "find", "du", "df"])("%s", async (verb) => {
    const { exitCode, stderr } = await fastsync([...verb.split(" "), daemon.place("tree/gone")]);
    const [name] = verb.split(" ");
    expect([exitCode, stderr]).toEqual([
      3,
      `fastsync ${name}: ${host()}:/m/tree/gone cannot be used: it does not exist (exit 3)\n`,
    ]);
  });

  const cases: readonly (readonly [what: string, words: () => string[], message: () => string])[] = [
    [
      "rm of a directory",
      () => ["rm", "--yes", daemon.place("tree")],
      () => `${host()}:/m/tree is not removed: it is a directory, which takes -r (exit 3)`,
    ],
    [
      "a source",
      () => ["copy", daemon.place("gone"), dir.join("out")],
      () => `fastsync: source ${host()}:/m/gone cannot be used: it does not exist (exit 3)`,
    ],
    [
      "a source of cp that is a directory",
      () => ["cp", daemon.place("tree"), dir.join("out")],
      () => `fastsync: source ${host()}:/m/tree is a directory; directories are copied with -R`,
    ],
    [
      "a target below a file",
      () => ["copy", dir.join("m/alone"), daemon.place("tree/file/x")],
      () => `fastsync: target ${host()}:/m/tree/file is not a directory (exit 3)`,
    ],
    [
      "a target behind a link",
      () => ["copy", dir.join("m/tree/"), daemon.place("way/new")],
      () => `fastsync: target ${host()}:/m/way/new `,
    ],
    [
      "a directory for temporary files",
      () => ["copy", "--temp-dir", "file/t", dir.join("m/alone"), daemon.place("tree/")],
      () => `fastsync: ${host()}:/m/tree/file/t cannot be used for --temp-dir: not a directory (exit 3)`,
    ],
    ["a module", () => ["ls", `${host()}:/n`], () => "there is no module 'n' here, or it is not open to you"],
  ];
  test.concurrent.each(cases)("%s", async (_, words, message) => {
    const { stderr } = await fastsync(words());
    expect(stderr).toContain(message());
  });

  test("and without the port that all have", () => {
    const nas = { host: "nas", port: 9040 };
    expect(saidAt(nas, "/photos/x cannot be used")).toBe("nas:/photos/x cannot be used");
    expect(saidAt(nas, "source //x cannot be used")).toBe("source nas://x cannot be used");
    expect(saidAt({ host: "fe80::1", port: 9040 }, "target /m is full")).toBe("target [fe80::1]:/m is full");
    expect(saidAt({ host: "nas", port: 1 }, "/m is full")).toBe("nas:1:/m is full");
    expect(saidAt(nas, "it is stopping")).toBe("nas:9040: it is stopping");
  });
});

describe.each(["here", "in a module"] as const)("rm of what is not there, %s", (side) => {
  const place = (path: string): string => (side === "here" ? dir.join(`m/${path}`) : daemon.place(path));
  const said = (path: string): string => `fastsync rm: ${place(path)}: cannot delete: it does not exist\n`;

  test("one place, and several: the same words and code", async () => {
    writeFileSync(dir.join("m/goes"), "");
    const one = await fastsync(["rm", "--yes", place("gone")]);
    expect([one.exitCode, one.stderr]).toEqual([23, `${said("gone")}fastsync rm: 1 failed (exit 23)\n`]);
    const two = await fastsync(["rm", "--yes", place("gone"), place("away")]);
    expect([two.exitCode, two.stderr]).toEqual([23, `${said("gone")}${said("away")}fastsync rm: 2 failed (exit 23)\n`]);
    const some = await fastsync(["rm", "--yes", place("gone"), place("goes")]);
    expect([some.exitCode, some.stderr]).toEqual([23, `${said("gone")}fastsync rm: 1 failed (exit 23)\n`]);
    expect(existsSync(dir.join("m/goes"))).toBe(false);
    const { events, summary } = await fastsyncJson(["rm", "--yes", place("gone")]);
    expectLookLines(events);
    expect(events.find(({ type }) => type === "error")).toMatchObject({ code: "not_found", operation: "delete" });
    expect(summary).toMatchObject({ exit_code: 23, exit_reason: "partial" });
  });

  test("on a terminal nobody is asked about nothing, and nothing is said twice", async () => {
    const { exitCode, output } = await fastsyncOnTerminal(["rm", place("gone")], [], { columns: 200 });
    expect([exitCode, output.replaceAll("\r", "")]).toEqual([23, `${said("gone")}fastsync rm: 1 failed (exit 23)\n`]);
    writeFileSync(dir.join("m/goes"), "");
    const answers = [{ prompt: "[y/N]", reply: "y\n" }];
    const some = await fastsyncOnTerminal(["rm", place("gone"), place("goes")], answers, { columns: 200 });
    expect(some.exitCode).toBe(23);
    expect(some.output.split("does not exist").length).toBe(2);
    expect(some.output.split(place("gone")).length).toBe(2);
  });

  test("each entry that goes has its kind", async () => {
    const { events } = await fastsyncJson(["rm", "-rnv", place("tree"), place("alone")]);
    expectLookLines(events);
    const kinds = events
      .filter(({ type }) => type === "delete" || type === "removed")
      .map(({ type, path, kind }) => [type, String(path).split("/").at(-1)!, kind]);
    expect(kinds.sort()).toEqual(
      [
        ["delete", "alone", "file"],
        ["delete", "file", "file"],
        ["delete", "link", "symlink"],
        ["delete", "pipe", "fifo"],
        ["delete", "sub", "directory"],
        ["delete", "tree", "directory"],
        ["removed", "alone", "file"],
        ["removed", "tree", "directory"],
      ].sort(),
    );
  });

  test("-v names a file once", async () => {
    const { stdout } = await fastsync(["rm", "-nv", place("alone")]);
    expect(stdout).toBe(`would remove ${place("alone")}\n`);
  });

  test("-q leaves nothing but errors", async () => {
    writeFileSync(dir.join("m/goes"), "");
    const { exitCode, stdout, stderr } = await fastsync(["rm", "-q", "--yes", place("goes")]);
    expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
  });
});

test("names as they are go to no terminal", async () => {
  const { exitCode, output } = await fastsyncOnTerminal(["find", "--print0", dir.path]);
  expect([exitCode, output]).toEqual([1, expect.stringContaining("--print0 is for programs")]);
  expect(output).not.toContain("\0");
});

describe("the exit code", () => {
  const cases: readonly (readonly [words: () => string[], code: number])[] = [
    [() => ["ls", "/nowhere/x"], 3],
    [() => ["ls", dir.join("m"), "/nowhere/x"], 23],
    [() => ["ls", "/nowhere/x", "/nowhere/y"], 3],
    [() => ["rm", "/nowhere/x"], 25],
    [() => ["rm", "--yes", "/"], 3],
    [() => ["jobs", "list", "127.0.0.1:1"], 10],
    [() => ["list-modules", "127.0.0.1:1"], 10],
    [() => ["capabilities", "/root/../nowhere/x", "."], 3],
    [() => ["explain", "/nowhere/x", "."], 3],
    [() => ["copy", "/nowhere/x", "."], 3],
  ];
  test.concurrent.each(cases)("stands behind the last line", async (words, code) => {
    const { exitCode, stderr } = await fastsync(words());
    expect([exitCode, lastLine(stderr)]).toEqual([
      code,
      expect.stringMatching(new RegExp(`^fastsync.* \\(exit ${code}\\)$`)),
    ]);
    expect(stderr.split("(exit ").length).toBe(2);
  });
  test("is not told of a wrong command line", async () => {
    const { exitCode, stderr } = await fastsync(["ls", "--frob"]);
    expect([exitCode, stderr.includes("(exit")]).toEqual([1, false]);
  });
});

describe.skipIf(asUserMissing() !== undefined)(`who is denied (${asUserMissing() ?? "as an ordinary user"})`, () => {
  const asUser = { asUser: ORDINARY_USER };
  let closed: TestDaemon;
  beforeAll(async () => {
    mkdirSync(dir.join("p/shut/in"), { recursive: true });
    writeFileSync(dir.join("p/secret"), "secret");
    writeFileSync(dir.join("p/told"), "told");
    chmodSync(dir.join("p/shut"), 0o700);
    chmodSync(dir.join("p/secret"), 0o600);
    chmodSync(dir.path, 0o777);
    closed = await startDaemon({ path: dir.join("p"), ...asUser });
  });
  afterAll(() => closed[Symbol.asyncDispose]());
  const WAY = "Denied: run fastsync as a user who may (sudo), or let the daemon's user in.";

  test("a place", async () => {
    const here = await fastsync(["ls", dir.join("p/shut/in")], asUser);
    expect([here.exitCode, here.stderr]).toEqual([
      3,
      `fastsync ls: ${dir.join("p/shut/in")} cannot be used: permission denied to user nobody; run fastsync as a user who may (sudo) (exit 3)\n`,
    ]);
    const there = await fastsync(["ls", closed.place("shut/in")]);
    expect([there.exitCode, there.stderr]).toEqual([
      3,
      `fastsync ls: ${closed.place("shut/in")} cannot be used: permission denied to user nobody, who runs the daemon; its operator has to give that user access (exit 3)\n`,
    ]);
    const source = await fastsync(["copy", dir.join("p/shut/in"), dir.join("out")], asUser);
    expect(source.stderr).toContain("cannot be used: permission denied to user nobody; run fastsync as");
    const pulled = await fastsync(["copy", closed.place("shut/in"), dir.join("out")]);
    expect(pulled.stderr).toContain(
      "cannot be used: permission denied to user nobody, who runs the daemon; its operator",
    );
  });

  test("an entry", async () => {
    const here = await fastsync(["find", dir.join("p")], asUser);
    expect(here.stderr).toBe(
      `fastsync find: ${dir.join("p/shut")}: cannot read directory: permission denied to user nobody\n  ${WAY}\nfastsync find: 1 failed (exit 23)\n`,
    );
    const there = await fastsync(["du", closed.place("")]);
    expect(there.stderr).toContain(
      "/shut: cannot read directory: permission denied to user nobody, who runs the daemon\n",
    );
  });

  test("an entry of a run, on either side of it", async () => {
    mkdirSync(dir.join("into"));
    chmodSync(dir.join("into"), 0o777);
    const here = await fastsync(["copy", "--no-owner", "--no-group", dir.join("p/"), dir.join("into/here/")], asUser);
    expect([here.exitCode, here.stderr]).toEqual([
      23,
      expect.stringContaining("secret: cannot open: permission denied to user nobody (source)"),
    ]);
    expect(here.stderr).toContain("shut: cannot read directory: permission denied to user nobody (source)");
    expect(here.stderr).toContain(WAY);
    const pulled = await fastsync(["copy", closed.place(""), dir.join("into/pulled/")]);
    expect(pulled.stderr).toContain(
      "secret: cannot open: permission denied to user nobody, who runs the daemon (source)",
    );
    const explained = await fastsync(["explain", dir.join("p/"), dir.join("into/none/")], asUser);
    expect([explained.exitCode, lastLine(explained.stderr)]).toEqual([23, "fastsync explain: 1 failed (exit 23)"]);
    const pushed = await fastsync(
      ["copy", "--no-owner", "--no-group", dir.join("p/"), daemon.place("pushed/")],
      asUser,
    );
    expect(pushed.stderr).toContain("secret: cannot open: permission denied to user nobody (source)");
  });

  test("whom no mode helps hears that", () => {
    expect(deniedText(E.PERM, "user ann")).toBe(
      "permission denied to user ann: it is another user's, or immutable or append-only",
    );
    expect(deniedText(-E.PERM, "root")).toBe("permission denied to root: it is immutable or append-only");
  });
});

describe("words for a daemon", () => {
  const config = (): string => dir.join("config.toml");
  beforeAll(() => {
    const text = `[remotes.box]\nendpoint = "${daemon.place("tree")}"\n[remotes.disk]\nendpoint = "/srv"\n`;
    writeFileSync(config(), text, { mode: 0o644 });
  });
  test.concurrent.each(["box", "box:", "HOST", "HOST:", "fastsync://HOST"])("%s", async (word) => {
    const at = word.replace("HOST", host());
    const modules = await fastsync(["list-modules", at, "--config", config()]);
    expect([modules.exitCode, modules.stdout]).toEqual([0, "m  read-write\n"]);
    for (const words of [["list"], []]) {
      const { exitCode, stderr } = await fastsync(["jobs", ...words, at, "--config", config()]);
      expect([word, words, exitCode, stderr]).toEqual([
        word,
        words,
        0,
        exitCode === 0 ? stderr : `The daemon at ${host()} tells of no jobs that are yours.\n`,
      ]);
    }
  });
  test.concurrent.each([
    ["box:tree", "'box:tree' is a place, and a daemon as a whole is meant here\n  Write box\n"],
    [
      "HOST:/m/tree",
      "'HOST:/m/tree' is no daemon\n  A daemon is written HOST, HOST:PORT or [IPV6]:PORT, without a module: HOST\n",
    ],
    ["disk", "the remote disk stands for a local path: there is no daemon behind it\n"],
  ])("%s is refused with the right one", async (word, message) => {
    for (const verb of [["jobs", "list"], ["list-modules"]]) {
      const { exitCode, stderr } = await fastsync([...verb, word.replace("HOST", host()), "--config", config()]);
      const expected = message.replace("'HOST", `'${host()}`).replace(/: HOST\n$/, `: ${host()}\n`);
      expect([verb, exitCode, stderr.includes(expected) ? expected : stderr]).toEqual([verb, 1, expected]);
    }
  });
  test("a host that cannot be found, and has a remote's name, was meant for the remote", async () => {
    const file = dir.join("slash.toml");
    writeFileSync(file, `[remotes.nowhere-zzqx]\nendpoint = "${host()}:/m"\n`, { mode: 0o644 });
    for (const words of [
      ["ls", "nowhere-zzqx:/tree"],
      ["copy", "-n", "nowhere-zzqx:/tree", dir.join("here")],
    ]) {
      const { exitCode, stderr } = await fastsync([...words, "--config", file]);
      expect([exitCode, stderr]).toEqual([
        10,
        expect.stringContaining("cannot be resolved; nowhere-zzqx is a configured remote, too: nowhere-zzqx:PATH"),
      ]);
    }
  });
  test("--no-config knows no remote", async () => {
    for (const verb of [["jobs", "list"], ["list-modules"]]) {
      const words = [...verb, "disk.invalid", "--no-config"];
      const { exitCode, stderr } = await fastsync(words, { env: { FASTSYNC_CONFIG: config() } });
      expect([exitCode, stderr]).toEqual([
        10,
        expect.stringContaining("the name of disk.invalid:9040 cannot be resolved"),
      ]);
    }
  });
});

describe("--quiet", () => {
  test.concurrent.each(["ls", "find", "du", "df", "list-modules x", "scan", "doctor", "presets"])(
    "is refused where what is printed is the answer: %s",
    async (verb) => {
      const { exitCode, stderr } = await fastsync([...verb.split(" "), "-q"]);
      const [name] = verb.split(" ");
      expect([exitCode, stderr]).toEqual([
        1,
        expect.stringContaining(`${name} has no use for it\n  What ${name} prints is its answer: >/dev/null leaves`),
      ]);
    },
  );
  test.concurrent.each(["list", "watch"])("jobs %s", async (action) => {
    const { exitCode, stderr } = await fastsync(["jobs", action, "-q"]);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("--quiet is for watch ID and for cancel")]);
  });
});

test("a run is called by the verb that was written, in its text, records and history", async () => {
  const env = { XDG_STATE_HOME: dir.join("state"), FASTSYNC_HISTORY: undefined };
  const cases = [
    [["sync"], "copy"],
    [["sync", "--delete", "--yes"], "mirror"],
    [["cp", "-R"], "copy"],
    [["move"], "move"],
  ] as const;
  for (const [index, [words, verb]] of cases.entries()) {
    const [command] = words;
    const from = dir.join(`from${index}`);
    mkdirSync(from);
    writeFileSync(`${from}/file`, "x");
    const { events, summary } = await fastsyncJson([...words, `${from}/`, dir.join(`to${index}`)], { env });
    expect(events[0]).toMatchObject({ type: "start", verb, command });
    expect(summary).toMatchObject({ verb, command });
    writeFileSync(`${from}/more`, "x");
    const { stdout } = await fastsync([...words, `${from}/`, dir.join(`to${index}`)], { env });
    expect(stdout).toStartWith(`${command} ${from}/ -> `);
  }
  const { stdout } = await fastsync(["profile", "--json"], { env });
  const runs = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(runs.filter(({ type }) => type === "profile_run").map(({ verb, command }) => [command, verb])).toEqual(
    cases.flatMap(([[command], verb]) => [
      [command, verb],
      [command, verb],
    ]),
  );
  expect((await fastsync(["profile"], { env })).stdout).toMatch(/ sync +local /);
});

test("a pattern that matches nothing is told of the line, and not of what stands in the configuration", async () => {
  const config = dir.join("standing.toml");
  writeFileSync(config, '[global]\nexclude = ["*.iso"]\n', { mode: 0o644 });
  const words = ["copy", "--config", config, "--exclude", "*.lgo", dir.join("m/tree/"), dir.join("excluded")];
  const { stderr } = await fastsync(words);
  expect(stderr).toBe("fastsync: warning: pattern matched nothing: --exclude *.lgo\n");
  const { summary } = await fastsyncJson(words);
  expect(summary["unmatched_patterns"]).toEqual(expect.arrayContaining(["--exclude *.lgo", "--exclude *.iso"]));
});
