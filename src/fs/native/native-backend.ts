/** `Backend` on the native library: every method fills one request and says how its answer is read. */
import {
  DELETE_SAME,
  DIGEST_BYTES,
  Hash,
  Large,
  LINK_EXISTS,
  type Library,
  MAX_WORKERS,
  NO_FD,
  Op,
  PROBE_TIMES,
  Resolve,
  Stage,
  SYNC_FILESYSTEM,
  Walk,
} from "../../../ffi/fsy.ts";
import { CONTROL, CQE, PROBE, RESULT, SQE } from "../../../ffi/layout.ts";
import { type BatchHeader, batchBytes, buildBatch, EntryBatch, type EntryFields } from "../../core/entry-batch.ts";
import type { RowLoops } from "../../core/row-loops.ts";
import type {
  Backend,
  BackendCapabilities,
  CopyRequest,
  DirHandle,
  ItemResults,
  LargeFile,
  LargeRequest,
  NeedNumber,
  PreparedSettings,
  ProbeResult,
  RangeResult,
  ReceiveRequest,
  SendRequest,
  StatOptions,
  WalkOptions,
  WireStream,
  WriteSettings,
} from "../backend.ts";
import type { TimeKeeping } from "../filesystems.ts";
import { NativeItemResults } from "./item-results.ts";
import { readProbe, readTimes } from "./probe.ts";
import { MAX_OUTSTANDING, RequestRing } from "./request-ring.ts";
import { NativeRowLoops } from "./row-loops.ts";
import { NativeWire } from "./wire.ts";
import { packOptions, SETTINGS_BYTES } from "./write-options.ts";

const Q = SQE.at;
const C = CQE.at;
const RATE = CONTROL.at.rate_bytes_per_second >> 3;
const BYTES_DONE = CONTROL.at.bytes_done >> 2;
const ARENA_USED = CONTROL.at.arena_used >> 2;
/** The source became shorter than it was. */
const EBUSY = 16;
const BATCH_HEADER_BYTES = 64;
/** Word of `total_bytes` in a batch. */
const BATCH_TOTAL = 2;
const SELF_NAME = new Uint8Array([0x2e]);

const CAPABILITIES: BackendCapabilities = {
  xattrs: true,
  acls: true,
  specials: true,
  hardLinks: true,
  sparse: true,
  confinesLinks: true,
  timeGranularityNs: 1,
  methods: ["clone", "copy_file_range", "sendfile", "mmap", "read_write"],
};

export interface Items {
  readonly block: number;
  readonly rowsAt: number;
  readonly pathAt: number;
  readonly results: NativeItemResults;
}

/** `more`: bytes behind the rows that the caller fills. */
export type FillRows = (
  op: Op,
  batch: EntryBatch,
  rows: Uint32Array,
  digestBytes?: number,
  more?: number,
) => { at: number; items: Items };
/** A request that writes files. With `file`, the two descriptors of a large file stand behind the row. */
export type FillItems = (op: Op, request: CopyRequest, file?: LargeFile) => { at: number; items: Items };

export class NativeBackend implements Backend {
  readonly kind = "native" as const;
  readonly reason: string;
  readonly capabilities = CAPABILITIES;
  readonly maxOutstanding = MAX_OUTSTANDING;
  readonly loops: RowLoops;
  private workerCount: number;
  private readonly ring: RequestRing;
  private readonly wire: NativeWire;
  private readonly isPrivileged = process.geteuid?.() === 0;
  private readonly runId: readonly [number, number];
  /** Options blocks by content: runs with the same settings share one, so that a daemon does not grow. */
  private readonly prepared = new Map<string, PreparedSettings>();

  constructor(library: Library, workers: number) {
    this.workerCount = Math.max(1, Math.min(MAX_WORKERS, workers));
    this.ring = new RequestRing(library.open(this.workerCount));
    this.loops = new NativeRowLoops(this.ring);
    this.wire = new NativeWire(this.ring, { rows: this.fillRows, writes: this.fillItems });
    this.reason = `native library ${library.path}`;
    const [low, high] = crypto.getRandomValues(new Uint32Array(2));
    this.runId = [low!, high!];
  }

