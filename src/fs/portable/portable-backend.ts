/** `Backend` on node:fs: the twin of the native one, for where the library cannot load. */
import fs from "node:fs";
import { type BatchHeader, buildBatch, type EntryBatch, type EntryFields } from "../../core/entry-batch.ts";
import {
  type Backend,
  type BackendCapabilities,
  type CopyRequest,
  type DirHandle,
  type ItemResults,
  type LargeFile,
  type LargeRequest,
  type NeedNumber,
  NO_HANDLE,
  type PreparedSettings,
  type ProbeResult,
  type RangeResult,
  type ReceiveRequest,
  type SendRequest,
  type StatOptions,
  type WalkOptions,
  type WireStream,
  type WriteSettings,
} from "../backend.ts";
import type { TimeKeeping } from "../filesystems.ts";
import { copyEntry, repairEntry } from "./copy-entry.ts";
import { closeHandle } from "./directories.ts";
import type { Entry } from "./entry.ts";
import { attempt, E, statusOf } from "./errno.ts";
import { type HashAlgorithm, hashEntry } from "./hash-file.ts";
import { Item, PortableItemResults } from "./item-results.ts";
import { type Job, openJob, PLAIN_SETTINGS, wantedOf } from "./job.ts";
import {
  abortLarge,
  beginLarge,
  commitLarge,
  copyLargeRange,
  failedLarge,
  hashBlocks,
  type OpenParts,
} from "./large-file.ts";
import { libc } from "./libc.ts";
import { listDirectory, statNames } from "./listing.ts";
import { openBeneath, openOperator } from "./open-beneath.ts";
import { probePair, probeTimes } from "./probe-pair.ts";
import { linkEntry, moveEntry, removeEntry, sweepEntry } from "./remove.ts";
import { entryAt, rowOf, settle } from "./rows.ts";
import { Slices } from "./slices.ts";
import { DataPlane } from "./wire/data-plane.ts";

const MAX_OUTSTANDING = 64;
const BATCH_ALIGNMENT = 64;

type EachRow = (job: Job, entry: Entry, name: Uint8Array, exists: boolean, item: Item) => Promise<void> | void;

const CANNOT_CONFINE = "links can be confined to a directory by the native library only";

export class PortableBackend implements Backend {
  readonly kind = "portable" as const;
  readonly loops = undefined;
  readonly reason: string;
  readonly capabilities: BackendCapabilities = {
    xattrs: libc !== undefined,
    acls: libc !== undefined,
    specials: libc !== undefined,
    hardLinks: true,
    sparse: true,
    confinesLinks: false,
    timeGranularityNs: libc === undefined ? 1000 : 1,
    methods: ["read_write"],
  };
  readonly workers = 1;
  readonly maxOutstanding = MAX_OUTSTANDING;
  private readonly slices = new Slices();
  private readonly parts: OpenParts = new Map();
  private readonly plane = new DataPlane(this.slices, this.parts);

  constructor(reason: string) {
    this.reason = reason;
  }

  /** There is one thread; more would not be ours. */
  setWorkers(_workers: number): void {}
  setRate(bytesPerSecond: number): void {
    this.slices.setRate(bytesPerSecond);
  }
  bytesDone(): number {
    return this.slices.bytesDone;
  }
  cancel(): void {
    this.slices.cancel();
    this.plane.cancel();
  }
  quiet(): Promise<void> {
    return this.slices.quiet(() => this.cancel());
  }
  async shutdown(): Promise<void> {
    this.slices.cancel();
    await this.plane.shutdown();
    await this.slices.whenIdle();
  }

  walk(parent: DirHandle, name: Uint8Array, options: WalkOptions): Promise<EntryBatch> {
    if (options.confine !== undefined) return Promise.reject(new Error(CANNOT_CONFINE));
    const own = name.slice();
    return this.slices.run(async () => {
      const listing = await listDirectory(this.slices, parent, own, options, wantedOf(options));
      const { directory, status, flags, filesystemType } = listing;
      return buildBatch(listing.entries, { dirfd: directory, status, flags, filesystemType });
    });
  }

