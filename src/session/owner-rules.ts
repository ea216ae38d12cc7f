/** `--usermap` and `--groupmap`: the first rule that is about an owner decides; without one nothing changes. */

import type { OwnerNumbers } from "../core/owner-numbers.ts";
import type { OwnerRule, OwnerSubject } from "../core/owner-rule.ts";
import { matchWildcard } from "../filter/wildcard.ts";
import { hasWildcard, literalWildcard, parseWildcard } from "../filter/wildcard-parse.ts";
import type { AccountKind, Accounts } from "../fs/accounts.ts";

/** `name` is the owner's where it comes from, one character a byte. */
type IsAbout = (id: number, name: string | undefined) => boolean;

export class OwnerRules {
  private readonly rules: readonly { readonly isAbout: IsAbout; readonly to: number }[];

  constructor(rules: readonly OwnerRule[]) {
    this.rules = rules.map(({ from, to }) => ({ isAbout: matcherOf(from), to }));
  }

  get isEmpty(): boolean {
    return this.rules.length === 0;
  }

  /** Undefined: no rule is about it. */
  of(id: number, name: string | undefined): number | undefined {
    return this.rules.find(({ isAbout }) => isAbout(id, name))?.to;
  }
}

function matcherOf(from: OwnerSubject): IsAbout {
  switch (from.kind) {
    case "everybody":
      return () => true;
    case "nameless":
      return (_, name) => name === undefined;
    case "ids":
      return (id) => id >= from.first && id <= from.last;
    case "name": {
      const wildcard = hasWildcard(from.name) ? parseWildcard(from.name, "rsync") : literalWildcard(from.name);
      return (_, name) => {
        if (wildcard === undefined || name === undefined) return false;
        const bytes = Buffer.from(name, "latin1");
        return matchWildcard(wildcard, bytes, 0, bytes.length);
      };
    }
  }
}

/** What owners of this machine become on this machine; undefined without rules. */
export function ownersByRule(
  users: readonly OwnerRule[],
  groups: readonly OwnerRule[],
  accounts: () => Accounts | undefined,
): OwnerNumbers | undefined {
  if (users.length === 0 && groups.length === 0) return undefined;
  const known = accounts();
  const numbers = (kind: AccountKind, list: readonly OwnerRule[]): ((id: number) => number) => {
    const rules = new OwnerRules(list);
    const found = new Map<number, number>();
    return (id) => {
      let to = found.get(id);
      if (to === undefined) {
        to = rules.of(id, known?.nameOf(kind, id)) ?? id;
        found.set(id, to);
      }
      return to;
    };
  };
  return { uid: numbers("user", users), gid: numbers("group", groups) };
}
