import { root } from "../build/root.ts";
import type { CountReader, Counts } from "./counts.ts";
import { Failures } from "./failures.ts";

/** One command of the test run. */
export type Part = {
  readonly name: string;
  readonly command: readonly string[];
  readonly counts: CountReader;
  /** The part that makes what this one tests; chosen along with it, and over before this one starts. */
  readonly needs?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Why this machine cannot run the part; it then counts as one skipped. */
  readonly skip?: string | undefined;
};

export type PartResult = Counts & {
  readonly part: Part;
  readonly seconds: number;
  readonly note: string;
  /** What it printed of its failures. */
  readonly failures?: readonly string[];
};

/** Takes what a part prints, as it comes. */
export type Printer = (chunk: Uint8Array | string, to: "stdout" | "stderr") => void;

/** Far above what a part needs: a hang must end as a failure with a name, not as a killed job. */
const partLimitMs = 40 * 60_000;
/** The summary stands at the end of the output; this much of it is kept. */
const keptChars = 64 * 1024;

/** Runs the part with its output handed to `print`, and never calls silence a success. */
export async function runPart(part: Part, print: Printer): Promise<PartResult> {
  print(`\n=== ${part.name}\n`, "stdout");
  if (part.skip !== undefined) {
    print(`skipped: ${part.skip}\n`, "stdout");
    return { part, passed: 0, failed: 0, skipped: 1, seconds: 0, note: part.skip };
  }
  const started = performance.now();
  const child = Bun.spawn([...part.command], {
    cwd: root,
    env: { ...process.env, ...part.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: partLimitMs,
    killSignal: "SIGKILL",
  });
  const tail = new Tail();
  await Promise.all([
    tail.passThrough(child.stdout, (chunk) => print(chunk, "stdout")),
    tail.passThrough(child.stderr, (chunk) => print(chunk, "stderr")),
  ]);
  const exitCode = await child.exited;
  const seconds = (performance.now() - started) / 1000;
  const ending = child.signalCode === null ? `exit ${exitCode}` : `killed by ${child.signalCode}`;
  const judged = judge(part.counts(tail.text(), exitCode), exitCode, ending);
  return { part, seconds, ...judged, ...(judged.failed > 0 && { failures: tail.failures.lines() }) };
}

function judge(counts: Counts | undefined, exitCode: number, ending: string): Counts & { note: string } {
  if (counts === undefined) return { passed: 0, failed: 1, skipped: 0, note: `printed no summary, ${ending}` };
  const note = exitCode === 0 ? "" : ending;
  if (counts.passed + counts.failed === 0) return { ...counts, failed: 1, note: `ran no test, ${ending}` };
  // A tool may report failure though each test it names passed.
  return exitCode === 0 || counts.failed > 0 ? { ...counts, note } : { ...counts, failed: 1, note };
}

class Tail {
  readonly failures = new Failures();
  #text = "";

  async passThrough(from: ReadableStream<Uint8Array>, print: (chunk: Uint8Array) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of from) {
      print(chunk);
      const text = decoder.decode(chunk, { stream: true });
      this.failures.add(text);
      this.#text = (this.#text + text).slice(-keptChars);
    }
  }

  text(): string {
    return Bun.stripANSI(this.#text);
  }
}
