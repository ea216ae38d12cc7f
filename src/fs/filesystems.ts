/** What is known of filesystems by their magic number (statfs(2), linux/magic.h). */

interface FilesystemFacts {
  readonly name: string;
  /** Step in which it keeps mtimes, where it is coarser than a nanosecond. */
  readonly timeGranularityNs?: number;
  /** Reached over a network or through a user-space server. */
  readonly remote?: true;
}

const SECOND = 1_000_000_000;

const FACTS: Readonly<Record<number, FilesystemFacts>> = {
  391: { name: "autofs" },
  16964: { name: "hfs", timeGranularityNs: SECOND },
  18475: { name: "hfsplus", timeGranularityNs: SECOND },
  19780: { name: "vfat", timeGranularityNs: 2 * SECOND },
  26985: { name: "nfs", remote: true },
  38496: { name: "iso9660", timeGranularityNs: SECOND },
  40864: { name: "proc" },
  61267: { name: "ext2/3/4" },
  12805120: { name: "ceph", remote: true },
  16914836: { name: "tmpfs" },
  16914839: { name: "9p", remote: true },
  352400198: { name: "udf", timeGranularityNs: 1_000 },
  538032816: { name: "exfat", timeGranularityNs: 10_000_000 },
  801189825: { name: "zfs" },
  827541066: { name: "jfs" },
  1382369651: { name: "reiserfs", timeGranularityNs: SECOND },
  1397118030: { name: "ntfs", timeGranularityNs: 100 },
  1481003842: { name: "xfs" },
  1650812274: { name: "sysfs" },
  1702057286: { name: "fuse", remote: true },
  1936094318: { name: "ntfs3", timeGranularityNs: 100 },
  1936814952: { name: "squashfs", timeGranularityNs: SECOND },
  2035054128: { name: "overlayfs" },
  2240043254: { name: "ramfs" },
  2435016766: { name: "btrfs" },
  3393526350: { name: "bcachefs" },
  4076150800: { name: "f2fs" },
  4266872130: { name: "smb", timeGranularityNs: 100, remote: true },
  4283649346: { name: "cifs", timeGranularityNs: 100, remote: true },
};

/** The kernel's type is a signed word on some ways to ask for it. */
function factsOf(type: number): FilesystemFacts | undefined {
  return FACTS[type >>> 0];
}

export function filesystemName(type: number): string {
  if (type === 0) return "unknown";
  return factsOf(type)?.name ?? `type 0x${(type >>> 0).toString(16)}`;
}

/** Each call waits for somebody else. */
export function isRemoteFilesystem(type: number): boolean {
  return factsOf(type)?.remote ?? false;
}

export function timeGranularityNs(type: number): number {
  return factsOf(type)?.timeGranularityNs ?? 1;
}
