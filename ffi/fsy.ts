/** The C ABI of `fsy.h` in TypeScript: constants, symbols, and the checks at load. See the header for what they mean. */
import { dlopen, ptr, toArrayBuffer } from "bun:ffi";
import { fingerprint } from "./layout.ts";

export const ABI = 5;
export const ARENA_BYTES = 2 ** 31;
export const SQ_SIZE = 1024;
export const CQ_SIZE = 1024;
export const MAX_WORKERS = 64;
export const NO_FD = -1;
export const F64_COLUMN_COUNT = 2;
export const U32_COLUMN_COUNT = 19;

export const Op = {
  nop: 0,
  walk: 1,
  stat: 2,
  resolve: 3,
  copy: 4,
  repair: 5,
  largeBegin: 6,
  largeRange: 7,
  largeCommit: 8,
  largeAbort: 9,
  delete: 10,
  link: 11,
  hash: 12,
  rename: 13,
  close: 14,
  sync: 15,
  probe: 16,
  sweep: 17,
  hashBlocks: 18,
  stream: 19,
  streamEnd: 20,
  send: 21,
  receive: 22,
} as const;
export type Op = (typeof Op)[keyof typeof Op];
const OP_COUNT = Object.keys(Op).length;

export const Method = {
  none: 0,
  clone: 1,
  copyFileRange: 2,
  sendfile: 3,
  mmap: 4,
  readWrite: 5,
  delta: 6,
  rename: 7,
  stream: 8,
} as const;
const METHOD_COUNT = Object.keys(Method).length;

export const Stage = {
  none: 0,
  openSource: 1,
  read: 2,
  create: 3,
  write: 4,
  meta: 5,
  verify: 6,
  sync: 7,
  backup: 8,
  publish: 9,
  delete: 10,
} as const;

export const Opt = {
  perms: 1 << 0,
  times: 1 << 1,
  owner: 1 << 2,
  group: 1 << 3,
  xattrs: 1 << 4,
  acls: 1 << 5,
  sparse: 1 << 6,
  inplace: 1 << 7,
  fsync: 1 << 8,
  verify: 1 << 9,
  readback: 1 << 10,
  noatime: 1 << 11,
  follow: 1 << 12,
  dirTimes: 1 << 13,
  delta: 1 << 14,
  linkTimes: 1 << 15,
  xattrPrivileged: 1 << 16,
  rowOwners: 1 << 17,
} as const;

export const Walk = {
  xattrs: 1,
  acls: 2,
  follow: 4,
  create: 8,
  openFollow: 16,
  writable: 32,
  xattrPrivileged: 64,
  selfOnly: 128,
  confined: 256,
  noatime: 512,
  blocks: 1024,
} as const;
export const Resolve = { create: 1, operator: 2 } as const;
export const Large = { compare: 1, keep: 2, resume: 4 } as const;
export const DELETE_SAME = 1;
export const LINK_EXISTS = 1;
export const PROBE_TIMES = 1;
export const Hash = { xxh3: 0, sha256: 1 } as const;
export const DIGEST_BYTES = 32;
export const CLOSE_QUIET = 1;
export const SYNC_FILESYSTEM = 1;
export const MAX_STREAMS = 64;
export const Stream = { send: 0, receive: 1 } as const;
export const Wire = { content: 0, attributes: 1, range: 2, commit: 3 } as const;
/** Why a stream ended; index = `FSY_REASON_*`. */
export const REASONS = [
  "none",
  "closed",
  "idle",
  "socket",
  "memory",
  "magic",
  "crc",
  "type",
  "field",
  "length",
  "need",
  "item",
  "record",
  "attributes",
  "archive",
  "order",
  "data",
  "talks",
] as const;
export type Reason = (typeof REASONS)[number];
export const KEEP_ID = 0xffffffff;
export const SMALL_BYTES = 64 * 1024;
export const MMAP_BYTES = 256 * 1024;

/** Columns of a manifest (`FSY_PACK_*`); their names are in `src/core/row-loops.ts`. */
export const PACK_COLUMN_COUNT = 17;
export const PACK_WITH_INODES = 1;
export const RowCheck = { stripSetid: 1, devices: 2, specials: 4 } as const;
/** -ENOSPC: the buffer is too small. */
export const NO_ROOM = -28;
const INVALID = -22;

