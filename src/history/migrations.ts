/** The history's tables. `PRAGMA user_version` is how many of these were applied; a new one is added at the end. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE runs (
     id INTEGER PRIMARY KEY,
     ended_ms INTEGER NOT NULL,
     version TEXT NOT NULL,
     verb TEXT NOT NULL,
     source TEXT NOT NULL,
     target TEXT NOT NULL,
     duration_ms INTEGER NOT NULL,
     entries INTEGER NOT NULL,
     files INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     bytes_moved INTEGER NOT NULL,
     deleted INTEGER NOT NULL,
     shards INTEGER NOT NULL,
     bundles INTEGER NOT NULL,
     large INTEGER NOT NULL,
     direct INTEGER NOT NULL,
     methods TEXT NOT NULL,
     phases TEXT NOT NULL,
     backend TEXT NOT NULL,
     workers INTEGER NOT NULL,
     carrier TEXT,
     streams INTEGER
   ) STRICT`,
  // Which daemon it was, as a number made with a secret of this file, and how far away.
  `ALTER TABLE runs ADD COLUMN peer TEXT;
   ALTER TABLE runs ADD COLUMN round_trip_ms REAL;
   ALTER TABLE runs ADD COLUMN first_content_ms REAL;
   CREATE TABLE secret (bytes BLOB NOT NULL) STRICT;
   INSERT INTO secret VALUES (randomblob(16))`,
  `ALTER TABLE runs ADD COLUMN found_streams INTEGER;
   CREATE INDEX runs_found ON runs (peer, id) WHERE found_streams IS NOT NULL`,
  // The verb as it was written; null: as the other says.
  "ALTER TABLE runs ADD COLUMN command TEXT",
];
