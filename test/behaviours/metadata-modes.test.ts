/** Permission bits, set-id bits and directory times, as root and as a user who is subject to them. */
import { expect } from "bun:test";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, rmSync, statSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { lstat } from "../support/libc.ts";
import { fastsync, isRoot, ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { type TempDir, tempDir } from "../support/temp.ts";
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
  touched,
} from "./behaviour.ts";
import { describe, test } from "./placed-test.ts";

const FILE_MODES = [0o000, 0o001, 0o020, 0o111, 0o200, 0o400, 0o444, 0o640, 0o777, 0o1644, 0o2755, 0o4755, 0o7777];
const DIRECTORY_MODES = [0o000, 0o111, 0o300, 0o500, 0o555, 0o700, 0o777, 0o1777, 0o2775, 0o3770, 0o7777];
const SECOND = 1_000_000_000n;

/** Every mode at each of four depths; inner directories have the hard modes too. */
function buildModes(root: string, fileModes: readonly number[], directoryModes: readonly number[]): void {
  const tree = new TreeBuilder(root);
  let directory = "";
  for (let depth = 0; depth < 4; depth++) {
    for (const mode of fileModes)
      tree.file(`${directory}file${mode.toString(8)}`, `${mode}`, { mode, mtimeNs: SECOND });
    for (const mode of directoryModes) {
      const name = `${directory}dir${mode.toString(8)}`;
      tree.file(`${name}/inside`, "x", { mode: 0o640, mtimeNs: SECOND }).dir(name, { mode, mtimeNs: 2n * SECOND });
    }
    directory += `level${depth}/`;
    const mode = directoryModes[depth % directoryModes.length]!;
    tree.dir(directory.slice(0, -1), { mode, mtimeNs: BigInt(depth + 3) * SECOND });
  }
  tree.file(`${directory}leaf`, "x", { mtimeNs: SECOND }).dir("", { mtimeNs: 9n * SECOND });
  tree.finish();
}

