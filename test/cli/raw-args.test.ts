/** Arguments are bytes, however the program was started. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argumentOf, withRawBytes, wordsCalledAs } from "../../src/cli/words/raw-args.ts";
import { cleanEnv, jsonLines } from "./processes.ts";

const directory = mkdtempSync(join(tmpdir(), "fastsync-raw-"));
afterAll(() => rmSync(directory, { recursive: true }));

const bytes = (...parts: (string | number)[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from([part]))));

describe("withRawBytes", () => {
  test("takes the tail of the command line", () => {
    const cmdline = bytes("bun", 0, "run", 0, "main.ts", 0, "copy", 0, "a", 0xff, 0, "", 0, "é", 0);
    const words = withRawBytes(["copy", "a\ufffd", "", "é"], cmdline);
    expect(words.map((word) => Buffer.from(word.bytes).toString("latin1"))).toEqual(["copy", "a\xff", "", "Ã©"]);
  });
  test("accepts other ways to replace a broken sequence", () => {
    const words = withRawBytes(["a\ufffd\ufffd\ufffdb"], bytes("x", 0, "a", 0xf0, 0x9f, 0x98, "b", 0));
    expect(words[0]!.bytes).toEqual(new Uint8Array(bytes("a", 0xf0, 0x9f, 0x98, "b")));
  });
  test("keeps the text where the command line says something else", () => {
    for (const cmdline of [bytes(), bytes("title"), bytes("bun", 0, "other", 0)]) {
      expect(withRawBytes(["a\ufffd"], cmdline)[0]!.bytes).toEqual(new Uint8Array(bytes("a\ufffd")));
    }
  });
});

describe("called as", () => {
  test.each([
    ["fastsync", "--port 1", "--port 1"],
    ["bun", "copy A B", "copy A B"],
    ["fastsyncd", "", "daemon"],
    ["fastsyncd", "--port 1", "daemon --port 1"],
    ["/usr/sbin/fastsyncd", "--help", "daemon --help"],
    ["C:\\bin\\fastsyncd.exe", "--version", "daemon --version"],
    ["fastsyncd", "version --json", "version --json"],
    ["fastsyncd", "help copy", "help copy"],
    ["my-fastsyncd", "copy A B", "copy A B"],
    ["fastsyncd/x", "copy A B", "copy A B"],
  ])("%s with %p: %p", (name, given, expected) => {
    const words = given.split(" ").filter((word) => word !== "");
    expect(wordsCalledAs(name, words.map(argumentOf)).map(({ text }) => text)).toEqual(expected.split(" "));
  });
});

/** Node's and Bun's spawn take strings only; a shell can write any byte. */
async function sources(command: string): Promise<unknown> {
  const script = `exec ${command} mirror --json "$(printf 'bad\\377name\\355\\240\\200')" --exclude="$(printf 'p\\376')" dst`;
  const child = Bun.spawn(["sh", "-c", script], { stdout: "pipe", stderr: "pipe", env: cleanEnv() });
  const lines = jsonLines(await child.stdout.text());
  expect(await child.exited).toBe(0);
  return lines.find((line) => line["type"] === "start")!["sources"];
}

const EXPECTED = [
  {
    path: expect.stringContaining("\ufffd"),
    path_b64: bytes("bad", 0xff, "name", 0xed, 0xa0, 0x80).toString("base64"),
    kind: "contents",
  },
];

describe.skipIf(!existsSync("/proc/self/cmdline"))("a source that is not UTF-8", () => {
  const main = join(import.meta.dir, "fake-main.ts");
  const bun = process.execPath;
  test.concurrent.each([`'${bun}' '${main}'`, `'${bun}' run '${main}'`, `'${bun}' --smol run '${main}'`])(
    "%s",
    async (command) => {
      expect(await sources(command)).toEqual(EXPECTED);
    },
  );
  test("a compiled binary, by its name and through a symlink", async () => {
    const compiled = join(directory, "compiled");
    const entry = join(import.meta.dir, "show-args-main.ts");
    const built = Bun.spawnSync([bun, "build", "--compile", entry, "--outfile", compiled], { cwd: directory });
    expect(built.exitCode).toBe(0);
    for (const name of ["other", "fastsyncd"]) symlinkSync("compiled", join(directory, name));
    for (const [name, verb] of [
      ["compiled", []],
      ["other", []],
      ["fastsyncd", ["daemon"]],
    ] as const) {
      const script = `exec '${join(directory, name)}' -n "$(printf 'bad\\377')" "" plain`;
      const child = Bun.spawn(["sh", "-c", script], { stdout: "pipe", env: cleanEnv() });
      expect(JSON.parse(await child.stdout.text())).toEqual([...verb, "-n", "bad\xff", "", "plain"]);
    }
  }, 60_000);
});
