/** How files are written, interrupted and completed, beside rsync. */
import { expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { because, needsRoot } from "../behaviours/behaviour.ts";
import { MIB, until } from "../behaviours/moments.ts";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { fastsyncCommand } from "../support/program.ts";
import { start } from "../support/run.ts";
import type { TempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { besideRsync, build, run } from "./beside.ts";

const WHO = ["ours", "theirs"] as const;
const MIRROR = { ours: ["mirror", "--yes"], theirs: ["-a", "--delete"] } as const;

besideRsync("writing", [], (scratch) => {
  const placesOf = (dir: TempDir, who: string): [string, string] => [`${dir.join("source")}/`, `${dir.join(who)}/`];

  test("B48 rsync agrees: a file that changed gets another inode, with --inplace it keeps its own", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("file", "the new content"), dir);
    for (const who of WHO)
      for (const [flags, same] of [
        [[], false],
        [["--inplace"], true],
      ] as const) {
        build(dir.join(who), (tree) => void tree.file("file", "old"), dir);
        const before = statSync(dir.join(`${who}/file`)).ino;
        await run(who, [...MIRROR[who], ...flags, ...placesOf(dir, who)]);
        expect([who, flags, statSync(dir.join(`${who}/file`)).ino === before]).toEqual([who, flags, same]);
        expect(readFileSync(dir.join(`${who}/file`), "utf8")).toBe("the new content");
      }
  });

  /** Runs it slowly and kills it, with every process it has, when something of the file is there. */
  async function killed(dir: TempDir, who: "ours" | "theirs", flags: readonly string[] = []): Promise<void> {
    // A clone would be there at once.
    const command = who === "ours" ? fastsyncCommand() : ["rsync"];
    const slowly = ["--bwlimit=5M", ...(who === "ours" ? ["--no-zero-copy"] : [])];
    const words = [...MIRROR[who], ...flags, ...slowly, ...placesOf(dir, who)];
    const running = start(["setsid", ...command, ...words]);
    const bytes = (): number =>
      existsSync(dir.join(who))
        ? readdirSync(dir.join(who)).reduce((sum, name) => sum + statSync(dir.join(`${who}/${name}`)).blocks * 512, 0)
        : 0;
    await until(() => bytes() >= MIB, "a part of the file");
    process.kill(-running.pid, "SIGKILL");
    await running.result;
  }

  test("B49 rsync agrees: what was killed has nothing under the final name, and the next run completes it", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("large", noise(60 * MIB, 1)), dir);
    for (const who of WHO) {
      await killed(dir, who);
      expect(readdirSync(dir.join(who))).not.toContain("large");
      await run(who, [...MIRROR[who], ...placesOf(dir, who)]);
      assertSameTrees(dir.join("source"), dir.join(who));
    }
  });

  test("B49 rsync differs: without --delete its temporary file stays for ever, ours goes with the next run", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("large", noise(60 * MIB, 1)), dir);
    const counts: number[] = [];
    for (const who of WHO) {
      await killed(dir, who);
      await run(who, [...(who === "ours" ? ["copy"] : ["-a"]), ...placesOf(dir, who)]);
      counts.push(readdirSync(dir.join(who)).length);
    }
    expect(counts).toEqual([1, 2]);
  });

  test("B15 rsync agrees: what a killed --update run leaves is no newer file", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("large", noise(60 * MIB, 1)), dir);
    for (const who of WHO) {
      await killed(dir, who, ["--update"]);
      await run(who, [...MIRROR[who], "--update", ...placesOf(dir, who)]);
      assertSameTrees(dir.join("source"), dir.join(who));
    }
  });

  test("B15 rsync differs: it takes --update with --inplace, whose part passes for newer; we refuse", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("large", noise(60 * MIB, 1)), dir);
    await run("ours", ["mirror", "--yes", "--update", "--inplace", ...placesOf(dir, "ours")], 1);
    await killed(dir, "theirs", ["--update", "--inplace"]);
    await run("theirs", [...MIRROR.theirs, "--update", ...placesOf(dir, "theirs")]);
    const whole = readFileSync(dir.join("source/large"));
    expect(readFileSync(dir.join("theirs/large")).equals(whole)).toBe(false);
  });

  test("B50 rsync differs: --append takes what is there for a beginning of the source, --resume compares it", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("file", noise(300_000, 1)), dir);
    for (const who of WHO) build(dir.join(who), (tree) => void tree.file("file", noise(200_000, 2)), dir);
    await run("ours", ["mirror", "--yes", "--resume", ...placesOf(dir, "ours")]);
    await run("theirs", ["-a", "--append", ...placesOf(dir, "theirs")]);
    const whole = readFileSync(dir.join("source/file"));
    expect(WHO.map((who) => readFileSync(dir.join(`${who}/file`)).equals(whole))).toEqual([true, false]);
  });

  const mountReason = canMount("tmpfs");
  test.skipIf(mountReason !== undefined)(
    because("B51 rsync agrees: --temp-dir on another filesystem", mountReason),
    async () => {
      using dir = scratch();
      await using other = await mountFilesystem("tmpfs", "16M");
      build(
        dir.join("source"),
        (tree) => void tree.file("d/file", "newer", { mode: 0o640 }).file("more", noise(MIB, 1)),
        dir,
      );
      for (const who of WHO) {
        build(dir.join(who), (tree) => void tree.file("d/file", "old", { mode: 0o600 }), dir);
        await run(who, [...MIRROR[who], `--temp-dir=${other.path}`, ...placesOf(dir, who)]);
        assertSameTrees(dir.join("source"), dir.join(who));
        expect(readdirSync(other.path)).toEqual([]);
      }
    },
  );

  test.skipIf(needsRoot !== undefined)(
    because("B52 rsync agrees: an ordinary user's file of mode 0444 is updated", needsRoot),
    async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("d/file", "new content", { mode: 0o444 }), dir);
      for (const who of WHO) {
        build(dir.join(who), (tree) => void tree.file("d/file", "old", { mode: 0o444 }), dir);
        for (const path of ["", "/d", "/d/file"]) chownSync(`${dir.join(who)}${path}`, 65_534, 65_534);
        await run(who, [...MIRROR[who], ...placesOf(dir, who)], 0, { asUser: 65_534 });
        expect(readFileSync(dir.join(`${who}/d/file`), "utf8")).toBe("new content");
        expect(statSync(dir.join(`${who}/d/file`)).mode & 0o7777).toBe(0o444);
      }
    },
  );

  test.skipIf(mountReason !== undefined)(
    because("B53 rsync agrees: a full target ends with 11, old files are whole, nothing partial stays", mountReason),
    async () => {
      using dir = scratch();
      build(dir.join("source"), (tree) => void tree.file("a", noise(100_000, 1)).file("b", noise(12 * MIB, 2)), dir);
      for (const who of WHO) {
        await using full = await mountFilesystem("tmpfs", "8M");
        mkdirSync(join(full.path, "t"));
        writeFileSync(join(full.path, "t/b"), "the old one");
        await run(who, [...MIRROR[who], `${dir.join("source")}/`, join(full.path, "t/")], 11);
        expect(readFileSync(join(full.path, "t/b"), "utf8")).toBe("the old one");
        expect(readdirSync(join(full.path, "t")).filter((name) => name !== "a")).toEqual(["b"]);
      }
    },
  );

  test("B61 rsync differs: its transferred files are regular ones only, ours links as well; all else agrees", async () => {
    using dir = scratch();
    build(
      dir.join("source"),
      (tree) => void tree.file("new", "12345").file("d/changed", "longer").file("same", "s").symlink("link", "x"),
      dir,
    );
    for (const who of WHO)
      build(
        dir.join(who),
        (tree) => void tree.file("d/changed", "x").file("same", "s").file("gone/a").file("gone/b"),
        dir,
      );
    const ours = await run("ours", ["mirror", "--yes", "--json", ...placesOf(dir, "ours")]);
    const theirs = await run("theirs", ["-a", "--delete", "--stats", ...placesOf(dir, "theirs")]);
    const summary = JSON.parse(ours.stdout.trim().split("\n").at(-1)!) as Record<string, number>;
    const stat = (name: string): number => Number(new RegExp(`^${name}: ([\\d,]+)`, "m").exec(theirs.stdout)![1]);
    expect([summary["created"], summary["files_deleted"], summary["bytes_transferred"]]).toEqual([
      stat("Number of created files"),
      stat("Number of deleted files"),
      stat("Total transferred file size"),
    ]);
    expect([summary["files_transferred"], stat("Number of regular files transferred")]).toEqual([3, 2]);
  });

  test("B61 rsync agrees: -q prints nothing and still copies", async () => {
    using dir = scratch();
    build(dir.join("source"), (tree) => void tree.file("d/file", "x"), dir);
    for (const who of WHO) {
      const { stdout, stderr } = await run(who, [...MIRROR[who], "-q", ...placesOf(dir, who)]);
      expect([stdout, stderr]).toEqual(["", ""]);
    }
    assertSameTrees(dir.join("theirs"), dir.join("ours"));
  });

  test("B62 S33 rsync agrees: no control byte of a name reaches the output", async () => {
    using dir = scratch();
    const names = ["esc\x1b[2J", "bell\x07", "line\nbreak", "return\rhere", Buffer.of(0x63, 0x9b, 0x31, 0x6d)];
    build(dir.join("source"), (tree) => names.forEach((name) => void tree.file(name, "x")), dir);
    for (const who of WHO) {
      const { stdoutBytes } = await run(who, [...MIRROR[who], "-v", ...placesOf(dir, who)]);
      const bytes = [...stdoutBytes].filter((byte) => (byte < 0x20 && byte !== 0x0a) || byte === 0x7f || byte === 0x9b);
      expect([who, bytes]).toEqual([who, []]);
    }
  });
});
