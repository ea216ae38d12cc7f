/* FICLONE: the target shares the source's blocks (XFS, btrfs, bcachefs, ZFS from 2.2, NFS 4.2, SMB). Replaces the
 * whole content; the same filesystem only. Needs Linux 4.5. */
#include "internal.h"

#include <sys/ioctl.h>

int fsy_method_clone(int source, int target) {
  int error = FSY_FAULT("clone");
  if (error) return -error;
  return ioctl(target, FSY_FICLONE, source) < 0 ? -errno : 0;
}
