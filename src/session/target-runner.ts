/** Runs the target role: its step function decides, this does. */
import { ByteBudget } from "../core/byte-budget.ts";
import { BatchFlag, type EntryBatch, FileType, Kind, rowFields } from "../core/entry-batch.ts";
import { E } from "../core/errno.ts";
import type { RunHooks } from "../core/events.ts";
import { LIMITS } from "../core/limits.ts";
import type { RunOptions } from "../core/options.ts";
import { deleteRecords } from "../engine/deletion.ts";
import {
  deniesListing,
  deniesWriting,
  GIVE_BACK,
  LIFT,
  makeDirectoryByUmask,
  markCreated,
  restoreMode,
} from "../engine/directory-access.ts";
import { EmptyBackups } from "../engine/empty-backups.ts";
import { ExtraneousWalker } from "../engine/extraneous.ts";
import { copyLargeFile, failedItem, type Ranging } from "../engine/large-file.ts";
import { sweepLeftovers } from "../engine/leftovers.ts";
import { moveEntries } from "../engine/move-entries.ts";
import { type LargeNeeds, receiveLargeFile } from "../engine/receive-large.ts";
import { WORKER_REVIEW_FILES, type WorkerFacts, workersFor } from "../engine/worker-policy.ts";
import {
  type Backend,
  type CopyRequest,
  type DirHandle,
  type ItemResults,
  NO_HANDLE,
  type PreparedSettings,
  ROW_EXISTS,
  type WalkOptions,
  Warning,
} from "../fs/backend.ts";
import { coarse } from "../fs/filesystems.ts";
import type { LinkEnd } from "../link/loopback.ts";
import { ProtocolViolation } from "../wire/protocol-violation.ts";
import { isOutOfInodes } from "./device.ts";
import type { NeedId, SourceMessage, TargetMessage } from "./messages.ts";
import { respelled, type SpellingGuess } from "./spellings.ts";
import { isKept } from "./target-directory.ts";
import { hasForeignNames } from "./target-links.ts";
import { blameInodes, recordTargetFailure } from "./target-report.ts";
import { stepTarget } from "./target-role.ts";
import {
  BARE,
  pathOf,
  type TargetDir,
  type TargetEffect,
  type TargetEvent,
  type TargetState,
  touchesNothing,
} from "./target-state.ts";

export interface TargetContext {
  readonly backend: Backend;
  readonly options: RunOptions;
  readonly hooks: RunHooks;
  /** The target's root; NO_HANDLE in a dry run of a target that does not exist. */
  readonly root: DirHandle;
  readonly rootCreated: boolean;
  /** A single file copied to a new name: the source's name and the target's. */
  readonly rename: { readonly from: Uint8Array; readonly to: Uint8Array } | undefined;
  readonly settings: PreparedSettings;
  readonly restamp: PreparedSettings;
  readonly temp: DirHandle;
  /** The root of --backup-dir, NO_HANDLE: backups stand beside the originals. */
  readonly backupRoot: DirHandle;
  /** The type of the target's filesystem does not tell how it keeps times. */
  readonly measuresTimes: boolean;
  /** A move within one filesystem that changes nothing about its entries: new names are renamed. */
  readonly renames: boolean;
  /** Present when the number of workers follows the work; absent when --workers fixed it. */
  readonly workerFacts: Omit<WorkerFacts, "averageFileBytes"> | undefined;
  readonly signal: AbortSignal;
  /** Content that was asked for cannot come any more. Absent where nothing travels. */
  readonly onContentLost?: (() => void) | undefined;
  /** The target is full, or cannot be written to: what is on its way is not wanted any more. As `onContentLost`. */
  readonly onUnwanted?: (() => void) | undefined;
}

type CopyEffect = Extract<TargetEffect, { kind: "copy" }>;

type LinkEffect = Extract<TargetEffect, { kind: "link" }>;

