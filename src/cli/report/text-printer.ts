/** The run as text for people: results on stdout, trouble and progress on stderr. */

import { FileType } from "../../core/entry-batch.ts";
import type { Action, ItemsEvent, NoticeEvent, RunEvent, RunSummary } from "../../core/events.ts";
import { bytesOf, joinPath, printable } from "../../core/paths.ts";
import type { Placement } from "../../session/api.ts";
import { tellEnding, tellWarning } from "./ending-text.ts";
import { red } from "./format.ts";
import { rootOr } from "./json-printer.ts";
import type { Output } from "./output.ts";
import type { PhaseTimes, Printer, RunFacts } from "./printer.ts";
import type { LiveLine } from "./progress-line.ts";
import { progressText } from "./progress-line.ts";
import type { Progress } from "./progress-meter.ts";
import { flowing, hanging, proseWidthOf, widthOf } from "./screen.ts";
import { statsLines } from "./stats-text.ts";
import { attributeLines, failureLine, failureLines, summaryLines } from "./summary-text.ts";

export interface TextOptions {
  readonly verbose: boolean;
  readonly quiet: boolean;
  /** List items. */
  readonly items: boolean;
  readonly reasons: boolean;
  /** End with the statistics. */
  readonly stats: boolean;
  /** Shown with --verbose, below the banner. */
  readonly notes: readonly string[];
  /** Patterns that stand in the configuration, as warnings name them: that one of them matches nothing is no slip. */
  readonly standing?: ReadonlySet<string>;
  /** On a terminal; absent: progress is a line each time. */
  readonly live: LiveLine | undefined;
}

/** Fixed width, so that paths stand in a column. */
const WORDS: Readonly<Record<Action, string>> = {
  create: "create",
  update: "update",
  repair: "repair",
  link: "link",
  delete: "delete",
  differ: "differ",
};
const WORD_WIDTH = 6;
const PROGRAM = "fastsync: ";

export class TextPrinter implements Printer {
  readonly #out: Output;
  readonly #err: Output;
  readonly #facts: RunFacts;
  readonly #options: TextOptions;
  #started = false;
  #lastWarning: string | undefined;

  constructor(out: Output, err: Output, facts: RunFacts, options: TextOptions) {
    this.#out = out;
    this.#err = err;
    this.#facts = facts;
    this.#options = options;
  }

