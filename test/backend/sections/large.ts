import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import {
  ItemFlag,
  type LargeFile,
  type LargeRequest,
  ROW_EXISTS,
  type WriteSettings,
} from "../../../src/fs/backend.ts";
import { type Harness, modeOf, mtimeNs, namesOf, outcomes, rowOf } from "../harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;
const SIZE = 10_000_001;
const STEP = 3 << 20;

export function largeSection(h: Harness): void {
  async function request(settings: Partial<WriteSettings> = {}, resume = false): Promise<LargeRequest> {
    const source = await h.hold("source", { xattrs: true, acls: true });
    const target = await h.hold("target");
    const exists = namesOf(target.batch).includes("big") ? ROW_EXISTS : 0;
    return {
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(rowOf(source.batch, "big") + exists),
      settings: h.prepared({ methods: ["read_write"], ...settings }),
      resume,
    };
  }
  async function ranges(file: LargeFile, of: LargeRequest, compare = file.basisBytes > 0): Promise<number> {
    const work: Promise<{ status: number; bytes: number }>[] = [];
    for (let at = 0; at < file.size; at += STEP) {
      work.push(h.backend.largeRange(file, at, Math.min(STEP, file.size - at), compare, of.settings));
    }
    let bytes = 0;
    for (const range of await Promise.all(work)) {
      expect(range.status).toBe(0);
      bytes += range.bytes;
    }
    return bytes;
  }
  const parts = (): string[] => fs.readdirSync(h.at("target")).filter((name) => name.endsWith(".part"));

  h.test("begin, ranges in any order, commit", async () => {
    h.write("source/big", patterned(SIZE), 0o640);
    Bun.spawnSync(["touch", "-d", "2010-10-10 10:10:10.123456789 UTC", h.at("source/big")]);
    const asked = await request();
    const file = await h.backend.largeBegin(asked);
    expect([file.status, file.size, file.basisBytes, file.cloned]).toEqual([0, SIZE, 0, false]);
    expect(fs.existsSync(h.at("target/big"))).toBe(false);
    expect(await ranges(file, asked)).toBe(SIZE);
    const [outcome] = outcomes(await h.backend.largeCommit(file, asked));
    expect([outcome!.status, outcome!.size]).toEqual([0, SIZE]);
    expect(fs.readFileSync(h.at("target/big")).equals(patterned(SIZE))).toBe(true);
    expect([modeOf(h.at("target/big")), mtimeNs(h.at("target/big"))]).toEqual([0o640, mtimeNs(h.at("source/big"))]);
    expect(fs.readdirSync(h.at("target"))).toEqual(["big"]);
  });

  h.test("resumes from the part that an abort kept", async () => {
    h.write("source/big", patterned(SIZE));
    const asked = await request();
    const first = await h.backend.largeBegin(asked);
    await h.backend.largeRange(first, 0, STEP, false, asked.settings);
    await h.backend.largeAbort(first, asked, true);
    expect(parts()).toHaveLength(1);
    const again = await request({}, true);
    const file = await h.backend.largeBegin(again);
    expect([file.status, file.basisBytes > 0]).toEqual([0, true]);
    expect(await ranges(file, again)).toBeLessThanOrEqual(SIZE - STEP + (128 << 10));
    expect(outcomes(await h.backend.largeCommit(file, again))[0]!.status).toBe(0);
    expect(fs.readFileSync(h.at("target/big")).equals(patterned(SIZE))).toBe(true);
    expect(fs.readdirSync(h.at("target"))).toEqual(["big"]);
  });

  h.test("an abort removes the part, or a later run starts it afresh", async () => {
    h.write("source/big", patterned(SIZE));
    const asked = await request();
    const file = await h.backend.largeBegin(asked);
    await h.backend.largeAbort(file, asked, false);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
    const kept = await h.backend.largeBegin(asked);
    await h.backend.largeRange(kept, 0, STEP, false, asked.settings);
    await h.backend.largeAbort(kept, asked, true);
    const fresh = await h.backend.largeBegin(await request({}, false));
    expect([fresh.status, fresh.basisBytes]).toEqual([0, 0]);
    await h.backend.largeAbort(fresh, asked, false);
    expect(parts()).toEqual([]);
  });

  h.test("does not share a part with a living run", async () => {
    h.write("source/big", patterned(SIZE));
    const asked = await request();
    const first = await h.backend.largeBegin(asked);
    const second = await h.backend.largeBegin({ ...asked, resume: true });
    expect([first.status, second.status, second.basisBytes]).toEqual([0, 0, 0]);
    await ranges(second, asked);
    expect(outcomes(await h.backend.largeCommit(second, asked))[0]!.status).toBe(0);
    await h.backend.largeAbort(first, asked, false);
    expect(fs.readFileSync(h.at("target/big")).equals(patterned(SIZE))).toBe(true);
    expect(fs.readdirSync(h.at("target"))).toEqual(["big"]);
  });

  h.test("does not adopt a part that is not a private regular file", async () => {
    h.write("source/big", patterned(SIZE));
    h.write("secret", "untouched");
    const asked = await request();
    const probe = await h.backend.largeBegin(asked);
    await h.backend.largeAbort(probe, asked, true);
    const [name] = parts();
    fs.unlinkSync(h.at("target", name!));
    fs.symlinkSync(h.at("secret"), h.at("target", name!));
    const file = await h.backend.largeBegin({ ...asked, resume: true });
    expect([file.status, file.basisBytes]).toEqual([0, 0]);
    await ranges(file, asked);
    expect(outcomes(await h.backend.largeCommit(file, asked))[0]!.status).toBe(0);
    expect(fs.readFileSync(h.at("secret"), "utf8")).toBe("untouched");
  });

  h.test("refuses to publish when the source changed", async () => {
    h.write("source/big", patterned(SIZE));
    const asked = await request();
    const file = await h.backend.largeBegin(asked);
    await ranges(file, asked);
    fs.appendFileSync(h.at("source/big"), "more");
    const [outcome] = outcomes(await h.backend.largeCommit(file, asked));
    expect([outcome!.status, outcome!.flags & ItemFlag.changed]).toEqual([-errno.EBUSY, ItemFlag.changed]);
    expect(fs.existsSync(h.at("target/big"))).toBe(false);
    const stale = await h.backend.largeBegin(asked);
    expect([stale.status, stale.source, stale.temp]).toEqual([-errno.EBUSY, -1, -1]);
    for (const name of parts()) fs.unlinkSync(h.at("target", name));
  });

  h.test("replaces, with backup and verification", async () => {
    h.write("source/big", patterned(SIZE));
    h.write("target/big", "old", 0o604);
    const asked = { ...(await request({ verify: "compare", backupSuffix: bytesOf("~") })) };
    const withBackup = { ...asked, backup: asked.target };
    const file = await h.backend.largeBegin(withBackup);
    await ranges(file, withBackup);
    const [outcome] = outcomes(await h.backend.largeCommit(file, withBackup));
    expect([outcome!.status, outcome!.flags]).toEqual([0, ItemFlag.replaced | ItemFlag.backedUp]);
    expect(fs.readFileSync(h.at("target/big~"), "utf8")).toBe("old");
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["big", "big~"]);
  });

  h.test("finds a corrupted part by verification", async () => {
    h.write("source/big", patterned(SIZE));
    const asked = await request({ verify: "compare" });
    const file = await h.backend.largeBegin(asked);
    await ranges(file, asked);
    fs.writeSync(file.temp, "corrupt", 5_000_000);
    const [outcome] = outcomes(await h.backend.largeCommit(file, asked));
    expect(outcome!.status).toBe(-errno.EBADMSG);
    expect(fs.existsSync(h.at("target/big"))).toBe(false);
    for (const name of parts()) fs.unlinkSync(h.at("target", name));
  });

  h.test("writes in place, comparing", async () => {
    const changed = patterned(SIZE);
    changed[4_000_000]! ^= 1;
    h.write("source/big", changed);
    h.write("target/big", Buffer.concat([patterned(SIZE), Buffer.from("old tail")]));
    const inode = fs.statSync(h.at("target/big")).ino;
    const asked = await request({ inplace: true });
    const file = await h.backend.largeBegin(asked);
    expect([file.status, file.basisBytes]).toEqual([0, SIZE]);
    expect(await ranges(file, asked, true)).toBeLessThanOrEqual(128 << 10);
    expect(outcomes(await h.backend.largeCommit(file, asked))[0]!.status).toBe(0);
    expect(fs.statSync(h.at("target/big")).ino).toBe(inode);
    expect(fs.readFileSync(h.at("target/big")).equals(changed)).toBe(true);
  });

  h.test("keeps holes", async () => {
    const fd = fs.openSync(h.at("source/big"), "w");
    fs.writeSync(fd, patterned(100_000), 0, 100_000, 40 << 20);
    fs.ftruncateSync(fd, 64 << 20);
    fs.closeSync(fd);
    const asked = await request();
    const file = await h.backend.largeBegin(asked);
    expect(await ranges(file, asked)).toBeLessThan(1 << 20);
    expect(outcomes(await h.backend.largeCommit(file, asked))[0]!.status).toBe(0);
    const stats = fs.statSync(h.at("target/big"));
    expect([stats.size, stats.blocks * 512 < 1 << 20]).toEqual([64 << 20, true]);
    expect(fs.readFileSync(h.at("target/big")).equals(fs.readFileSync(h.at("source/big")))).toBe(true);
  });

  h.test("refuses ranges that make no sense", async () => {
    h.write("source/big", patterned(1000));
    const asked = await request();
    const file = await h.backend.largeBegin(asked);
    for (const [offset, length] of [
      [-1, 10],
      [0, -1],
      [Number.NaN, 1],
      [2 ** 53, 1],
    ] as const) {
      const { status } = await h.backend.largeRange(file, offset, length, false, asked.settings);
      expect(status).toBe(-errno.EINVAL);
    }
    await h.backend.largeAbort(file, asked, false);
  });
}
