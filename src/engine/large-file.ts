/**
 * One large file, by several workers.
 *
 *     begin: open source and temporary file; a clone ends it here
 *     split into ranges; keep `workers` of them in flight; ranges below the basis are compared before they are written
 *     commit: check that the source did not change, metadata, publish
 *     the source is not what was listed: once more as it is now, with what is there as basis
 */
import type { ByteBudget } from "../core/byte-budget.ts";
import { FileType } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type Backend,
  ItemFlag,
  type ItemResults,
  type LargeFile,
  type LargeRequest,
  METHODS,
  ROW_EXISTS,
} from "../fs/backend.ts";

/** How a large file is cut, and how much of this run's content may be on its way. */
export interface Ranging {
  /** Length of a range; 0: by its size and the workers, or as `LIMITS` says. */
  readonly chunkBytes: number;
  readonly budget: ByteBudget;
}

/** `onBytes` hears of payload as it lands. Keeps the part for the next run when the file could not be finished. */
export async function copyLargeFile(
  backend: Backend,
  request: LargeRequest,
  ranging: Ranging,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ItemResults> {
  const attempt = await copyOnce(backend, request, ranging, onBytes, signal);
  const changed = attempt.status(0) === -E.BUSY && (attempt.flags(0) & ItemFlag.changed) !== 0;
  if (!changed || signal.aborted) return attempt;
  const row = request.rows[0]!;
  const { xattrs, acls, follow } = request.settings.settings;
  const name = request.batch.name(row & ~ROW_EXISTS).slice();
  const fresh = await backend.stat(request.source, [name], { xattrs, acls, follow });
  try {
    if (fresh.rowStatus(0) !== 0 || fresh.type(0) !== FileType.regular) return attempt;
    attempt.release();
    const rows = Uint32Array.of((row & ROW_EXISTS) >>> 0);
    return asRetried(await copyOnce(backend, { ...request, batch: fresh, rows }, ranging, onBytes, signal));
  } finally {
    backend.releaseBatch(fresh);
  }
}

export function asRetried(results: ItemResults): ItemResults {
  return {
    count: 1,
    status: (i) => results.status(i),
    stage: (i) => results.stage(i),
    method: (i) => results.method(i),
    refused: (i) => results.refused(i),
    refusedErrno: (i) => results.refusedErrno(i),
    warnings: (i) => results.warnings(i),
    warningErrno: (i) => results.warningErrno(i),
    flags: (i) => results.flags(i) | (results.status(i) === 0 ? ItemFlag.retried : 0),
    bytes: (i) => results.bytes(i),
    size: (i) => results.size(i),
    digest: (i) => results.digest(i),
    release: () => results.release(),
  };
}

async function copyOnce(
  backend: Backend,
  request: LargeRequest,
  { chunkBytes, budget }: Ranging,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ItemResults> {
  const file = await backend.largeBegin(request);
  if (file.status !== 0) return failedItem(file.status, file.stage, file.refused);
  if (file.cloned)
    return withTransfer(file, await backend.largeCommit(file, request), 0, METHODS.indexOf("clone"), file.refused);
  const ranges = splitRanges(file.size, backend.workers, chunkBytes);
  let bytes = 0;
  let method = 0;
  let refused = file.refused;
  let failure: { status: number; stage: number } | undefined;
  const lane = async (): Promise<void> => {
    while (failure === undefined && !signal.aborted) {
      const range = ranges.next().value;
      if (range === undefined) return;
      const { offset, length } = range;
      const result = await budget.run(length, () =>
        backend.largeRange(file, offset, length, offset < file.basisBytes, request.settings),
      );
      bytes += result.bytes;
      refused |= result.refused;
      if (result.method !== 0) method = result.method;
      onBytes(result.bytes);
      if (result.status !== 0) failure ??= { status: result.status, stage: result.stage };
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, backend.workers) }, lane));
  if (signal.aborted) failure ??= { status: -E.CANCELED, stage: 4 };
  if (failure !== undefined) {
    // A part on a full disk would keep it full.
    const isFull = failure.status === -E.NOSPC || failure.status === -E.DQUOT;
    await backend.largeAbort(file, request, !isFull);
    return failedItem(failure.status, failure.stage, refused);
  }
  return withTransfer(file, await backend.largeCommit(file, request), bytes, method, refused);
}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

const MIB = 1 << 20;

/**
 * Even ranges, a multiple of 1 MiB long, at least two per worker where the file is long enough for that. `chunkBytes`:
 * so long instead; 0: nobody said so.
 */
export function* splitRanges(size: number, workers: number, chunkBytes = 0): Generator<Range, undefined> {
  const even = Math.ceil(size / Math.max(1, workers * 2) / MIB) * MIB;
  const usual = Math.min(LIMITS.rangeBytes, Math.max(LIMITS.minRangeBytes, even));
  const length = Math.max(chunkBytes > 0 ? chunkBytes : usual, lengthOfMost(size));
  for (let offset = 0; offset < size; offset += length) yield { offset, length: Math.min(length, size - offset) };
}

/** How long each range is when there are as many as there may be. */
export function lengthOfMost(size: number): number {
  return Math.ceil(size / LIMITS.rangesMost / MIB) * MIB;
}

/** The commit's result with what the ranges moved. */
export function withTransfer(
  file: LargeFile,
  committed: ItemResults,
  bytes: number,
  method: number,
  refused: number,
): ItemResults {
  return {
    count: 1,
    status: (i) => committed.status(i),
    stage: (i) => committed.stage(i),
    method: (i) => (method !== 0 && METHODS[method] !== undefined ? method : committed.method(i)),
    refused: (i) => committed.refused(i) | refused,
    refusedErrno: (i) => committed.refusedErrno(i) || file.refusedErrno,
    warnings: (i) => committed.warnings(i),
    warningErrno: (i) => committed.warningErrno(i),
    flags: (i) => committed.flags(i),
    bytes: () => bytes,
    size: (i) => committed.size(i),
    digest: (i) => committed.digest(i),
    release: () => committed.release(),
  };
}

export function failedItem(status: number, stage: number, refused = 0, count = 1): ItemResults {
  return {
    count,
    status: () => status,
    stage: () => stage,
    method: () => 0,
    refused: () => refused,
    refusedErrno: () => 0,
    warnings: () => 0,
    warningErrno: () => 0,
    // A source that is no longer what was listed is the one thing that is "busy".
    flags: () => (status === -E.BUSY ? ItemFlag.changed : 0),
    bytes: () => 0,
    size: () => 0,
    digest: () => new Uint8Array(0),
    release: () => undefined,
  };
}
