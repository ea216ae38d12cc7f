/** The configuration as an operator meets it: through the process, with files where they are looked for. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { unknownVariables } from "../../src/cli/settings/variables.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { jsonLines, run, type StartOptions } from "./processes.ts";

let dir: TempDir;
let file: string;
beforeEach(() => {
  dir = tempDir();
  mkdirSync(dir.join("home/.config/fastsync"), { recursive: true });
  file = dir.join("home/.config/fastsync/config.toml");
  mkdirSync(dir.join("A"));
  writeFileSync(dir.join("A/kept"), "kept");
  writeFileSync(dir.join("A/left.tmp"), "left out");
});
afterEach(() => dir[Symbol.dispose]());

const fastsync = (words: string[], over: StartOptions = {}) =>
  run(words, {
    main: "real",
    cwd: dir.path,
    ...over,
    env: { HOME: dir.join("home"), XDG_CONFIG_HOME: "", FASTSYNC_CONFIG: "", FASTSYNC_PROFILE: "", ...over.env },
  });

describe("a run", () => {
  test("does what the file says, says so with --verbose, and not with --no-config", async () => {
    writeFileSync(file, '[global]\nexclude = ["*.tmp"]\n', { mode: 0o644 });
    const told = await fastsync(["copy", "-v", "A/", "B/"]);
    expect(told.code).toBe(0);
    expect(told.out).toContain(`settings: --exclude (${file} [global])`);
    expect(existsSync(dir.join("B/kept"))).toBe(true);
    expect(existsSync(dir.join("B/left.tmp"))).toBe(false);
    expect((await fastsync(["copy", "--no-config", "A/", "C/"])).code).toBe(0);
    expect(existsSync(dir.join("C/left.tmp"))).toBe(true);
  });
  test("goes to a remote by its short name", async () => {
    writeFileSync(file, `[remotes.store]\nendpoint = "${dir.join("deep/store")}"\nbackup = true\n`, { mode: 0o644 });
    expect((await fastsync(["copy", "A/", "store:in/"])).code).toBe(0);
    expect(readFileSync(dir.join("deep/store/in/kept"), "utf8")).toBe("kept");
    writeFileSync(dir.join("A/kept"), "newer");
    expect((await fastsync(["copy", "A/", "store:in/"])).code).toBe(0);
    expect(readFileSync(dir.join("deep/store/in/kept~"), "utf8")).toBe("kept");
  });
  test("with a configuration that is wrong touches nothing, names the key and the way out", async () => {
    writeFileSync(file, "[global]\nexcluded = []\nworkers = [1]\n", { mode: 0o644 });
    const { code, out, err } = await fastsync(["copy", "A/", "B/"]);
    expect(code).toBe(1);
    expect(out).toBe("");
    expect(err).toContain(`fastsync copy: ${file}: global.`);
    expect(err).toContain("and 1 more; fastsync config check lists them");
    expect(err).toContain("--no-config");
    expect(existsSync(dir.join("B"))).toBe(false);
  });
  test("with a value that is wrong says where it comes from", async () => {
    writeFileSync(file, '[global]\nbwlimit = "fast"\n', { mode: 0o644 });
    const { code, err } = await fastsync(["copy", "A/", "B/"]);
    expect(code).toBe(1);
    expect(err).toContain(`--bwlimit comes from ${file} [global].`);
    const byVariable = await fastsync(["copy", "A/", "B/"], { env: { FASTSYNC_BWLIMIT: "faster" } });
    expect(byVariable.err).toContain("--bwlimit comes from FASTSYNC_BWLIMIT.");
  });
});

describe("fastsync config", () => {
  test("shows each value with its origin", async () => {
    writeFileSync(file, '[global]\nworkers = 2\nperms = false\n[profiles.wan]\nbwlimit = "2M"\n', { mode: 0o644 });
    const { code, out } = await fastsync(["config", "show", "--profile", "wan"], { env: { FASTSYNC_STREAMS: "3" } });
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^workers = "2" +${file} \\[global\\]$`, "m"));
    expect(out).toMatch(new RegExp(`^perms = false +${file} \\[global\\]$`, "m"));
    expect(out).toMatch(new RegExp(`^bwlimit = "2M" +${file} \\[profiles.wan\\]$`, "m"));
    expect(out).toMatch(/^streams = "3" +FASTSYNC_STREAMS$/m);
    expect(out).toMatch(/^checksum = false +default$/m);
    expect(out).toMatch(/^xattrs = true +default$/m);
    expect(out).toMatch(/^max_delete = - +default$/m);
    const lines = jsonLines((await fastsync(["config", "--json"])).out);
    expect(lines).toContainEqual({
      schema: 1,
      type: "setting",
      key: "workers",
      value: ["2"],
      origin: `${file} [global]`,
    });
    expect(lines.at(-1)).toEqual({
      ...{ schema: 1, type: "config", files: [file] },
      ...{ profile: null, profiles: ["wan"], remotes: {}, remote_settings: {} },
    });
    expect(lines[0]).toMatchObject({ schema: 1, type: "setting" });
  });
  test("shows what a remote says beside its endpoint", async () => {
    writeFileSync(file, '[remotes.nas]\nendpoint = "nas:/m"\nstreams = 2\nperms = false\n', { mode: 0o644 });
    const { out } = await fastsync(["config"]);
    expect(out).toContain('  nas:  nas:/m\n    perms = false\n    streams = "2"\n');
    expect(jsonLines((await fastsync(["config", "--json"])).out).at(-1)).toMatchObject({
      remotes: { nas: "nas:/m" },
      remote_settings: { nas: { streams: ["2"], perms: false } },
    });
  });
  test("checks all of it, what runs do not use too", async () => {
    writeFileSync(file, '[global]\nworkers = 2\n[profiles.wan]\nbwlimit = "2M"\n', { mode: 0o644 });
    const right = await fastsync(["config", "check"]);
    expect([right.code, right.err]).toEqual([0, ""]);
    expect(right.out).toContain(file);
    writeFileSync(file, '[global]\nworkes = 2\n[profiles.wan]\nbwlimit = "\\u001b[2J"\n', { mode: 0o644 });
    const wrong = await fastsync(["config", "check"]);
    expect([wrong.code, wrong.out]).toEqual([1, ""]);
    expect(wrong.err.trim().split("\n")).toHaveLength(2);
    expect(wrong.err).toContain("global.workes: unknown key; did you mean workers?");
    expect(wrong.err).not.toContain("\u001b");
    const json = jsonLines((await fastsync(["config", "check", "--json"])).out)[0]!;
    expect(json).toMatchObject({ schema: 1, type: "config_check", files: [file] });
    expect(json["problems"]).toHaveLength(2);
  });
  test("checks the daemon's tables as the daemon does", async () => {
    const named = dir.join("daemon.toml");
    const text = (port: string, name: string, path: string) =>
      `[daemon]\nport = ${port}\n[[module]]\nname = "${name}"\npath = "${path}"\n`;
    writeFileSync(named, text('"x"', "a/b", "rel"), { mode: 0o644 });
    const wrong = await fastsync(["config", "check", "--config", named]);
    expect([wrong.code, wrong.out]).toEqual([1, ""]);
    expect(wrong.err.trim().split("\n")).toHaveLength(3);
    const served = await fastsync(["daemon", "--config", named]);
    for (const line of wrong.err.trim().split("\n"))
      expect(served.err).toContain(line.replace("fastsync config: ", ""));
    writeFileSync(named, text("9040", "a", dir.path), { mode: 0o644 });
    const right = await fastsync(["config", "check", "--config", named]);
    expect([right.code, right.err]).toEqual([0, ""]);
    expect(right.out).toContain("The configuration is right, that of the daemon too.");
    // What is broken as a whole is told once.
    writeFileSync(named, "[daemon\n", { mode: 0o644 });
    const broken = await fastsync(["config", "check", "--config", named]);
    expect(broken.err.trim().split("\n")).toHaveLength(1);
  });
  test("fails for a variable that nothing reads; a run warns of it", async () => {
    const env = { FASTSYNC_MAX_DELET: "1", FASTSYNC_NOSUCHKEY: "1", FASTSYNC_WORKERS: "1", FASTSYNC_EMPTY: "" };
    const mistyped = "FASTSYNC_MAX_DELET: nothing reads a variable of this name; did you mean FASTSYNC_MAX_DELETE?\n";
    const unknown = "FASTSYNC_NOSUCHKEY: nothing reads a variable of this name\n";
    expect(
      unknownVariables({ FASTSYNC_DELETE: "1", FASTSYNC_NO_PERMS: "1", FASTSYNC_NATIVE: "of", FASTSYNC_STREAMS: "2" }),
    ).toEqual([
      "FASTSYNC_DELETE: nothing reads a variable of this name: --delete is said on the command line: the verb sync deletes where it is told to",
      "FASTSYNC_NO_PERMS: nothing reads a variable of this name; did you mean FASTSYNC_PERMS=0?",
      'FASTSYNC_NATIVE: is "of", not on or off',
    ]);
    const checked = await fastsync(["config", "check"], { env });
    expect([checked.code, checked.err]).toEqual([1, `fastsync config: ${mistyped}fastsync config: ${unknown}`]);
    for (const words of [
      ["config", "show"],
      ["explain", "A/", "B/"],
      ["copy", "A/", "B/"],
    ]) {
      const { code, err } = await fastsync(words, { env });
      expect([code, err]).toEqual([0, `warning: ${mistyped}warning: ${unknown}`]);
    }
    expect((await fastsync(["copy", "-q", "A/", "B/"], { env })).err).toBe("");
  });
  test("a profile or a variable that is wrong is not blamed on the files", async () => {
    const way = async (words: string[], env = {}) => {
      const { code, err } = await fastsync(["copy", ...words, "A/", "B/"], { env });
      expect(code).toBe(1);
      return err.split("\n")[1];
    };
    expect(await way(["--profile", "wann"])).toContain("fastsync config show lists the profiles");
    expect(await way([], { FASTSYNC_PRESET: "wann" })).toContain("fastsync presets shows");
    expect(await way([], { FASTSYNC_CHECKSUM: "perhaps" })).toBe("  Put it right, or unset the variable.");
  });
  test("knows two words", async () => {
    const { code, err } = await fastsync(["config", "edit"]);
    expect(code).toBe(1);
    expect(err).toContain("config knows show and check, not 'edit'");
  });
});