const SYMBOLS = {
  fsy_abi: { args: [], returns: "u32" },
  fsy_layout: { args: [], returns: "u32" },
  fsy_open: { args: ["u32", "ptr"], returns: "ptr" },
  fsy_arena: { args: ["ptr"], returns: "ptr" },
  fsy_wake_fd: { args: ["ptr"], returns: "i32" },
  fsy_set_workers: { args: ["ptr", "u32"], returns: "i32" },
  fsy_submit: { args: ["ptr"], returns: "i32" },
  fsy_reap: { args: ["ptr"], returns: "u32" },
  fsy_alloc: { args: ["ptr", "u32"], returns: "u32" },
  fsy_free: { args: ["ptr", "u32"], returns: "void" },
  fsy_cancel: { args: ["ptr"], returns: "void" },
  fsy_rows_match: { args: ["ptr", "u32", "u32", "ptr", "ptr"], returns: "i32" },
  fsy_rows_pack: { args: ["ptr", "u32", "u32", "u32", "u32", "ptr", "u32", "ptr"], returns: "i32" },
  fsy_rows_unpack: { args: ["ptr", "u32", "u32", "u32", "u32", "ptr", "u32", "ptr"], returns: "i32" },
  fsy_rows_check: { args: ["ptr", "u32", "u32"], returns: "i32" },
  fsy_duplicate: { args: ["i32"], returns: "i32" },
  fsy_raise_nofile: { args: [], returns: "u32" },
  fsy_close: { args: ["ptr"], returns: "void" },
} as const;

/** A loaded library that passed the checks. */
export interface Library {
  readonly path: string;
  /** The limit on open files now in force. */
  raiseOpenFiles(): number;
  open(workers: number): Ring;
}

/** Loops over the rows of batches in the arena; each answers a negative errno for what may not be. */
export interface RowCalls {
  /** Both arrays have a place for each row of the source. The number of rows that are alike. */
  matchRows(source: number, target: number, targetRows: Int32Array, alike: Uint8Array): number;
  /** Bytes used of `out`, or `NO_ROOM`. `lengths`: PACK_COLUMN_COUNT. */
  packRows(batch: number, from: number, to: number, flags: number, out: Uint8Array, lengths: Uint32Array): number;
  /** `table`: offset in `base` and bytes of each column. 0 when all of it fits. */
  unpackRows(
    batch: number,
    from: number,
    rows: number,
    textAt: number,
    base: ArrayBufferLike,
    table: Uint32Array,
  ): number;
  /** 0 when the batch may be believed. `flags`: `RowCheck`. */
  checkRows(batch: number, flags: number): number;
}

/** One `fsy_ring`. All calls are cheap and none blocks, except `close`, which waits for running requests. */
export interface Ring {
  /** The first `bytes` of the arena; detached by `close`, so that a late reader gets nothing instead of a fault. */
  window(bytes: number): ArrayBuffer;
  readonly wakeFd: number;
  readonly calls: RowCalls;
  setWorkers(workers: number): void;
  submit(): number;
  reap(): number;
  /** 0 when the arena is full. */
  alloc(bytes: number): number;
  free(block: number): void;
  /** Everything that waits or runs answers -ECANCELED soon. */
  cancel(): void;
  /** A duplicate of a descriptor, for `Op.stream`; or a negative errno. */
  duplicate(fd: number): number;
  close(): void;
}

/** Loads and checks; throws with a reason that fits into one line. */
export function loadLibrary(path: string, shownAs = path): Library {
  const { symbols } = dlopen(path, SYMBOLS);
  const abi = symbols.fsy_abi();
  if (abi !== ABI) throw new Error(`ABI ${abi}, this program needs ${ABI}`);
  const expected = fingerprint([F64_COLUMN_COUNT, U32_COLUMN_COUNT, OP_COUNT, METHOD_COUNT]);
  const layout = symbols.fsy_layout();
  if (layout !== expected)
    throw new Error(`struct layout ${layout.toString(16)}, this program has ${expected.toString(16)}`);
  return {
    path: shownAs,
    raiseOpenFiles: () => symbols.fsy_raise_nofile(),
    open(workers) {
      checkWorkers(workers);
      const error = new Int32Array(1);
      const ring = symbols.fsy_open(workers, ptr(error));
      if (ring === null) throw new Error(`fsy_open: errno ${-error[0]!}`);
      return wrap(symbols, ring);
    },
  };
}

