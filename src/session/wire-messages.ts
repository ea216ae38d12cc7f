/** What the roles say to each other, as messages of the wire, and back. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { ContentRange } from "../core/content-range.ts";
import type { EntryBatch } from "../core/entry-batch.ts";
import { SKIP_REASONS, type SkipCounts, type SkipReason } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { RowLoops } from "../core/row-loops.ts";
import { decodeFailure, encodeFailure } from "../wire/events.ts";
import {
  type IdName,
  type Manifest,
  MergeFileSchema,
  type Need,
  NeedPurpose as Purpose,
  type SessionMessage,
  SessionMessageSchema,
} from "../wire/gen/fastsync/v1/session_pb.ts";
import { type BatchMemory, checkPart, decodeListing, encodeListing, type ListingPolicy } from "../wire/manifest.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import type { NeedPurpose, SourceMessage, TargetMessage } from "./messages.ts";

const PURPOSES: readonly (readonly [NeedPurpose, Purpose])[] = [
  ["content", Purpose.CONTENT],
  ["attributes", Purpose.ATTRIBUTES],
  ["digest", Purpose.DIGEST],
  ["range", Purpose.RANGE],
  ["commit", Purpose.COMMIT],
];
const DIGEST_BYTES = 16;
const NO_BYTES = new Uint8Array(0);

export type Body = NonNullable<MessageInitShape<typeof SessionMessageSchema>["body"]>;

export function say(body: Body): SessionMessage {
  return create(SessionMessageSchema, { body });
}

// ---- source ---------------------------------------------------------------------------------------------------

export interface SourceEncoding {
  readonly inodes: boolean;
  readonly loops: RowLoops | undefined;
  /** Names of owners that were not told yet. */
  readonly names: (listing: EntryBatch) => { readonly users: IdName[]; readonly groups: IdName[] };
}

/** The greeting is the session's business and has no message of its own. */
export function encodeSource(message: SourceMessage, encoding: SourceEncoding): SessionMessage[] {
  switch (message.kind) {
    case "hello":
    case "content":
      return [];
    case "directory": {
      const parts = encodeListing(message.listing, encoding);
      const first = parts[0]!;
      const { users, groups } = encoding.names(message.listing);
      for (const part of parts) part.dir = message.id;
      first.parent = message.parent + 1;
      first.parentRow = message.parentRow + 1;
      first.entered = message.entered;
      first.owned = message.owned;
      first.skipped = { ...message.skipped };
      first.users = users;
      first.groups = groups;
      first.mergeFiles = message.mergeFiles.map(({ name, text }) => create(MergeFileSchema, { name, text }));
      return parts.map((value) => say({ case: "manifest", value }));
    }
    case "pruned":
      return [
        say({
          case: "pruned",
          value: { dir: message.dir, rows: Array.from(message.rows), skipped: { ...message.skipped } },
        }),
      ];
    case "digests":
      return [
        say({
          case: "digests",
          value: { need: message.need, digests: message.digests.map((digest) => digest ?? NO_BYTES) },
        }),
      ];
    case "failure":
      return [
        say({
          case: "sourceFailure",
          value: { failure: encodeFailure(message.failure), hidesEntries: message.hidesEntries },
        }),
      ];
    case "scanned":
      return [
        say({
          case: "scanned",
          value: {
            complete: message.complete,
            entries: BigInt(message.entries),
            unmatchedPatterns: [...message.unmatchedPatterns],
          },
        }),
      ];
    case "closed":
      return [say({ case: "closed", value: { sourcesRemoved: BigInt(message.sourcesRemoved) } })];
  }
}

export interface SourceDecoding {
  /** Owners' names are learnt before the rows are read. */
  readonly learn: (users: readonly IdName[], groups: readonly IdName[]) => void;
  readonly policy: ListingPolicy;
  readonly memory: (bytes: number) => BatchMemory;
  readonly loops: RowLoops | undefined;
}

/** Reads a source's messages; keeps the parts of a directory until it is whole. */
export class SourceReader {
  private readonly decoding: SourceDecoding;
  private parts: Manifest[] = [];
  private size = { rows: 0, bytes: 0 };

  constructor(decoding: SourceDecoding) {
    this.decoding = decoding;
  }

  /** Undefined: nothing for the role (yet). Throws ProtocolViolation. */
  read({ body }: SessionMessage): SourceMessage | undefined {
    if (this.parts.length > 0 && body.case !== "manifest" && body.case !== "heartbeat" && body.case !== "payload")
      throw new ProtocolViolation("a manifest without its end");
    switch (body.case) {
      case "manifest":
        return this.readManifest(body.value);
      case "pruned":
        if (body.value.rows.length > LIMITS.needRows)
          throw new ProtocolViolation(`${body.value.rows.length} rows pruned at a time`);
        return {
          kind: "pruned",
          dir: body.value.dir,
          rows: Uint32Array.from(body.value.rows),
          skipped: knownReasons(body.value.skipped),
        };
      case "digests":
        return {
          kind: "digests",
          need: body.value.need,
          digests: body.value.digests.map((digest) => {
            if (digest.length !== 0 && digest.length !== DIGEST_BYTES)
              throw new ProtocolViolation(`a digest of ${digest.length} bytes`);
            return digest.length === 0 ? undefined : digest;
          }),
        };
      case "sourceFailure":
        if (body.value.failure === undefined) throw new ProtocolViolation("a failure without a failure");
        return {
          kind: "failure",
          failure: { ...decodeFailure(body.value.failure), side: "source" },
          hidesEntries: body.value.hidesEntries,
        };
      case "scanned":
        return {
          kind: "scanned",
          complete: body.value.complete,
          entries: countOf(body.value.entries),
          unmatchedPatterns: body.value.unmatchedPatterns,
        };
      case "closed":
        return { kind: "closed", sourcesRemoved: countOf(body.value.sourcesRemoved) };
      default:
        return undefined;
    }
  }

