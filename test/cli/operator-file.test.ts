/** Files that the operator names are followed through the operator's links only. */
import { afterAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, lchownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readOperatorFile } from "../../src/cli/words/operator-file.ts";

const directory = mkdtempSync(join(tmpdir(), "fastsync-operator-"));
afterAll(() => rmSync(directory, { recursive: true }));
mkdirSync(join(directory, "real"));
writeFileSync(join(directory, "real", "list"), "hello\n");
symlinkSync("real", join(directory, "link"));
symlinkSync(join(directory, "link", "list"), join(directory, "absolute"));
symlinkSync("loop", join(directory, "loop"));

const read = (...parts: string[]): string =>
  Buffer.from(readOperatorFile(Buffer.from(join(directory, ...parts)))).toString();

describe.skipIf(process.platform !== "linux")("an operator's file", () => {
  test("is read through the operator's own links", () => {
    expect(read("real", "list")).toBe("hello\n");
    expect(read("link", "list")).toBe("hello\n");
    expect(read("absolute")).toBe("hello\n");
    expect(read("link/../real//./list")).toBe("hello\n");
  });
  test("relative to the working directory", () => {
    const before = process.cwd();
    process.chdir(directory);
    try {
      expect(Buffer.from(readOperatorFile(Buffer.from("link/list"))).toString()).toBe("hello\n");
    } finally {
      process.chdir(before);
    }
  });
  test("that is not there, or goes in circles, or is no file", () => {
    expect(() => read("none")).toThrow("ENOENT");
    expect(() => read("real/list/x")).toThrow("ENOTDIR");
    expect(() => read("loop")).toThrow("too many symbolic links");
    expect(() => read("real")).toThrow("EISDIR");
  });
  test.skipIf(process.geteuid?.() !== 0)("is refused through a link of someone else", () => {
    mkdirSync(join(directory, "theirs"));
    chownSync(join(directory, "theirs"), 12345, 12345);
    symlinkSync(join(directory, "real", "list"), join(directory, "theirs", "list"));
    symlinkSync(join(directory, "real"), join(directory, "theirs", "dir"));
    for (const name of ["list", "dir"]) lchownSync(join(directory, "theirs", name), 12345, 12345);
    expect(() => read("theirs", "list")).toThrow("belongs to another user");
    expect(() => read("theirs", "dir", "list")).toThrow("belongs to another user");
  });
  const isShared = process.geteuid?.() === 0 && existsSync("/dev/shm");
  test.skipIf(!isShared)("is refused through a link of someone else below /dev, where everybody may write", () => {
    const shared = mkdtempSync("/dev/shm/fastsync-operator-");
    try {
      symlinkSync(join(directory, "real"), join(shared, "theirs"));
      lchownSync(join(shared, "theirs"), 12345, 12345);
      symlinkSync(join(directory, "real"), join(shared, "own"));
      expect(() => readOperatorFile(Buffer.from(join(shared, "theirs/list")))).toThrow("belongs to another user");
      expect(Buffer.from(readOperatorFile(Buffer.from(join(shared, "own/list")))).toString()).toBe("hello\n");
    } finally {
      rmSync(shared, { recursive: true });
    }
  });
  test("of the kernel's own links", async () => {
    const child = Bun.spawn(
      [
        "bash",
        "-c",
        `'${process.execPath}' -e '
          const { readOperatorFile } = await import("${join(import.meta.dir, "../../src/cli/words/operator-file.ts")}");
          process.stdout.write(readOperatorFile(Buffer.from("/dev/fd/9")));
        ' 9< <(echo from a pipe)`,
      ],
      { stdout: "pipe" },
    );
    expect(await child.stdout.text()).toBe("from a pipe\n");
  });
});
