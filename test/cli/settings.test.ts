/** Settings: keys against the flag table, files and variables against precedence, and what a run makes of them. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import { applySettings } from "../../src/cli/settings/apply.ts";
import { checkValues } from "../../src/cli/settings/check.ts";
import { SETTING_KEYS, takenBackBy } from "../../src/cli/settings/keys.ts";
import { layersInOrder, loadSettings, type Settings, type SettingsRequest } from "../../src/cli/settings/load.ts";
import { configureRun } from "../../src/cli/settings/of-run.ts";
import { FLAGS } from "../../src/cli/words/flags.ts";
import { parseCommandLine } from "../../src/cli/words/parse-args.ts";
import { argumentOf } from "../../src/cli/words/raw-args.ts";
import { UsageError } from "../../src/cli/words/usage-error.ts";
import { isRoot } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

let dir: TempDir;
beforeEach(() => {
  dir = tempDir();
  for (const name of ["system/conf.d", "home/.config/fastsync/conf.d"]) mkdirSync(dir.join(name), { recursive: true });
});
afterEach(() => dir[Symbol.dispose]());

function write(name: "system" | "user" | string, text: string): string {
  const known: Record<string, string> = { system: "system/config.toml", user: "home/.config/fastsync/config.toml" };
  const path = dir.join(known[name] ?? name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

function load(over: Partial<SettingsRequest> & { env?: Record<string, string> } = {}): Settings {
  return loadSettings({
    file: undefined,
    noFiles: false,
    profile: undefined,
    preset: undefined,
    project: false,
    systemDirectory: dir.join("system"),
    ...over,
    env: { HOME: dir.join("home"), ...over.env },
  });
}

function parse(line: string) {
  const parsed = parseCommandLine(line.split(" ").map(argumentOf));
  if (parsed.kind !== "run") throw new Error(`not a run: ${parsed.kind}`);
  return parsed.args;
}

/** The flags of the line with the settings, as words, sorted. */
function flagsOf(line: string, settings: Settings): string[] {
  const { args } = applySettings(parse(line), layersInOrder(settings));
  return args.occurrences
    .map(({ flag, value }) => (value === undefined ? `--${flag}` : `--${flag}=${value.text}`))
    .sort();
}

describe("keys", () => {
  test("every flag of a run has one key, or a reason to have none", () => {
    const used = SETTING_KEYS.flatMap(({ on, off }) => [on, off]).filter((flag) => flag !== undefined);
    expect(new Set(used).size).toBe(used.length);
    const without = FLAGS.filter(({ name, verbs }) => verbs.includes("copy") && !used.includes(name)).map(
      (f) => f.name,
    );
    const expected = "config detach dry-run files-from from0 help json no-config profile project version yes";
    expect(without.sort().join(" ")).toBe(expected);
  });
  test("keys are words of TOML, and their variables are no variable of something else", () => {
    for (const { key } of SETTING_KEYS) expect(key).toMatch(/^[a-z][a-z0-9_]*$/);
    const taken = ["native", "debug", "bin", "daemon", "no_zero_copy", "config", "profile", "project"];
    for (const { key } of SETTING_KEYS) expect(taken).not.toContain(key);
  });
  test("what turns something off is true unless set, and is taken back by its own name", () => {
    expect(SETTING_KEYS.find(({ key }) => key === "perms")).toMatchObject({ off: "no-perms", form: "switch" });
    expect(takenBackBy("perms")).toBe("no-perms");
    expect(takenBackBy("no-bwlimit")).toBe("bwlimit");
    expect(takenBackBy("no-perms")).toBeUndefined();
    expect(takenBackBy("no-exclude")).toBeUndefined();
    expect(takenBackBy("no-such")).toBeUndefined();
  });
});

