/**
 * A backend that fails where it is told to: the nth call of a kind answers an errno, or is done for a part of its rows
 * only, or the process dies before or after it. Everything else goes to the real one that it wraps.
 */
import type { EntryBatch } from "../../src/core/entry-batch.ts";
import { BatchFlag, type EntryFields, rowFields } from "../../src/core/entry-batch.ts";
import { failedItem } from "../../src/engine/large-file.ts";
import type {
  Backend,
  CopyRequest,
  DirHandle,
  ItemResults,
  LargeFile,
  LargeRequest,
  RangeResult,
} from "../../src/fs/backend.ts";
import { STAGES } from "../../src/fs/backend.ts";

/** Calls that can fail, each with the stage that its rows fail in. */
const CALLS = {
  walk: "open",
  stat: "open",
  resolve: "open",
  copy: "write",
  repair: "set attributes of",
  largeBegin: "create",
  largeRange: "write",
  largeCommit: "publish",
  largeAbort: "delete",
  remove: "delete",
  link: "publish",
  hash: "read",
  rename: "publish",
  sync: "sync",
  sweep: "delete",
} as const;
export type FaultyCall = keyof typeof CALLS;
export const FAULTY_CALLS = Object.keys(CALLS) as FaultyCall[];

export interface BackendFault {
  readonly call: FaultyCall;
  /** Which call of the kind, from 1. */
  readonly nth: number;
  /**
   * A positive errno for all of it; `partial`: that errno for what stands behind the first half of the rows; `self`, of a
   * walk: for the directory's own row.
   */
  readonly fault: number | { readonly partial: number } | { readonly self: number };
}

export interface FaultyBackend {
  readonly backend: Backend;
  /** Calls of each kind so far. */
  readonly calls: ReadonlyMap<FaultyCall, number>;
  /** Whether the fault came to pass. */
  readonly hit: () => boolean;
}

type Call = (...args: never[]) => unknown;

export function faultyBackend(real: Backend, fault: BackendFault | undefined): FaultyBackend {
  const calls = new Map<FaultyCall, number>();
  let hit = false;
  const intercept =
    (name: FaultyCall, original: Call): Call =>
    (...args) => {
      const count = (calls.get(name) ?? 0) + 1;
      calls.set(name, count);
      if (fault?.call !== name || fault.nth !== count) return original.apply(real, args);
      hit = true;
      return failing(real, name, args, fault.fault);
    };
  const backend = new Proxy(real, {
    get(target, key) {
      const value = Reflect.get(target, key, target) as unknown;
      if (typeof value !== "function") return value;
      const call = value.bind(target) as Call;
      return typeof key === "string" && key in CALLS ? intercept(key as FaultyCall, call) : call;
    },
  });
  return { backend, calls, hit: () => hit };
}

