/** Owners and groups: kept, mapped, left alone where they cannot be given, and never root by accident. */
import { expect } from "bun:test";
import { chownSync, existsSync, statSync } from "node:fs";
import { assertSameTrees } from "../support/diff.ts";
import { isRoot, ORDINARY_USER } from "../support/run.ts";
import { takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { TreeBuilder } from "../support/tree.ts";
import {
  because,
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

/** Every type at every depth, each of another owner; numbers that have a name here, and numbers that have none. */
function buildOwners(root: string): void {
  const tree = new TreeBuilder(root);
  const ids = [1, 65534, 54321, 2_000_000_000, 0];
  let directory = "";
  for (let depth = 0; depth < 4; depth++) {
    ids.forEach((id, i) => {
      const owner = { uid: id, gid: ids[(i + 1) % ids.length]!, mtimeNs: 5n };
      tree.file(`${directory}file${i}`, "x", owner).symlink(`${directory}link${i}`, "x", owner);
      tree.special(`${directory}fifo${i}`, "fifo", [0, 0], owner).dir(`${directory}dir${i}`, owner);
    });
    directory += `dir${depth + 1}/`;
  }
  tree.finish();
}

onEachFilesystem("owners", ({ scratch }) => {
  test("B28 numbers with and without a name, of every type and at every depth", async () => {
    using dir = scratch();
    const source = dir.join("source");
    buildOwners(source);
    for (const flags of [[], ["--numeric-ids"]]) {
      const target = dir.join(`target${flags}`);
      await mirror(source, target, flags);
      assertSameTrees(source, target);
      expectNothingDone(await mirror(source, target, flags));
    }
    const target = dir.join("target");
    const paths = [...takeSnapshot(target, { content: false }).values()].filter((entry) => entry.uid === 1);
    const other = new TreeBuilder(target);
    expect(paths.length).toBeGreaterThan(10);
    for (const { path, type } of paths) if (type === "file") other.file(path, "x", { uid: 7, gid: 7, mtimeNs: 5n });
    const { summary } = await mirror(source, target);
    expect(summary).toMatchObject({ files_transferred: 0, bytes_transferred: 0 });
    assertSameTrees(source, target);
  });
});

const OWNERSHIP = ["uid", "gid"] as const;

describe.skipIf(needsRoot !== undefined)(because("owners as root", needsRoot), () => {
  const CASES = [
    { chown: "7:8", uid: 7, gid: 8 },
    { chown: "nobody:nogroup", uid: 65534, gid: 65534 },
    { chown: "daemon", uid: 1, gid: undefined },
    { chown: ":9", uid: undefined, gid: 9 },
    { chown: "4294967294:2000000000", uid: 4_294_967_294, gid: 2_000_000_000 },
  ];
  for (const { chown, uid, gid } of CASES)
    test(`B28 --chown ${chown} gives everything that owner, and then has nothing to do`, async () => {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildOwners(source);
      await mirror(source, target, ["--chown", chown]);
      const before = takeSnapshot(source);
      for (const [path, entry] of takeSnapshot(target)) {
        const want = before.get(path)!;
        expect([path, entry.uid, entry.gid]).toEqual([path, uid ?? want.uid, gid ?? want.gid]);
      }
      assertSameTrees(source, target, { ignore: OWNERSHIP });
      expectNothingDone(await mirror(source, target, ["--chown", chown]));
    });

  const MAPS = [
    { name: "everybody becomes one", flags: ["--usermap=*:7", "--groupmap=*:8"], user: () => 7, group: () => 8 },
    {
      // daemon, nobody by number, root by a pattern, and who has no name.
      name: "--usermap by name, number and pattern",
      flags: ["--usermap=daemon:70,60000-70000:71,[q-r]*:72,:73", "--groupmap=0:5,1-65535:9"],
      user: (id: number) => (id === 1 ? 70 : id === 65_534 ? 71 : id === 0 ? 72 : 73),
      group: (id: number) => (id === 0 ? 5 : id <= 65_535 ? 9 : id),
    },
    {
      name: "--usermap with --numeric-ids, to which names mean nothing",
      flags: ["--usermap=daemon:70,1:71", "--numeric-ids"],
      user: (id: number) => (id === 1 ? 71 : id),
      group: (id: number) => id,
    },
  ];
  for (const { name, flags, user, group } of MAPS)
    test(`B28 ${name}: the first rule that fits, and then has nothing to do`, async () => {
      using dir = tempDir();
      const [source, target] = [dir.join("source"), dir.join("target")];
      buildOwners(source);
      await mirror(source, target, flags);
      const before = takeSnapshot(source);
      let changed = 0;
      for (const [path, entry] of takeSnapshot(target)) {
        const { uid, gid } = before.get(path)!;
        expect([path, entry.uid, entry.gid]).toEqual([path, user(uid), group(gid)]);
        if (entry.uid !== uid || entry.gid !== gid) changed++;
      }
      expect(changed).toBeGreaterThan(3);
      assertSameTrees(source, target, { ignore: OWNERSHIP });
      expectNothingDone(await mirror(source, target, flags));
      await mirror(source, target);
      assertSameTrees(source, target);
      const repaired = await mirror(source, target, flags);
      expect(repaired.summary["bytes_transferred"]).toBe(0);
      expect(takeSnapshot(target).get("file1")!.uid).toBe(user(before.get("file1")!.uid));
    });

  test("B28 a move with --usermap gives the new owner too, and takes the sources away", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source).file("a", "x", { uid: 11, gid: 12 }).finish();
    await run("move", [`${source}/`, target, "--usermap=11:7"]);
    expect(takeSnapshot(target).get("a")).toMatchObject({ uid: 7, gid: 12 });
    expect(existsSync(`${source}/a`)).toBe(false);
  });

  test("B28 an owner who is not known is refused, not taken for root", async () => {
    using dir = tempDir();
    buildOwners(dir.join("source"));
    for (const chown of [
      "no-such-user",
      "no-such-user:0",
      ":no-such-group",
      "0x0",
      "-1",
      "1.5",
      "",
      ":",
      "4294967295",
    ]) {
      await mirror(dir.join("source"), dir.join("target"), ["--chown", chown], { exitCode: 1 });
      expect(existsSync(dir.join("target"))).toBe(false);
    }
  });

  test("B28 --no-owner and --no-group leave what is there, and give the runner's to what is new", async () => {
    using dir = tempDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    new TreeBuilder(source)
      .file("old", "content", { uid: 11, gid: 12 })
      .file("new", "x", { uid: 11, gid: 12 })
      .finish();
    new TreeBuilder(target).file("old", "c", { uid: 21, gid: 22 }).finish();
    await mirror(source, target, ["--no-owner", "--no-group"]);
    const ids = (path: string) => [takeSnapshot(target).get(path)!.uid, takeSnapshot(target).get(path)!.gid];
    expect([ids("old"), ids("new")]).toEqual([
      [21, 22],
      [0, 0],
    ]);
    await mirror(source, target, ["--no-group"]);
    expect([ids("old"), ids("new")]).toEqual([
      [11, 22],
      [11, 0],
    ]);
    expectNothingDone(await mirror(source, target, ["--no-group"]));
  });

  test("B28 a copy of another user's tree belongs to whom it can, without a complaint and for good", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    buildOwners(source);
    const { summary } = await mirror(source, target, [], ORDINARY);
    expect(summary).toMatchObject({ files_failed: 0, attribute_warnings: 0 });
    assertSameTrees(source, target, { ignore: OWNERSHIP });
    for (const entry of takeSnapshot(target).values())
      expect([entry.uid, entry.gid]).toEqual([ORDINARY_USER, ORDINARY_USER]);
    const before = takeSnapshot(target, { content: false });
    expectNothingDone(await mirror(source, target, [], ORDINARY));
    expect(touched(before, target)).toEqual([]);
  });
});

