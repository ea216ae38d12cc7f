/** The content of a received file: from the bytes of a shard, or pulled from the stream as it arrives. */
import fs from "node:fs";
import { Stage } from "../../../../ffi/fsy.ts";
import type { Attribute } from "../../../core/attribute-blob.ts";
import { FileType, RowFlag } from "../../../core/entry-batch.ts";
import { type ItemRecord, RecordFlag, refuse } from "../../../core/frames.ts";
import { METHOD_STREAM } from "../../backend.ts";
import { type AttributeSource, attributesIn } from "../attributes.ts";
import { makeHole, openFlow, prepareReadback, writeData, writeDifferences, writeFull } from "../copy-data.ts";
import { fstat } from "../directories.ts";
import { type Entry, typeOf } from "../entry.ts";
import { E, StatusError } from "../errno.ts";
import { hashStretch } from "../hash-file.ts";
import type { Item } from "../item-results.ts";
import type { Job } from "../job.ts";
import type { Content } from "../write-regular.ts";
import type { DataFlow, FileFrame } from "./data-flow.ts";
import { checkStatus } from "./expectation.ts";

export function attributesOfRecord(record: ItemRecord, attributes: readonly Attribute[]): AttributeSource {
  return attributesIn(attributes, -record.attributeErrno);
}

/** The row, with what the source found when it read it. Throws a protocol error when both do not fit together. */
export function receivedEntry(row: Entry, record: ItemRecord, attributes: readonly Attribute[]): Entry {
  const type = typeOf(row.mode);
  if (typeOf(record.mode) !== type) refuse("an item of another type");
  const isRetried = (record.flags & RecordFlag.retried) !== 0;
  const { size, mtimeSec, mtimeNsec } = isRetried ? record : row;
  // Type, setid and sticky bits are the row's: whoever made the manifest may have taken some away on purpose.
  const mode = isRetried ? (row.mode & ~0o777) | (record.mode & 0o777) : row.mode;
  const hasAttributes = attributes.length > 0 || record.attributeErrno > 0;
  // The digests are those of the manifest: whether there are any is what the record says.
  const flags = (row.flags & ~RowFlag.attrFailed) | (hasAttributes ? RowFlag.attrFailed : 0);
  return { ...row, size, mtimeSec, mtimeNsec, mode, attrLow: 0, attrHigh: 0, flags };
}

/** The same for a file whose content came: its size must be the one that was announced. */
export function receivedFile(row: Entry, record: ItemRecord, attributes: readonly Attribute[]): Entry {
  const want = receivedEntry(row, record, attributes);
  if (want.size !== record.size) refuse("a size that the manifest does not have");
  return want;
}

/** An item whose content does not come: its size must be the manifest's all the same. */
export function checkSize(row: Entry, { flags, size }: ItemRecord): void {
  const isFree = typeOf(row.mode) !== FileType.regular || (flags & RecordFlag.retried) !== 0;
  if (!isFree && size !== row.size) refuse("a size that the manifest does not have");
}

/** Compares what was written with the hash of what was read. */
export async function verifyHash(
  job: Job,
  target: number,
  offset: number,
  length: number,
  record: ItemRecord,
  item: Item,
): Promise<void> {
  item.doing = Stage.verify;
  prepareReadback(job, target);
  const hash = await hashStretch(job, target, offset, length);
  const isSame = (record.flags & RecordFlag.hashed) !== 0 && Buffer.compare(hash, record.hash) === 0;
  if (!isSame) throw new StatusError(-E.EBADMSG);
}

abstract class ReceivedContent implements Content {
  abstract readonly want: Entry;
  abstract readonly attributes: AttributeSource;
  protected abstract readonly record: ItemRecord;
  abstract move(job: Job, target: number, oldBytes: number, compares: boolean, item: Item): Promise<void>;

  /** The source is somewhere else. */
  isSame(): boolean {
    return false;
  }
  close(): void {}
  async verify(job: Job, target: number, item: Item): Promise<void> {
    if (Number(fstat(target).size) !== this.want.size) throw new StatusError(-E.EBADMSG);
    await verifyHash(job, target, 0, this.want.size, this.record, item);
  }
}