  start(placement: Placement): void {
    this.#started = true;
    if (this.#options.quiet) return;
    this.#out.line(bannerText(this.#facts, placement));
    if (this.#options.verbose) for (const note of this.#options.notes) this.#note(note);
    this.#out.flush();
  }

  event(event: RunEvent): void {
    switch (event.kind) {
      case "items":
        if (this.#options.items) this.#items(event);
        return;
      case "delete":
        if (this.#options.items) this.#item("delete", event.path, event.directory ? "/" : "", undefined);
        return;
      case "failure":
        // Somebody is watching: say it at once. Logs get it once, in the block at the end.
        if (!this.#err.isTerminal || this.#options.quiet) return;
        this.#trouble(failureLine(event.failure));
        return;
      case "notice":
        this.#notice(event);
        return;
      case "phase":
        return;
    }
  }

  #items({ action, directory, batch, rows, reasons }: ItemsEvent): void {
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      const path = row === batch.self ? directory : joinPath(directory, batch.name(row));
      const type = batch.type(row);
      const tail =
        type === FileType.directory
          ? "/"
          : type === FileType.symlink && action !== "delete"
            ? ` -> ${printable(batch.linkText(row))}`
            : "";
      this.#item(action, path, tail, reasons?.[index]);
    }
  }

  #item(action: Action, path: Uint8Array, tail: string, reasons: string | undefined): void {
    const word = WORDS[action].padEnd(WORD_WIDTH);
    const why = this.#options.reasons && reasons ? `  (${reasons.replaceAll(",", ", ")})` : "";
    this.#out.write(`${this.#facts.dryRun ? "would " : ""}${word}  ${printable(rootOr(path))}${tail}${why}\n`);
  }

  #notice({ level, code, message }: NoticeEvent): void {
    if (code === "data_plane") this.#trace(plain(message));
    else if (level === "warning") {
      this.#warning(plain(message));
      this.#lastWarning = message;
    } else if (this.#options.verbose) this.#note(plain(message));
  }

  /** `Transferred  2 files, 3 B`: what goes on stands below the second column. */
  #row(line: string): void {
    const width = widthOf(this.#out);
    const [, head = "", text = line] = /^([A-Z][a-z]+(?: [a-z]+)? {2,})(\S.*)$/.exec(line) ?? [];
    const lines = line.length <= width ? [line] : head === "" ? flowing(line, width) : hanging(head, text, width);
    for (const one of lines) this.#out.line(one);
  }

  /** A record, for grep(1) and its like: never wrapped. */
  #trace(text: string): void {
    this.#out.flush();
    this.#err.line(`[data-plane] ${text}`);
    this.#err.flush();
  }

  #note(text: string): void {
    for (const line of flowing(text, proseWidthOf(this.#out))) this.#out.line(line);
  }

  #warning(text: string): void {
    this.#out.flush();
    tellWarning(this.#err, text, PROGRAM, (line) => red(line, this.#err.colour));
    this.#err.flush();
  }

  #trouble(text: string): void {
    // What was listed before comes before it on a terminal that shows both.
    this.#out.flush();
    this.#err.line(PROGRAM + red(text, this.#err.colour));
    this.#err.flush();
  }

  progress(progress: Progress): void {
    this.#out.flush();
    if (this.#options.live !== undefined)
      this.#options.live.draw((width) => progressText(progress, this.#facts, width));
    else {
      this.#err.line(progressText(progress, this.#facts));
      this.#err.flush();
    }
  }

  waiting(text: string): void {
    this.#options.live?.draw((width) => plain(text).slice(0, width));
  }

  end(summary: RunSummary, phases: PhaseTimes = {}): void {
    this.#options.live?.clear();
    this.#failures(summary);
    for (const pattern of summary.unmatchedPatterns) {
      if (!this.#options.quiet && !this.#options.standing?.has(pattern))
        this.#warning(`pattern matched nothing: ${plain(pattern)}`);
    }
    // A run that was refused before it began has nothing to count.
    if (!this.#options.quiet && this.#started) {
      const counted = summaryLines(summary, this.#facts, this.#options.verbose, !this.#options.stats);
      const stats =
        this.#options.stats && summary.job === undefined ? ["", ...statsLines(summary, this.#facts, phases)] : [];
      for (const line of [...counted, ...stats]) this.#row(line);
    }
    this.#out.flush();
    // That two trees differ is the answer of a check, not trouble.
    const answered = this.#facts.verb === "check" && summary.exitCode === 1;
    const told = summary.message === this.#lastWarning;
    if (summary.message !== undefined && summary.exitCode !== 0 && !answered && !told) {
      tellEnding(this.#err, undefined, plain(summary.message), summary.exitCode, (text) => red(text, this.#err.colour));
    }
    this.#err.flush();
  }

  #failures(summary: RunSummary): void {
    const lines = [...failureLines(summary), ...attributeLines(summary)];
    if (lines.length === 0) return;
    this.#out.flush();
    for (const line of lines) this.#err.line(red(line, this.#err.colour));
    this.#err.flush();
  }
}

/** `mirror photos/ -> /mnt/backup/photos/ (new)` */
export function bannerText({ verb, command, dryRun }: RunFacts, placement: Placement): string {
  const names = placement.sources.map(({ path, kind }) => {
    const name = printable(path);
    return kind === "contents" && !name.endsWith("/") ? `${name}/` : name;
  });
  const shown = names.length <= 3 ? names.join(", ") : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
  const state = placement.targetExists ? "" : " (new)";
  return `${dryRun ? "dry run: " : ""}${command ?? verb} ${shown} ${verb === "check" ? "against" : "->"} ${printable(placement.target)}${state}`;
}

/** Sentences may quote names; their control characters must not reach the terminal. */
export function plain(text: string): string {
  return printable(bytesOf(text));
}
