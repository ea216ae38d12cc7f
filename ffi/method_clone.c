/* FICLONE: the target shares the source's blocks (XFS, btrfs, bcachefs, ZFS from 2.2, NFS 4.2, SMB). Replaces the
 * whole content; the same filesystem only. Needs Linux 4.5. */
#include "internal.h"

#include <sys/ioctl.h>

/* EAGAIN is not waited for: ZFS says so until blocks of the source that were just written lie on disk, which takes
 * seconds; copying them does not. */
int fsy_method_clone(int source, int target) {
  for (;;) {
    int error = FSY_FAULT(clone);
    if (!error && ioctl(target, FSY_FICLONE, source) < 0) error = errno;
    if (error != EINTR) return -error;
  }
}

int64_t fsy_clone_basis(int directory, const char *name, int target) {
  struct stat st;
  /* Looked at before it is opened: opening a device may do something. */
  if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) return 0;
  int old = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (old < 0) return 0;
  bool cloned = fstat(old, &st) == 0 && S_ISREG(st.st_mode) && fsy_method_clone(old, target) == 0;
  close(old);
  return cloned ? st.st_size : 0;
}
