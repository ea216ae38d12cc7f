/* copy_file_range(2): the kernel or the server moves the bytes; shares blocks where it can. Works across filesystems
 * of one kind from Linux 5.19. May report 0 on files whose size it does not know (procfs): that is no success. */
#include "internal.h"

int64_t fsy_method_copy_file_range(fsy_flow *f, int64_t offset, int64_t length) {
  int64_t from = offset, to = offset;
  long moved = FSY_TRY(copy_file_range, fsy_sys_copy_file_range(f->source, &from, f->target, &to,
                                                               FSY_SHORT(copy_file_range, (size_t)length)));
  return moved < 0 ? -errno : moved;
}