/** Started copies that may stand in the queue before it is shortened. */
const COPIES_FORGOTTEN = 256;
const SELF_NAME = Uint8Array.of(0x2e);

export class TargetRunner {
  private readonly context: TargetContext;
  private readonly link: LinkEnd<TargetMessage, SourceMessage>;
  private readonly state: TargetState;
  /** Copies that wait for a slot, from `nextCopy` on. */
  private waitingCopies: CopyEffect[] = [];
  private nextCopy = 0;
  private copying = 0;
  private readonly copySlots: number;
  private readonly ranging: Ranging;
  /** Links that wait for their turn, from `nextLink` on. */
  private waitingLinks: LinkEffect[] = [];
  private nextLink = 0;
  private linking = 0;
  private readonly extraneous: ExtraneousWalker;
  private readonly withoutAttributes: PreparedSettings;
  /** For what is read in the target: links are followed in the source alone. */
  private readonly withoutFollowing: PreparedSettings;
  /** Root needs no permission, and a dry run takes none. */
  private readonly mayLift: boolean;
  /** Directories that are being made writable. */
  private readonly liftings = new Map<TargetDir, Promise<void>>();
  /** Backup directories of directories that need one, open until the directory is. */
  private readonly backups = new Map<TargetDir, Promise<DirHandle>>();
  private startedMs = 0;
  /** From the start to the first content that came from another process; undefined: none came. */
  firstContentMs: number | undefined;
  private reviewAtFiles = WORKER_REVIEW_FILES;
  private resolveDone!: () => void;
  private rejectDone!: (error: Error) => void;
  readonly done: Promise<void>;

  constructor(context: TargetContext, state: TargetState, link: LinkEnd<TargetMessage, SourceMessage>) {
    this.context = context;
    this.state = state;
    this.link = link;
    const { backend, settings } = context;
    this.mayLift = !touchesNothing(state) && process.geteuid?.() !== 0;
    this.emptyBackups = new EmptyBackups(backend, context.backupRoot);
    this.withoutAttributes = backend.prepare({ ...settings.settings, xattrs: false, acls: false });
    this.withoutFollowing = backend.prepare({ ...settings.settings, follow: false });
    this.copySlots =
      state.payload === "streams" ? LIMITS.expectedAnswers : context.backend.workers * LIMITS.slicesPerWorker;
    const { backup } = context.options.write;
    const { chunkBytes, bufferBytes } = context.options.transfer;
    this.ranging = { chunkBytes, budget: new ByteBudget(bufferBytes) };
    this.extraneous = new ExtraneousWalker(
      context.backend,
      (listing, row) => isKept(state, listing, row),
      backup !== undefined && backup.directory === undefined,
    );
    this.done = new Promise((resolve, reject) => {
      this.resolveDone = resolve;
      this.rejectDone = reject;
    });
  }

  start(): void {
    this.startedMs = performance.now();
    this.link.onMessage((message) => {
      try {
        this.feed({ kind: "message", message });
      } catch (error) {
        // Messages are handed on from wherever they wait: what one of them breaks ends this run, and nothing else.
        this.fail(error);
      }
    });
    this.feed({ kind: "start" });
  }

  stop(): void {
    this.feed({ kind: "stop" });
    for (const settle of this.lost.splice(0)) settle();
  }

  /** Answers that are due. */
  get backlog(): number {
    return this.copying;
  }

  /**
   * Closes what an early end left open, as soon as nothing uses it any more: the number of a descriptor that is closed
   * may be another session's at once.
   */
  async dispose(): Promise<void> {
    if (this.state.phase !== "done") {
      this.stop();
      await this.context.backend.quiet();
    }
    this.isDisposed = true;
    for (const dir of this.state.dirs.values()) this.close(dir);
    this.state.dirs.clear();
  }
  private isDisposed = false;

