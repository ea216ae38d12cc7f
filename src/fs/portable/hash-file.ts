import { Stage } from "../../../ffi/fsy.ts";
import { FileType } from "../../core/entry-batch.ts";
import { ItemFlag } from "../backend.ts";
import { readFull, withChunk } from "./copy-data.ts";
import { closeHandle, fstat } from "./directories.ts";
import { type Entry, entryOfStat, isUnchanged, typeOf } from "./entry.ts";
import { E, StatusError } from "./errno.ts";
import type { Item } from "./item-results.ts";
import type { Job } from "./job.ts";
import { openSource } from "./local-content.ts";
import { Xxh3_128 } from "./xxh3-128.ts";

export type HashAlgorithm = "xxh3-128" | "sha256";

/** Hashes one file; reads it once more when it changed meanwhile, and fails with -EBUSY when it changed again. */
export async function hashEntry(job: Job, entry: Entry, algorithm: HashAlgorithm, item: Item): Promise<void> {
  item.doing = Stage.openSource;
  if (typeOf(entry.mode) !== FileType.regular) throw new StatusError(-E.EINVAL);
  const fd = openSource(job, entry.name);
  try {
    let want = entry;
    for (let isRetry = false; ; isRetry = true) {
      item.doing = Stage.read;
      const { digest, bytes } = await hashPass(job, fd, algorithm);
      const stats = fstat(fd);
      item.size = bytes;
      item.bytes = bytes;
      item.digest = digest;
      if (bytes === want.size && isUnchanged(want, stats)) {
        if (isRetry) item.flags |= ItemFlag.retried;
        return;
      }
      if (isRetry || typeOf(stats.mode) !== FileType.regular) {
        item.flags |= ItemFlag.changed;
        throw new StatusError(-E.EBUSY);
      }
      want = entryOfStat(entry.name, stats);
    }
  } finally {
    closeHandle(fd);
  }
}

function hashPass(
  job: Job,
  fd: number,
  algorithm: HashAlgorithm,
): Promise<{ digest: Uint8Array<ArrayBuffer>; bytes: number }> {
  return withChunk(async (chunk) => {
    const sha = algorithm === "sha256" ? new Bun.CryptoHasher("sha256") : undefined;
    const xxh = sha === undefined ? new Xxh3_128() : undefined;
    let bytes = 0;
    for (;;) {
      await job.slices.breathe();
      const got = readFull(fd, chunk, bytes);
      const data = chunk.subarray(0, got);
      sha?.update(data);
      xxh?.update(data);
      bytes += got;
      if (got < chunk.length) break;
    }
    const digest = sha?.digest() ?? xxh?.digest() ?? [];
    return { digest: Uint8Array.from(digest), bytes };
  });
}

/** XXH3-128 of a stretch of an open file; what lies behind its end is left out. */
export function hashStretch(job: Job, fd: number, offset: number, length: number): Promise<Uint8Array> {
  return withChunk(async (chunk) => {
    const hash = new Xxh3_128();
    for (let done = 0; done < length; ) {
      await job.slices.breathe();
      const got = readFull(fd, chunk.subarray(0, Math.min(chunk.length, length - done)), offset + done);
      if (got === 0) break;
      hash.update(chunk.subarray(0, got));
      done += got;
    }
    return hash.digest();
  });
}
