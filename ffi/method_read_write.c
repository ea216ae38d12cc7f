/* pread + pwrite through the worker's buffer: works everywhere. */
#include "internal.h"

int64_t fsy_pread_full(int fd, uint8_t *to, int64_t bytes, int64_t offset) {
  int64_t done = 0;
  while (done < bytes) {
    ssize_t got = FSY_TRY(read, pread(fd, to + done, FSY_SHORT(read, (size_t)(bytes - done)), offset + done));
    if (got < 0) return -errno;
    if (got == 0) break;
    done += got;
  }
  return done;
}

int fsy_pwrite_full(int fd, const uint8_t *from, int64_t bytes, int64_t offset) {
  for (int64_t done = 0; done < bytes;) {
    ssize_t put = FSY_TRY(write, pwrite(fd, from + done, FSY_SHORT(write, (size_t)(bytes - done)), offset + done));
    if (put < 0) return -errno;
    if (put == 0) return -EIO;
    done += put;
  }
  return 0;
}

int64_t fsy_method_read_write(fsy_flow *f, int64_t offset, int64_t length) {
  fsy_buffer *io = &f->job->task->worker->io;
  f->stage = FSY_STAGE_WRITE;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  int64_t done = 0;
  while (done < length) {
    int64_t want = length - done < FSY_IO_BYTES ? length - done : FSY_IO_BYTES;
    int64_t got = fsy_pread_full(f->source, io->at, want, offset + done);
    if (got < 0) {
      f->stage = FSY_STAGE_READ;
      return got;
    }
    if (got == 0) break;
    int status = fsy_pwrite_full(f->target, io->at, got, offset + done);
    if (status) return status;
    done += got;
  }
  return done;
}
