/** A large file that changed inside: where the target's filesystem can share blocks, only what differs travels. */
import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, type FilesystemKind, mountFilesystem } from "../support/filesystems.ts";
import { fastsyncJson, describe as shown } from "../support/run.ts";
import { startDaemon } from "./support/daemon.ts";
import { bytesOf, leftovers, MIB } from "./support/trees.ts";

const SIZE = 20 * MIB;
const KINDS = ["xfs", "ext4"] as const satisfies readonly FilesystemKind[];
/** The portable twin has no clone, so that there is nothing to compare with. */
const isPortable = process.env["FASTSYNC_NATIVE"] === "off";

for (const kind of KINDS) {
  const missing = canMount(kind);
  describe.skipIf(missing !== undefined)(`on ${kind}${missing === undefined ? "" : ` (${missing})`}`, () => {
    for (const direction of ["push", "pull"] as const) {
      test(`${direction}: a file that changed at three places arrives whole`, async () => {
        await using filesystem = await mountFilesystem(kind, "300M");
        const source = join(filesystem.path, "source");
        const target = join(filesystem.path, "target");
        for (const path of [source, target]) mkdirSync(path);
        const old = bytesOf(SIZE, 3);
        writeFileSync(join(target, "image"), old);
        utimesSync(join(target, "image"), 1e9, 1e9);
        for (const at of [0, 7 * MIB + 13, SIZE - 1]) old[at] = old[at]! ^ 0xff;
        writeFileSync(join(source, "image"), Buffer.concat([old, bytesOf(1000, 4)]));
        await using daemon = await startDaemon({ path: filesystem.path });
        const places =
          direction === "push" ? [`${source}/`, daemon.place("target/")] : [daemon.place("source/"), `${target}/`];
        const result = await fastsyncJson(["mirror", "--yes", ...places]);
        expect(result.exitCode, shown(result)).toBe(0);
        assertSameTrees(source, target);
        expect(readFileSync(join(target, "image")).length).toBe(SIZE + 1000);
        expect(leftovers(target)).toEqual([]);
        const moved = Number(result.summary["bytes_transferred"]);
        if (kind === "ext4" || isPortable) expect(moved).toBe(SIZE + 1000);
        else expect(moved).toBeLessThan(MIB);
      });
    }
  });
}
