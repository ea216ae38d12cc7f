/** Entries of a tree that fit. */

import type { EntriesPart, FindRequest } from "../core/admin-calls.ts";
import { type EntryBatch, FileType } from "../core/entry-batch.ts";
import { ExitCode } from "../core/exit-codes.ts";
import { joinPath, printable } from "../core/paths.ts";
import { RunError } from "../core/run-error.ts";
import { matchWildcard, type Wildcard } from "../filter/wildcard.ts";
import { hasWildcard, literalWildcard, parseWildcard } from "../filter/wildcard-parse.ts";
import type { Backend } from "../fs/backend.ts";
import { lastComponent } from "../session/place-rules.ts";
import { Gathered } from "./entries.ts";
import { type Ground, HERE, openPlace, pathOn } from "./open-place.ts";
import { walkTree } from "./walk-tree.ts";

const NO_BYTES = new Uint8Array(0);
const TYPES: Readonly<Record<string, number>> = {
  f: FileType.regular,
  d: FileType.directory,
  l: FileType.symlink,
  p: FileType.fifo,
  s: FileType.socket,
  c: FileType.charDevice,
  b: FileType.blockDevice,
};

export async function* findBelow(
  backend: Backend,
  ground: Ground,
  path: Uint8Array,
  request: FindRequest,
  signal: AbortSignal,
): AsyncGenerator<EntriesPart> {
  const own = lastComponent(pathOn(ground, path));
  const fits = matcherOf(request, own.length === 0 ? HERE : own);
  const gathered = new Gathered();
  const isFull = (): boolean => request.limit > 0 && gathered.total >= request.limit;
  const deepest = request.maxDepth ?? Number.POSITIVE_INFINITY;
  /** The path is not made for what its name, type or size already leaves out. */
  const look = (listing: EntryBatch, row: number, directory: Uint8Array | undefined): void => {
    const found = fits(listing, row, directory);
    if (found !== undefined) gathered.add(found, listing, row);
  };
  const place = await openPlace(backend, ground, path);
  if (place.kind === "entry") {
    look(place.entry, 0, undefined);
    backend.releaseBatch(place.entry);
    backend.close([place.parent]);
    yield gathered.take();
    return;
  }
  const visitor = {
    get isDone() {
      return isFull();
    },
    enter: ({ listing, depth }: { listing: EntryBatch; depth: number }) => {
      if (depth === 0) look(listing, listing.self, undefined);
    },
    row: (
      { listing, path: directory, depth }: { listing: EntryBatch; path: Uint8Array; depth: number },
      row: number,
    ) => {
      if (depth + 1 > deepest) return false;
      look(listing, row, directory);
      return depth + 1 < deepest && !isFull();
    },
    fail: gathered.fail.bind(gathered),
  };
  for await (const _ of walkTree(backend, place.handle, visitor, { ...request, signal }))
    if (gathered.isDue) yield gathered.take();
  yield gathered.take(isFull());
}

/** The path of an entry that fits, else undefined. `directory` undefined: it is the place itself. */
function matcherOf(
  request: FindRequest,
  ownName: Uint8Array,
): (listing: EntryBatch, row: number, directory: Uint8Array | undefined) => Uint8Array | undefined {
  const names = request.names.map((text) => wildcardOf(text, "name"));
  const paths = request.paths.map((text) => wildcardOf(text, "path"));
  const types = new Set([...request.types].map((letter) => TYPES[letter]));
  const { minSize = 0, maxSize = Number.POSITIVE_INFINITY } = request;
  const { modifiedAfter = Number.NEGATIVE_INFINITY, modifiedBefore = Number.POSITIVE_INFINITY } = request;
  const bySize = request.minSize !== undefined || request.maxSize !== undefined;
  const byTime = request.modifiedAfter !== undefined || request.modifiedBefore !== undefined;
  return (listing, row, directory) => {
    const type = listing.type(row);
    if (types.size > 0 && !types.has(type)) return undefined;
    if (bySize) {
      const size = listing.size(row);
      if (type !== FileType.regular || size < minSize || size > maxSize) return undefined;
    }
    if (byTime) {
      const seconds = listing.mtimeSec(row) + listing.mtimeNsec(row) / 1e9;
      if (seconds < modifiedAfter || seconds > modifiedBefore) return undefined;
    }
    if (names.length > 0) {
      const [bytes, at, length] =
        directory === undefined
          ? ([ownName, 0, ownName.length] as const)
          : ([listing.bytes, listing.nameAt(row), listing.nameLength(row)] as const);
      if (!names.some((name) => matchWildcard(name, bytes, at, at + length))) return undefined;
    }
    const path = directory === undefined ? NO_BYTES : joinPath(directory, listing.name(row));
    if (paths.length > 0 && !paths.some((pattern) => matchWildcard(pattern, path, 0, path.length))) return undefined;
    return path;
  };
}

/** As in filter rules: a star stops at a slash, two stars do not. Throws RunError, exit 1. */
function wildcardOf(text: Uint8Array, what: string): Wildcard {
  const wildcard = hasWildcard(text) ? parseWildcard(text, "rsync") : literalWildcard(text);
  if (wildcard === undefined)
    throw new RunError(
      ExitCode.usage,
      "pattern",
      `--${what}: '${printable(text)}' is no pattern: a [ has no ] behind it`,
    );
  return wildcard;
}
