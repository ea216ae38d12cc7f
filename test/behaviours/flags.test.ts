/** Flags that no other theme asks for, each with what changes through it, and the ladder step by step. */
import { expect, setDefaultTimeout } from "bun:test";
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { fastsync, fastsyncJson } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";
import { because, behavioursMissing } from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

setDefaultTimeout(60_000);
const MIB = 1 << 20;
const isNative = process.env["FASTSYNC_NATIVE"] !== "off";

describe.skipIf(behavioursMissing !== undefined)(because("flags", behavioursMissing), () => {
  test("-q prints nothing and still copies", async () => {
    using dir = tempDir();
    mkdirSync(dir.join("s"));
    writeFileSync(dir.join("s/a"), "a");
    const { exitCode, stdout, stderr } = await fastsync(["copy", "-q", dir.join("s/"), dir.join("t")]);
    expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
    expect(readdirSync(dir.join("t"))).toEqual(["a"]);
  });

  test("-p says each second how far it is, where there is no terminal; without it there is silence", async () => {
    using dir = tempDir();
    mkdirSync(dir.join("s"));
    writeFileSync(dir.join("s/a"), new Uint8Array(3 * MIB).fill(1));
    const slow = ["--bwlimit", "1M", "--no-zero-copy"];
    const shown = await fastsync(["copy", "-p", ...slow, dir.join("s/"), dir.join("t")]);
    const silent = await fastsync(["copy", ...slow, dir.join("s/"), dir.join("u")]);
    expect([shown.exitCode, silent.exitCode]).toEqual([0, 0]);
    expect(shown.stderr.split("\n").filter((line) => line.includes("MiB")).length).toBeGreaterThan(0);
    expect(silent.stderr).toBe("");
  });

  test("-0 takes NUL-separated lists, in which a newline is part of a name", async () => {
    using dir = tempDir();
    mkdirSync(dir.join("s"));
    for (const name of ["a\nb", "a", "b", "c"]) writeFileSync(`${dir.join("s")}/${name}`, name);
    writeFileSync(dir.join("list"), "a\nb\0c\0");
    const { exitCode } = await fastsync([
      "copy",
      "-0",
      "--files-from",
      dir.join("list"),
      dir.join("s/"),
      dir.join("t"),
    ]);
    expect(exitCode).toBe(0);
    expect(readdirSync(dir.join("t")).sort()).toEqual(["a\nb", "c"]);
  });

  test.each([
    ["--min-age", ["old"]],
    ["--max-age", ["young"]],
  ])("%s 1h selects by modification time, and what is left out is not deleted", async (flag, copied) => {
    using dir = tempDir();
    mkdirSync(dir.join("s"));
    mkdirSync(dir.join("t"));
    const hours = (count: number) => Date.now() / 1000 - count * 3600;
    for (const [name, age] of [
      ["old", 5],
      ["young", 0],
    ] as const) {
      writeFileSync(`${dir.join("s")}/${name}`, name);
      utimesSync(`${dir.join("s")}/${name}`, hours(age), hours(age));
      writeFileSync(`${dir.join("t")}/${name}`, "other than before");
      utimesSync(`${dir.join("t")}/${name}`, hours(9), hours(9));
    }
    const { exitCode, summary } = await fastsyncJson(["mirror", "--yes", flag, "1h", dir.join("s/"), dir.join("t")]);
    expect(exitCode).toBe(0);
    expect([summary["files_transferred"], summary["files_deleted"]]).toEqual([1, 0]);
    const checked = await fastsyncJson([
      "check",
      "-c",
      `${dir.join("s")}/${copied[0]}`,
      `${dir.join("t")}/${copied[0]}`,
    ]);
    expect(checked.exitCode).toBe(0);
    expect(readdirSync(dir.join("t")).sort()).toEqual(["old", "young"]);
  });

  test.skipIf(!isNative)(
    "--no-zero-copy and its variables leave only read and write; --zero-copy overrides them",
    async () => {
      using dir = tempDir();
      mkdirSync(dir.join("s"));
      writeFileSync(dir.join("s/a"), new Uint8Array(2 * MIB).fill(7));
      const methods = async (target: string, flags: string[], env: Record<string, string>) => {
        const { summary } = await fastsyncJson(["copy", ...flags, dir.join("s/"), dir.join(target)], { env });
        return Object.keys(summary["methods"] as object);
      };
      expect(await methods("flag", ["--no-zero-copy"], {})).toEqual(["read_write"]);
      expect(await methods("ours", [], { FASTSYNC_NO_ZERO_COPY: "1" })).toEqual(["read_write"]);
      expect(await methods("older", [], { ORBIT_NO_ZERO_COPY: "1" })).toEqual(["read_write"]);
      expect(await methods("override", ["--zero-copy"], { FASTSYNC_NO_ZERO_COPY: "1" })).not.toContain("read_write");
      expect(await methods("plain", [], {})).not.toContain("read_write");
    },
  );
});

