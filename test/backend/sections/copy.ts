import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { METHODS, STAGES, Warning } from "../../../src/fs/backend.ts";
import { type Harness, isRoot, modeOf, mtimeNs, outcomes, rowOf } from "../harness.ts";

const { errno } = os.constants;
const SIZES = [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 1 << 20, (1 << 20) + 1, 5_000_001];

export function patterned(bytes: number, seed = 1): Buffer {
  const data = Buffer.allocUnsafe(bytes);
  let x = seed >>> 0 || 1;
  for (let i = 0; i < bytes; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    data[i] = x >>> 24;
  }
  return data;
}

export function copySection(h: Harness): void {
  h.test("copies files of all sizes with mode and exact mtime", async () => {
    for (const size of SIZES) h.write(`source/f${size}`, patterned(size, size + 7), 0o640 + (size % 8));
    Bun.spawnSync(["touch", "-d", "2001-02-03 04:05:06.123456789 UTC", h.at("source/f4096")]);
    Bun.spawnSync(["touch", "-d", "1960-01-01 00:00:00.000000001 UTC", h.at("source/f65536")]);
    const results = await h.copyAll();
    for (const size of SIZES) {
      const [from, to] = [h.at(`source/f${size}`), h.at(`target/f${size}`)];
      const outcome = results.get(`f${size}`)!;
      expect([size, outcome.status, outcome.warnings, outcome.size]).toEqual([size, 0, 0, size]);
      expect(fs.readFileSync(to).equals(fs.readFileSync(from))).toBe(true);
      expect(modeOf(to)).toBe(modeOf(from));
      expect(mtimeNs(to)).toBe(mtimeNs(from));
      if (size > 0) expect(METHODS[outcome.method]).not.toBe("none");
    }
  });

  h.test("copies links, FIFOs and sockets", async () => {
    fs.symlinkSync(Buffer.from([0x2e, 0x2e, 0x2f, 0xff, 0x0a]), h.at("source/link"));
    Bun.spawnSync(["touch", "-h", "-d", "2011-11-11 11:11:11.111111111 UTC", h.at("source/link")]);
    Bun.spawnSync(["mkfifo", "-m", "0612", h.at("source/fifo")]);
    const listening = Bun.listen({ unix: h.at("source/socket"), socket: { data() {} } });
    const results = await h.copyAll();
    listening.stop(true);
    expect([...results].map(([name, { status }]) => [name, status])).toEqual([
      ["fifo", 0],
      ["link", 0],
      ["socket", 0],
    ]);
    const text = fs.readlinkSync(h.at("target/link"), { encoding: "buffer" });
    expect([...text]).toEqual([0x2e, 0x2e, 0x2f, 0xff, 0x0a]);
    expect(mtimeNs(h.at("target/link"))).toBe(1_321_009_871_111_111_111n);
    expect(fs.lstatSync(h.at("target/fifo")).isFIFO()).toBe(true);
    expect(modeOf(h.at("target/fifo"))).toBe(0o612);
    expect(fs.lstatSync(h.at("target/socket")).isSocket()).toBe(true);
  });

  if (isRoot) {
    h.test("copies devices and owners, and setuid with them", async () => {
      Bun.spawnSync(["mknod", "-m", "0640", h.at("source/char"), "c", "1", "3"]);
      Bun.spawnSync(["mknod", h.at("source/block"), "b", "259", "65541"]);
      h.write("source/tool", "x");
      fs.chownSync(h.at("source/tool"), 1234, 5678);
      fs.chmodSync(h.at("source/tool"), 0o6755);
      fs.symlinkSync("x", h.at("source/link"));
      fs.lchownSync(h.at("source/link"), 1234, 5678);
      const results = await h.copyAll();
      for (const [name, { status, warnings }] of results) expect([name, status, warnings]).toEqual([name, 0, 0]);
      for (const name of ["char", "block"]) {
        expect(fs.lstatSync(h.at("target", name)).rdev).toBe(fs.lstatSync(h.at("source", name)).rdev);
      }
      const tool = fs.statSync(h.at("target/tool"));
      expect([tool.uid, tool.gid, tool.mode & 0o7777]).toEqual([1234, 5678, 0o6755]);
      expect(fs.lstatSync(h.at("target/link")).uid).toBe(1234);
    });

    h.test("drops setuid when the owner is not carried over", async () => {
      h.write("source/tool", "x");
      fs.chownSync(h.at("source/tool"), 1234, 5678);
      fs.chmodSync(h.at("source/tool"), 0o6755);
      const outcome = await h.copyOne("tool", { owner: false, group: false });
      expect([outcome.status, outcome.warnings & Warning.setid]).toEqual([0, Warning.setid]);
      expect(modeOf(h.at("target/tool"))).toBe(0o755);
      const mapped = await h.copyOne("tool", { chownUid: 77, chownGid: 88 });
      expect(mapped.status).toBe(0);
      expect([fs.statSync(h.at("target/tool")).uid, fs.statSync(h.at("target/tool")).gid]).toEqual([77, 88]);
      expect(modeOf(h.at("target/tool"))).toBe(0o6755);
    });
  }

  h.test("without --perms new files follow the umask, and keep executability", async () => {
    h.write("source/tool", "x", 0o777);
    h.write("source/plain", "x", 0o666);
    await h.copyAll({ perms: false, owner: false, group: false, umask: 0o027 });
    expect([modeOf(h.at("target/tool")), modeOf(h.at("target/plain"))]).toEqual([0o750, 0o640]);
  });

  h.test("without --times the file is new", async () => {
    h.write("source/f", "x");
    fs.utimesSync(h.at("source/f"), 1, 1);
    await h.copyOne("f", { times: false });
    expect(Date.now() - fs.statSync(h.at("target/f")).mtimeMs).toBeLessThan(60_000);
  });

  h.test("gives a single row another name", async () => {
    h.write("source/f", "content");
    const outcome = await h.copyOne("f", {}, { targetName: bytesOf("other") });
    expect(outcome.status).toBe(0);
    expect(fs.readdirSync(h.at("target"))).toEqual(["other"]);
    for (const bad of ["..", "a/b", ""]) {
      const failed = await h.copyOne("f", {}, { targetName: bytesOf(bad) }).catch(() => ({ status: -1 }));
      expect(failed.status).toBeLessThan(0);
    }
    expect(fs.readdirSync(h.at("target"))).toEqual(["other"]);
  });

  h.test("keeps holes", async () => {
    const fd = fs.openSync(h.at("source/sparse"), "w");
    fs.writeSync(fd, patterned(70_000), 0, 70_000, 8 << 20);
    fs.ftruncateSync(fd, 32 << 20);
    fs.closeSync(fd);
    const outcome = await h.copyOne("sparse", { methods: ["read_write"] });
    expect([outcome.status, outcome.size]).toEqual([0, 32 << 20]);
    expect(outcome.bytes).toBeLessThan(1 << 20);
    const stats = fs.statSync(h.at("target/sparse"));
    expect([stats.size, stats.blocks * 512 < 1 << 20]).toEqual([32 << 20, true]);
    expect(fs.readFileSync(h.at("target/sparse")).equals(fs.readFileSync(h.at("source/sparse")))).toBe(true);
    const dense = await h.copyOne("sparse", { methods: ["read_write"], sparse: false });
    expect([dense.status, dense.bytes]).toEqual([0, 32 << 20]);
  });

  h.test("reads a file again that changed since the listing", async () => {
    const file = h.write("source/f", "old");
    const source = await h.hold("source");
    const target = await h.hold("target");
    fs.writeFileSync(file, "new and longer");
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(rowOf(source.batch, "f")),
      settings: h.prepared(),
    });
    const [outcome] = outcomes(results);
    expect([outcome!.status, outcome!.flags & 1, outcome!.size]).toEqual([0, 1, 14]);
    expect(fs.readFileSync(h.at("target/f"), "utf8")).toBe("new and longer");
    expect(mtimeNs(h.at("target/f"))).toBe(mtimeNs(file));
  });

  h.test("publishes nothing of a file that never stands still", async () => {
    const file = h.write("source/f", patterned(24 << 20));
    const writer = Bun.spawn([
      process.execPath,
      "-e",
      `const fs=require("fs");const f=fs.openSync(${JSON.stringify(file)},"r+");
       console.log("ready");for(let i=0;;i++)fs.writeSync(f,Buffer.from([i&255]),0,1,i%1000)`,
    ]);
    try {
      await writer.stdout.getReader().read();
      const outcome = await h.copyOne("f", { methods: ["read_write"] });
      expect([outcome.status, outcome.flags & 2, STAGES[outcome.stage]]).toEqual([-errno.EBUSY, 2, "read"]);
    } finally {
      writer.kill();
      await writer.exited;
    }
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  h.test("fails row by row, with the stage", async () => {
    h.write("source/a", "a");
    h.write("source/gone", "x");
    h.write("source/z", "z");
    fs.mkdirSync(h.at("source/dir"));
    const source = await h.hold("source");
    const target = await h.hold("target");
    fs.unlinkSync(h.at("source/gone"));
    const rows = ["a", "dir", "gone", "z"].map((name) => rowOf(source.batch, name));
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(...rows, source.batch.count, 99_999),
      settings: h.prepared(),
    });
    const got = outcomes(results);
    const statuses = got.map(({ status }) => status);
    expect(statuses).toEqual([0, -errno.EISDIR, -errno.ENOENT, 0, -errno.EINVAL, -errno.EINVAL]);
    expect(STAGES[got[2]!.stage]).toBe("open");
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["a", "z"]);
  });

  h.test("does not follow a link put in the place of a file", async () => {
    h.write("source/f", "harmless");
    h.write("secret", "secret");
    const source = await h.hold("source");
    const target = await h.hold("target");
    fs.unlinkSync(h.at("source/f"));
    fs.symlinkSync(h.at("secret"), h.at("source/f"));
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(0),
      settings: h.prepared(),
    });
    expect(outcomes(results)[0]!.status).toBe(-errno.ELOOP);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  h.test("goes on below a directory that was renamed", async () => {
    h.write("source/f", "here");
    const source = await h.hold("source");
    const target = await h.hold("target");
    fs.renameSync(h.at("target"), h.at("moved"));
    fs.symlinkSync("/nonexistent", h.at("target"));
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(0),
      settings: h.prepared(),
    });
    expect(outcomes(results)[0]!.status).toBe(0);
    expect(fs.readFileSync(h.at("moved/f"), "utf8")).toBe("here");
  });

  h.test("verifies, also by reading back", async () => {
    h.write("source/f", patterned(300_000));
    h.write("source/small", "s");
    for (const verify of ["compare", "readback"] as const) {
      const results = await h.copyAll({ verify, fsync: true });
      for (const { status } of results.values()) expect(status).toBe(0);
    }
    expect(fs.readFileSync(h.at("target/f")).equals(patterned(300_000))).toBe(true);
  });

  h.test("sees what a followed link points at", async () => {
    h.write("outside", "through the link");
    fs.symlinkSync(h.at("outside"), h.at("source/link"));
    const source = await h.hold("source", { follow: true });
    const target = await h.hold("target");
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(0),
      settings: h.prepared({ follow: true }),
    });
    expect(outcomes(results)[0]!.status).toBe(0);
    expect(fs.lstatSync(h.at("target/link")).isFile()).toBe(true);
    expect(fs.readFileSync(h.at("target/link"), "utf8")).toBe("through the link");
  });

  h.test("counts payload bytes", async () => {
    h.write("source/f", patterned(200_000));
    const before = h.backend.bytesDone();
    await h.copyOne("f", { methods: ["read_write"] });
    expect(h.backend.bytesDone() - before).toBe(200_000);
  });
}
