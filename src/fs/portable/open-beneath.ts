/**
 * Opening directories below a handle, one component at a time and never through a symbolic link, and the operator's
 * own paths, where links are followed that root or we own: nobody else can redirect a run.
 */
import fs from "node:fs";
import { FileType } from "../../core/entry-batch.ts";
import { bytesOf } from "../../core/paths.ts";
import type { DirHandle } from "../backend.ts";
import { below, closeHandle, lstatOrNothing, openDirectory, sameDirectory } from "./directories.ts";
import { typeOf } from "./entry.ts";
import { attempt, E, StatusError } from "./errno.ts";

const SLASH = 0x2f;
const LINKS_MAX = 40;
const ROOT = bytesOf("/");
const DOTDOT = "..";

function components(path: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < path.length; ) {
    const slash = path.indexOf(SLASH, from);
    const to = slash < 0 ? path.length : slash;
    if (to > from && !(to === from + 1 && path[from] === 0x2e)) parts.push(path.subarray(from, to));
    from = to + 1;
  }
  return parts;
}

function isParent(name: Uint8Array): boolean {
  return name.length === 2 && Buffer.from(name).toString("latin1") === DOTDOT;
}

/** Opens `path` below a handle; makes what is missing when asked. Throws; `..` and absolute paths are -EXDEV. */
export function openBeneath(
  parent: DirHandle,
  path: Uint8Array,
  create: boolean,
): { directory: DirHandle; created: boolean } {
  if (path.includes(0)) throw new StatusError(-E.EINVAL);
  if (path[0] === SLASH) throw new StatusError(-E.EXDEV);
  const parts = components(path);
  if (parts.some(isParent)) throw new StatusError(-E.EXDEV);
  if (parts.some((part) => part.length > 255)) throw new StatusError(-E.ENAMETOOLONG);
  let directory = sameDirectory(parent);
  let created = false;
  for (const part of parts) {
    const at = directory;
    try {
      const child = below(at, part);
      if (create && lstatOrNothing(child) === undefined) {
        const status = attempt(() => fs.mkdirSync(child, { mode: 0o700 }));
        if (status === 0) created = true;
        else if (status !== -E.EEXIST) throw new StatusError(status);
      }
      directory = openDirectory(child, false);
    } finally {
      closeHandle(at);
    }
  }
  return { directory, created };
}

/** Opens the directory that holds the last component. */
export function openParent(parent: DirHandle, path: Uint8Array): { directory: DirHandle; last: Uint8Array } {
  const slash = path.lastIndexOf(SLASH);
  const last = path.slice(slash + 1);
  if (path[0] === SLASH) throw new StatusError(-E.EXDEV);
  return { directory: openBeneath(parent, path.subarray(0, Math.max(slash, 0)), false).directory, last };
}

/** Opens a path of the operator's. */
export function openOperator(path: Uint8Array, parent: DirHandle, create: boolean): DirHandle {
  if (path.length === 0) throw new StatusError(-E.ENOENT);
  let rest = components(path);
  let directory = path[0] === SLASH ? openDirectory(ROOT, true) : sameDirectory(parent);
  let links = 0;
  while (rest.length > 0) {
    const at = directory;
    const part = rest.shift();
    if (part === undefined) break;
    try {
      if (part.length > 255) throw new StatusError(-E.ENAMETOOLONG);
      const child = below(at, part);
      if (create && lstatOrNothing(child) === undefined) {
        const status = attempt(() => fs.mkdirSync(child, { mode: 0o700 }));
        if (status < 0 && status !== -E.EEXIST) throw new StatusError(status);
      }
      const stats = fs.lstatSync(child, { bigint: true });
      if (typeOf(stats.mode) !== FileType.symlink) {
        directory = openDirectory(child, false);
        continue;
      }
      const owner = Number(stats.uid);
      if (++links > LINKS_MAX || (owner !== 0 && owner !== process.geteuid?.())) throw new StatusError(-E.ELOOP);
      const text = new Uint8Array(fs.readlinkSync(child, { encoding: "buffer" }));
      rest = [...components(text), ...rest];
      directory = text[0] === SLASH ? openDirectory(ROOT, true) : sameDirectory(at);
    } finally {
      closeHandle(at);
    }
  }
  return directory;
}
