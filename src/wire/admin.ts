/** Calls on places, as messages, and back. What a daemon answers is told to people: words are words, counts are counts. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type DirectoryUsage,
  type Entries,
  type EntriesPart,
  type FilesystemStats,
  type FindRequest,
  type ListRequest,
  type ModuleInfo,
  type PathFailure,
  type RemovePart,
  TYPE_LETTERS,
  type UsagePart,
} from "../core/admin-calls.ts";
import { FAILURE_CODES, type FailureCode } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import {
  type DiskUsageResponse,
  DiskUsageResponseSchema,
  type EntryColumns,
  EntryColumnsSchema,
  type PathFailure as FailureMessage,
  type FilesystemStatsResponse,
  type FindRequest as FindMessage,
  FindRequestSchema,
  type ListRequest as ListMessage,
  type ListModulesResponse,
  type RemoveResponse,
  RemoveResponseSchema,
  type DirectoryUsage as UsageMessage,
} from "./gen/fastsync/v1/admin_pb.ts";
import { ProtocolViolation } from "./protocol-violation.ts";
import { told, toldCount } from "./told.ts";

const NAME_MOST = 255;
const FARTHEST = 2 ** 53;

// ---- requests -------------------------------------------------------------------------------------------------

type PlaceMessage = { readonly module: string; readonly path: Uint8Array };

export function encodeFind(place: PlaceMessage, request: FindRequest): FindMessage {
  const { minSize, maxSize, modifiedAfter, modifiedBefore, maxDepth } = request;
  const { names, paths, types, limit, oneFileSystem } = request;
  return create(FindRequestSchema, {
    ...{ place, names: [...names], paths: [...paths], types, limit, oneFileSystem },
    ...(minSize === undefined ? {} : { minSize: BigInt(minSize) }),
    ...(maxSize === undefined ? {} : { maxSize: BigInt(maxSize) }),
    ...(modifiedAfter === undefined ? {} : { modifiedAfter }),
    ...(modifiedBefore === undefined ? {} : { modifiedBefore }),
    ...(maxDepth === undefined ? {} : { maxDepth }),
  });
}

/** Throws ProtocolViolation. */
export function decodeFind(message: FindMessage): FindRequest {
  const { minSize, maxSize, modifiedAfter, modifiedBefore, types } = message;
  for (const letter of types)
    if (!TYPE_LETTERS.includes(letter)) throw new ProtocolViolation(`the type ${told(letter)}`);
  return {
    names: checkedPatterns(message.names),
    paths: checkedPatterns(message.paths),
    types,
    minSize: minSize === undefined ? undefined : checkedSize(minSize),
    maxSize: maxSize === undefined ? undefined : checkedSize(maxSize),
    modifiedAfter: checkedTime(modifiedAfter),
    modifiedBefore: checkedTime(modifiedBefore),
    maxDepth: message.maxDepth,
    limit: message.limit,
    oneFileSystem: message.oneFileSystem,
  };
}

function checkedPatterns(patterns: readonly Uint8Array[]): Uint8Array[] {
  if (patterns.length > LIMITS.findPatterns) throw new ProtocolViolation(`${patterns.length} patterns`);
  for (const pattern of patterns)
    if (pattern.length > LIMITS.pathBytes) throw new ProtocolViolation(`a pattern of ${pattern.length} bytes`);
  return [...patterns];
}

function checkedSize(size: bigint): number {
  if (size > BigInt(FARTHEST)) throw new ProtocolViolation("a size beyond 2^53");
  return Number(size);
}

function checkedTime(seconds: number | undefined): number | undefined {
  if (seconds !== undefined && !(Math.abs(seconds) <= FARTHEST)) throw new ProtocolViolation("a time that is none");
  return seconds;
}

/** Throws ProtocolViolation. */
export function decodeList({
  all,
  after,
  limit,
  self,
}: Pick<ListMessage, "all" | "after" | "limit" | "self">): ListRequest {
  if (after.length > NAME_MOST || after.includes(0x2f))
    throw new ProtocolViolation("`after` is not the name of an entry");
  return { all, after, limit, self };
}

// ---- answers, as a daemon gives them --------------------------------------------------------------------------

export function encodeEntries(entries: Entries): EntryColumns {
  const { users, groups, ...columns } = entries;
  return create(EntryColumnsSchema, {
    ...columns,
    users: Object.fromEntries(users),
    groups: Object.fromEntries(groups),
  });
}

export function encodeFailures(
  failures: readonly PathFailure[],
): MessageInitShape<typeof DiskUsageResponseSchema>["failures"] & object {
  return failures.map((failure) => ({ ...failure }));
}

