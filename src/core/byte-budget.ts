/** Content that may be on its way at a time. Who wants more waits, in the order they came. */
export class ByteBudget {
  /** 0: no bound. */
  readonly most: number;
  private taken = 0;
  private readonly waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(most: number) {
    this.most = most;
  }

  /** Runs the task when there is room for its bytes; what is larger than the budget has it alone. */
  run<T>(bytes: number, task: () => Promise<T>): Promise<T> {
    return this.most === 0 ? task() : this.runWithin(Math.min(bytes, this.most), task);
  }

  private async runWithin<T>(bytes: number, task: () => Promise<T>): Promise<T> {
    if (this.waiting.length > 0 || this.taken + bytes > this.most)
      await new Promise<void>((go) => this.waiting.push({ bytes, go }));
    else this.taken += bytes;
    try {
      return await task();
    } finally {
      this.taken -= bytes;
      this.letIn();
    }
  }

  private letIn(): void {
    for (
      let next = this.waiting[0];
      next !== undefined && this.taken + next.bytes <= this.most;
      next = this.waiting[0]
    ) {
      this.waiting.shift();
      this.taken += next.bytes;
      next.go();
    }
  }
}
