/** --resume: what the target has of a differing file serves as a basis, after it was compared. */
import { expect, setDefaultTimeout } from "bun:test";
import { copyFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameTrees } from "../support/diff.ts";
import { canMount, mountFilesystem } from "../support/filesystems.ts";
import { tempDir } from "../support/temp.ts";
import { noise } from "../support/tree.ts";
import { because, behavioursMissing, mirror } from "./behaviour.ts";
import { MIB, pair, quickDir } from "./moments.ts";
import { describe, test } from "./placed-test.ts";

/* A busy machine is no failure. */
setDefaultTimeout(60_000);

/** By read and write, since a clone of the source would move nothing anyway. */
const METHOD = "--copy-method=read_write";

/** Target files that differ from the source's in their own ways, of a medium and of a large size. */
function build(source: string, target: string, sizes: readonly number[]): number {
  let bytes = 0;
  sizes.forEach((size, index) => {
    const content = noise(size, 5 + index);
    const files = {
      shorter: content.subarray(0, (size * 3) / 4),
      longer: Buffer.concat([content, noise(MIB, 9)]),
      different: Buffer.concat([
        content.subarray(0, size / 2),
        noise(MIB / 4, 8),
        content.subarray(size / 2 + MIB / 4),
      ]),
    };
    for (const [name, old] of Object.entries(files)) {
      writeFileSync(join(source, `${name}${index}`), content);
      writeFileSync(join(target, `${name}${index}`), old);
      /* Of one size, written within one tick of the clock, they would be equal. */
      utimesSync(join(target, `${name}${index}`), 1e9, 1e9);
      bytes += size;
    }
  });
  return bytes;
}

const cannotClone = process.env["FASTSYNC_NATIVE"] === "off" ? "the portable twin cannot clone a basis" : undefined;
const reason = behavioursMissing ?? cannotClone ?? canMount("xfs");

describe.skipIf(reason !== undefined)(because("--resume", reason), () => {
  test("B49 B50 on a filesystem with reflinks less than the file is written, and what arrives is the source", async () => {
    await using filesystem = await mountFilesystem("xfs", "1G");
    using dir = tempDir(filesystem.path);
    const { source, target } = pair(dir);
    Bun.spawnSync(["mkdir", target]);
    const bytes = build(source, target, [4 * MIB, 52 * MIB]);
    const { summary } = await mirror(source, target, ["--resume", METHOD]);
    assertSameTrees(source, target);
    expect(summary["bytes_transferred"]).toBeLessThan(bytes / 4);
    expect(summary["bytes_transferred"]).toBeGreaterThan(0);
  });
});

describe.skipIf(behavioursMissing !== undefined)(because("--resume in place", behavioursMissing), () => {
  test.each([[["--resume"]], [["--resume", "--inplace"]]] as const)(
    "B50 %p yields the source, whatever the target had",
    async (flags) => {
      using dir = quickDir();
      const { source, target } = pair(dir);
      Bun.spawnSync(["mkdir", target]);
      const bytes = build(source, target, [3 * MIB]);
      const { summary } = await mirror(source, target, [...flags, METHOD]);
      assertSameTrees(source, target);
      if (flags.length > 1) expect(summary["bytes_transferred"]).toBeLessThan(bytes / 2);
    },
  );

  test("B50 a target that is shorter and wrong is not completed as it is", async () => {
    using dir = quickDir();
    const { source, target } = pair(dir);
    Bun.spawnSync(["mkdir", target]);
    writeFileSync(join(source, "file"), noise(3 * MIB, 1));
    writeFileSync(join(target, "file"), noise(2 * MIB, 2));
    await mirror(source, target, ["--resume", "--inplace"]);
    assertSameTrees(source, target);
    copyFileSync(join(source, "file"), join(target, "file"));
    truncateSync(join(target, "file"), 123_457);
    await mirror(source, target, ["--resume", "--inplace"]);
    assertSameTrees(source, target);
  });
});