const ladderMissing = behavioursMissing ?? (isNative ? canMount("tmpfs") : "the portable backend has one method");

describe.skipIf(ladderMissing !== undefined)(
  because("the ladder, from a RAM filesystem to this disk", ladderMissing),
  () => {
    // A clone cannot cross filesystems: each list begins with it, and the next method has to do the work.
    test.each([
      ["clone,copy_file_range", "copy_file_range"],
      ["clone,sendfile", "sendfile"],
      ["clone,mmap", "mmap"],
      ["clone,read_write", "read_write"],
    ])("%s: clone is refused with its reason, then %s", async (list, method) => {
      await using ram = await mountFilesystem("tmpfs", "64M");
      using dir = tempDir();
      writeFileSync(`${ram.path}/a`, new Uint8Array(5 * MIB).fill(3));
      const target = dir.join("t");
      const { exitCode, summary } = await fastsyncJson(["copy", "--copy-method", list, `${ram.path}/`, target]);
      const moved = summary["methods"] as Record<string, number>;
      if (exitCode !== 0) {
        // Some kernels refuse copy_file_range across filesystems as well: then that is what must be said.
        expect([list, exitCode]).toEqual(["clone,copy_file_range", 23]);
        return;
      }
      expect(moved).toEqual({ [method]: 1 });
      const refused = summary["refused"] as { method: string; reason: string }[];
      expect(refused.map((entry) => entry.method)).toEqual(["clone"]);
      expect(refused[0]!.reason).toMatch(/EXDEV|EOPNOTSUPP/);
      expect((await fastsync(["check", "-c", `${ram.path}/`, target])).exitCode).toBe(0);
    });

    test("a method that only the library has is refused without it, and nothing is touched", async () => {
      using dir = tempDir();
      writeFileSync(dir.join("a"), "a");
      const words = ["copy", "--copy-method", "sendfile,mmap", dir.join("a"), dir.join("t/")];
      const { exitCode, summary } = await fastsyncJson(words, { env: { FASTSYNC_NATIVE: "off" } });
      expect([exitCode, summary["exit_reason"]]).toEqual([1, "copy_method"]);
      expect(summary["message"]).toContain("sendfile,mmap needs the native library");
      expect(summary["message"]).toContain("FASTSYNC_NATIVE=off");
      expect(readdirSync(dir.path)).toEqual(["a"]);
    });

    test("clone alone fails where it cannot work, names the file, and leaves nothing", async () => {
      await using ram = await mountFilesystem("tmpfs", "64M");
      using dir = tempDir();
      writeFileSync(`${ram.path}/a`, new Uint8Array(MIB).fill(3));
      const { exitCode, summary } = await fastsyncJson([
        "copy",
        "--copy-method",
        "clone",
        `${ram.path}/`,
        dir.join("t"),
      ]);
      expect([exitCode, summary["files_transferred"], summary["files_failed"]]).toEqual([23, 0, 1]);
      expect(existsSync(dir.join("t/a"))).toBe(false);
      expect(readdirSync(dir.join("t"))).toEqual([]);
    });
  },
);
