/** Symbolic links: carried as they are, followed where that is asked for, and never followed where it is not. */
import { expect } from "bun:test";
import {
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { lstat, setTimes } from "../support/libc.ts";
import { rsync, rsyncMissing } from "../support/oracle.ts";
import { isRoot, ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import {
  because,
  behavioursMissing,
  expectNothingDone,
  mirror,
  needsRoot,
  ORDINARY,
  onEachFilesystem,
  ordinaryDir,
  ordinaryMissing,
  run,
  touched,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const LONGEST = `${"long/".repeat(818)}12345`;

const TARGETS: readonly (readonly [string, string | Uint8Array])[] = [
  ["dangling", "no/such/thing"],
  ["absolute", "/etc/hostname"],
  ["absolute-dangling", "/no/such"],
  ["escaping", "../../../../../../../../../../etc/passwd"],
  ["not-utf8", Uint8Array.of(0x78, 0xff, 0xc3, 0x28)],
  ["control", "a\nb\tc\u001b[31m"],
  ["odd-slashes", "..//deep/./er//"],
  ["itself", "itself"],
  ["parent", ".."],
  ["to-directory", "deep"],
  ["to-file", "deep/file"],
];

function buildLinks(root: string, longest = ""): void {
  const tree = new TreeBuilder(root).file("deep/file", "content", { mtimeNs: 1n });
  TARGETS.forEach(([name, target], index) => {
    const mtimeNs = 1_234_567_890_000_000_000n + BigInt(index) * 1_000_000_007n;
    tree.symlink(name, target, { mtimeNs }).symlink(`deep/er/${name}`, target, { mtimeNs: mtimeNs + 1n });
  });
  if (longest !== "") tree.symlink("deep/er/longest", longest, { mtimeNs: 5n });
  for (const name of ["deep/er", "deep", ""]) tree.dir(name, { mtimeNs: 6n });
  tree.finish();
}

onEachFilesystem("symbolic links", ({ kind, scratch }) => {
  test("B17 exact text and times, however long, and again", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    /* XFS takes 1,024 bytes, the others what a path may have. */
    const longest = kind === "xfs" ? LONGEST.slice(0, 1023) : LONGEST;
    buildLinks(source, longest);
    await mirror(source, target);
    assertSameTrees(source, target);
    expect(readlinkSync(`${target}/deep/er/longest`)).toBe(longest);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target));
    expect(touched(before, target)).toEqual([]);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("symbolic links", behavioursMissing), () => {
  test("B17 a link whose time alone differs is repaired, one of another text is replaced", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildLinks(source);
    await mirror(source, target);
    const before = lstat(`${target}/dangling`);
    setTimes(`${source}/dangling`, 77n);
    rmSync(`${source}/to-file`);
    new TreeBuilder(source).symlink("to-file", "deep/elsewhere", { mtimeNs: 78n });
    const { summary } = await mirror(source, target);
    assertSameTrees(source, target);
    expect(lstat(`${target}/dangling`).ino).toBe(before.ino);
    expect(summary).toMatchObject({ repaired: 1, updated: 1, bytes_transferred: 0 });
  });

  test("B17 links change places with files and directories, and what they point at is untouched", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(dir.join("outside")).file("precious", "p", { mtimeNs: 1n }).dir("", { mtimeNs: 2n }).finish();
    const outside = takeSnapshot(dir.join("outside"));
    const [file, link] = [
      ["file", "f"],
      ["link", "../outside/precious"],
    ] as const;
    new TreeBuilder(source)
      .symlink("was-file", link[1])
      .file("was-link/now/inside", "i")
      .file("was-link-file", file[1])
      .symlink("was-directory", "../outside")
      .file("same-name/precious", "other")
      .finish();
    new TreeBuilder(target)
      .file("was-file", "x")
      .symlink("was-link", "../outside")
      .symlink("was-link-file", link[1])
      .file("was-directory/a/b", "x")
      .symlink("same-name", "../outside")
      .symlink("extraneous", "../outside")
      .finish();
    await mirror(source, target);
    assertSameTrees(source, target);
    assertSameTrees(outside, dir.join("outside"));
  });

  test("B18 --copy-links puts referents in the place of links, at any depth", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(dir.join("outside")).file("inner/file", "outside", { mtimeNs: 1n, mode: 0o640 }).finish();
    new TreeBuilder(source)
      .file("real/file", "content", { mtimeNs: 2n })
      .symlink("to-file", "real/file")
      .symlink("to-directory", "real")
      .symlink("chain", "to-directory")
      .symlink("deep/to-outside", "../../outside")
      .symlink("absolute", dir.join("outside/inner/file"))
      .finish();
    await mirror(source, target, ["--copy-links"]);
    expect([...takeSnapshot(target).values()].some((entry) => entry.type === "symlink")).toBe(false);
    for (const name of ["to-file", "to-directory/file", "chain/file"])
      assertSameTrees(`${source}/real/file`, `${target}/${name}`);
    for (const name of ["deep/to-outside/inner/file", "absolute"])
      assertSameTrees(dir.join("outside/inner/file"), `${target}/${name}`);
    expectNothingDone(await mirror(source, target, ["--copy-links"]));
  });

  test("B18 --copy-links names loops and dangling links, and everything else arrives", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source)
      .file("a/b/file", "content")
      .symlink("a/b/up", "..")
      .symlink("a/self", "self")
      .symlink("a/root", "../.")
      .symlink("dangling", "nowhere")
      .file("z", "last")
      .finish();
    new TreeBuilder(target).file("extraneous", "").finish();
    const { summary } = await mirror(source, target, ["--copy-links"], { exitCode: 23 });
    expect(readFileSync(`${target}/a/b/file`, "utf8")).toBe("content");
    expect(readFileSync(`${target}/z`, "utf8")).toBe("last");
    const failures = (summary["failures"] as { path: string }[]).map((failure) => failure.path).sort();
    expect(failures).toEqual(["a/b/up", "a/root", "a/self", "dangling"]);
    /* What could not be read proves no absence. */
    expect(existsSync(`${target}/extraneous`)).toBe(true);
  });

  const SAFETY: readonly (readonly [string, string, boolean])[] = [
    ["inside", "sub/file", true],
    ["sub/up", "../file", true],
    ["sub/sub/up-two", "../../file", true],
    ["sub/dot", "./file", true],
    ["dangling-inside", "not/there", true],
    ["absolute", "/etc/passwd", false],
    ["absolute-inside", "ROOT/sub/file", false],
    ["climbs", "../outside", false],
    ["sub/climbs", "../../outside", false],
    ["sub/sub/climbs", "../../../outside", false],
    ["parent", "..", false],
    ["climbs-late", "sub/../../outside", false],
    /* By text this stays inside; by way of `here`, a link to `.`, it leaves. */
    ["here", ".", true],
    ["through-link", "here/../outside", false],
    ["through-link-end", "here/..", false],
  ];

  function buildUnsafe(source: string): void {
    const tree = new TreeBuilder(source).file("sub/file", "x").file("sub/sub/file", "x").file("file", "x");
    for (const [name, text] of SAFETY) tree.symlink(name, text.replace("ROOT", source), { mtimeNs: 5n });
    tree.finish();
  }

  test("B19 --safe-links carries links that stay inside and leaves out the others, with a count", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildUnsafe(source);
    const { summary } = await mirror(source, target, ["--safe-links"]);
    const links = [...takeSnapshot(target).values()].filter((entry) => entry.type === "symlink");
    const safe = SAFETY.filter(([, , isSafe]) => isSafe).map(([name]) => name);
    expect(links.map((entry) => Buffer.from(entry.path).toString()).sort()).toEqual([...safe].sort());
    expect(summary["skipped"]).toEqual({ unsafe_link: SAFETY.length - safe.length });
  });

  test.skipIf(rsyncMissing !== undefined)(because("B19 rsync agrees: which links lead out", rsyncMissing), () => {
    using dir = tempDir();
    buildUnsafe(dir.join("source"));
    expect(rsync(["-a", "--safe-links", `${dir.join("source")}/`, dir.join("target")]).exitCode).toBe(0);
    for (const [name, , isSafe] of SAFETY) {
      const arrived = takeSnapshot(dir.join("target")).has(name);
      expect([name, arrived]).toEqual([name, isSafe]);
    }
  });

  test("B19 --safe-links with --backup: what is replaced is kept, the unsafe link does not come in by the backup", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).symlink("name", "../outside").file("other", "new").finish();
    new TreeBuilder(target).file("name", "old").file("other", "o").finish();
    await mirror(source, target, ["--safe-links", "--backup"]);
    expect(readFileSync(`${target}/name`, "utf8")).toBe("old");
    expect(readFileSync(`${target}/other~`, "utf8")).toBe("o");
    expect([...takeSnapshot(target).values()].some((entry) => entry.type === "symlink")).toBe(false);
  });

  test("B23 a target that is the operator's own link is followed, and stays a link", async () => {
    using dir = tempDir();
    buildLinks(dir.join("source"));
    mkdirSync(dir.join("disk"));
    symlinkSync("disk", dir.join("backup"));
    for (const target of ["backup", "backup/"]) {
      await mirror(dir.join("source"), dir.join(target));
      assertSameTrees(dir.join("source"), dir.join("disk"));
      expect(readlinkSync(dir.join("backup"))).toBe("disk");
    }
    await mirror(dir.join("source"), dir.join("backup/below/it"), ["--exclude", "/below"]);
    expect(readdirSync(dir.join("disk/below/it")).length).toBeGreaterThan(5);
  });

  test("B23 a source argument that is a link: with a slash its contents, without one the link", async () => {
    using dir = tempDir();
    buildLinks(dir.join("real"));
    symlinkSync("real", dir.join("link"));
    await run("copy", [`${dir.join("link")}/`, dir.join("contents")]);
    assertSameTrees(dir.join("real"), dir.join("contents"));
    await run("copy", [dir.join("link"), `${dir.join("entry")}/`]);
    expect(readlinkSync(dir.join("entry/link"))).toBe("real");
  });

  test.skipIf(needsRoot !== undefined)(
    because("B23 a target that is somebody else's link is refused, alone or on the way", needsRoot),
    async () => {
      using dir = tempDir();
      buildLinks(dir.join("source"));
      mkdirSync(dir.join("precious/inner"), { recursive: true });
      symlinkSync("precious", dir.join("planted"));
      lchownSync(dir.join("planted"), 1234, 1234);
      const before = takeSnapshot(dir.join("precious"));
      for (const target of ["planted", "planted/", "planted/inner", "planted/new"])
        await mirror(dir.join("source"), dir.join(target), [], { exitCode: 3 });
      assertSameTrees(before, dir.join("precious"));
    },
  );

  test.skipIf(ordinaryMissing !== undefined)(
    because("B23 an ordinary user's own link and one of root's are followed", ordinaryMissing),
    async () => {
      using dir = ordinaryDir();
      buildLinks(dir.join("source"));
      mkdirSync(dir.join("disk"), { mode: 0o777 });
      if (isRoot()) lchownSync(dir.join("disk"), ORDINARY_USER, ORDINARY_USER);
      for (const owner of [ORDINARY_USER, 0]) {
        symlinkSync("disk", dir.join(`by-${owner}`));
        if (isRoot()) lchownSync(dir.join(`by-${owner}`), owner, owner);
        await mirror(`${dir.join("source")}/deep`, dir.join(`by-${owner}`), [], ORDINARY);
      }
      expect(readFileSync(dir.join("disk/file"), "utf8")).toBe("content");
    },
  );
});
