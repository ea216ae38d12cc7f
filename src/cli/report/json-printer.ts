/**
 * The run as NDJSON: one object a line, `schema: 1` in each, types start, progress, item, error, delete and summary.
 * Names that are not UTF-8 come as `path` (lossy) with `path_b64` (their bytes).
 */

import { FileType } from "../../core/entry-batch.ts";
import type { Counters, Failure, ItemsEvent, NoticeEvent, RunEvent, RunSummary } from "../../core/events.ts";
import { joinPath, lossyUtf8Of, utf8Of } from "../../core/paths.ts";
import type { Placement } from "../../session/api.ts";
import { VERSION } from "../version.ts";
import type { Output } from "./output.ts";
import type { PhaseTimes, Printer, RunFacts } from "./printer.ts";
import type { Progress } from "./progress-meter.ts";

export const SCHEMA = 1;
/** Notices are repeated in the summary; a flood of them is cut here. */
const MAX_NOTICES = 100;

type Json = Readonly<Record<string, unknown>>;

export class JsonPrinter implements Printer {
  readonly #out: Output;
  readonly #facts: RunFacts | undefined;
  readonly #now: () => Date;
  readonly #notices: Json[] = [];
  #ended = false;

  /** Without `facts` there is no run: only errors and a summary will come. */
  constructor(out: Output, facts: RunFacts | undefined, now: () => Date = () => new Date()) {
    this.#out = out;
    this.#facts = facts;
    this.#now = now;
  }

  start(placement: Placement): void {
    this.#line("start", {
      version: VERSION,
      time: this.#now().toISOString(),
      verb: this.#facts?.verb,
      command: this.#facts?.command ?? this.#facts?.verb,
      dry_run: this.#facts?.dryRun,
      sources: placement.sources.map((source) => ({ ...pathFields(source.path), kind: source.kind })),
      target: { ...pathFields(placement.target), exists: placement.targetExists },
      ...zeroCopyFields(this.#facts),
    });
    // A reader that waits for the first line shall not wait for 64 KiB.
    this.#out.flush();
  }

  event(event: RunEvent): void {
    switch (event.kind) {
      case "items":
        this.#items(event);
        return;
      case "delete":
        this.#line("delete", { ...pathFields(event.path), kind: event.directory ? "directory" : "other" });
        return;
      case "failure":
        this.#line("error", failureFields(event.failure));
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
      const path = row === batch.self ? rootOr(directory) : joinPath(directory, batch.name(row));
      const kind = kindOf(batch.type(row));
      if (action === "delete") {
        this.#line("delete", { ...pathFields(path), kind });
        continue;
      }
      this.#line("item", {
        action,
        ...pathFields(path),
        kind,
        size: kind === "file" ? batch.size(row) : undefined,
        reasons: reasons?.[index]?.split(",").filter((reason) => reason !== ""),
      });
    }
  }

  #notice({ level, code, message }: NoticeEvent): void {
    if (this.#notices.length < MAX_NOTICES) this.#notices.push({ level, code, message });
  }

  progress(progress: Progress, counters: Readonly<Counters>): void {
    this.#line("progress", {
      ...counterFields(counters),
      bytes_done: progress.bytesDone,
      bytes_per_second: Math.round(progress.bytesPerSecond),
      seconds_left: progress.secondsLeft === undefined ? null : Math.ceil(progress.secondsLeft),
      elapsed_ms: Math.round(progress.elapsedMs),
    });
    this.#out.flush();
  }

  /** An error of the whole run, such as a wrong flag. */
  error(code: string, message: string): void {
    this.#line("error", { code, message });
  }

  end(summary: RunSummary, phases: PhaseTimes = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#line("summary", {
      ...summaryFields(summary),
      verb: this.#facts?.verb,
      command: this.#facts?.command ?? this.#facts?.verb,
      // A run that ended without a word of its own was still asked for as what it was.
      dry_run: this.#facts?.dryRun ?? summary.dryRun,
      ...zeroCopyFields(this.#facts),
      notices: this.#notices,
      phases_ms: phases,
    });
    this.#out.flush();
  }

  #line(type: string, fields: Json): void {
    this.#out.line(jsonText({ schema: SCHEMA, type, ...fields }));
  }
}

