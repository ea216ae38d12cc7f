import { chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { canMount, mountFilesystem } from "../../test/support/filesystems.ts";

/** More than two parts use at a time. */
const SIZE = "4G";

/**
 * Gives the tests a file system in memory for their scratch directories, where one can be had, until this process ends:
 * a disk that others write to may take a hundred times as long to make a file. It is of the kind that most disks have;
 * tests that are about a kind mount their own.
 */
export async function useScratch(): Promise<void> {
  const missing = canMount("ext4") ?? (await mountScratch());
  if (missing !== undefined) console.log(`the tests' scratch directories are in ${tmpdir()}: ${missing}`);
}

/** Why it could not be mounted, or undefined. */
async function mountScratch(): Promise<string | undefined> {
  try {
    const { path } = await mountFilesystem("ext4", SIZE);
    // As /tmp is: tests run programs as ordinary users, too.
    chmodSync(path, 0o1777);
    process.env["TMPDIR"] = path;
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
