/** The link between two roles in two processes: role messages over the session's stream. */
import { LIMITS } from "../core/limits.ts";
import type { OwnerNumbers } from "../core/owner-numbers.ts";
import type { RowLoops, TakenKinds } from "../core/row-loops.ts";
import type { Accounts } from "../fs/accounts.ts";
import type { ControlStream } from "../link/control-stream.ts";
import type { LinkEnd } from "../link/loopback.ts";
import type { SessionMessage } from "../wire/gen/fastsync/v1/session_pb.ts";
import type { BatchMemory } from "../wire/manifest.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { PROTOCOL_VERSION, type SourceMessage, type TargetMessage } from "./messages.ts";
import { type OwnerMap, OwnerTeller } from "./owner-names.ts";
import { decodeTarget, encodeSource, encodeTarget, SourceReader } from "./wire-messages.ts";

/** Bytes that a row of a listing takes on its way, about. */
const ROW_BYTES = 64;

/** A link's end, fed with what arrived. */
export interface NetworkLink<Out, In> extends LinkEnd<Out, In> {
  /** Throws ProtocolViolation, also for what is not the other role's to say. */
  take(message: SessionMessage): void;
}

class Inbox<In> {
  private handler: ((message: In) => void) | undefined;
  private early: In[] = [];

  /** The versions were agreed on when the session was opened: to the role they are one greeting. */
  attach(handler: (message: In) => void, greeting: In): void {
    queueMicrotask(() => {
      handler(greeting);
      this.handler = handler;
      const early = this.early;
      this.early = [];
      for (const message of early) handler(message);
    });
  }
  deliver(message: In): void {
    if (this.handler === undefined) this.early.push(message);
    else this.handler(message);
  }
}

type Case = NonNullable<SessionMessage["body"]["case"]>;
const SOURCE_SAYS: ReadonlySet<Case> = new Set([
  "manifest",
  "pruned",
  "digests",
  "sourceFailure",
  "scanned",
  "closed",
] as const);
const TARGET_SAYS: ReadonlySet<Case> = new Set([
  "need",
  "settled",
  "receipts",
  "released",
  "again",
  "finished",
] as const);

/** A message that this version does not know has no case, and is ignored; one that it knows has its place. */
function isFor(role: ReadonlySet<Case>, { body }: SessionMessage): boolean {
  if (body.case === undefined) return false;
  if (!role.has(body.case)) throw new ProtocolViolation(`${body.case} out of turn`);
  return true;
}

const GREETING = { kind: "hello", protocolMin: PROTOCOL_VERSION, protocolMax: PROTOCOL_VERSION } as const;

export function sourceEnd(
  stream: ControlStream,
  options: {
    readonly inodes: boolean;
    readonly accounts: Accounts | undefined;
    readonly loops: RowLoops | undefined;
  },
): NetworkLink<SourceMessage, TargetMessage> {
  const inbox = new Inbox<TargetMessage>();
  const { accounts } = options;
  const teller = accounts === undefined ? undefined : new OwnerTeller(accounts);
  const encoding = {
    inodes: options.inodes,
    loops: options.loops,
    names: (listing: Parameters<OwnerTeller["newNames"]>[0]) =>
      teller === undefined ? { users: [], groups: [] } : teller.newNames(listing),
  };
  return {
    send: (message) => {
      const bytes = message.kind === "directory" ? message.listing.count * ROW_BYTES : 0;
      for (const part of encodeSource(message, encoding)) stream.send(part, Math.min(bytes, LIMITS.messageBytes));
    },
    onMessage: (handler) => inbox.attach(handler, GREETING),
    take: (message) => {
      if (!isFor(TARGET_SAYS, message)) return;
      for (const decoded of decodeTarget(message)) inbox.deliver(decoded);
    },
  };
}

export function targetEnd(
  stream: ControlStream,
  options: {
    readonly owners: OwnerMap | undefined;
    readonly policy: TakenKinds;
    readonly memory: (bytes: number) => BatchMemory;
    readonly loops: RowLoops | undefined;
  },
): NetworkLink<TargetMessage, SourceMessage> {
  const inbox = new Inbox<SourceMessage>();
  const { owners } = options;
  const numbers: OwnerNumbers = {
    uid: (id) => owners?.of("user", id) ?? id,
    gid: (id) => owners?.of("group", id) ?? id,
  };
  const reader = new SourceReader({
    learn: (users, groups) => {
      owners?.learn("user", users);
      owners?.learn("group", groups);
    },
    policy: {
      ...options.policy,
      owners: () => (owners === undefined || owners.isIdentity ? undefined : numbers),
    },
    loops: options.loops,
    // What is open is bounded before there is memory for more of it.
    memory: (bytes) => {
      latestBytes = bytes;
      if (openBytes + bytes > LIMITS.openBytes) throw new ProtocolViolation("more is offered than this side holds");
      return options.memory(bytes);
    },
  });
  let openBytes = 0;
  let latestBytes = 0;
  /** Bytes of each directory that was offered and not yet released. */
  const open = new Map<number, number>();
  /** Entries of those that are not settled either: a peer that floods is cut off. */
  const unsettled = new Map<number, number>();
  let unsettledEntries = 0;
  return {
    send: (message) => {
      if (message.kind === "settled" || message.kind === "released") {
        unsettledEntries -= unsettled.get(message.dir) ?? 0;
        unsettled.delete(message.dir);
      }
      if (message.kind === "released") {
        openBytes -= open.get(message.dir) ?? 0;
        open.delete(message.dir);
      }
      const encoded = encodeTarget(message);
      if (encoded !== undefined) stream.send(encoded);
    },
    onMessage: (handler) => inbox.attach(handler, GREETING),
    take: (message) => {
      if (!isFor(SOURCE_SAYS, message)) return;
      const decoded = reader.read(message);
      if (decoded === undefined) return;
      if (decoded.kind === "directory") {
        // An id that is open already is refused by the role, and its listing is never let go here.
        const { id, listing } = decoded;
        openBytes += latestBytes;
        open.set(id, latestBytes);
        unsettledEntries += listing.count;
        unsettled.set(id, listing.count);
        if (unsettled.size > LIMITS.offeredDirectories || unsettledEntries > LIMITS.openEntries)
          throw new ProtocolViolation("more directories than were asked for");
      }
      inbox.deliver(decoded);
    },
  };
}
