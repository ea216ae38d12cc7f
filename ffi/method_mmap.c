/* mmap + pwrite(2) from the mapping: one copy less than read/write. The mapping is never touched from user space:
 * when the source is truncated meanwhile, write(2) returns EFAULT or stops short where a load would raise SIGBUS. */
#include "internal.h"

#include <sys/mman.h>

int64_t fsy_method_mmap(fsy_flow *f, int64_t offset, int64_t length) {
  long page = sysconf(_SC_PAGESIZE);
  int64_t from = offset / page * page;
  size_t bytes = (size_t)(length + offset - from);
  unsigned round = 0;
  uint8_t *map;
  do {
    int error = FSY_FAULT(mmap);
    map = error ? (errno = error, MAP_FAILED) : mmap(NULL, bytes, PROT_READ, MAP_SHARED, f->source, from);
  } while (map == MAP_FAILED && fsy_again(errno, &round));
  if (map == MAP_FAILED) return errno == ENOMEM || errno == EACCES ? -ENODEV : -errno;
  (void)madvise(map, bytes, MADV_SEQUENTIAL);
  int64_t done = 0;
  int failed = 0;
  while (done < length) {
    ssize_t wrote = FSY_TRY(write, pwrite(f->target, map + (offset - from) + done,
                                          FSY_SHORT(write, (size_t)(length - done)), offset + done));
    if (wrote > 0) done += wrote;
    else {
      failed = wrote < 0 ? errno : 0;
      break;
    }
  }
  (void)munmap(map, bytes);
  /* EFAULT: the source is shorter than it was; what was written is good, read/write will find the end */
  return done > 0 ? done : failed == EFAULT ? 0 : -failed;
}