onEachFilesystem("modes and directory times", ({ scratch }) => {
  test("B25 every mode of files and directories at every depth, new and repaired", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildModes(source, FILE_MODES, DIRECTORY_MODES);
    await mirror(source, target);
    assertSameTrees(source, target);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target));
    expect(touched(before, target)).toEqual([]);

    for (const [path, entry] of before)
      if (path !== "") chmodSync(`${target}/${path}`, entry.type === "directory" ? 0o755 : 0o600);
    const { summary } = await mirror(source, target);
    assertSameTrees(source, target);
    expect(summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0 });
  });

  test("B26 directories have the source's times after entries came, went and changed in them", async () => {
    using dir = scratch();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const build = (change: (tree: TreeBuilder) => void) => {
      const tree = new TreeBuilder(source);
      change(tree);
      let directory = "";
      for (let depth = 1; depth <= 8; depth++) {
        directory += `${depth === 1 ? "" : "/"}d${depth}`;
        tree.dir(directory, { mtimeNs: 1_400_000_000n * SECOND + BigInt(depth) * 1_000_001n });
      }
      tree.dir("", { mtimeNs: 1_300_000_000_000_000_001n }).finish();
    };
    const deepest = "d1/d2/d3/d4/d5/d6/d7/d8";
    build((tree) => {
      for (const at of ["", "d1/", "d1/d2/d3/", `${deepest}/`])
        tree.file(`${at}gone`, "x").file(`${at}gone-too/a/b`, "x").file(`${at}kept`, "x", { mtimeNs: 5n });
    });
    await mirror(source, target);
    assertSameTrees(source, target);

    const changes: ((tree: TreeBuilder) => void)[] = [
      (tree) => tree.file(`${deepest}/kept`, "changed", { mtimeNs: 6n }),
      (tree) => tree.file("d1/d2/d3/kept", "y", { mode: 0o600, mtimeNs: 55n }),
      () => ["gone", "d1/gone", "d1/d2/d3/gone", `${deepest}/gone`].map((path) => rmSync(`${source}/${path}`)),
      () =>
        ["gone-too", "d1/gone-too", "d1/d2/d3/gone-too", `${deepest}/gone-too`].map((path) =>
          rmSync(`${source}/${path}`, { recursive: true }),
        ),
      (tree) =>
        tree.file(`${deepest}/new`, "x").symlink("d1/d2/d3/new", "x").special("d1/new", "fifo").file("kept/now", "y"),
    ];
    for (const change of changes) {
      if (change === changes.at(-1)) rmSync(`${source}/kept`);
      build(change);
      await mirror(source, target, ["--max-delete", "100%"]);
      assertSameTrees(source, target);
      const before = takeSnapshot(target, { content: false });
      expectNothingDone(await mirror(source, target));
      expect(touched(before, target)).toEqual([]);
    }
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("directory times", behavioursMissing), () => {
  test("B26 --no-dir-times and --no-times leave them out", async () => {
    using dir = tempDir();
    const source = dir.join("source");
    new TreeBuilder(source)
      .file("d/file", "x", { mtimeNs: 7n })
      .dir("d", { mtimeNs: 8n })
      .dir("", { mtimeNs: 9n })
      .finish();
    await mirror(source, dir.join("a"), ["--no-dir-times"]);
    expect(lstat(dir.join("a/d/file")).mtimeNs).toBe(7n);
    expect(lstat(dir.join("a/d")).mtimeNs).toBeGreaterThan(SECOND);
    expectNothingDone(await mirror(source, dir.join("a"), ["--no-dir-times"]));
    await mirror(source, dir.join("b"), ["--no-times"]);
    expect(lstat(dir.join("b/d/file")).mtimeNs).toBeGreaterThan(SECOND);
    expect(lstat(dir.join("b/d")).mtimeNs).toBeGreaterThan(SECOND);
  });
});

/* Root builds the trees and looks at them: the user they belong to could do neither. */
const noOnlooker = needsRoot ?? ordinaryMissing;

describe.skipIf(noOnlooker !== undefined)(because("modes of an ordinary user", noOnlooker), () => {
  /* What the owner may not read cannot be copied; everything else can. */
  const FILES = FILE_MODES.filter((mode) => (mode & 0o400) !== 0);
  const DIRECTORIES = DIRECTORY_MODES.filter((mode) => (mode & 0o500) === 0o500);

  function owned(dir: TempDir, fileModes: readonly number[], directoryModes: readonly number[]) {
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildModes(source, fileModes, directoryModes);
    giveAway(source);
    return { source, target };
  }

  test("B25 read-only directories are filled, changed, emptied and as they were again", async () => {
    using dir = ordinaryDir();
    const { source, target } = owned(dir, FILES, DIRECTORIES);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target, [], ORDINARY));
    expect(touched(before, target)).toEqual([]);

    const inside = "level0/level1/level2/level3";
    rmSync(`${source}/${inside}/leaf`);
    new TreeBuilder(source)
      .file(`${inside}/new`, "x")
      .file("level0/file444", "longer than before", { mode: 0o444 })
      .dir(inside, { mode: 0o555, mtimeNs: 5n * SECOND })
      .dir("level0", { mode: 0o555, mtimeNs: 6n * SECOND })
      .finish();
    giveAway(source);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });

  test("B25 what may not be read is named, the rest arrives, modes of parents are restored", async () => {
    using dir = ordinaryDir();
    const { source, target } = owned(
      dir,
      FILE_MODES,
      DIRECTORY_MODES.filter((mode) => mode !== 0),
    );
    const { summary } = await mirror(source, target, [], { ...ORDINARY, exitCode: 23 });
    const unreadable = [...takeSnapshot(source)].filter(
      ([path, { type, mode }]) =>
        (type === "file" && (mode & 0o400) === 0) || (type === "directory" && path !== "" && (mode & 0o500) !== 0o500),
    );
    const named = (summary["failures"] as { path: string; code: string }[]).map(({ path, code }) => [path, code]);
    const reachable = unreadable.filter(([path]) => !unreadable.some(([other]) => path.startsWith(`${other}/`)));
    expect(named.sort()).toEqual(reachable.map(([path]) => [path, "permission"]).sort());
    const hidden = (path: string) => unreadable.some(([other]) => path === other || path.startsWith(`${other}/`));
    assertSameTrees(source, target, { except: hidden });
  });

  test("B25 a target that denies its owner is repaired", async () => {
    using dir = ordinaryDir();
    const { source, target } = owned(dir, [0o640], [0o755]);
    await mirror(source, target, [], ORDINARY);
    for (const path of ["level0/level1/level2", "level0/level1", "level0"]) chmodSync(`${target}/${path}`, 0o300);
    chmodSync(`${target}/level0/file640`, 0o000);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });
});

