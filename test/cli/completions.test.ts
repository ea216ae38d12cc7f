/** What people get when they press the key: in real shells, by the scripts that `completions` prints. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { COMPLETION_SCRIPTS } from "../../src/cli/commands/completions.ts";
import { SHELLS } from "../../src/cli/words/verbs.ts";
import { startDaemon, type TestDaemon } from "../network/support/daemon.ts";
import { fastsync } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { run } from "./processes.ts";
import { tellingProgram, typed } from "./shells.ts";

const dir = tempDir();
afterAll(() => dir[Symbol.dispose]());
const here = dir.join("here");
const env = {
  ...process.env,
  HOME: dir.path,
  XDG_CONFIG_HOME: dir.join("config"),
  XDG_DATA_HOME: dir.join("data"),
  FASTSYNC_CONFIG: undefined,
  FASTSYNC_PROFILE: undefined,
  PATH: `${dir.join("bin")}:${process.env["PATH"]}`,
};

beforeAll(() => {
  for (const name of ["bin", "config/fastsync", "here/photos/2024", "data"])
    mkdirSync(dir.join(name), { recursive: true });
  for (const name of ["plain.txt", "my file", "nature"]) writeFileSync(`${here}/${name}`, "");
  writeFileSync(
    dir.join("config/fastsync/config.toml"),
    '[profiles.wan]\nstreams = 2\n[remotes.nascent]\nendpoint = "nas.lan:/media"\n',
    { mode: 0o644 },
  );
  tellingProgram(dir.join("bin"), "fastsync");
  tellingProgram(dir.join("bin"), "fastsyncd");
  tellingProgram(dir.join("bin"), "fastsync-utils");
});

/** What is typed, with a tab where the key is pressed, and the words that the program is then called with. */
const PRESSED: readonly (readonly [line: string, ...words: string[]])[] = [
  ["fastsync mir\t", "mirror"],
  ["fastsync copy --dry\t", "copy", "--dry-run"],
  ["fastsync copy --fsync=fi\t", "copy", "--fsync=file"],
  ["fastsync copy --fsync fi\t", "copy", "--fsync", "file"],
  ["fastsync copy --fsy\tend", "copy", "--fsync=end"],
  ["fastsync copy --copy-method=clone,mm\t", "copy", "--copy-method=clone,mmap"],
  ["fastsync copy --profile wa\t", "copy", "--profile", "wan"],
  ["fastsync copy --profile=wa\t", "copy", "--profile=wan"],
  ["fastsync copy pla\t", "copy", "plain.txt"],
  ["fastsync copy my\t", "copy", "my file"],
  ['fastsync copy "my\t', "copy", "my file"],
  ["fastsync copy photos/20\tx", "copy", "photos/2024/x"],
  ["fastsync copy --exclude-from=pla\t", "copy", "--exclude-from=plain.txt"],
  ["fastsync copy --temp-dir=pho\tx", "copy", "--temp-dir=photos/x"],
  ["fastsync copy a nasc\tx", "copy", "a", "nascent:x"],
  ["fastsync config sh\t", "config", "show"],
  ["fastsync explain mir\t", "explain", "mirror"],
  ["fastsync explain pla\t", "explain", "plain.txt"],
  ["fastsync explain mirror --max-d\t9", "explain", "mirror", "--max-delete=9"],
  ["fastsync explain mirror a nasc\tx", "explain", "mirror", "a", "nascent:x"],
  ["fastsyncd --por\t9", "--port=9"],
  ["fastsync-utils list-m\t", "list-modules"],
];

const shells = [
  {
    name: "bash",
    shell: ["bash", "--norc", "--noprofile", "-i"],
    setup: "source <(fastsync completions bash)",
  },
  {
    name: "zsh",
    shell: ["zsh", "-f", "-i"],
    setup: "autoload -U compinit && compinit -u -D && source <(fastsync completions zsh)",
  },
] as const;

describe.each(shells)("the key in $name", ({ name, shell, setup }) => {
  const missing = Bun.which(name) === null ? ` (${name} is not installed)` : "";
  test.skipIf(missing !== "")(`completes verbs, flags, values, files, profiles and remotes${missing}`, async () => {
    const calls = await typed(
      { shell, setup, cwd: here, env },
      PRESSED.map(([line]) => line),
    );
    expect(calls).toEqual(PRESSED.map(([, ...words]) => words));
  });
});

