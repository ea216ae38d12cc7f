/**
 * Removes entries, and with `recursive` directories with all that is in them.
 *
 *     for each path:     found anew, by the directory that holds it; never through a link
 *       a directory:     its files, a slice at a time; then each directory in it, the same way; then it
 *
 * What cannot be removed is told and stays, with the directories above it. Mount points are not entered.
 */

import type { PathFailure, RemovedPath, RemovePart, RemoveRequest } from "../core/admin-calls.ts";
import { type EntryBatch, FileType, RowFlag } from "../core/entry-batch.ts";
import { E, removalText } from "../core/errno.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { LIMITS } from "../core/limits.ts";
import { joinPath } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import type { Backend, DirHandle } from "../fs/backend.ts";
import { withoutTrailingSlashes } from "../session/place-rules.ts";
import { diskBytes, failureOf } from "./entries.ts";
import { type EntryPlace, findEntry, type Ground, LOOK, pathOn, shownOn, unusable, whyUnusable } from "./open-place.ts";
import { drop, isTooDeep, tooDeep } from "./walk-tree.ts";

interface Level {
  readonly listing: EntryBatch;
  readonly path: Uint8Array;
  /** Its row in the listing above; unused where there is none. */
  readonly row: number;
  /** Directories in it, by row, and how many of them are done. */
  readonly directories: number[];
  next: number;
  /** Something in it stays. */
  keeps: boolean;
}

/** Yields parts; throws RunError (exit 3) for paths that must not be removed, before anything is. */
export async function* removePaths(
  backend: Backend,
  ground: Ground,
  paths: readonly Uint8Array[],
  request: RemoveRequest,
  refuses: (place: EntryPlace) => string | undefined,
  signal: AbortSignal,
): AsyncGenerator<RemovePart> {
  for (const path of paths) if (isGround(ground, path)) throw refusal(ground, path, "it is the module itself");
  const removal = new Removal(backend, request, signal);
  // All of them first, so that a wrong one among many leaves everything as it was.
  for (const path of paths) {
    const place = await findEntry(backend, ground, path);
    if (typeof place === "number") {
      // What is not there keeps no other from going, and is told when its turn comes.
      if (isMissing(place)) continue;
      throw unusable(ground, path, place);
    }
    const why = refuses(place) ?? mustStay(place.entry, request, path);
    close(backend, place);
    if (why !== undefined) throw refusal(ground, path, why);
  }
  for (const path of paths) {
    if (signal.aborted) return;
    const place = await findEntry(backend, ground, path);
    if (typeof place === "number") {
      removal.fail({ ...failureOf(path, "delete", place), message: whyUnusable(ground, place) });
      removal.leave(path, 0);
    } else {
      try {
        // It may have become something else since it was let pass.
        const why = refuses(place) ?? mustStay(place.entry, request, path);
        if (why !== undefined) {
          removal.fail({ ...failureOf(path, "delete", E.BUSY), message: why });
          removal.leave(path, place.entry.mode(0));
        } else yield* removal.one(path, withoutTrailingSlashes(pathOn(ground, path)), place.parent, place.entry);
      } finally {
        close(backend, place);
      }
    }
    if (removal.isDue) yield removal.take();
  }
  yield removal.take();
}

function isMissing(status: number): boolean {
  return status === -E.NOENT || status === -E.NOTDIR;
}

function isGround(ground: Ground, path: Uint8Array): boolean {
  return ground.kind === "module" && withoutTrailingSlashes(pathOn(ground, path)).length === 0;
}

function close(backend: Backend, { parent, entry }: EntryPlace): void {
  backend.releaseBatch(entry);
  backend.close([parent]);
}

function refusal(ground: Ground, path: Uint8Array, why: string): RunError {
  return new RunError(ExitCode.selecting, "not_removed", `${shownOn(ground, path)} is not removed: ${why}`);
}

function mustStay(entry: EntryBatch, { recursive }: RemoveRequest, path: Uint8Array): string | undefined {
  const isDirectory = entry.type(0) === FileType.directory;
  if (path.at(-1) === 0x2f && !isDirectory) return "it is no directory, though the slash at its end says so";
  if (isDirectory && (entry.rowFlags(0) & RowFlag.mount) !== 0) return "something is mounted there";
  return isDirectory && !recursive ? "it is a directory, which takes -r" : undefined;
}

class Removal {
  readonly done: RemovedPath[] = [];
  private readonly backend: Backend;
  private readonly request: RemoveRequest;
  private readonly signal: AbortSignal;
  private failures: PathFailure[] = [];
  private told: Uint8Array[] = [];
  private toldModes: number[] = [];
  private since = performance.now();
  private entries = 0;
  private bytes = 0;

  constructor(backend: Backend, request: RemoveRequest, signal: AbortSignal) {
    this.backend = backend;
    this.request = request;
    this.signal = signal;
  }

  get isDue(): boolean {
    const count = this.done.length + this.failures.length + this.told.length;
    return count >= LIMITS.partRows || (count > 0 && performance.now() - this.since > LIMITS.progressMs);
  }

  take(): RemovePart {
    const { failures, told: entries, toldModes: entryModes } = this;
    const part = { paths: this.done.splice(0), failures, entries, entryModes };
    this.failures = [];
    this.told = [];
    this.toldModes = [];
    this.since = performance.now();
    return part;
  }

