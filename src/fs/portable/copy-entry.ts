/**
 * One entry of a copy request: a regular file with its data, a symbolic link, or a special file; and the repair of an
 * entry's metadata. Where content and attributes come from is the `Origin`'s business.
 */
import fs from "node:fs";
import { Stage } from "../../../ffi/fsy.ts";
import { FileType, RowFlag } from "../../core/entry-batch.ts";
import { NO_HANDLE } from "../backend.ts";
import { type AttributeSource, attributesAt, mayHaveAttributes, NO_ATTRIBUTES, wantsAttributes } from "./attributes.ts";
import { below, descriptorPath, lstat } from "./directories.ts";
import { type Entry, typeOf } from "./entry.ts";
import { attempt, E, must, StatusError, statusOf } from "./errno.ts";
import { holdEntry } from "./hold-entry.ts";
import type { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import { libc } from "./libc.ts";
import { LocalContent } from "./local-content.ts";
import { applyMetadata, stateOf } from "./metadata.ts";
import { checkSpelling, checkTakesBack, holdNames, publishName, tempName } from "./publish.ts";
import { type Content, oldObject, writeRegular } from "./write-regular.ts";

/** What an entry is made from: a source directory that is open, or what another process sent. */
export interface Origin {
  /** The content of a regular file; closed when it was written or failed. Throws. */
  open(entry: Entry): Content;
  /** The attributes of an entry that is not opened. */
  attributes(entry: Entry): AttributeSource;
}

function localOrigin(job: Job): Origin {
  return {
    open: (entry) => new LocalContent(job, entry),
    attributes: (entry) => attributesAt({ path: below(job.source, entry.name), follow: false }),
  };
}

/** Throws; stage and status are then in `item` and the error. */
export async function copyEntry(
  job: Job,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
  origin: Origin = localOrigin(job),
): Promise<void> {
  switch (typeOf(entry.mode)) {
    case FileType.regular:
      return copyRegular(job, entry, name, exists, item, origin);
    case FileType.symlink:
      return copySymlink(job, entry, name, exists, item, origin);
    case FileType.fifo:
    case FileType.socket:
    case FileType.charDevice:
    case FileType.blockDevice:
      return copySpecial(job, entry, name, exists, item, origin);
    case FileType.directory:
      item.doing = Stage.create;
      throw new StatusError(-E.EISDIR);
    default:
      item.doing = Stage.openSource;
      throw new StatusError(entry.status || -E.EINVAL);
  }
}

async function copyRegular(
  job: Job,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
  origin: Origin,
): Promise<void> {
  item.doing = Stage.openSource;
  const content = origin.open(entry);
  try {
    await writeRegular(job, content, name, exists, item);
  } finally {
    content.close();
  }
}

// ---- links and special files ------------------------------------------------------------------------------------

/** The attributes of an entry that is not opened; undefined: it has none. */
function attributesOf(job: Job, entry: Entry, origin: Origin): AttributeSource | undefined {
  return wantsAttributes(job.wanted) && mayHaveAttributes(entry) ? origin.attributes(entry) : undefined;
}

function withoutAttributes(entry: Entry): Entry {
  return { ...entry, attrLow: 0, attrHigh: 0, flags: entry.flags & ~RowFlag.attrFailed };
}

async function copySymlink(
  job: Job,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
  origin: Origin,
): Promise<void> {
  item.doing = Stage.openSource;
  if (entry.linkText.length === 0) throw new StatusError(entry.status || -E.EINVAL);
  const replaces = oldObject(job, entry, name, exists);
  const text = Buffer.from(entry.linkText);
  // To the link itself, held: what takes its name meanwhile must not be given its owner.
  const apply = (own: Uint8Array): void => {
    item.doing = Stage.meta;
    const held = holdEntry(job.target, own);
    try {
      if (typeOf(held.stats.mode) !== FileType.symlink) throw new StatusError(-E.ESTALE);
      const attributes = attributesOf(job, entry, origin);
      const now = { ...stateOf(held.stats, false), mayHaveAttributes: false, replaces };
      const want = attributes === undefined ? withoutAttributes(entry) : entry;
      applyMetadata(job, held, want, now, attributes, item);
    } finally {
      held.close();
    }
  };
  item.doing = Stage.create;
  if (!exists) {
    const path = below(job.target, name);
    const status = attempt(() => fs.symlinkSync(text, path));
    if (status === 0) {
      try {
        apply(name);
      } catch (error) {
        if (statusOf(error) !== -E.ESTALE) attempt(() => fs.unlinkSync(path));
        throw error;
      }
      return;
    }
    if (status !== -E.EEXIST) must(status);
    checkSpelling(job, name);
  }
  const temp = makeTemp(job, (path) => attempt(() => fs.symlinkSync(text, path)));
  try {
    apply(temp);
  } catch (error) {
    attempt(() => fs.unlinkSync(below(job.target, temp)));
    throw error;
  }
  must(await publishName(job, job.target, temp, name, true, item));
}

async function copySpecial(
  job: Job,
  entry: Entry,
  name: Uint8Array,
  exists: boolean,
  item: Item,
  origin: Origin,
): Promise<void> {
  item.doing = Stage.create;
  const c = libc;
  if (c === undefined) throw new StatusError(-E.ENOSYS);
  const type = typeOf(entry.mode);
  const temp = makeTemp(job, (path) => c.mknod(path, type | 0o600, entry.rdev >>> 20, entry.rdev & 0xfffff));
  try {
    item.doing = Stage.meta;
    const held = holdEntry(job.target, temp);
    try {
      if (typeOf(held.stats.mode) !== type) throw new StatusError(-E.ESTALE);
      const attributes = attributesOf(job, entry, origin);
      const replaces = oldObject(job, entry, name, exists);
      // Born below a default ACL it has one itself.
      const mayHaveAttributes = attributes !== undefined || (wantsAttributes(job.wanted) && job.wanted.acls);
      const now = { ...stateOf(held.stats, false), mayHaveAttributes, replaces };
      const want = attributes === undefined ? withoutAttributes(entry) : entry;
      applyMetadata(job, held, want, now, attributes, item);
    } finally {
      held.close();
    }
  } catch (error) {
    attempt(() => fs.unlinkSync(below(job.target, temp)));
    throw error;
  }
  must(await publishName(job, job.target, temp, name, exists, item));
}

/** Makes a link or special file under a fresh temporary name in the target directory. */
function makeTemp(job: Job, make: (path: Buffer) => number): Uint8Array {
  checkTakesBack(job.target);
  holdNames(job.target);
  for (;;) {
    const name = tempName();
    const status = make(below(job.target, name));
    if (status === 0) return name;
    if (status !== -E.EEXIST) must(status);
  }
}

// ---- metadata only ------------------------------------------------------------------------------------------------

/** Applies the entry's metadata to what stands under `name`; an empty name is the target directory itself. */
export function repairEntry(job: Job, entry: Entry, name: Uint8Array, item: Item): void {
  item.doing = Stage.meta;
  const isSelf = name.length === 0;
  if (!wantsAttributes(job.wanted)) return repairWith(job, entry, name, undefined, item);
  if (job.source === NO_HANDLE) return repairWith(job, entry, name, NO_ATTRIBUTES, item);
  repairWith(job, entry, name, sourceAttributes(job, entry, isSelf, item), item);
}

/** Where the attributes of an entry that is repaired are read; throws when it is gone. */
export function sourceAttributes(job: Job, entry: Entry, isSelf: boolean, item: Item): AttributeSource {
  if (isSelf) return attributesAt({ path: descriptorPath(job.source), follow: true });
  const path = below(job.source, entry.name);
  item.doing = Stage.openSource;
  lstat(path);
  item.doing = Stage.meta;
  return attributesAt({ path, follow: job.settings.follow });
}

/** `attributes` undefined: those that it has stay. */
export function repairWith(
  job: Job,
  entry: Entry,
  name: Uint8Array,
  attributes: AttributeSource | undefined,
  item: Item,
): void {
  const held = holdEntry(job.target, name);
  try {
    if (typeOf(held.stats.mode) !== typeOf(entry.mode)) throw new StatusError(-E.ESTALE);
    const now = { ...stateOf(held.stats, true), mayHaveAttributes: attributes !== undefined };
    applyMetadata(job, held, entry, now, attributes, item);
  } finally {
    held.close();
  }
}
