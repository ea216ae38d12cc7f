/**
 * The answer to one need that is awaited. Each item goes through: awaited -> claimed -> running -> answered. What the caller
 * hears and what the peer still has to say are counted apart: after cancelling the caller has its results at once,
 * while answers that are on their way are taken and dropped.
 */
import type { Attribute } from "../../../core/attribute-blob.ts";
import { type ItemRecord, refuse } from "../../../core/frames.ts";
import { ItemFlag, type NeedNumber } from "../../backend.ts";
import type { Entry } from "../entry.ts";
import { E, StatusError } from "../errno.ts";
import { Item } from "../item-results.ts";
import type { Content } from "../write-regular.ts";
import type { DataFlow } from "./data-flow.ts";

const AWAITED = 0;
const CLAIMED = 1;
const RUNNING = 2;
const ANSWERED = 3;

/** One item as the peer sent it. */
export interface Answer {
  readonly record: ItemRecord;
  readonly attributes: readonly Attribute[];
  /** The content of a regular file, given its row. */
  readonly content: ((row: Entry) => Content) | undefined;
}

/** What is done with the answer. */
export type Receiver =
  | {
      readonly kind: "rows";
      readonly count: number;
      readonly hasContent: boolean;
      /** The name under which content of the item must come. */
      name(index: number): Uint8Array;
      /** Throws; only StatusErrors are the item's own. */
      write(index: number, answer: Answer, item: Item): Promise<void>;
    }
  | {
      readonly kind: "range";
      readonly count: 1;
      readonly from: number;
      readonly to: number;
      write(flow: DataFlow, item: Item): Promise<void>;
    };

export class Expectation {
  readonly need: NeedNumber;
  readonly receiver: Receiver;
  readonly items: Promise<readonly Item[]>;
  private readonly answer = Promise.withResolvers<readonly Item[]>();
  private readonly results: Item[] = [];
  private readonly states: Uint8Array;
  private unsettled: number;
  private unanswered: number;
  private isCanceled = false;

  constructor(need: NeedNumber, receiver: Receiver) {
    this.need = need;
    this.receiver = receiver;
    this.states = new Uint8Array(receiver.count);
    this.unsettled = receiver.count;
    this.unanswered = receiver.count;
    this.items = this.answer.promise;
    if (receiver.count === 0) this.answer.resolve([]);
  }

  get canceled(): boolean {
    return this.isCanceled;
  }
  /** Nothing more will come. */
  get isAnswered(): boolean {
    return this.unanswered === 0;
  }

  /** Throws a protocol error for an item that is not awaited. */
  check(index: number): void {
    if (index >= this.states.length) refuse("an item out of range");
    if (this.states[index] !== AWAITED) refuse("an item was answered before");
  }
  claim(index: number): void {
    this.check(index);
    this.states[index] = CLAIMED;
  }

  /** Runs `work` for a claimed item; its failure of the system is the item's, anything else goes on. */
  async run(index: number, work: (item: Item) => Promise<void>): Promise<void> {
    if (this.results[index] !== undefined) return;
    this.states[index] = RUNNING;
    const item = new Item();
    try {
      await work(item);
      item.doing = 0;
    } catch (error) {
      item.bytes = 0;
      const isSystems = error instanceof Error && "errno" in error && typeof error.errno === "number";
      item.status = isSystems ? -Math.abs(error.errno as number) : this.isCanceled ? -E.ECANCELED : -E.EPIPE;
      if (!isSystems) throw error;
    } finally {
      this.settle(index, item);
    }
  }
  /** The peer has said all about the item. */
  answered(index: number): void {
    if (this.states[index] === ANSWERED) return;
    this.states[index] = ANSWERED;
    this.unanswered--;
  }

  /** Items that are not being written answer `status`; the others end by themselves. */
  fail(status: number): void {
    this.isCanceled = true;
    for (let index = 0; index < this.states.length; index++) {
      if (this.states[index] === RUNNING || this.results[index] !== undefined) continue;
      const item = new Item();
      item.status = status;
      this.settle(index, item);
    }
  }

  private settle(index: number, item: Item): void {
    if (this.results[index] !== undefined) return;
    this.results[index] = item;
    if (--this.unsettled === 0) this.answer.resolve(this.results);
  }
}

/** The item failed at the source: throws its status. */
export function checkStatus(record: ItemRecord, item: Item): void {
  item.flags |= record.flags & (ItemFlag.retried | ItemFlag.changed);
  if (record.status === 0) return;
  item.doing = record.stage;
  throw new StatusError(record.status);
}
