/**
 * Owners travel by name: the source tells each name once, when a listing first has its number; the target looks the name
 * up and falls back to the number. A name that is unknown here never becomes root: its number is taken as it is.
 */
import { create } from "@bufbuild/protobuf";
import { type EntryBatch, Kind } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import type { AccountKind, Accounts } from "../fs/accounts.ts";
import { type IdName, IdNameSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";

const NAME_MOST = 255;

class Teller {
  private readonly kind: AccountKind;
  private readonly accounts: Accounts;
  private readonly told = new Set<number>();

  constructor(kind: AccountKind, accounts: Accounts) {
    this.kind = kind;
    this.accounts = accounts;
  }

  newNames(ids: Uint32Array): IdName[] {
    const names: IdName[] = [];
    let last = -1;
    // By index: an iterator costs more than all the rest, once for each entry of the tree.
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (id === last) continue;
      last = id;
      if (this.told.has(id) || this.told.size >= LIMITS.ownerNames) continue;
      this.told.add(id);
      const name = this.accounts.nameOf(this.kind, id);
      if (name !== undefined) names.push(create(IdNameSchema, { id, name: Buffer.from(name, "latin1") }));
    }
    return names;
  }
}

export class OwnerTeller {
  private readonly users: Teller;
  private readonly groups: Teller;

  constructor(accounts: Accounts) {
    this.users = new Teller("user", accounts);
    this.groups = new Teller("group", accounts);
  }

  newNames(listing: EntryBatch): { users: IdName[]; groups: IdName[] } {
    // Nearly all directories belong to one owner with all that is in them.
    const from = listing.mayHave(Kind.owners) ? 0 : listing.self;
    return {
      users: this.users.newNames(listing.columnOf("uid").subarray(from)),
      groups: this.groups.newNames(listing.columnOf("gid").subarray(from)),
    };
  }
}

export class OwnerMap {
  private readonly accounts: Accounts;
  private readonly ids: Readonly<Record<AccountKind, Map<number, number>>> = { user: new Map(), group: new Map() };

  private readonly heard: Record<AccountKind, number> = { user: 0, group: 0 };

  constructor(accounts: Accounts) {
    this.accounts = accounts;
  }

  /** Throws ProtocolViolation: more names than are ever told, or one that is none. */
  learn(kind: AccountKind, names: readonly IdName[]): void {
    const ids = this.ids[kind];
    this.heard[kind] += names.length;
    if (this.heard[kind] > LIMITS.ownerNames) throw new ProtocolViolation(`${this.heard[kind]} names of ${kind}s`);
    for (const { id, name } of names) {
      if (name.length > NAME_MOST) throw new ProtocolViolation(`the name of a ${kind} of ${name.length} bytes`);
      const own = this.accounts.idOf(kind, Buffer.from(name).toString("latin1"));
      // Only what differs is kept: most machines that exchange files agree on their numbers.
      if (own === undefined || own === id) ids.delete(id);
      else ids.set(id, own);
    }
  }

  /** Every number means here what it means there, as far as names were told. */
  get isIdentity(): boolean {
    return this.ids.user.size === 0 && this.ids.group.size === 0;
  }

  of(kind: AccountKind, id: number): number {
    return this.ids[kind].get(id) ?? id;
  }
}
