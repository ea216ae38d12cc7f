/**
 * The history of jobs on disk: one SQLite file in the state directory, held by one daemon at a time.
 *
 * It is a record, not a part of any transfer. Whatever is wrong with it (no directory, no permission, another daemon has
 * it, damage, a later version wrote it) is a sentence for the log, and the daemon remembers its jobs in memory.
 * Commits do not wait for the disk (WAL, synchronous = NORMAL): after a loss of power the last ones may be missing, the
 * file is whole.
 */

import type { Database as SqliteDatabase } from "bun:sqlite";
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Counters, newCounters, PHASES } from "../../core/events.ts";
import { isExitCode } from "../../core/exit-codes.ts";
import { isJobId, JOB_STATES, type JobState } from "../../core/jobs.ts";
import { EXPLAINS, type Verb } from "../../core/options.ts";
import { makePrivateFile, makeStateDirectory } from "../../history/state-place.ts";
import type { KeptJob } from "./registry.ts";

export interface JobStore {
  /** What was there when it was opened, the earliest first. */
  readonly earlier: readonly KeptJob[];
  /** Writes a job, or what is new of it. Throws as SQLite does. */
  save(job: KeptJob): void;
  remove(ids: readonly string[]): void;
  close(): void;
}

export interface OpenedStore {
  /** undefined: there is no history on disk. */
  readonly store: JobStore | undefined;
  /** For the log. */
  readonly warnings: readonly string[];
}

export const JOBS_FILE = "jobs.db";

/** Step N makes a file of version N one of version N + 1; `user_version` says what a file is. */
export const JOB_STEPS: readonly string[] = [
  `CREATE TABLE jobs (
     number INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     owner TEXT,
     peer TEXT NOT NULL,
     module TEXT,
     path BLOB NOT NULL,
     role TEXT NOT NULL,
     verb TEXT NOT NULL,
     dry_run INTEGER NOT NULL,
     other TEXT,
     started_ms INTEGER NOT NULL,
     ended_ms INTEGER,
     state TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     counters TEXT NOT NULL,
     exit_code INTEGER,
     exit_reason TEXT,
     message TEXT
   ) STRICT`,
  "ALTER TABLE jobs ADD COLUMN explains TEXT",
];

const COLUMNS = [
  ...(["id", "owner", "peer", "module", "path", "role", "verb", "dry_run", "other", "started_ms"] as const),
  ...(["ended_ms", "state", "bytes", "counters", "exit_code", "exit_reason", "message", "explains"] as const),
];
const SAVE = `INSERT INTO jobs (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map((name) => `$${name}`).join(", ")})
  ON CONFLICT (id) DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")}`;

type Value = string | number | Uint8Array | null;
type Row = Record<(typeof COLUMNS)[number], Value>;

/** Never throws. `steps` is for tests of what a later version will do. */
export async function openJobStore(directory: string, steps: readonly string[] = JOB_STEPS): Promise<OpenedStore> {
  const { Database } = await import("bun:sqlite");
  const path = join(directory, JOBS_FILE);
  const open = (): JobStore => {
    // Paths of what was copied are in it: for the daemon's user only, and so are the files that SQLite puts beside it.
    makeStateDirectory({ directory });
    makePrivateFile(path);
    const database = new Database(path, { readwrite: true, create: true, strict: true });
    try {
      return storeOf(database, steps);
    } catch (error) {
      database.close();
      throw error;
    }
  };
  try {
    return { store: open(), warnings: [] };
  } catch (error) {
    if (!isDamage(error)) return { store: undefined, warnings: [`${kept(path)}: ${reasonOf(error)}`] };
    const aside = `${path}.damaged`;
    try {
      renameSync(path, aside);
      for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
      return {
        store: open(),
        warnings: [`the history of jobs ${path} is damaged (${reasonOf(error)}); it was set aside as ${aside}`],
      };
    } catch (second) {
      return { store: undefined, warnings: [`${kept(path)}: it is damaged, and ${reasonOf(second)}`] };
    }
  }
}

function kept(path: string): string {
  return `the history of jobs is kept in memory only, since ${path} cannot be used`;
}

/** A file that SQLite does not take for a whole database, or whose content is not what was written. */
class Damage extends Error {}

function isDamage(error: unknown): boolean {
  if (error instanceof Damage) return true;
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^SQLITE_(CORRUPT|NOTADB)/.test(code);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string };
  if (code?.startsWith("SQLITE_BUSY")) return "another daemon has it; give each its own state_directory";
  return message;
}

