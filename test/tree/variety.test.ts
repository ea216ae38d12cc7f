/** The variety tree holds what it says, on every filesystem, and rsync's copy of it passes the differ. */
import { describe, expect, test } from "bun:test";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, FILESYSTEMS, mountFilesystem } from "../support/filesystems.ts";
import { libcMissing } from "../support/libc.ts";
import { rsyncMirror, rsyncMissing } from "../support/oracle.ts";
import { isRoot } from "../support/run.ts";
import { type Snapshot, takeSnapshot } from "../support/snapshot.ts";
import { tempDir } from "../support/temp.ts";
import { buildVarietyTree, HOSTILE_NAMES, RAW_NAMES } from "../support/variety-tree.ts";

const ready = libcMissing === undefined;

describe.skipIf(!ready)("the variety tree", () => {
  test("is the same at every build", () => {
    using dir = tempDir();
    buildVarietyTree(dir.join("a"));
    buildVarietyTree(dir.join("b"));
    assertSameTrees(dir.join("a"), dir.join("b"));
  });

  for (const kind of FILESYSTEMS) {
    const reason = canMount(kind) ?? rsyncMissing;
    test.skipIf(reason !== undefined)(
      `${kind}: rsync -aHAXS makes an equal tree${reason ? ` (${reason})` : ""}`,
      async () => {
        await using filesystem = await mountFilesystem(kind, "512M");
        const source = `${filesystem.path}/source`;
        const { skipped } = buildVarietyTree(source);
        expect(skipped).toEqual([]);
        expectVariety(takeSnapshot(source));
        rsyncMirror(source, `${filesystem.path}/target`);
        assertSameTrees(source, `${filesystem.path}/target`);
      },
      60_000,
    );
  }

  test.skipIf(!isRoot())("can be built with what an ordinary user may make", () => {
    using dir = tempDir();
    buildVarietyTree(dir.join("a"), { privileged: false, xattrs: false, acls: false });
    const entries = [...takeSnapshot(dir.join("a")).values()];
    expect(entries.some((entry) => entry.type === "char" || entry.type === "block")).toBe(false);
    expect(entries.every((entry) => entry.uid === 0)).toBe(true);
    expect(entries.every((entry) => entry.acl === "" && Object.keys(entry.xattrs).length === 0)).toBe(true);
  });
});

/** A builder that quietly lost half of its variety would make every test that uses it pass. */
function expectVariety(tree: Snapshot): void {
  const entries = [...tree.values()];
  const types = new Set(entries.map((entry) => entry.type));
  expect([...types].sort()).toEqual(["block", "char", "directory", "fifo", "file", "socket", "symlink"]);
  const names = new Set([...tree.keys()].map((path) => path.split("/").at(-1)!));
  for (const name of [...HOSTILE_NAMES, ...RAW_NAMES]) expect(names).toContain(Buffer.from(name).toString("latin1"));
  expect(tree.has("level1/level2/level3/level4/level5/level6/level7/level8/file2")).toBe(true);
  const modes = entries.map((entry) => entry.mode);
  for (const mode of [0o000, 0o4755, 0o2755, 0o6711, 0o1777]) expect(modes).toContain(mode);
  const times = entries.map((entry) => entry.mtimeNs);
  expect(times).toContain(-86_400n * 365n * 1_000_000_000n + 500_000_003n);
  expect(times.some((time) => time > 4_000_000_000n * 1_000_000_000n)).toBe(true);
  expect(tree.get("level1/linked-b")!.group).toBe("level1/level2/level3/level4/level5/level6/level7/level8/linked-c");
  expect(tree.get("to-file-again")!.group).toBe("level1/to-file");
  expect(tree.get("sparse/hole-only")!.allocatedBytes).toBeLessThan(65536);
  expect(tree.get("attributes/link")!.xattrs).toEqual({ "trusted.link": "6c" });
  expect(tree.get("attributes/file")!.xattrs["user.empty"]).toBe("");
  expect(tree.get("acls/directory")!.acl).toContain("user:12345:r-x");
  expect(tree.get("acls/default-only")!.defaultAcl).toContain("user:777:rwx");
  expect(tree.get("level1/level2/char")!.rdev).toBe("1:5");
}
