/** Requests that wait for a stream: the first stream that is free takes the oldest. */
import type { ItemResults, SendRequest } from "../../backend.ts";
import { E } from "../errno.ts";
import { Item, PortableItemResults } from "../item-results.ts";

/** One request, and what became of its rows. */
export class SendTask {
  readonly request: SendRequest;
  readonly results: Promise<ItemResults>;
  private readonly answer = Promise.withResolvers<ItemResults>();
  private readonly items: (Item | undefined)[];
  private isSettled = false;
  private isCanceled = false;

  constructor(request: SendRequest) {
    const { rows, items } = request;
    this.request = { ...request, rows: rows.slice(), ...(items === undefined ? {} : { items: items.slice() }) };
    this.items = Array.from({ length: rows.length });
    this.results = this.answer.promise;
  }

  /** From then on batch and source must not be touched: they are the caller's again. */
  get canceled(): boolean {
    return this.isCanceled;
  }
  /** The item's number as the target knows it. */
  number(row: number): number {
    return this.request.items?.[row] ?? row;
  }
  set(row: number, item: Item): void {
    this.items[row] = item;
  }
  cancel(): void {
    this.isCanceled = true;
    this.settle(-E.ECANCELED);
  }

  /** Answers; rows of which nothing is known get `status`. */
  settle(status: number): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const items = this.items.map((item) => {
      if (item !== undefined) return item;
      const unsent = new Item();
      unsent.status = status;
      return unsent;
    });
    this.answer.resolve(new PortableItemResults(items));
  }
}

export type Taker = (task: SendTask | undefined) => void;

export class SendQueue {
  private waiting: SendTask[] = [];
  private readonly underWay = new Set<SendTask>();
  private takers: Taker[] = [];
  private streams = 0;
  private hasOpened = false;

  push(task: SendTask): void {
    if (this.hasOpened && this.streams === 0) return task.settle(-E.EPIPE);
    const taker = this.takers.shift();
    if (taker === undefined) this.waiting.push(task);
    else this.give(task, taker);
  }

  /** The next request, or nothing when the taker was withdrawn. */
  next(taker: Taker): void {
    const task = this.waiting.shift();
    if (task === undefined) this.takers.push(taker);
    else this.give(task, taker);
  }
  withdraw(taker: Taker): void {
    const at = this.takers.indexOf(taker);
    if (at < 0) return;
    this.takers.splice(at, 1);
    taker(undefined);
  }
  done(task: SendTask): void {
    this.underWay.delete(task);
    task.settle(-E.EPIPE);
  }

  join(): void {
    this.streams++;
    this.hasOpened = true;
  }
  leave(): void {
    if (--this.streams === 0) for (const task of this.waiting.splice(0)) task.settle(-E.EPIPE);
  }
  cancel(): void {
    for (const task of this.waiting.splice(0)) task.cancel();
    for (const task of this.underWay) task.cancel();
  }

  private give(task: SendTask, taker: Taker): void {
    this.underWay.add(task);
    taker(task);
  }
}
