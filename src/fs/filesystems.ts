/** What is known of filesystems by their magic number (statfs(2), linux/magic.h). */

interface FilesystemFacts {
  readonly name: string;
  /** Step in which it keeps mtimes; 1 where it is a nanosecond or not known to be coarser. */
  readonly timeGranularityNs: number;
}

const FACTS: Readonly<Record<number, FilesystemFacts>> = {
  0xef53: { name: "ext4", timeGranularityNs: 1 },
  0x58465342: { name: "xfs", timeGranularityNs: 1 },
  0x9123683e: { name: "btrfs", timeGranularityNs: 1 },
  0x01021994: { name: "tmpfs", timeGranularityNs: 1 },
  0x2fc12fc1: { name: "zfs", timeGranularityNs: 1 },
  0x794c7630: { name: "overlayfs", timeGranularityNs: 1 },
  0xf2f52010: { name: "f2fs", timeGranularityNs: 1 },
  0xca451a4e: { name: "bcachefs", timeGranularityNs: 1 },
  0x6969: { name: "nfs", timeGranularityNs: 1 },
  0x65735546: { name: "fuse", timeGranularityNs: 1 },
  0x01021997: { name: "9p", timeGranularityNs: 1 },
  0xff534d42: { name: "cifs", timeGranularityNs: 100 },
  0xfe534d42: { name: "smb3", timeGranularityNs: 100 },
  0x5346544e: { name: "ntfs", timeGranularityNs: 100 },
  0x7366746e: { name: "ntfs3", timeGranularityNs: 100 },
  0x4d44: { name: "vfat", timeGranularityNs: 2_000_000_000 },
  0x2011bab0: { name: "exfat", timeGranularityNs: 10_000_000 },
  0x4244: { name: "hfs", timeGranularityNs: 1_000_000_000 },
  0x482b: { name: "hfsplus", timeGranularityNs: 1_000_000_000 },
  0x9660: { name: "iso9660", timeGranularityNs: 1_000_000_000 },
  0x15013346: { name: "udf", timeGranularityNs: 1_000 },
  0x73717368: { name: "squashfs", timeGranularityNs: 1_000_000_000 },
};

export function filesystemName(type: number): string {
  return FACTS[type]?.name ?? (type === 0 ? "unknown" : `type 0x${type.toString(16)}`);
}

export function timeGranularityNs(type: number): number {
  return FACTS[type]?.timeGranularityNs ?? 1;
}