  private feed(event: TargetEvent): void {
    const { phase } = this.state;
    if (this.isDisposed || phase === "failed" || phase === "done") {
      // Nobody will take what was opened.
      if (event.kind === "opened") this.closeListing(event.batch);
      return;
    }
    const wasFull = this.state.fatal !== undefined;
    const effects = stepTarget(this.state, event);
    if (!wasFull && this.state.fatal !== undefined) this.context.onUnwanted?.();
    for (const effect of wasFull ? effects : this.withReason(effects)) this.perform(effect);
  }

  /** Which of its two stores is empty, when the target has just turned out to be full. */
  private withReason(effects: TargetEffect[]): TargetEffect[] {
    if (this.state.fatal?.reason !== "no_space") return effects;
    const { root, temp, backupRoot } = this.context;
    return [root, temp, backupRoot].some(isOutOfInodes) ? blameInodes(this.state, effects) : effects;
  }

  private perform(effect: TargetEffect): void {
    const { backend, hooks, root, restamp, settings, signal } = this.context;
    switch (effect.kind) {
      case "send":
        this.link.send(effect.message);
        return;
      case "report":
        hooks.onEvent(effect.event);
        return;
      case "open":
        this.afterwards(this.open(effect), (batch) => ({ kind: "opened", dir: effect.dir, batch }));
        return;
      case "respell":
        this.afterwards(this.respell(effect.dir, effect.guesses), (batch) => ({
          kind: "respelled",
          dir: effect.dir,
          batch,
        }));
        return;
      case "copy":
        this.waitingCopies.push(effect);
        this.startCopies();
        return;
      case "repair":
        this.afterwards(this.repairRows(effect), (results) => ({
          kind: "repaired",
          dir: effect.dir,
          rows: effect.rows,
          results,
        }));
        return;
      case "stamp":
        this.afterwards(this.stamp(effect.dir), (results) => ({ kind: "stamped", dir: effect.dir, results }));
        return;
      case "link":
        this.waitingLinks.push(effect);
        this.startLinks();
        return;
      case "digest":
        this.afterwards(this.digest(effect.dir, effect.rows), (digests) => ({
          kind: "digested",
          need: effect.need,
          digests,
        }));
        return;
      case "collect": {
        const { dir } = effect;
        const filter = dir.filter;
        this.afterwards(
          this.extraneous.collect(dir.handle, pathOf(dir), filter, dir.target!, effect.rows),
          (collected) => ({
            kind: "collected",
            dir,
            collected,
          }),
        );
        return;
      }
      case "sweep":
        this.afterwards(this.sweep(effect.dir, effect.rows), () => ({ kind: "swept", dir: effect.dir }));
        return;
      case "close":
        this.close(effect.dir);
        return;
      case "confirm":
        this.afterwards(hooks.confirmDeletions(effect.plan), (answer) => ({ kind: "confirmed", answer }));
        return;
      case "delete":
        this.afterwards(
          deleteRecords(
            {
              backend,
              root,
              settings,
              restamp,
              backupOf:
                this.context.options.write.backup === undefined
                  ? undefined
                  : (path, directory) => this.backupFor(path, directory),
              onDeleted: hooks.wantsItems ? hooks.onEvent : undefined,
              onProgress: (entries) => {
                this.state.counters.deleted = this.state.deletedBefore + entries;
              },
              signal,
            },
            effect.records,
          ),
          ({ entries, failures }) => ({ kind: "deleted", entries, failures }),
        );
        return;
      case "sync":
        this.afterwards(
          this.context.options.write.fsync === "none" ? Promise.resolve(0) : backend.sync(root, true),
          (status) => ({
            kind: "synced",
            status,
          }),
        );
        return;
      case "finish":
        this.resolveDone();
        return;
      case "protocol-error":
        this.rejectDone(new ProtocolViolation(effect.reason));
        return;
    }
  }

  private afterwards<T>(work: Promise<T>, event: (value: T) => TargetEvent): void {
    work.then((value) => {
      try {
        this.feed(event(value));
      } catch (error) {
        this.fail(error);
      }
    }, this.fail);
  }

