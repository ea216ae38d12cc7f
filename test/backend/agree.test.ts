/** Two roles may run on different backends: what one wrote or computed must be the same for the other. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { findLibrary } from "../../ffi/library.ts";
import { rowFields, U32_COLUMNS } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import { type Backend, type LargeRequest, WORKING_DIRECTORY } from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { PortableBackend } from "../../src/fs/portable/portable-backend.ts";
import { Xxh3_128 } from "../../src/fs/portable/xxh3-128.ts";
import { outcomes, SETTINGS, WALK } from "./harness.ts";
import { patterned } from "./sections/copy.ts";

describe("native and portable agree", () => {
  let native: Backend;
  const portable = new PortableBackend("test");
  const root = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-agree-"));

  beforeAll(() => {
    const { library } = findLibrary();
    if (library === undefined) throw new Error("build the native library first");
    native = new NativeBackend(library, 2);
    fs.mkdirSync(`${root}/sub`);
    fs.writeFileSync(`${root}/file`, patterned(100_000));
    fs.writeFileSync(`${root}/attrs`, "");
    fs.symlinkSync("file", `${root}/link`);
    fs.symlinkSync("nothing", `${root}/lost`);
    fs.truncateSync(`${root}/attrs`, 1 << 20);
    const shell = (...command: string[]) => expect(Bun.spawnSync(command).exitCode).toBe(0);
    shell("mkfifo", `${root}/fifo`);
    shell("touch", "-d", "1950-05-05 05:05:05.987654321 UTC", `${root}/file`);
    for (const name of ["user.b", "user.a", "user.long"]) {
      shell("setfattr", "-n", name, "-v", name === "user.long" ? "v".repeat(2000) : name, `${root}/attrs`);
    }
    shell("setfacl", "-m", "u:1234:rw", `${root}/attrs`);
    shell("setfacl", "-d", "-m", "u:77:rx", `${root}/sub`);
  });
  afterAll(async () => {
    await native.shutdown();
    await portable.shutdown();
    fs.rmSync(root, { recursive: true, force: true });
  });

  test("on every column of a listing", async () => {
    for (const follow of [false, true]) {
      const options = { ...WALK, xattrs: true, acls: true, follow };
      const [a, b] = await Promise.all(
        [native, portable].map((backend) => backend.walk(WORKING_DIRECTORY, bytesOf(root), options)),
      );
      expect(a!.count).toBe(b!.count);
      for (let row = 0; row <= a!.count; row++) expect(rowFields(a!, row)).toEqual(rowFields(b!, row));
      expect([a!.filesystemType, a!.flags, a!.status]).toEqual([b!.filesystemType, b!.flags, b!.status]);
      expect(U32_COLUMNS.length).toBe(19);
      native.close([a!.dirfd]);
      portable.close([b!.dirfd]);
      native.releaseBatch(a!);
    }
  });

  test("on XXH3-128 for every length where the algorithm changes, in any pieces", async () => {
    const directory = fs.mkdtempSync(`${root}/hash-`);
    const lengths = [...Array(300).keys(), 511, 512, 513, 1023, 1024, 1025, 2048, 2049, 65_536, 262_144, 262_145];
    const padded = (length: number) => `f${String(length).padStart(8, "0")}`;
    for (const length of lengths) fs.writeFileSync(`${directory}/${padded(length)}`, patterned(length, length));
    const batch = await native.walk(WORKING_DIRECTORY, bytesOf(directory), WALK);
    const rows = Uint32Array.from(lengths, (_, row) => row);
    const results = await native.hash(batch.dirfd, batch, rows, "xxh3-128", native.prepare(SETTINGS));
    lengths.forEach((length, i) => {
      const data = patterned(length, length);
      const pieces = new Xxh3_128();
      for (let at = 0; at < length; ) {
        const step = Math.min(length - at, 1 + ((at * 31 + length) % 333));
        pieces.update(data.subarray(at, at + step));
        at += step;
      }
      expect([length, Buffer.from(pieces.digest())]).toEqual([length, Buffer.from(results.digest(i))]);
    });
    results.release();
    native.close([batch.dirfd]);
    native.releaseBatch(batch);
  });

  test("on the part of a large file: one resumes what the other left", async () => {
    const size = 5_000_000;
    for (const [first, second] of [
      [native, portable],
      [portable, native],
    ] as const) {
      const source = fs.mkdtempSync(`${root}/source-`);
      const target = fs.mkdtempSync(`${root}/target-`);
      fs.writeFileSync(`${source}/big`, patterned(size));
      const ask = async (backend: Backend, resume: boolean): Promise<LargeRequest> => {
        const from = await backend.walk(WORKING_DIRECTORY, bytesOf(source), WALK);
        const to = await backend.walk(WORKING_DIRECTORY, bytesOf(target), WALK);
        const settings = backend.prepare({ ...SETTINGS, methods: ["read_write"] });
        const rows = Uint32Array.of(0);
        return { source: from.dirfd, target: to.dirfd, batch: from, rows, settings, resume };
      };
      const early = await ask(first, false);
      const begun = await first.largeBegin(early);
      await first.largeRange(begun, 0, 4_000_000, false, early.settings);
      await first.largeAbort(begun, early, true);
      const late = await ask(second, true);
      const resumed = await second.largeBegin(late);
      expect(resumed.basisBytes).toBeGreaterThan(0);
      const range = await second.largeRange(resumed, 0, size, true, late.settings);
      expect([range.status, range.bytes <= 1_000_000 + (128 << 10)]).toEqual([0, true]);
      expect(outcomes(await second.largeCommit(resumed, late))[0]!.status).toBe(0);
      expect(fs.readFileSync(`${target}/big`).equals(patterned(size))).toBe(true);
      first.close([early.source, early.target]);
      second.close([late.source, late.target]);
    }
  });
});