  stat(parent: DirHandle, names: readonly Uint8Array[], options: StatOptions): Promise<EntryBatch> {
    if (options.confine !== undefined) return Promise.reject(new Error(CANNOT_CONFINE));
    const own = names.map((name) => name.slice());
    return this.slices.run(async () =>
      buildBatch(await statNames(this.slices, parent, own, options.follow, wantedOf(options))),
    );
  }

  resolve(parent: DirHandle, path: Uint8Array, options: { create: boolean; operator: boolean }): Promise<number> {
    const own = path.slice();
    return this.slices.run(async () => {
      try {
        if (this.slices.canceled) return -E.ECANCELED;
        return options.operator
          ? openOperator(own, parent, options.create)
          : openBeneath(parent, own, options.create).directory;
      } catch (error) {
        return statusOf(error);
      }
    });
  }

  prepare(settings: WriteSettings): PreparedSettings {
    if (settings.confine !== undefined) throw new Error(CANNOT_CONFINE);
    return { settings, token: 0 };
  }

  copy(request: CopyRequest): Promise<ItemResults> {
    return this.rows(request, request.settings.settings, false, copyEntry);
  }
  repair(request: CopyRequest): Promise<ItemResults> {
    return this.rows(request, request.settings.settings, true, (job, entry, name, _exists, item) =>
      repairEntry(job, entry, name, item),
    );
  }

  largeBegin(request: LargeRequest): Promise<LargeFile> {
    const row = rowOf(request, 0);
    return this.slices.run(async () => {
      try {
        const { entry, name, exists } = entryAt(request, row, false);
        return await beginLarge(this.jobOf(request), this.parts, entry, name, exists, request.resume);
      } catch (error) {
        return failedLarge(statusOf(error), 0);
      }
    });
  }
  largeRange(
    file: LargeFile,
    offset: number,
    length: number,
    compare: boolean,
    settings: PreparedSettings,
  ): Promise<RangeResult> {
    const none = { source: NO_HANDLE, target: NO_HANDLE };
    return this.slices.run(() =>
      copyLargeRange(openJob(this.slices, settings.settings, none), file, offset, length, compare),
    );
  }
  largeCommit(file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    const row = rowOf(request, 0);
    return this.slices.run(async () => {
      const item = new Item();
      await settle(item, async () => {
        const { entry, name, exists } = entryAt(request, row, false);
        item.size = entry.size;
        await commitLarge(this.jobOf(request), this.parts, file, entry, name, exists, item);
      });
      return new PortableItemResults([item]);
    });
  }
  largeAbort(file: LargeFile, _request: LargeRequest, keepPart: boolean): Promise<void> {
    return this.slices.run(async () => abortLarge(this.parts, file, keepPart));
  }

  remove(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    options: { same: boolean; backup?: DirHandle; settings?: PreparedSettings },
  ): Promise<ItemResults> {
    const request = { source: NO_HANDLE, target: directory, backup: options.backup ?? NO_HANDLE, batch, rows };
    return this.rows(request, options.settings?.settings ?? PLAIN_SETTINGS, false, (job, entry, _name, _exists, item) =>
      removeEntry(job, entry, options.same, item),
    );
  }

  link(
    root: DirHandle,
    leader: Uint8Array,
    directory: DirHandle,
    name: Uint8Array,
    exists: boolean,
    kept?: { readonly backup: DirHandle; readonly settings: PreparedSettings },
  ): Promise<number> {
    const [from, to] = [leader.slice(), name.slice()];
    return this.slices.run(async () => {
      try {
        if (this.slices.canceled) return -E.ECANCELED;
        const directories = { source: root, target: directory, backup: kept?.backup ?? NO_HANDLE };
        const job = openJob(this.slices, kept?.settings.settings ?? PLAIN_SETTINGS, directories);
        await linkEntry(job, root, from, to, exists);
        return 0;
      } catch (error) {
        return statusOf(error);
      }
    });
  }

  hash(
    directory: DirHandle,
    batch: EntryBatch,
    rows: Uint32Array,
    algorithm: HashAlgorithm,
    settings: PreparedSettings,
  ): Promise<ItemResults> {
    const request = { source: directory, target: NO_HANDLE, batch, rows };
    return this.rows(request, settings.settings, false, (job, entry, _name, _exists, item) =>
      hashEntry(job, entry, algorithm, item),
    );
  }

