/** A target that has room for data and for no further file: said so, wherever the run is told of. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { startDaemon } from "../network/support/daemon.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { fastsync, fastsyncJson } from "../support/run.ts";
import { tempDir } from "../support/temp.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

const reason = canMount("tmpfs");
const SAID = "no inode is left on the target: it has room for data, but not for one more file";

describe.skipIf(reason !== undefined)(`a filesystem without inodes (${reason ?? "tmpfs"})`, () => {
  test.each(["here", "in a module", "as files of a tree that is made"] as const)("%s", async (how) => {
    using dir = tempDir();
    await using full = await mountFilesystem("tmpfs", "16M", ["nr_inodes=20"]);
    mkdirSync(dir.join("from"));
    for (let i = 0; i < 40; i++) writeFileSync(dir.join(`from/${i}`), "x");
    await using daemon = how === "in a module" ? await startDaemon({ path: full.path }) : undefined;
    const to = daemon?.place("") ?? `${full.path}/${how === "here" ? "" : "new/tree/"}`;
    const { exitCode, summary, events, stderr } = await fastsyncJson(["copy", dir.join("from/"), to]);
    expect([exitCode, summary["exit_reason"]]).toEqual([11, "no_space"]);
    expect(summary["message"]).toBe(`${SAID}: the run stopped; what is there is whole`);
    expect(summary["failures"]).toMatchObject([{ code: "no_space", side: "target", errno: 28, message: SAID }]);
    expect(events.filter(({ type }) => type === "error")).toMatchObject([{ code: "no_space", message: SAID }]);
    expect(stderr).toContain(`${SAID} (target)`);
  });

  test("a target that cannot be made", async () => {
    using dir = tempDir();
    await using full = await mountFilesystem("tmpfs", "16M", ["nr_inodes=5"]);
    writeFileSync(dir.join("file"), "x");
    await using daemon = await startDaemon({ path: full.path });
    for (let i = 0; readdirSync(full.path).length === i && i < 4; i++) writeFileSync(`${full.path}/${i}`, "");
    for (const place of [`${full.path}/new/`, daemon.place("new/")]) {
      const { exitCode, stderr } = await fastsync(["copy", dir.join("file"), place]);
      expect([exitCode, stderr.trimEnd()]).toEqual([
        11,
        expect.stringMatching(new RegExp(`cannot be made: ${SAID} \\(exit 11\\)$`)),
      ]);
    }
  });

  test("one that is full of bytes says that", async () => {
    using dir = tempDir();
    await using full = await mountFilesystem("tmpfs", "1M");
    writeFileSync(dir.join("file"), Buffer.alloc(3 << 20, 1));
    const { stderr } = await fastsync(["copy", dir.join("file"), full.path]);
    expect(stderr).toContain("no space left on the target");
    expect(stderr).not.toContain("inode");
  });
});
