/* sendfile(2): page cache to file without a copy through user space. Writes at the target's file position, so it
 * is not for descriptors that several workers share. */
#include "internal.h"

#include <sys/sendfile.h>

int64_t fsy_method_sendfile(fsy_flow *f, int64_t offset, int64_t length) {
  if (f->shared) return -EINVAL;
  int error = FSY_FAULT("sendfile");
  if (error) return -error;
  if (f->position != offset && lseek(f->target, offset, SEEK_SET) < 0) return -errno;
  f->position = -1;
  off_t from = offset;
  for (;;) {
    ssize_t moved = sendfile(f->target, f->source, &from, (size_t)length);
    if (moved >= 0) {
      f->position = offset + moved;
      return moved;
    }
    if (errno != EINTR) return -errno;
  }
}
