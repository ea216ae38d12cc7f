/** What a canary is made of: a fault put into the program, and the check that must not live with it. */
import type { Placement } from "../support/placement.ts";

/** A change of a file's text. */
export type Edit =
  | {
      readonly file: string;
      /** Stands in the file exactly once. */
      readonly find: string;
      readonly replace: string;
    }
  | { readonly file: string; readonly append: string };

export interface Check {
  readonly file: string;
  /** How the whole name of the test begins, its groups included, or a piece of it; exactly one test. */
  readonly test: string;
  /** Default: native. */
  readonly backend?: "native" | "portable";
  /** Default: both sides in one process. */
  readonly placement?: Placement;
}

export interface Mutation {
  /** The class of the check, and what the fault is. */
  readonly title: string;
  readonly edits: readonly Edit[];
  readonly check: Check;
  /** A piece of what the check says when it fails. */
  readonly says: string;
}

// ---- steps by path ---------------------------------------------------------------------------------------------

/*
 * `naive(directory, name)` is the path that the held directory has now; `late(directory, name)` is the name itself. Both
 * wait until something else stands there, or for a while, which gets shorter when nothing comes: a busy machine runs the
 * flipper seldom, and who is slow between two steps is what an attacker hopes for.
 */
const NAIVE_C = `
#include <stdio.h>
__attribute__((unused)) static const char *late(int directory, const char *name) {
  static atomic_int patience = 2000; /* of the process, in half milliseconds */
  struct stat before, now;
  if (fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW) < 0) return name;
  for (int i = 0; i < 100; i++) {
    usleep(500);
    if (fstatat(directory, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino != before.st_ino) break;
    if (atomic_fetch_sub(&patience, 1) <= 0) break;
  }
  return name;
}
__attribute__((unused)) static const char *naive(int directory, const char *name) {
  static _Thread_local char paths[4][3 * FSY_LINK_MAX];
  static _Thread_local unsigned turn;
  char proc[64], *path = paths[turn++ % 4];
  if (directory < 0) return name;
  (void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", directory);
  ssize_t length = readlink(proc, path, FSY_LINK_MAX);
  if (length < 0) length = 0;
  path[length] = 0;
  (void)late(AT_FDCWD, path);
  (void)snprintf(path + length, FSY_LINK_MAX, "%s%s", *name ? "/" : "", name);
  return path;
}
`;

/** The same for a path below /proc/self/fd. */
const NAIVE_TS = `
var patience = 2000;
function late(path: Uint8Array): Buffer {
  const at = Buffer.from(path);
  const inode = () => fs.lstatSync(at, { throwIfNoEntry: false })?.ino;
  const before = inode();
  for (let i = 0; i < 100 && (i === 0 || (inode() === before && patience-- > 0)); i++) Bun.sleepSync(0.5);
  return at;
}
function naive(path: Uint8Array): Buffer {
  const text = Buffer.from(path).toString("latin1");
  const held = /^\\/proc\\/self\\/fd\\/\\d+/.exec(text)?.[0];
  if (held === undefined) return Buffer.from(path);
  const directory = fs.readlinkSync(held);
  late(Buffer.from(directory, "latin1"));
  return Buffer.from(directory + text.slice(held.length), "latin1");
}
`;

const INTERNAL = '#include "internal.h"\n';

/** A step of a file in C or TypeScript that goes by `naive(...)`. */
export function byPath(file: string, find: string, replace: string): Edit[] {
  const naive: Edit = file.endsWith(".c")
    ? { file, find: INTERNAL, replace: INTERNAL + NAIVE_C }
    : { file, append: NAIVE_TS };
  return [naive, { file, find, replace }];
}

export function edit(file: string, find: string, replace: string): Edit[] {
  return [{ file, find, replace }];
}

/** The text with the edits; throws when what one looks for is not there, or not once. */
export function edited(file: string, text: string, edits: readonly Edit[]): string {
  return edits.reduce((now, change) => {
    if ("append" in change) return now + change.append;
    const found = now.split(change.find).length - 1;
    if (found !== 1) throw new Error(`${file} has ${found} places in place of one that read: ${change.find}`);
    return now.replace(change.find, () => change.replace);
  }, text);
}