  openStream(fd: number, direction: "send" | "receive", options: { idleMs: number }): WireStream {
    return this.plane.open(fd, direction, options.idleMs);
  }
  send(request: SendRequest): Promise<ItemResults> {
    return this.awaiting(this.plane.send(request));
  }
  receive(request: ReceiveRequest): Promise<ItemResults> {
    return this.awaiting(this.plane.receive(request));
  }
  receiveRange(
    need: NeedNumber,
    file: LargeFile,
    offset: number,
    length: number,
    settings: PreparedSettings,
  ): Promise<RangeResult> {
    return this.awaiting(this.plane.receiveRange(need, file, offset, length, settings.settings));
  }
  receiveCommit(need: NeedNumber, file: LargeFile, request: LargeRequest): Promise<ItemResults> {
    return this.awaiting(this.plane.receiveCommit(need, file, request));
  }
  hashBlocks(file: LargeFile, offset: number, length: number, blockBytes: number): Promise<Uint8Array | number> {
    return this.slices.run(() => hashBlocks(this.slices, file, offset, length, blockBytes));
  }

  rename(source: DirHandle, target: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults> {
    return this.rows({ source, target, batch, rows }, PLAIN_SETTINGS, false, (_job, entry, _name, _exists, item) =>
      moveEntry(source, target, entry.name, item),
    );
  }

  sweep(directory: DirHandle, batch: EntryBatch, rows: Uint32Array): Promise<ItemResults> {
    const request = { source: NO_HANDLE, target: directory, batch, rows };
    return this.rows(request, PLAIN_SETTINGS, false, (_job, entry, _name, _exists, item) =>
      sweepEntry(directory, entry.name, item),
    );
  }

  sync(handle: DirHandle, wholeFilesystem: boolean): Promise<number> {
    return this.slices.run(async () => {
      if (wholeFilesystem && libc !== undefined) return libc.syncFilesystem(handle);
      return attempt(() => fs.fsyncSync(handle));
    });
  }

  probe(source: DirHandle, target: DirHandle): Promise<ProbeResult> {
    return this.slices.run(async () => probePair(source, target));
  }

  probeTimes(directory: DirHandle): Promise<TimeKeeping | undefined> {
    return this.slices.run(async () => probeTimes(directory));
  }

  close(handles: readonly DirHandle[]): void {
    for (const handle of handles) closeHandle(handle);
  }
  releaseBatch(_batch: EntryBatch): void {}
  batchMemory(bytes: number): { bytes: Uint8Array; u32: Uint32Array; f64: Float64Array; at: number } {
    const buffer = new ArrayBuffer(Math.ceil(bytes / BATCH_ALIGNMENT) * BATCH_ALIGNMENT);
    return { bytes: new Uint8Array(buffer), u32: new Uint32Array(buffer), f64: new Float64Array(buffer), at: 0 };
  }
  makeBatch(entries: readonly EntryFields[], header?: BatchHeader): EntryBatch {
    return buildBatch(entries, header);
  }

  /** In force from the call on, not from the next turn: the frames may be there already. */
  private awaiting<T>(answer: Promise<T>): Promise<T> {
    return this.slices.run(() => answer);
  }

  private jobOf(request: CopyRequest): Job {
    return openJob(this.slices, request.settings.settings, request);
  }

  /** Runs `each` over the rows in order. What the caller gave is copied first: it may be released meanwhile. */
  private rows(
    request: Omit<CopyRequest, "settings">,
    settings: WriteSettings,
    allowsSelf: boolean,
    each: EachRow,
  ): Promise<ItemResults> {
    const rows = request.rows.slice();
    const own = { batch: request.batch, rows, targetName: request.targetName?.slice() };
    return this.slices.run(async () => {
      const items: Item[] = [];
      const job = openJob(this.slices, settings, request);
      for (let i = 0; i < rows.length; i++) {
        const item = new Item();
        items.push(item);
        await settle(item, async () => {
          if (this.slices.isDue) await this.slices.breathe();
          const { entry, name, exists } = entryAt(own, rowOf(own, i), allowsSelf);
          item.size = entry.size;
          await each(job, entry, name, exists, item);
        });
      }
      return new PortableItemResults(items);
    });
  }
}
