import { expect, test } from "bun:test";
import { filesystemName, isRemoteFilesystem, tellsTimeSteps, timeKeeping, triedTimes } from "./filesystems.ts";

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
    expect(timeKeeping(asked, false).stepNs).toBe(granularity);
  }
});

test("small inodes are another filesystem to times", () => {
  expect(timeKeeping(0xef53, false)).toEqual({ stepNs: 1, earliestSec: -(2 ** 31), latestSec: 15_032_385_535 });
  expect(timeKeeping(0xef53, true)).toEqual({ stepNs: 1e9, earliestSec: -(2 ** 31), latestSec: 2 ** 31 - 1 });
});

test.each([
  ["xfs", 0x58465342, true],
  ["tmpfs", 0x01021994, true],
  ["nfs", 0x6969, false],
  ["fuse", 0x65735546, false],
  ["overlayfs", 0x794c7630, false],
  ["unknown", 0, false],
] as const)("%s tells its time steps: %p", (_name, type, tells) => {
  expect(tellsTimeSteps(type)).toBe(tells);
});

test("a range that wrapped around is not known, its step is", () => {
  const known = { stepNs: 1e9, earliestSec: -(2 ** 31), latestSec: 2 ** 31 - 1 };
  expect(triedTimes(known.stepNs, known.earliestSec, known.latestSec)).toEqual(known);
  const open = triedTimes(1e9, 0, 0)!;
  expect(open.stepNs).toBe(1e9);
  expect(open.earliestSec).toBeLessThan(-(2 ** 50));
  expect(open.latestSec).toBeGreaterThan(2 ** 50);
  expect(triedTimes(0, -1, 1)).toBeUndefined();
});
