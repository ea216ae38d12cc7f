/** What is said of a cell's runs, and whether a bar is cleared. */
import type { Cell, Table } from "./harness.ts";
import type { Bar } from "./workload.ts";

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Of the runs that count; undefined where none does. A case that failed even once has no figure. */
export function wallMs(cell: Cell | undefined): number | undefined {
  if (cell === undefined || cell.costs.length === 0 || cell.failures.length > 0) return undefined;
  return median(cell.costs.map((cost) => cost.wallMs));
}

/** The highest of all runs, in bytes. */
export function peakRssBytes(cell: Cell | undefined): number | undefined {
  if (cell === undefined || cell.costs.length === 0) return undefined;
  return Math.max(...cell.costs.map((cost) => cost.maxRssKiB)) * 1024;
}

export interface Verdict {
  readonly bar: string;
  /** What was measured, in the bar's own terms. */
  readonly measured: string;
  readonly result: "pass" | "FAIL" | "not measured";
}

export function judge(table: Table, bar: Bar): Verdict {
  const find = (name: string) => table.cells.find((cell) => cell.name === name);
  const subject = find(bar.subject);
  switch (bar.kind) {
    case "ratio": {
      const text = `${bar.subject}: at most ${bar.max.toFixed(2)} of ${bar.against.length > 1 ? "the fastest of " : ""}${bar.against.join(", ")}`;
      const peers = bar.against.map((name) => wallMs(find(name))).filter((value) => value !== undefined);
      const own = wallMs(subject);
      if (own === undefined || peers.length === 0) return unmeasured(text);
      const ratio = own / Math.min(...peers);
      return verdict(text, ratio <= bar.max, ratio.toFixed(2));
    }
    case "wall": {
      const text = `${bar.subject}: at most ${bar.maxMs} ms`;
      const own = wallMs(subject);
      return own === undefined ? unmeasured(text) : verdict(text, own <= bar.maxMs, `${own.toFixed(1)} ms`);
    }
    case "rss": {
      const text = `${bar.subject}: peak RSS at most ${bar.maxMB} MB`;
      const own = peakRssBytes(subject);
      return own === undefined
        ? unmeasured(text)
        : verdict(text, own <= bar.maxMB * 1e6, `${(own / 1e6).toFixed(0)} MB`);
    }
    case "growth": {
      const text = `${bar.subject}: peak RSS at most ${bar.max.toFixed(2)} of ${bar.from}`;
      const own = peakRssBytes(subject);
      const from = peakRssBytes(find(bar.from));
      if (own === undefined || from === undefined) return unmeasured(text);
      return verdict(text, own / from <= bar.max, (own / from).toFixed(2));
    }
  }
}

function verdict(bar: string, passed: boolean, measured: string): Verdict {
  return { bar, measured, result: passed ? "pass" : "FAIL" };
}

function unmeasured(bar: string): Verdict {
  return { bar, measured: "", result: "not measured" };
}
