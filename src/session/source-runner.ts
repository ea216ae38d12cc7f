/** Runs the source role: its step function decides, this does. Scans, answers needs, removes the sources of a move. */

import { compareNames, type EntryBatch, FileType, Kind, RowFlag, rowFields } from "../core/entry-batch.ts";
import { E, errnoText, failureCode, LINK_LEADS_OUT, removalText } from "../core/errno.ts";
import { type Failure, type Phase, type SkipReason, skipEntries } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { mapIds, type OwnerNumbers } from "../core/owner-numbers.ts";
import { joinPath } from "../core/paths.ts";
import { isTemporaryName } from "../core/temporary-names.ts";
import type { CompiledFilter, DirectoryFilter } from "../filter/filter.ts";
import type { Backend, DirHandle, PreparedSettings, WalkOptions } from "../fs/backend.ts";
import { readSmallFile } from "../fs/read-small-file.ts";
import type { LinkEnd } from "../link/loopback.ts";
import { mergeListings } from "../scan/merge-listings.ts";
import { type SelectionContext, selectRows } from "../scan/select-rows.ts";
import { byOrigin, originsOf, type SourceDirectory } from "../scan/source-directory.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import type { MergeFile, SourceMessage, TargetMessage } from "./messages.ts";
import { stepSource } from "./source-role.ts";
import {
  FAR_WINDOW,
  FIRST_OFFERS_MS,
  LOCAL_WINDOW,
  NEAR_WINDOW,
  type ScannedDirectory,
  type SourceEffect,
  type SourceEvent,
  sourceState,
} from "./source-state.ts";

/** One source argument, opened: the contents of a directory, or one entry of it. */
export interface SourceRoot {
  readonly handle: DirHandle;
  /** undefined: everything in the directory. */
  readonly entry: Uint8Array | undefined;
  readonly follow: boolean;
}

export interface SourceContext {
  readonly backend: Backend;
  readonly options: RunOptions;
  readonly roots: readonly SourceRoot[];
  readonly filter: CompiledFilter;
  readonly settings: PreparedSettings;
  readonly mayMakeDevices: boolean;
  readonly targetIdentity: SelectionContext["targetIdentity"];
  /** How content reaches the target: by the open directories themselves, or in frames on the backend's streams. */
  readonly payload: "handles" | "streams";
  /** With streams: the target answers within a moment, and wants the processors that this side has too, or may have. */
  readonly isNear?: boolean;
  /** The module's root, which no link that is followed may lead out of; undefined: the operator's links lead anywhere. */
  readonly confine: DirHandle | undefined;
  /** Hears of each phase but the first as it begins. */
  readonly onPhase?: (phase: Phase) => void;
  /** `dev` of the first root, for --one-file-system. */
  readonly rootDev: number;
  /** Directories that may be open at a time; see `OfferWindow`. */
  readonly openMost: number;
  readonly flushMost: number;
  /** Within one process: who owners are in the target. Between two the target finds out by itself. */
  readonly owners?: OwnerNumbers | undefined;
}

/** Where a directory stands in the run. */
interface Place {
  readonly path: Uint8Array;
  readonly depth: number;
  readonly parent: SourceDirectory | undefined;
  readonly parentRow: number;
  /** Its contents are offered as a whole: what else the target has there is extraneous. */
  readonly owned: boolean;
}

type ContentEffect = Extract<SourceEffect<SourceDirectory>, { kind: "content" }>;

/** Answers handed to the streams at a time: enough that none of them waits, few enough to leave the workers' queue free. */
const SENDS_UNDER_WAY = 64;
/** What was sent is heard of within moments. */
const HEARD_MS = 500;
const SELF_NAME = Uint8Array.of(0x2e);

function identityOf(listing: EntryBatch, row: number): string {
  return `${listing.dev(row)}:${listing.inoHigh(row)}:${listing.inoLow(row)}`;
}

