/** Names of filesystems by statfs(2) f_type (linux/magic.h, and the man page for those that are not there). */
const NAMES: Readonly<Record<number, string>> = {
  391: "autofs",
  19780: "vfat",
  26985: "nfs",
  38496: "iso9660",
  40864: "proc",
  61267: "ext2/3/4",
  12805120: "ceph",
  16914836: "tmpfs",
  16914839: "9p",
  538032816: "exfat",
  801189825: "zfs",
  827541066: "jfs",
  1382369651: "reiserfs",
  1397118030: "ntfs",
  1481003842: "xfs",
  1650812274: "sysfs",
  1702057286: "fuse",
  1936094318: "ntfs3",
  1936814952: "squashfs",
  2035054128: "overlayfs",
  2240043254: "ramfs",
  2435016766: "btrfs",
  3393526350: "bcachefs",
  4076150800: "f2fs",
  4266872130: "smb",
  4283649346: "cifs",
};

export function filesystemName(type: number): string {
  const unsigned = type >>> 0;
  if (unsigned === 0) return "unknown";
  return NAMES[unsigned] ?? `type 0x${unsigned.toString(16)}`;
}
