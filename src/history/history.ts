/**
 * The history of this user's runs, in a SQLite file.
 *
 * A rollback journal, not a write-ahead log: a run adds one row after its result was printed, in about a millisecond, so
 * that two that end at once wait for each other that long at most, and no second and third file lies about. Nothing is
 * forced to disk: it is statistics, and a run does not wait for a disk for it. A file that a crash of the machine broke is
 * put aside and begun anew.
 */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import { renameSync } from "node:fs";
import { LIMITS } from "../core/limits.ts";
import { MIGRATIONS } from "./migrations.ts";
import type { RunRecord } from "./run-record.ts";
import { makePrivateFile, makeStateDirectory, type StatePlace } from "./state-place.ts";

/** It was written by a later version, and is left alone. */
export class NewerHistory extends Error {
  override readonly name = "NewerHistory";
}

export class History {
  private readonly db: Database;

  private constructor(db: Database) {
    this.db = db;
  }

  /** Opens it, makes it where it is missing, and brings it up to date. Throws whatever stands in the way. */
  static open(place: StatePlace): History {
    makeStateDirectory(place);
    makePrivateFile(place.database);
    return History.of(new Database(place.database, { readwrite: true }));
  }

  /** To read what is there; throws when nothing is. */
  static read(place: StatePlace): History {
    return new History(new Database(place.database, { readonly: true }));
  }

  private static of(db: Database): History {
    try {
      db.run(`PRAGMA busy_timeout = ${LIMITS.historyWaitMs}`);
      db.run("PRAGMA synchronous = OFF");
      migrate(db);
    } catch (error) {
      db.close();
      throw error;
    }
    return new History(db);
  }

  add(record: RunRecord): void {
    this.db.transaction(() => {
      const row = rowOf(record);
      const names = Object.keys(row);
      const marks = names.map(() => "?").join(", ");
      this.db.query(`INSERT INTO runs (${names.join(", ")}) VALUES (${marks})`).run(...Object.values(row));
      this.db.run(`DELETE FROM runs WHERE id <= (SELECT max(id) FROM runs) - ${LIMITS.historyRuns}`);
    })();
  }

  /** The latest, the newest first. */
  latest(most: number): RunRecord[] {
    if (this.version === 0) return [];
    // What an earlier version did not keep is not there.
    return this.db.query<Row, [number]>("SELECT * FROM runs ORDER BY id DESC LIMIT ?").all(most).map(recordOfRow);
  }

  /** The middle one of what the last runs to this daemon found; undefined: nothing that still holds. */
  foundStreams(peer: string, nowMs: number): number | undefined {
    if (this.version < MIGRATIONS.length) return undefined;
    const found = this.db
      .query<{ found_streams: number }, [string, number]>(
        `SELECT found_streams FROM runs
         WHERE peer = ? AND found_streams IS NOT NULL AND ended_ms > ? ORDER BY id DESC LIMIT ${LEARNT_FROM}`,
      )
      .all(peer, nowMs - LEARNT_MS)
      .map((row) => row.found_streams)
      .sort((a, b) => a - b);
    return found[found.length >> 1];
  }

  get version(): number {
    return versionOf(this.db);
  }

  get count(): number {
    return this.version === 0 ? 0 : (this.db.query<{ n: number }, []>("SELECT count(*) AS n FROM runs").get()?.n ?? 0);
  }

  /** A daemon, as a word that means nothing outside of this file. */
  peerWord(address: string): string {
    const secret = this.db.query<{ bytes: Uint8Array }, []>("SELECT bytes FROM secret").get()!.bytes;
    return new Bun.CryptoHasher("sha256").update(secret).update(address).digest("hex").slice(0, 16);
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

/** A line that was slow last month may be another one today. */
const LEARNT_MS = 30 * 86_400_000;
const LEARNT_FROM = 3;

function versionOf(db: Database): number {
  return db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
}

function migrate(db: Database): void {
  const before = versionOf(db);
  if (before > MIGRATIONS.length) throw new NewerHistory("the history was written by a later version of fastsync");
  if (before === MIGRATIONS.length) return;
  // Immediate: of two runs that come first, the second one waits here, and then finds everything done.
  db.transaction(() => {
    for (const migration of MIGRATIONS.slice(versionOf(db))) db.run(migration);
    db.run(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }).immediate();
}

/** Puts a broken file aside, so that the next run begins a new one. */
export function putAside({ database }: StatePlace): void {
  renameSync(database, `${database}.broken`);
}

/** SQLITE_CORRUPT and SQLITE_NOTADB: it will never work again. */
export function isBroken(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && (code.startsWith("SQLITE_CORRUPT") || code === "SQLITE_NOTADB");
}

type Row = Readonly<Record<string, string | number | null>>;

function rowOf(record: RunRecord): Record<string, SQLQueryBindings> {
  return {
    ended_ms: Math.round(record.endedMs),
    version: record.version,
    verb: record.verb,
    command: record.command,
    source: record.source,
    target: record.target,
    duration_ms: Math.round(record.durationMs),
    entries: record.entries,
    files: record.files,
    bytes: record.bytes,
    bytes_moved: record.bytesMoved,
    deleted: record.deleted,
    shards: record.plan.shards,
    bundles: record.plan.bundles,
    large: record.plan.large,
    direct: record.plan.direct,
    methods: JSON.stringify(record.methods),
    phases: JSON.stringify(record.phases),
    backend: record.backend,
    workers: record.workers,
    carrier: record.carrier ?? null,
    streams: record.streams ?? null,
    peer: record.peer ?? null,
    round_trip_ms: record.roundTripMs ?? null,
    first_content_ms: record.firstContentMs ?? null,
    found_streams: record.foundStreams ?? null,
  };
}

function recordOfRow(row: Row): RunRecord {
  const text = (name: string): string => String(row[name] ?? "");
  const number = (name: string): number => Number(row[name] ?? 0);
  const isNull = (name: string): boolean => (row[name] ?? null) === null;
  const optional = (name: string): number | undefined => (isNull(name) ? undefined : number(name));
  return {
    endedMs: number("ended_ms"),
    version: text("version"),
    verb: text("verb") as RunRecord["verb"],
    command: text(isNull("command") ? "verb" : "command"),
    source: text("source") as RunRecord["source"],
    target: text("target") as RunRecord["target"],
    peer: isNull("peer") ? undefined : text("peer"),
    durationMs: number("duration_ms"),
    entries: number("entries"),
    files: number("files"),
    bytes: number("bytes"),
    bytesMoved: number("bytes_moved"),
    deleted: number("deleted"),
    plan: { shards: number("shards"), bundles: number("bundles"), large: number("large"), direct: number("direct") },
    methods: countsOf(text("methods")),
    phases: countsOf(text("phases")),
    backend: text("backend"),
    workers: number("workers"),
    carrier: isNull("carrier") ? undefined : text("carrier"),
    streams: optional("streams"),
    roundTripMs: optional("round_trip_ms"),
    firstContentMs: optional("first_content_ms"),
    foundStreams: optional("found_streams"),
  };
}

/** What somebody else wrote into the file is no reason to fail. */
function countsOf(json: string): Record<string, number> {
  try {
    const value: unknown = JSON.parse(json);
    const pairs = typeof value === "object" && value !== null ? Object.entries(value) : [];
    return Object.fromEntries(pairs.filter((pair): pair is [string, number] => typeof pair[1] === "number"));
  } catch {
    return {};
  }
}