/** A member of a shard. */
export class BufferContent extends ReceivedContent {
  readonly want: Entry;
  readonly attributes: AttributeSource;
  protected readonly record: ItemRecord;
  private readonly data: Uint8Array;

  constructor(want: Entry, record: ItemRecord, attributes: readonly Attribute[], data: Uint8Array) {
    super();
    this.want = want;
    this.record = record;
    this.attributes = attributesOfRecord(record, attributes);
    this.data = data;
  }

  async move(job: Job, target: number, oldBytes: number, compares: boolean, item: Item): Promise<void> {
    const { data, want } = this;
    item.doing = Stage.write;
    await job.slices.pace(data.length);
    const isSparse = job.settings.sparse && (want.flags & RowFlag.sparse) !== 0 && oldBytes === 0;
    if (compares) writeDifferences(target, data, 0);
    else if (isSparse) writeData(target, data, 0);
    else writeFull(target, data, 0);
    if (isSparse || oldBytes > data.length) fs.ftruncateSync(target, data.length);
    land(job, item, data.length);
  }
}

/** FILE, DATA.., END. Once `move` is through, `want` is what END said. */
export class StreamedContent extends ReceivedContent {
  private readonly row: Entry;
  private readonly flow: DataFlow;
  private file: FileFrame;

  constructor(row: Entry, file: FileFrame, flow: DataFlow) {
    super();
    this.row = row;
    this.file = file;
    this.flow = flow;
  }
  get want(): Entry {
    const { record, attributes } = this.file;
    // The attributes came with FILE, the rest is what END says.
    return receivedEntry(this.row, { ...this.record, attributeErrno: record.attributeErrno }, attributes);
  }
  get attributes(): AttributeSource {
    return attributesOfRecord(this.file.record, this.file.attributes);
  }
  protected get record(): ItemRecord {
    return this.flow.end ?? this.file.record;
  }

  async move(job: Job, target: number, oldBytes: number, compares: boolean, item: Item): Promise<void> {
    let old = oldBytes;
    let compare = compares;
    for (;;) {
      const end = await this.pass(job, target, old, compare, item);
      if ((end.flags & RecordFlag.again) === 0) return this.settle(end, target, old, item);
      item.doing = Stage.write;
      fs.ftruncateSync(target, 0);
      old = 0;
      compare = false;
      item.bytes = 0;
      this.file = await this.flow.again();
    }
  }

  private async pass(job: Job, target: number, old: number, compare: boolean, item: Item): Promise<ItemRecord> {
    const { flow } = this;
    const holes = openFlow(job, -1, target, old > 0);
    let at = 0;
    for (let data = await flow.next(); data !== undefined; data = await flow.next()) {
      await makeHole(holes, at, data.offset - at, item);
      at = data.offset;
      for (let piece = await flow.some(); piece !== undefined; piece = await flow.some()) {
        item.doing = Stage.write;
        await job.slices.pace(piece.length);
        if (compare) writeDifferences(target, piece, at);
        else writeFull(target, piece, at);
        at += piece.length;
        land(job, item, piece.length);
      }
      item.doing = Stage.read;
    }
    const end = flow.end!;
    if (end.status === 0 && (end.flags & RecordFlag.again) === 0) await makeHole(holes, at, end.size - at, item);
    return end;
  }

  private settle(end: ItemRecord, target: number, old: number, item: Item): void {
    checkStatus(end, item);
    const { attributes, record } = this.file;
    if (end.size !== record.size) refuse("another size than the file was announced with");
    const want = receivedFile(this.row, end, attributes);
    item.size = want.size;
    item.doing = Stage.write;
    if (old > want.size || Number(fstat(target).size) < want.size) fs.ftruncateSync(target, want.size);
  }
}

export function land(job: Job, item: Item, bytes: number): void {
  item.bytes += bytes;
  job.slices.bytesDone += bytes;
  if (bytes > 0) item.method = METHOD_STREAM;
}
