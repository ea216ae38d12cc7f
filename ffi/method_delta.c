/* The target already holds something like the source: read both, write only the blocks that differ. Saves writes, not
 * reads: for reflinked bases, flash and files edited in place. */
#include "internal.h"

int64_t fsy_method_delta(fsy_flow *f, int64_t offset, int64_t length) {
  fsy_buffer *io = &f->job->task->worker->io;
  if (!fsy_reserve(io, 2 * (size_t)FSY_DELTA_BYTES)) return -ENOMEM;
  uint8_t *ours = io->at, *theirs = io->at + FSY_DELTA_BYTES;
  int64_t done = 0;
  while (done < length) {
    int64_t at = offset + done;
    int64_t want = FSY_DELTA_BYTES - at % FSY_DELTA_BYTES;
    if (want > length - done) want = length - done;
    f->stage = FSY_STAGE_READ;
    int64_t got = fsy_pread_full(f->source, ours, want, at);
    if (got < 0) return got;
    if (got == 0) break;
    f->stage = FSY_STAGE_WRITE;
    int64_t has = fsy_pread_full(f->target, theirs, got, at);
    if (has < 0) return has;
    if (has != got || memcmp(ours, theirs, (size_t)got) != 0) {
      int status = fsy_pwrite_full(f->target, ours, got, at);
      if (status) return status;
      f->moved += got;
    }
    done += got;
  }
  return done;
}
