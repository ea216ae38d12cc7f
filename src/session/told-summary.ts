/** What a daemon that is the target tells of the run: events for the face, counters, the question, the summary. */
import { type Counters, newCounters, type RunHooks, type RunSummary } from "../core/events.ts";
import type { ControlStream } from "../link/control-stream.ts";
import { applyProgress, decodeEvent, decodeSummary } from "../wire/events.ts";
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import { say } from "./wire-messages.ts";

/**
 * Counters of what was done (and, by `beginAgain`, of what there was to do), which add up over the sessions of one run; the
 * others are those of the last.
 */
const DONE = [
  "filesToTransfer",
  "bytesToTransfer",
  "filesTransferred",
  "bytesTransferred",
  "bytesLanded",
  "bytesLogical",
  "created",
  "updated",
  "repaired",
  "linked",
  "directoriesCreated",
  "entriesToDelete",
  "deleted",
  "sourcesRemoved",
] as const;

export class ToldSummary {
  readonly summary: Promise<RunSummary>;
  private resolve!: (summary: RunSummary) => void;
  private readonly stream: ControlStream;
  private readonly counters: Counters;
  /** What earlier sessions of the run did. */
  private readonly before: Counters;
  private readonly now = newCounters();
  private readonly hooks: RunHooks;

  constructor(stream: ControlStream, counters: Counters, hooks: RunHooks) {
    this.stream = stream;
    this.counters = counters;
    this.before = { ...counters };
    this.hooks = hooks;
    this.summary = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }

  take(message: SessionMessage): boolean {
    const { body } = message;
    const { hooks } = this;
    switch (body.case) {
      case "progress": {
        const phase = this.now.phase;
        applyProgress(body.value, this.now);
        this.add();
        if (this.now.phase !== phase) hooks.onEvent({ kind: "phase", phase: this.now.phase });
        return true;
      }
      case "confirm":
        void this.confirm(Number(body.value.entries), Number(body.value.targetEntries), body.value.sample);
        return true;
      case "summary": {
        const summary = decodeSummary(body.value);
        Object.assign(this.now, summary.counters);
        this.add();
        this.resolve({ ...summary, counters: { ...this.counters } });
        return true;
      }
      default: {
        const events = decodeEvent(message);
        if (events === undefined) return false;
        for (const event of events) hooks.onEvent(event);
        return true;
      }
    }
  }

  private add(): void {
    Object.assign(this.counters, this.now);
    for (const name of DONE) this.counters[name] = this.before[name] + this.now[name];
  }

  private async confirm(entries: number, targetEntries: number, sample: Uint8Array[]): Promise<void> {
    const answer = await this.hooks.confirmDeletions({ entries, targetEntries, sample });
    this.stream.send(say({ case: "confirmed", value: { answer } }));
  }
}
