/** `explain`: tells what a run would do, and leaves no trace. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Parts } from "../../src/cli/context.ts";
import { startRun } from "../../src/session/run.ts";
import { startDaemon } from "../network/support/daemon.ts";
import { canMount, type FilesystemKind, mountFilesystem } from "../support/filesystems.ts";
import { fastsync, fastsyncJson, describe as shown } from "../support/run.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { fakeParts } from "./fake-parts.ts";
import { answered, jsonLines } from "./processes.ts";

let dir: TempDir;
beforeEach(() => {
  dir = tempDir();
  for (const name of ["source/sub", "target/old"]) mkdirSync(dir.join(name), { recursive: true });
  writeFileSync(dir.join("source/large"), noise(100_000, 1));
  writeFileSync(dir.join("source/sub/small"), "small");
  symlinkSync("large", dir.join("source/link"));
  writeFileSync(dir.join("target/large"), "older");
  writeFileSync(dir.join("target/old/extra"), "extra");
});
afterEach(() => dir[Symbol.dispose]());

/**
 * Everything that looking could change, of every entry. Reading a link's text changes its access time whatever one does;
 * the portable twin has no say in how directories are read.
 */
function traces(root: string, names = namesIn(root)): string[] {
  return names.map((name) => {
    const stat = lstatSync(join(root, name), { bigint: true });
    const { ino, mode, nlink, size, mtimeNs, ctimeNs } = stat;
    const atimeNs = stat.isFile() || (stat.isDirectory() && isNative) ? stat.atimeNs : 0;
    return [name, ino, mode, nlink, size, atimeNs, mtimeNs, ctimeNs].join(" ");
  });
}

function namesIn(root: string): string[] {
  return ["", ...(readdirSync(root, { recursive: true }) as string[])].sort();
}

/** Watches trees whose access times are so old that any reading would move them; our own listing comes before. */
function watch(...roots: string[]): () => string[] {
  const trees = roots.map((root) => [root, namesIn(root)] as const);
  const long = new Date("2020-01-01");
  for (const [root, names] of trees)
    for (const name of names) lutimesSync(join(root, name), long, lstatSync(join(root, name)).mtime);
  return () => trees.flatMap(([root, names]) => traces(root, names));
}

const isNative = process.env["FASTSYNC_NATIVE"] !== "off";

const places = (): string[] => [dir.join("source/"), dir.join("target/")];

async function explainedJson(words: readonly string[]): Promise<Record<string, unknown>> {
  const result = await fastsync(["explain", "--json", ...words]);
  expect(shown(result)).toStartWith("exit 0");
  const lines = jsonLines(result.stdout);
  expect(lines.map(({ type }) => type)).toEqual(["explain"]);
  return lines[0]!;
}

function decision(line: Record<string, unknown>, topic: string): { value: string; reason: string } | undefined {
  return (line["decisions"] as { topic: string; value: string; reason: string }[]).find((one) => one.topic === topic);
}