describe("fish", () => {
  const missing = Bun.which("fish") === null ? " (fish is not installed)" : "";
  const script = dir.join("fastsync.fish");
  const offers = (line: string): string[] => {
    const { stdout, stderr } = Bun.spawnSync(["fish", "--no-config", "-c", `source ${script}; complete -C '${line}'`], {
      cwd: here,
      env,
    });
    expect(stderr.toString()).toBe("");
    return stdout
      .toString()
      .split("\n")
      .filter((text) => text !== "")
      .map((text) => text.split("\t", 1)[0]!);
  };
  test.skipIf(missing !== "")(`offers verbs, flags, values, files, profiles and remotes${missing}`, () => {
    writeFileSync(script, COMPLETION_SCRIPTS.fish);
    expect(offers("fastsync mir")).toEqual(["mirror"]);
    expect(offers("fastsync copy --dry")).toEqual(["--dry-run"]);
    expect(offers("fastsync copy --fsync=")).toEqual(["--fsync=end", "--fsync=file", "--fsync=none"]);
    expect(offers("fastsync copy --fsync fi")).toEqual(["file"]);
    expect(offers("fastsync copy --profile wa")).toEqual(["wan"]);
    expect(offers("fastsync copy na").sort()).toEqual(["nascent:", "nature"]);
    expect(offers('fastsync copy "my')).toEqual(["my file"]);
    expect(offers("fastsync copy --exclude-from=pla")).toEqual(["--exclude-from=plain.txt"]);
    expect(offers("fastsync copy --temp-dir=")).toEqual(["--temp-dir=photos/"]);
    expect(offers("fastsyncd --por")).toEqual(["--port="]);
    expect(offers("fastsync-utils list-m")).toEqual(["list-modules"]);
    expect(offers("fastsync mirror a b ")).toEqual([]);
    expect(offers("fastsync explain m").sort()).toEqual(["mirror", "move", "my file"]);
    expect(offers("fastsync explain mirror --max-d")).toEqual(["--max-delete="]);
    expect(offers("fastsync explain mirror na").sort()).toEqual(["nascent:", "nature"]);
  });
});