  get workers(): number {
    return this.workerCount;
  }
  setWorkers(workers: number): void {
    const count = Math.max(1, Math.min(MAX_WORKERS, workers));
    this.ring.setWorkers(count);
    this.workerCount = count;
  }
  setRate(bytesPerSecond: number): void {
    this.ring.f64[RATE] = bytesPerSecond > 0 ? bytesPerSecond : 0;
  }
  bytesDone(): number {
    return this.ring.counter(BYTES_DONE);
  }
  /** Bytes of the arena that requests and batches hold; settings are kept and do not count. 0 when all is given back. */
  arenaUsed(): number {
    return this.ring.counter(ARENA_USED) - this.prepared.size * SETTINGS_BYTES;
  }
  cancel(): void {
    this.ring.cancel();
  }
  quiet(): Promise<void> {
    return this.ring.quiet();
  }
  shutdown(): Promise<void> {
    return this.ring.shutdown();
  }

  /** The round trip alone, for measuring. */
  nop(): Promise<number> {
    const request = this.ring.take(Op.nop);
    return this.ring.send(request, this.resultOf);
  }

  walk(parent: DirHandle, name: Uint8Array, options: WalkOptions): Promise<EntryBatch> {
    const { ring } = this;
    const path = this.packPaths([name]);
    const request = ring.take(Op.walk);
    const word = request >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = parent;
    ring.u32[word + (Q.flags >> 2)] =
      this.attributeFlags(options) |
      this.confine(word, options) |
      (options.follow ? Walk.follow : 0) |
      (options.create ? Walk.create : 0) |
      (options.openFollow ? Walk.openFollow : 0) |
      (options.writable ? Walk.writable : 0) |
      (options.selfOnly ? Walk.selfOnly : 0) |
      (options.noAtime ? Walk.noatime : 0);
    ring.u32[word + (Q.path >> 2)] = path;
    ring.u32[word + (Q.path_bytes >> 2)] = name.length + 1;
    return ring.send(request, (completion) => {
      ring.free(path);
      return this.batchOf(completion);
    });
  }

  private confine(word: number, { confine }: StatOptions): number {
    if (confine === undefined) return 0;
    this.ring.i32[word + (Q.fd1 >> 2)] = confine;
    return Walk.confined;
  }

  stat(parent: DirHandle, names: readonly Uint8Array[], options: StatOptions): Promise<EntryBatch> {
    const { ring } = this;
    const path = this.packPaths(names);
    const request = ring.take(Op.stat);
    const word = request >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = parent;
    ring.u32[word + (Q.flags >> 2)] =
      this.attributeFlags(options) | this.confine(word, options) | (options.follow ? Walk.follow : 0);
    ring.u32[word + (Q.count >> 2)] = names.length;
    ring.u32[word + (Q.path >> 2)] = path;
    ring.u32[word + (Q.path_bytes >> 2)] = packedBytes(names);
    return ring.send(request, (completion) => {
      ring.free(path);
      return this.batchOf(completion);
    });
  }

  resolve(parent: DirHandle, path: Uint8Array, options: { create: boolean; operator: boolean }): Promise<number> {
    const { ring } = this;
    const block = this.packPaths([path]);
    const request = ring.take(Op.resolve);
    const word = request >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = parent;
    ring.u32[word + (Q.flags >> 2)] = (options.create ? Resolve.create : 0) | (options.operator ? Resolve.operator : 0);
    ring.u32[word + (Q.path >> 2)] = block;
    ring.u32[word + (Q.path_bytes >> 2)] = path.length + 1;
    return ring.send(request, (completion) => {
      ring.free(block);
      const status = this.resultOf(completion);
      return status < 0 ? status : ring.i32[(completion + C.fd0) >> 2]!;
    });
  }

  prepare(settings: WriteSettings): PreparedSettings {
    const key = JSON.stringify({ ...settings, backupSuffix: [...settings.backupSuffix] });
    const known = this.prepared.get(key);
    if (known !== undefined) return known;
    const isPrivileged = settings.privileged ?? this.isPrivileged;
    const token = packOptions(this.ring, settings, isPrivileged, this.runId);
    const made = { settings, token };
    this.prepared.set(key, made);
    return made;
  }

  copy(request: CopyRequest): Promise<ItemResults> {
    return this.writeItems(Op.copy, request);
  }
  repair(request: CopyRequest): Promise<ItemResults> {
    return this.writeItems(Op.repair, request);
  }

