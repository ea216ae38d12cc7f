/** The data plane of the portable backend: its streams, what waits to be sent, and what is expected. */
import fs from "node:fs";
import type {
  ItemResults,
  LargeFile,
  LargeRequest,
  NeedNumber,
  RangeResult,
  ReceiveRequest,
  SendRequest,
  WireStream,
  WriteSettings,
} from "../../backend.ts";
import { closeHandle } from "../directories.ts";
import { E } from "../errno.ts";
import { Item, PortableItemResults } from "../item-results.ts";
import { closeLarge, type OpenParts } from "../large-file.ts";
import { libc } from "../libc.ts";
import type { Slices } from "../slices.ts";
import { Channel } from "./channel.ts";
import type { Receiver } from "./expectation.ts";
import { Expectations } from "./expectations.ts";
import { commitReceiver, rangeReceiver, rowsReceiver } from "./receivers.ts";
import { ReceivingStream } from "./receiving-stream.ts";
import { SendQueue, SendTask } from "./send-queue.ts";
import { SendingStream } from "./sending-stream.ts";

export class DataPlane {
  private readonly slices: Slices;
  private readonly parts: OpenParts;
  private readonly queue = new SendQueue();
  private readonly expectations = new Expectations();
  private readonly streams = new Set<SendingStream | ReceivingStream>();

  constructor(slices: Slices, parts: OpenParts) {
    this.slices = slices;
    this.parts = parts;
  }

  open(fd: number, direction: "send" | "receive", idleMs: number): WireStream {
    const own = duplicateSocket(fd);
    if (own < 0) return stillborn(own);
    const channel = new Channel(own, direction === "receive", idleMs);
    const stream =
      direction === "send"
        ? new SendingStream(channel, this.queue, this.slices)
        : new ReceivingStream(channel, this.expectations);
    this.streams.add(stream);
    void stream.ended.then(() => this.streams.delete(stream));
    return stream;
  }

  send(request: SendRequest): Promise<ItemResults> {
    const task = new SendTask(request);
    if (this.slices.canceled) task.cancel();
    else this.queue.push(task);
    return task.results;
  }

  async receive(request: ReceiveRequest): Promise<ItemResults> {
    return new PortableItemResults(await this.expect(request.need, rowsReceiver(this.slices, request)));
  }

  async receiveRange(
    need: NeedNumber,
    file: LargeFile,
    offset: number,
    length: number,
    settings: WriteSettings,
  ): Promise<RangeResult> {
    const isRange = offset >= 0 && length >= 0 && Number.isSafeInteger(offset + length);
    if (!isRange) return { status: -E.EINVAL, stage: 0, bytes: 0, method: 0, refused: 0 };
    const receiver = rangeReceiver(this.slices, file, offset, length, settings);
    const [item = new Item()] = await this.expect(need, receiver);
    const { status, doing, bytes, method } = item;
    return { status, stage: status === 0 ? 0 : doing, bytes, method, refused: 0 };
  }

  async receiveCommit(need: NeedNumber, file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    try {
      const receiver = commitReceiver(this.slices, this.parts, file, request);
      return new PortableItemResults(await this.expect(need, receiver));
    } finally {
      closeLarge(this.parts, file);
    }
  }

  private expect(need: NeedNumber, receiver: Receiver): Promise<readonly Item[]> {
    const expectation = this.expectations.add(need, receiver);
    if (this.slices.canceled) expectation.fail(-E.ECANCELED);
    return expectation.items;
  }

  /** Streams end as well: a stream that was cancelled in the middle of a frame is of no use any more. */
  cancel(): void {
    this.queue.cancel();
    this.expectations.cancel();
    for (const stream of this.streams) {
      if (stream instanceof ReceivingStream) stream.interrupt();
      stream.abort();
    }
  }

  async shutdown(): Promise<void> {
    this.cancel();
    await Promise.all([...this.streams].map(({ ended }) => ended));
  }
}

/** A descriptor of our own, or a negative errno. */
function duplicateSocket(fd: number): number {
  const own = libc === undefined ? -E.ENOSYS : libc.duplicate(fd);
  if (own < 0 || fs.fstatSync(own).isSocket()) return own;
  closeHandle(own);
  return -E.ENOTSOCK;
}

/** A stream that never was one. */
function stillborn(status: number): WireStream {
  const ended = Promise.resolve({ status, detail: "the socket could not be duplicated", bytes: 0 });
  return { ended, bytes: () => 0, end: () => {} };
}