/** bun:ffi wraps numbers silently: `u32(-1)` and `u32(2 ** 32 + 5)` would arrive as something else. */
function checkU32(value: number, what: string): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= 0xffffffff)) throw new RangeError(`${what}: ${value}`);
}
function checkWorkers(workers: number): void {
  if (!(Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS))
    throw new RangeError(`workers: ${workers}`);
}

type Symbols = ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];

type Handle = NonNullable<ReturnType<Symbols["fsy_open"]>>;

function wrap(symbols: Symbols, ring: Handle): Ring {
  const base = symbols.fsy_arena(ring);
  if (base === null) throw new Error("fsy_arena: no memory");
  const windows: ArrayBuffer[] = [];
  let isOpen = true;
  const { fsy_submit, fsy_reap, fsy_alloc, fsy_free } = symbols;
  // A call on a closed ring would use freed memory; the checks are a nanosecond each.
  const alive = (): Handle => {
    if (!isOpen) throw new Error("the native library was shut down");
    return ring;
  };
  return {
    window(bytes) {
      alive();
      if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= ARENA_BYTES)) throw new RangeError(`window: ${bytes}`);
      const window = toArrayBuffer(base, 0, bytes);
      windows.push(window);
      return window;
    },
    wakeFd: symbols.fsy_wake_fd(ring),
    calls: rowCalls(symbols, alive),
    setWorkers(workers) {
      checkWorkers(workers);
      const status = symbols.fsy_set_workers(alive(), workers);
      if (status < 0) throw new Error(`fsy_set_workers: errno ${-status}`);
    },
    submit: () => fsy_submit(alive()),
    reap: () => fsy_reap(alive()),
    alloc(bytes) {
      checkU32(bytes, "bytes");
      return fsy_alloc(alive(), bytes);
    },
    free(block) {
      checkU32(block, "block");
      if (isOpen) fsy_free(ring, block);
    },
    cancel: () => symbols.fsy_cancel(alive()),
    duplicate(fd) {
      if (!(Number.isInteger(fd) && fd >= 0 && fd <= 0x7fffffff)) throw new RangeError(`descriptor: ${fd}`);
      return symbols.fsy_duplicate(fd);
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      for (const window of windows) window.transfer();
      symbols.fsy_close(ring);
    },
  };
}

function rowCalls(symbols: Symbols, alive: () => Handle): RowCalls {
  const { fsy_rows_match, fsy_rows_pack, fsy_rows_unpack, fsy_rows_check } = symbols;
  const u32 = checkU32;
  return {
    matchRows(source, target, targetRows, alike) {
      u32(source, "source");
      u32(target, "target");
      return fsy_rows_match(alive(), source, target, targetRows, alike);
    },
    packRows(batch, from, to, flags, out, lengths) {
      u32(batch, "batch");
      u32(from, "from");
      u32(to, "to");
      if (lengths.length !== PACK_COLUMN_COUNT) throw new RangeError(`lengths: ${lengths.length}`);
      return fsy_rows_pack(alive(), batch, from, to, flags, out, out.length, lengths);
    },
    unpackRows(batch, from, rows, textAt, base, table) {
      u32(batch, "batch");
      u32(from, "from");
      u32(rows, "rows");
      u32(textAt, "textAt");
      if (table.length !== 2 * PACK_COLUMN_COUNT) throw new RangeError(`table: ${table.length}`);
      if (base.byteLength === 0 || base.byteLength > 0xffffffff) return INVALID;
      return fsy_rows_unpack(alive(), batch, from, rows, textAt, new Uint8Array(base), base.byteLength, table);
    },
    checkRows(batch, flags) {
      u32(batch, "batch");
      return fsy_rows_check(alive(), batch, flags);
    },
  };
}