  private readonly fail = (error: unknown): void => {
    this.rejectDone(error instanceof Error ? error : new Error(String(error)));
  };

  private walkOptions(create: boolean): WalkOptions {
    const { preserve } = this.context.options;
    const { privileged } = this.context.settings.settings;
    return {
      ...(privileged === undefined ? {} : { privileged }),
      xattrs: preserve.xattrs,
      acls: preserve.acls,
      follow: false,
      openFollow: false,
      create: create && !touchesNothing(this.state),
      writable: false,
      selfOnly: false,
      noAtime: touchesNothing(this.state),
    };
  }

  /** Opens and lists a directory. One that denies that to its owner is made accessible; the stamp gives its mode back. */
  private async list(dir: TargetDir, parent: DirHandle, name: Uint8Array, create: boolean): Promise<EntryBatch> {
    const { backend } = this.context;
    const options = this.walkOptions(create);
    const made = create && this.makeByUmask(dir, parent, name);
    const listing = await backend.walk(parent, name, options);
    if (made) markCreated(listing);
    if (!this.mayLift || !deniesListing(listing)) return listing;
    const created = (listing.flags & BatchFlag.created) !== 0;
    if (listing.dirfd >= 0) backend.close([listing.dirfd]);
    backend.releaseBatch(listing);
    const opened = await backend.walk(parent, name, { ...options, writable: true });
    // A umask may deny the owner what was just made.
    if (created) markCreated(opened);
    return opened;
  }

  /** Without --perms the system decides the mode of a new directory: by umask, default ACL and the set-gid bit above. */
  private makeByUmask(dir: TargetDir, parent: DirHandle, name: Uint8Array): boolean {
    if (this.context.options.preserve.perms || touchesNothing(this.state)) return false;
    return makeDirectoryByUmask(parent, name, dir.source.mode(dir.source.self) & 0o777);
  }

  /** Asks the target what it has under names as the source spells them; the listing then has them so. */
  private async respell(dir: TargetDir, guesses: readonly SpellingGuess[]): Promise<EntryBatch | undefined> {
    const { backend } = this.context;
    const listing = dir.target!;
    if (dir.handle < 0) return undefined;
    const names = guesses.map(({ row }) => dir.source.name(row));
    const found = await backend.stat(dir.handle, names, { xattrs: false, acls: false, follow: false });
    const entries = respelled(listing, guesses, found);
    backend.releaseBatch(found);
    if (entries === undefined) return undefined;
    const { dirfd, status, flags, filesystemType } = listing;
    const batch = backend.makeBatch(entries, { dirfd, status, flags, filesystemType });
    backend.releaseBatch(listing);
    return batch;
  }

  /** How the target keeps times, where its type does not tell or a time is so far away that it matters. */
  private learnTimes(dir: TargetDir): Promise<void> | undefined {
    const { backend, root, measuresTimes } = this.context;
    if (touchesNothing(this.state) || root < 0) return undefined;
    if (!measuresTimes && !hasFarTimes(dir.source)) return undefined;
    this.timesLearnt ??= backend.probeTimes(root).then((times) => {
      if (times === undefined) return;
      const { rules } = this.state;
      this.state.rules = { ...rules, windowNs: Math.max(rules.windowNs, coarse(times.stepNs)), times };
    });
    return this.timesLearnt;
  }
  private timesLearnt: Promise<void> | undefined;

  /** Before the first write into a directory that its owner made read-only. */
  private lift(dir: TargetDir): Promise<void> | undefined {
    const { target } = dir;
    if (!this.mayLift || dir.madeWritable || target === undefined || dir.handle < 0) return undefined;
    if (!deniesWriting(target)) return undefined;
    let lifting = this.liftings.get(dir);
    if (lifting === undefined) {
      lifting = this.liftNow(dir);
      this.liftings.set(dir, lifting);
    }
    return lifting;
  }