describe("explain", () => {
  test("takes the line of a run as it is; a source of the verb's name comes first", async () => {
    const decided = (line: Record<string, unknown>) => [line["deletions"], decision(line, "fsync")?.value];
    expect(decided(await explainedJson(["mirror", "-nvy", "--stats", ...places()]))).toEqual([
      { entries: 2, refusal: null },
      "none",
    ]);
    const move = await explainedJson(["move", ...places()]);
    expect(decided(move)).toEqual([{ entries: null, refusal: expect.stringContaining("move deletes nothing") }, "end"]);
    expect(decision(move, "sources")?.value).toBe("removed");
    expect(decision(move, "method")?.value).toStartWith("rename or ");
    expect(decision(await explainedJson(["move", "--verify", ...places()]), "method")?.value).not.toContain("rename");
    expect(decided(await explainedJson(["sync", "--delete", "-p", "2", ...places()]))[0]).toMatchObject({ entries: 2 });
    const sync = await explainedJson(["sync", ...places()]);
    expect([sync["verb"], decided(sync)[0]]).toEqual([
      "sync",
      { entries: null, refusal: expect.stringContaining("sync without --delete deletes nothing") },
    ]);
    expect((await explainedJson(["cp", "-R", ...places()]))["files_to_transfer"]).toBe(3);
    expect((await explainedJson(places()))["verb"]).toBeUndefined();
    const text = await fastsync(["explain", "mirror", "--detach", "--max-delete=1", ...places()]);
    expect([text.exitCode, text.stderr]).toEqual([
      1,
      expect.stringContaining("--detach is for runs between two daemons"),
    ]);
    mkdirSync(dir.join("mirror"));
    const named = await fastsync(["explain", "mirror", "source/", "target/"], { cwd: dir.path });
    expect(named.stdout).toStartWith("explain mirror, source/ -> target");
    const mirror = (await fastsync(["explain", "mirror", ...places()])).stdout;
    expect(mirror).toStartWith(`explain mirror: ${places()[0]}`);
    expect(mirror).toContain("2 entries in the target only, to be deleted after everything arrived\n");
    const none = (await fastsync(["explain", "mirror", "--max-delete=1", ...places()])).stdout.replaceAll(/\s+/g, " ");
    expect(none).toContain("2 entries in the target only, and none would be deleted: ");
  });

  const parts: Parts = { ...fakeParts("normal"), startRun: async () => startRun };
  /** How a line ends that is refused. */
  async function end(words: readonly string[]) {
    const { out } = await answered([...words, "--json"], parts);
    const { exit_code, exit_reason, message } = jsonLines(out).at(-1)!;
    return { exit_code, exit_reason, message };
  }
  /** Lines that are refused before anything is touched; `S` is the source, `T` the target. */
  const refused: readonly string[] = [
    "sync --max-delete 5 S T",
    "sync --delete-excluded S T",
    "sync --allow-empty-source S T",
    "copy --max-delete 5 S T",
    "move --max-delete=5 S T",
    "cp -R --delete S T",
    "cp S T",
    "copy --suffix ~ S T",
    "move --wait 2 S T",
    "mirror --quiet --verbose S T",
    "mirror --inplace --update S T",
    "mirror S S T",
    "sync S",
    "copy --detach S T",
    "move --detach --dry-run S T",
    "copy --filter=merge,x S T",
    "copy --filter=frobnicate S T",
    "copy --chown=a:b:c S T",
    "sync --retry=-1 S T",
    "mirror S Ssub/copy",
    "move S Ssub/copy",
    "mirror Ssub S",
    "copy S S",
    "copy Sgone T",
  ];
  test("refuses what the verb refuses, and in its words", async () => {
    const [source, target] = places() as [string, string];
    for (const line of refused) {
      const words = line.split(" ").map((word) => word.replace(/^S/, source).replace(/^T$/, target));
      const [own, explained] = [await end(words), await end(["explain", ...words])];
      expect([line, own.exit_code === 1 || own.exit_code === 3]).toEqual([line, true]);
      expect([line, explained]).toEqual([line, own]);
    }
    // What the verb takes is not refused: a copy may go into a directory of its source.
    expect((await explainedJson(["copy", source, join(source, "sub/copy")]))["verb"]).toBe("copy");
  });

  test("of a daemon too: a module that is read-only is no source of a move", async () => {
    await using daemon = await startDaemon({
      path: dir.join("target"),
      module: `[[module]]\nname = "fixed"\npath = ${JSON.stringify(dir.join("source"))}`,
    });
    const fixed = `${daemon.host}:${daemon.port}:/fixed/`;
    for (const words of [
      ["move", fixed, dir.join("moved/")],
      ["copy", dir.join("source/"), fixed],
      ["copy", "--detach", fixed, daemon.place()],
    ]) {
      const [own, explained] = [await end(words), await end(["explain", ...words])];
      expect([words, explained]).toEqual([words, own]);
      expect(own.exit_code).toBe(3);
    }
    expect((await explainedJson(["copy", fixed, dir.join("moved/")]))["files_to_transfer"]).toBe(3);
    expect(readdirSync(dir.path).sort()).toEqual(["source", "target"]);
  });
  test("tells the work, the deletions, the methods and every decision; as text a line each", async () => {
    const line = await explainedJson(places());
    expect(line).toMatchObject({
      schema: 1,
      files_to_transfer: 3,
      bytes_to_transfer: 100_005,
      deletions: { entries: 2, refusal: null },
      target: { exists: true },
    });
    const topics = (line["decisions"] as { topic: string }[]).map(({ topic }) => topic);
    expect(topics).toEqual(["engine", "compare", "method", "workers", "ranges", "verify", "fsync", "resume", "write"]);
    for (const { reason } of line["decisions"] as { reason: string }[]) expect(reason).not.toBe("");
    const text = await fastsync(["explain", ...places()]);
    expect(text.stdout).toContain("to do           3 files to copy, 97.7 KiB");
    expect(text.stdout.replaceAll(/\s+/g, " ")).toContain(
      "2 entries in the target only: copy and sync leave them, mirror and sync --delete would delete them",
    );
    expect(text.stdout).toEndWith("Nothing was changed.\n");
    expect(text.stdout.split("\n").filter((one) => one.startsWith(" ".repeat(16)))).toEqual([]);
  });

  test("leaves no trace: inodes, times, also of access, names, and what is below", async () => {
    const seen = watch(dir.join("source"), dir.join("target"));
    const before = seen();
    for (const flags of [[], ["--checksum"], ["--preset", "backup"], ["--temp-dir", dir.join("temporary")]])
      expect((await fastsync(["explain", ...flags, ...places()])).exitCode).toBe(0);
    expect(seen()).toEqual(before);
    const missing = await explainedJson([dir.join("source/"), dir.join("not/yet/there")]);
    expect(missing).toMatchObject({ target: { exists: false }, deletions: { entries: 0 } });
    expect(readdirSync(dir.path).sort()).toEqual(["source", "target"]);
  });

  const noStrace = Bun.which("strace") === null;
  test.skipIf(noStrace)("makes no call that changes a file below the places (needs strace)", async () => {
    const log = dir.join("strace");
    const changing =
      "write,pwrite64,writev,ftruncate,fallocate,mkdir,mkdirat,mknodat,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlinkat,utimensat,fchmod,fchmodat,fchown,fchownat,fsetxattr,setxattr,lsetxattr,copy_file_range,sendfile,openat,openat2,ioctl";
    const prefix = ["strace", "-f", "-qq", "-y", "-e", `trace=${changing}`, "-o", log];
    expect((await fastsync(["explain", "--checksum", ...places()], { prefix })).exitCode).toBe(0);
    const calls = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes(`${dir.path}/`));
    // It was looked at, so that the trace is one of the right program.
    expect(calls.some((call) => call.includes("/target"))).toBe(true);
    const suspicious = calls
      .filter((call) => !call.includes("openat resumed>"))
      .filter((call) => !/ (openat2?|ioctl)\(/.test(call) || /O_(WRONLY|RDWR|CREAT|TMPFILE|TRUNC)|FICLONE/.test(call));
    expect(suspicious).toEqual([]);
  });

  test("says why deletions would be refused, and what cannot be counted", async () => {
    for (let i = 0; i < 120; i++) writeFileSync(dir.join(`target/extra${i}`), "");
    const refused = await explainedJson(places());
    expect(refused["deletions"]).toMatchObject({
      entries: 122,
      refusal: expect.stringContaining("more than the limit of 100"),
    });
    mkdirSync(dir.join("empty"));
    const empty = await explainedJson([dir.join("empty/"), dir.join("target/")]);
    expect(empty["deletions"]).toMatchObject({ refusal: expect.stringContaining("the source is empty") });
    const several = await explainedJson([dir.join("source/large"), dir.join("source/sub/small"), dir.join("target/")]);
    expect(several["deletions"]).toEqual({ entries: null, refusal: "a mirror has one source" });
    const inside = await explainedJson([dir.join("source/"), dir.join("source/sub/copy")]);
    expect(inside["deletions"]).toMatchObject({
      entries: null,
      refusal: expect.stringContaining("lies inside source"),
    });
  });

  test("follows the flags and settings of the run", async () => {
    const line = await explainedJson([
      "--preset",
      "safe",
      "--workers",
      "3",
      "--chunk-size=1M",
      "--buffer-size=4M",
      ...places(),
    ]);
    expect(decision(line, "method")?.value).toBe("read_write");
    expect(decision(line, "verify")?.value).toBe("compare");
    expect(decision(line, "resume")?.value).toBe("on");
    expect(decision(line, "workers")?.value).toBe("3");
    expect(decision(line, "ranges")?.value).toBe("1.00 MiB");
    expect(decision(line, "buffer")?.value).toBe("4.00 MiB");
    const clone = (line["methods"] as { method: string; tried: boolean; reason: string }[])[0];
    expect(clone).toEqual({ method: "clone", tried: false, reason: expect.any(String) });
    expect(line["methods"]).toContainEqual(expect.objectContaining({ method: "read_write", outlook: "works" }));
    expect((await fastsync(["explain", "--preset", "safe", ...places()])).stdout).toContain("(preset safe)");
  });

  test("names what cannot be used, with its exit code", async () => {
    const { exitCode, stderr } = await fastsync(["explain", dir.join("gone"), dir.join("target")]);
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining("gone cannot be used")]);
    expect((await fastsync(["explain", "--yes", ...places()])).stderr).toContain("explain has no use for it");
  });

  test("of a daemon: what is there, how content would travel, and nothing changed either", async () => {
    await using daemon = await startDaemon({ path: dir.join("target") });
    const seen = watch(dir.join("target"));
    const before = seen();
    const push = await explainedJson([dir.join("source/"), daemon.place()]);
    expect(push).toMatchObject({ files_to_transfer: 3, deletions: { entries: 2 }, target: { place: "daemon" } });
    expect(decision(push, "carrier")?.value).toBe("data connections");
    expect(decision(push, "streams")?.value).toStartWith("4 at first");
    expect(decision(push, "method")).toBeUndefined();
    const inStream = await explainedJson(["--force-grpc", dir.join("source/"), daemon.place()]);
    expect(decision(inStream, "carrier")?.value).toBe("control connection");
    const pull = await explainedJson([daemon.place(), dir.join("source")]);
    expect(pull).toMatchObject({ sources: [{ place: "daemon" }], target: { place: "local" } });
    expect(seen()).toEqual(before);
  });
});