describe("precedence", () => {
  const ofWorkers = (settings: Settings, line = "copy A B") =>
    flagsOf(line, settings).filter((flag) => flag.startsWith("--workers"));

  test("line, environment, profile, project, user, system: each hides what is behind it", () => {
    write("system", "[global]\nworkers = 1\n[profiles.p]\nworkers = 4\n");
    expect(ofWorkers(load())).toEqual(["--workers=1"]);
    write("user", "[global]\nworkers = 2\n");
    expect(ofWorkers(load())).toEqual(["--workers=2"]);
    const before = process.cwd();
    try {
      process.chdir(dir.path);
      writeFileSync(".fastsync.toml", "[global]\nworkers = 3\n");
      expect(ofWorkers(load())).toEqual(["--workers=2"]);
      expect(ofWorkers(load({ project: true }))).toEqual(["--workers=3"]);
      expect(ofWorkers(load({ env: { FASTSYNC_PROJECT: "1" } }))).toEqual(["--workers=3"]);
      expect(ofWorkers(load({ project: true, profile: "p" }))).toEqual(["--workers=4"]);
      expect(ofWorkers(load({ profile: "p", env: { FASTSYNC_WORKERS: "5" } }))).toEqual(["--workers=5"]);
      const all = load({ profile: "p", env: { FASTSYNC_WORKERS: "5" } });
      expect(ofWorkers(all, "copy --workers 6 A B")).toEqual(["--workers=6"]);
      expect(ofWorkers(all, "copy --no-workers A B")).toEqual([]);
      expect(ofWorkers(load({ noFiles: true }))).toEqual([]);
    } finally {
      process.chdir(before);
    }
  });
  test("conf.d comes after its file, in the order of its names", () => {
    write("system", "[global]\nworkers = 1\nstreams = 1\nupdate = true\n");
    write("system/conf.d/b.toml", "[global]\nworkers = 3\n");
    write("system/conf.d/a.toml", "[global]\nworkers = 2\nstreams = 2\n");
    expect(flagsOf("copy A B", load())).toEqual(["--streams=2", "--update", "--workers=3"]);
  });
  test("--config and FASTSYNC_CONFIG stand in the place of the usual files; XDG_CONFIG_HOME moves the user's", () => {
    write("user", "[global]\nworkers = 2\n");
    const named = write("named.toml", "[global]\nworkers = 7\n");
    expect(ofWorkers(load({ file: named }))).toEqual(["--workers=7"]);
    expect(ofWorkers(load({ env: { FASTSYNC_CONFIG: named } }))).toEqual(["--workers=7"]);
    mkdirSync(dir.join("xdg/fastsync"), { recursive: true });
    write("xdg/fastsync/config.toml", "[global]\nworkers = 8\n");
    expect(ofWorkers(load({ env: { XDG_CONFIG_HOME: dir.join("xdg") } }))).toEqual(["--workers=8"]);
    expect(ofWorkers(load({ env: { XDG_CONFIG_HOME: "relative" } }))).toEqual(["--workers=2"]);
  });
  test("the keys of a file that was written for the whole family", () => {
    write(
      "user",
      `[global]
      parallel_streams = 16
      chunk_size = "8M"
      buffer_size = "32M"
      checksum = true
      resume = true
      [profiles.wan]
      parallel_streams = 8
      chunk_size = "4M"
      tcp_send_buffer = "16M"
      tcp_recv_buffer = "16M"
      `,
    );
    const always = ["--buffer-size=32M", "--checksum", "--resume"];
    expect(load().problems).toEqual([]);
    expect(flagsOf("cp A B", load())).toEqual([...always, "--chunk-size=8M", "--streams=16"].sort());
    const buffers = ["--tcp-recv-buffer=16M", "--tcp-send-buffer=16M"];
    const wan = load({ profile: "wan", env: { FASTSYNC_PARALLEL_STREAMS: "3" } });
    expect(flagsOf("cp A B", wan)).toEqual([...always, ...buffers, "--chunk-size=4M", "--streams=3"].sort());
  });
  test("rules add up, the nearest first; other lists and values do not", () => {
    write("system", '[global]\nexclude = ["*.o", ".git"]\n');
    write("user", '[global]\nexclude = "*.tmp"\n');
    const { args } = applySettings(parse("copy --exclude=near A B"), layersInOrder(load()));
    expect(args.occurrences.map(({ value }) => value!.text)).toEqual(["near", "*.tmp", "*.o", ".git"]);
  });
  test("false takes back what is behind it", () => {
    write("system", "[global]\nchecksum = true\nperms = false\nverify = true\n");
    expect(flagsOf("mirror A B", load())).toEqual(["--checksum", "--no-perms", "--verify"]);
    write("user", "[global]\nchecksum = false\nperms = true\nverify = false\n");
    expect(flagsOf("mirror A B", load())).toEqual([]);
    write("user", '[global]\nverify = "readback"\n');
    expect(flagsOf("mirror --perms --no-checksum A B", load())).toEqual(["--verify=readback"]);
  });
  test("what contradicts the line or a nearer place is dropped; against itself a table is refused", () => {
    write("system", '[global]\nchecksum = true\nbackup_dir = "/b"\n');
    expect(flagsOf("mirror --size-only A B", load())).toEqual(["--backup-dir=/b", "--size-only"]);
    expect(flagsOf("mirror --inplace A B", load())).toEqual(["--checksum", "--inplace"]);
    write("user", "[global]\ninplace = true\n");
    expect(flagsOf("mirror A B", load())).toEqual(["--checksum", "--inplace"]);
    write("user", "[global]\ninplace = true\nbackup = true\n");
    expect(() => flagsOf("mirror A B", load())).toThrow("inplace and backup contradict each other");
  });
  test("rules that add up come from each place that has some", () => {
    const file = write("user", '[global]\nexclude = ["a"]\n');
    const { origins } = applySettings(parse("copy A B"), layersInOrder(load({ env: { FASTSYNC_EXCLUDE: "b" } })));
    expect([...origins]).toEqual([["exclude", `FASTSYNC_EXCLUDE, ${file} [global]`]]);
  });
  test("what a verb has no use for, or what lacks what it needs, waits for a run that has", () => {
    write("system", '[global]\nmax_delete = 5\nsuffix = ".old"\nbwlimit = "1M"\n');
    expect(flagsOf("copy A B", load())).toEqual(["--bwlimit=1M"]);
    expect(flagsOf("check A B", load())).toEqual([]);
    expect(flagsOf("mirror -b A B", load())).toEqual(["--backup", "--bwlimit=1M", "--max-delete=5", "--suffix=.old"]);
  });
});

