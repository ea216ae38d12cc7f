/** Lines that people read: whole where no terminal is, and on a terminal between words, before its edge. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { hanging, tableLines } from "../../src/cli/report/screen.ts";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { fastsync, fastsyncOnTerminal } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

const ROWS = [
  ["NAME", "SIZE", "WHAT"],
  ["a", "1,000", "copy to /photos/2024 by 10.0.0.5"],
  ["longer", "2", "move"],
];
const NUMBERS = new Set([1]);

describe("a table", () => {
  test("is one line a row where nothing bounds it", () => {
    expect(tableLines(ROWS, Number.POSITIVE_INFINITY, NUMBERS)).toEqual([
      "NAME     SIZE  WHAT",
      "a       1,000  copy to /photos/2024 by 10.0.0.5",
      "longer      2  move",
    ]);
  });
  test("wraps its text between words, below its beginning", () => {
    expect(tableLines(ROWS, 40, NUMBERS)).toEqual([
      "NAME     SIZE  WHAT",
      "a       1,000  copy to /photos/2024 by",
      "               10.0.0.5",
      "longer      2  move",
    ]);
  });
  test("puts below what has no room beside the others, in all rows", () => {
    expect(tableLines(ROWS, 32, NUMBERS)).toEqual([
      "NAME     SIZE",
      "    WHAT",
      "a       1,000",
      "    copy to /photos/2024 by",
      "    10.0.0.5",
      "longer      2",
      "    move",
    ]);
    expect(tableLines(ROWS, 12, NUMBERS)[0]).toBe("NAME");
  });
  test("a word longer than the line is not broken", () => {
    expect(hanging("x  ", "a/path/without/an/end/of/it and more", 30)).toEqual([
      "x  a/path/without/an/end/of/it",
      "   and more",
    ]);
    expect(hanging("a head that takes the line  ", "text", 30)).toEqual(["a head that takes the line", "    text"]);
  });
});

describe("screens", () => {
  let dir: TempDir;
  let daemon: TestDaemon;
  let runs = 0;
  const env = (): Record<string, string | undefined> => ({
    XDG_STATE_HOME: dir.join("state"),
    FASTSYNC_CONFIG: dir.join("config.toml"),
    FASTSYNC_HISTORY: undefined,
    FASTSYNC_DELETE: "a variable that nothing reads is told in a long line",
  });
  beforeAll(async () => {
    dir = tempDir();
    mkdirSync(dir.join("from/a directory with a name of many words that goes on and on"), { recursive: true });
    writeFileSync(dir.join("from/file"), "x");
    for (const name of ["m", "empty"]) mkdirSync(dir.join(name));
    daemon = await startDaemon({
      path: dir.join("m"),
      module: 'comment = "the pictures of the family, of all the years that there were pictures"',
    });
    const words = Array.from({ length: 12 }, (_, i) => `"*.extension-${i}"`).join(", ");
    writeFileSync(
      dir.join("config.toml"),
      `[global]\nexclude = [${words}]\nbwlimit = "50M"\n[profiles.of_many_words]\npreset = "wan"\n[remotes.nas]\nendpoint = "nas.lan:/media/photos"\n`,
      { mode: 0o644 },
    );
    await fastsync(["copy", dir.join("from/"), dir.join("to/")], { env: env() });
    await fastsync(["copy", dir.join("from/"), daemon.place("a directory of many words/and another one/")], {
      env: env(),
    });
  });
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]();
    dir[Symbol.dispose]();
  });

  const SCREENS: readonly (readonly [name: string, words: () => string[]])[] = [
    ["doctor", () => ["doctor", dir.path, "/nowhere/at/all", daemon.place("")]],
    ["presets", () => ["presets"]],
    ["explain", () => ["explain", dir.join("from/"), dir.join("to/")]],
    ["profile", () => ["profile"]],
    ["df", () => ["df", "/", "/proc", dir.path, daemon.place("")]],
    ["config show", () => ["config", "show"]],
    ["config check", () => ["config", "check"]],
    ["a guard", () => ["mirror", "-n", "empty/", "to/"]],
    ["statistics", () => ["copy", "--stats", "--no-progress", "from/", daemon.place(`x${runs++}/`)]],
    ["settings of a verbose run", () => ["copy", "-nv", "empty/", "to/"]],
    ["jobs list", () => ["jobs", "list", `127.0.0.1:${daemon.port}`]],
    ["list-modules", () => ["list-modules", `127.0.0.1:${daemon.port}`]],
    ["capabilities", () => ["capabilities", dir.path, dir.path]],
    ["scan", () => ["scan", "--timeout", "0.1"]],
    ["a wrong line", () => ["copy", "-avzP", "A", "B"]],
  ];
  for (const columns of [80, 60])
    test.concurrent.each(SCREENS)(`%s at ${columns} columns`, async (_, words) => {
      const { output } = await fastsyncOnTerminal(words(), [], { columns, env: env(), cwd: dir.path });
      const lines = output
        .replace(/\u001b\[\d*m/g, "")
        .replaceAll("\r", "")
        .trimEnd()
        .split("\n");
      const over = lines.filter((line) => line.length > columns && line.trim().includes(" "));
      expect(over).toEqual([]);
      expect(lines.length).toBeGreaterThan(1);
    });

  test.concurrent.each(SCREENS)("%s is not wrapped where no terminal is", async (_, words) => {
    const { stdout, stderr } = await fastsync(words(), { env: env(), cwd: dir.path });
    const terminal = await fastsyncOnTerminal(words(), [], { columns: 60, env: env(), cwd: dir.path });
    const count = (text: string): number => text.trimEnd().split("\n").length;
    expect(count(stdout + stderr)).toBeLessThan(count(terminal.output));
  });

  test("doctor gives a line for each finding, with what helps", async () => {
    const { stdout } = await fastsync(["doctor", "/nowhere/at/all"], { env: env() });
    const records = stdout.split("\n").filter((line) => /^(ok|warning|problem) /.test(line));
    expect(records.find((line) => line.includes("it is not there"))).toContain("  > as a source it has to exist");
    const others = stdout.split("\n").filter((line) => line !== "" && !records.includes(line));
    expect(others.length).toBe(2);
  });
});
