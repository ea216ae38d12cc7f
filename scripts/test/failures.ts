/**
 * What a failed part has to say, kept apart from the thousands of lines around it: whoever sees only the end of a log
 * still learns which test failed, and how.
 */

/** Lines before a failure that belong to it: what bun prints of an error is a source excerpt, the message and a stack. */
const keptLines = 60;
/** Failures kept of one part; with more than that the log itself has to be read. */
const keptFailures = 12;

/** Reads the output of one part as it comes. */
export class Failures {
  readonly #found = new Map<string, string[]>();
  #before: string[] = [];
  #partial = "";

  add(chunk: string): void {
    const lines = (this.#partial + chunk).split("\n");
    this.#partial = lines.pop()!;
    for (const line of lines) this.#addLine(Bun.stripANSI(line).trimEnd());
  }

  #addLine(line: string): void {
    // bun names each failed test a second time at its end; the C tests put everything into one line.
    if (/^\(fail\) |^FAIL /.test(line)) {
      if (!this.#found.has(line) && this.#found.size < keptFailures) this.#found.set(line, this.#before);
      this.#before = [];
    } else if (/^\((pass|skip|todo)\) /.test(line)) this.#before = [];
    else this.#before = [...this.#before, line].slice(-keptLines);
  }

  /** Every failure with what was printed before it; where no test was named, the last lines of all. */
  lines(): string[] {
    const named = [...this.#found].flatMap(([name, before]) => [...before, name, ""]);
    return named.length > 0 ? named : [...this.#before, this.#partial].filter((line) => line !== "");
  }
}