describe.skipIf(ordinaryMissing !== undefined)(because("owners as an ordinary user", ordinaryMissing), () => {
  test.skipIf(!isRoot())("B28 the user's own group is given, also where it is the only one", async () => {
    using dir = ordinaryDir();
    const [source, target] = [dir.join("source"), dir.join("target")];
    const uid = ORDINARY_USER;
    for (const [root, gid] of [
      [source, ORDINARY_USER],
      [target, 4321],
    ] as const)
      new TreeBuilder(root).file("d/file", "x", { uid, gid, mtimeNs: 5n }).dir("d", { uid, gid }).finish();
    for (const root of [source, target]) chownSync(root, uid, uid);
    await mirror(source, target, [], ORDINARY);
    assertSameTrees(source, target);
  });

  test("B28 --chown that cannot be obeyed is not passed over in silence", async () => {
    using dir = ordinaryDir();
    new TreeBuilder(dir.join("source")).file("file", "x").finish();
    for (const chown of ["1:1", "0", ":1"]) {
      const options = { ...ORDINARY, exitCode: 1 };
      const { summary } = await mirror(dir.join("source"), dir.join("target"), ["--chown", chown], options);
      expect(summary["exit_reason"]).toBe("chown_not_permitted");
      expect(existsSync(dir.join("target"))).toBe(false);
    }
    for (const map of ["--usermap=*:0", "--groupmap=*:1"]) {
      const options = { ...ORDINARY, exitCode: 1 };
      const { summary } = await mirror(dir.join("source"), dir.join("target"), [map], options);
      expect([summary["exit_reason"], existsSync(dir.join("target"))]).toEqual(["chown_not_permitted", false]);
    }
    const { uid, gid } = statSync(dir.path);
    await mirror(dir.join("source"), dir.join("target"), ["--chown", `${uid}:${gid}`], ORDINARY);
    assertSameTrees(dir.join("source"), dir.join("target"), { ignore: isRoot() ? OWNERSHIP : [] });
  });
});
