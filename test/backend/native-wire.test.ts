/** Two native backends joined by real TCP connections: a directory goes from one to the other. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Socket } from "bun";
import { findLibrary } from "../../ffi/library.ts";
import { type EntryBatch, FileType } from "../../src/core/entry-batch.ts";
import { bytesOf } from "../../src/core/paths.ts";
import {
  METHOD_STREAM,
  METHODS,
  type WireStream,
  WORKING_DIRECTORY,
  type WriteSettings,
} from "../../src/fs/backend.ts";
import { NativeBackend } from "../../src/fs/native/native-backend.ts";
import { isRoot, nameOf, type Outcome, outcomes, rowOf, SETTINGS, WALK } from "./harness.ts";

const { library } = findLibrary();
if (library === undefined) throw new Error("build the native library first (bun build.ts --native-only)");

const EPIPE = -32;
const ECANCELED = -125;
const EBUSY = -16;
const IDLE_MS = 20_000;

interface Lane {
  readonly out: WireStream;
  readonly in: WireStream;
  close(): void;
}

/** One connection; the descriptors of paused sockets, which stay open until both streams have ended. */
async function connect(from: NativeBackend, to: NativeBackend): Promise<Lane> {
  const accepted = Promise.withResolvers<Socket>();
  const nothing = { data() {}, close() {}, error() {} };
  const listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      ...nothing,
      open(socket) {
        socket.pause();
        accepted.resolve(socket);
      },
    },
  });
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    socket: { ...nothing, open: (socket) => void socket.pause() },
  });
  const server = await accepted.promise;
  client.setNoDelay(true);
  return {
    out: from.openStream(fdOf(client), "send", { idleMs: IDLE_MS }),
    in: to.openStream(fdOf(server), "receive", { idleMs: IDLE_MS }),
    close() {
      client.terminate();
      server.terminate();
      listener.stop(true);
    },
  };
}

function fdOf(socket: Socket): number {
  const fd: unknown = Reflect.get(socket, "fd");
  if (typeof fd !== "number" || fd < 0) throw new Error("a socket without a descriptor");
  return fd;
}

