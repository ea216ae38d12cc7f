import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { bytesOf } from "../../../src/core/paths.ts";
import { ItemFlag } from "../../../src/fs/backend.ts";
import { type Harness, namesOf, outcomes, rowOf } from "../harness.ts";

const { errno } = os.constants;

export function removeSection(h: Harness): void {
  h.test("removes files, links and empty directories", async () => {
    h.write("target/f", "x");
    fs.symlinkSync(h.at("source"), h.at("target/l"));
    fs.mkdirSync(h.at("target/empty"));
    fs.mkdirSync(h.at("target/full"));
    h.write("target/full/x", "");
    h.write("source/survivor", "");
    const { batch, handle } = await h.hold("target");
    const rows = ["f", "l", "empty", "full"].map((name) => rowOf(batch, name));
    const results = await h.backend.remove(handle, batch, Uint32Array.from(rows), { same: true });
    const statuses = outcomes(results).map(({ status }) => status);
    expect(statuses.slice(0, 3)).toEqual([0, 0, 0]);
    expect([-errno.ENOTEMPTY, -errno.EEXIST]).toContain(statuses[3]!);
    expect(fs.readdirSync(h.at("target"))).toEqual(["full"]);
    expect(fs.readdirSync(h.at("source"))).toEqual(["survivor"]);
  });

  h.test("with `same`, only what is still the entry that was listed", async () => {
    for (const name of ["edited", "replaced", "touched", "kind", "gone", "fine"]) h.write(`target/${name}`, "old");
    const stamp = () => Bun.spawnSync(["touch", "-d", "2015-05-05 05:05:05.5 UTC", h.at("target/edited")]);
    stamp();
    const { batch, handle } = await h.hold("target");
    fs.writeFileSync(h.at("target/edited"), "longer");
    stamp();
    h.write("target/new", "old");
    fs.renameSync(h.at("target/new"), h.at("target/replaced"));
    fs.utimesSync(h.at("target/touched"), 5, 5);
    fs.unlinkSync(h.at("target/kind"));
    fs.mkdirSync(h.at("target/kind"));
    fs.unlinkSync(h.at("target/gone"));
    const rows = Uint32Array.from({ length: batch.count }, (_, row) => row);
    const results = outcomes(await h.backend.remove(handle, batch, rows, { same: true }));
    const statuses = Object.fromEntries(namesOf(batch).map((name, row) => [name, results[row]!.status]));
    expect(statuses).toEqual({
      edited: -errno.ESTALE,
      fine: 0,
      gone: -errno.ENOENT,
      kind: -errno.ESTALE,
      replaced: -errno.ESTALE,
      touched: -errno.ESTALE,
    });
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["edited", "kind", "replaced", "touched"]);
  });

  h.test("moves into the backup directory instead", async () => {
    fs.mkdirSync(h.at("backups"));
    h.write("target/f", "kept");
    const target = await h.hold("target");
    const backups = await h.hold("backups");
    const results = await h.backend.remove(target.handle, target.batch, Uint32Array.of(0), {
      same: true,
      backup: backups.handle,
      settings: h.prepared({ backupSuffix: bytesOf(".old") }),
    });
    const [outcome] = outcomes(results);
    expect([outcome!.status, outcome!.flags]).toEqual([0, ItemFlag.backedUp]);
    expect(fs.readFileSync(h.at("backups/f.old"), "utf8")).toBe("kept");
    expect(fs.readdirSync(h.at("target"))).toEqual([]);
  });

  h.test("links a name to a leader, replacing what stands there", async () => {
    fs.mkdirSync(h.at("target/deep"));
    h.write("target/deep/leader", "shared");
    h.write("target/old", "other");
    const root = await h.hold("target");
    const leader = bytesOf("deep/leader");
    const inode = fs.statSync(h.at("target/deep/leader")).ino;
    for (const name of ["fresh", "old", "fresh"]) {
      expect(await h.backend.link(root.handle, leader, root.handle, bytesOf(name), name === "old")).toBe(0);
      expect(fs.statSync(h.at("target", name)).ino).toBe(inode);
    }
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["deep", "fresh", "old"]);
  });

  h.test("refuses links that leave the root or lead nowhere", async () => {
    h.write("secret", "x");
    fs.mkdirSync(h.at("target/dir"));
    fs.symlinkSync(h.root, h.at("target/out"));
    const { handle } = await h.hold("target");
    const link = (leader: string, name: string) =>
      h.backend.link(handle, bytesOf(leader), handle, bytesOf(name), false);
    expect(await link("../secret", "a")).toBe(-errno.EXDEV);
    expect([-errno.ELOOP, -errno.ENOTDIR]).toContain(await link("out/secret", "a"));
    expect(await link("missing", "a")).toBe(-errno.ENOENT);
    expect(await link("dir", "a")).toBe(-errno.EISDIR);
    expect(await link("dir/x", "b/c")).toBe(-errno.EINVAL);
    expect(await link(h.at("secret"), "a")).toBeLessThan(0);
    expect(fs.readdirSync(h.at("target")).sort()).toEqual(["dir", "out"]);
  });

  h.test("renames without replacing", async () => {
    h.write("source/f", "f");
    h.write("source/taken", "mine");
    fs.mkdirSync(h.at("source/dir"));
    h.write("source/dir/x", "x");
    h.write("target/taken", "yours");
    const source = await h.hold("source");
    const target = await h.hold("target");
    const rows = Uint32Array.from(["dir", "f", "taken"], (name) => rowOf(source.batch, name));
    const results = outcomes(await h.backend.rename(source.handle, target.handle, source.batch, rows));
    expect(results.map(({ status }) => status)).toEqual([0, 0, -errno.EEXIST]);
    expect(fs.readFileSync(h.at("target/taken"), "utf8")).toBe("yours");
    expect(fs.readFileSync(h.at("target/dir/x"), "utf8")).toBe("x");
    expect(fs.readdirSync(h.at("source"))).toEqual(["taken"]);
  });

  h.test("sweeps what dead runs left, and nothing else", async () => {
    const dead = ".fastsync.0123456789abcdef.tmp";
    const part = ".fastsync.fedcba9876543210.part";
    const alive = ".fastsync.00000000000000aa.tmp";
    const others = [".fastsync.0123.tmp", "data.tmp", ".fastsync.0123456789ABCDEF.tmp"];
    const link = ".fastsync.00000000000000bb.tmp";
    for (const name of [dead, part, alive, ...others]) h.write(`target/${name}`, "");
    fs.symlinkSync("anywhere", h.at("target", link));
    const holder = Bun.spawn(["flock", h.at("target", alive), "sh", "-c", "echo locked; exec sleep 60"]);
    try {
      await holder.stdout.getReader().read();
      const { batch, handle } = await h.hold("target");
      const rows = Uint32Array.from({ length: batch.count }, (_, row) => row);
      const results = outcomes(await h.backend.sweep(handle, batch, rows));
      const status = (name: string) => results[rowOf(batch, name)]!.status;
      expect([status(dead), status(part), status(alive), status(link)]).toEqual([0, 0, -errno.EWOULDBLOCK, 0]);
      for (const name of others) expect(status(name)).toBe(-errno.EINVAL);
      expect(fs.readdirSync(h.at("target")).sort()).toEqual([alive, ...others].sort());
    } finally {
      holder.kill();
      await holder.exited;
      fs.rmSync(h.at("target", alive), { force: true });
      fs.rmSync(h.at("target", others[0]!), { force: true });
    }
  });

  h.test("a link under a temporary name stays as long as a run holds its directory", async () => {
    const link = ".fastsync.00000000000000cc.tmp";
    fs.mkdirSync(h.at("target"), { recursive: true });
    fs.symlinkSync("anywhere", h.at("target", link));
    const holder = Bun.spawn(["flock", "-F", "-s", h.at("target"), "sh", "-c", "echo locked; exec sleep 60"]);
    try {
      await holder.stdout.getReader().read();
      const { batch, handle } = await h.hold("target");
      const sweep = async () => outcomes(await h.backend.sweep(handle, batch, Uint32Array.of(rowOf(batch, link))));
      expect((await sweep())[0]!.status).toBe(-errno.EWOULDBLOCK);
      holder.kill();
      await holder.exited;
      expect((await sweep())[0]!.status).toBe(0);
    } finally {
      holder.kill();
      await holder.exited;
      fs.rmSync(h.at("target", link), { force: true });
    }
  });
}
