/**
 * The records of verbs that look, as NDJSON: `schema: 1` in each, and one `summary` at the end, however it ends.
 * docs/schema/look.schema.json describes them.
 */
import type {
  DirectoryUsage,
  Entries,
  FilesystemStats,
  ModuleInfo,
  PathFailure,
  RemovedPath,
} from "../../core/admin-calls.ts";
import { FileType } from "../../core/entry-batch.ts";
import { lossyUtf8Of, utf8Of } from "../../core/paths.ts";
import { jsonText, kindOf, pathFields, rootOr, SCHEMA } from "../report/json-printer.ts";
import type { Output } from "../report/output.ts";

type Json = Readonly<Record<string, unknown>>;

export class Records {
  readonly #out: Output;
  #ended = false;

  constructor(out: Output) {
    this.#out = out;
  }

  line(type: string, fields: Json): void {
    this.#out.line(jsonText({ schema: SCHEMA, type, ...fields }));
  }
  /** Readers get what there is, when there is no more for now. */
  flush(): void {
    this.#out.flush();
  }
  end(fields: Json): void {
    if (this.#ended) return;
    this.#ended = true;
    this.line("summary", fields);
    this.flush();
  }
}

export function entryFields(place: string, entries: Entries, at: number, names: OwnerNames): Json {
  const mode = entries.modes[at]!;
  const link = entries.links[at];
  return {
    place,
    ...pathFields(rootOr(entries.paths[at]!)),
    kind: kindOf(mode & FileType.mask),
    size: entries.sizes[at],
    disk_bytes: entries.diskSizes[at],
    mtime: timeText(entries.mtimeSeconds[at]!, entries.mtimeNanos[at]!),
    mode: (mode & 0o7777).toString(8).padStart(4, "0"),
    uid: entries.uids[at],
    gid: entries.gids[at],
    user: names.user(entries.uids[at]!),
    group: names.group(entries.gids[at]!),
    links: entries.linkCounts[at],
    ...((mode & FileType.mask) === FileType.symlink && link !== undefined ? targetFields(link) : {}),
  };
}

function targetFields(link: Uint8Array): Json {
  const text = utf8Of(link);
  return text !== undefined
    ? { target: text }
    : { target: lossyUtf8Of(link), target_b64: Buffer.from(link).toString("base64") };
}

/** RFC 3339 with nanoseconds where it has some. A time that no date can be is left out. */
export function timeText(seconds: number, nanos: number): string | undefined {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return undefined;
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  return date.toISOString().replace(/\.\d{3}Z$/, `${fraction}Z`);
}

export function failureFields(place: string, { path, code, operation, errno, message }: PathFailure): Json {
  return { place, ...pathFields(rootOr(path)), code, operation, errno, message };
}

export function moduleFields({ name, comment, readOnly, writeOnly, available }: ModuleInfo): Json {
  return { name, comment, read_only: readOnly, write_only: writeOnly, available };
}

export function usageFields(place: string, usage: DirectoryUsage): Json {
  const { path, diskBytes, apparentBytes, files, directories } = usage;
  return {
    place,
    ...pathFields(rootOr(path)),
    disk_bytes: diskBytes,
    apparent_bytes: apparentBytes,
    files,
    directories,
  };
}

export function filesystemFields(place: string, stats: FilesystemStats): Json {
  return {
    place,
    filesystem: stats.filesystem,
    total_bytes: stats.totalBytes,
    used_bytes: stats.totalBytes - stats.freeBytes,
    free_bytes: stats.freeBytes,
    available_bytes: stats.availableBytes,
    total_inodes: stats.totalInodes,
    free_inodes: stats.freeInodes,
    read_only: stats.readOnly,
  };
}

export function removedFields(shown: Uint8Array, removed: RemovedPath, dryRun: boolean): Json {
  const { entries, diskBytes, mode, isDirectory } = removed;
  return {
    ...pathFields(shown),
    ...kindFields(mode),
    removed: removed.removed,
    dry_run: dryRun,
    entries,
    disk_bytes: diskBytes,
    directory: isDirectory,
  };
}

/** Absent where the mode is not known. */
export function kindFields(mode: number | undefined): Json {
  return mode === undefined || mode === 0 ? {} : { kind: kindOf(mode & FileType.mask) };
}

/** Names of owners as answers tell them, each once. */
export class OwnerNames {
  readonly #users = new Map<number, string>();
  readonly #groups = new Map<number, string>();

  learn({ users, groups }: Entries): void {
    for (const [id, name] of users) this.#users.set(id, lossyUtf8Of(name));
    for (const [id, name] of groups) this.#groups.set(id, lossyUtf8Of(name));
  }
  user(id: number): string | undefined {
    return this.#users.get(id);
  }
  group(id: number): string | undefined {
    return this.#groups.get(id);
  }
}