describe("native wire", () => {
  let from: NativeBackend;
  let to: NativeBackend;
  let root = "";
  let need = 0;
  beforeAll(() => {
    from = new NativeBackend(library, 2);
    to = new NativeBackend(library, 2);
  });
  afterAll(() => Promise.all([from.shutdown(), to.shutdown()]));
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "fastsync-wire-"));
    fs.mkdirSync(path.join(root, "source"));
    fs.mkdirSync(path.join(root, "target"));
  });

  const at = (...parts: string[]): string => path.join(root, ...parts);
  const walk = (backend: NativeBackend, name: string): Promise<EntryBatch> =>
    backend.walk(WORKING_DIRECTORY, bytesOf(at(name)), { ...WALK, xattrs: true, acls: true });

  /** The listing as it arrives in another process: the same bytes in memory of the other backend. */
  function transplant(batch: EntryBatch): EntryBatch {
    const memory = to.batchMemory(batch.totalBytes);
    memory.bytes.set(batch.bytes.subarray(batch.at, batch.at + batch.totalBytes), memory.at);
    return new (batch.constructor as typeof EntryBatch)(memory.bytes, memory.u32, memory.f64, memory.at);
  }

  const fileRows = (batch: EntryBatch): Uint32Array =>
    Uint32Array.from(Array.from({ length: batch.count }, (_, row) => row)).filter(
      (row) => batch.type(row) !== FileType.directory,
    );

  interface Ends {
    readonly source: EntryBatch;
    readonly target: EntryBatch;
    readonly manifest: EntryBatch;
  }
  async function open(): Promise<Ends> {
    const source = await walk(from, "source");
    return { source, target: await walk(to, "target"), manifest: transplant(source) };
  }
  function done({ source, target, manifest }: Ends): void {
    from.close([source.dirfd]);
    to.close([target.dirfd]);
    from.releaseBatch(source);
    to.releaseBatch(target);
    to.releaseBatch(manifest);
  }

  /** Everything in source/ to target/ over `lanes` connections, in needs of `chunk` rows. */
  async function transfer(lanes: number, chunk: number, settings: Partial<WriteSettings> = {}) {
    const ends = await open();
    const joined = await Promise.all(Array.from({ length: lanes }, () => connect(from, to)));
    const rows = fileRows(ends.source);
    const sent: Promise<Outcome[]>[] = [];
    const landed: Promise<Outcome[]>[] = [];
    for (let first = 0; first < rows.length; first += chunk) {
      const part = rows.subarray(first, first + chunk);
      const id = ++need;
      landed.push(
        to
          .receive({
            need: id,
            purpose: "content",
            target: ends.target.dirfd,
            batch: ends.manifest,
            rows: part,
            settings: to.prepare({ ...SETTINGS, ...settings }),
          })
          .then(outcomes),
      );
      sent.push(
        from
          .send({
            need: id,
            purpose: "content",
            source: ends.source.dirfd,
            batch: ends.source,
            rows: part,
            settings: from.prepare({ ...SETTINGS, ...settings }),
          })
          .then(outcomes),
      );
    }
    const names = Array.from(rows, (row) => nameOf(ends.source, row));
    const result = { names, sent: (await Promise.all(sent)).flat(), landed: (await Promise.all(landed)).flat() };
    for (const lane of joined) lane.out.end();
    const said = await Promise.all(joined.flatMap((lane) => [lane.out.ended, lane.in.ended]));
    for (const lane of joined) lane.close();
    done(ends);
    return { ...result, ends: said };
  }

  async function nothingLeft(): Promise<void> {
    for (const backend of [from, to]) {
      // What was given up by a cancelled request is freed when its completion was seen, which may be the next one's turn.
      let rounds = 0;
      do await backend.nop();
      while (backend.arenaUsed() > 0 && rounds++ < 100);
      expect(backend.arenaUsed()).toBe(0);
    }
    expect(fs.readdirSync("/proc/self/fd").filter((fd) => leadsTo(fd, root))).toEqual([]);
    fs.rmSync(root, { recursive: true, force: true });
  }

  function same(name: string): void {
    const [a, b] = [at("source", name), at("target", name)];
    const [x, y] = [fs.lstatSync(a, { bigint: true }), fs.lstatSync(b, { bigint: true })];
    expect([name, y.mode, y.size, y.mtimeNs, y.uid, y.gid]).toEqual([name, x.mode, x.size, x.mtimeNs, x.uid, x.gid]);
    if (x.isFile()) expect(fs.readFileSync(a).equals(fs.readFileSync(b))).toBe(true);
    if (x.isSymbolicLink()) expect(fs.readlinkSync(b)).toBe(fs.readlinkSync(a));
  }

  function makeVariety(): void {
    for (const size of [0, 1, 511, 512, 513, 4096, 65_536, 1_048_575, 1_048_576, 3_000_001]) {
      const file = at("source", `size${size}`);
      fs.writeFileSync(file, Buffer.alloc(size, `content of ${size}\n`));
      fs.utimesSync(file, 1_000_000_000 + size, 1_000_000_000.25 + size);
    }
    fs.writeFileSync(at("source", "n".repeat(255)), "a long name");
    fs.chmodSync(at("source", "size511"), 0o640);
    fs.symlinkSync("../elsewhere", at("source", "link"));
    Bun.spawnSync(["mkfifo", "-m", "600", at("source", "pipe")]);
    if (isRoot) fs.chownSync(at("source", "size1"), 1234, 4321);
  }

  for (const [lanes, chunk] of [
    [1, 100],
    [3, 2],
  ] as const) {
    for (const verify of ["none", "readback"] as const) {
      test(`sends a directory over ${lanes} connections, verify ${verify}`, async () => {
        makeVariety();
        const { names, sent, landed, ends } = await transfer(lanes, chunk, { verify });
        expect(landed.map(({ status }) => status)).toEqual(names.map(() => 0));
        expect(sent.map(({ status }) => status)).toEqual(names.map(() => 0));
        expect(METHODS[METHOD_STREAM]).toBe("stream");
        for (const [index, name] of names.entries()) {
          same(name);
          const { method, bytes, size } = landed[index]!;
          const isContent = name.startsWith("n") || (name.startsWith("size") && name !== "size0");
          expect([name, method]).toEqual([name, isContent ? METHOD_STREAM : 0]);
          expect([name, bytes]).toEqual([name, isContent ? size : 0]);
        }
        expect(ends.map(({ status, detail }) => [status, detail])).toEqual(ends.map(() => [0, ""]));
        expect(ends.every(({ bytes }) => bytes > 0)).toBe(true);
        await nothingLeft();
      });
    }
  }

  test("replaces what stands in the target", async () => {
    makeVariety();
    fs.writeFileSync(at("target", "size513"), "old");
    fs.writeFileSync(at("target", "size3000001"), Buffer.alloc(5_000_000, "old"));
    fs.writeFileSync(at("target", "link"), "old");
    const { names, landed } = await transfer(2, 3);
    expect(landed.map(({ status }) => status)).toEqual(names.map(() => 0));
    for (const name of names) same(name);
    await nothingLeft();
  });

  test("tells what vanished, what changed, and goes on with the rest", async () => {
    for (const name of ["a", "b", "c"]) fs.writeFileSync(at("source", name), name);
    const ends = await open();
    fs.rmSync(at("source", "b"));
    fs.writeFileSync(at("source", "c"), "another content, longer");
    const lane = await connect(from, to);
    const rows = fileRows(ends.source);
    const common = { need: ++need, purpose: "content", rows } as const;
    const landing = to.receive({
      ...common,
      target: ends.target.dirfd,
      batch: ends.manifest,
      settings: to.prepare(SETTINGS),
    });
    const sent = outcomes(
      await from.send({
        ...common,
        source: ends.source.dirfd,
        batch: ends.source,
        settings: from.prepare(SETTINGS),
      }),
    );
    const landed = outcomes(await landing);
    expect(landed.map(({ status }) => status)).toEqual([0, -2, 0]);
    expect(sent.map(({ status }) => status)).toEqual([0, -2, 0]);
    expect(landed[2]).toMatchObject({ flags: 1, size: 23 });
    same("c");
    lane.in.end();
    expect(await lane.in.ended).toMatchObject({ status: 0 });
    // The other side sees that nobody listens any more.
    expect((await lane.out.ended).status).toBeLessThan(0);
    lane.close();
    done(ends);
    await nothingLeft();
  });

  test("a large file by ranges, of which one is already there", async () => {
    const megabyte = 2 ** 20;
    const content = new Uint8Array(3 * megabyte + 17).map((_, i) => (i * 31) ^ (i >> 12));
    fs.writeFileSync(at("source", "large"), content);
    const basis = content.slice();
    basis[megabyte + 5]! ^= 1;
    fs.writeFileSync(at("target", "large"), basis);
    const ends = await open();
    const lanes = [await connect(from, to), await connect(from, to)];
    const inplace = { ...SETTINGS, inplace: true, verify: "compare" } as const;
    const settings = { to: to.prepare(inplace), from: from.prepare(inplace) };
    const row = rowOf(ends.source, "large");
    const request = {
      source: -1,
      target: ends.target.dirfd,
      batch: ends.manifest,
      rows: Uint32Array.of(row + 0x80000000),
      settings: settings.to,
      resume: true,
    };
    const file = await to.largeBegin(request);
    expect(file).toMatchObject({ status: 0, cloned: false, source: -1, size: content.length });
    const half = 2 * megabyte;
    const blockBytes = 256 * 1024;
    const pieces = [
      { offset: 0, length: half },
      { offset: half, length: content.length - half },
    ];
    const results = await Promise.all(
      pieces.map(async ({ offset, length }, index) => {
        const id = ++need;
        const digests = await to.hashBlocks(file, offset, length, blockBytes);
        if (typeof digests === "number") throw new Error(`hashBlocks: ${digests}`);
        const landing = to.receiveRange(id, file, offset, length, settings.to);
        const sent = outcomes(
          await from.send({
            need: id,
            purpose: "range",
            source: ends.source.dirfd,
            batch: ends.source,
            rows: Uint32Array.of(row),
            settings: settings.from,
            offset,
            length,
            ...(index === 0 ? { basis: { blockBytes, digests } } : {}),
          }),
        );
        return { sent: sent[0]!, landed: await landing };
      }),
    );
    expect(results[0]!.landed).toMatchObject({ status: 0, bytes: blockBytes, method: METHOD_STREAM });
    expect(results[1]!.landed).toMatchObject({ status: 0, bytes: content.length - half });
    expect(results.map(({ sent }) => sent.status)).toEqual([0, 0]);
    const id = ++need;
    const commit = to.receiveCommit(id, file, request);
    const asked = await from.send({
      need: id,
      purpose: "commit",
      source: ends.source.dirfd,
      batch: ends.source,
      rows: Uint32Array.of(row),
      settings: settings.from,
    });
    expect(outcomes(asked)[0]!.status).toBe(0);
    expect(outcomes(await commit)[0]!.status).toBe(0);
    same("large");
    for (const lane of lanes) lane.out.end();
    await Promise.all(lanes.flatMap((lane) => [lane.in.ended, lane.out.ended]));
    for (const lane of lanes) lane.close();
    done(ends);
    await nothingLeft();
  });

  test("a commit of a file that changed publishes nothing", async () => {
    fs.writeFileSync(at("source", "large"), "0123456789");
    const ends = await open();
    fs.writeFileSync(at("source", "large"), "changed");
    const lane = await connect(from, to);
    const row = rowOf(ends.source, "large");
    const request = {
      source: -1,
      target: ends.target.dirfd,
      batch: ends.manifest,
      rows: Uint32Array.of(row),
      settings: to.prepare(SETTINGS),
      resume: false,
    };
    const file = await to.largeBegin(request);
    const id = ++need;
    const commit = to.receiveCommit(id, file, request);
    const settings = from.prepare(SETTINGS);
    const { source } = ends;
    from
      .send({ need: id, purpose: "commit", source: source.dirfd, batch: source, rows: Uint32Array.of(row), settings })
      .then((results) => results.release());
    expect(outcomes(await commit)[0]).toMatchObject({ status: EBUSY, flags: 2 });
    expect(fs.existsSync(at("target", "large"))).toBe(false);
    lane.out.end();
    await Promise.all([lane.in.ended, lane.out.ended]);
    lane.close();
    done(ends);
    await nothingLeft();
  });

  test("what waits answers when the last stream ends, and when everything is cancelled", async () => {
    fs.writeFileSync(at("source", "a"), "a");
    const ends = await open();
    const expectAll = () =>
      to.receive({
        need: ++need,
        purpose: "content",
        target: ends.target.dirfd,
        batch: ends.manifest,
        rows: fileRows(ends.source),
        settings: to.prepare(SETTINGS),
      });
    const lane = await connect(from, to);
    const first = expectAll();
    lane.out.end();
    expect(outcomes(await first)[0]!.status).toBe(EPIPE);
    await lane.in.ended;
    lane.close();
    const next = await connect(from, to);
    const second = expectAll();
    await to.nop();
    to.cancel();
    expect(outcomes(await second)[0]!.status).toBe(ECANCELED);
    expect((await next.in.ended).status).toBe(ECANCELED);
    expect((await next.out.ended).status).toBeLessThan(0);
    next.close();
    done(ends);
    await nothingLeft();
  });
});

function leadsTo(fd: string, root: string): boolean {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
  } catch {
    return false;
  }
}