export function encodeUsage({ directories, failures }: UsagePart): DiskUsageResponse {
  return create(DiskUsageResponseSchema, {
    directories: directories.map((usage) => ({ ...usage })),
    failures: encodeFailures(failures),
  });
}

export function encodeRemoved({ paths, failures, entries, entryModes }: RemovePart): RemoveResponse {
  return create(RemoveResponseSchema, {
    paths: paths.map((path) => ({ ...path })),
    failures: encodeFailures(failures),
    entries: [...entries],
    entryModes: [...entryModes],
  });
}

// ---- answers, as a caller takes them: they throw ProtocolViolation ---------------------------------------------

export function decodeEntriesPart(part: {
  readonly entries?: EntryColumns | undefined;
  readonly failures: readonly FailureMessage[];
  readonly more: boolean;
  readonly isDirectory?: boolean;
}): EntriesPart {
  return {
    entries: decodeEntries(part.entries ?? create(EntryColumnsSchema)),
    failures: part.failures.map(decodePathFailure),
    more: part.more,
    isDirectory: part.isDirectory === true,
  };
}

function decodeEntries(message: EntryColumns): Entries {
  const { paths, modes, sizes, diskSizes, mtimeSeconds, mtimeNanos, uids, gids, linkCounts, links } = message;
  for (const column of [modes, sizes, diskSizes, mtimeSeconds, mtimeNanos, uids, gids, linkCounts])
    if (column.length !== paths.length) throw new ProtocolViolation("entries whose columns differ in length");
  if (links.length !== 0 && links.length !== paths.length)
    throw new ProtocolViolation("entries whose columns differ in length");
  for (const path of paths) if (path.includes(0)) throw new ProtocolViolation("a path with a NUL byte");
  return {
    ...{ paths, modes, uids, gids, linkCounts, links },
    sizes: sizes.map(toldCount),
    diskSizes: diskSizes.map(toldCount),
    mtimeSeconds: mtimeSeconds.map((seconds) => (Math.abs(seconds) <= FARTHEST ? Math.floor(seconds) : 0)),
    mtimeNanos: mtimeNanos.map((nanos) => (nanos < 1e9 ? nanos : 0)),
    users: namesOf(message.users),
    groups: namesOf(message.groups),
  };
}

function namesOf(names: Readonly<Record<number, Uint8Array>>): Map<number, Uint8Array> {
  return new Map(Object.entries(names).map(([id, name]) => [Number(id), name.subarray(0, NAME_MOST)]));
}

function decodePathFailure({ path, code, operation, errno, message }: FailureMessage): PathFailure {
  const known = (FAILURE_CODES as readonly string[]).includes(code) ? (code as FailureCode) : "other";
  return { path, code: known, operation: told(operation), errno: toldCount(errno), message: told(message) };
}

export function decodeUsage({ directories, failures }: DiskUsageResponse): UsagePart {
  return { directories: directories.map(decodeDirectory), failures: failures.map(decodePathFailure) };
}

function decodeDirectory({ path, diskBytes, apparentBytes, files, directories }: UsageMessage): DirectoryUsage {
  return {
    path,
    diskBytes: toldCount(diskBytes),
    apparentBytes: toldCount(apparentBytes),
    files: toldCount(files),
    directories: toldCount(directories),
  };
}

export function decodeFilesystem(message: FilesystemStatsResponse): FilesystemStats {
  return {
    totalBytes: toldCount(message.totalBytes),
    freeBytes: toldCount(message.freeBytes),
    availableBytes: toldCount(message.availableBytes),
    totalInodes: toldCount(message.totalInodes),
    freeInodes: toldCount(message.freeInodes),
    filesystem: told(message.filesystem),
    readOnly: message.readOnly,
  };
}

export function decodeModules({ modules }: ListModulesResponse): ModuleInfo[] {
  return modules.map(({ name, comment, readOnly, writeOnly, available }) => ({
    ...{ name: told(name), comment: told(comment), readOnly, writeOnly, available },
  }));
}

export function decodeRemoved({ paths, failures, entries, entryModes }: RemoveResponse): RemovePart {
  if (entryModes.length !== 0 && entryModes.length !== entries.length)
    throw new ProtocolViolation("entries whose columns differ in length");
  return {
    paths: paths.map(({ path, removed, entries: count, diskBytes, mode, isDirectory }) => ({
      ...{ path, removed, entries: toldCount(count), diskBytes: toldCount(diskBytes), mode, isDirectory },
    })),
    failures: failures.map(decodePathFailure),
    entries,
    entryModes,
  };
}
