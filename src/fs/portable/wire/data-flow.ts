/**
 * The frames DATA.., END of one file or range, pulled by whoever writes them:
 *
 *   next   the next DATA frame's place; undefined: END came, see `end`
 *   some   a piece of its payload
 *   skip   whatever is left, so that the stream can go on after a failure of the writer
 */
import { type Attribute, decodeAttributes } from "../../../core/attribute-blob.ts";
import {
  decodeHeader,
  decodeRecord,
  type FrameHeader,
  FrameType,
  HEADER_BYTES,
  type ItemRecord,
  RECORD_BYTES,
  RecordFlag,
  refuse,
} from "../../../core/frames.ts";
import { E, StatusError } from "../errno.ts";
import { type Channel, StreamEnded } from "./channel.ts";
import type { Expectation } from "./expectation.ts";

export interface FileFrame {
  readonly record: ItemRecord;
  readonly attributes: readonly Attribute[];
}

export async function takeFileFrame(channel: Channel, header: FrameHeader): Promise<FileFrame> {
  const payload = await channel.take(header.length);
  const record = decodeRecord(payload);
  if (record.item !== header.item) refuse("a record of another item");
  if (record.status !== 0) refuse("a FILE frame with a status");
  if (RECORD_BYTES + record.attributeBytes !== payload.length) refuse("a FILE frame of a wrong length");
  if ((record.flags & RecordFlag.again) !== 0) refuse("a flag that only END may have");
  return { record, attributes: decodeAttributes(payload.subarray(RECORD_BYTES)) };
}

export class DataFlow {
  /** The record of END, once it came. */
  end: ItemRecord | undefined;
  private readonly channel: Channel;
  private readonly expectation: Expectation;
  private readonly item: number;
  private from: number;
  private to: number;
  /** Where the last DATA frame ended, and what is left of its payload. */
  private at: number;
  private left = 0;
  private sum = 0;
  private hasRepeated = false;
  /** A header of this flow that was read already. */
  private first: FrameHeader | undefined;
  private isSkipping = false;

  constructor(
    channel: Channel,
    expectation: Expectation,
    item: number,
    bounds: { readonly from: number; readonly to: number },
    first?: FrameHeader,
  ) {
    this.channel = channel;
    this.expectation = expectation;
    this.item = item;
    this.from = bounds.from;
    this.to = bounds.to;
    this.at = bounds.from;
    this.first = first;
  }

  async next(): Promise<{ offset: number; length: number } | undefined> {
    while (this.left > 0) await this.some();
    const header = this.first ?? (await this.header());
    this.first = undefined;
    if (header.type === FrameType.end) {
      await this.takeEnd();
      return undefined;
    }
    if (header.type !== FrameType.data) refuse("a frame within the content of another");
    const { offset, length } = header;
    if (offset < this.at) refuse("content that goes back");
    if (offset + length > this.to) refuse("content out of range");
    this.at = offset + length;
    this.left = length;
    this.sum += length;
    return { offset, length };
  }

  /** A piece of the DATA frame at hand; undefined: no more. */
  async some(): Promise<Uint8Array | undefined> {
    if (this.left === 0) return undefined;
    this.checkCanceled();
    const piece = await this.channel.some(this.left, !this.isSkipping);
    this.left -= piece.length;
    return piece;
  }

  /** After END with AGAIN: the file begins anew. */
  async again(): Promise<FileFrame> {
    if (this.hasRepeated) refuse("a file is sent a third time");
    this.hasRepeated = true;
    const header = await this.header();
    if (header.type !== FrameType.file) refuse("no file follows after AGAIN");
    const file = await takeFileFrame(this.channel, header);
    this.end = undefined;
    this.from = 0;
    this.at = 0;
    this.to = file.record.size;
    this.sum = 0;
    return file;
  }

  /** Reads what is left up to the end, and drops it. */
  async skip(): Promise<void> {
    this.isSkipping = true;
    for (;;) {
      while (this.end === undefined) {
        await this.channel.skip(this.left);
        this.left = 0;
        await this.next();
      }
      if ((this.end.flags & RecordFlag.again) === 0) return;
      await this.again();
    }
  }

  private async header(): Promise<FrameHeader> {
    this.checkCanceled();
    if (!(await this.channel.hasMore(!this.isSkipping))) throw new StreamEnded(-E.EPIPE, "the stream ended in a file");
    const header = decodeHeader(await this.channel.take(HEADER_BYTES));
    if (header.need !== this.expectation.need || header.item !== this.item) refuse("a frame within another file");
    return header;
  }

  private async takeEnd(): Promise<void> {
    const record = decodeRecord(await this.channel.take(RECORD_BYTES));
    if (record.item !== this.item) refuse("a record of another item");
    if (record.attributeBytes > 0) refuse("attributes in an END frame");
    const isRepeating = (record.flags & RecordFlag.again) !== 0;
    if (isRepeating && this.expectation.receiver.kind === "range") refuse("a range is not sent again");
    if (isRepeating && record.status !== 0) refuse("a failure that is sent again");
    if (record.bytes !== this.sum) refuse("another number of bytes than were sent");
    if (record.status === 0 && !isRepeating) {
      if (this.at > this.from && record.size < this.at) refuse("content behind the end of the file");
    }
    this.end = record;
  }

  private checkCanceled(): void {
    if (this.expectation.canceled && !this.isSkipping) throw new StatusError(-E.ECANCELED);
  }
}
