/** Peers made by hand: whatever they say, nothing is published that was not asked for, nothing hangs, nothing leaks. */
import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type Attribute, encodeAttributes } from "../../../src/core/attribute-blob.ts";
import { FileType } from "../../../src/core/entry-batch.ts";
import {
  encodeHeader,
  encodeRecord,
  type FrameHeader,
  FrameType,
  HEADER_BYTES,
  type ItemRecord,
  RECORD_BYTES,
  RecordFlag,
} from "../../../src/core/frames.ts";
import { bytesOf } from "../../../src/core/paths.ts";
import { memberHeaderBytes, padded, writeMemberHeader } from "../../../src/core/ustar.ts";
import { type Backend, ItemFlag, NO_HANDLE } from "../../../src/fs/backend.ts";
import { Xxh3_128 } from "../../../src/fs/portable/xxh3-128.ts";
import { getXattr } from "../../support/libc.ts";
import { type Harness, modeOf, outcomes } from "../harness.ts";
import { type Wire, wireTest } from "../wire-harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;
const MIB = 1 << 20;
const NEED = 5;
const CONTENT = patterned(3000);
const MODE = FileType.regular | 0o644;

function frame(header: Partial<FrameHeader> & { type: number }, ...payload: Uint8Array[]): Buffer {
  const body = Buffer.concat(payload);
  const out = Buffer.alloc(HEADER_BYTES + body.length);
  const whole = { need: NEED, item: 0, offset: 0, length: body.length, ...header } as FrameHeader;
  encodeHeader(whole, out);
  body.copy(out, HEADER_BYTES);
  return out;
}
function recordOf(fields: Partial<ItemRecord> = {}): ItemRecord {
  return {
    item: 0,
    status: 0,
    stage: 0,
    flags: 0,
    size: CONTENT.length,
    mtimeSec: 1000,
    mtimeNsec: 5,
    mode: MODE,
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    attributeBytes: 0,
    attributeErrno: 0,
    bytes: 0,
    hash: new Uint8Array(16),
    ...fields,
  };
}
function record(fields: Partial<ItemRecord> = {}): Buffer {
  const out = Buffer.alloc(RECORD_BYTES);
  encodeRecord(recordOf(fields), out);
  return out;
}
function member(name: string, content: Uint8Array = CONTENT, size = content.length): Buffer {
  const bytes = bytesOf(name);
  const out = Buffer.alloc(memberHeaderBytes(bytes.length) + padded(content.length));
  const at = writeMemberHeader(out, 0, { name: bytes, mode: 0o644, uid: 0, gid: 0, size, mtimeSec: 1000 });
  out.set(content, at);
  return out;
}
const END = Buffer.alloc(1024);
const shard = (fields: Partial<ItemRecord> = {}, tar = member("f0")): Buffer =>
  frame({ type: FrameType.shard, item: 1 }, record(fields), tar, END);
const file = (fields: Partial<ItemRecord> = {}, item = 0): Buffer =>
  frame({ type: FrameType.file, item }, record({ item, ...fields }));
const data = (offset: number, content: Uint8Array, item = 0): Buffer =>
  frame({ type: FrameType.data, item, offset }, content);
const end = (fields: Partial<ItemRecord> = {}, item = 0): Buffer =>
  frame({ type: FrameType.end, item }, record({ item, bytes: CONTENT.length, ...fields }));
const bye = frame({ type: FrameType.bye, need: 0 });
const withByte = (bytes: Buffer, at: number, value: number): Buffer => {
  const out = Buffer.from(bytes);
  out[at] = value;
  return out;
};
/** A header with a field that no encoder would write, under a correct checksum. */
const forged = (bytes: Buffer, at: number, value: number): Buffer => {
  const out = withByte(bytes, at, value);
  out.writeUInt32LE(Bun.hash.crc32(out.subarray(0, 28)), 28);
  return out;
};
const wholeFile = Buffer.concat([file(), data(0, CONTENT), end()]);
const inRecord = HEADER_BYTES;
const inTar = HEADER_BYTES + RECORD_BYTES;

