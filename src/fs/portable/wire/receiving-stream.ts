/**
 * A stream that receives:
 *
 *   header -> the need it answers (a moment's wait when it is not known yet)
 *     SHARD      check all of it, claim its items, write them one by one
 *     FILE       claim; its writer pulls DATA until END; what it left is skipped
 *     DATA, END  the same for a range
 *     BYE        the end
 *
 * The writers fail with errnos, which are their items'. Anything else ends the stream.
 */
import { FileType } from "../../../core/entry-batch.ts";
import {
  decodeHeader,
  type FrameHeader,
  FrameType,
  HEADER_BYTES,
  type ItemRecord,
  RecordFlag,
  refuse,
} from "../../../core/frames.ts";
import type { StreamEnd, WireStream } from "../../backend.ts";
import { typeOf } from "../entry.ts";
import { E } from "../errno.ts";
import { type Channel, StreamEnded, verdictOf } from "./channel.ts";
import { DataFlow, takeFileFrame } from "./data-flow.ts";
import type { Answer, Expectation, Receiver } from "./expectation.ts";
import type { Expectations } from "./expectations.ts";
import { BufferContent, receivedFile, StreamedContent } from "./received-content.ts";
import { readShard } from "./shard-reader.ts";

type RowsReceiver = Extract<Receiver, { kind: "rows" }>;

export class ReceivingStream implements WireStream {
  readonly ended: Promise<StreamEnd>;
  private readonly channel: Channel;
  private readonly expectations: Expectations;
  private isOver = false;
  private isEnding = false;

  constructor(channel: Channel, expectations: Expectations) {
    this.channel = channel;
    this.expectations = expectations;
    channel.onOver = () => {
      this.isOver = true;
      expectations.wakeAll();
    };
    expectations.join();
    this.ended = this.run();
  }

  bytes(): number {
    return this.channel.bytes;
  }
  end(): void {
    this.isEnding = true;
    this.channel.giveUp(0, "");
  }
  abort(): void {
    this.channel.giveUp(-E.ECANCELED, "the backend was cancelled");
  }
  /** After cancelling: a writer that waits for content stops waiting. */
  interrupt(): void {
    this.channel.interrupt();
  }

  private async run(): Promise<StreamEnd> {
    let verdict = { status: 0, detail: "" };
    try {
      while (await this.takeFrame());
    } catch (error) {
      if (!this.isEnding) verdict = verdictOf(error);
      this.channel.giveUp(verdict.status, verdict.detail);
    }
    this.expectations.leave();
    await this.channel.close();
    return this.channel.end(verdict.status, verdict.detail);
  }

  /** False: BYE. */
  private async takeFrame(): Promise<boolean> {
    const { channel } = this;
    if (!(await channel.hasMore())) await channel.some(1);
    const header = decodeHeader(await channel.take(HEADER_BYTES));
    if (header.type === FrameType.bye) {
      if (channel.hasUnread) refuse("something behind the end");
      return false;
    }
    const expectation = await this.expectations.find(header.need, () => this.isOver && !channel.hasUnread);
    const { receiver } = expectation;
    switch (header.type) {
      case FrameType.shard:
        if (receiver.kind !== "rows") refuse("a shard for a range");
        await this.takeShard(header, expectation, receiver);
        break;
      case FrameType.file:
        if (receiver.kind !== "rows") refuse("a file for a range");
        await this.takeFile(header, expectation, receiver);
        break;
      default:
        if (receiver.kind !== "range") refuse("content without its file");
        await this.takeRange(header, expectation, receiver);
    }
    this.expectations.forgetAnswered(expectation);
    return true;
  }

  private async takeShard(header: FrameHeader, expectation: Expectation, receiver: RowsReceiver): Promise<void> {
    const payload = await this.channel.take(header.length);
    const items = readShard(payload, header.item, receiver.hasContent, (index) => {
      expectation.check(index);
      return expectation.canceled ? undefined : receiver.name(index);
    });
    for (const { record } of items) {
      if ((record.flags & RecordFlag.again) !== 0) refuse("a flag that only END may have");
      expectation.claim(record.item);
    }
    for (const { record, attributes, content } of items) {
      const make: Answer["content"] =
        content && ((row) => new BufferContent(receivedFile(row, record, attributes), record, attributes, content));
      await expectation.run(record.item, (item) =>
        receiver.write(record.item, { record, attributes, content: make }, item),
      );
      expectation.answered(record.item);
    }
  }

  private async takeFile(header: FrameHeader, expectation: Expectation, receiver: RowsReceiver): Promise<void> {
    const { channel } = this;
    expectation.claim(header.item);
    const file = await takeFileFrame(channel, header);
    const flow = new DataFlow(channel, expectation, header.item, { from: 0, to: file.record.size });
    await expectation.run(header.item, async (item) => {
      const { record, attributes } = file;
      const hasData = receiver.hasContent && typeOf(record.mode) === FileType.regular;
      const answer: Answer = hasData
        ? { record, attributes, content: (row) => new StreamedContent(row, file, flow) }
        : { record: await withoutData(record, flow), attributes, content: undefined };
      await receiver.write(header.item, answer, item);
    });
    await flow.skip();
    expectation.answered(header.item);
  }

  private async takeRange(
    header: FrameHeader,
    expectation: Expectation,
    receiver: Extract<Receiver, { kind: "range" }>,
  ): Promise<void> {
    if (header.item !== 0) refuse("a range has one item");
    expectation.claim(0);
    const flow = new DataFlow(this.channel, expectation, 0, receiver, header);
    await expectation.run(0, (item) => receiver.write(flow, item));
    await flow.skip();
    expectation.answered(0);
  }
}

/** An item whose attributes were too many for a shard: END follows at once. */
async function withoutData(record: ItemRecord, flow: DataFlow): Promise<ItemRecord> {
  if ((await flow.next()) !== undefined) refuse("content of an item that has none");
  const end = flow.end;
  if (end === undefined) throw new StreamEnded(-E.EPIPE, "the stream ended in a file");
  if ((end.flags & RecordFlag.again) !== 0) refuse("an item without content is not sent again");
  return { ...end, flags: end.flags | record.flags, attributeErrno: record.attributeErrno };
}
