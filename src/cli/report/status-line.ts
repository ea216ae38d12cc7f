/** One line at the end of a terminal that changes in place. Writes nothing before `show`, and leaves nothing after `clear`. */
export class StatusLine {
  readonly #write: (text: string) => void;
  readonly #columns: () => number;
  #shown = "";

  constructor(write: (text: string) => void, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  /** `text` has to be printable. The last column stays free: some terminals wrap when it is written. */
  show(text: string): void {
    const cut = text.slice(0, Math.max(10, (this.#columns() || 80) - 1));
    if (cut === this.#shown) return;
    this.#write(`\r${cut}\u001b[K`);
    this.#shown = cut;
  }

  clear(): void {
    if (this.#shown === "") return;
    this.#shown = "";
    this.#write("\r\u001b[K");
  }
}