  largeBegin(request: LargeRequest): Promise<LargeFile> {
    const { ring } = this;
    const { at, items } = this.fillItems(Op.largeBegin, request);
    ring.u32[(at + Q.flags) >> 2] = request.resume ? Large.resume : 0;
    return ring.send(at, (completion) => {
      const word = completion >> 2;
      const status = this.resultOf(completion);
      const results = items.results.settle(status);
      const file: LargeFile = {
        status: status < 0 ? status : results.status(0),
        stage: results.stage(0),
        source: ring.i32[word + (C.fd0 >> 2)]!,
        temp: ring.i32[word + (C.fd1 >> 2)]!,
        cloned: ring.u32[word + (C.method >> 2)] === 1,
        size: ring.f64[(completion + C.length) >> 3]!,
        basisBytes: ring.f64[(completion + C.bytes) >> 3]!,
        refused: results.refused(0),
        refusedErrno: results.refusedErrno(0),
      };
      results.release();
      return file;
    });
  }

  largeRange(
    file: LargeFile,
    offset: number,
    length: number,
    compare: boolean,
    settings: PreparedSettings,
  ): Promise<RangeResult> {
    const { ring } = this;
    const at = ring.take(Op.largeRange);
    const word = at >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = file.source;
    ring.i32[word + (Q.fd1 >> 2)] = file.temp;
    ring.u32[word + (Q.flags >> 2)] = compare ? Large.compare : 0;
    ring.u32[word + (Q.options >> 2)] = settings.token;
    ring.f64[(at + Q.offset) >> 3] = offset;
    ring.f64[(at + Q.length) >> 3] = length;
    return ring.send(at, (completion) => {
      const word = completion >> 2;
      const status = this.resultOf(completion);
      return {
        status,
        stage: status === 0 ? Stage.none : status === -EBUSY ? Stage.read : Stage.write,
        bytes: ring.f64[(completion + C.bytes) >> 3]!,
        method: ring.u32[word + (C.method >> 2)]!,
        refused: ring.u32[word + (C.flags >> 2)]!,
      };
    });
  }

  largeCommit(file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    const { at, items } = this.fillItems(Op.largeCommit, request, file);
    return this.ring.send(at, (completion) => items.results.settle(this.resultOf(completion)));
  }

  largeAbort(file: LargeFile, request: LargeRequest, keepPart: boolean): Promise<void> {
    const { at, items } = this.fillItems(Op.largeAbort, request, file);
    this.ring.u32[(at + Q.flags) >> 2] = keepPart ? Large.keep : 0;
    return this.ring.send(at, () => items.results.release());
  }

  remove(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    options: { same: boolean; backup?: DirHandle; settings?: PreparedSettings },
  ): Promise<ItemResults> {
    const { at, items } = this.fillRows(Op.delete, batch, rows);
    const word = at >> 2;
    this.ring.i32[word + (Q.fd0 >> 2)] = directory;
    this.ring.i32[word + (Q.fd2 >> 2)] = options.backup ?? NO_FD;
    this.ring.u32[word + (Q.flags >> 2)] = options.same ? DELETE_SAME : 0;
    this.ring.u32[word + (Q.options >> 2)] = options.settings?.token ?? 0;
    return this.sendItems(at, items);
  }

  link(
    root: DirHandle,
    leader: Uint8Array,
    directory: DirHandle,
    name: Uint8Array,
    exists: boolean,
    kept?: { readonly backup: DirHandle; readonly settings: PreparedSettings },
  ): Promise<number> {
    const { ring } = this;
    const paths = [leader, name];
    const path = this.packPaths(paths);
    const request = ring.take(Op.link);
    const word = request >> 2;
    ring.i32[word + (Q.fd0 >> 2)] = root;
    ring.i32[word + (Q.fd1 >> 2)] = directory;
    ring.i32[word + (Q.fd2 >> 2)] = kept?.backup ?? NO_FD;
    ring.u32[word + (Q.options >> 2)] = kept?.settings.token ?? 0;
    ring.u32[word + (Q.flags >> 2)] = exists ? LINK_EXISTS : 0;
    ring.u32[word + (Q.count >> 2)] = 2;
    ring.u32[word + (Q.path >> 2)] = path;
    ring.u32[word + (Q.path_bytes >> 2)] = packedBytes(paths);
    return ring.send(request, (completion) => {
      ring.free(path);
      return this.resultOf(completion);
    });
  }

  hash(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    algorithm: "xxh3-128" | "sha256",
    settings: PreparedSettings,
  ): Promise<ItemResults> {
    const isShort = algorithm === "xxh3-128";
    const { at, items } = this.fillRows(Op.hash, batch, rows, isShort ? 16 : DIGEST_BYTES);
    const word = at >> 2;
    this.ring.i32[word + (Q.fd0 >> 2)] = directory;
    this.ring.u32[word + (Q.extra >> 2)] = isShort ? Hash.xxh3 : Hash.sha256;
    this.ring.u32[word + (Q.options >> 2)] = settings.token;
    return this.sendItems(at, items);
  }