/** Binary search in a sorted listing. */
function findRow(listing: EntryBatch, name: Uint8Array): number {
  let low = 0;
  let high = listing.count - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const order = compareNames(listing.bytes, listing.nameAt(middle), listing.nameLength(middle), name, 0, name.length);
    if (order === 0) return middle;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

export class SourceRunner {
  private readonly context: SourceContext;
  private readonly link: LinkEnd<SourceMessage, TargetMessage>;
  private readonly state;
  private readonly open = new Set<SourceDirectory>();
  private working = 0;
  private finishing = false;
  private isDone = false;
  private waitingSends: ContentEffect[] = [];
  private sending = 0;
  /** Of which the content was asked for. */
  private filesAsked = 0;
  private resolveDone!: () => void;
  private rejectDone!: (error: Error) => void;
  readonly done: Promise<void>;

  constructor(context: SourceContext, link: LinkEnd<SourceMessage, TargetMessage>) {
    this.context = context;
    this.link = link;
    this.state = sourceState<SourceDirectory>({
      removesSources: context.options.verb === "move",
      prunesEmpty: context.options.pruneEmptyDirs,
      window: {
        ...(context.payload === "handles" ? LOCAL_WINDOW : context.isNear ? NEAR_WINDOW : FAR_WINDOW),
        open: context.openMost,
        flush: context.flushMost,
      },
    });
    this.done = new Promise((resolve, reject) => {
      this.resolveDone = resolve;
      this.rejectDone = reject;
    });
  }

  start(): void {
    this.link.onMessage((message) => {
      try {
        this.feed({ kind: "message", message });
        if (message.kind === "finished" && this.backlog > 0) this.endSoon();
      } catch (error) {
        // Messages are handed on from wherever they wait: what one of them breaks ends this run, and nothing else.
        this.broken(error);
      }
    });
    this.feed({ kind: "start" });
    if (this.context.isNear) setTimeout(() => this.feed({ kind: "widen" }), FIRST_OFFERS_MS).unref();
  }

  /** Hears that nobody waits for what the streams are sending. */
  onUnwanted: () => void = () => undefined;

  /**
   * The target has ended. What is still to be sent was not wanted to the end: it is full, or its job was cancelled. Unless
   * it was sent, and this side has only not heard that yet.
   */
  private endSoon(): void {
    const timer = setTimeout(() => {
      if (this.isDone || this.backlog === 0) return;
      if (this.state.removing > 0) return this.endSoon();
      this.stop();
      this.onUnwanted();
    }, HEARD_MS);
    timer.unref();
  }

  /** What the streams are sending is the carriers' to stop. */
  stop(): void {
    this.feed({ kind: "stop" });
    for (const { need } of this.waitingSends.splice(0)) this.feed({ kind: "answered", need });
  }

  /** How far it is, as far as a source can know. */
  get progress(): {
    readonly phase: Phase;
    readonly entries: number;
    readonly scanComplete: boolean;
    readonly filesAsked: number;
    readonly sourcesRemoved: number;
  } {
    const { phase, entries, sourcesRemoved } = this.state;
    const isOffering = phase === "hello" || phase === "offering";
    return {
      phase: isOffering ? "scanning" : this.isDone || this.finishing ? "finishing" : "copying",
      entries,
      scanComplete: !isOffering,
      filesAsked: this.filesAsked,
      sourcesRemoved,
    };
  }

  /** Closes what an early end left open, as soon as nothing uses it any more; as `TargetRunner.dispose`. */
  async dispose(): Promise<void> {
    if (!this.isDone) {
      this.stop();
      await this.context.backend.quiet();
    }
    for (const directory of this.open) this.closeNow(directory);
    this.open.clear();
  }

  private feed(event: SourceEvent<SourceDirectory>): void {
    for (const effect of stepSource(this.state, event)) this.perform(effect);
  }

  private perform(effect: SourceEffect<SourceDirectory>): void {
    switch (effect.kind) {
      case "send":
        this.link.send(effect.message);
        return;
      case "scan":
        this.guard(this.scan(effect));
        return;
      case "content": {
        if (this.isUnwanted) return this.feed({ kind: "answered", need: effect.need });
        // A large file is asked for in ranges, and once to be committed.
        if (effect.purpose === "content" || effect.purpose === "commit") this.filesAsked += effect.rows.length;
        if (this.context.payload === "streams") {
          this.waitingSends.push(effect);
          this.startSends();
          return;
        }
        const parts = byOrigin(effect.directory.handle, effect.rows);
        this.feed({
          kind: "answered",
          need: effect.need,
          message: { kind: "content", need: effect.need, content: { parts } },
        });
        return;
      }
      case "digest":
        if (this.isUnwanted) return this.feed({ kind: "answered", need: effect.need });
        this.guard(this.digest(effect));
        return;
      case "remove":
        this.guard(this.remove(effect.directory.handle, effect.rows));
        return;
      case "release":
        this.guard(this.release(effect.directory.handle));
        return;
      case "describe-scan": {
        this.context.onPhase?.("copying");
        const { filter } = this.context;
        for (const path of filter.isEmpty ? [] : filter.unseenFiles()) {
          this.fail(
            {
              code: "not_found",
              side: "source",
              path,
              operation: "find",
              errno: E.NOENT,
              message: "listed in --files-from, but not in the source",
            },
            false,
          );
        }
        this.link.send({
          kind: "scanned",
          complete: this.state.complete,
          entries: this.state.entries,
          unmatchedPatterns: filter.isEmpty ? [] : filter.unmatchedPatterns(),
        });
        return;
      }
      case "finish":
        this.context.onPhase?.("finishing");
        this.finishing = true;
        this.finishWhenIdle();
        return;
      case "protocol-error":
        this.rejectDone(new ProtocolViolation(effect.reason));
        return;
    }
  }

  /** Between two processes a stop is one of both: the target waits for no answer any more. */
  private get isUnwanted(): boolean {
    return this.state.isStopped && this.context.payload === "streams";
  }

  private readonly broken = (error: unknown): void => {
    this.rejectDone(error instanceof Error ? error : new Error(String(error)));
  };

  private guard(work: Promise<void>): void {
    this.working++;
    work.then(() => {
      this.working--;
      this.finishWhenIdle();
    }, this.broken);
  }

  /** The last directories of a move are removed while the session already ends: "closed" is said after that. */
  private finishWhenIdle(): void {
    if (!this.finishing || this.working > 0) return;
    this.finishing = false;
    this.isDone = true;
    this.link.send({ kind: "closed", sourcesRemoved: this.state.sourcesRemoved });
    this.resolveDone();
  }

  private fail(failure: Failure, hidesEntries: boolean): void {
    this.link.send({ kind: "failure", failure, hidesEntries });
  }

  private walkOptions(selfOnly: boolean, openFollow: boolean): WalkOptions {
    const { options, settings, confine } = this.context;
    const { privileged } = settings.settings;
    return {
      ...(confine === undefined ? {} : { confine }),
      ...(privileged === undefined ? {} : { privileged }),
      xattrs: options.preserve.xattrs,
      acls: options.preserve.acls,
      follow: options.copyLinks,
      openFollow,
      create: false,
      writable: false,
      selfOnly,
      noAtime: options.dryRun || options.verb === "check",
    };
  }

  private async scan(effect: Extract<SourceEffect<SourceDirectory>, { kind: "scan" }>): Promise<void> {
    const directory =
      effect.parent === undefined
        ? await this.scanRoot()
        : await this.scanChild(effect.parent.handle, effect.parentRow);
    this.open.add(directory.handle);
    const { owners } = this.context;
    if (owners !== undefined) {
      mapIds(directory.listing.columnOf("uid"), owners.uid);
      mapIds(directory.listing.columnOf("gid"), owners.gid);
    }
    this.feed({ kind: "scanned", id: effect.id, parent: effect.parentId, parentRow: effect.parentRow, directory });
  }

  /** The root of the run: one directory's contents, or all source arguments offered as one directory. */
  private async scanRoot(): Promise<ScannedDirectory<SourceDirectory>> {
    const { backend, roots, filter, options, confine } = this.context;
    const { xattrs, acls } = options.preserve;
    const { privileged } = this.context.settings.settings;
    const handles: DirHandle[] = [];
    const listings: EntryBatch[] = [];
    let owned = false;
    for (const root of roots) {
      if (root.entry === undefined) {
        const listing = await backend.walk(root.handle, SELF_NAME, this.walkOptions(false, false));
        handles.push(listing.dirfd);
        listings.push(listing);
        owned = true;
      } else {
        // A descriptor of this pass: it is closed when the root is released, and the opener's stays for another pass.
        const handle = await backend.resolve(root.handle, SELF_NAME, { create: false, operator: false });
        handles.push(handle);
        listings.push(
          await backend.stat(root.handle, [root.entry], {
            ...(confine === undefined ? {} : { confine }),
            ...(privileged === undefined ? {} : { privileged }),
            xattrs,
            acls,
            follow: root.follow || options.copyLinks,
          }),
        );
      }
    }
    return this.offer(
      listings,
      handles,
      filter.root(),
      { path: new Uint8Array(0), depth: 0, parent: undefined, parentRow: -1, owned },
      true,
    );
  }

  private async scanChild(parent: SourceDirectory, row: number): Promise<ScannedDirectory<SourceDirectory>> {
    const { backend, options, rootDev, roots } = this.context;
    const name = parent.listing.name(row).slice();
    const path = joinPath(parent.path, name);
    const entered = !options.oneFileSystem || parent.listing.dev(row) === rootDev;
    const filter = parent.filter.isEmpty ? parent.filter : parent.filter.enter(name);
    const openFollow = options.copyLinks || (parent.parent === undefined && roots.some((root) => root.follow));
    const walked = { path, depth: parent.depth + 1, parent, parentRow: row, owned: true };
    if (parent.shared === undefined) {
      const origin = parent.origins?.[row] ?? 0;
      const listing = await backend.walk(parent.handles[origin]!, name, this.walkOptions(!entered, openFollow));
      return this.offer([listing], [listing.dirfd], filter, walked, entered);
    }
    const handles: DirHandle[] = [];
    const listings: EntryBatch[] = [];
    for (const origin of originsOf(parent, row)) {
      const listing = await backend.walk(parent.handles[origin]!, name, this.walkOptions(!entered, openFollow));
      handles.push(listing.dirfd);
      listings.push(listing);
    }
    return this.offer(listings, handles, filter, walked, entered);
  }

  /** Selects what is offered of the listings, names what could not be read, and merges several into one. */
  private offer(
    raw: readonly EntryBatch[],
    handles: readonly DirHandle[],
    inherited: DirectoryFilter,
    place: Place,
    entered: boolean,
  ): ScannedDirectory<SourceDirectory> {
    const { backend, options, mayMakeDevices, targetIdentity } = this.context;
    const mergeFiles: MergeFile[] = [];
    const filter = this.takeMergeFiles(raw, handles, inherited, mergeFiles);
    const skipped: Partial<Record<SkipReason, number>> = {};
    let ancestry: Set<string> | undefined;
    let hidden = false;
    let status = 0;
    if (options.copyLinks) {
      ancestry = new Set(place.parent?.ancestry);
      for (const listing of raw) ancestry.add(identityOf(listing, listing.self));
    }
    const listings = raw.map((listing, index) => {
      // A source that is one entry is no listing of a directory.
      const isListing = place.parent !== undefined || this.context.roots[index]!.entry === undefined;
      if (listing.status !== 0) {
        status = listing.status;
        this.nameUnreadable(listing.status, place);
      } else if (isListing && listing.rowStatus(listing.self) !== 0) {
        // Its attributes are not known, and neither which of its entries are mounted there.
        this.nameUnreadable(listing.rowStatus(listing.self), place, "stat");
        hidden = true;
      }
      if (ancestry !== undefined) this.refuseLoops(listing, ancestry, place.path);
      const selection = selectRows(listing, {
        options,
        filter,
        depth: place.depth,
        mayMakeDevices,
        targetIdentity,
        isTemporaryName,
      });
      for (const [reason, count] of skipEntries(selection.skipped)) skipped[reason] = (skipped[reason] ?? 0) + count;
      if (this.nameFailedRows(selection.listing, place.path)) hidden = true;
      return selection.listing;
    });
    let listing = listings[0]!;
    let origins: Uint16Array | undefined;
    let shared: Map<number, number[]> | undefined;
    if (listings.length > 1) {
      const whole = listings.find((part) => part.rowStatus(part.self) === 0);
      const merged = mergeListings(listings, whole === undefined ? undefined : rowFields(whole, whole.self));
      listing = backend.makeBatch(merged.entries, { status });
      ({ origins, shared } = merged);
      if (merged.shadowed > 0) skipped.earlier_source = merged.shadowed;
      for (const part of listings) backend.releaseBatch(part);
    }
    // A directory stays open, and in place, until everything below it is finished.
    if (place.parent !== undefined) place.parent.holds++;
    const directory: SourceDirectory = {
      handles,
      origins,
      shared,
      listing,
      filter,
      path: place.path,
      depth: place.depth,
      ancestry,
      parent: place.parent,
      parentRow: place.parentRow,
      removable: false,
      holds: 0,
      released: false,
    };
    return { listing, handle: directory, entered, owned: place.owned, mergeFiles, skipped, hidden };
  }

  private nameUnreadable(status: number, place: Place, operation = "read directory"): void {
    const vanished = status === -E.NOENT && place.parent !== undefined;
    const leadsOut = status === -E.XDEV && this.context.confine !== undefined;
    this.fail(
      {
        code: vanished ? "vanished" : leadsOut ? "permission" : failureCode(status),
        side: "source",
        path: place.path,
        operation,
        errno: -status,
        message: vanished ? "vanished before it was read" : leadsOut ? LINK_LEADS_OUT : errnoText(status),
      },
      true,
    );
  }

  /** Reports rows that could not be read. True when one of them may hide entries: a directory, or a kind unknown. */
  private nameFailedRows(listing: EntryBatch, directory: Uint8Array): boolean {
    let hidden = false;
    if (!listing.mayHave(Kind.failed)) return hidden;
    for (let row = 0; row < listing.count; row++) {
      const status = listing.rowStatus(row);
      // Links that lead back to a directory above were named when they were found.
      if (status === 0 || (status === -E.LOOP && (listing.rowFlags(row) & RowFlag.skip) !== 0)) continue;
      const dangling = status === -E.NOENT && listing.type(row) === FileType.symlink;
      const vanished = status === -E.NOENT && !dangling;
      // It is never followed: nothing that could be offered is missing.
      const leadsOut = status === -E.XDEV && this.context.confine !== undefined;
      if (!vanished && !dangling && !leadsOut) hidden = true;
      this.fail(
        {
          code: vanished ? "vanished" : leadsOut ? "permission" : failureCode(status),
          side: "source",
          path: joinPath(directory, listing.name(row)),
          operation: leadsOut ? "follow" : "stat",
          errno: -status,
          message: vanished
            ? "vanished before it was read"
            : dangling
              ? "the link points at nothing"
              : leadsOut
                ? LINK_LEADS_OUT
                : errnoText(status),
        },
        false,
      );
    }
    return hidden;
  }

  /** Reads per-directory filter files that the listings have. */
  private takeMergeFiles(
    listings: readonly EntryBatch[],
    handles: readonly DirHandle[],
    inherited: DirectoryFilter,
    taken: MergeFile[],
  ): DirectoryFilter {
    let filter = inherited;
    if (filter.isEmpty) return filter;
    const seen = new Set<string>();
    for (;;) {
      const name = filter.perDirectoryFiles().find((wanted) => !seen.has(wanted.join()));
      if (name === undefined) return filter;
      seen.add(name.join());
      const origin = listings.findIndex((listing) => {
        const row = findRow(listing, name);
        return row >= 0 && listing.type(row) === FileType.regular;
      });
      if (origin < 0) continue;
      const text = readSmallFile(handles[origin]!, name, LIMITS.filterFileBytes);
      filter = filter.withMerged(name, text);
      taken.push({ name: name.slice(), text });
    }
  }

  private refuseLoops(listing: EntryBatch, ancestry: ReadonlySet<string>, path: Uint8Array): void {
    for (let row = 0; row < listing.count; row++) {
      if (listing.type(row) !== FileType.directory || !ancestry.has(identityOf(listing, row))) continue;
      listing.setRowStatus(row, -E.LOOP);
      listing.setRowFlags(row, listing.rowFlags(row) | RowFlag.skip);
      this.fail(
        {
          code: "loop",
          side: "source",
          path: joinPath(path, listing.name(row)),
          operation: "follow",
          errno: E.LOOP,
          message: "a link that leads back to a directory above it",
        },
        false,
      );
    }
  }

  /** Answers that are due. */
  get backlog(): number {
    return this.sending + this.waitingSends.length;
  }

  private startSends(): void {
    let started = 0;
    while (this.sending < SENDS_UNDER_WAY && started < this.waitingSends.length) {
      const effect = this.waitingSends[started++]!;
      this.sending++;
      this.guard(
        this.sendPayload(effect).then(() => {
          this.sending--;
          this.feed({ kind: "answered", need: effect.need });
          this.startSends();
        }),
      );
    }
    if (started > 0) this.waitingSends.splice(0, started);
  }

  /** What became of the items the target hears in the frames; a stream that broke ends the session elsewhere. */
  private async sendPayload({ need, directory, rows, purpose, range }: ContentEffect): Promise<void> {
    const { backend, settings } = this.context;
    const parts = byOrigin(directory.handle, rows);
    await Promise.all(
      parts.map(async (part) => {
        const request = {
          need,
          source: part.handle,
          batch: directory.listing,
          rows: part.rows,
          settings,
          ...(parts.length > 1 ? { items: part.rows.map((row) => rows.indexOf(row)) } : {}),
        };
        const results = await backend.send(
          purpose === "range" ? { ...request, purpose, ...range! } : { ...request, purpose },
        );
        results.release();
      }),
    );
  }

  private async digest(effect: Extract<SourceEffect<SourceDirectory>, { kind: "digest" }>): Promise<void> {
    const { backend, settings } = this.context;
    const directory = effect.directory.handle;
    const byRow = new Map<number, Uint8Array>();
    for (const part of byOrigin(directory, effect.rows)) {
      const results = await backend.hash(part.handle, directory.listing, part.rows, "xxh3-128", settings);
      part.rows.forEach((row, i) => {
        if (results.status(i) === 0) byRow.set(row, results.digest(i).slice());
      });
      results.release();
    }
    const digests = Array.from(effect.rows, (row) => byRow.get(row));
    this.feed({ kind: "answered", need: effect.need, message: { kind: "digests", need: effect.need, digests } });
  }

  private async remove(directory: SourceDirectory, rows: Uint32Array): Promise<void> {
    const { backend } = this.context;
    const { listing } = directory;
    const entries = rows.filter((row) => row !== listing.self);
    if (entries.length !== rows.length) directory.removable = true;
    let removed = 0;
    directory.holds++;
    if (entries.length > 0) {
      for (const part of byOrigin(directory, entries)) {
        const results = await backend.remove(part.handle, listing, part.rows, { same: true });
        for (let i = 0; i < part.rows.length; i++) {
          const status = results.status(i);
          // Gone already: it was renamed into the target.
          if (status === 0 || status === -E.NOENT) removed++;
          else {
            const changed = status === -E.STALE;
            const code = changed ? "changed_while_reading" : failureCode(status);
            const message = changed ? "changed after it was copied; it stays" : removalText(status);
            const path = joinPath(directory.path, listing.name(part.rows[i]!));
            this.fail({ code, side: "source", path, operation: "remove", errno: -status, message }, false);
          }
        }
        results.release();
      }
    }
    directory.holds--;
    this.feed({ kind: "removed", count: removed });
    await this.closeIfIdle(directory);
  }

  private async release(directory: SourceDirectory): Promise<void> {
    directory.released = true;
    await this.closeIfIdle(directory);
  }

  /** Closes a released directory that nothing holds; the emptied directory of a move is removed from its parent. */
  private async closeIfIdle(directory: SourceDirectory): Promise<void> {
    if (!directory.released || directory.holds > 0 || !this.open.has(directory)) return;
    this.open.delete(directory);
    const { parent, parentRow, removable } = directory;
    this.closeNow(directory);
    if (parent === undefined) return;
    if (removable) {
      for (const origin of originsOf(parent, parentRow)) {
        const row = Uint32Array.of(parentRow);
        const results = await this.context.backend.remove(parent.handles[origin]!, parent.listing, row, {
          same: false,
        });
        results.release(); // not empty: something in it stays, and was named
      }
    }
    parent.holds--;
    await this.closeIfIdle(parent);
  }

  private closeNow(directory: SourceDirectory): void {
    // The roots belong to whoever opened them.
    const { backend, roots } = this.context;
    backend.close(directory.handles.filter((handle) => handle >= 0 && roots.every((root) => root.handle !== handle)));
    backend.releaseBatch(directory.listing);
  }
}
