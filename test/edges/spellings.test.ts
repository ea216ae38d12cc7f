/**
 * Targets that take several spellings of a name for one. Two names of the source that are one there: the first to come
 * stays, the other is a failure of its own, and no run undoes what another did.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { because, expectNothingDone } from "../behaviours/behaviour.ts";
import { type FilesystemKind, type MountedFilesystem, mountFilesystem } from "../support/filesystems.ts";
import { stopDaemons } from "../support/placement.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import { failed, failures, mirrorWords, missing, type Run, WAYS } from "./edge.ts";

afterAll(stopDaemons);

const EEXIST = 17;
const FLAGS = ["--no-perms", "--no-owner", "--no-group", "--no-xattrs", "--no-acls"];
const T = 1_600_000_000_000_000_000n;

/** Every file by its path, with its content. */
function contents(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true }) as string[])
    if (statSync(join(root, name)).isFile()) found[name] = readFileSync(join(root, name), "latin1");
  return found;
}

/** Inode, size and time of everything: what a run leaves as it is does not change. */
function stamps(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[])
    .map((name) => ({ name, stat: statSync(join(root, name), { bigint: true }) }))
    .map(({ name, stat }) => `${name} ${stat.ino} ${stat.size} ${stat.mtimeNs}`)
    .sort();
}

const KINDS: readonly FilesystemKind[] = ["ext4-casefold", "vfat", "exfat"];

for (const kind of KINDS) {
  const reason = missing("tmpfs", kind);
  describe.skipIf(reason !== undefined)(because(`spellings on ${kind}`, reason), () => {
    let mounted: MountedFilesystem;
    let count = 0;
    beforeAll(async () => {
      mounted = await mountFilesystem(kind, "64M");
    });
    afterAll(async () => await mounted?.[Symbol.asyncDispose]());

    /** A directory in which case does not count. */
    function folding(): string {
      const path = join(mounted.path, `target${count++}`);
      mkdirSync(path);
      if (kind === "ext4-casefold") Bun.spawnSync(["chattr", "+F", path]);
      return path;
    }

    for (const way of WAYS) {
      const mirror = (source: string, target: string, exitCode?: number): ReturnType<Run> =>
        way.run("mirror", mirrorWords(source, target, ...FLAGS), exitCode);

      test(`B06 B34 two files that are one there: one arrives whole, the other is named, ${way.name}`, async () => {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), folding()];
        const tree = new TreeBuilder(source);
        tree.file("A", "upper", { mtimeNs: T }).file("a", "lower", { mtimeNs: T });
        tree.file("Large", "L".repeat(3_000_000), { mtimeNs: T }).file("large", "l".repeat(3_000_000), { mtimeNs: T });
        tree
          .file("deep/Name", "1", { mtimeNs: T })
          .file("deep/NAME", "2", { mtimeNs: T })
          .file("deep/name", "3", { mtimeNs: T });
        tree.file("other", "o", { mtimeNs: T }).finish();
        const first = await mirror(source, target, 23);
        expect(failures(first).map(({ errno, code }) => [errno, code])).toEqual(
          failures(first).map(() => [EEXIST, "exists"]),
        );
        expect(failures(first).length).toBe(4);
        for (const { message } of failures(first))
          expect(message).toContain("takes this name for that of another entry");
        const [all, there] = [contents(source), contents(target)];
        expect(Object.keys(there).length).toBe(4);
        for (const [path, content] of Object.entries(there)) expect([path, content]).toEqual([path, all[path]!]);
        expect([...Object.keys(there), ...failed(first)].sort()).toEqual(Object.keys(all).sort());

        /* With something to delete, so that the deletions run too. */
        writeFileSync(join(target, "extraneous"), "x");
        const before = stamps(target).filter((line) => !line.startsWith("extraneous"));
        const again = await mirror(source, target, 23);
        expect(failed(again)).toEqual(failed(first));
        expect(again.summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0, files_deleted: 1 });
        expect(stamps(target)).toEqual(before);
      });

      test(`B45 directories and other types that are one there are not mixed, ${way.name}`, async () => {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), folding()];
        const tree = new TreeBuilder(source);
        tree.file("Docs/upper", "u", { mtimeNs: T }).file("docs/lower", "l", { mtimeNs: T });
        tree.file("Thing/inside", "i", { mtimeNs: T }).file("thing", "f", { mtimeNs: T });
        tree.file("Pair", "p", { mtimeNs: T }).hardlink("pair", "Pair").finish();
        const first = await mirror(source, target, 23);
        expect(failures(first).length).toBe(3);
        const there = contents(target);
        for (const [path, content] of Object.entries(there))
          expect([path, content]).toEqual([path, contents(source)[path]!]);
        expect(Object.keys(there).length).toBe(3);
        const before = stamps(target);
        const again = await mirror(source, target, 23);
        expect(failed(again)).toEqual(failed(first));
        expect(again.summary).toMatchObject({
          files_transferred: 0,
          directories_created: 0,
          files_deleted: 0,
          linked: 0,
        });
        expect(stamps(target)).toEqual(before);
      });

      test(`B41 an entry that is spelled otherwise is the same entry: kept, compared and updated, ${way.name}`, async () => {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), folding()];
        const build = (root: string, names: readonly string[]) => {
          const tree = new TreeBuilder(root);
          for (const name of names) tree.file(name, name.toLowerCase(), { mtimeNs: T });
          tree.finish();
        };
        build(target, ["readme", "docs/guide", "docs/old", "same"]);
        build(source, ["README", "Docs/Guide", "Docs/new", "same"]);
        const before = stamps(target).filter((line) => /^(readme|docs\/guide|same) /.test(line));
        const { summary } = await mirror(source, target);
        expect(summary).toMatchObject({ created: 1, updated: 0, files_deleted: 1, files_failed: 0 });
        expect(contents(target)).toEqual({
          readme: "readme",
          "docs/guide": "docs/guide",
          "docs/new": "docs/new",
          same: "same",
        });
        expect(stamps(target).filter((line) => /^(readme|docs\/guide|same) /.test(line))).toEqual(before);
        await way.run("check", [...FLAGS, "--modify-window=2", `${source}/`, `${target}/`]);

        new TreeBuilder(source).file("README", "another text", { mtimeNs: T }).finish();
        expect((await mirror(source, target)).summary).toMatchObject({ updated: 1, created: 0, files_deleted: 0 });
        /* By the name that was written: a FUSE server caches each spelling for itself. */
        expect(readFileSync(join(target, "README"), "latin1")).toBe("another text");
        rmSync(join(source, "README"));
        expect((await mirror(source, target)).summary).toMatchObject({ updated: 0, files_deleted: 1 });
        expect(readdirSync(target).sort()).toEqual(["docs", "same"]);
        expectNothingDone(await mirror(source, target));
      });

      test(`B46 a move takes only what arrived, ${way.name}`, async () => {
        using dir = tempDir();
        const [source, target] = [dir.join("source"), folding()];
        new TreeBuilder(source).file("A", "upper", { mtimeNs: T }).file("a", "lower", { mtimeNs: T }).finish();
        const result = await way.run("move", [...FLAGS, `${source}/`, `${target}/`], 23);
        const [left] = failed(result);
        expect(Object.keys(contents(source))).toEqual([left!]);
        expect(Object.values({ ...contents(source), ...contents(target) }).sort()).toEqual(["lower", "upper"]);
      });
    }
  });
}
