/**
 * One large file from another process, in ranges over all streams.
 *
 *     begin: open the temporary file, with what an earlier run left of it, or with the old file as basis
 *     split into ranges; keep a few in flight; of what lies in the basis the digests go along, and only blocks that
 *     differ come back
 *     commit: the source says whether the file is still what was listed, and sends its attributes; publish
 *     it is not: the source has told what it is now, and the row says so; once more, with what is there as basis
 *     a range is refused because the file changed: the commit need is asked all the same, to hear what it is now
 */
import type { ContentRange } from "../core/content-range.ts";
import { E } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type Backend,
  ItemFlag,
  type ItemResults,
  type LargeFile,
  type LargeRequest,
  METHOD_STREAM,
  NO_HANDLE,
  type RangeResult,
  STAGES,
} from "../fs/backend.ts";
import { asRetried, failedItem, lengthOfMost, type Range, type Ranging, withTransfer } from "./large-file.ts";

export interface LargeNeeds {
  /** Number of the next need. */
  next(): number;
  /** Says it to the source; the answer is expected already. */
  ask(need: number, range: ContentRange | undefined): void;
}

const READING = STAGES.indexOf("read");

const CANCELED: RangeResult = { status: -E.CANCELED, stage: 0, bytes: 0, method: 0, refused: 0 };

type Request = Omit<LargeRequest, "source">;

interface Failed {
  readonly status: number;
  readonly stage: number;
}

/** `onBytes` hears of payload as it lands. Keeps the part for the next run when the file could not be finished. */
export async function receiveLargeFile(
  backend: Backend,
  request: Request,
  needs: LargeNeeds,
  ranging: Ranging,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ItemResults> {
  const attempt = await receiveOnce(backend, request, needs, ranging, onBytes, signal);
  const changed = attempt.status(0) === -E.BUSY && (attempt.flags(0) & ItemFlag.changed) !== 0;
  if (!changed || signal.aborted) return attempt;
  attempt.release();
  return asRetried(await receiveOnce(backend, { ...request, resume: true }, needs, ranging, onBytes, signal));
}

async function receiveOnce(
  backend: Backend,
  request: Request,
  needs: LargeNeeds,
  { chunkBytes, budget }: Ranging,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ItemResults> {
  const whole: LargeRequest = { ...request, source: NO_HANDLE };
  const file = await backend.largeBegin(whole);
  if (file.status !== 0) return failedItem(file.status, file.stage, file.refused);
  const ranges = rangesOf(file, chunkBytes, budget.most);
  let bytes = 0;
  let failure: Failed | undefined;
  const lane = async (): Promise<void> => {
    while (failure === undefined && !signal.aborted) {
      const range = ranges.next().value;
      if (range === undefined) return;
      const result = await budget.run(range.length, async () =>
        // It may have waited long for its room.
        signal.aborted ? CANCELED : receiveRange(backend, file, range, request, needs),
      );
      bytes += result.bytes;
      onBytes(result.bytes);
      if (result.status !== 0) failure ??= { status: result.status, stage: result.stage };
    }
  };
  await Promise.all(Array.from({ length: LIMITS.stripeLanes }, lane));
  const askCommit = (of: LargeFile): Promise<ItemResults> => {
    const need = needs.next();
    const committed = backend.receiveCommit(need, of, whole);
    needs.ask(need, undefined);
    return committed;
  };
  if (failure === undefined && !signal.aborted) {
    return withTransfer(file, await askCommit(file), bytes, METHOD_STREAM, file.refused);
  }
  if (failure?.status === -E.BUSY && failure.stage === READING && !signal.aborted) {
    const asked = await askCommit({ ...file, temp: NO_HANDLE });
    const isChanged = asked.status(0) === -E.BUSY;
    if (isChanged) {
      await backend.largeAbort(file, whole, true);
      return withTransfer(file, asked, bytes, METHOD_STREAM, file.refused);
    }
    // Gone, or the stream is: that is why. Unchanged after all: what the range said stands.
    if (asked.status(0) !== -E.BADF) failure = { status: asked.status(0), stage: asked.stage(0) };
    asked.release();
  }
  // A part on a full disk would keep it full.
  const isFull = failure?.status === -E.NOSPC || failure?.status === -E.DQUOT;
  await backend.largeAbort(file, whole, !isFull);
  return failedItem(failure?.status ?? -E.CANCELED, failure?.stage ?? 0, file.refused);
}

async function receiveRange(
  backend: Backend,
  file: LargeFile,
  { offset, length }: Range,
  request: Request,
  needs: LargeNeeds,
): Promise<RangeResult> {
  const blockBytes = LIMITS.basisBlockBytes;
  let range: ContentRange = { offset, length };
  if (offset < file.basisBytes) {
    const digests = await backend.hashBlocks(file, offset, length, blockBytes);
    if (typeof digests === "number") return { status: digests, stage: 0, bytes: 0, method: 0, refused: 0 };
    range = { offset, length, basis: { blockBytes, digests } };
  }
  const need = needs.next();
  const received = backend.receiveRange(need, file, offset, length, request.settings);
  needs.ask(need, range);
  return received;
}

/** No range lies on both sides of the basis' end. `budgetBytes`: what may be on its way; 0: no bound. */
function* rangesOf(
  { size, basisBytes }: LargeFile,
  chunkBytes: number,
  budgetBytes: number,
): Generator<Range, undefined> {
  const wished = chunkBytes > 0 ? chunkBytes : LIMITS.stripeRangeBytes;
  // Ranges begin where a block of the basis does.
  const usual = budgetBytes > 0 ? Math.min(wished, budgetBytes - (budgetBytes % LIMITS.basisBlockBytes)) : wished;
  const most = Math.min(LIMITS.rangeMostBytes, Math.max(usual, lengthOfMost(size)));
  for (let offset = 0; offset < size; ) {
    const end = offset < basisBytes ? Math.min(basisBytes, size) : size;
    const length = Math.min(most, end - offset);
    yield { offset, length };
    offset += length;
  }
}
