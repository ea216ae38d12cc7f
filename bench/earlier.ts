/** Tables that earlier runs on this machine left in bench/out, for a report of which only some workloads run again. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Table } from "./harness.ts";
import type { Workload } from "./workload.ts";

/** What an earlier run kept of the workload on each of its filesystems; none where there was none. */
export function earlierTables(out: string, { id, filesystems }: Pick<Workload, "id" | "filesystems">): Table[] {
  return filesystems.flatMap((filesystem) => {
    const path = resolve(out, `${id}-${filesystem}.json`);
    return existsSync(path) ? [(JSON.parse(readFileSync(path, "utf8")) as { table: Table }).table] : [];
  });
}

/** The line of the report that tells which tables these are; undefined: none. */
export function earlierLine(tables: readonly Table[]): string | undefined {
  const ids = [...new Set(tables.map(({ workload }) => workload))];
  return ids.length === 0
    ? undefined
    : `of an earlier run on this machine, with the program of then: ${ids.join(", ")}`;
}