function storeOf(database: SqliteDatabase, steps: readonly string[]): JobStore {
  // Whoever has it keeps it: what a second daemon would take for lost jobs may be running.
  database.run("PRAGMA busy_timeout = 0");
  database.run("PRAGMA locking_mode = EXCLUSIVE");
  database.run("PRAGMA journal_mode = WAL");
  database.run("PRAGMA synchronous = NORMAL");
  database.run("BEGIN EXCLUSIVE");
  const check = database.query("PRAGMA quick_check(1)").get() as { quick_check: string } | null;
  if (check?.quick_check !== "ok") throw new Damage(check?.quick_check ?? "it cannot be checked");
  migrate(database, steps);
  database.run("COMMIT");
  const rows = database.query("SELECT * FROM jobs ORDER BY number").all() as Row[];
  const save = database.query<unknown, Row>(SAVE);
  const remove = database.query<unknown, [string]>("DELETE FROM jobs WHERE id = ?");
  return {
    earlier: rows.map(jobOf),
    save: (job) => {
      save.run(rowOf(job));
    },
    remove: database.transaction((ids: readonly string[]) => {
      for (const id of ids) remove.run(id);
    }),
    close: () => {
      save.finalize();
      remove.finalize();
      database.close();
    },
  };
}

function migrate(database: SqliteDatabase, steps: readonly string[]): void {
  const { user_version: version } = database.query("PRAGMA user_version").get() as { user_version: number };
  if (version > steps.length)
    throw new Error(`a later fastsync wrote it (version ${version}, and ${steps.length} is known here)`);
  for (const step of steps.slice(version)) database.run(step);
  database.run(`PRAGMA user_version = ${steps.length}`);
}

function rowOf(job: KeptJob): Row {
  return {
    id: job.id,
    owner: job.owner ?? null,
    peer: job.peer,
    module: job.module ?? null,
    path: job.path,
    role: job.role,
    verb: job.verb,
    dry_run: job.dryRun ? 1 : 0,
    other: job.other ?? null,
    started_ms: job.startedMs,
    ended_ms: job.endedMs ?? null,
    state: job.state,
    bytes: job.bytes,
    counters: JSON.stringify(job.counters),
    exit_code: job.end?.exitCode ?? null,
    exit_reason: job.end?.exitReason ?? null,
    message: job.end?.message ?? null,
    explains: job.explains ?? null,
  };
}

const VERBS: ReadonlySet<unknown> = new Set<Verb>(["copy", "mirror", "move", "check"]);

/** Throws Damage where a row is not what `rowOf` makes. */
function jobOf(row: Row): KeptJob {
  const { id, role, verb, state, path, exit_code: exitCode } = row;
  const isRight =
    isJobId(String(id)) &&
    (role === "source" || role === "target") &&
    VERBS.has(verb) &&
    (JOB_STATES as readonly unknown[]).includes(state) &&
    (exitCode === null || isExitCode(exitCode as number));
  if (!isRight) throw new Damage("a job that makes no sense");
  const text = (value: Value): string | undefined => (value === null ? undefined : String(value));
  return {
    id: String(id),
    owner: text(row.owner),
    peer: String(row.peer),
    module: text(row.module),
    path: path as Uint8Array,
    role: role as "source" | "target",
    verb: verb as Verb,
    dryRun: row.dry_run === 1,
    explains: EXPLAINS.find((known) => known === row.explains),
    other: text(row.other),
    startedMs: row.started_ms as number,
    endedMs: row.ended_ms === null ? undefined : (row.ended_ms as number),
    state: state as JobState,
    bytes: row.bytes as number,
    counters: countersOf(String(row.counters)),
    end:
      exitCode === null || !isExitCode(exitCode as number)
        ? undefined
        : {
            exitCode: exitCode as NonNullable<KeptJob["end"]>["exitCode"],
            exitReason: String(row.exit_reason),
            message: text(row.message),
          },
  };
}

/** What another version counted is left out, and what it did not count is 0. */
function countersOf(json: string): Counters {
  const counters = newCounters();
  let written: unknown;
  try {
    written = JSON.parse(json);
  } catch {
    throw new Damage("counters that make no sense");
  }
  const known = counters as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(written as object)) {
    if (name === "phase" ? (PHASES as readonly unknown[]).includes(value) : typeof value === typeof known[name])
      known[name] = value;
  }
  return counters;
}