  private async liftNow(dir: TargetDir): Promise<void> {
    const { backend } = this.context;
    const lifted = await backend.walk(dir.handle, SELF_NAME, LIFT);
    dir.madeWritable = (lifted.flags & BatchFlag.madeWritable) !== 0;
    if (lifted.dirfd >= 0) backend.close([lifted.dirfd]);
    backend.releaseBatch(lifted);
    this.liftings.delete(dir);
  }

  private async stamp(dir: TargetDir): Promise<ItemResults> {
    const results = await this.repairSelf(dir);
    const { perms } = this.context.options.preserve;
    // Otherwise it gets back the one it had when it is closed.
    if (perms && results.status(0) === 0 && (results.warnings(0) & Warning.mode) === 0) dir.madeWritable = false;
    return results;
  }

  /** An ordinary user's directory that was opened for changes, and got no mode from its source since. */
  private giveModeBack(dir: TargetDir): void {
    if (!dir.madeWritable || dir.handle < 0 || dir.target === undefined) return;
    dir.madeWritable = false;
    const status = restoreMode(dir.handle, dir.target);
    if (status === 0) return;
    const effects: TargetEffect[] = [];
    recordTargetFailure(this.state, pathOf(dir), GIVE_BACK, status, effects);
    for (const effect of effects) this.perform(effect);
  }

  private async makeLink(dir: TargetDir, row: number, leader: Uint8Array): Promise<number> {
    if (this.context.signal.aborted || this.state.stopped) return -E.CANCELED;
    await this.lift(dir);
    const { backend, root, settings } = this.context;
    const exists = dir.difference!.targetRows[row]! >= 0;
    const backup = await this.backupHandle(dir);
    if (backup !== undefined && backup < 0) return backup;
    const kept = backup === undefined ? undefined : { backup, settings };
    return backend.link(root, leader, dir.handle, dir.source.name(row), exists, kept);
  }

  private async open(effect: Extract<TargetEffect, { kind: "open" }>): Promise<EntryBatch> {
    const { backend, root, rootCreated, rename } = this.context;
    const { dir } = effect;
    const learning = this.learnTimes(dir);
    if (learning !== undefined) await learning;
    if (dir.parent === undefined) {
      if (root < 0) return backend.makeBatch([{ name: SELF_NAME }], { flags: BatchFlag.created });
      if (rename !== undefined) return this.openRenamed(rename);
      const listing = await this.list(dir, root, SELF_NAME, false);
      if (rootCreated) markCreated(listing);
      return listing;
    }
    if (effect.create || effect.removeFirst >= 0) await this.lift(dir.parent);
    if (effect.removeFirst >= 0) {
      const parent = dir.parent;
      const backup = await this.backupHandle(parent);
      const removed = await backend.remove(parent.handle, parent.target!, Uint32Array.of(effect.removeFirst), {
        same: false,
        ...(backup === undefined ? {} : { backup, settings: this.context.settings }),
      });
      const status = removed.status(0);
      removed.release();
      if (status !== 0) return backend.makeBatch([{ name: SELF_NAME, status }], { status });
    }
    return this.list(dir, dir.parent.handle, dir.name, effect.create);
  }

  /** The one entry that a copy to a new name replaces, listed under the source's name so that the two meet. */
  private async openRenamed(rename: { from: Uint8Array; to: Uint8Array }): Promise<EntryBatch> {
    const { backend, root, options, settings } = this.context;
    const { privileged } = settings.settings;
    const found = await backend.stat(root, [rename.to], {
      ...(privileged === undefined ? {} : { privileged }),
      xattrs: options.preserve.xattrs,
      acls: options.preserve.acls,
      follow: false,
    });
    const entries = found.rowStatus(0) === 0 ? [{ ...rowFields(found, 0), name: rename.from }] : [];
    const listing = backend.makeBatch([...entries, { name: SELF_NAME, status: -2 }], { dirfd: root });
    backend.releaseBatch(found);
    return listing;
  }

