/**
 * The jobs of this daemon: those that run, and a bounded ring of those that ended.
 *
 *     begin      a session was let in and accepted
 *     look       what its counters say is read when somebody asks, and twice a minute for the history
 *     end        once, however it ended
 *
 * Nothing here is called for a file or a message: a job costs what asking for it costs.
 */
import type { Counters } from "../../core/events.ts";
import { newCounters } from "../../core/events.ts";
import type { Job, JobEnd } from "../../core/jobs.ts";
import type { PhaseTimes } from "../../history/phase-clock.ts";
import type { JobStore } from "./store.ts";

/** What is known of a job when it begins. */
export type JobFacts = Pick<Job, "id" | "peer" | "module" | "path" | "role" | "verb" | "dryRun" | "explains" | "other">;

/** How a job that runs is looked at, and stopped. */
export interface JobControls {
  /** The counters as they stand. */
  look(): { readonly counters: Readonly<Counters>; readonly bytes: number; readonly phases: PhaseTimes };
  /** Asks for an orderly end. */
  cancel(): void;
}

/** A job as the daemon keeps it: with whose it is. */
export interface KeptJob extends Job {
  /** See `ownership.ts`; undefined: nobody's but the administrator's. */
  readonly owner: string | undefined;
}

interface Entry {
  facts: JobFacts;
  startedMs: number;
  owner: string | undefined;
  controls: JobControls | undefined;
  /** As it was looked at last; final once there are no controls. */
  last: KeptJob;
}

/** How far a job had got is written down so often: what is left of it after a crash is that old. */
const SAVE_MS = 30_000;

export class JobRegistry {
  private readonly entries = new Map<string, Entry>();
  private readonly kept: () => number;
  private readonly now: () => number;
  private readonly onProblem: (problem: string) => void;
  private store: JobStore | undefined;
  private timer: ReturnType<typeof setInterval> | undefined;
  private wake = Promise.withResolvers<void>();
  private running = 0;

  /** `kept`: how many jobs that ended are remembered; asked at each end. */
  constructor(options: {
    readonly kept: () => number;
    readonly store: JobStore | undefined;
    readonly onProblem: (problem: string) => void;
    readonly now?: () => number;
  }) {
    this.kept = options.kept;
    this.onProblem = options.onProblem;
    this.now = options.now ?? Date.now;
    this.store = options.store;
    for (const job of options.store?.earlier ?? []) {
      // Nobody runs what an earlier process ran.
      const last: KeptJob = job.state === "running" ? { ...job, state: "lost" } : job;
      this.entries.set(job.id, { facts: job, startedMs: job.startedMs, owner: job.owner, controls: undefined, last });
      if (last !== job) this.save(last);
    }
    this.forgetOldest();
  }

  /** `owner` may become known a little later. */
  begin(facts: JobFacts, owner: Promise<string | undefined>, controls: JobControls): (end: JobEnd) => void {
    const startedMs = this.now();
    const last: KeptJob = {
      ...facts,
      owner: undefined,
      startedMs,
      endedMs: undefined,
      state: "running",
      counters: newCounters(),
      bytes: 0,
      end: undefined,
    };
    const entry: Entry = { facts, startedMs, owner: undefined, controls, last };
    this.entries.set(facts.id, entry);
    this.running++;
    this.timer ??= setInterval(() => this.saveRunning(), SAVE_MS);
    this.timer.unref();
    owner
      .then((known) => {
        entry.owner = known;
        entry.last = { ...entry.last, owner: known };
        // It may be forgotten by now, and is not to be written down again.
        if (this.entries.get(facts.id) !== entry) return;
        this.save(entry.controls === undefined ? entry.last : look(entry));
        this.tell();
      })
      .catch((error: unknown) => this.onProblem(`whose the job ${facts.id} is, is not known: ${reasonOf(error)}`));
    this.tell();
    return (end) => this.end(entry, end);
  }

  private end(entry: Entry, end: JobEnd): void {
    if (entry.controls === undefined) return;
    entry.last = { ...look(entry), endedMs: this.now(), state: "ended", end };
    entry.controls = undefined;
    this.running--;
    if (this.running === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
    }
    this.save(entry.last);
    this.forgetOldest();
    this.tell();
  }

  /** Looked at now; the latest first. */
  list(): KeptJob[] {
    return [...this.entries.values()].reverse().map(look);
  }

  /** So many jobs that ended are remembered, and there are that many; undefined: there is room for more. */
  get fullAt(): number | undefined {
    const kept = this.kept();
    return this.entries.size - this.running >= kept ? kept : undefined;
  }

  get(id: string): KeptJob | undefined {
    const entry = this.entries.get(id);
    return entry === undefined ? undefined : look(entry);
  }

  /** Looks at the job whenever it is called, also after it ended and was forgotten. */
  follow(id: string): (() => KeptJob) | undefined {
    const entry = this.entries.get(id);
    return entry === undefined ? undefined : () => look(entry);
  }

  /** False: it does not run. */
  cancel(id: string): boolean {
    const controls = this.entries.get(id)?.controls;
    controls?.cancel();
    return controls !== undefined;
  }

  /** Resolves when a job began or ended; or after `ms`, or when `signal` is aborted. */
  async changed(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const pause = Promise.withResolvers<void>();
    const timer = setTimeout(pause.resolve, ms);
    const stop = (): void => pause.resolve();
    signal.addEventListener("abort", stop, { once: true });
    await Promise.race([this.wake.promise, pause.promise]);
    signal.removeEventListener("abort", stop);
    clearTimeout(timer);
  }

  private tell(): void {
    this.wake.resolve();
    this.wake = Promise.withResolvers();
  }

  private saveRunning(): void {
    for (const entry of this.entries.values()) if (entry.controls !== undefined) this.save(look(entry));
  }

  private forgetOldest(): void {
    let surplus = this.entries.size - this.running - this.kept();
    const gone: string[] = [];
    for (const [id, entry] of this.entries) {
      if (surplus <= 0) break;
      if (entry.controls !== undefined) continue;
      this.entries.delete(id);
      gone.push(id);
      surplus--;
    }
    if (gone.length > 0) this.withStore((store) => store.remove(gone));
  }

  private save(job: KeptJob): void {
    this.withStore((store) => store.save(job));
  }

  /** A history that cannot be written is given up, and what it is about goes on. */
  private withStore(work: (store: JobStore) => void): void {
    if (this.store === undefined) return;
    try {
      work(this.store);
    } catch (error) {
      this.onProblem(`the history of jobs is not written any more, and kept in memory: ${reasonOf(error)}`);
      this.close();
    }
  }

  close(): void {
    clearInterval(this.timer);
    const { store } = this;
    this.store = undefined;
    try {
      store?.close();
    } catch {
      // What was written before is there; the rest was told.
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function look(entry: Entry): KeptJob {
  if (entry.controls === undefined) return entry.last;
  const { counters, bytes } = entry.controls.look();
  entry.last = { ...entry.last, counters: { ...counters }, bytes };
  return entry.last;
}