const cannotMount = ["xfs", "xfs-noreflink", "ext4", "btrfs"]
  .map((kind) => canMount(kind as FilesystemKind))
  .find(Boolean);
const noKernelMethods = isNative ? cannotMount : "the portable backend reads and writes";

describe.skipIf(noKernelMethods !== undefined)(
  `what moves the content${noKernelMethods ? ` (${noKernelMethods})` : ""}`,
  () => {
    /** What `explain` says of a file there, and what a copy then does. */
    const compared = async (
      source: string,
      target: string,
    ): Promise<{ expected: string[]; outlook: string; used: string[] }> => {
      writeFileSync(join(source, "file"), noise(200_000, 1));
      const line = await explainedJson([join(source, "file"), join(target, "copy")]);
      const [clone] = line["methods"] as { outlook: string }[];
      const { summary } = await fastsyncJson(["copy", join(source, "file"), join(target, "copy")]);
      rmSync(join(target, "copy"));
      const used = Object.keys(summary["methods"] as object);
      return { expected: decision(line, "method")!.value.split(" or "), outlook: clone!.outlook, used };
    };

    test.each([
      ["xfs", "works", "clone"],
      ["xfs-noreflink", "refused", "copy_file_range"],
      ["ext4", "refused", "copy_file_range"],
      ["btrfs", "works", "clone"],
      ["tmpfs", "refused", "copy_file_range"],
    ] as const)("within one %s", async (kind, outlook, method) => {
      await using filesystem = await mountFilesystem(kind, "320M");
      mkdirSync(join(filesystem.path, "into"));
      const seen = await compared(filesystem.path, join(filesystem.path, "into"));
      expect(seen).toEqual({ expected: [method], outlook, used: [method] });
    });

    test("between two of one kind, and of two kinds", async () => {
      await using one = await mountFilesystem("xfs", "320M");
      await using other = await mountFilesystem("xfs", "320M");
      for (const target of [other.path, dir.join("target")]) {
        const { expected, outlook, used } = await compared(one.path, target);
        expect([outlook, expected]).toEqual(["refused", used]);
      }
    });

    test("subvolumes are one btrfs; a directory without copy-on-write is a may", async () => {
      await using filesystem = await mountFilesystem("btrfs", "320M");
      const at = (name: string) => join(filesystem.path, name);
      for (const name of ["a", "b"]) expect(spawnSync("btrfs", ["subvolume", "create", at(name)]).status).toBe(0);
      expect(await compared(at("a"), at("b"))).toEqual({ expected: ["clone"], outlook: "works", used: ["clone"] });
      mkdirSync(at("b/plain"));
      expect(spawnSync("chattr", ["+C", at("b/plain")]).status).toBe(0);
      const { expected, outlook, used } = await compared(at("a"), at("b/plain"));
      expect([outlook, expected]).toEqual(["may", ["clone", "copy_file_range"]]);
      expect(used).toEqual(["copy_file_range"]);
      const like = await compared(at("b/plain"), at("b/plain"));
      expect([like.outlook, like.used]).toEqual(["may", ["clone"]]);
    });
  },
);
