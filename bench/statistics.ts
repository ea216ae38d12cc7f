/** What is said of a cell's runs, and whether a bar is cleared. */
import type { Cell, Table } from "./harness.ts";
import type { Bar, Figures } from "./workload.ts";

const FIGURE_NAMES: Readonly<Record<keyof Figures, string>> = {
  otherCpuMs: "processor time at the other end",
  otherRssKiB: "peak RSS at the other end",
  streams: "number of data connections",
  wireBytes: "bytes through data connections",
  payloadBytes: "bytes of content",
};

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

/** Of both ends, which says more than wall time where others use the machine; undefined where no run counts. */
export function cpuMs(cell: Cell | undefined): number | undefined {
  if (wallMs(cell) === undefined) return undefined;
  return median(cell!.costs.map(({ userMs, sysMs, figures }) => userMs + sysMs + (figures?.otherCpuMs ?? 0)));
}

/** The highest of all runs, in bytes. */
export function peakRssBytes(cell: Cell | undefined): number | undefined {
  if (cell === undefined || cell.costs.length === 0) return undefined;
  return Math.max(...cell.costs.map((cost) => cost.maxRssKiB)) * 1024;
}

/** Of the process at the other end, the highest of all runs. */
export function otherRssBytes(cell: Cell | undefined): number | undefined {
  const peaks = figuresOf(cell, "otherRssKiB");
  return peaks.length === 0 ? undefined : Math.max(...peaks) * 1024;
}

/** Of the runs that count and have it. */
export function figuresOf(cell: Cell | undefined, figure: keyof Figures): number[] {
  return (cell?.costs ?? []).map(({ figures }) => figures?.[figure]).filter((value) => value !== undefined);
}

/** Undefined where the case does not say what it moves. */
export function mibPerSecond(cell: Cell | undefined): number | undefined {
  const wall = wallMs(cell);
  return wall === undefined || cell?.bytes === undefined ? undefined : cell.bytes / 2 ** 20 / (wall / 1000);
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
      const whose = bar.end === "other" ? "peak RSS of the other end" : "peak RSS";
      const text = `${bar.subject}: ${whose} at most ${bar.maxMB} MB`;
      const own = bar.end === "other" ? otherRssBytes(subject) : peakRssBytes(subject);
      return own === undefined
        ? unmeasured(text)
        : verdict(text, own <= bar.maxMB * 1e6, `${(own / 1e6).toFixed(0)} MB`);
    }
    case "growth": {
      const whose = bar.end === "other" ? "peak RSS of the other end" : "peak RSS";
      const text = `${bar.subject}: ${whose} at most ${bar.max.toFixed(2)} of ${bar.from}`;
      const peakOf = bar.end === "other" ? otherRssBytes : peakRssBytes;
      const own = peakOf(subject);
      const from = peakOf(find(bar.from));
      if (own === undefined || from === undefined) return unmeasured(text);
      return verdict(text, own / from <= bar.max, (own / from).toFixed(2));
    }
    case "linear": {
      const text = `${bar.subject}: processor time per entry at most ${bar.max.toFixed(2)} of ${bar.from}`;
      const [own, from] = [cpuMs(subject), cpuMs(find(bar.from))];
      if (own === undefined || from === undefined) return unmeasured(text);
      const ratio = own / (from * bar.times);
      return verdict(text, ratio <= bar.max, ratio.toFixed(2));
    }
    case "rate": {
      const text = `${bar.subject}: at least ${bar.minMiBPerSecond} MiB/s`;
      const own = mibPerSecond(subject);
      return own === undefined
        ? unmeasured(text)
        : verdict(text, own >= bar.minMiBPerSecond, `${own.toFixed(0)} MiB/s`);
    }
    case "near": {
      const text = `${bar.subject} and ${bar.other}: neither more than ${bar.max.toFixed(2)} of the other`;
      const [own, other] = [wallMs(subject), wallMs(find(bar.other))];
      if (own === undefined || other === undefined) return unmeasured(text);
      return verdict(text, Math.max(own, other) / Math.min(own, other) <= bar.max, (own / other).toFixed(2));
    }
    case "same": {
      const text = `${bar.subject} and ${bar.other}: the same ${FIGURE_NAMES[bar.figure]}`;
      const [own, other] = [figuresOf(subject, bar.figure), figuresOf(find(bar.other), bar.figure)];
      if (own.length === 0 || other.length === 0) return unmeasured(text);
      return verdict(text, median(own) === median(other), `${median(own)} and ${median(other)}`);
    }
    case "trips": {
      const text = `${bar.subject}: at most ${bar.max} round trips of ${bar.roundTripMs} ms more than ${bar.few}`;
      const names = [bar.subject, bar.few, bar.without.subject, bar.without.few];
      const [far, farFew, near, nearFew] = names.map((name) => wallMs(find(name)));
      if (far === undefined || farFew === undefined || near === undefined || nearFew === undefined)
        return unmeasured(text);
      const trips = (far - farFew - (near - nearFew)) / bar.roundTripMs;
      return verdict(text, trips <= bar.max, trips.toFixed(1));
    }
  }
}

function verdict(bar: string, passed: boolean, measured: string): Verdict {
  return { bar, measured, result: passed ? "pass" : "FAIL" };
}

function unmeasured(bar: string): Verdict {
  return { bar, measured: "", result: "not measured" };
}
