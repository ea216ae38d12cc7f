/** What is done with answers: rows are written or repaired, ranges land in a large file, a commit publishes it. */
import { Stage } from "../../../../ffi/fsy.ts";
import { FileType } from "../../../core/entry-batch.ts";
import { type ItemRecord, RecordFlag, refuse } from "../../../core/frames.ts";
import type { LargeFile, LargeRequest, ReceiveRequest, WriteSettings } from "../../backend.ts";
import { NO_HANDLE } from "../../backend.ts";
import { wantsAttributes } from "../attributes.ts";
import { writeFull } from "../copy-data.ts";
import { copyEntry, repairWith } from "../copy-entry.ts";
import { typeOf } from "../entry.ts";
import { E, StatusError } from "../errno.ts";
import { type Job, openJob } from "../job.ts";
import { type OpenParts, publishLarge } from "../large-file.ts";
import { entryAt, type Rows, rowOf } from "../rows.ts";
import type { Slices } from "../slices.ts";
import { checkStatus, type Receiver } from "./expectation.ts";
import { attributesOfRecord, checkSize, land, receivedEntry, verifyHash } from "./received-content.ts";

/** The source tells what a large file is now that is no longer the manifest's. */
function isOtherFile({ status, flags, mode }: ItemRecord): boolean {
  return status === -E.EBUSY && (flags & RecordFlag.changed) !== 0 && typeOf(mode) === FileType.regular;
}

const NO_NAME = new Uint8Array(0);

/** A request without a source: nothing of it is read here. */
function jobOf(slices: Slices, request: Omit<ReceiveRequest | LargeRequest, "source">): Job {
  return openJob(slices, request.settings.settings, { ...request, source: NO_HANDLE });
}

function nameOfRow(rows: Rows, index: number): Uint8Array {
  const { row } = rowOf(rows, index);
  return row < rows.batch.count ? rows.batch.name(row) : NO_NAME;
}

export function rowsReceiver(slices: Slices, request: ReceiveRequest): Receiver {
  const own: Rows = { batch: request.batch, rows: request.rows.slice(), targetName: request.targetName?.slice() };
  const job = jobOf(slices, request);
  const isRepair = request.purpose === "attributes";
  return {
    kind: "rows",
    count: own.rows.length,
    hasContent: !isRepair,
    name: (index) => nameOfRow(own, index),
    write: async (index, { record, attributes, content }, item) => {
      if (slices.isDue) await slices.breathe();
      item.doing = Stage.create;
      const { entry, name, exists } = entryAt(own, rowOf(own, index), isRepair);
      item.size = entry.size;
      checkStatus(record, item);
      if (content === undefined) checkSize(entry, record);
      const want = receivedEntry(entry, record, attributes);
      const source = attributesOfRecord(record, attributes);
      if (isRepair) {
        item.doing = Stage.meta;
        return repairWith(job, want, name, wantsAttributes(job.wanted) ? source : undefined, item);
      }
      item.size = want.size;
      await copyEntry(job, want, name, exists, item, {
        open: () => content?.(entry) ?? refuse("a file without its content"),
        attributes: () => source,
      });
    },
  };
}

export function rangeReceiver(
  slices: Slices,
  file: LargeFile,
  offset: number,
  length: number,
  settings: WriteSettings,
): Receiver {
  const job = openJob(slices, settings, { source: NO_HANDLE, target: NO_HANDLE });
  return {
    kind: "range",
    count: 1,
    from: offset,
    to: offset + length,
    write: async (flow, item) => {
      item.doing = Stage.read;
      for (let data = await flow.next(); data !== undefined; data = await flow.next()) {
        let at = data.offset;
        for (let piece = await flow.some(); piece !== undefined; piece = await flow.some()) {
          item.doing = Stage.write;
          await slices.pace(piece.length);
          writeFull(file.temp, piece, at);
          at += piece.length;
          land(job, item, piece.length);
          item.doing = Stage.read;
        }
      }
      const record = flow.end ?? refuse("a range without its end");
      checkStatus(record, item);
      if (settings.verify !== "none") await verifyHash(job, file.temp, offset, length, record, item);
    },
  };
}

export function commitReceiver(slices: Slices, parts: OpenParts, file: LargeFile, request: LargeRequest): Receiver {
  const own: Rows = { batch: request.batch, rows: request.rows.slice(0, 1), targetName: request.targetName?.slice() };
  const job = jobOf(slices, request);
  return {
    kind: "rows",
    count: 1,
    hasContent: false,
    name: (index) => nameOfRow(own, index),
    write: async (index, { record, attributes }, item) => {
      item.doing = Stage.publish;
      const { row } = rowOf(own, index);
      const { entry, name, exists } = entryAt(own, rowOf(own, index), false);
      if (isOtherFile(record) && typeOf(entry.mode) === FileType.regular) {
        const { size, mtimeSec, mtimeNsec } = record;
        request.batch.renew(row, { size, mtimeSec, mtimeNsec, mode: (entry.mode & ~0o777) | (record.mode & 0o777) });
      }
      item.size = request.batch.size(row);
      checkStatus(record, item);
      checkSize(entry, record);
      if (file.temp < 0) throw new StatusError(-E.EBADF);
      const want = { ...receivedEntry(entry, record, attributes), size: entry.size };
      // Each range was verified as it came.
      const verify = async (): Promise<void> => {};
      const landed = { want, attributes: attributesOfRecord(record, attributes), verify };
      await publishLarge(job, parts, file, landed, name, exists, item);
    },
  };
}
