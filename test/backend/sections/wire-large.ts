/** Large files by ranges over the data plane. */
import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import {
  type Backend,
  ItemFlag,
  type LargeFile,
  type LargeRequest,
  METHOD_STREAM,
  NO_HANDLE,
  type RangeResult,
  STAGES,
  type WriteSettings,
} from "../../../src/fs/backend.ts";
import { setXattr } from "../../support/libc.ts";
import { type Harness, modeOf, mtimeNs, outcomes, rowOf } from "../harness.ts";
import { type Wire, wireTest } from "../wire-harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;
const MIB = 1 << 20;
const SIZE = 10_000_001;
const STEP = 3 * MIB;
const BLOCK = 128 * 1024;

interface Large {
  readonly file: LargeFile;
  readonly request: LargeRequest;
  readonly batch: Awaited<ReturnType<Wire["source"]>>;
  readonly row: number;
  readonly settings: Partial<WriteSettings>;
}

export function wireLargeSection(h: Harness, openSender: () => Backend): void {
  const test = (name: string, body: (wire: Wire) => Promise<void>): void => wireTest(h, openSender, name, body);

  async function begin(wire: Wire, settings: Partial<WriteSettings> = {}, resume = false): Promise<Large> {
    const batch = await wire.source();
    const row = rowOf(batch, "big");
    const received = await wire.receiving(batch, 0, [row], settings);
    const request: LargeRequest = { ...received, source: NO_HANDLE, resume };
    const file = await wire.receiver.largeBegin(request);
    expect([file.status, file.source]).toEqual([0, NO_HANDLE]);
    return { file, request, batch, row, settings };
  }
  async function range(wire: Wire, large: Large, offset: number, length: number): Promise<RangeResult> {
    const { file, request, batch, row, settings } = large;
    const need = wire.nextNeed();
    const digests = offset < file.basisBytes ? await wire.receiver.hashBlocks(file, offset, length, BLOCK) : undefined;
    if (typeof digests === "number") throw new Error(`errno ${digests}`);
    const receiving = wire.receiver.receiveRange(need, file, offset, length, request.settings);
    const sending = wire.sender.send({
      ...wire.sending(batch, need, [row], settings),
      purpose: "range",
      offset,
      length,
      ...(digests === undefined ? {} : { basis: { blockBytes: BLOCK, digests } }),
    });
    const [result, sent] = await Promise.all([receiving, sending]);
    expect(outcomes(sent)[0]!.status).toBe(result.status);
    return result;
  }
  async function ranges(wire: Wire, large: Large): Promise<number> {
    const work: Promise<RangeResult>[] = [];
    for (let at = 0; at < large.file.size; at += STEP) {
      work.push(range(wire, large, at, Math.min(STEP, large.file.size - at)));
    }
    let bytes = 0;
    for (const result of await Promise.all(work)) {
      expect([result.status, result.bytes === 0 || result.method === METHOD_STREAM]).toEqual([0, true]);
      bytes += result.bytes;
    }
    return bytes;
  }
  async function commit(wire: Wire, { file, request, batch, row, settings }: Large) {
    const need = wire.nextNeed();
    const receiving = wire.receiver.receiveCommit(need, file, request);
    const sent = await wire.sender.send({ ...wire.sending(batch, need, [row], settings), purpose: "commit" });
    const [outcome] = outcomes(await receiving);
    expect(outcomes(sent)[0]!.status).toBe(outcome!.status === -errno.EBADMSG ? 0 : outcome!.status);
    return outcome!;
  }
  const parts = (): string[] => fs.readdirSync(h.at("target")).filter((name) => name.endsWith(".part"));
  const isSame = (): boolean => fs.readFileSync(h.at("target/big")).equals(fs.readFileSync(h.at("source/big")));

  test("a large file by ranges over several streams", async (wire) => {
    h.write("source/big", patterned(SIZE), 0o640);
    setXattr(h.at("source/big"), "user.note", "n");
    for (let i = 0; i < 3; i++) await wire.join("tcp");
    const large = await begin(wire, { verify: "compare" });
    expect(await ranges(wire, large)).toBe(SIZE);
    const outcome = await commit(wire, large);
    expect([outcome.status, outcome.warnings, outcome.size]).toEqual([0, 0, SIZE]);
    expect([isSame(), modeOf(h.at("target/big"))]).toEqual([true, 0o640]);
    expect(mtimeNs(h.at("target/big"))).toBe(mtimeNs(h.at("source/big")));
    expect(Bun.spawnSync(["getfattr", "-n", "user.note", h.at("target/big")]).exitCode).toBe(0);
    expect(fs.readdirSync(h.at("target"))).toEqual(["big"]);
  });

  test("a part that an earlier run left: only blocks that differ travel", async (wire) => {
    h.write("source/big", patterned(SIZE));
    await wire.join();
    const early = await begin(wire);
    await range(wire, early, 0, STEP);
    await range(wire, early, STEP, STEP);
    fs.writeSync(early.file.temp, "corrupt", 1_000_000);
    await wire.receiver.largeAbort(early.file, early.request, true);
    const late = await begin(wire, { verify: "compare" }, true);
    expect(late.file.basisBytes).toBeGreaterThan(0);
    expect(await ranges(wire, late)).toBeLessThanOrEqual(SIZE - 2 * STEP + 2 * BLOCK);
    expect((await commit(wire, late)).status).toBe(0);
    expect([isSame(), parts()]).toEqual([true, []]);
  });

  test("a large file in place, and one with holes", async (wire) => {
    const changed = patterned(SIZE);
    changed[4_000_000]! ^= 1;
    h.write("source/big", changed);
    h.write("target/big", Buffer.concat([patterned(SIZE), Buffer.from("old tail")]));
    const inode = fs.statSync(h.at("target/big")).ino;
    await wire.join();
    const large = await begin(wire, { inplace: true });
    expect(large.file.basisBytes).toBe(SIZE);
    expect(await ranges(wire, large)).toBe(BLOCK);
    expect((await commit(wire, large)).status).toBe(0);
    expect([isSame(), fs.statSync(h.at("target/big")).ino]).toEqual([true, inode]);
    fs.unlinkSync(h.at("target/big"));
    const fd = fs.openSync(h.at("source/big"), "w");
    fs.writeSync(fd, patterned(100_000), 0, 100_000, 4 * MIB);
    fs.ftruncateSync(fd, 20 * MIB);
    fs.closeSync(fd);
    const holed = await begin(wire, { verify: "compare" });
    expect(await ranges(wire, holed)).toBeLessThan(MIB);
    expect((await commit(wire, holed)).status).toBe(0);
    expect([isSame(), fs.statSync(h.at("target/big")).blocks * 512 < MIB]).toEqual([true, true]);
  });

  test("a commit is refused when the source changed", async (wire) => {
    h.write("source/big", patterned(SIZE));
    await wire.join();
    const large = await begin(wire);
    await ranges(wire, large);
    fs.appendFileSync(h.at("source/big"), "more");
    expect((await range(wire, large, 0, 1000)).status).toBe(-errno.EBUSY);
    const { status, flags } = await commit(wire, large);
    expect([status, flags & ItemFlag.changed]).toEqual([-errno.EBUSY, ItemFlag.changed]);
    expect(fs.existsSync(h.at("target/big"))).toBe(false);
    for (const name of parts()) fs.unlinkSync(h.at("target", name));
  });

  test("a file that changed is begun again as it is now", async (wire) => {
    h.write("source/big", patterned(SIZE), 0o600);
    await wire.join();
    const first = await begin(wire);
    const { batch, row, request } = first;
    await range(wire, first, 0, STEP);
    fs.appendFileSync(h.at("source/big"), patterned(MIB));
    const fd = fs.openSync(h.at("source/big"), "r+");
    fs.writeSync(fd, "new", 1000);
    fs.closeSync(fd);
    fs.chmodSync(h.at("source/big"), 0o4711);
    const late = await range(wire, first, STEP, STEP);
    expect([late.status, late.stage]).toEqual([-errno.EBUSY, STAGES.indexOf("read")]);
    const only = { ...first, file: { ...first.file, temp: NO_HANDLE } };
    const { status, flags } = await commit(wire, only);
    expect([status, flags & ItemFlag.changed]).toEqual([-errno.EBUSY, ItemFlag.changed]);
    const now = fs.statSync(h.at("source/big"), { bigint: true });
    for (const rows of [batch, request.batch]) {
      expect([rows.size(row), rows.mtimeSec(row)]).toEqual([SIZE + MIB, Number(now.mtimeNs / 1_000_000_000n)]);
      expect(rows.mtimeNsec(row)).toBe(Number(now.mtimeNs % 1_000_000_000n));
    }
    expect([batch.mode(row) & 0o7777, request.batch.mode(row) & 0o7777]).toEqual([0o4711, 0o711]);
    await wire.receiver.largeAbort(first.file, request, true);
    const file = await wire.receiver.largeBegin({ ...request, resume: true });
    expect([file.status, file.size, file.basisBytes]).toEqual([0, SIZE + MIB, SIZE]);
    const second = { ...first, file };
    expect(await ranges(wire, second)).toBeLessThanOrEqual(SIZE + MIB - STEP + 2 * BLOCK);
    // Nothing changed since: asking says so, and publishes nothing.
    const asked = wire.receiver.receiveCommit(wire.nextNeed(), { ...file, temp: NO_HANDLE }, request);
    void wire.sender.send({ ...wire.sending(batch, wire.nextNeed() - 1, [row]), purpose: "commit" });
    expect(outcomes(await asked)[0]!.status).toBe(-errno.EBADF);
    expect(fs.existsSync(h.at("target/big"))).toBe(false);
    expect((await commit(wire, second)).status).toBe(0);
    expect([isSame(), modeOf(h.at("target/big")), parts()]).toEqual([true, 0o711, []]);
  });

  test("a commit replaces, with backup", async (wire) => {
    h.write("source/big", patterned(SIZE));
    h.write("target/big", "old");
    await wire.join();
    const large = await begin(wire, { backupSuffix: bytesOf("~") });
    const withBackup = { ...large, request: { ...large.request, backup: large.request.target } };
    await ranges(wire, withBackup);
    const { status, flags } = await commit(wire, withBackup);
    expect([status, flags]).toEqual([0, ItemFlag.replaced | ItemFlag.backedUp]);
    expect([isSame(), fs.readFileSync(h.at("target/big~"), "utf8")]).toEqual([true, "old"]);
  });

  test("ranges and commits end with the last stream", async (wire) => {
    h.write("source/big", patterned(SIZE));
    const { in: into } = await wire.join();
    const large = await begin(wire);
    const range = wire.receiver.receiveRange(wire.nextNeed(), large.file, 0, STEP, large.request.settings);
    into.end();
    await into.ended;
    expect((await range).status).toBe(-errno.EPIPE);
    const results = await wire.receiver.receiveCommit(wire.nextNeed(), large.file, large.request);
    expect(outcomes(results)[0]!.status).toBe(-errno.EPIPE);
    for (const name of parts()) fs.unlinkSync(h.at("target", name));
  });

  test("hashes blocks of the part", async (wire) => {
    h.write("source/big", patterned(SIZE));
    await wire.join();
    const large = await begin(wire);
    await range(wire, large, 0, STEP);
    const digests = await wire.receiver.hashBlocks(large.file, MIB, MIB + 5, MIB);
    if (typeof digests === "number") throw new Error(`errno ${digests}`);
    expect(digests.length).toBe(32);
    const again = await wire.receiver.hashBlocks(large.file, 2 * MIB, 5, 5);
    expect(again).toEqual(digests.slice(16));
    expect(await wire.receiver.hashBlocks(large.file, -1, 5, 5)).toBe(-errno.EINVAL);
    expect(await wire.receiver.hashBlocks(large.file, 0, 5, 0)).toBe(-errno.EINVAL);
    await wire.receiver.largeAbort(large.file, large.request, false);
  });
}
