import { expect, test } from "bun:test";
import { filesystemName, isRemoteFilesystem, timeGranularityNs } from "./filesystems.ts";

test.each([
  ["ext2/3/4", 0xef53, false, 1],
  ["btrfs", 0x9123683e, false, 1],
  ["nfs", 0x6969, true, 1],
  ["fuse", 0x65735546, true, 1],
  ["cifs", 0xff534d42, true, 100],
  ["vfat", 0x4d44, false, 2_000_000_000],
  ["exfat", 0x2011bab0, false, 10_000_000],
  ["unknown", 0, false, 1],
  ["type 0x1234", 0x1234, false, 1],
] as const)("%s", (name, type, remote, granularity) => {
  // Signed as well as unsigned: both occur.
  for (const asked of [type, type | 0]) {
    expect(filesystemName(asked)).toBe(name);
    expect(isRemoteFilesystem(asked)).toBe(remote);
    expect(timeGranularityNs(asked)).toBe(granularity);
  }
});