function failing(real: Backend, name: FaultyCall, args: readonly unknown[], fault: BackendFault["fault"]): unknown {
  if (typeof fault === "object" && "self" in fault)
    return selfless(real, args as Parameters<Backend["walk"]>, -fault.self);
  const isPartial = typeof fault === "object";
  const status = isPartial ? -fault.partial : -fault;
  const stage = STAGES.indexOf(CALLS[name]);
  switch (name) {
    case "walk":
      return isPartial
        ? halfWalk(real, args as Parameters<Backend["walk"]>, status)
        : Promise.resolve(noListing(real, status));
    case "stat": {
      const names = args[1] as readonly Uint8Array[];
      return Promise.resolve(
        real.makeBatch([...names.map((each) => ({ name: each, status })), { name: SELF, status: 0 }]),
      );
    }
    case "resolve":
    case "link":
    case "sync":
      return Promise.resolve(status);
    case "largeBegin": {
      const none = { source: -1, temp: -1, cloned: false, size: 0, basisBytes: 0, refused: 0, refusedErrno: 0 };
      return Promise.resolve({ status, stage, ...none } satisfies LargeFile);
    }
    case "largeRange":
      return Promise.resolve({ status, stage, bytes: 0, method: 0, refused: 0 } satisfies RangeResult);
    case "largeCommit": {
      const [file, request] = args as [LargeFile, LargeRequest];
      return real.largeAbort(file, request, true).then(() => failedItem(status, stage));
    }
    case "largeAbort": {
      // It cannot answer; what it leaves is there for the next run, as after a death.
      const [file, request] = args as [LargeFile, LargeRequest];
      return real.largeAbort(file, request, true);
    }
    case "remove":
    case "hash": {
      const [directory, batch, rows, ...rest] = args as [DirHandle, EntryBatch, Uint32Array, never, never];
      if (!isPartial) return Promise.resolve(failedItem(status, stage, 0, rows.length));
      const half = rows.slice(0, rows.length >> 1);
      const done = (real[name] as (...all: unknown[]) => Promise<ItemResults>)(directory, batch, half, ...rest);
      return done.then((results) => extended(results, rows.length, status, stage));
    }
    case "rename": {
      const [from, to, batch, rows] = args as Parameters<Backend["rename"]>;
      if (!isPartial) return Promise.resolve(failedItem(status, stage, 0, rows.length));
      const done = real.rename(from, to, batch, rows.slice(0, rows.length >> 1));
      return done.then((results) => extended(results, rows.length, status, stage));
    }
    case "sweep": {
      const [, , rows] = args as Parameters<Backend["sweep"]>;
      return Promise.resolve(failedItem(status, stage, 0, rows.length));
    }
    case "copy":
    case "repair": {
      const [request] = args as [CopyRequest];
      if (!isPartial) return Promise.resolve(failedItem(status, stage, 0, request.rows.length));
      const half = { ...request, rows: request.rows.slice(0, request.rows.length >> 1) };
      return real[name](half).then((results) => extended(results, request.rows.length, status, stage));
    }
  }
}

const SELF = Uint8Array.of(0x2e);

function noListing(real: Backend, status: number): EntryBatch {
  return real.makeBatch([{ name: SELF, status }], { status });
}

/** The first half of the names, and that reading the rest failed. */
async function halfWalk(real: Backend, args: Parameters<Backend["walk"]>, status: number): Promise<EntryBatch> {
  const listing = await real.walk(...args);
  return listing.status !== 0
    ? listing
    : listingOf(real, listing, listing.count >> 1, rowFields(listing, listing.self), {
        status,
        flags: listing.flags | BatchFlag.partial,
      });
}

/** All of the names, and that the directory itself could not be looked at. */
async function selfless(real: Backend, args: Parameters<Backend["walk"]>, status: number): Promise<EntryBatch> {
  const listing = await real.walk(...args);
  return listing.status !== 0 ? listing : listingOf(real, listing, listing.count, { status }, { flags: listing.flags });
}

/** The first rows of a listing, which is released, and another row for the directory itself. */
function listingOf(
  real: Backend,
  listing: EntryBatch,
  count: number,
  self: Omit<EntryFields, "name">,
  how: { readonly status?: number; readonly flags: number },
): EntryBatch {
  const { dirfd, filesystemType } = listing;
  const rows = Array.from({ length: count }, (_, row) => rowFields(listing, row));
  const made = real.makeBatch([...rows, { ...self, name: SELF }], { ...how, dirfd, filesystemType });
  real.releaseBatch(listing);
  return made;
}

/** Results of the first rows, and a failure for each further one. */
function extended(results: ItemResults, count: number, status: number, stage: number): ItemResults {
  const failed = failedItem(status, stage, 0, count);
  const of = (i: number): ItemResults => (i < results.count ? results : failed);
  return {
    count,
    status: (i) => of(i).status(i),
    stage: (i) => of(i).stage(i),
    method: (i) => of(i).method(i),
    refused: (i) => of(i).refused(i),
    refusedErrno: (i) => of(i).refusedErrno(i),
    warnings: (i) => of(i).warnings(i),
    warningErrno: (i) => of(i).warningErrno(i),
    flags: (i) => of(i).flags(i),
    bytes: (i) => of(i).bytes(i),
    size: (i) => of(i).size(i),
    digest: (i) => of(i).digest(i),
    release: () => results.release(),
  };
}
