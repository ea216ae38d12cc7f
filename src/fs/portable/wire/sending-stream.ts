/** A stream that sends: takes requests from the queue until it is told to end, then says BYE. */
import { encodeHeader, FrameType, HEADER_BYTES } from "../../../core/frames.ts";
import type { StreamEnd, WireStream } from "../../backend.ts";
import { E } from "../errno.ts";
import type { Slices } from "../slices.ts";
import { Answerer } from "./answer.ts";
import { type Channel, verdictOf } from "./channel.ts";
import type { SendQueue, SendTask, Taker } from "./send-queue.ts";

export class SendingStream implements WireStream {
  readonly ended: Promise<StreamEnd>;
  private readonly channel: Channel;
  private readonly queue: SendQueue;
  private readonly answerer: Answerer;
  private isEnding = false;
  private taker: Taker | undefined;

  constructor(channel: Channel, queue: SendQueue, slices: Slices) {
    this.channel = channel;
    this.queue = queue;
    this.answerer = new Answerer(channel, slices);
    channel.onOver = () => this.end();
    queue.join();
    this.ended = this.run();
  }

  bytes(): number {
    return this.channel.bytes;
  }
  end(): void {
    this.isEnding = true;
    if (this.taker !== undefined) this.queue.withdraw(this.taker);
  }

  abort(): void {
    this.channel.giveUp(-E.ECANCELED, "the backend was cancelled");
  }

  private async run(): Promise<StreamEnd> {
    let verdict = { status: 0, detail: "" };
    try {
      for (let task = await this.next(); task !== undefined; task = await this.next()) {
        try {
          await this.answerer.answer(task);
        } finally {
          this.queue.done(task);
        }
      }
      const bye = new Uint8Array(HEADER_BYTES);
      encodeHeader({ type: FrameType.bye, need: 0, item: 0, offset: 0, length: 0 }, bye);
      await this.channel.write(bye);
    } catch (error) {
      verdict = verdictOf(error);
    }
    this.queue.leave();
    await this.channel.close();
    return this.channel.end(verdict.status, verdict.detail);
  }

  private next(): Promise<SendTask | undefined> {
    if (this.isEnding) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.taker = (task) => {
        this.taker = undefined;
        resolve(task);
      };
      this.queue.next(this.taker);
    });
  }
}
