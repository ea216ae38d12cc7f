/** What is known of filesystems by their magic number (statfs(2), linux/magic.h). */

interface FilesystemFacts {
  readonly name: string;
  /** Step in which it keeps mtimes; 1 where it is a nanosecond or not known to be coarser. */
  readonly timeGranularityNs: number;
}

const FACTS: Readonly<Record<number, FilesystemFacts>> = {
  61267: { name: "ext4", timeGranularityNs: 1 },
  1481003842: { name: "xfs", timeGranularityNs: 1 },
  2435016766: { name: "btrfs", timeGranularityNs: 1 },
  16914836: { name: "tmpfs", timeGranularityNs: 1 },
  801189825: { name: "zfs", timeGranularityNs: 1 },
  2035054128: { name: "overlayfs", timeGranularityNs: 1 },
  4076150800: { name: "f2fs", timeGranularityNs: 1 },
  3393526350: { name: "bcachefs", timeGranularityNs: 1 },
  26985: { name: "nfs", timeGranularityNs: 1 },
  1702057286: { name: "fuse", timeGranularityNs: 1 },
  16914839: { name: "9p", timeGranularityNs: 1 },
  4283649346: { name: "cifs", timeGranularityNs: 100 },
  4266872130: { name: "smb3", timeGranularityNs: 100 },
  1397118030: { name: "ntfs", timeGranularityNs: 100 },
  1936094318: { name: "ntfs3", timeGranularityNs: 100 },
  19780: { name: "vfat", timeGranularityNs: 2_000_000_000 },
  538032816: { name: "exfat", timeGranularityNs: 10_000_000 },
  16964: { name: "hfs", timeGranularityNs: 1_000_000_000 },
  18475: { name: "hfsplus", timeGranularityNs: 1_000_000_000 },
  38496: { name: "iso9660", timeGranularityNs: 1_000_000_000 },
  352400198: { name: "udf", timeGranularityNs: 1_000 },
  1936814952: { name: "squashfs", timeGranularityNs: 1_000_000_000 },
};

export function filesystemName(type: number): string {
  return FACTS[type]?.name ?? (type === 0 ? "unknown" : `type 0x${type.toString(16)}`);
}

const REMOTE = new Set(["nfs", "cifs", "smb3", "9p", "fuse"]);

/** Reached over a network or through a user-space server: each call waits. */
export function isRemoteFilesystem(type: number): boolean {
  return REMOTE.has(filesystemName(type));
}

export function timeGranularityNs(type: number): number {
  return FACTS[type]?.timeGranularityNs ?? 1;
}