/** No PowerShell can be had here: that the script is well formed, and asks and reads as the answer is. */
describe("PowerShell", () => {
  const script = COMPLETION_SCRIPTS.powershell;
  test("every bracket and quote is closed, and every variable is one that is set", () => {
    const closing: Readonly<Record<string, string>> = { "(": ")", "{": "}", "[": "]" };
    const open: string[] = [];
    const code = script.replace(/'(?:[^']|'')*'|"(?:[^"`]|`.|"")*"/g, "''").replace(/#.*$/gm, "");
    for (const character of code) {
      if (closing[character] !== undefined) open.push(closing[character]!);
      else if (")}]".includes(character)) expect(open.pop()).toBe(character);
    }
    expect(open).toEqual([]);
    expect(code).not.toMatch(/["]/);
    const set = new Set([...code.matchAll(/\$(\w+)(?:, \$(\w+))?(?= \+?= | in )/g)].flatMap(([, a, b]) => [a, b]));
    for (const name of ["wordToComplete", "commandAst", "cursorPosition", "null", "Matches"]) set.add(name);
    for (const [, name] of code.matchAll(/\$(\w+)/g)) expect([name, set.has(name)]).toEqual([name, true]);
  });
  test("a space stands for an empty word, which old versions lose", async () => {
    const { stdout } = await fastsync(["__complete", "powershell", " ", "fastsync", "config", " "]);
    expect(stdout).toBe("show\ncheck\n:nothing\n");
  });
});

describe("the answer", () => {
  const ask = async (...words: string[]) => await fastsync(["__complete", "zsh", "", ...words], { env, cwd: here });

  test("is one candidate a line with what it does, then what the shell adds", async () => {
    const { stdout, stderr, exitCode } = await ask("fastsync", "copy", "--dry");
    expect([stdout, stderr, exitCode]).toEqual(["--dry-run\tshow what would happen\n:nothing\n", "", 0]);
  });
  test("is files, without a word, when the configuration is broken", async () => {
    const broken = dir.join("broken");
    mkdirSync(`${broken}/fastsync`, { recursive: true });
    writeFileSync(`${broken}/fastsync/config.toml`, "[[[", { mode: 0o644 });
    const words = ["__complete", "zsh", "", "fastsync", "copy", ""];
    const { stdout, stderr, exitCode } = await fastsync(words, { env: { ...env, XDG_CONFIG_HOME: broken } });
    expect([stdout, stderr, exitCode]).toEqual([":files\n", "", 0]);
  });
  test("without any word asks for nothing and says so", async () => {
    const { stdout, stderr, exitCode } = await fastsync(["__complete"]);
    expect([stderr, exitCode]).toEqual(["", 0]);
    expect(stdout).toEndWith(":nothing\n");
  });
});

describe("what is behind a daemon", () => {
  let daemon: TestDaemon;
  const served = dir.join("served");
  const settings = dir.join("remotes");
  beforeAll(async () => {
    for (const name of ["photos/2024", "photos/2025 summer", "plans", "hid\u001b[2Jden"])
      mkdirSync(`${served}/${name}`, { recursive: true });
    for (const name of ["plain text", "photos/a:b", "photos/2024/x.jpg"]) writeFileSync(`${served}/${name}`, "");
    daemon = await startDaemon({ path: served, module: '[[module]]\nname = "more"\npath = "/nowhere/at/all"' });
    mkdirSync(`${settings}/fastsync`, { recursive: true });
    const { host, port } = daemon;
    writeFileSync(
      `${settings}/fastsync/config.toml`,
      `[remotes.pix]\nendpoint = "${host}:${port}:/m/photos"\n[remotes.gone]\nendpoint = "${host}:1:/m"\n`,
      { mode: 0o644 },
    );
  });
  afterAll(async () => await daemon[Symbol.asyncDispose]());
  const offered = async (word: string): Promise<string[]> => {
    const words = ["__complete", "zsh", "", "fastsync", "copy", word];
    const { stdout, stderr, exitCode } = await fastsync(words, {
      env: { ...env, XDG_CONFIG_HOME: settings },
      cwd: here,
    });
    expect([stderr, exitCode]).toEqual(["", 0]);
    return stdout.split("\n").slice(0, -1);
  };

  test("modules, entries of a module, and of a remote; names that would steer a terminal are left out", async () => {
    const at = `${daemon.host}:${daemon.port}:/`;
    // One whose directory is missing is not offered.
    expect(await offered(at)).toEqual([`${at}m/`, ":nothing"]);
    expect(await offered(`${at}m`)).toEqual([`${at}m/`, ":nothing"]);
    expect(await offered(`${at}m/`)).toEqual([`${at}m/photos/`, `${at}m/plain text`, `${at}m/plans/`, ":nothing"]);
    expect(await offered(`${at}m/photos/2024/`)).toEqual([`${at}m/photos/2024/x.jpg`, ":nothing"]);
    expect(await offered("pix:")).toEqual(["pix:2024/", "pix:2025 summer/", "pix:a:b", ":nothing"]);
    expect(await offered("pix:2024/x")).toEqual(["pix:2024/x.jpg", ":nothing"]);
    expect(await offered(`${at}m/photos/a:`)).toEqual([`${at}m/photos/a:b`, ":nothing"]);
  });

  test("nobody answers, or nothing begins so: not a word of it", async () => {
    for (const word of [
      "gone:",
      "gone:x",
      `${daemon.host}:${daemon.port}:/m/nothing/`,
      "sftp://nas/",
      "a b:/c",
      "fastsync://nas/m/",
    ])
      expect([word, await offered(word)]).toEqual([word, [":files"]]);
  });

  test("the key in bash, over the colons", async () => {
    const calls = await typed(
      {
        shell: ["bash", "--norc", "--noprofile", "-i"],
        setup: "source <(fastsync completions bash)",
        cwd: here,
        env: { ...env, XDG_CONFIG_HOME: settings },
      },
      [
        "fastsync copy pix:2025\tx",
        `fastsync copy ${daemon.host}:${daemon.port}:/m/pho\t2024/\t`,
        'fastsync copy "pix:2025\t',
      ],
    );
    expect(calls).toEqual([
      ["copy", "pix:2025 summer/x"],
      ["copy", `${daemon.host}:${daemon.port}:/m/photos/2024/x.jpg`],
      ["copy", "pix:2025 summer/"],
    ]);
  });
});

describe("the verb", () => {
  test.each([...SHELLS])("prints the script of %s", async (shell) => {
    const { out, err, code } = await run(["completions", shell]);
    expect([out, err, code]).toEqual([COMPLETION_SCRIPTS[shell], "", 0]);
  });
  test("names the shells that it knows", async () => {
    expect((await run(["completions", "bsh"])).err).toStartWith(
      "fastsync completions: completions knows bash, zsh, fish and powershell, not 'bsh'; did you mean bash?\n",
    );
    expect((await run(["completions"])).err).toContain("completions needs an argument");
  });
});