  private request(dir: TargetDir, source: DirHandle, rows: Uint32Array, backup: DirHandle | undefined): CopyRequest {
    const { rename, settings, temp } = this.context;
    const request: { -readonly [K in keyof CopyRequest]: CopyRequest[K] } = {
      source,
      target: dir.handle,
      batch: dir.source,
      rows,
      settings,
    };
    if (backup !== undefined) request.backup = backup;
    if (temp >= 0) request.temp = temp;
    if (rename !== undefined && dir.parent === undefined) request.targetName = rename.to;
    return request;
  }

  /** Starts waiting copies as far as slots are free, in the order they came. */
  private startCopies(): void {
    while (this.copying < this.copySlots && this.nextCopy < this.waitingCopies.length) {
      const effect = this.waitingCopies[this.nextCopy++]!;
      const slots = effect.task === "large" && effect.need !== 0 ? LIMITS.slotsOfLarge : 1;
      this.copying += slots;
      const lifting = this.lift(effect.dir);
      const copied = lifting === undefined ? this.copyWithin(effect) : lifting.then(() => this.copyWithin(effect));
      this.afterwards(copied, (results) => {
        this.copying -= slots;
        this.startCopies();
        return { kind: "copied", dir: effect.dir, task: effect.task, rows: effect.rows, results };
      });
    }
    if (this.nextCopy >= COPIES_FORGOTTEN || this.nextCopy === this.waitingCopies.length) {
      this.waitingCopies = this.waitingCopies.slice(this.nextCopy);
      this.nextCopy = 0;
    }
  }

  /** One leader may release a hundred thousand names at once. */
  private startLinks(): void {
    while (this.linking < LIMITS.linksInFlight && this.nextLink < this.waitingLinks.length) {
      const { dir, row, leader } = this.waitingLinks[this.nextLink++]!;
      this.linking++;
      this.afterwards(this.makeLink(dir, row, leader), (status) => {
        this.linking--;
        this.startLinks();
        return { kind: "linked", dir, row, status };
      });
    }
    if (this.nextLink < this.waitingLinks.length) return;
    this.waitingLinks = [];
    this.nextLink = 0;
  }

  /** As soon as the budget has room for it; a large file asks for room range by range. */
  private copyWithin(effect: CopyEffect): Promise<ItemResults> {
    if (effect.task === "large" || this.context.options.transfer.bufferBytes === 0) return this.copy(effect);
    const { source } = effect.dir;
    let bytes = 0;
    for (const row of effect.rows) if (source.type(row) === FileType.regular) bytes += source.size(row);
    return this.ranging.budget.run(bytes, () => this.copy(effect));
  }

  private copy(effect: CopyEffect): Promise<ItemResults> {
    const { dir } = effect;
    if (this.context.signal.aborted || this.state.stopped) {
      return Promise.resolve(failedItem(-E.CANCELED, 0, 0, effect.rows.length));
    }
    this.reviewWorkers();
    const { targetRows } = dir.difference!;
    const { inplace } = this.context.options.write;
    const rows = new Uint32Array(effect.rows.length);
    let isNew = true;
    for (let i = 0; i < rows.length; i++) {
      const row = effect.rows[i]!;
      const exists = targetRows[row]! >= 0;
      // Unflagged it is written anew and takes the name over, also in a run that writes in place.
      const replaces = inplace && exists && hasForeignNames(this.state, dir, row);
      rows[i] = exists && !replaces ? row | ROW_EXISTS : row;
      if (exists) isNew = false;
    }
    if (this.context.options.write.backup === undefined) return this.write(effect, rows, isNew, undefined);
    return this.backupHandle(dir).then((backup) => this.write(effect, rows, isNew, backup));
  }

