/**
 * Parts side by side: most of a part is waiting (for processes, file systems and time limits), which leaves a processor
 * to another. The log stays one block per part, in the order in which they started: the oldest part that runs prints as
 * it goes, and what the others print is held back until it is their turn.
 */
import type { Part, PartResult, Printer } from "./run-part.ts";

/** Runs a part, or what stands for it in a test. */
export type Runner = (part: Part, print: Printer) => Promise<PartResult>;

/** Runs every part, at most `lanes` at a time, each after the one it needs. The results are in the order of the parts. */
export async function runInLanes(
  parts: readonly Part[],
  lanes: number,
  run: Runner,
  print: Printer,
): Promise<PartResult[]> {
  const log = new OrderedLog(print);
  const results = new Map<Part, PartResult>();
  const running = new Set<Promise<void>>();
  const waiting = [...parts];
  const isReady = ({ needs }: Part): boolean =>
    parts.every((part) => part.name !== needs || part.skip !== undefined || results.has(part));
  const start = (part: Part): void => {
    const block = log.block();
    const ended = run(part, (chunk, to) => block.print(chunk, to)).then((result) => {
      results.set(part, result);
      running.delete(ended);
      block.end();
    });
    running.add(ended);
  };
  while (results.size < parts.length) {
    for (let at = waiting.findIndex(isReady); at >= 0 && running.size < lanes; at = waiting.findIndex(isReady))
      start(waiting.splice(at, 1)[0]!);
    if (running.size === 0) throw new Error(`nothing makes what these parts need: ${waiting.map(({ name }) => name)}`);
    await Promise.race(running);
  }
  return parts.map((part) => results.get(part)!);
}

interface Block {
  print: Printer;
  /** Nothing more comes. */
  end(): void;
}

class OrderedLog {
  readonly #print: Printer;
  readonly #blocks: { held: Parameters<Printer>[]; isOver: boolean }[] = [];

  constructor(print: Printer) {
    this.#print = print;
  }

  block(): Block {
    const own = { held: [] as Parameters<Printer>[], isOver: false };
    this.#blocks.push(own);
    return {
      print: (...what) => {
        own.held.push(what);
        this.#flush();
      },
      end: () => {
        own.isOver = true;
        this.#flush();
      },
    };
  }

  /** Prints what the first block holds, and once that is over goes on to the next. */
  #flush(): void {
    for (let first = this.#blocks[0]; first !== undefined; first = this.#blocks[0]) {
      for (const what of first.held.splice(0)) this.#print(...what);
      if (!first.isOver) return;
      this.#blocks.shift();
    }
  }
}
