/** So many at a time. */
export class Turns {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(most: number) {
    this.free = most;
  }

  async take(): Promise<Disposable> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    return {
      [Symbol.dispose]: () => {
        const next = this.waiting.shift();
        if (next === undefined) this.free++;
        else next();
      },
    };
  }
}