describe("what is wrong is told with file and key", () => {
  test.each<[string, string, string]>([
    ["an unknown key", "[global]\nworkes = 2\n", "global.workes: unknown key; did you mean workers?"],
    ["a table of another kind", "global = 3\n", "global: is a number, not a table"],
    ["an unknown table", "[globl]\n", "globl: unknown key; did you mean global?"],
    ["a switch that is none", '[global]\nchecksum = "yes"\n', "global.checksum: is a string, not true or false"],
    ["a value that is none", "[global]\nworkers = true\n", "global.workers: is true, not a string or a number"],
    ["a choice that is none", '[global]\nfsync = "often"\n', 'global.fsync: is "often", not "none" or "file" or "end"'],
    ["a list that is none", "[global]\nexclude = [1]\n", "global.exclude: holds a number, not a string or a list"],
    ["a flag's name", "[global]\nno_perms = true\n", "global.no_perms: is written perms = false"],
    ["what a line says", "[global]\nyes = true\n", "global.yes: is said on the command line: a deletion that nobody"],
    ["another tool's key", "[global]\ntransfers = 16\n", "global.transfers: is called workers"],
    [
      "two names of one key",
      "[global]\nstreams = 2\nparallel_streams = 3\n",
      "is another name of streams; leave one out",
    ],
    ["what a verb says", "[global]\ndelete = true\n", "global.delete: is said on the command line"],
    ["a remote without an endpoint", "[remotes.nas]\n", "remotes.nas.endpoint: is missing"],
    ["a remote of a relative path", '[remotes.nas]\nendpoint = "x"\n', "which means another place in every directory"],
    ["a remote that is none", '[remotes.nas]\nendpoint = "nas:x"\n', "is no place behind a daemon"],
    ["a remote of one letter", '[remotes.c]\nendpoint = "/x"\n', "remotes.c: is no name: two or more letters"],
    ["a name with a space", "[profiles.'a b']\n", 'profiles."a b": is no name: letters, digits'],
    ["a name of nothing", '[profiles.""]\n', 'profiles."": is no name'],
    ["no TOML", "[global\n", "line 1"],
  ])("%s", (_title, text, message) => {
    const file = write("system", text);
    const { problems } = load();
    expect(problems.join("\n")).toContain(message);
    for (const problem of problems) expect(problem).toStartWith(file);
  });
  test("variables", () => {
    const { problems } = load({ env: { FASTSYNC_CHECKSUM: "perhaps", FASTSYNC_FSYNC: "often", FASTSYNC_WORKERS: "" } });
    expect(problems).toEqual([
      'FASTSYNC_CHECKSUM: is "perhaps", not 1 or 0',
      'FASTSYNC_FSYNC: is "often", not "none" or "file" or "end"',
    ]);
  });
  test("a profile that is not there", () => {
    expect(load({ profile: "mine" }).problems[0]).toStartWith(
      '--profile: there is no profile "mine"; no file has a [profiles.NAME], and the presets are lan, wan, small-files',
    );
    write("user", "[profiles.lan]\n[profiles.nightly]\n");
    expect(load({ env: { FASTSYNC_PROFILE: "lann" } }).problems).toEqual([
      'FASTSYNC_PROFILE: there is no profile "lann"; did you mean lan?',
    ]);
    expect(load({ profile: "other" }).problems[0]).toContain("; there are lan, nightly, and the presets");
  });
  test("a named file that is not there, and a project without a file", () => {
    expect(load({ file: dir.join("gone") }).problems).toEqual([`${dir.join("gone")}: there is no such file`]);
    expect(load({ project: true }).problems).toEqual([".fastsync.toml: there is no such file"]);
  });
  test("a file that everybody may write to", () => {
    chmodSync(write("user", "[global]\n"), 0o666);
    expect(load().problems[0]).toContain("may be written by everybody");
  });
  test.skipIf(!isRoot())("a file of another user, unless it was named", () => {
    const file = write("user", "[global]\nworkers = 2\n");
    chownSync(file, 65534, 65534);
    expect(load().problems[0]).toContain("belongs to another user (65534)");
    expect(load({ file }).problems).toEqual([]);
  });
  test("values are looked at as a run would look at them", async () => {
    write("system", '[global]\nbwlimit = "fast"\nexclude_from = "/no/such"\n[profiles.p]\nmin_size = "1Q"\n');
    const problems = await checkValues(load().layers);
    expect(problems).toHaveLength(3);
    expect(problems[0]).toEndWith("config.toml: global.exclude_from: cannot read '/no/such': no such file");
    expect(problems.join("\n")).toContain("config.toml: global.bwlimit: 'fast' is not a size");
    expect(problems.join("\n")).toContain("config.toml: profiles.p.min_size: '1Q' is not a size");
  });
  test("numbers are the flag's matter, also below 0", async () => {
    write("system", "[global]\nworkers = -1\nretry = 1.5\nbwlimit = nan\n");
    expect(load().problems).toEqual([]);
    const problems = await checkValues(load({ env: { FASTSYNC_STREAMS: "many" } }).layers);
    expect(problems.map((problem) => problem.replace(/^.*config\.toml: /, ""))).toEqual([
      "FASTSYNC_STREAMS: 'many' is not a whole number from 1 to 64",
      "global.retry: '1.5' is not a whole number from 0 to 1000000",
      "global.bwlimit: 'NaN' is not a size",
      "global.workers: '-1' is not a whole number from 1 to 256",
    ]);
  });
  test("a conf.d that is a file, and a link in it that leads nowhere", () => {
    const [directory, link] = [dir.join("system/conf.d"), dir.join("home/.config/fastsync/conf.d/20-gone.toml")];
    rmdirSync(directory);
    writeFileSync(directory, "");
    symlinkSync("/no/such/file", link);
    expect(load().problems).toEqual([`${directory}: is not a directory`, `${link}: there is no such file`]);
  });
  test("the daemon's tables are no concern of a run", () => {
    write("system", '[daemon]\nport = "what"\n[[module]]\nnothing = 1\n[delegation]\n');
    expect(load().problems).toEqual([]);
  });
});

