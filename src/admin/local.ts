/** The calls on trees of this machine, by a backend of their own. */

import type { PathFailure, RemovePart, RemoveRequest, TreeCalls } from "../core/admin-calls.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { deniedText, errnoText, isDenied } from "../core/errno.ts";
import { bytesOf } from "../core/paths.ts";
import { type Backend, WORKING_DIRECTORY } from "../fs/backend.ts";
import { doer } from "../fs/denied.ts";
import { openBackend } from "../fs/open-backend.ts";
import { completePath } from "./complete.ts";
import { filesystemOf } from "./filesystem.ts";
import { findBelow } from "./find.ts";
import { listPlace } from "./list.ts";
import { askingOn, type EntryPlace, type Ground, LOOK, OPERATOR } from "./open-place.ts";
import { removePaths } from "./remove.ts";
import { usageOf } from "./usage.ts";

/** Walking waits for the disk, and two wait better than one. */
const WORKERS = 2;

/** `signal` stops what goes on; `close` has to be called. The backend and the ground are its own from then on. */
export class LocalCalls implements TreeCalls {
  private readonly backend: Backend;
  private readonly ground: Ground;
  private readonly signal: AbortSignal;

  constructor(signal: AbortSignal, backend = openBackend({ workers: WORKERS }), ground: Ground = OPERATOR) {
    this.signal = signal;
    this.ground = ground;
    this.backend = backend;
    signal.addEventListener("abort", () => backend.cancel(), { once: true });
  }

  list: TreeCalls["list"] = (path, request) => this.told(listPlace(this.backend, this.ground, path, request));
  find: TreeCalls["find"] = (path, request) =>
    this.told(findBelow(this.backend, this.ground, path, request, this.signal));
  usage: TreeCalls["usage"] = (path, request) =>
    this.told(usageOf(this.backend, this.ground, path, request, this.signal));
  filesystem: TreeCalls["filesystem"] = (path) => filesystemOf(this.backend, this.ground, path);
  complete: TreeCalls["complete"] = (path, request) => completePath(this.backend, this.ground, path, request);
  async *remove(paths: readonly Uint8Array[], request: RemoveRequest): AsyncGenerator<RemovePart> {
    const refuses = this.ground.kind === "operator" ? await holdingUs(this.backend) : () => undefined;
    yield* this.told(removePaths(this.backend, this.ground, paths, request, refuses, this.signal));
  }

  /** Who was denied is known here. */
  private async *told<Part extends { readonly failures: readonly PathFailure[] }>(
    parts: AsyncIterable<Part>,
  ): AsyncGenerator<Part> {
    const withDoer = (failure: PathFailure): PathFailure =>
      isDenied(failure.errno) && failure.message === errnoText(failure.errno)
        ? { ...failure, message: deniedText(failure.errno, doer(askingOn(this.ground))) }
        : failure;
    for await (const part of parts)
      yield part.failures.length === 0 ? part : { ...part, failures: part.failures.map(withDoer) };
  }

  close(): Promise<void> {
    if (this.ground.kind === "module" && this.ground.root >= 0) this.backend.close([this.ground.root]);
    return this.backend.shutdown();
  }
}

/** Directories above the current one that are looked at. */
const ABOVE_MOST = 128;

/** Why a local directory is never removed: told by inodes, so that no spelling and no bind mount gets around it. */
async function holdingUs(backend: Backend): Promise<(place: EntryPlace) => string | undefined> {
  const above = Array.from({ length: ABOVE_MOST }, (_, levels) => bytesOf(`.${"/..".repeat(levels)}`));
  const places = await backend.stat(WORKING_DIRECTORY, [bytesOf("/"), ...above], { ...LOOK, follow: true });
  const inodeOf = (batch: EntryBatch, row: number): string =>
    `${batch.dev(row)} ${batch.inoHigh(row)} ${batch.inoLow(row)}`;
  const inodes: string[] = [];
  for (let row = 0; row < places.count; row++) inodes.push(places.rowStatus(row) === 0 ? inodeOf(places, row) : "");
  backend.releaseBatch(places);
  return ({ entry }) => {
    if (entry.type(0) !== FileType.directory) return undefined;
    const at = inodes.indexOf(inodeOf(entry, 0));
    if (at < 0) return undefined;
    if (at === 0) return "it is the root of the file system";
    return at === 1 ? "it is the current directory" : "the current directory is in it";
  };
}
