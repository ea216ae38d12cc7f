/**
 * The link between two roles in one process: two ends, messages handed over by reference, in order. Delivery is
 * deferred to a microtask, so that a role never runs inside the other's step, as on any other link.
 */
export interface LinkEnd<Out, In> {
  send(message: Out): void;
  /** Called once, before the first message is delivered. */
  onMessage(handler: (message: In) => void): void;
}

class Lane<T> {
  private readonly waiting: T[] = [];
  private handler: ((message: T) => void) | undefined;
  private scheduled = false;

  push(message: T): void {
    this.waiting.push(message);
    this.schedule();
  }
  attach(handler: (message: T) => void): void {
    this.handler = handler;
    this.schedule();
  }
  private schedule(): void {
    if (this.scheduled || this.handler === undefined || this.waiting.length === 0) return;
    this.scheduled = true;
    queueMicrotask(() => this.deliver());
  }
  private deliver(): void {
    this.scheduled = false;
    const handler = this.handler;
    if (handler === undefined) return;
    const messages = this.waiting.splice(0);
    for (const message of messages) handler(message);
  }
}

export function loopback<A, B>(): { first: LinkEnd<A, B>; second: LinkEnd<B, A> } {
  const toSecond = new Lane<A>();
  const toFirst = new Lane<B>();
  return {
    first: { send: (message) => toSecond.push(message), onMessage: (handler) => toFirst.attach(handler) },
    second: { send: (message) => toFirst.push(message), onMessage: (handler) => toSecond.attach(handler) },
  };
}