/**
 * JSON in which no character can steer a terminal: what JSON itself leaves bare (DEL, C1, line separators, bidi
 * controls) is escaped too. Such characters occur only inside strings, so the text as a whole may be searched.
 */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function pathFields(path: Uint8Array): { path: string; path_b64?: string } {
  const text = utf8Of(path);
  return text !== undefined
    ? { path: text }
    : { path: lossyUtf8Of(path), path_b64: Buffer.from(path).toString("base64") };
}

const ROOT = new Uint8Array([0x2e]);

/** The root of the run has the empty path; `.` says that to people and scripts. */
export function rootOr(path: Uint8Array): Uint8Array {
  return path.length === 0 ? ROOT : path;
}

/** `type`: of `FileType`. */
export function kindOf(type: number): string {
  switch (type) {
    case FileType.regular:
      return "file";
    case FileType.directory:
      return "directory";
    case FileType.symlink:
      return "symlink";
    case FileType.fifo:
      return "fifo";
    case FileType.socket:
      return "socket";
    case FileType.charDevice:
      return "char_device";
    case FileType.blockDevice:
      return "block_device";
    default:
      return "other";
  }
}

function zeroCopyFields(facts: RunFacts | undefined): Json {
  const zeroCopy = facts?.zeroCopy;
  return zeroCopy === undefined ? {} : { zero_copy: zeroCopy.allowed, zero_copy_decided_by: zeroCopy.decidedBy };
}

function failureFields(failure: Failure): Json {
  return {
    code: failure.code,
    side: failure.side,
    ...pathFields(rootOr(failure.path)),
    operation: failure.operation,
    errno: failure.errno,
    message: failure.message,
  };
}

export function counterFields(counters: Readonly<Counters>): Json {
  return {
    phase: counters.phase,
    directories_examined: counters.directoriesExamined,
    entries_examined: counters.entriesExamined,
    files_examined: counters.filesExamined,
    symlinks_examined: counters.symlinksExamined,
    specials_examined: counters.specialsExamined,
    bytes_examined: counters.bytesExamined,
    bytes_to_compare: counters.bytesToCompare,
    bytes_compared: counters.bytesCompared,
    scan_complete: counters.scanComplete,
    files_to_transfer: counters.filesToTransfer,
    bytes_to_transfer: counters.bytesToTransfer,
    files_transferred: counters.filesTransferred,
    bytes_transferred: counters.bytesTransferred,
    bytes_logical: counters.bytesLogical,
    created: counters.created,
    updated: counters.updated,
    repaired: counters.repaired,
    linked: counters.linked,
    unchanged: counters.unchanged,
    directories_created: counters.directoriesCreated,
    entries_to_delete: counters.entriesToDelete,
    files_deleted: counters.deleted,
    sources_removed: counters.sourcesRemoved,
    files_failed: counters.failed,
    vanished: counters.vanished,
    attribute_warnings: counters.attributeWarnings,
  };
}

export function summaryFields(summary: RunSummary): Json {
  const { phase: _, ...counters } = counterFields(summary.counters);
  return {
    exit_code: summary.exitCode,
    exit_reason: summary.exitReason,
    message: summary.message,
    job: summary.job?.id,
    job_daemon: summary.job?.daemon,
    dry_run: summary.dryRun,
    ...counters,
    duration_ms: Math.round(summary.durationMs),
    skipped: summary.skipped,
    methods: summary.methods,
    refused: summary.refused,
    plan: summary.plan,
    attribute_failures: summary.attributeWarnings.map(({ examples, ...group }) => ({
      ...group,
      examples: examples.map((path) => pathFields(rootOr(path))),
    })),
    failures: summary.failures.map(failureFields),
    unmatched_patterns: summary.unmatchedPatterns,
    backend: summary.backend,
    workers: summary.workers,
    network: networkFields(summary),
  };
}

function networkFields({ network }: RunSummary): Json | undefined {
  if (network === undefined) return undefined;
  const { carrier, streams, bytes, firstContentMs, roundTripMs } = network;
  return {
    carrier,
    streams,
    bytes,
    ...(roundTripMs === undefined ? {} : { round_trip_ms: Math.round(roundTripMs * 1000) / 1000 }),
    ...(firstContentMs === undefined ? {} : { first_content_ms: Math.round(firstContentMs * 1000) / 1000 }),
  };
}
