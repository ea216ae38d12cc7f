/** The data plane between two backends: what arrives is what was sent, in every way it can be sent. */
import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { FileType } from "../../../src/core/entry-batch.ts";
import { bytesOf } from "../../../src/core/paths.ts";
import { type Backend, ItemFlag, METHOD_STREAM, NO_HANDLE, STAGES, Warning } from "../../../src/fs/backend.ts";
import { getXattr, setXattr } from "../../support/libc.ts";
import { type Harness, isRoot, modeOf, mtimeNs, outcomes, rowOf, SETTINGS } from "../harness.ts";
import { connectedPair, filesOf, type Transport, type Wire, wireTest } from "../wire-harness.ts";
import { patterned } from "./copy.ts";
import { wireHostileSection } from "./wire-hostile.ts";
import { wireLargeSection } from "./wire-large.ts";

const { errno } = os.constants;
const MIB = 1 << 20;
const SIZES = [0, 1, 511, 512, 513, 4096, 65_537, MIB - 1, MIB, MIB + 1, 5_000_001];

function run(...command: string[]): string {
  const done = Bun.spawnSync(command);
  if (done.exitCode !== 0) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}

/** `openSender`: the other side, by default another backend of the same kind. */
export function wireSection(h: Harness, openSender: () => Backend = () => h.another()): void {
  const test = (name: string, body: (wire: Wire) => Promise<void>): void => wireTest(h, openSender, name, body);
  const same = (name: string): void => {
    const [from, to] = [fs.readFileSync(h.at("source", name)), fs.readFileSync(h.at("target", name))];
    expect([name, to.equals(from)]).toEqual([name, true]);
    expect([name, modeOf(h.at("target", name))]).toEqual([name, modeOf(h.at("source", name))]);
    expect([name, mtimeNs(h.at("target", name))]).toEqual([name, mtimeNs(h.at("source", name))]);
  };

  for (const transport of ["tcp", "unix"] satisfies Transport[]) {
    test(`carries files of all sizes over ${transport}`, async (wire) => {
      for (const size of SIZES) h.write(`source/f${size}`, patterned(size, size + 3), 0o600 + (size % 64));
      run("touch", "-d", "2001-02-03 04:05:06.123456789 UTC", h.at("source/f4096"));
      run("touch", "-d", "1960-01-01 00:00:00.000000001 UTC", h.at("source/f65537"));
      await wire.join(transport);
      const { received, sent } = await wire.transfer();
      for (const size of SIZES) {
        const outcome = received.get(`f${size}`)!;
        expect([size, outcome.status, outcome.warnings, outcome.size]).toEqual([size, 0, 0, size]);
        expect(outcome.bytes).toBe(size);
        if (size > 0) expect(outcome.method).toBe(METHOD_STREAM);
        same(`f${size}`);
        expect([size, sent.get(`f${size}`)!.status]).toEqual([size, 0]);
      }
    });

    test(`carries many small files over several ${transport} streams`, async (wire) => {
      for (let i = 0; i < 1000; i++) h.write(`source/f${i}`, patterned((i * 37) % 9000, i + 1));
      for (let i = 0; i < 3; i++) await wire.join(transport);
      const batch = await wire.source();
      const rows = filesOf(batch);
      const slices = Array.from({ length: 10 }, (_, i) => rows.filter((row) => row % 10 === i));
      const work = await Promise.all(slices.map((part) => wire.transfer({ batch, rows: part })));
      for (const { received } of work) for (const { status } of received.values()) expect(status).toBe(0);
      for (let i = 0; i < 1000; i++) same(`f${i}`);
    });
  }

  test("answers one need from two source directories", async (wire) => {
    const large = patterned(3 * MIB);
    fs.mkdirSync(h.at("other"));
    fs.mkdirSync(h.at("merged"));
    h.write("source/a", "from one");
    h.write("other/b", large);
    const [one, two] = [await wire.source(), await wire.source("other")];
    for (const file of ["source/a", "other/b"]) run("cp", "-p", h.at(file), h.at("merged"));
    const merged = await wire.source("merged");
    for (let i = 0; i < 2; i++) await wire.join();
    const request = await wire.receiving(merged, 7, [0, 1]);
    const receiving = wire.receiver.receive(request);
    const sends = await Promise.all([
      wire.sender.send({ ...wire.sending(one, 7, [0]), purpose: "content", items: Uint32Array.of(0) }),
      wire.sender.send({ ...wire.sending(two, 7, [0]), purpose: "content", items: Uint32Array.of(1) }),
    ]);
    for (const results of sends) expect(outcomes(results).map(({ status }) => status)).toEqual([0]);
    expect(outcomes(await receiving).map(({ status }) => status)).toEqual([0, 0]);
    expect(fs.readFileSync(h.at("target/a"), "utf8")).toBe("from one");
    expect(fs.readFileSync(h.at("target/b")).equals(large)).toBe(true);
  });

  test("carries links, FIFOs and sockets", async (wire) => {
    fs.symlinkSync("nowhere", h.at("source/dangling"));
    fs.symlinkSync("x".repeat(4095), h.at("source/long"));
    fs.symlinkSync(Buffer.from([0x2e, 0x2e, 0x2f, 0xff, 0x0a]), h.at("source/odd"));
    run("touch", "-h", "-d", "2011-11-11 11:11:11.111111111 UTC", h.at("source/odd"));
    run("mkfifo", "-m", "0612", h.at("source/fifo"));
    const listening = Bun.listen({ unix: h.at("source/socket"), socket: { data() {} } });
    const batch = await wire.source();
    listening.stop(true);
    await wire.join();
    const { received } = await wire.transfer({ batch });
    for (const [name, { status, warnings }] of received) expect([name, status, warnings]).toEqual([name, 0, 0]);
    expect(fs.readlinkSync(h.at("target/dangling"))).toBe("nowhere");
    expect(fs.readlinkSync(h.at("target/long"))).toBe("x".repeat(4095));
    expect([...fs.readlinkSync(h.at("target/odd"), { encoding: "buffer" })]).toEqual([0x2e, 0x2e, 0x2f, 0xff, 0x0a]);
    expect(mtimeNs(h.at("target/odd"))).toBe(1_321_009_871_111_111_111n);
    expect([fs.lstatSync(h.at("target/fifo")).isFIFO(), modeOf(h.at("target/fifo"))]).toEqual([true, 0o612]);
    expect(fs.lstatSync(h.at("target/socket")).isSocket()).toBe(true);
  });

  test("carries long names and names that are not UTF-8", async (wire) => {
    const names = [100, 101, 200, 255].map((length) => Buffer.alloc(length, "n"));
    names.push(Buffer.from([0xff, 0xfe, 0x0a, 0x01]), Buffer.concat([Buffer.alloc(150, 0xe9), Buffer.from("x")]));
    const at = (directory: string, name: Buffer): Buffer => Buffer.concat([Buffer.from(`${h.at(directory)}/`), name]);
    for (const name of names) fs.writeFileSync(at("source", name), patterned(name.length * 10, name.length));
    await wire.join();
    const { received } = await wire.transfer();
    expect(received.size).toBe(names.length);
    for (const { status } of received.values()) expect(status).toBe(0);
    for (const name of names) {
      expect(fs.readFileSync(at("target", name)).equals(fs.readFileSync(at("source", name)))).toBe(true);
    }
  });

  test("carries xattrs and ACLs", async (wire) => {
    h.write("source/f", "x", 0o640);
    h.write("source/plain", "y");
    h.write("source/large", patterned(2 * MIB));
    for (const name of ["f", "large"]) {
      setXattr(h.at("source", name), "user.empty", "");
      setXattr(h.at("source", name), "user.note", Buffer.from([1, 0, 255]));
      run("setfacl", "-m", "u:1234:rw,g:77:r", h.at("source", name));
    }
    await wire.join();
    const { received } = await wire.transfer();
    for (const [name, { status, warnings }] of received) expect([name, status, warnings]).toEqual([name, 0, 0]);
    for (const name of ["f", "large"]) {
      expect(getXattr(h.at("target", name), "user.note")).toEqual(Uint8Array.of(1, 0, 255));
      expect(getXattr(h.at("target", name), "user.empty")).toEqual(new Uint8Array(0));
      expect(run("getfacl", "-cn", h.at("target", name))).toBe(run("getfacl", "-cn", h.at("source", name)));
    }
    expect(run("getfattr", h.at("target/plain"))).toBe("");
  });

  if (isRoot) {
    test("carries owners, devices and privileged xattrs, on links and FIFOs too", async (wire) => {
      h.write("source/f", "x");
      fs.chmodSync(h.at("source/f"), 0o6755);
      fs.chownSync(h.at("source/f"), 1234, 5678);
      fs.chmodSync(h.at("source/f"), 0o6755);
      fs.symlinkSync("x", h.at("source/l"));
      fs.lchownSync(h.at("source/l"), 3_000_000, 77);
      run("mkfifo", h.at("source/p"));
      run("mknod", h.at("source/d"), "c", "1", "3");
      for (const name of ["f", "l", "p"]) setXattr(h.at("source", name), "trusted.t", "tv");
      await wire.join();
      const { received } = await wire.transfer();
      for (const [name, { status, warnings }] of received) expect([name, status, warnings]).toEqual([name, 0, 0]);
      for (const name of ["f", "l", "p"]) expect(getXattr(h.at("target", name), "trusted.t")).toEqual(bytesOf("tv"));
      const stats = fs.statSync(h.at("target/f"));
      expect([stats.uid, stats.gid, stats.mode & 0o7777]).toEqual([1234, 5678, 0o6755]);
      expect(fs.lstatSync(h.at("target/l")).uid).toBe(3_000_000);
      expect(fs.lstatSync(h.at("target/d")).rdev).toBe(fs.lstatSync(h.at("source/d")).rdev);
    });
  }

  test("keeps holes", async (wire) => {
    for (const [name, size] of [
      ["small", 900_000],
      ["medium", 12 * MIB],
    ] as const) {
      const fd = fs.openSync(h.at("source", name), "w");
      fs.writeSync(fd, patterned(10_000), 0, 10_000, size / 2);
      fs.ftruncateSync(fd, size);
      fs.closeSync(fd);
    }
    await wire.join();
    const { received } = await wire.transfer({ settings: { verify: "compare" } });
    for (const [name, { status }] of received) {
      expect([name, status]).toEqual([name, 0]);
      expect([name, fs.statSync(h.at("target", name)).blocks * 512 < 300_000]).toEqual([name, true]);
      same(name);
    }
    expect(received.get("medium")!.bytes).toBeLessThan(MIB);
  });

  test("sends attributes only, the directory's own too", async (wire) => {
    h.write("source/f", "same", 0o751);
    h.write("target/f", "same", 0o600);
    fs.symlinkSync("t", h.at("source/l"));
    fs.symlinkSync("t", h.at("target/l"));
    fs.mkdirSync(h.at("source/d"));
    fs.mkdirSync(h.at("target/d"));
    fs.chmodSync(h.at("source/d"), 0o2711);
    fs.chmodSync(h.at("source"), 0o705);
    for (const name of ["source/f", "source/d", "source"]) setXattr(h.at(name), "user.keep", name);
    for (const name of ["target/f", "target/d", "target"]) setXattr(h.at(name), "user.drop", "d");
    for (const name of ["l", "f", "d", "."])
      run("touch", "-h", "-d", "2001-01-01 00:00:00.5 UTC", h.at("source", name));
    const inode = fs.statSync(h.at("target/f")).ino;
    const batch = await wire.source();
    await wire.join();
    const rows = [...Array(batch.count).keys(), batch.self];
    const { received } = await wire.transfer({ batch, rows, purpose: "attributes" });
    for (const [name, { status, warnings, bytes }] of received) {
      expect([name, status, warnings, bytes]).toEqual([name, 0, 0, 0]);
    }
    expect([fs.statSync(h.at("target/f")).ino, modeOf(h.at("target/f"))]).toEqual([inode, 0o751]);
    expect([modeOf(h.at("target/d")), modeOf(h.at("target"))]).toEqual([0o2711, 0o705]);
    for (const name of ["f", "d", "."]) {
      const target = h.at("target", name);
      expect(getXattr(target, "user.drop")).toBeUndefined();
      expect(getXattr(target, "user.keep")).toEqual(bytesOf(name === "." ? "source" : `source/${name}`));
    }
    for (const name of ["f", "l", "d", "."]) expect(mtimeNs(h.at("target", name))).toBe(978_307_200_500_000_000n);
  });

  h.test("repairs without a source: the rows have no attributes", async () => {
    h.write("target/f", "x");
    setXattr(h.at("target/f"), "user.drop", "d");
    const target = await h.hold("target");
    const batch = h.keep(
      h.backend.makeBatch([
        { name: bytesOf("f"), mode: FileType.regular | 0o611, mtimeSec: 1000, size: 1 },
        { name: bytesOf("."), mode: FileType.directory | 0o755 },
      ]),
    );
    const settings = h.prepared({ owner: false, group: false });
    const rows = Uint32Array.of(0);
    const results = await h.backend.repair({ source: NO_HANDLE, target: target.handle, batch, rows, settings });
    expect(outcomes(results).map(({ status, warnings }) => [status, warnings])).toEqual([[0, 0]]);
    expect(getXattr(h.at("target/f"), "user.drop")).toBeUndefined();
    expect([modeOf(h.at("target/f")), mtimeNs(h.at("target/f"))]).toEqual([0o611, 1_000_000_000_000n]);
  });

  test("names what cannot be sent, and sends the rest", async (wire) => {
    for (const name of ["gone", "here", "turned", "grown", "shrunk"]) h.write(`source/${name}`, patterned(5000));
    h.write("source/huge", patterned(2 * MIB));
    h.write("source/vanished", patterned(2 * MIB));
    fs.mkdirSync(h.at("source/directory"));
    const batch = await wire.source();
    for (const name of ["gone", "turned", "vanished"]) fs.unlinkSync(h.at("source", name));
    fs.symlinkSync("here", h.at("source/turned"));
    fs.appendFileSync(h.at("source/grown"), patterned(2 * MIB, 9));
    fs.truncateSync(h.at("source/shrunk"), 10);
    fs.appendFileSync(h.at("source/huge"), "more");
    await wire.join();
    const { received, sent } = await wire.transfer({ batch, rows: [...Array(batch.count).keys()] });
    for (const outcomes of [received, sent]) {
      for (const name of ["gone", "vanished"]) {
        const { status, stage } = outcomes.get(name)!;
        expect([name, status, STAGES[stage]]).toEqual([name, -errno.ENOENT, "open"]);
      }
      expect(outcomes.get("turned")!.status).toBe(-errno.ELOOP);
      expect(outcomes.get("directory")!.status).toBe(-errno.EISDIR);
      expect(outcomes.get("here")!.status).toBe(0);
    }
    for (const name of ["grown", "shrunk", "huge"]) {
      const { status, flags, size } = received.get(name)!;
      const now = fs.statSync(h.at("source", name)).size;
      expect([name, status, flags & ItemFlag.retried, size]).toEqual([name, 0, ItemFlag.retried, now]);
      expect(sent.get(name)!.flags & ItemFlag.retried).toBe(ItemFlag.retried);
      same(name);
    }
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["grown", "here", "huge", "shrunk"]);
  });

  if (!isRoot) {
    test("names what may not be read", async (wire) => {
      h.write("source/closed", "x", 0);
      h.write("source/large", patterned(2 * MIB), 0);
      h.write("source/open", "y");
      await wire.join();
      const { received, sent } = await wire.transfer();
      for (const outcomes of [received, sent]) {
        for (const name of ["closed", "large"]) {
          const { status, stage } = outcomes.get(name)!;
          expect([name, status, STAGES[stage]]).toEqual([name, -errno.EACCES, "open"]);
        }
        expect(outcomes.get("open")!.status).toBe(0);
      }
      expect(fs.readdirSync(h.at("target"))).toEqual(["open"]);
    });
  }

  test("a file that keeps changing is not published", async (wire) => {
    h.write("source/large", patterned(3 * MIB));
    h.write("source/still", "x");
    await wire.join();
    wire.sender.setRate(6 * MIB);
    const touching = setInterval(() => fs.appendFileSync(h.at("source/large"), "more"), 5);
    try {
      const { received, sent } = await wire.transfer();
      for (const outcomes of [received, sent]) {
        const { status, flags } = outcomes.get("large")!;
        expect([status, flags & ItemFlag.changed]).toEqual([-errno.EBUSY, ItemFlag.changed]);
        expect(outcomes.get("still")!.status).toBe(0);
      }
    } finally {
      clearInterval(touching);
    }
    expect(fs.readdirSync(h.at("target"))).toEqual(["still"]);
  });

  test("replaces, with backup, into a temporary directory, under another name", async (wire) => {
    for (const name of ["a", "big"]) h.write(`target/${name}`, "old", 0o604);
    h.write("source/a", "new");
    h.write("source/big", patterned(2 * MIB));
    fs.mkdirSync(h.at("backup"));
    fs.mkdirSync(h.at("temp"));
    const [backup, temp] = [(await h.hold("backup")).handle, (await h.hold("temp")).handle];
    await wire.join();
    const settings = { backupSuffix: bytesOf("~") };
    const { received } = await wire.transfer({ settings, receive: { backup, temp } });
    for (const [name, { status, flags }] of received) {
      expect([name, status, flags]).toEqual([name, 0, ItemFlag.replaced | ItemFlag.backedUp]);
      expect(fs.readFileSync(h.at(`backup/${name}~`), "utf8")).toBe("old");
      same(name);
    }
    const batch = await wire.source();
    const rows = [rowOf(batch, "a")];
    const renamed = await wire.transfer({ batch, rows, receive: { targetName: bytesOf("b") } });
    expect(renamed.received.get("a")!.status).toBe(0);
    expect(fs.readFileSync(h.at("target/b"), "utf8")).toBe("new");
    expect(fs.readdirSync(h.at("temp"))).toEqual([]);
  });

  test("writes in place", async (wire) => {
    const small = patterned(200_000, 5);
    const large = patterned(3 * MIB, 6);
    h.write("target/small", Buffer.concat([small, Buffer.from("old tail")]));
    h.write("target/large", Buffer.concat([large.subarray(0, MIB), patterned(MIB), large.subarray(2 * MIB)]));
    h.write("target/holed", patterned(4 * MIB));
    h.write("source/small", small);
    h.write("source/large", large);
    h.write("source/fresh", "fresh");
    fs.truncateSync(h.write("source/holed", patterned(100)), 3 * MIB);
    const inodes = ["small", "large", "holed"].map((name) => fs.statSync(h.at("target", name)).ino);
    await wire.join();
    for (const delta of [true, false]) {
      const { received } = await wire.transfer({ settings: { inplace: true, delta, verify: "compare" } });
      for (const [name, { status, flags }] of received) {
        expect([name, status]).toEqual([name, 0]);
        if (name !== "fresh") expect(flags & ItemFlag.replaced).toBe(ItemFlag.replaced);
        same(name);
      }
      expect(["small", "large", "holed"].map((name) => fs.statSync(h.at("target", name)).ino)).toEqual(inodes);
    }
  });

  for (const verify of ["compare", "readback"] as const) {
    test(`verifies what was written (${verify})`, async (wire) => {
      for (const size of SIZES) h.write(`source/f${size}`, patterned(size, size + 3));
      await wire.join();
      const { received } = await wire.transfer({ settings: { verify, fsync: true } });
      for (const [name, { status }] of received) expect([name, status]).toEqual([name, 0]);
      for (const size of SIZES) same(`f${size}`);
    });
  }

  test("fails what cannot be written, and takes the rest", async (wire) => {
    h.write("source/a", "a");
    h.write("source/b", patterned(3 * MIB));
    h.write("source/c", "c");
    fs.mkdirSync(h.at("target/b"));
    h.write("target/b/inside", "kept");
    await wire.join();
    const { received, sent } = await wire.transfer();
    const at = (name: string) => [received.get(name)!.status, sent.get(name)!.status];
    expect([at("a"), at("b"), at("c")]).toEqual([
      [0, 0],
      [-errno.ENOTEMPTY, 0],
      [0, 0],
    ]);
    expect(fs.readFileSync(h.at("target/b/inside"), "utf8")).toBe("kept");
  });

  if (isRoot) {
    test("warns of attributes that the target does not take", async (wire) => {
      h.write("source/f", "x");
      setXattr(h.at("source/f"), "trusted.t", "v");
      const batch = await wire.source();
      await wire.join();
      const { received } = await wire.transfer({ batch, receive: {}, settings: { xattrs: false } });
      const { status, warnings } = received.get("f")!;
      expect([status, warnings & Warning.xattr]).toEqual([0, 0]);
      expect(getXattr(h.at("target/f"), "trusted.t")).toBeUndefined();
    });
  }

  test("sends wait for the first stream, and end with the last", async (wire) => {
    h.write("source/f", "x");
    const batch = await wire.source();
    const early = wire.sender.send({ ...wire.sending(batch, 800, [0]), purpose: "content" });
    await Bun.sleep(20);
    const { out, in: into } = await wire.join();
    const expected = wire.receiver.receive(await wire.receiving(batch, 800, [0]));
    for (const results of [early, expected]) expect(outcomes(await results)[0]!.status).toBe(0);
    const waiting = wire.receiver.receive(await wire.receiving(batch, 900, [0]));
    out.end();
    expect([(await out.ended).status, (await into.ended).status]).toEqual([0, 0]);
    expect((await into.ended).bytes).toBe((await out.ended).bytes);
    const late = await wire.transfer({ batch });
    expect([late.received.get("f")!.status, late.sent.get("f")!.status]).toEqual([-errno.EPIPE, -errno.EPIPE]);
    expect(outcomes(await waiting).map(({ status }) => status)).toEqual([-errno.EPIPE]);
  });

  test("a stream that the receiver ends takes the sender's with it", async (wire) => {
    h.write("source/f", patterned(40 * MIB));
    const { out, in: into } = await wire.join();
    // Slow enough that it is under way when it ends.
    wire.sender.setRate(16 * MIB);
    const moving = wire.transfer();
    while (into.bytes() === 0) await Bun.sleep(1);
    into.end();
    expect((await into.ended).status).toBe(0);
    expect((await out.ended).status).toBeLessThan(0);
    const { received, sent } = await moving;
    wire.sender.setRate(0);
    expect([received.get("f")!.status, sent.get("f")!.status]).toEqual([-errno.EPIPE, -errno.EPIPE]);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  test("cancelling answers everything", async (wire) => {
    h.write("source/f", patterned(40 * MIB));
    const batch = await wire.source();
    const { in: into } = await wire.join();
    wire.sender.setRate(16 * MIB);
    const moving = wire.transfer({ batch });
    const idle = wire.receiver.receive(await wire.receiving(batch, 900, [0]));
    while (into.bytes() === 0) await Bun.sleep(1);
    wire.receiver.cancel();
    wire.sender.cancel();
    const { received, sent } = await moving;
    wire.sender.setRate(0);
    // Whichever is cancelled first may take the stream from under the other.
    for (const { status } of [received.get("f")!, sent.get("f")!])
      expect([-errno.ECANCELED, -errno.EPIPE]).toContain(status);
    expect(outcomes(await idle).map(({ status }) => status)).toEqual([-errno.ECANCELED]);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  const waits = { "its turn under a rate limit": 64, "room at a peer that takes nothing": 0 };
  for (const [reason, bytesPerSecond] of Object.entries(waits))
    test(`cancelling ends a stream that waits for ${reason}`, async (wire) => {
      for (const name of ["a", "b", "c", "d"]) h.write(`source/${name}`, patterned(MIB - 1));
      const batch = await wire.source();
      const ends = await connectedPair("tcp");
      // Shorter than the test may take is none of these waits.
      const stream = wire.sender.openStream(ends.fds[0], "send", { idleMs: 600_000 });
      wire.sender.setRate(bytesPerSecond);
      const sends = Array.from({ length: 16 }, (_, i) =>
        wire.sender.send({ ...wire.sending(batch, 900 + i, filesOf(batch)), purpose: "content" }),
      );
      for (let last = -1; stream.bytes() !== last; await Bun.sleep(50)) last = stream.bytes();
      wire.sender.cancel();
      stream.end();
      expect((await stream.ended).status).toBe(-errno.ECANCELED);
      const last = outcomes((await Promise.all(sends)).at(-1)!).map(({ status }) => status);
      expect(last).toEqual(Array(4).fill(-errno.ECANCELED));
      ends.close();
      wire.sender.setRate(0);
    });

  test("is quiet although each answer is the reason for another request", async (wire) => {
    h.write("source/f", "x");
    const batch = await wire.source();
    // A backend of which no stream was ever open: nothing but the cancelling answers any of these.
    const { sender: fresh } = wire;
    const { handle: target } = await h.hold("target");
    const settings = fresh.prepare(SETTINGS);
    const request = { purpose: "content", target, batch, rows: Uint32Array.of(0), settings } as const;
    const statuses: number[] = [];
    // Chains that do not go on at the same time.
    const ask = async (need: number, turns: number): Promise<void> => {
      const [outcome] = outcomes(await fresh.receive({ ...request, need }));
      statuses.push(outcome!.status);
      for (let turn = 0; turn < turns; turn++) await undefined;
      if (need % 10 < 4) await ask(need + 1, turns);
    };
    const asking = Promise.all([ask(900, 0), ask(910, 1), ask(920, 3), ask(930, 7)]);
    await Bun.sleep(5);
    await fresh.quiet();
    await asking;
    expect(statuses).toEqual(Array(20).fill(-errno.ECANCELED));
    // What is sent afterwards runs again.
    await wire.join();
    expect((await wire.transfer({ batch })).received.get("f")!.status).toBe(0);
  });

  wireLargeSection(h, openSender);
  wireHostileSection(h, openSender);
}
