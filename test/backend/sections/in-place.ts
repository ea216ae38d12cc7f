import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { METHODS } from "../../../src/fs/backend.ts";
import { type Harness, isRoot, modeOf, mtimeNs } from "../harness.ts";
import { patterned } from "./copy.ts";

const { errno } = os.constants;

export function inPlaceSection(h: Harness): void {
  h.test("writes in place: the inode and its other links stay", async () => {
    for (const [name, before, after] of [
      ["grows", 10, 300_000],
      ["shrinks", 300_000, 10],
      ["empties", 5000, 0],
    ] as const) {
      h.write(`source/${name}`, patterned(after, 3));
      h.write(`target/${name}`, patterned(before, 4));
      fs.linkSync(h.at("target", name), h.at("target", `${name}.twin`));
      const inode = fs.statSync(h.at("target", name)).ino;
      const outcome = await h.copyOne(name, { inplace: true });
      expect([name, outcome.status]).toEqual([name, 0]);
      expect(fs.statSync(h.at("target", name)).ino).toBe(inode);
      expect(fs.readFileSync(h.at("target", `${name}.twin`)).equals(patterned(after, 3))).toBe(true);
      expect(mtimeNs(h.at("target", name))).toBe(mtimeNs(h.at("source", name)));
    }
  });

  h.test("delta in place writes only blocks that differ", async () => {
    const size = 2 << 20;
    const changed = patterned(size);
    changed[700_000]! ^= 0xff;
    h.write("source/f", changed);
    h.write("target/f", patterned(size));
    const outcome = await h.copyOne("f", { inplace: true, delta: true });
    expect([outcome.status, METHODS[outcome.method]]).toEqual([0, "delta"]);
    expect(outcome.bytes).toBeGreaterThan(0);
    expect(outcome.bytes).toBeLessThanOrEqual(128 << 10);
    expect(fs.readFileSync(h.at("target/f")).equals(changed)).toBe(true);
    const again = await h.copyOne("f", { inplace: true, delta: true });
    expect(again.bytes).toBe(0);
  });

  h.test("delta follows growth and shrinking", async () => {
    for (const [before, after] of [
      [300_000, 500_001],
      [500_001, 300_000],
    ] as const) {
      h.write("source/f", patterned(after));
      h.write("target/f", patterned(before));
      const outcome = await h.copyOne("f", { inplace: true, delta: true });
      expect(outcome.status).toBe(0);
      expect(fs.readFileSync(h.at("target/f")).equals(patterned(after))).toBe(true);
    }
  });

  h.test("makes holes over old data", async () => {
    const fd = fs.openSync(h.at("source/f"), "w");
    fs.writeSync(fd, "end", (4 << 20) - 3);
    fs.closeSync(fd);
    h.write("target/f", patterned(5 << 20));
    for (const delta of [false, true]) {
      const outcome = await h.copyOne("f", { inplace: true, delta, methods: ["read_write"] });
      expect(outcome.status).toBe(0);
      expect(fs.readFileSync(h.at("target/f")).equals(fs.readFileSync(h.at("source/f")))).toBe(true);
      expect(fs.statSync(h.at("target/f")).blocks * 512).toBeLessThan(1 << 20);
    }
  });

  h.test("keeps a copy as backup before writing in place", async () => {
    h.write("source/f", "new");
    h.write("target/f", "old", 0o604);
    const target = await h.hold("target");
    const inode = fs.statSync(h.at("target/f")).ino;
    const outcome = await h.copyOne("f", { inplace: true, backupSuffix: bytesOf(".bak") }, { backup: target.handle });
    expect(outcome.status).toBe(0);
    expect([fs.statSync(h.at("target/f")).ino, fs.readFileSync(h.at("target/f"), "utf8")]).toEqual([inode, "new"]);
    expect(fs.readFileSync(h.at("target/f.bak"), "utf8")).toBe("old");
    expect(modeOf(h.at("target/f.bak"))).toBe(0o604);
  });

  h.test("refuses to write a file into itself", async () => {
    h.write("source/f", "precious");
    fs.linkSync(h.at("source/f"), h.at("target/f"));
    const outcome = await h.copyOne("f", { inplace: true });
    expect(outcome.status).toBe(-errno.EINVAL);
    expect(fs.readFileSync(h.at("source/f"), "utf8")).toBe("precious");
  });

  h.test("replaces what cannot be written into", async () => {
    h.write("source/f", "new");
    fs.symlinkSync(h.at("secret"), h.at("target/f"));
    h.write("secret", "untouched");
    const outcome = await h.copyOne("f", { inplace: true });
    expect(outcome.status).toBe(0);
    expect(fs.lstatSync(h.at("target/f")).isFile()).toBe(true);
    expect(fs.readFileSync(h.at("secret"), "utf8")).toBe("untouched");
  });

  if (!isRoot) {
    h.test("writes into a read-only file of ours, and leaves its mode as it should be", async () => {
      h.write("source/f", "new", 0o444);
      h.write("target/f", "old", 0o400);
      expect((await h.copyOne("f", { inplace: true })).status).toBe(0);
      expect([fs.readFileSync(h.at("target/f"), "utf8"), modeOf(h.at("target/f"))]).toEqual(["new", 0o444]);
    });
  }
}