const HOSTILE: Readonly<Record<string, Buffer>> = {
  "a bad magic": withByte(shard(), 0, 0),
  "a bad checksum": withByte(shard(), 28, shard()[28]! ^ 1),
  "an unknown type": forged(shard(), 4, 9),
  "type zero": forged(shard(), 4, 0),
  "an unknown flag": forged(shard(), 5, 1),
  "a reserved byte": forged(shard(), 6, 1),
  "a shard that is too long": forged(shard(), 27, 0x7f),
  "a shard shorter than its records": frame({ type: FrameType.shard, item: 2 }, record()),
  "a shard of no records": frame({ type: FrameType.shard, item: 0 }),
  "need zero": frame({ type: FrameType.shard, need: 0, item: 1 }, record(), member("f0"), END),
  "a BYE with a need": frame({ type: FrameType.bye, need: 3 }),
  "a FILE frame that is too long": frame({ type: FrameType.file, length: 5 << 20 }, record()),
  "a DATA frame that is too long": Buffer.concat([file(), frame({ type: FrameType.data, length: 9 << 20 }, CONTENT)]),
  "an END frame of another length": Buffer.concat([file(), frame({ type: FrameType.end }, record(), END)]),
  "an item out of range": frame({ type: FrameType.shard, item: 1 }, record({ item: 3 }), member("f0"), END),
  "an item twice in one shard": frame(
    { type: FrameType.shard, item: 2 },
    record(),
    record(),
    member("f0"),
    member("f0"),
    END,
  ),
  "a FILE out of range": file({}, 3),
  "a positive status": shard({ status: 2 }),
  "a status without a stage": frame({ type: FrameType.shard, item: 1 }, record({ status: -2, stage: 0 })),
  "unknown record flags": shard({ flags: 32 }),
  "AGAIN in a shard": shard({ flags: RecordFlag.again }),
  "nanoseconds out of range": shard({ mtimeNsec: 1_000_000_000 }),
  "a size beyond 2^53": withByte(shard(), inRecord + 23, 0x40),
  "another type than the manifest's": frame(
    { type: FrameType.shard, item: 1 },
    record({ mode: FileType.symlink | 0o777 }),
  ),
  "another size than the manifest's": shard({ size: 2999 }, member("f0", CONTENT.subarray(0, 2999))),
  "another name": shard({}, member("f1")),
  "a name that leads elsewhere": shard({}, member("../f0")),
  "an absolute name": shard({}, member("/f0")),
  "a member of another size": shard({}, member("f0", CONTENT, 2000)),
  "a wrong tar checksum": withByte(shard(), inTar + 148, 0x37),
  "a member that is a link": withByte(shard(), inTar + 156, 0x32),
  "a member that is no ustar": withByte(shard(), inTar + 257, 0x78),
  "an archive without its end": frame({ type: FrameType.shard, item: 1 }, record(), member("f0")),
  "an archive with more": frame({ type: FrameType.shard, item: 1 }, record(), member("f0"), END, END),
  "a missing archive": frame({ type: FrameType.shard, item: 1 }, record()),
  "attributes longer than the shard": frame({ type: FrameType.shard, item: 1 }, record({ attributeBytes: 100_000 })),
  "attributes that are no attributes": frame(
    { type: FrameType.shard, item: 1 },
    record({ attributeBytes: 8 }),
    Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]),
    member("f0"),
    END,
  ),
  "attributes out of order": frame(
    { type: FrameType.shard, item: 1 },
    record({ attributeBytes: 32 }),
    encodeAttributes([attribute("user.b"), attribute("user.a")]),
    member("f0"),
    END,
  ),
  "an attribute error without its flag": shard({ attributeErrno: 5 }),
  "DATA without FILE": data(0, CONTENT),
  "END without FILE": end(),
  "a shard within a file": Buffer.concat([file(), shard({ item: 1 }, member("f1"))]),
  "DATA of another item within a file": Buffer.concat([file(), data(0, CONTENT, 1)]),
  "DATA behind the file's end": Buffer.concat([file(), data(1, CONTENT)]),
  "DATA that goes back": Buffer.concat([
    file(),
    data(100, CONTENT.subarray(0, 100)),
    data(150, CONTENT.subarray(0, 9)),
  ]),
  "an END with another count": Buffer.concat([file(), data(0, CONTENT), end({ bytes: 1 })]),
  "an END with another size": Buffer.concat([file(), data(0, CONTENT), end({ size: 2000 })]),
  "a FILE with a status": file({ status: -5, stage: 2 }),
  "a file sent three times": Buffer.concat(
    Array.from({ length: 3 }, () => [file(), end({ flags: RecordFlag.again, bytes: 0 })]).flat(),
  ),
  "AGAIN without another FILE": Buffer.concat([file(), end({ flags: RecordFlag.again, bytes: 0 }), data(0, CONTENT)]),
  "AGAIN with a status": Buffer.concat([
    file(),
    end({ flags: RecordFlag.again, bytes: 0, status: -5, stage: 2 }),
    file(),
  ]),
  "AGAIN with another count": Buffer.concat([
    file(),
    data(0, CONTENT),
    end({ flags: RecordFlag.again, bytes: 1 }),
    file(),
  ]),
  "a failure with another count": Buffer.concat([file(), data(0, CONTENT), end({ bytes: 1, status: -5, stage: 2 })]),
  "a FILE and END of another size than the manifest's": Buffer.concat([
    file({ size: 2000 }),
    data(0, CONTENT.subarray(0, 2000)),
    end({ size: 2000, bytes: 2000 }),
  ]),
  "an END of another size than its FILE": Buffer.concat([
    file(),
    data(0, CONTENT.subarray(0, 2000)),
    end({ size: 2000, bytes: 2000, flags: RecordFlag.retried }),
  ]),
  "DATA without content": Buffer.concat([file(), data(0, new Uint8Array(0))]),
  "something behind BYE": Buffer.concat([bye, shard()]),
  "no frame at all": Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
};