function giveAway(tree: string): void {
  if (!isRoot()) return;
  for (const [path, entry] of takeSnapshot(tree, { content: false })) {
    chownSync(`${tree}/${path}`, ORDINARY_USER, ORDINARY_USER);
    if (entry.mode & 0o6000) chmodSync(`${tree}/${path}`, entry.mode);
  }
}

describe.skipIf(needsRoot !== undefined)(because("set-id bits", needsRoot), () => {
  function buildSetid(root: string, owner: { uid: number; gid: number }): void {
    new TreeBuilder(root)
      .file("setuid", "x", { ...owner, mode: 0o4755 })
      .file("setgid", "x", { ...owner, mode: 0o2755 })
      .file("both", "x", { ...owner, mode: 0o6777 })
      .dir("shared", { ...owner, mode: 0o3775 })
      .finish();
  }
  const modes = (root: string) =>
    ["setuid", "setgid", "both", "shared"].map((name) => statSync(`${root}/${name}`).mode & 0o7777);

  test("B27 they are kept where the owner is, and taken when modes are not kept", async () => {
    using dir = tempDir();
    buildSetid(dir.join("source"), { uid: 1234, gid: 2345 });
    await mirror(dir.join("source"), dir.join("kept"));
    assertSameTrees(dir.join("source"), dir.join("kept"));
    await mirror(dir.join("source"), dir.join("plain"), ["--no-perms"]);
    expect(modes(dir.join("plain")).map((mode) => mode & 0o7000)).toEqual([0, 0, 0, 0]);
  });

  test("B27 root that does not keep the owner does not make programs that run as root", async () => {
    using dir = tempDir();
    buildSetid(dir.join("source"), { uid: 1234, gid: 2345 });
    const { summary } = await mirror(dir.join("source"), dir.join("target"), ["--no-owner", "--no-group"], {
      exitCode: 23,
    });
    expect(modes(dir.join("target")).slice(0, 3)).toEqual([0o755, 0o755, 0o777]);
    expect(summary["attribute_failures"]).toMatchObject([{ attribute: "setid", entries: 3 }]);
    await mirror(dir.join("source"), dir.join("again"), ["--no-owner", "--no-group", "--no-strict-attrs"]);
  });

  test("B27 root that may not chown, as in a container, does not leave a program that runs as root", async () => {
    using dir = tempDir();
    buildSetid(dir.join("source"), { uid: 1234, gid: 2345 });
    const confined = { prefix: ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown", "--"] };
    const words = ["mirror", "--yes", "--itemize", `${dir.join("source")}/`, dir.join("target")];
    for (const again of [false, true]) {
      const result = await fastsync(words, confined);
      expect([result.exitCode, result.stderr]).toEqual([0, ""]);
      expect(modes(dir.join("target")).slice(0, 3)).toEqual([0o755, 0o755, 0o777]);
      expect(statSync(dir.join("target/setuid")).uid).toBe(0);
      expect(result.stdout.includes("Up to date")).toBe(again);
    }
  });

  test("B27 another user's copy of a set-id program is an ordinary file of that user", async () => {
    using dir = ordinaryDir();
    buildSetid(dir.join("source"), { uid: 0, gid: 0 });
    await mirror(dir.join("source"), dir.join("target"), [], ORDINARY);
    expect(modes(dir.join("target")).slice(0, 3)).toEqual([0o755, 0o755, 0o777]);
    expect(statSync(dir.join("target/setuid")).uid).toBe(ORDINARY_USER);
    expectNothingDone(await mirror(dir.join("source"), dir.join("target"), [], ORDINARY));
  });

  test("B27 a replaced file does not hand on its set-id bits to another owner's content", async () => {
    using dir = tempDir();
    for (const flags of [[], ["--inplace"]]) {
      new TreeBuilder(dir.join("source")).file("tool", "new content", { uid: 1234, gid: 2345, mode: 0o755 }).finish();
      new TreeBuilder(dir.join("target")).file("tool", "old", { uid: 0, gid: 0, mode: 0o6755 }).finish();
      await mirror(dir.join("source"), dir.join("target"), flags);
      assertSameTrees(dir.join("source"), dir.join("target"));
    }
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("no-perms", behavioursMissing), () => {
  async function mirrorUnder(umask: string, source: string, target: string, flags: readonly string[]): Promise<void> {
    const words = ["mirror", "--yes", ...flags, `${source}/`, target];
    const result = await fastsync(words, { prefix: ["bash", "-c", `umask ${umask}; exec "$@"`, "bash"] });
    expect([result.exitCode, result.stderr]).toEqual([0, ""]);
  }

  test("B27 new entries get what the umask leaves, existing ones keep their mode", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.join("source"))
      .file("d/tool", "new", { mode: 0o777 })
      .file("d/file", "new", { mode: 0o666 })
      .file("d/there", "new", { mode: 0o777 })
      .dir("d", { mode: 0o777 })
      .dir("d/inner", { mode: 0o777 })
      .finish();
    new TreeBuilder(dir.join("target")).file("d/there", "old!", { mode: 0o604 }).dir("d", { mode: 0o710 }).finish();
    await mirrorUnder("027", dir.join("source"), dir.join("target"), ["--no-perms"]);
    const mode = (path: string) => (statSync(dir.join(`target/${path}`)).mode & 0o7777).toString(8);
    expect(["d/tool", "d/file", "d/there", "d", "d/inner"].map(mode)).toEqual(["750", "640", "604", "710", "750"]);
    for (const umask of ["000", "077"]) {
      await mirrorUnder(umask, dir.join("source"), dir.join(`with-modes-${umask}`), []);
      assertSameTrees(dir.join("source"), dir.join(`with-modes-${umask}`));
    }
  });

  test.skipIf(!isRoot())("B27 new entries below a set-gid directory get its group", async () => {
    using dir = tempDir();
    new TreeBuilder(dir.join("source")).file("d/file", "x", { mode: 0o644 }).dir("d", { mode: 0o755 }).finish();
    mkdirSync(dir.join("target"));
    chownSync(dir.join("target"), 0, 4321);
    chmodSync(dir.join("target"), 0o2775);
    await mirrorUnder("022", dir.join("source"), dir.join("target"), ["--no-perms", "--no-group"]);
    const { gid, mode } = statSync(dir.join("target/d"));
    expect([gid, mode & 0o7777]).toEqual([4321, 0o2755]);
    expect(statSync(dir.join("target/d/file")).gid).toBe(4321);
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("a umask that leaves nothing", ordinaryMissing), () => {
  test("B25 B61 what is made counts as made, and has the source's modes", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("d/e/file", "x").file("d/other", "y").finish();
    mkdirSync(target);
    if (isRoot()) spawnSync("chown", ["-R", `${ORDINARY_USER}:${ORDINARY_USER}`, dir.path]);
    const options = { ...ORDINARY, prefix: ["bash", "-c", 'umask 0777; exec "$@"', "bash"] };
    const { summary } = await mirror(source, target, [], options);
    expect(summary).toMatchObject({ created: 2, directories_created: 2, attribute_warnings: 0 });
    assertSameTrees(source, target);
    expectNothingDone(await mirror(source, target, [], options));
  });
});
