/** Gathers entries and failures of a call until they are taken as one part. */

import type { Entries, EntriesPart, PathFailure } from "../core/admin-calls.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { errnoText, failureCode } from "../core/errno.ts";
import { LIMITS } from "../core/limits.ts";
import { type AccountKind, Accounts } from "../fs/accounts.ts";

const NO_BYTES = new Uint8Array(0);
const BLOCK_BYTES = 512;

export function noEntries(): Entries {
  return {
    ...{ paths: [], modes: [], sizes: [], diskSizes: [], mtimeSeconds: [], mtimeNanos: [], uids: [], gids: [] },
    ...{ linkCounts: [], links: [], users: new Map(), groups: new Map() },
  };
}

export function failureOf(path: Uint8Array, operation: string, status: number): PathFailure {
  return {
    path,
    code: failureCode(status),
    operation,
    errno: Math.abs(status),
    message: errnoText(status),
  };
}

/** Bytes that are allocated for a row of a walk with `blocks`. */
export function diskBytes(batch: EntryBatch, row: number): number {
  return batch.blocks(row) * BLOCK_BYTES;
}

export class Gathered {
  /** Entries of all parts. */
  total = 0;
  private entries = noEntries();
  private failures: PathFailure[] = [];
  private bytes = 0;
  private since = performance.now();
  private readonly told: Readonly<Record<AccountKind, Set<number>>> = { user: new Set(), group: new Set() };
  private accounts: Accounts | undefined;

  add(path: Uint8Array, batch: EntryBatch, row: number): void {
    const { entries } = this;
    this.total++;
    entries.paths.push(path);
    entries.modes.push(batch.mode(row));
    entries.sizes.push(batch.size(row));
    entries.diskSizes.push(diskBytes(batch, row));
    entries.mtimeSeconds.push(batch.mtimeSec(row));
    entries.mtimeNanos.push(batch.mtimeNsec(row));
    entries.uids.push(batch.uid(row));
    entries.gids.push(batch.gid(row));
    entries.linkCounts.push(batch.nlink(row));
    if (batch.type(row) === FileType.symlink) {
      // Those before it are no links.
      while (entries.links.length < entries.paths.length - 1) entries.links.push(NO_BYTES);
      entries.links.push(batch.linkText(row).slice());
    } else if (entries.links.length > 0) entries.links.push(NO_BYTES);
    this.name("user", batch.uid(row), entries.users);
    this.name("group", batch.gid(row), entries.groups);
    this.bytes += path.length + (entries.links.at(-1)?.length ?? 0);
  }

  private name(kind: AccountKind, id: number, into: Map<number, Uint8Array>): void {
    const told = this.told[kind];
    if (told.has(id) || told.size >= LIMITS.ownerNames) return;
    told.add(id);
    this.accounts ??= new Accounts();
    const name = this.accounts.nameOf(kind, id);
    if (name !== undefined) into.set(id, new Uint8Array(Buffer.from(name, "latin1")));
  }

  fail(failure: PathFailure): void {
    this.failures.push(failure);
    this.bytes += failure.path.length + failure.message.length;
  }

  /** A part is worth its way: it is full, or what is in it waits for some time. */
  get isDue(): boolean {
    const count = this.entries.paths.length + this.failures.length;
    if (count >= LIMITS.partRows || this.bytes >= LIMITS.partBytes) return true;
    return count > 0 && performance.now() - this.since > LIMITS.progressMs;
  }

  take(more = false, isDirectory = false): EntriesPart {
    const part = { entries: this.entries, failures: this.failures, more, isDirectory };
    this.entries = noEntries();
    this.failures = [];
    this.bytes = 0;
    this.since = performance.now();
    return part;
  }
}
