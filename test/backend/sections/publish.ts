import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { ItemFlag, STAGES } from "../../../src/fs/backend.ts";
import { type Harness, isRoot, modeOf, outcomes } from "../harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;

export function publishSection(h: Harness): void {
  h.test("replaces what stands under the name, of any type", async () => {
    for (const name of ["file", "link", "empty", "fifo"]) h.write(`source/${name}`, `new ${name}`);
    h.write("target/file", "old");
    fs.symlinkSync(h.at("source/file"), h.at("target/link"));
    fs.mkdirSync(h.at("target/empty"));
    Bun.spawnSync(["mkfifo", h.at("target/fifo")]);
    const inode = fs.statSync(h.at("target/file")).ino;
    const results = await h.copyAll();
    for (const [name, { status, flags }] of results) {
      expect([name, status, flags & ItemFlag.replaced]).toEqual([name, 0, ItemFlag.replaced]);
      expect(fs.readFileSync(h.at("target", name), "utf8")).toBe(`new ${name}`);
      expect(fs.lstatSync(h.at("target", name)).isFile()).toBe(true);
    }
    expect(fs.statSync(h.at("target/file")).ino).not.toBe(inode);
    expect(fs.readFileSync(h.at("source/file"), "utf8")).toBe("new file");
  });

  h.test("replaces files by links and special files", async () => {
    fs.symlinkSync("somewhere", h.at("source/a"));
    Bun.spawnSync(["mkfifo", h.at("source/b")]);
    h.write("target/a", "old");
    h.write("target/b", "old");
    const results = await h.copyAll();
    for (const { status, flags } of results.values()) expect([status, flags]).toEqual([0, ItemFlag.replaced]);
    expect(fs.readlinkSync(h.at("target/a"))).toBe("somewhere");
    expect(fs.lstatSync(h.at("target/b")).isFIFO()).toBe(true);
  });

  h.test("does not replace a directory that is not empty", async () => {
    h.write("source/name", "file");
    fs.mkdirSync(h.at("target/name"));
    h.write("target/name/precious", "data");
    const outcome = await h.copyOne("name");
    expect(outcome.status).toBe(-errno.ENOTEMPTY);
    expect(STAGES[outcome.stage]).toBe("publish");
    expect(fs.readFileSync(h.at("target/name/precious"), "utf8")).toBe("data");
  });

  h.test("replaces although nobody said that something stands there", async () => {
    h.write("source/f", "new");
    const source = await h.hold("source");
    const target = await h.hold("target");
    h.write("target/f", "appeared meanwhile");
    const results = await h.backend.copy({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(0),
      settings: h.prepared(),
    });
    const [outcome] = outcomes(results);
    expect([outcome!.status, outcome!.flags]).toEqual([0, ItemFlag.replaced]);
    expect(fs.readFileSync(h.at("target/f"), "utf8")).toBe("new");
  });

  h.test("leaves the other links of a replaced file alone", async () => {
    h.write("source/f", "new");
    h.write("target/f", "old");
    fs.linkSync(h.at("target/f"), h.at("target/twin"));
    await h.copyOne("f");
    expect(fs.readFileSync(h.at("target/twin"), "utf8")).toBe("old");
  });

  h.test("without --perms a replaced file hands its mode on", async () => {
    h.write("source/f", "new", 0o755);
    h.write("target/f", "old", 0o604);
    await h.copyOne("f", { perms: false, owner: false, group: false });
    expect(modeOf(h.at("target/f"))).toBe(0o604);
  });

  h.test("keeps a backup beside it, with suffix", async () => {
    h.write("source/f", "new");
    fs.symlinkSync("new text", h.at("source/link"));
    h.write("target/f", "old", 0o604);
    fs.symlinkSync("old text", h.at("target/link"));
    h.write("target/f~", "older");
    const target = await h.hold("target");
    const results = await h.copyAll({ backupSuffix: bytesOf("~") }, { backup: target.handle });
    for (const { status, flags } of results.values()) {
      expect([status, flags]).toEqual([0, ItemFlag.replaced | ItemFlag.backedUp]);
    }
    expect(fs.readFileSync(h.at("target/f"), "utf8")).toBe("new");
    expect(fs.readFileSync(h.at("target/f~"), "utf8")).toBe("old");
    expect(modeOf(h.at("target/f~"))).toBe(0o604);
    expect(fs.readlinkSync(h.at("target/link~"))).toBe("old text");
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["f", "f~", "link", "link~"]);
  });

  h.test("keeps backups in another directory", async () => {
    fs.mkdirSync(h.at("backups"));
    h.write("source/f", "new");
    h.write("source/fresh", "new");
    h.write("target/f", "old");
    const backups = await h.hold("backups");
    const results = await h.copyAll({}, { backup: backups.handle });
    expect(results.get("f")!.flags & ItemFlag.backedUp).toBe(ItemFlag.backedUp);
    expect(results.get("fresh")!.flags).toBe(0);
    expect(fs.readFileSync(h.at("backups/f"), "utf8")).toBe("old");
    expect(fs.readdirSync(h.at("backups"))).toEqual(["f"]);
  });

  h.test("makes temporary files elsewhere when asked, also on another filesystem", async () => {
    h.write("source/f", patterned(100_000));
    h.write("source/g", "small");
    h.write("target/g", "old");
    const places = [h.at("temp")];
    fs.mkdirSync(places[0]!);
    const shm = fs.existsSync("/dev/shm") ? fs.mkdtempSync("/dev/shm/fastsync-contract-") : undefined;
    if (shm !== undefined) places.push(shm);
    try {
      for (const place of places) {
        const temp = h.keepHandle(await h.backend.resolve(-100, bytesOf(place), { create: false, operator: true }));
        const results = await h.copyAll({}, { temp });
        for (const [name, { status }] of results) expect([place, name, status]).toEqual([place, name, 0]);
        expect(fs.readFileSync(h.at("target/f")).equals(patterned(100_000))).toBe(true);
        expect(modeOf(h.at("target/f"))).toBe(modeOf(h.at("source/f")));
        expect(fs.statSync(h.at("target/f")).mtimeMs).toBe(fs.statSync(h.at("source/f")).mtimeMs);
        expect(fs.readFileSync(h.at("target/g"), "utf8")).toBe("small");
        expect(fs.readdirSync(place)).toEqual([]);
        fs.unlinkSync(h.at("target/f"));
      }
    } finally {
      if (shm !== undefined) fs.rmSync(shm, { recursive: true });
    }
  });

  h.test("refuses one name for several rows", async () => {
    h.write("source/a", "a");
    h.write("source/b", "b");
    const results = await h.copyAll({}, { targetName: bytesOf("c") });
    for (const { status } of results.values()) expect(status).toBe(-errno.EINVAL);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  h.test("leaves nothing behind when writing fails", async () => {
    h.write("source/f", "data");
    fs.symlinkSync("text", h.at("source/l"));
    const name = bytesOf("x".repeat(256));
    expect((await h.copyOne("f", {}, { targetName: name })).status).toBeLessThan(0);
    expect((await h.copyOne("l", {}, { targetName: name })).status).toBeLessThan(0);
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  if (isRoot) {
    h.test("fails in a target that is immutable", async () => {
      h.write("source/f", "data");
      fs.symlinkSync("text", h.at("source/l"));
      if (Bun.spawnSync(["chattr", "+i", h.at("target")]).exitCode !== 0) return;
      const results = await h.copyAll();
      Bun.spawnSync(["chattr", "-i", h.at("target")]);
      for (const { status, stage } of results.values()) {
        expect([status, STAGES[stage]]).toEqual([-errno.EPERM, "create"]);
      }
      expect(fs.readdirSync(h.at("target"))).toEqual([]);
    });
  }

  if (!isRoot) {
    h.test("fails in a directory that may not be written", async () => {
      h.write("source/f", "data");
      fs.chmodSync(h.at("target"), 0o555);
      const outcome = await h.copyOne("f");
      fs.chmodSync(h.at("target"), 0o755);
      expect([outcome.status, STAGES[outcome.stage]]).toEqual([-errno.EACCES, "create"]);
    });
  }
}