  fail(failure: PathFailure): void {
    this.failures.push(failure);
  }

  /** `mode` 0: nothing is there. */
  leave(path: Uint8Array, mode: number): void {
    this.done.push({ path, removed: false, entries: 0, diskBytes: 0, mode, isDirectory: isDirectoryMode(mode) });
  }

  async *one(asked: Uint8Array, path: Uint8Array, parent: DirHandle, entry: EntryBatch): AsyncGenerator<RemovePart> {
    this.entries = 0;
    this.bytes = 0;
    const isDirectory = entry.type(0) === FileType.directory;
    let keeps = false;
    if (isDirectory) keeps = yield* this.tree(path, parent, entry.name(0).slice());
    // Named by what holds it, which is where `path` leads now.
    if (!keeps) keeps = (await this.rows(parent, entry, [0], undefined, path)) > 0;
    const { entries, bytes: diskBytes } = this;
    this.done.push({ path: asked, removed: !keeps, entries, diskBytes, mode: entry.mode(0), isDirectory });
  }

  /** All that is in the directory; true: something stays. */
  private async *tree(path: Uint8Array, parent: DirHandle, name: Uint8Array): AsyncGenerator<RemovePart, boolean> {
    const { backend } = this;
    const stack: Level[] = [];
    const enter = async (from: DirHandle, what: Uint8Array, at: Uint8Array, row: number): Promise<void> => {
      const listing = await backend.walk(from, what, LOOK);
      if (listing.status !== 0 && !this.signal.aborted) this.fail(failureOf(at, "read directory", listing.status));
      const level: Level = { listing, path: at, row, directories: [], next: 0, keeps: listing.status !== 0 };
      stack.push(level);
      if (listing.dirfd >= 0) await this.files(level);
    };
    try {
      await enter(parent, name, path, 0);
      for (;;) {
        if (this.isDue) yield this.take();
        const level = stack[stack.length - 1]!;
        if (this.signal.aborted) return true;
        const row = level.directories[level.next++];
        if (row !== undefined) {
          const inner = level.listing.name(row).slice();
          const at = joinPath(level.path, inner);
          if (isTooDeep(stack.length, at)) {
            this.fail(tooDeep(at));
            level.keeps = true;
          } else await enter(level.listing.dirfd, inner, at, row);
          continue;
        }
        stack.pop();
        drop(backend, level.listing);
        const above = stack[stack.length - 1];
        if (above === undefined) return level.keeps;
        if (level.keeps) above.keeps = true;
        else if ((await this.rows(above.listing.dirfd, above.listing, [level.row], above.path)) > 0) above.keeps = true;
      }
    } finally {
      for (const level of stack.reverse()) drop(backend, level.listing);
    }
  }

  /** Removes what is no directory, and notes the directories. */
  private async files(level: Level): Promise<void> {
    const { listing } = level;
    let rows: number[] = [];
    const flush = async (): Promise<void> => {
      if (rows.length > 0 && (await this.rows(listing.dirfd, listing, rows, level.path)) > 0) level.keeps = true;
      rows = [];
    };
    for (let row = 0; row < listing.count && !this.signal.aborted; row++) {
      const status = listing.rowStatus(row);
      if (status === -E.NOENT) continue;
      if ((listing.rowFlags(row) & RowFlag.mount) !== 0) {
        const message = "something is mounted there, and that is not entered";
        this.fail({ ...failureOf(joinPath(level.path, listing.name(row)), "delete", E.BUSY), message });
        level.keeps = true;
      } else if (listing.type(row) === FileType.directory) level.directories.push(row);
      else if (rows.push(row) === LIMITS.removeSliceRows) await flush();
    }
    await flush();
  }

  /** How many of the rows could not be removed. `directory`: the path above them; else `whole` is that of the only row. */
  private async rows(
    handle: DirHandle,
    batch: EntryBatch,
    rows: readonly number[],
    directory: Uint8Array | undefined,
    whole?: Uint8Array,
  ): Promise<number> {
    const pathOf = (row: number): Uint8Array => whole ?? joinPath(directory!, batch.name(row));
    const results = this.request.dryRun
      ? undefined
      : await this.backend.remove(handle, batch, Uint32Array.from(rows), { same: false });
    let kept = 0;
    rows.forEach((row, index) => {
      const status = results?.status(index) ?? 0;
      if (status === -E.NOENT) return;
      if (status !== 0) {
        kept++;
        this.fail({ ...failureOf(pathOf(row), "delete", status), message: textOf(status) });
        return;
      }
      this.entries++;
      // Another name keeps it, or nobody knows.
      if (batch.type(row) === FileType.directory || batch.nlink(row) <= 1) this.bytes += diskBytes(batch, row);
      if (!this.request.tellEntries) return;
      this.told.push(pathOf(row));
      this.toldModes.push(batch.mode(row));
    });
    results?.release();
    return kept;
  }
}

function isDirectoryMode(mode: number): boolean {
  return (mode & FileType.mask) === FileType.directory;
}

function textOf(status: number): string {
  return status === -E.NOTEMPTY ? "something came into it meanwhile" : removalText(status);
}