describe("remotes", () => {
  const configured = (line: string, text: string) => {
    const file = write("named.toml", text);
    return configureRun(parse(line), { FASTSYNC_CONFIG: file });
  };
  const NAS = '[remotes.nas]\nendpoint = "nas.lan:9041:/media/in"\nstreams = 2\nbwlimit = "1M"\n';

  test("NAME:PATH is below the endpoint, NAME: is the endpoint, and its options count", () => {
    const { places, args } = configured("copy nas:2024/ B", NAS);
    expect(places[0]).toMatchObject({ kind: "daemon", host: "nas.lan", port: 9041, module: "media" });
    expect(Buffer.from((places[0] as { path: Uint8Array }).path).toString()).toBe("in/2024/");
    expect(args.value("streams")?.text).toBe("2");
    const whole = configured("copy A nas:", NAS).places[1] as { path: Uint8Array };
    expect(Buffer.from(whole.path).toString()).toBe("in");
  });
  test("a slash after the colon is a host's module, as ever, and gets none of the options", () => {
    const { places, args } = configured("copy nas:/media/x/ B", NAS);
    expect(places[0]).toMatchObject({ host: "nas", port: 9040, module: "media" });
    expect(args.has("streams")).toBe(false);
  });
  test("nothing leads out of the endpoint", () => {
    expect(() => configured("copy nas:../other B", NAS)).toThrow("has '..' in it");
  });
  test("a local name that exists comes first", () => {
    const before = process.cwd();
    try {
      process.chdir(dir.path);
      writeFileSync("nas:x", "");
      expect(configured("copy nas:x B", NAS).places[0]!.kind).toBe("local");
    } finally {
      process.chdir(before);
    }
  });
  test("the line and a profile are nearer than the remote, [global] is farther", () => {
    const text = `${NAS}[profiles.p]\nstreams = 3\n[global]\nstreams = 4\nbwlimit = "9M"\n`;
    expect(configured("copy nas:x B", text).args.value("streams")?.text).toBe("2");
    expect(configured("copy nas:x B", text).args.value("bwlimit")?.text).toBe("1M");
    expect(configured("copy --profile p nas:x B", text).args.value("streams")?.text).toBe("3");
    expect(configured("copy --streams 5 nas:x B", text).args.value("streams")?.text).toBe("5");
  });
  test("two remotes that want different things are not decided by chance", () => {
    const text = `${NAS}[remotes.vault]\nendpoint = "vault:/v"\nstreams = 9\n`;
    expect(() => configured("copy nas:x vault:y", text)).toThrow(UsageError);
  });
});