  private write(
    effect: CopyEffect,
    rows: Uint32Array,
    isNew: boolean,
    backup: DirHandle | undefined,
  ): Promise<ItemResults> {
    const { backend, renames, signal } = this.context;
    const request = this.request(effect.dir, effect.source, rows, backup);
    if (renames && isNew && request.targetName === undefined) return moveEntries(backend, request);
    const copy = (): Promise<ItemResults> =>
      effect.need === 0 ? backend.copy(request) : this.receive(request, effect.dir, effect.need, "content");
    if (effect.task !== "large") return copy();
    const onBytes = (bytes: number): void => {
      if (effect.need !== 0) this.firstContentMs ??= performance.now() - this.startedMs;
      this.state.counters.bytesTransferred += bytes;
    };
    // Only the ordinary copy opens a file for writing in place that its owner may not write.
    const targetRow = effect.dir.difference!.targetRows[effect.rows[0]!]!;
    const isReadOnly = targetRow >= 0 && (effect.dir.target!.mode(targetRow) & 0o600) !== 0o600;
    if (this.context.options.write.inplace && isReadOnly) {
      return copy().then((results) => {
        onBytes(results.bytes(0));
        return results;
      });
    }
    if (effect.need === 0) return copyLargeFile(backend, { ...request, resume: true }, this.ranging, onBytes, signal);
    const row = Uint32Array.of(effect.rows[0]!);
    const needs: LargeNeeds = {
      next: () => this.state.nextNeed++,
      ask: (need, range) =>
        this.link.send({
          kind: "need",
          need,
          dir: effect.dir.id,
          rows: row,
          ...(range === undefined ? { purpose: "commit" } : { purpose: "range", range }),
        }),
    };
    return receiveLargeFile(backend, { ...request, resume: true }, needs, this.ranging, onBytes, signal).then((r) =>
      this.arrived(r),
    );
  }

  /** Expects the answer to a need, then asks for it. */
  private receive(
    request: CopyRequest,
    dir: TargetDir,
    need: NeedId,
    purpose: "content" | "attributes",
  ): Promise<ItemResults> {
    const results = this.context.backend.receive({ ...request, need, purpose });
    this.link.send({ kind: "need", need, dir: dir.id, rows: request.rows.map((row) => row & ~ROW_EXISTS), purpose });
    return results.then((answer) => {
      if (purpose === "content") this.firstContentMs ??= performance.now() - this.startedMs;
      return this.arrived(answer);
    });
  }

  /**
   * A stream that broke says nothing of the items that were on it: the session is lost, and they have no result. Unless
   * the run is being stopped, and this side hears of it after its streams.
   */
  private arrived(results: ItemResults): ItemResults | Promise<ItemResults> {
    const { onContentLost, signal } = this.context;
    if (onContentLost === undefined || signal.aborted || this.state.stopped || !hasLost(results)) return results;
    const { count } = results;
    results.release();
    onContentLost();
    return new Promise((resolve) => this.lost.push(() => resolve(failedItem(-E.CANCELED, 0, 0, count))));
  }
  /** Whoever waits for what was lost hears at a stop that it was cancelled: what it holds is needed to clean up. */
  private readonly lost: (() => void)[] = [];

  /** Looks at the average file again, now and then, and gives the job the workers that suit it. */
  private reviewWorkers(): void {
    const { backend, workerFacts } = this.context;
    const { filesToTransfer, bytesToTransfer } = this.state.counters;
    if (workerFacts === undefined || filesToTransfer < this.reviewAtFiles) return;
    this.reviewAtFiles = filesToTransfer + WORKER_REVIEW_FILES;
    const workers = workersFor({ ...workerFacts, averageFileBytes: bytesToTransfer / filesToTransfer });
    if (workers !== backend.workers) backend.setWorkers(workers);
  }

  private repairRows({ dir, source, need, rows }: Extract<TargetEffect, { kind: "repair" }>): Promise<ItemResults> {
    const request = this.request(dir, source, rows, undefined);
    if (need !== 0) return this.receive(request, dir, need, "attributes");
    const isUnknown = source < 0 && this.state.payload === "handles";
    return this.context.backend.repair(isUnknown ? { ...request, settings: this.withoutAttributes } : request);
  }

