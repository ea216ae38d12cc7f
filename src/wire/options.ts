/** The options of a run as a message, and back with every bound checked. */
import { create, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { ExitCode } from "../core/exit-codes.ts";
import type { FilterSpec } from "../core/filter-spec.ts";
import { LIMITS } from "../core/limits.ts";
import {
  AUTOMATIC_TRANSFER,
  avoidsSendfile,
  type DeleteOptions,
  EXPLAINS,
  type ExplainedVerb,
  type RunOptions,
  type TransferOptions,
  type Verb,
  type WriteOptions,
} from "../core/options.ts";
import type { OwnerRule } from "../core/owner-rule.ts";
import { RunError } from "../core/run-error.ts";
import {
  Fsync,
  type OwnerRule as OwnerRuleMessage,
  type OwnerRuleSchema,
  type RunOptions as RunOptionsMessage,
  RunOptionsSchema,
  type TransferOptions as TransferOptionsMessage,
  Verb as VerbMessage,
  Verify,
} from "./gen/fastsync/v1/options_pb.ts";
import { ProtocolViolation } from "./protocol-violation.ts";

const VERBS: readonly (readonly [Verb, VerbMessage])[] = [
  ["copy", VerbMessage.COPY],
  ["mirror", VerbMessage.MIRROR],
  ["move", VerbMessage.MOVE],
  ["check", VerbMessage.CHECK],
];
const FSYNCS: readonly (readonly [WriteOptions["fsync"], Fsync])[] = [
  ["none", Fsync.NONE],
  ["none", Fsync.UNSPECIFIED],
  ["file", Fsync.FILE],
  ["end", Fsync.END],
];
const NAME_MOST = 255;
const NO_NAME = new Uint8Array(0);
const ID_MOST = 0xffff_fffe;
const SLASH = 0x2f;
const DOT = 0x2e;
const VERIFIES: readonly (readonly [WriteOptions["verify"], Verify])[] = [
  ["none", Verify.NONE],
  ["none", Verify.UNSPECIFIED],
  ["compare", Verify.COMPARE],
  ["readback", Verify.READBACK],
];

function toMessage<A, B>(table: readonly (readonly [A, B])[], value: A): B {
  return table.find(([ours]) => ours === value)![1];
}
function fromMessage<A, B>(table: readonly (readonly [A, B])[], value: B, name: string): A {
  const found = table.find(([, theirs]) => theirs === value);
  if (found === undefined) throw new ProtocolViolation(`${name} ${String(value)} is unknown`);
  return found[0];
}

/**
 * What only a run on one machine knows (copy methods, but for whether sendfile may be used) and what only the caller does
 * (retries) stays behind. Throws RunError, exit 1, for more than a daemon takes.
 */
export function encodeOptions(options: RunOptions): RunOptionsMessage {
  const { compare, preserve, write, filter } = options;
  refuseTooMuch(filter);
  const { limit } = options.delete;
  return create(RunOptionsSchema, {
    verb: toMessage(VERBS, options.verb),
    dryRun: options.dryRun,
    compare: { ...compare, modifyWindowNs: BigInt(Math.min(compare.modifyWindowNs, Number.MAX_SAFE_INTEGER)) },
    preserve: optional({
      ...preserve,
      userMap: preserve.userMap.map(encodeRule),
      groupMap: preserve.groupMap.map(encodeRule),
    }),
    delete: {
      enabled: options.delete.enabled,
      excluded: options.delete.excluded,
      allowEmptySource: options.delete.allowEmptySource,
      limit:
        limit.kind === "count"
          ? { case: "count", value: BigInt(limit.count) }
          : limit.kind === "percent"
            ? { case: "percent", value: limit.percent }
            : { case: undefined },
    },
    write: optional({
      inplace: write.inplace,
      tempDir: write.tempDir,
      backupSuffix: write.backup?.suffix,
      backupDir: write.backup?.directory,
      resume: write.resume,
      fsync: toMessage(FSYNCS, write.fsync),
      verify: toMessage(VERIFIES, write.verify),
      rateBytesPerSecond: BigInt(write.rateBytesPerSecond),
      workers: write.workers,
    }),
    filter: optional({
      rules: filter.rules.map(({ text, origin }) => ({ text, origin })),
      hasFilesFrom: filter.filesFrom !== undefined,
      filesFrom: [...(filter.filesFrom ?? [])],
      gitignore: filter.gitignore,
      minSize: filter.minSize === undefined ? undefined : BigInt(filter.minSize),
      maxSize: filter.maxSize === undefined ? undefined : BigInt(filter.maxSize),
      modifiedAfter: filter.modifiedAfter,
      modifiedBefore: filter.modifiedBefore,
    }),
    oneFileSystem: options.oneFileSystem,
    copyLinks: options.copyLinks,
    safeLinks: options.safeLinks,
    pruneEmptyDirs: options.pruneEmptyDirs,
    strictAttrs: options.strictAttrs,
    transfer: {
      chunkBytes: BigInt(options.transfer.chunkBytes),
      bufferBytes: BigInt(options.transfer.bufferBytes),
      smallFileBytes: BigInt(options.transfer.smallFileBytes),
      sendBufferBytes: BigInt(options.transfer.sendBufferBytes),
      receiveBufferBytes: BigInt(options.transfer.receiveBufferBytes),
      avoidSendfile: avoidsSendfile(options),
    },
    noDirectories: !options.recursive,
  });
}

/** Leaves out what is undefined: exact optional properties do not take it. */
function optional<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

/** Throws ProtocolViolation; RunError for an option of another version, which would be obeyed by one side only. */
export function decodeOptions(message: RunOptionsMessage): RunOptions {
  const { compare, preserve, write, filter } = message;
  if (!compare || !preserve || !write || !filter || !message.delete)
    throw new ProtocolViolation("options without one of their parts");
  const parts: readonly Message[] = [
    message,
    compare,
    preserve,
    message.delete,
    write,
    filter,
    ...(message.transfer === undefined ? [] : [message.transfer]),
    ...filter.rules,
    ...preserve.userMap,
    ...preserve.groupMap,
  ];
  if (parts.some(({ $unknown }) => $unknown !== undefined && $unknown.length > 0)) {
    throw new RunError(
      ExitCode.protocol,
      "version",
      "an option was asked for that this side does not know; it needs the newer fastsync",
    );
  }
  return {
    verb: fromMessage(VERBS, message.verb, "verb"),
    dryRun: message.dryRun,
    compare: {
      checksum: compare.checksum,
      sizeOnly: compare.sizeOnly,
      ignoreTimes: compare.ignoreTimes,
      modifyWindowNs: safe(compare.modifyWindowNs, "modify_window_ns"),
      ignoreExisting: compare.ignoreExisting,
      existing: compare.existing,
      update: compare.update,
    },
    preserve: {
      perms: preserve.perms,
      times: preserve.times,
      dirTimes: preserve.dirTimes,
      owner: preserve.owner,
      group: preserve.group,
      xattrs: preserve.xattrs,
      acls: preserve.acls,
      hardLinks: preserve.hardLinks,
      specials: preserve.specials,
      sparse: preserve.sparse,
      numericIds: preserve.numericIds,
      chownUid: preserve.chownUid,
      chownGid: preserve.chownGid,
      userMap: decodeRules(preserve.userMap, "user_map"),
      groupMap: decodeRules(preserve.groupMap, "group_map"),
    },
    delete: {
      enabled: message.delete.enabled,
      excluded: message.delete.excluded,
      allowEmptySource: message.delete.allowEmptySource,
      limit: decodeLimit(message.delete.limit),
    },
    write: {
      inplace: write.inplace,
      tempDir: bounded(write.tempDir, "temp_dir"),
      backup:
        write.backupSuffix === undefined
          ? undefined
          : { suffix: nameLike(write.backupSuffix), directory: bounded(write.backupDir, "backup_dir") },
      resume: write.resume,
      fsync: fromMessage(FSYNCS, write.fsync, "fsync"),
      verify: fromMessage(VERIFIES, write.verify, "verify"),
      rateBytesPerSecond: safe(write.rateBytesPerSecond, "rate_bytes_per_second"),
      workers: Math.min(write.workers, LIMITS.workersMost),
      methods: message.transfer?.avoidSendfile ? ["read_write"] : undefined,
    },
    transfer: decodeTransfer(message.transfer),
    filter: decodeFilter(filter),
    oneFileSystem: message.oneFileSystem,
    recursive: !message.noDirectories,
    copyLinks: message.copyLinks,
    safeLinks: message.safeLinks,
    pruneEmptyDirs: message.pruneEmptyDirs,
    strictAttrs: message.strictAttrs,
    retry: { attempts: 0, waitMs: 0 },
  };
}

/** Of a later version, a word that is not known here: what it explains it does not say. */
export function decodeExplains(word: string): ExplainedVerb | undefined {
  return word === "" ? undefined : (EXPLAINS.find((known) => known === word) ?? "any");
}

/** They are wishes: what is out of bounds is taken for the nearest that is not. */
function decodeTransfer(message: TransferOptionsMessage | undefined): TransferOptions {
  if (message === undefined) return AUTOMATIC_TRANSFER;
  const within = (value: bigint, fewest: number, most: number): number =>
    value === 0n ? 0 : Number(value < BigInt(fewest) ? fewest : value > BigInt(most) ? most : value);
  const buffer = (value: bigint): number => within(value, LIMITS.socketBufferFewestBytes, LIMITS.socketBufferMostBytes);
  return {
    chunkBytes: wholeBlocks(within(message.chunkBytes, LIMITS.chunkFewestBytes, LIMITS.chunkMostBytes)),
    bufferBytes: within(message.bufferBytes, LIMITS.bufferFewestBytes, Number.MAX_SAFE_INTEGER),
    smallFileBytes: within(message.smallFileBytes, 1, LIMITS.smallFileMostBytes),
    sendBufferBytes: buffer(message.sendBufferBytes),
    receiveBufferBytes: buffer(message.receiveBufferBytes),
  };
}

/** Ranges begin where a block of the basis does. */
export function wholeBlocks(bytes: number): number {
  return bytes - (bytes % LIMITS.basisBlockBytes);
}

function encodeRule({ from, to }: OwnerRule): MessageInitShape<typeof OwnerRuleSchema> {
  switch (from.kind) {
    case "everybody":
      return { to };
    case "nameless":
      return { to, from: { case: "name", value: NO_NAME } };
    case "name":
      return { to, from: { case: "name", value: from.name } };
    case "ids":
      return { to, from: { case: "ids", value: { first: from.first, last: from.last } } };
  }
}

function decodeRules(rules: readonly OwnerRuleMessage[], name: string): OwnerRule[] {
  if (rules.length > LIMITS.ownerRules) throw new ProtocolViolation(`${rules.length} rules of ${name}`);
  return rules.map(({ from, to }) => {
    // -1 means "leave as it is" to chown(2).
    if (to > ID_MOST) throw new ProtocolViolation(`a rule of ${name} that leads to ${to}`);
    if (from.case === undefined) return { from: { kind: "everybody" }, to };
    if (from.case === "ids") {
      const { first, last } = from.value;
      if (last < first) throw new ProtocolViolation(`a range of ${name} from ${first} to ${last}`);
      return { from: { kind: "ids", first, last }, to };
    }
    if (from.value.length > NAME_MOST) throw new ProtocolViolation(`a name of ${from.value.length} bytes in ${name}`);
    return { from: from.value.length === 0 ? { kind: "nameless" } : { kind: "name", name: from.value }, to };
  });
}

function safe(value: bigint, name: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolViolation(`${name} of ${value}`);
  return Number(value);
}

function bounded(path: Uint8Array | undefined, name: string): Uint8Array | undefined {
  if (path === undefined) return undefined;
  if (path.length === 0 || path.length > LIMITS.pathBytes || path.includes(0))
    throw new ProtocolViolation(`a ${name} of ${path.length} bytes`);
  return path;
}

function nameLike(suffix: Uint8Array): Uint8Array {
  if (suffix.length > 255 || suffix.includes(0) || suffix.includes(0x2f))
    throw new ProtocolViolation("a backup suffix that is no part of a name");
  return suffix;
}

function decodeLimit(limit: NonNullable<RunOptionsMessage["delete"]>["limit"]): DeleteOptions["limit"] {
  switch (limit.case) {
    case "count":
      return { kind: "count", count: safe(limit.value, "count") };
    case "percent":
      if (!(limit.value >= 0 && limit.value <= 100)) throw new ProtocolViolation(`a limit of ${limit.value} %`);
      return { kind: "percent", percent: limit.value };
    default:
      return { kind: "guard" };
  }
}

/** Paths of --files-from are compared with names as they are: only clean ones can be meant. */
function checkedPaths(paths: Uint8Array[]): Uint8Array[] {
  if (paths.length > LIMITS.listedPaths) throw new ProtocolViolation(`${paths.length} paths of --files-from`);
  for (const path of paths) {
    let from = 0;
    for (let at = 0; at <= path.length; at++) {
      if (path[at] === 0) throw new ProtocolViolation("a path of --files-from with a zero byte");
      if (at < path.length && path[at] !== SLASH) continue;
      const length = at - from;
      const isDots = path[from] === DOT && (length === 1 || (length === 2 && path[from + 1] === DOT));
      if ((length === 0 && path.length > 0) || length > NAME_MOST || isDots)
        throw new ProtocolViolation("a path of --files-from that is not clean");
      from = at + 1;
    }
  }
  return paths;
}

/** Of a message, for everything that is no rule and no path. */
const OTHER_BYTES = 1 << 20;
/** Of one rule or path, beside its own bytes: at most. */
const ITEM_BYTES = 12;

/** What a daemon would call a broken protocol is a matter of the command line here. */
function refuseTooMuch({ rules, filesFrom = [] }: FilterSpec): void {
  const longest = rules.reduce((most, { text }) => Math.max(most, text.length), 0);
  let bytes = 0;
  for (const { text, origin } of rules) bytes += text.length + origin.length + 2 * ITEM_BYTES;
  for (const path of filesFrom) bytes += path.length + ITEM_BYTES;
  const most = LIMITS.messageBytes - OTHER_BYTES;
  const why =
    rules.length > LIMITS.filterRules
      ? `${rules.length} filter rules are more than the ${LIMITS.filterRules} that a daemon takes`
      : longest > LIMITS.filterRuleBytes
        ? `a filter rule of ${longest} bytes is longer than the ${LIMITS.filterRuleBytes} that a daemon takes`
        : filesFrom.length > LIMITS.listedPaths || bytes > most
          ? `filter rules and paths of --files-from are more than a daemon takes in one run: ${filesFrom.length} paths, ${bytes} bytes of at most ${most}; divide the list`
          : undefined;
  if (why !== undefined) throw new RunError(ExitCode.usage, "usage", why);
}

function decodeFilter(filter: NonNullable<RunOptionsMessage["filter"]>): FilterSpec {
  if (filter.rules.length > LIMITS.filterRules) throw new ProtocolViolation(`${filter.rules.length} filter rules`);
  const seconds = (value: number | undefined): number | undefined => {
    if (value !== undefined && !Number.isFinite(value)) throw new ProtocolViolation("a time that is no number");
    return value;
  };
  return {
    rules: filter.rules.map(({ text, origin }) => {
      if (text.length > LIMITS.filterRuleBytes || origin.length > LIMITS.pathBytes)
        throw new ProtocolViolation(`a filter rule of ${text.length} bytes`);
      return { text, origin };
    }),
    filesFrom: filter.hasFilesFrom ? checkedPaths(filter.filesFrom) : undefined,
    gitignore: filter.gitignore,
    minSize: filter.minSize === undefined ? undefined : safe(filter.minSize, "min_size"),
    maxSize: filter.maxSize === undefined ? undefined : safe(filter.maxSize, "max_size"),
    modifiedAfter: seconds(filter.modifiedAfter),
    modifiedBefore: seconds(filter.modifiedBefore),
  };
}
