import { expect } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import { BatchFlag, compareNames, FileType, RowFlag } from "../../../src/core/entry-batch.ts";
import { bytesOf } from "../../../src/core/paths.ts";
import { WORKING_DIRECTORY } from "../../../src/fs/backend.ts";
import { type Harness, isRoot, nameOf, namesOf, rowOf, WALK } from "../harness.ts";

const { errno } = os.constants;

export function walkSection(h: Harness): void {
  h.test("follows links as far as they stay below a directory", async () => {
    for (const name of ["source/in", "source/dir", "outside"]) fs.mkdirSync(h.at(name));
    h.write("source/in/file", "inside");
    h.write("outside/file", "outside");
    const links = {
      up: "../in/file",
      chain: "up",
      directory: "../in",
      out: "../../outside/file",
      away: "../../outside",
      nothing: "../../outside/not-there",
      back: "../../source/in/file",
      absolute: h.at("source/in/file"),
      magic: "/proc/self/fd/0",
      dangling: "not-there",
      self: "self",
    };
    h.write("source/dir/plain", "plain");
    for (const [name, text] of Object.entries(links)) fs.symlinkSync(text, h.at("source/dir", name));
    const root = await h.hold("source");
    const confine = root.handle;
    const options = { ...WALK, follow: true, openFollow: true, xattrs: true, acls: true, confine };
    if (!h.backend.capabilities.confinesLinks) {
      expect(h.backend.walk(root.handle, bytesOf("dir"), options)).rejects.toThrow("native library");
      expect(h.backend.stat(root.handle, [bytesOf("in")], options)).rejects.toThrow("native library");
      expect(() => h.prepared({ confine })).toThrow("native library");
      return;
    }
    const { EXDEV, ENOENT, ELOOP } = errno;
    const expected: Record<string, number> = { dangling: -ENOENT, self: -ELOOP };
    for (const name of ["back", "absolute", "away", "magic", "nothing", "out"]) expected[name] = -EXDEV;
    const dir = h.keep(await h.backend.walk(root.handle, bytesOf("dir"), options));
    const names = namesOf(dir);
    expect(names.length).toBe(12);
    const stats = h.keep(await h.backend.stat(dir.dirfd, names.map(bytesOf), options));
    for (const batch of [dir, stats]) {
      for (const [row, name] of names.entries()) {
        expect([name, batch.rowStatus(row)]).toEqual([name, expected[name] ?? 0]);
        const type = name === "directory" ? FileType.directory : FileType.regular;
        expect([name, batch.type(row)]).toEqual([name, name in expected ? FileType.symlink : type]);
      }
    }
    expect(dir.size(rowOf(dir, "up"))).toBe(6);
    const below = h.keep(await h.backend.walk(dir.dirfd, bytesOf("directory"), options));
    expect([below.status, namesOf(below)]).toEqual([0, ["file"]]);
    for (const name of ["away", "out", "absolute"]) {
      expect(h.keep(await h.backend.walk(dir.dirfd, bytesOf(name), options)).status).toBe(-EXDEV);
    }
    // Whatever a listing said: what is read is confined as well.
    const rows = h.keep(
      h.backend.makeBatch([
        ...["absolute", "out", "up"].map((name) => ({ name: bytesOf(name), mode: FileType.regular | 0o644, size: 6 })),
        { name: bytesOf("."), mode: FileType.directory | 0o755 },
      ]),
    );
    const settings = h.prepared({ follow: true, confine });
    const hashed = await h.backend.hash(dir.dirfd, rows, Uint32Array.of(0, 1, 2), "xxh3-128", settings);
    expect([0, 1, 2].map((row) => hashed.status(row))).toEqual([-EXDEV, -EXDEV, 0]);
    hashed.release();
    // A directory that left the module leads nowhere.
    fs.renameSync(h.at("source/dir"), h.at("gone"));
    const gone = h.keep(await h.backend.stat(dir.dirfd, [bytesOf("up"), bytesOf("plain")], options));
    expect([gone.rowStatus(0), gone.rowStatus(1)]).toEqual([-EXDEV, 0]);
  });

  h.test("lists every type with its fields", async () => {
    h.write("source/file", "hello", 0o640);
    fs.utimesSync(h.at("source/file"), 1, 1_600_000_000);
    fs.symlinkSync("dangling target", h.at("source/link"));
    fs.mkdirSync(h.at("source/sub"));
    fs.linkSync(h.at("source/file"), h.at("source/twin"));
    const { batch } = await h.hold("source");
    expect(namesOf(batch)).toEqual(["file", "link", "sub", "twin"]);
    expect([batch.status, batch.flags]).toEqual([0, 0]);
    expect(batch.dirfd).toBeGreaterThanOrEqual(0);
    const stats = fs.lstatSync(h.at("source/file"), { bigint: true });
    expect(batch.size(0)).toBe(5);
    expect(batch.mode(0)).toBe(Number(stats.mode));
    expect(batch.mtimeSec(0)).toBe(1_600_000_000);
    expect([batch.uid(0), batch.gid(0), batch.nlink(0)]).toEqual([Number(stats.uid), Number(stats.gid), 2]);
    expect(BigInt(batch.inoLow(0)) | (BigInt(batch.inoHigh(0)) << 32n)).toBe(stats.ino);
    expect(batch.inoLow(3)).toBe(batch.inoLow(0));
    expect(batch.type(1)).toBe(FileType.symlink);
    expect(Buffer.from(batch.linkText(1)).toString()).toBe("dangling target");
    expect(batch.type(2)).toBe(FileType.directory);
    expect(batch.type(batch.self)).toBe(FileType.directory);
    expect(batch.dev(batch.self)).toBe(batch.dev(0));
    expect(batch.filesystemType).toBeGreaterThan(0);
  });

  h.test("tells what is allocated where that is asked for", async () => {
    h.write("source/empty", "");
    h.write("source/full", "x".repeat(100_000));
    fs.closeSync(fs.openSync(h.at("source/holes"), "w"));
    fs.truncateSync(h.at("source/holes"), 1e9);
    const { handle } = await h.hold("source");
    const batch = h.keep(await h.backend.walk(handle, bytesOf("."), { ...WALK, blocks: true }));
    const stat = h.keep(await h.backend.stat(handle, [bytesOf("full")], { ...WALK, blocks: true }));
    for (const [row, name] of namesOf(batch).entries())
      expect([name, batch.blocks(row)]).toEqual([name, fs.lstatSync(h.at("source", name)).blocks]);
    expect(batch.blocks(batch.self)).toBe(fs.lstatSync(h.at("source")).blocks);
    expect(stat.blocks(0)).toBe(fs.lstatSync(h.at("source/full")).blocks);
    expect(batch.blocks(rowOf(batch, "full"))).toBeGreaterThan(0);
  });

  h.test("keeps nanoseconds, also before 1970", async () => {
    h.write("source/a", "");
    h.write("source/b", "");
    Bun.spawnSync(["touch", "-d", "1969-12-31 23:59:58.123456789 UTC", h.at("source/a")]);
    Bun.spawnSync(["touch", "-d", "2020-02-02 02:02:02.987654321 UTC", h.at("source/b")]);
    const { batch } = await h.hold("source");
    expect([batch.mtimeSec(0), batch.mtimeNsec(0)]).toEqual([-2, 123_456_789]);
    expect([batch.mtimeSec(1), batch.mtimeNsec(1)]).toEqual([1_580_608_922, 987_654_321]);
  });

  h.test("sorts bytewise and carries hostile names", async () => {
    const names = [
      Buffer.from([0xff, 0xfe, 0x61]),
      Buffer.from("new\nline"),
      Buffer.from("tab\tesc\x1b[31m"),
      Buffer.alloc(255, 0xe9),
      Buffer.from("-rf"),
      Buffer.from("*"),
      Buffer.from(" "),
      Buffer.from("a"),
      Buffer.from("a.b"),
      Buffer.from("ab"),
      Buffer.from("aB"),
      Buffer.from("12345678z"),
      Buffer.from("12345678"),
      Buffer.from("..."),
      Buffer.from("é"),
    ];
    for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${h.at("source")}/`), name]), name);
    const { batch } = await h.hold("source");
    expect(batch.count).toBe(names.length);
    const sorted = names.sort(Buffer.compare).map((name) => name.toString("latin1"));
    expect(namesOf(batch)).toEqual(sorted);
    for (let row = 1; row < batch.count; row++) {
      const [a, b] = [row - 1, row];
      const order = compareNames(
        batch.bytes,
        batch.nameAt(a),
        batch.nameLength(a),
        batch.bytes,
        batch.nameAt(b),
        batch.nameLength(b),
      );
      expect(order).toBeLessThan(0);
    }
    for (let row = 0; row < batch.count; row++) expect(batch.rowStatus(row)).toBe(0);
  });

  h.test("lists thousands of entries", async () => {
    const count = 4_000;
    for (let i = 0; i < count; i++) fs.closeSync(fs.openSync(h.at(`source/f${i}`), "w"));
    const { batch } = await h.hold("source");
    expect(batch.count).toBe(count);
    expect(new Set(namesOf(batch)).size).toBe(count);
  });

  h.test("answers errors as status, always with a batch", async () => {
    h.write("source/file", "");
    fs.symlinkSync("source", h.at("alias"));
    const missing = await h.hold("nowhere");
    expect([missing.batch.status, missing.batch.count, missing.handle]).toEqual([-errno.ENOENT, 0, -1]);
    const file = await h.hold("source/file");
    expect(file.batch.status).toBe(-errno.ENOTDIR);
    const link = await h.hold("alias");
    expect([-errno.ENOTDIR, -errno.ELOOP]).toContain(link.batch.status);
    const followed = await h.hold("alias", { openFollow: true });
    expect([followed.batch.status, followed.batch.count]).toEqual([0, 1]);
  });

  h.test("refuses what is not a single name below a handle", async () => {
    const { handle } = await h.hold("source");
    fs.symlinkSync(h.at("target"), h.at("source/link"));
    fs.mkdirSync(h.at("source/sub"));
    for (const name of ["..", "../target", "/", "link", "sub/../../target", h.at("target")]) {
      const batch = h.keep(await h.backend.walk(handle, bytesOf(name), WALK));
      expect([name, batch.status < 0, batch.dirfd]).toEqual([name, true, -1]);
    }
    const self = h.keep(await h.backend.walk(handle, bytesOf("."), WALK));
    expect(self.count).toBe(2);
  });

  h.test("makes a missing directory, and says so", async () => {
    const { handle } = await h.hold("target");
    const made = h.keep(await h.backend.walk(handle, bytesOf("new"), { ...WALK, create: true }));
    expect([made.status, made.flags & BatchFlag.created, made.count]).toEqual([0, BatchFlag.created, 0]);
    expect(fs.statSync(h.at("target/new")).mode & 0o7777).toBe(0o700);
    const again = h.keep(await h.backend.walk(handle, bytesOf("new"), { ...WALK, create: true }));
    expect(again.flags & BatchFlag.created).toBe(0);
  });

  h.test("fills the directory's own row only, when asked", async () => {
    h.write("source/file", "");
    const { batch, handle } = await h.hold("source", { selfOnly: true });
    expect([batch.count, batch.type(batch.self)]).toEqual([0, FileType.directory]);
    expect(handle).toBeGreaterThanOrEqual(0);
  });

  h.test("follows links when asked; a dangling one keeps its own row", async () => {
    h.write("source/file", "12345");
    fs.symlinkSync("file", h.at("source/good"));
    fs.symlinkSync("nothing", h.at("source/lost"));
    fs.symlinkSync("loop", h.at("source/loop"));
    const { batch } = await h.hold("source", { follow: true });
    const good = rowOf(batch, "good");
    expect([batch.type(good), batch.size(good), batch.rowStatus(good)]).toEqual([FileType.regular, 5, 0]);
    const lost = rowOf(batch, "lost");
    expect([batch.type(lost), batch.rowStatus(lost)]).toEqual([FileType.symlink, -errno.ENOENT]);
    expect(Buffer.from(batch.linkText(lost)).toString()).toBe("nothing");
    expect(batch.rowStatus(rowOf(batch, "loop"))).toBe(-errno.ELOOP);
  });

  h.test("marks sparse files", async () => {
    const fd = fs.openSync(h.at("source/sparse"), "w");
    fs.ftruncateSync(fd, 1 << 20);
    fs.closeSync(fd);
    h.write("source/dense", Buffer.alloc(1 << 16, 1));
    const { batch } = await h.hold("source");
    expect(batch.rowFlags(rowOf(batch, "sparse")) & RowFlag.sparse).toBe(RowFlag.sparse);
    expect(batch.rowFlags(rowOf(batch, "dense")) & RowFlag.sparse).toBe(0);
  });

  h.test("states names in the order given, with a status each", async () => {
    h.write("source/b", "22");
    h.write("source/a", "1");
    const { handle } = await h.hold("source");
    const long = "x".repeat(300);
    const names = ["b", "missing", "a", "", "..", "a/b", long].map(bytesOf);
    const batch = h.keep(await h.backend.stat(handle, names, WALK));
    expect(batch.count).toBe(names.length);
    expect([nameOf(batch, 0), batch.size(0), batch.size(2)]).toEqual(["b", 2, 1]);
    const statuses = names.map((_, row) => batch.rowStatus(row));
    expect(statuses).toEqual([0, -errno.ENOENT, 0, -errno.ENOENT, -errno.EINVAL, -errno.EINVAL, -errno.ENAMETOOLONG]);
    const operator = h.keep(await h.backend.stat(WORKING_DIRECTORY, [bytesOf(h.at("source/b"))], WALK));
    expect([operator.rowStatus(0), operator.size(0)]).toEqual([0, 2]);
  });

  h.test("digests attributes only when asked, and the same for the same", async () => {
    for (const name of ["one", "two", "three", "none"]) h.write(`source/${name}`, "");
    for (const name of ["one", "two"]) {
      Bun.spawnSync(["setfattr", "-n", "user.z", "-v", "last", h.at("source", name)]);
      Bun.spawnSync(["setfattr", "-n", "user.a", "-v", "first", h.at("source", name)]);
    }
    Bun.spawnSync(["setfattr", "-n", "user.a", "-v", "other", h.at("source/three")]);
    const { batch } = await h.hold("source", { xattrs: true });
    const digest = (name: string) => [batch.attrLow(rowOf(batch, name)), batch.attrHigh(rowOf(batch, name))];
    expect(digest("none")).toEqual([0, 0]);
    expect(digest("one")).not.toEqual([0, 0]);
    expect(digest("one")).toEqual(digest("two"));
    expect(digest("three")).not.toEqual(digest("one"));
    const plain = await h.hold("source");
    expect(plain.batch.attrLow(rowOf(plain.batch, "one"))).toBe(0);
  });

  if (!isRoot) {
    h.test("says what may not be read, and makes writable when asked", async () => {
      fs.mkdirSync(h.at("source/closed"), 0o000);
      const closed = await h.hold("source/closed");
      expect(closed.batch.status).toBe(-errno.EACCES);
      const opened = await h.hold("source/closed", { writable: true });
      expect([opened.batch.status, opened.batch.flags & BatchFlag.madeWritable]).toEqual([0, BatchFlag.madeWritable]);
      expect(opened.batch.mode(opened.batch.self) & 0o7777).toBe(0);
      fs.chmodSync(h.at("source/closed"), 0o700);
    });
  }
}