  /** Without a source (a directory restamped because of what happened in it) the target's attributes stay. */
  private repairSelf(dir: TargetDir): Promise<ItemResults> {
    const source = dir.selfContent?.parts[0]?.handle ?? NO_HANDLE;
    const request = this.request(dir, source, Uint32Array.of(dir.source.self), undefined);
    if (dir.selfNeed > 0) return this.receive(request, dir, dir.selfNeed, "attributes");
    const keepsAttributes = source < 0 && dir.selfNeed !== BARE;
    return this.context.backend.repair(keepsAttributes ? { ...request, settings: this.withoutAttributes } : request);
  }

  private async digest(dir: TargetDir, rows: Uint32Array): Promise<(Uint8Array | undefined)[]> {
    const results = await this.context.backend.hash(dir.handle, dir.target!, rows, "xxh3-128", this.withoutFollowing);
    const digests = Array.from(rows, (_, i) => (results.status(i) === 0 ? results.digest(i).slice() : undefined));
    results.release();
    return digests;
  }

  private async sweep(dir: TargetDir, rows: readonly number[]): Promise<void> {
    await this.lift(dir);
    const results = await this.context.backend.sweep(dir.handle, dir.target!, Uint32Array.from(rows));
    results.release();
  }

  /** The directory that takes the backups of `dir`'s entries; undefined when none are kept. */
  private async backupHandle(dir: TargetDir): Promise<DirHandle | undefined> {
    const { backup } = this.context.options.write;
    if (backup === undefined) return undefined;
    if (this.context.backupRoot < 0) return dir.handle;
    let opened = this.backups.get(dir);
    if (opened === undefined) {
      const path = pathOf(dir);
      opened = this.emptyBackups.note(path).then(() => this.backupFor(path, dir.handle));
      this.backups.set(dir, opened);
    }
    return opened;
  }

  private readonly emptyBackups: EmptyBackups;

  /** Of --backup-dir, after an orderly end. */
  tidyBackups(): Promise<void> {
    return this.emptyBackups.remove();
  }

  private async backupFor(path: Uint8Array, directory: DirHandle): Promise<DirHandle> {
    const { backend, backupRoot } = this.context;
    if (backupRoot < 0) return directory;
    const name = path.length === 0 ? SELF_NAME : path;
    const handle = await backend.resolve(backupRoot, name, { create: true, operator: false });
    // No walk of the target comes to what a killed run left here.
    if (handle >= 0) await sweepLeftovers(backend, handle);
    return handle;
  }

  private closeListing(listing: EntryBatch): void {
    const { backend, root } = this.context;
    if (listing.dirfd >= 0 && (listing.flags & BatchFlag.madeWritable) !== 0) restoreMode(listing.dirfd, listing);
    if (listing.dirfd >= 0 && listing.dirfd !== root) backend.close([listing.dirfd]);
    backend.releaseBatch(listing);
  }

  private close(dir: TargetDir): void {
    const { backend } = this.context;
    const backup = this.backups.get(dir);
    if (backup !== undefined) {
      this.backups.delete(dir);
      void backup.then((handle) => {
        if (handle >= 0 && handle !== dir.handle) backend.close([handle]);
      });
    }
    this.giveModeBack(dir);
    // A copy to a new name works in the root's own descriptor, which its opener closes.
    if (dir.handle >= 0 && dir.handle !== this.context.root) backend.close([dir.handle]);
    if (dir.target !== undefined) backend.releaseBatch(dir.target);
    dir.target = undefined;
  }
}

function hasFarTimes(batch: EntryBatch): boolean {
  if (!batch.mayHave(Kind.farTimes)) return false;
  for (let row = 0; row <= batch.count; row++)
    if (batch.mtimeSec(row) < 0 || batch.mtimeSec(row) > 0x7fffffff) return true;
  return false;
}

function hasLost(results: ItemResults): boolean {
  for (let i = 0; i < results.count; i++) if (results.status(i) === -E.PIPE) return true;
  return false;
}