  private readManifest(part: Manifest): SourceMessage | undefined {
    const first = this.parts[0] ?? part;
    if (part.dir !== first.dir) throw new ProtocolViolation("parts of two directories mixed");
    const bytes = checkPart(part, this.size);
    this.parts.push(part);
    this.size = { rows: this.size.rows + part.rows, bytes: this.size.bytes + bytes };
    if (part.more) return undefined;
    const { parts } = this;
    this.parts = [];
    this.size = { rows: 0, bytes: 0 };
    const { learn, policy, memory, loops } = this.decoding;
    learn(first.users, first.groups);
    if (first.mergeFiles.length > LIMITS.mergeFiles)
      throw new ProtocolViolation(`${first.mergeFiles.length} filter files`);
    for (const { text, name } of first.mergeFiles)
      if (text.length > LIMITS.filterFileBytes || name.length > 255)
        throw new ProtocolViolation(`a filter file of ${text.length} bytes`);
    return {
      kind: "directory",
      id: first.dir,
      parent: first.parent - 1,
      parentRow: first.parentRow - 1,
      listing: decodeListing(parts, policy, memory, loops),
      entered: first.entered,
      owned: first.owned,
      mergeFiles: first.mergeFiles.map(({ name, text }) => ({ name, text })),
      skipped: knownReasons(first.skipped),
    };
  }
}

/** A count that a peer tells, as a number that can be added to others. */
function countOf(count: bigint): number {
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolViolation(`a count of ${count}`);
  return Number(count);
}

function knownReasons(skipped: Readonly<Record<string, number>>): SkipCounts {
  const known: Partial<Record<SkipReason, number>> = {};
  for (const reason of SKIP_REASONS) if (skipped[reason] !== undefined) known[reason] = skipped[reason];
  return known;
}

// ---- target ---------------------------------------------------------------------------------------------------

export function encodeTarget(message: TargetMessage): SessionMessage | undefined {
  switch (message.kind) {
    case "hello":
      return undefined;
    case "need": {
      const { need, dir, rows, purpose, range } = message;
      return say({
        case: "need",
        value: {
          need,
          dir,
          rows: Array.from(rows),
          purpose: PURPOSES.find(([ours]) => ours === purpose)![1],
          ...(range === undefined ? {} : encodeRange(range)),
        },
      });
    }
    case "settled":
      return say({ case: "settled", value: { dirs: [message.dir] } });
    case "receipts":
      return say({ case: "receipts", value: { dir: message.dir, rows: Array.from(message.rows) } });
    case "released":
      return say({ case: "released", value: { dirs: [message.dir] } });
    case "again":
      return say({ case: "again", value: {} });
    case "finished":
      return say({ case: "finished", value: {} });
  }
}

function encodeRange({ offset, length, basis }: ContentRange) {
  return {
    offset: BigInt(offset),
    length: BigInt(length),
    blockBytes: basis?.blockBytes ?? 0,
    blockDigests: basis?.digests ?? NO_BYTES,
  };
}

/** Empty: nothing for the role. Throws ProtocolViolation. */
export function decodeTarget({ body }: SessionMessage): TargetMessage[] {
  switch (body.case) {
    case "need":
      return [decodeNeed(body.value)];
    case "settled":
      return body.value.dirs.map((dir) => ({ kind: "settled", dir }));
    case "receipts":
      if (body.value.rows.length > LIMITS.needRows)
        throw new ProtocolViolation(`receipts of ${body.value.rows.length} rows`);
      return [{ kind: "receipts", dir: body.value.dir, rows: Uint32Array.from(body.value.rows) }];
    case "released":
      return body.value.dirs.map((dir) => ({ kind: "released", dir }));
    case "again":
      return [{ kind: "again" }];
    case "finished":
      return [{ kind: "finished" }];
    default:
      return [];
  }
}

function decodeNeed(need: Need): TargetMessage {
  const purpose = PURPOSES.find(([, theirs]) => theirs === need.purpose)?.[0];
  if (purpose === undefined) throw new ProtocolViolation(`a need for ${need.purpose}`);
  const { rows } = need;
  if (need.need === 0 || rows.length === 0 || rows.length > LIMITS.needRows)
    throw new ProtocolViolation(`need ${need.need} of ${rows.length} rows`);
  for (let i = 1; i < rows.length; i++)
    if (rows[i]! <= rows[i - 1]!) throw new ProtocolViolation("a need whose rows do not ascend");
  const wanted = { kind: "need", need: need.need, dir: need.dir, rows: Uint32Array.from(rows), purpose } as const;
  return purpose === "range" ? { ...wanted, range: decodeRange(need) } : wanted;
}

function decodeRange(need: Need): ContentRange {
  const offset = Number(need.offset);
  const length = Number(need.length);
  if (!Number.isSafeInteger(offset + length) || length === 0 || length > LIMITS.rangeMostBytes)
    throw new ProtocolViolation(`a range of ${length} bytes at ${offset}`);
  const { blockBytes, blockDigests: digests } = need;
  if (blockBytes === 0) {
    if (digests.length > 0) throw new ProtocolViolation("digests of blocks without a size");
    return { offset, length };
  }
  if (blockBytes < LIMITS.blockFewestBytes || blockBytes > LIMITS.blockMostBytes)
    throw new ProtocolViolation(`blocks of ${blockBytes} bytes`);
  if (digests.length !== Math.ceil(length / blockBytes) * DIGEST_BYTES)
    throw new ProtocolViolation(`${digests.length} bytes of digests for ${length} bytes`);
  return { offset, length, basis: { blockBytes, digests } };
}