function attribute(name: string): Attribute {
  return { name: bytesOf(name), value: bytesOf("vv") };
}

export function wireHostileSection(h: Harness, openSender: () => Backend): void {
  const test = (name: string, body: (wire: Wire) => Promise<void>): void => wireTest(h, openSender, name, body);

  /** An expectation of three small files. */
  async function expecting(wire: Wire, settings = {}, purpose: "content" | "attributes" = "content") {
    const names = ["f0", "f1", "f2"];
    const fields = { mode: MODE, size: CONTENT.length, mtimeSec: 1000, mtimeNsec: 5 };
    const owner = { uid: recordOf().uid, gid: recordOf().gid };
    const rows = names.map((name) => ({ name: bytesOf(name), ...fields, ...owner }));
    const batch = h.keep(wire.receiver.makeBatch([...rows, { name: bytesOf("."), mode: FileType.directory | 0o755 }]));
    const request = await wire.receiving(batch, NEED, [0, 1, 2], settings, { purpose });
    return wire.receiver.receive(request);
  }
  const published = (): string[] => fs.readdirSync(h.at("target")).sort();
  const root = (): string[] => fs.readdirSync(h.root).sort();

  test("frames made by hand arrive: shard, file, attributes, a hole, a second try", async (wire) => {
    const { peer, in: into } = await wire.joinRaw();
    const receiving = expecting(wire, { owner: false, group: false });
    const list = encodeAttributes([attribute("system.unknown"), attribute("user.a")]);
    const small = frame(
      { type: FrameType.shard, item: 1 },
      record({ item: 2, attributeBytes: list.length }),
      list,
      member("f2"),
      END,
    );
    const again = [file(), data(0, patterned(10, 9)), end({ flags: RecordFlag.again, bytes: 10 })];
    const tail = CONTENT.subarray(2000);
    const second = [
      file(),
      data(2000, tail),
      end({ bytes: 1000, flags: RecordFlag.retried, size: CONTENT.length, mtimeSec: 77, mtimeNsec: 0 }),
    ];
    const failed = frame(
      { type: FrameType.shard, item: 1 },
      record({ item: 1, status: -errno.EBUSY, stage: 2, flags: RecordFlag.changed }),
    );
    for (const bytes of [small, ...again, ...second, failed, bye]) await peer.write(bytes);
    const results = outcomes(await receiving);
    expect(results.map(({ status, flags }) => [status, flags & 3])).toEqual([
      [0, ItemFlag.retried],
      [-errno.EBUSY, ItemFlag.changed],
      [0, 0],
    ]);
    expect((await into.ended).status).toBe(0);
    peer.close();
    expect(published()).toEqual(["f0", "f2"]);
    expect(fs.readFileSync(h.at("target/f0")).equals(Buffer.concat([Buffer.alloc(2000), tail]))).toBe(true);
    expect(fs.statSync(h.at("target/f0")).mtimeMs).toBe(77_000);
    expect(getXattr(h.at("target/f2"), "user.a")).toEqual(bytesOf("vv"));
  });

  for (const [name, bytes] of Object.entries(HOSTILE)) {
    test(`${name} ends the stream, and nothing is published`, async (wire) => {
      const { peer, in: into } = await wire.joinRaw();
      const before = root();
      const receiving = expecting(wire);
      await Bun.sleep(1);
      await peer.write(bytes);
      // The rest of a frame that was refused early must not make the receiver wait.
      await peer.write(Buffer.alloc(100_000));
      const ended = await into.ended;
      expect([name, ended.status, ended.detail !== ""]).toEqual([name, -errno.EPROTO, true]);
      for (const { status } of outcomes(await receiving)) expect(status).toBe(-errno.EPIPE);
      expect([published(), root()]).toEqual([[], before]);
      peer.close();
    });
  }

  test("what a target took away from the mode of its manifest does not come back with a second reading", async (wire) => {
    const { peer } = await wire.joinRaw();
    const receiving = expecting(wire, { owner: false, group: false });
    const read = { flags: RecordFlag.retried, mode: FileType.regular | 0o7751 };
    await peer.write(Buffer.concat([shard(read), file(read, 1), data(0, CONTENT, 1), end(read, 1)]));
    await peer.write(frame({ type: FrameType.shard, item: 1 }, record({ item: 2 }), member("f2"), END));
    expect(outcomes(await receiving).map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(["f0", "f1", "f2"].map((name) => modeOf(h.at("target", name)))).toEqual([0o751, 0o751, 0o644]);
    peer.close();
  });

  test("an item that was answered before ends the stream", async (wire) => {
    const { peer, in: into } = await wire.joinRaw();
    const receiving = expecting(wire);
    await peer.write(shard());
    await peer.write(wholeFile);
    expect((await into.ended).status).toBe(-errno.EPROTO);
    expect(outcomes(await receiving).map(({ status }) => status)).toEqual([0, -errno.EPIPE, -errno.EPIPE]);
    expect(published()).toEqual(["f0"]);
    peer.close();
  });

  test("a need that nobody asked ends the stream after a while", async (wire) => {
    const { peer, in: into } = await wire.joinRaw();
    await peer.write(shard());
    expect((await into.ended).status).toBe(-errno.EPROTO);
    peer.close();
  });

  test("a need that is asked a moment after its answer came", async (wire) => {
    const { peer } = await wire.joinRaw();
    await peer.write(shard());
    await Bun.sleep(30);
    const receiving = expecting(wire);
    for (const item of [1, 2]) {
      await peer.write(frame({ type: FrameType.shard, item: 1 }, record({ item }), member(`f${item}`), END));
    }
    expect(outcomes(await receiving).map(({ status }) => status)).toEqual([0, 0, 0]);
    peer.close();
  });

  test("no more is read than can be placed", async (wire) => {
    const { peer, in: into } = await wire.joinRaw();
    const large = patterned(16 * MIB);
    const writing = peer.write(
      Buffer.concat([
        file({ size: large.length }),
        data(0, large.subarray(0, 8 * MIB)),
        data(8 * MIB, large.subarray(8 * MIB)),
        end({ flags: RecordFlag.retried, size: large.length, bytes: large.length }),
        frame(
          { type: FrameType.shard, item: 2 },
          record({ item: 1 }),
          record({ item: 2 }),
          member("f1"),
          member("f2"),
          END,
        ),
      ]),
    );
    await Bun.sleep(200);
    expect(into.bytes()).toBeLessThan(4 * MIB);
    expect(outcomes(await expecting(wire)).map(({ status }) => status)).toEqual([0, 0, 0]);
    await writing;
    expect(fs.readFileSync(h.at("target/f0")).equals(large)).toBe(true);
    peer.close();
  });

  test("a descriptor that is no socket is a stream that ended", async (wire) => {
    const fd = fs.openSync(h.write("plain", "x"), "r+");
    const streams = (["send", "receive"] as const).map((way) => wire.receiver.openStream(fd, way, { idleMs: 1000 }));
    fs.closeSync(fd);
    for (const { ended } of streams) expect((await ended).status).toBeLessThan(0);
    const closed = wire.receiver.openStream(1_000_000, "receive", { idleMs: 1000 });
    expect((await closed.ended).status).toBe(-errno.EBADF);
  });

  test("a connection that is cut anywhere", async (wire) => {
    const whole = Buffer.concat([shard({ item: 1 }, member("f1")), wholeFile]);
    const firstEnds = shard({ item: 1 }, member("f1")).length;
    for (let at = 0; at < whole.length; at += 1 + Math.floor(whole.length / 40)) {
      const { peer, in: into } = await wire.joinRaw();
      const receiving = expecting(wire);
      await peer.write(whole.subarray(0, at));
      peer.close();
      expect((await into.ended).status).toBeLessThan(0);
      const statuses = outcomes(await receiving).map(({ status }) => status);
      const isThere = at >= firstEnds;
      expect(statuses).toEqual([-errno.EPIPE, isThere ? 0 : -errno.EPIPE, -errno.EPIPE]);
      expect(published()).toEqual(isThere ? ["f1"] : []);
      if (isThere) fs.unlinkSync(h.at("target/f1"));
    }
  });

  test("a peer that stops within a frame", async (wire) => {
    const { peer, in: into } = await wire.joinRaw(200);
    const receiving = expecting(wire);
    await peer.write(wholeFile.subarray(0, wholeFile.length - 300));
    expect((await into.ended).status).toBe(-errno.ETIMEDOUT);
    for (const { status } of outcomes(await receiving)) expect(status).toBe(-errno.EPIPE);
    expect(published()).toEqual([]);
    peer.close();
  });

  test("bytes that a receiver never sends end the sender's stream", async (wire) => {
    const { peer, out } = await wire.overhear();
    await peer.write(bye);
    expect((await out.ended).status).toBeLessThan(0);
    peer.close();
  });

  test("content that differs from its hash is not published", async (wire) => {
    const { peer } = await wire.joinRaw();
    const receiving = expecting(wire, { verify: "compare" });
    const hash = new Xxh3_128().update(CONTENT).digest();
    const hashed = { flags: RecordFlag.hashed, hash };
    const wrong = patterned(CONTENT.length, 77);
    await peer.write(shard(hashed));
    await peer.write(
      frame({ type: FrameType.shard, item: 1 }, record({ item: 1, ...hashed }), member("f1", wrong), END),
    );
    await peer.write(Buffer.concat([file({}, 2), data(0, wrong, 2), end(hashed, 2)]));
    expect(outcomes(await receiving).map(({ status }) => status)).toEqual([0, -errno.EBADMSG, -errno.EBADMSG]);
    expect(published()).toEqual(["f0"]);
    peer.close();
  });

  test("attributes that could not be read are a warning", async (wire) => {
    const { peer } = await wire.joinRaw();
    const receiving = expecting(wire, { owner: false, group: false });
    const failed = { flags: RecordFlag.attributesFailed, attributeErrno: errno.EIO };
    for (const item of [0, 1, 2]) {
      await peer.write(frame({ type: FrameType.shard, item: 1 }, record({ item, ...failed }), member(`f${item}`), END));
    }
    for (const { status, warnings } of outcomes(await receiving)) expect([status, warnings > 0]).toEqual([0, true]);
    peer.close();
  });

  test("more attributes than a shard takes come as a file without content", async (wire) => {
    const { peer } = await wire.joinRaw();
    for (const name of ["f0", "f1", "f2"]) h.write(`target/${name}`, CONTENT);
    const receiving = expecting(wire, { owner: false, group: false }, "attributes");
    const list = encodeAttributes([attribute("user.a")]);
    for (const item of [0, 1, 2]) {
      await peer.write(frame({ type: FrameType.file, item }, record({ item, attributeBytes: list.length }), list));
      await peer.write(end({ bytes: 0 }, item));
    }
    for (const { status } of outcomes(await receiving)) expect(status).toBe(0);
    expect(getXattr(h.at("target/f1"), "user.a")).toEqual(bytesOf("vv"));
    peer.close();
  });

  test("ranges stay within their stretch", async (wire) => {
    const rows = [{ name: bytesOf("big"), mode: MODE, size: 10_000, mtimeSec: 1000 }];
    const batch = h.keep(wire.receiver.makeBatch([...rows, { name: bytesOf("."), mode: FileType.directory | 0o755 }]));
    const request = { ...(await wire.receiving(batch, 0, [0])), source: NO_HANDLE, resume: false };
    for (const bytes of [
      data(999, CONTENT),
      data(5000, CONTENT),
      data(1000, CONTENT, 1),
      Buffer.concat([data(2000, CONTENT), data(1000, CONTENT)]),
      file(),
      shard(),
      Buffer.concat([data(1000, CONTENT), end({ bytes: 5 })]),
      Buffer.concat([data(1000, CONTENT), end({ flags: RecordFlag.again, bytes: 3000 }), data(1000, CONTENT)]),
    ]) {
      const begun = await wire.receiver.largeBegin(request);
      const { peer, in: into } = await wire.joinRaw();
      const receiving = wire.receiver.receiveRange(NEED, begun, 1000, 6000, request.settings);
      await peer.write(bytes);
      expect((await into.ended).status).toBe(-errno.EPROTO);
      expect((await receiving).status).toBe(-errno.EPIPE);
      await wire.receiver.largeAbort(begun, request, false);
      peer.close();
    }
    expect(published()).toEqual([]);
  });

  test("GNU tar lists a shard", async (wire) => {
    h.write("source/a", "hello", 0o640);
    h.write("source/empty", "");
    h.write(`source/${"n".repeat(200)}`, patterned(1000));
    fs.symlinkSync("a", h.at("source/link"));
    const batch = await wire.source();
    const { peer, out } = await wire.overhear();
    const rows = [...Array(batch.count).keys()];
    const sent = await wire.sender.send({ ...wire.sending(batch, NEED, rows), purpose: "content" });
    expect(outcomes(sent).map(({ status }) => status)).toEqual([0, 0, 0, 0]);
    out.end();
    await out.ended;
    while (!peer.isClosed) await Bun.sleep(1);
    const { heard } = peer;
    expect([heard.readUInt8(4), heard.readUInt32LE(12)]).toEqual([FrameType.shard, 4]);
    const length = heard.readUInt32LE(24);
    let attributes = 0;
    for (let i = 0; i < 4; i++) attributes += heard.readUInt32LE(HEADER_BYTES + i * RECORD_BYTES + 48);
    const archive = heard.subarray(HEADER_BYTES + 4 * RECORD_BYTES + attributes, HEADER_BYTES + length);
    const place = path.join(h.root, "shard.tar");
    fs.writeFileSync(place, archive);
    const listed = Bun.spawnSync(["tar", "--numeric-owner", "-tvf", place]);
    expect([listed.exitCode, listed.stderr.toString()]).toEqual([0, ""]);
    const lines = listed.stdout.toString().trim().split("\n");
    expect(lines.map((line) => line.split(/\s+/).at(-1))).toEqual(["a", "empty", "n".repeat(200)]);
    expect(lines[0]).toMatch(/^-rw-r----- /);
    expect(lines[2]).toMatch(/ 1000 /);
    expect(heard.subarray(HEADER_BYTES + length).equals(bye)).toBe(true);
  });
}
