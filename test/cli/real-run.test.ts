/** The command line over the real session: that the two are joined rightly. What a run does is tested elsewhere. */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnv, jsonLines, run } from "./processes.ts";

const directory = mkdtempSync(join(tmpdir(), "fastsync-real-"));
afterAll(() => rmSync(directory, { recursive: true }));
const at = (...parts: string[]): string => join(directory, ...parts);
const fastsync = (words: readonly string[]) => run(words, { main: "real", cwd: directory });

beforeEach(() => {
  for (const name of readdirSync(directory)) rmSync(at(name), { recursive: true });
  mkdirSync(at("A", "sub"), { recursive: true });
  writeFileSync(at("A", "one"), "1");
  writeFileSync(at("A", "sub", "two"), "22");
});

describe("the real session", () => {
  test("copy: banner, items, summary, then up to date", async () => {
    const first = await fastsync(["copy", "-v", "A/", "B"]);
    expect(first.err).toBe("");
    expect(first.code).toBe(0);
    const lines = first.out.split("\n");
    expect(lines[0]).toBe("copy A/ -> B (new)");
    expect(lines).toContain("create  one");
    expect(lines).toContain("create  sub/two");
    expect(first.out).toMatch(/^Transferred {2}2 files, 3 B/m);
    expect(readFileSync(at("B", "sub", "two"), "utf8")).toBe("22");
    const second = await fastsync(["copy", "A/", "B"]);
    expect(second.out).toMatch(/^copy A\/ -> B\nUp to date: \d+ examined in /);
  });
  test("mirror without --yes and without a terminal deletes nothing and exits 25", async () => {
    mkdirSync(at("B"));
    writeFileSync(at("B", "extra"), "");
    const refused = await fastsync(["mirror", "--json", "A/", "B"]);
    expect(refused.code).toBe(25);
    expect(refused.err).toContain("--yes");
    expect(jsonLines(refused.out).at(-1)).toMatchObject({ type: "summary", exit_code: 25, files_deleted: 0 });
    expect(existsSync(at("B", "extra"))).toBe(true);
    const allowed = await fastsync(["mirror", "--json", "--yes", "A/", "B"]);
    expect(allowed.code).toBe(0);
    expect(jsonLines(allowed.out)).toContainEqual(expect.objectContaining({ type: "delete", path: "extra" }));
    expect(existsSync(at("B", "extra"))).toBe(false);
  });
  test("check lists what differs, with reasons", async () => {
    await fastsync(["copy", "A/", "B"]);
    expect((await fastsync(["check", "A/", "B"])).code).toBe(0);
    writeFileSync(at("A", "one"), "changed");
    rmSync(at("B", "sub", "two"));
    const { code, out, err } = await fastsync(["check", "A/", "B"]);
    expect(code).toBe(1);
    expect(err).toBe("");
    expect(out).toMatch(/^differ {2}one {2}\(size/m);
    expect(out).toMatch(/^differ {2}sub\/two {2}\(missing\)$/m);
  });
  test("--itemize says why, with the words of the dry run", async () => {
    await fastsync(["copy", "A/", "B"]);
    writeFileSync(at("A", "new"), "n");
    writeFileSync(at("A", "one"), "changed");
    chmodSync(at("A", "sub", "two"), 0o600);
    symlinkSync("one", at("A", "link"));
    mkdirSync(at("A", "empty"));
    linkSync(at("A", "new"), at("A", "sub", "other-name"));
    chmodSync(at("A", "sub"), 0o700);
    const words = ["copy", "--itemize", "A/", "B"];
    const itemsOf = (out: string): string[] =>
      out
        .split("\n")
        .map((line) => line.replace(/^would /, ""))
        .filter((line) => /^(create|update|repair|link) /.test(line))
        .sort();
    const expected = itemsOf((await fastsync([...words, "--dry-run"])).out);
    const real = await fastsync(words);
    expect(real.code).toBe(0);
    expect(itemsOf(real.out)).toEqual(expected);
    expect(expected).toContain("create  new  (missing)");
    expect(expected).toContain("create  link -> one  (missing)");
    expect(expected).toContain("create  empty/  (missing)");
    expect(expected).toContain("link    sub/other-name  (link)");
    expect(expected).toContain("repair  sub/  (mtime, mode)");
    expect(expected).toContain("repair  sub/two  (mode)");
    expect(real.out).toMatch(/^update {2}one {2}\(size(, mtime)?\)$/m);
    writeFileSync(at("A", "one"), "again!!");
    const json = await fastsync(["copy", "--itemize", "--json", "--ignore-times", "A/", "B"]);
    const items = jsonLines(json.out).filter(({ type }) => type === "item");
    expect(items).toContainEqual(expect.objectContaining({ action: "update", path: "new", reasons: ["content"] }));
    // Without the flag nothing is compared a second time.
    writeFileSync(at("A", "one"), "once more");
    const plain = jsonLines((await fastsync(["copy", "--json", "A/", "B"])).out);
    expect(plain.find(({ path }) => path === "one")).not.toHaveProperty("reasons");
  });
  test("a missing source is exit 3 with one summary", async () => {
    const { code, out, err } = await fastsync(["copy", "--json", "gone", "B"]);
    expect(code).toBe(3);
    expect(err).toContain("source gone cannot be used");
    expect(jsonLines(out)).toMatchObject([
      { type: "error", code: "source_missing" },
      { type: "summary", exit_reason: "source_missing" },
    ]);
  });
  test("a filter that cannot be read is a usage error", async () => {
    const { code, err } = await fastsync(["copy", "--filter", "frobnicate x", "A/", "B"]);
    expect(err).toStartWith("fastsync copy: --filter");
    expect(code).toBe(1);
    expect(existsSync(at("B"))).toBe(false);
  });
  test("a source inside the target is told as that, without talk of other paths", async () => {
    mkdirSync(at("A", "d"));
    writeFileSync(at("A", "d", "file"), "kept");
    const { code, err } = await fastsync(["mirror", "--yes", "A/d/", "A/"]);
    expect([code, err]).toEqual([3, expect.stringContaining("lies inside the target, and a mirror would delete it")]);
    expect(readFileSync(at("A", "d", "file"), "utf8")).toBe("kept");
  });
  test("a source whose name is not UTF-8", async () => {
    const main = join(import.meta.dir, "../../src/main.ts");
    const script = `name="$(printf 'bad\\377')"; mkdir "$name" && echo x > "$name/f" && exec '${process.execPath}' '${main}' copy "$name/" B`;
    const child = Bun.spawn(["sh", "-c", script], { cwd: directory, env: cleanEnv(), stdout: "pipe", stderr: "pipe" });
    expect(await child.stderr.text()).toBe("");
    expect(await child.stdout.text()).toStartWith("copy bad\\377/ -> B (new)\n");
    expect(await child.exited).toBe(0);
    expect(readFileSync(at("B", "f"), "utf8")).toBe("x\n");
  });
});