  openStream(fd: number, direction: "send" | "receive", options: { idleMs: number }): WireStream {
    return this.wire.openStream(fd, direction, options.idleMs);
  }
  send(request: SendRequest): Promise<ItemResults> {
    return this.wire.send(request);
  }
  receive(request: ReceiveRequest): Promise<ItemResults> {
    return this.wire.receive(request);
  }
  receiveRange(
    need: NeedNumber,
    file: LargeFile,
    offset: number,
    length: number,
    settings: PreparedSettings,
  ): Promise<RangeResult> {
    return this.wire.receiveRange(need, file, offset, length, settings);
  }
  receiveCommit(need: NeedNumber, file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    return this.wire.receiveCommit(need, file, request);
  }
  hashBlocks(file: LargeFile, offset: number, length: number, blockBytes: number): Promise<Uint8Array | number> {
    return this.wire.hashBlocks(file, offset, length, blockBytes);
  }

  rename(source: DirHandle, target: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults> {
    const { at, items } = this.fillRows(Op.rename, batch, rows);
    this.ring.i32[(at + Q.fd0) >> 2] = source;
    this.ring.i32[(at + Q.fd1) >> 2] = target;
    return this.sendItems(at, items);
  }

  sweep(directory: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults> {
    const { at, items } = this.fillRows(Op.sweep, batch, rows);
    this.ring.i32[(at + Q.fd0) >> 2] = directory;
    return this.sendItems(at, items);
  }

  sync(handle: DirHandle, wholeFilesystem: boolean): Promise<number> {
    const request = this.ring.take(Op.sync);
    this.ring.i32[(request + Q.fd0) >> 2] = handle;
    this.ring.u32[(request + Q.flags) >> 2] = wholeFilesystem ? SYNC_FILESYSTEM : 0;
    return this.ring.send(request, this.resultOf);
  }

  probe(source: DirHandle, target: DirHandle): Promise<ProbeResult> {
    const { ring } = this;
    const request = ring.take(Op.probe);
    ring.i32[(request + Q.fd0) >> 2] = source;
    ring.i32[(request + Q.fd1) >> 2] = target;
    return ring.send(request, (completion) => {
      const block = ring.u32[(completion + C.block) >> 2]!;
      if (block === 0) throw new Error(`the probe failed: errno ${-this.resultOf(completion)}`);
      ring.reach(block + PROBE.bytes);
      const probe = readProbe(ring, block);
      ring.free(block);
      return probe;
    });
  }

  probeTimes(directory: DirHandle): Promise<TimeKeeping | undefined> {
    const { ring } = this;
    const request = ring.take(Op.probe);
    ring.i32[(request + Q.fd1) >> 2] = directory;
    ring.u32[(request + Q.flags) >> 2] = PROBE_TIMES;
    return ring.send(request, (completion) => {
      const block = ring.u32[(completion + C.block) >> 2]!;
      if (block === 0) return undefined;
      ring.reach(block + PROBE.bytes);
      const times = this.resultOf(completion) === 0 ? readTimes(ring, block) : undefined;
      ring.free(block);
      return times;
    });
  }

  close(handles: readonly DirHandle[]): void {
    this.ring.close(handles);
  }

  releaseBatch(batch: EntryBatch): void {
    this.assertOurs(batch);
    this.ring.free(batch.at);
  }

  batchMemory(bytes: number): { bytes: Uint8Array; u32: Uint32Array; f64: Float64Array; at: number } {
    const { ring } = this;
    const at = ring.alloc(bytes);
    return { bytes: ring.bytes, u32: ring.u32, f64: ring.f64, at };
  }

  makeBatch(entries: readonly EntryFields[], header?: BatchHeader): EntryBatch {
    return buildBatch(entries, header, this.batchMemory(batchBytes(entries)));
  }

  // ---- filling and reading ------------------------------------------------------------------------------------

  private readonly resultOf = (completion: number): number => this.ring.i32[(completion + C.result) >> 2]!;

  private batchOf(completion: number): EntryBatch {
    const { ring } = this;
    const block = ring.u32[(completion + C.block) >> 2]!;
    if (block !== 0) {
      ring.reach(block + BATCH_HEADER_BYTES);
      ring.reach(block + ring.u32[(block >> 2) + BATCH_TOTAL]!);
      return new EntryBatch(ring.bytes, ring.u32, ring.f64, block);
    }
    // Nothing could be listed at all, for want of memory or because the request itself was refused.
    const status = this.resultOf(completion);
    return this.makeBatch([{ name: SELF_NAME, status: status || -5 }], { status: status || -5 });
  }

  private attributeFlags(options: StatOptions): number {
    return (
      (options.blocks === true ? Walk.blocks : 0) |
      (options.xattrs ? Walk.xattrs : 0) |
      (options.xattrs && (options.privileged ?? this.isPrivileged) ? Walk.xattrPrivileged : 0) |
      (options.acls ? Walk.acls : 0)
    );
  }

  /** The bytes of a batch must lie in the arena: the workers see offsets only. */
  private assertOurs(batch: EntryBatch): void {
    if (!this.ring.holds(batch.u32)) throw new Error("this batch was not made by this backend");
  }

  private packPaths(paths: readonly Uint8Array[]): number {
    for (const path of paths) if (path.includes(0)) throw new Error("a path with a NUL byte");
    const { ring } = this;
    const block = ring.alloc(packedBytes(paths));
    let at = block;
    for (const path of paths) {
      ring.bytes.set(path, at);
      at += path.length;
      ring.bytes[at++] = 0;
    }
    return block;
  }

  /** One block: results (and digests), row numbers, and the target's name if there is one. */
  private packItems(batch: EntryBatch, rows: Uint32Array, digestBytes: number, name?: Uint8Array, more = 0): Items {
    this.assertOurs(batch);
    if (name?.includes(0)) throw new Error("a name with a NUL byte");
    const { ring } = this;
    const resultBytes = rows.length * (RESULT.bytes + (digestBytes > 0 ? DIGEST_BYTES : 0));
    const rowBytes = rows.length * 4 + more;
    const block = ring.alloc(resultBytes + rowBytes + (name === undefined ? 0 : name.length + 1));
    const rowsAt = block + resultBytes;
    ring.u32.set(rows, rowsAt >> 2);
    let pathAt = 0;
    if (name !== undefined) {
      pathAt = rowsAt + rowBytes;
      ring.bytes.set(name, pathAt);
      ring.bytes[pathAt + name.length] = 0;
    }
    return { block, rowsAt, pathAt, results: new NativeItemResults(ring, block, rows.length, digestBytes) };
  }

  private readonly fillRows: FillRows = (op, batch, rows, digestBytes = 0, more = 0) => {
    const items = this.packItems(batch, rows, digestBytes, undefined, more);
    return { at: this.fill(op, batch, rows.length, items), items };
  };

  private fill(op: Op, batch: EntryBatch, count: number, items: Items): number {
    const { ring } = this;
    const at = ring.take(op);
    const word = at >> 2;
    ring.u32[word + (Q.count >> 2)] = count;
    ring.u32[word + (Q.batch >> 2)] = batch.at;
    ring.u32[word + (Q.rows >> 2)] = items.rowsAt;
    ring.u32[word + (Q.results >> 2)] = items.block;
    return at;
  }

  private readonly fillItems: FillItems = (op, request, file) => {
    const { ring } = this;
    const { batch, rows, targetName } = request;
    const items = this.packItems(batch, rows, 0, targetName, file === undefined ? 0 : 8);
    const at = this.fill(op, batch, rows.length, items);
    const word = at >> 2;
    const fds = word + (Q.fd0 >> 2);
    ring.i32[fds] = request.source;
    ring.i32[fds + 1] = request.target;
    ring.i32[fds + 2] = request.backup ?? NO_FD;
    ring.i32[fds + 3] = request.temp ?? NO_FD;
    ring.u32[word + (Q.options >> 2)] = request.settings.token;
    if (targetName !== undefined) {
      ring.u32[word + (Q.path >> 2)] = items.pathAt;
      ring.u32[word + (Q.path_bytes >> 2)] = targetName.length + 1;
    }
    if (file !== undefined) {
      const pair = items.rowsAt + rows.length * 4;
      ring.i32[pair >> 2] = file.source;
      ring.i32[(pair >> 2) + 1] = file.temp;
      ring.u32[word + (Q.extra >> 2)] = pair;
    }
    return { at, items };
  };

  private writeItems(op: Op, request: CopyRequest): Promise<ItemResults> {
    const { at, items } = this.fillItems(op, request);
    return this.sendItems(at, items);
  }

  private sendItems(at: number, items: Items): Promise<ItemResults> {
    return this.ring.send(at, (completion) => items.results.settle(this.resultOf(completion)));
  }
}

function packedBytes(paths: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const path of paths) bytes += path.length + 1;
  return bytes;
}
