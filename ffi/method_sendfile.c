/* sendfile(2): page cache to file without a copy through user space. Writes at the target's file position, so it
 * is not for descriptors that several workers share. */
#include "internal.h"

#include <sys/sendfile.h>

int64_t fsy_method_sendfile(fsy_flow *f, int64_t offset, int64_t length) {
  if (f->shared) return -EINVAL;
  if (f->position != offset && lseek(f->target, offset, SEEK_SET) < 0) return -errno;
  f->position = -1;
  off_t from = offset;
  ssize_t moved = FSY_TRY(sendfile, sendfile(f->target, f->source, &from, FSY_SHORT(sendfile, (size_t)length)));
  if (moved < 0) return -errno;
  f->position = offset + moved;
  return moved;
}
