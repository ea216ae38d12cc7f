import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { FileType } from "../../../src/core/entry-batch.ts";
import { bytesOf } from "../../../src/core/paths.ts";
import { NO_HANDLE, Warning, type WriteSettings } from "../../../src/fs/backend.ts";
import { type Harness, isRoot, modeOf, mtimeNs, outcomes, rowOf } from "../harness.ts";

const { errno } = os.constants;

function run(...command: string[]): string {
  const done = Bun.spawnSync(command);
  if (done.exitCode !== 0) throw new Error(`${command.join(" ")}: ${done.stderr.toString()}`);
  return done.stdout.toString();
}
const attribute = (file: string, name: string): string => run("getfattr", "-h", "--only-values", "-n", name, file);
const acl = (file: string): string => run("getfacl", "-cn", file);

export function attributeSection(h: Harness): void {
  h.test("copies user xattrs and ACLs", async () => {
    h.write("source/f", "x", 0o640);
    run("setfattr", "-n", "user.empty", h.at("source/f"));
    run("setfattr", "-n", "user.note", "-v", "some value", h.at("source/f"));
    run("setfacl", "-m", "u:1234:rw,g:77:r", h.at("source/f"));
    const outcome = await h.copyOne("f");
    expect([outcome.status, outcome.warnings]).toEqual([0, 0]);
    expect(attribute(h.at("target/f"), "user.note")).toBe("some value");
    expect(attribute(h.at("target/f"), "user.empty")).toBe("");
    expect(acl(h.at("target/f"))).toBe(acl(h.at("source/f")));
    expect(modeOf(h.at("target/f"))).toBe(modeOf(h.at("source/f")));
  });

  h.test("copies none unasked", async () => {
    h.write("source/f", "x");
    run("setfattr", "-n", "user.note", "-v", "v", h.at("source/f"));
    run("setfacl", "-m", "u:1234:rw", h.at("source/f"));
    await h.copyOne("f", { xattrs: false, acls: false });
    expect(run("getfattr", h.at("target/f"))).toBe("");
    expect(acl(h.at("target/f"))).not.toContain("1234");
  });

  if (isRoot) {
    h.test("copies privileged xattrs, on links and FIFOs too", async () => {
      h.write("source/f", "x");
      fs.symlinkSync("x", h.at("source/l"));
      run("mkfifo", h.at("source/p"));
      for (const name of ["f", "l", "p"]) run("setfattr", "-h", "-n", "trusted.t", "-v", "tv", h.at("source", name));
      const results = await h.copyAll();
      for (const [name, { status, warnings }] of results) expect([name, status, warnings]).toEqual([name, 0, 0]);
      for (const name of ["f", "l", "p"]) expect(attribute(h.at("target", name), "trusted.t")).toBe("tv");
    });
  }

  h.test("repairs metadata without touching data", async () => {
    h.write("source/f", "same", 0o751);
    h.write("target/f", "same", 0o600);
    fs.symlinkSync("t", h.at("source/l"));
    fs.symlinkSync("t", h.at("target/l"));
    run("mkfifo", "-m", "0644", h.at("source/p"));
    run("mkfifo", "-m", "0600", h.at("target/p"));
    run("touch", "-h", "-d", "2001-01-01 00:00:00.5 UTC", h.at("source/l"), h.at("source/f"), h.at("source/p"));
    run("setfattr", "-n", "user.keep", "-v", "k", h.at("source/f"));
    run("setfattr", "-n", "user.drop", "-v", "d", h.at("target/f"));
    const inode = fs.statSync(h.at("target/f")).ino;
    const source = await h.hold("source", { xattrs: true, acls: true });
    const target = await h.hold("target");
    const results = await h.backend.repair({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(0, 1, 2),
      settings: h.prepared(),
    });
    for (const { status, warnings } of outcomes(results)) expect([status, warnings]).toEqual([0, 0]);
    expect([fs.statSync(h.at("target/f")).ino, modeOf(h.at("target/f"))]).toEqual([inode, 0o751]);
    expect(modeOf(h.at("target/p"))).toBe(0o644);
    for (const name of ["f", "l", "p"]) expect(mtimeNs(h.at("target", name))).toBe(978_307_200_500_000_000n);
    expect(run("getfattr", h.at("target/f"))).not.toContain("user.drop");
    expect(attribute(h.at("target/f"), "user.keep")).toBe("k");
  });

  h.test("repairs the directory itself by its own row", async () => {
    run("setfattr", "-n", "user.dir", "-v", "d", h.at("source"));
    run("setfacl", "-d", "-m", "u:1234:rx", h.at("source"));
    fs.chmodSync(h.at("source"), 0o2750);
    run("touch", "-d", "1999-09-09 09:09:09.123456789 UTC", h.at("source"));
    const source = await h.hold("source", { xattrs: true, acls: true });
    const target = await h.hold("target");
    const results = await h.backend.repair({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(source.batch.self),
      settings: h.prepared(),
    });
    expect(outcomes(results)[0]!.status).toBe(0);
    expect(modeOf(h.at("target"))).toBe(0o2750);
    expect(mtimeNs(h.at("target"))).toBe(mtimeNs(h.at("source")));
    expect(attribute(h.at("target"), "user.dir")).toBe("d");
    expect(acl(h.at("target"))).toBe(acl(h.at("source")));
  });

  h.test(
    "repairs the directory itself without a source: what it inherited goes, unless attributes are left alone",
    async () => {
      run("setfacl", "-d", "-m", "u:1234:rwx", h.at("target"));
      fs.mkdirSync(h.at("target/made"));
      run("setfattr", "-n", "user.drop", "-v", "d", h.at("target/made"));
      const inherited = acl(h.at("target/made"));
      expect(inherited).toContain("default:user:1234:rwx");
      const made = await h.hold("target/made");
      const batch = h.keep(
        h.backend.makeBatch([{ name: bytesOf("."), mode: FileType.directory | 0o751, mtimeSec: 1000 }]),
      );
      const repair = async (settings: Partial<WriteSettings>): Promise<void> => {
        const results = await h.backend.repair({
          source: NO_HANDLE,
          target: made.handle,
          batch,
          rows: Uint32Array.of(batch.self),
          settings: h.prepared({ owner: false, group: false, ...settings }),
        });
        expect(outcomes(results).map(({ status, warnings }) => [status, warnings])).toEqual([[0, 0]]);
        expect([modeOf(h.at("target/made")), mtimeNs(h.at("target/made"))]).toEqual([0o751, 1_000_000_000_000n]);
      };
      await repair({ xattrs: false, acls: false });
      expect(acl(h.at("target/made"))).toContain("default:user:1234:rwx");
      expect(attribute(h.at("target/made"), "user.drop")).toBe("d");
      await repair({});
      expect(acl(h.at("target/made")).trim()).toBe("user::rwx\ngroup::r-x\nother::--x");
      expect(run("getfattr", h.at("target/made"))).not.toContain("user.drop");
    },
  );

  h.test("refuses to repair something of another type", async () => {
    h.write("source/f", "x");
    fs.mkdirSync(h.at("target/f"), 0o700);
    const source = await h.hold("source");
    const target = await h.hold("target");
    const results = await h.backend.repair({
      source: source.handle,
      target: target.handle,
      batch: source.batch,
      rows: Uint32Array.of(rowOf(source.batch, "f")),
      settings: h.prepared(),
    });
    expect(outcomes(results)[0]!.status).toBe(-errno.ESTALE);
    expect(modeOf(h.at("target/f"))).toBe(0o700);
  });

  h.test("warns where the filesystem cannot, and still copies", async () => {
    if (!fs.existsSync("/dev/shm")) return;
    // tmpfs knows POSIX ACLs and, in most kernels, user xattrs; a value of 64 KiB is over what ext4 takes.
    const place = fs.mkdtempSync("/dev/shm/fastsync-contract-");
    try {
      fs.writeFileSync(`${place}/f`, "content");
      const big = Bun.spawnSync(["setfattr", "-n", "user.big", "-v", "x".repeat(30_000), `${place}/f`]);
      if (big.exitCode !== 0) return;
      const batch = h.keep(
        await h.backend.walk(-100, Buffer.from(place), {
          xattrs: true,
          acls: true,
          follow: false,
          openFollow: false,
          create: false,
          writable: false,
          selfOnly: false,
        }),
      );
      const target = await h.hold("target");
      const results = await h.backend.copy({
        source: batch.dirfd,
        target: target.handle,
        batch,
        rows: Uint32Array.of(0),
        settings: h.prepared(),
      });
      const [outcome] = outcomes(results);
      expect(fs.readFileSync(h.at("target/f"), "utf8")).toBe("content");
      if (outcome!.status === 0 && outcome!.warnings !== 0) expect(outcome!.warnings).toBe(Warning.xattr);
    } finally {
      fs.rmSync(place, { recursive: true });
    }
  });
}
