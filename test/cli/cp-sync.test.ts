/** `cp` and `sync` as people who come from other tools write them, over real files. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { fastsync, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";

let dir: TempDir;
beforeEach(() => {
  dir = tempDir();
  for (const name of ["documents/sub", "backup", "mnt/backup"]) mkdirSync(dir.join(name), { recursive: true });
  writeFileSync(dir.join("large_file.bin"), "large");
  writeFileSync(dir.join("partial_file.bin"), "partial");
  writeFileSync(dir.join("documents/one"), "1");
  writeFileSync(dir.join("documents/sub/two"), "22");
});
afterEach(() => dir[Symbol.dispose]());

const run = (line: string) => fastsync(line.split(" "), { cwd: dir.path });

describe("cp", () => {
  test("a file into an existing directory, to a new name, and several at once", async () => {
    expect(shown(await run("cp large_file.bin backup/"))).toStartWith("exit 0");
    expect(readFileSync(dir.join("backup/large_file.bin"), "utf8")).toBe("large");
    expect((await run("cp large_file.bin mnt/backup")).exitCode).toBe(0);
    expect(readFileSync(dir.join("mnt/backup/large_file.bin"), "utf8")).toBe("large");
    expect((await run("cp large_file.bin other.bin")).exitCode).toBe(0);
    expect(readFileSync(dir.join("other.bin"), "utf8")).toBe("large");
    expect((await run("cp large_file.bin partial_file.bin new")).exitCode).toBe(0);
    expect(readdirSync(dir.join("new")).sort()).toEqual(["large_file.bin", "partial_file.bin"]);
  });
  test("a source that this process holds open is a link, and that is said", async () => {
    const { exitCode, stderr } = await run("cp /dev/stdin backup/");
    expect(exitCode).toBe(0);
    expect(stderr).toContain("warning: /dev/stdin is a link to what this process has open: the link lands");
    expect((await run("cp large_file.bin backup/")).stderr).not.toContain("warning");
  });
  test("a directory needs -R, or -r, and nothing is made without", async () => {
    for (const source of ["documents", "documents/"]) {
      const refused = await run(`cp large_file.bin ${source} backup/`);
      expect(refused.exitCode).toBe(1);
      expect(refused.stderr).toContain(`source ${source} is a directory; directories are copied with -R (--recursive)`);
      expect(readdirSync(dir.join("backup"))).toEqual([]);
    }
    expect((await run("cp -R documents/ backup/")).exitCode).toBe(0);
    assertSameTrees(dir.join("documents"), dir.join("backup"));
    expect((await run("cp -r documents mnt/backup")).exitCode).toBe(0);
    assertSameTrees(dir.join("documents"), dir.join("mnt/backup/documents"));
  });
  test.each([
    "cp -P large_file.bin mnt/backup",
    "cp -R documents backup/",
    "cp -p 16 large_file.bin backup/",
    "cp -c 16M large_file.bin backup/",
    "cp --profile wan large_file.bin backup/",
    "cp -r partial_file.bin remote.bin",
    "cp -RPp16 -c4M --preset lan_optimized documents/ backup/",
    "sync --delete --yes documents/ mnt/backup/",
  ])("%s", async (line) => {
    const result = await run(line);
    expect(shown(result)).toStartWith("exit 0");
    expect(result.stdout).toMatch(/^(cp|sync) .* -> /);
  });
  test.each([
    ["cp -R documents sftp://user@host:/backup/", "this build does not speak SFTP"],
    ["cp -c 16M large_file.bin s3://bucket/", "this build does not speak S3"],
    ["cp --profile wan large_file.bin https://host/file.bin", "this build does not speak HTTP"],
    ["cp -r partial_file.bin sftp://host/remote.bin", "this build does not speak SFTP"],
  ])("%s says what is not there yet", async (line, message) => {
    const { exitCode, stderr } = await run(line);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe("sync", () => {
  test("leaves what only the target has, and deletes it with --delete, once allowed", async () => {
    writeFileSync(dir.join("backup/extra"), "");
    expect((await run("sync documents/ backup/")).exitCode).toBe(0);
    expect(readdirSync(dir.join("backup")).sort()).toEqual(["extra", "one", "sub"]);
    const asked = await run("sync --delete documents/ backup/");
    expect([asked.exitCode, asked.stderr]).toEqual([25, expect.stringContaining("--yes")]);
    expect(existsSync(dir.join("backup/extra"))).toBe(true);
    expect((await run("sync --delete -y documents/ backup/")).exitCode).toBe(0);
    assertSameTrees(dir.join("documents"), dir.join("backup"));
  });
  test("keeps to the guards of a mirror", async () => {
    mkdirSync(dir.join("empty"));
    writeFileSync(dir.join("backup/extra"), "");
    const refused = await run("sync --delete --yes empty/ backup/");
    expect([refused.exitCode, refused.stderr]).toEqual([25, expect.stringContaining("the source is empty")]);
    expect((await run("sync --delete --yes --max-delete=0 documents/ backup/")).exitCode).toBe(25);
    expect(existsSync(dir.join("backup/extra"))).toBe(true);
  });
});
