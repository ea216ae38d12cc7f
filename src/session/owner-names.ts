/**
 * Owners travel by name: the source tells each name once, when a listing first has its number; the target looks the name
 * up and falls back to the number. A name that is unknown here never becomes root: its number is taken as it is.
 */
import { create } from "@bufbuild/protobuf";
import { type EntryBatch, Kind } from "../core/entry-batch.ts";
import { LIMITS } from "../core/limits.ts";
import type { PreserveOptions } from "../core/options.ts";
import type { OwnerRule } from "../core/owner-rule.ts";
import { type AccountKind, Accounts } from "../fs/accounts.ts";
import { type IdName, IdNameSchema } from "../wire/gen/fastsync/v1/session_pb.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { OwnerRules } from "./owner-rules.ts";

const NAME_MOST = 255;
const NO_RULES = { userMap: [], groupMap: [] };

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
  /** Undefined: names mean nothing, as with --numeric-ids. */
  private readonly accounts: Accounts | undefined;
  private readonly rules: Readonly<Record<AccountKind, OwnerRules>>;
  private readonly ids: Readonly<Record<AccountKind, Map<number, number>>> = { user: new Map(), group: new Map() };

  private readonly heard: Record<AccountKind, number> = { user: 0, group: 0 };

  constructor(
    accounts: Accounts | undefined,
    rules: { readonly userMap: readonly OwnerRule[]; readonly groupMap: readonly OwnerRule[] } = NO_RULES,
  ) {
    this.accounts = accounts;
    this.rules = { user: new OwnerRules(rules.userMap), group: new OwnerRules(rules.groupMap) };
  }

  /** Throws ProtocolViolation: more names than are ever told, or one that is none. */
  learn(kind: AccountKind, names: readonly IdName[]): void {
    const ids = this.ids[kind];
    this.heard[kind] += names.length;
    if (this.heard[kind] > LIMITS.ownerNames) throw new ProtocolViolation(`${this.heard[kind]} names of ${kind}s`);
    for (const { id, name } of names) {
      if (name.length > NAME_MOST) throw new ProtocolViolation(`the name of a ${kind} of ${name.length} bytes`);
      const text = Buffer.from(name).toString("latin1");
      const own = this.rules[kind].of(id, text) ?? this.accounts?.idOf(kind, text);
      // Only what differs is kept: most machines that exchange files agree on their numbers.
      if (own === undefined || (own === id && this.rules[kind].isEmpty)) ids.delete(id);
      else ids.set(id, own);
    }
  }

  /** Every number means here what it means there, as far as names were told. */
  get isIdentity(): boolean {
    const { user, group } = this.rules;
    return this.ids.user.size === 0 && this.ids.group.size === 0 && user.isEmpty && group.isEmpty;
  }

  of(kind: AccountKind, id: number): number {
    const known = this.ids[kind].get(id);
    if (known !== undefined || this.rules[kind].isEmpty) return known ?? id;
    // Its name would have been told by now.
    return this.rules[kind].of(id, undefined) ?? id;
  }
}

/** What a target makes of the owners that another process tells; undefined: their numbers are taken as they are. */
export function ownerMapOf({ numericIds, userMap, groupMap }: PreserveOptions): OwnerMap | undefined {
  if (numericIds && userMap.length === 0 && groupMap.length === 0) return undefined;
  return new OwnerMap(numericIds ? undefined : new Accounts(), { userMap, groupMap });
}
