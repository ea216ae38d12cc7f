/* The copy ladder: FICLONE > copy_file_range > sendfile > mmap + write > read/write.
 *
 *   range: while bytes are left
 *     slice = at most 8 MiB, less under a rate limit; look at the cancel flag, wait for the token bucket
 *     by the best method that is allowed and not refused:
 *       moved n      -> go on behind it
 *       refused      -> remember it (for the file, and for the pair of filesystems), next method, same place
 *       0 moved      -> the source ends here for this method; next method decides, read/write has the last word
 *       else         -> the error (ENOSPC, EDQUOT, EIO)
 *
 * Whether the file was the same all the time is not decided here: the caller compares its stat afterwards. */
#include "internal.h"

static const uint32_t ladder[] = {FSY_METHOD_COPY_FILE_RANGE, FSY_METHOD_SENDFILE, FSY_METHOD_MMAP,
                                  FSY_METHOD_READ_WRITE};

bool fsy_falls(int error) {
  switch (error) {
    case EXDEV:
    case ENOSYS:
    case EOPNOTSUPP:
#if ENOTSUP != EOPNOTSUPP
    case ENOTSUP:
#endif
    case EINVAL:
    case EPERM:
    case ENOTTY:
    case EBADF:
    case ENODEV:
    case ETXTBSY:
    case EOVERFLOW:
      return true;
    default:
      return false;
  }
}

/* Refusals that speak of the filesystems, not of this file; EAGAIN speaks of this moment. */
static bool is_lasting(int error) {
  return error == EXDEV || error == ENOSYS || error == EOPNOTSUPP || error == ENOTSUP || error == ENOTTY;
}

static void refuse(fsy_flow *f, uint32_t method, int error) {
  uint32_t bit = 1u << method;
  f->allowed &= ~bit;
  f->refused |= bit;
  if (error) f->refused_errno = error;
  fsy_pair *pair = f->job->pair;
  if (is_lasting(error)) atomic_fetch_or(&pair->refused, bit);
  else if (error && error != EAGAIN && atomic_fetch_add(&pair->doubts[method], 1) + 1 >= FSY_DOUBTS_MAX)
    atomic_fetch_or(&pair->refused, bit);
}

void fsy_flow_open(fsy_flow *f, fsy_job *j, int source, int target, uint32_t source_dev, int64_t size) {
  memset(f, 0, sizeof(*f));
  f->job = j;
  f->source = source;
  f->target = target;
  f->position = -1;
  f->stage = FSY_STAGE_WRITE;
  f->allowed = j->opt.methods;
  fsy_pair *pair = fsy_job_pair(j, source_dev);
  uint32_t known = atomic_load_explicit(&pair->refused, memory_order_relaxed);
  /* a single forced method is tried anyway, so that its own error is reported */
  bool forced = (f->allowed & (f->allowed - 1)) == 0;
  if (!forced) f->allowed &= ~known;
  if (size < (int64_t)j->opt.mmap_bytes && !forced) f->allowed &= ~(1u << FSY_METHOD_MMAP);
}

int fsy_flow_clone(fsy_flow *f, int64_t size) {
  uint32_t bit = 1u << FSY_METHOD_CLONE;
  if (!(f->allowed & bit)) return 1;
  int status = fsy_method_clone(f->source, f->target);
  if (status == 0) {
    f->method = FSY_METHOD_CLONE;
    atomic_store_explicit(&f->job->pair->doubts[FSY_METHOD_CLONE], 0, memory_order_relaxed);
    __atomic_fetch_add(&f->job->task->ring->control->bytes_done, (uint64_t)size, __ATOMIC_RELAXED);
    return 0;
  }
  if (status != -EAGAIN && !fsy_falls(-status)) return status;
  bool only = f->allowed == bit;
  refuse(f, FSY_METHOD_CLONE, -status);
  return only ? status : 1;
}

static int64_t by_method(fsy_flow *f, uint32_t method, int64_t offset, int64_t length) {
  switch (method) {
    case FSY_METHOD_COPY_FILE_RANGE: return fsy_method_copy_file_range(f, offset, length);
    case FSY_METHOD_SENDFILE: return fsy_method_sendfile(f, offset, length);
    case FSY_METHOD_MMAP: return fsy_method_mmap(f, offset, length);
    default: return fsy_method_read_write(f, offset, length);
  }
}

int fsy_flow_range(fsy_flow *f, int64_t offset, int64_t length) {
  fsy_ring *ring = f->job->task->ring;
  size_t step = 0;
  int last = -EOPNOTSUPP;
  while (length > 0) {
    while (step < sizeof(ladder) / sizeof(ladder[0]) && !(f->allowed & (1u << ladder[step]))) step++;
    if (step == sizeof(ladder) / sizeof(ladder[0])) {
      if (last == 0) f->ended = true;
      return last;
    }
    int64_t most = fsy_slice_bytes(ring);
    int64_t slice = length < most ? length : most;
    int status = fsy_pace(ring, slice);
    if (status) return status;
    uint32_t method = ladder[step];
    f->stage = FSY_STAGE_WRITE;
    int64_t moved = by_method(f, method, offset, slice);
    if (moved > 0) {
      offset += moved;
      length -= moved;
      f->moved += moved;
      f->method = method;
      __atomic_fetch_add(&ring->control->bytes_done, (uint64_t)moved, __ATOMIC_RELAXED);
    } else if (moved == 0) {
      last = 0;
      if (method == FSY_METHOD_READ_WRITE) {
        f->ended = true;
        return 0;
      }
      step++;
    } else {
      if (!fsy_falls((int)-moved) || method == FSY_METHOD_READ_WRITE) return (int)moved;
      last = (int)moved;
      refuse(f, method, (int)-moved);
    }
  }
  return 0;
}

/* Whether the target has no data in a range. `dense` goes to the end of the data that was found: behind that it is asked
 * again, and not before, since ZFS answers for a file that is being written only after its next transaction group. */
static bool is_bare(int target, int64_t offset, int64_t length, int64_t *dense) {
  if (offset < *dense) return false;
  off_t data = lseek(target, offset, SEEK_DATA);
  if (data < 0) return errno == ENXIO;
  if (data >= offset + length) return true;
  off_t hole = lseek(target, data, SEEK_HOLE);
  if (hole > 0) *dense = hole;
  return false;
}

int fsy_flow_delta(fsy_flow *f, int64_t offset, int64_t length) {
  fsy_ring *ring = f->job->task->ring;
  int64_t dense = 0;
  while (length > 0) {
    int64_t most = fsy_slice_bytes(ring);
    int64_t slice = length < most ? length : most;
    /* where the target has a hole there is nothing to compare with */
    bool bare = is_bare(f->target, offset, slice, &dense);
    f->position = -1;
    if (bare) {
      int status = fsy_flow_range(f, offset, slice);
      if (status || f->ended) return status;
    } else {
      int status = fsy_pace(ring, slice);
      if (status) return status;
      int64_t before = f->moved;
      int64_t done = fsy_method_delta(f, offset, slice);
      if (done < 0) return (int)done;
      f->method = FSY_METHOD_DELTA;
      __atomic_fetch_add(&ring->control->bytes_done, (uint64_t)(f->moved - before), __ATOMIC_RELAXED);
      if (done < slice) {
        f->ended = true;
        return 0;
      }
    }
    offset += slice;
    length -= slice;
  }
  return 0;
}

int fsy_make_hole(fsy_task *t, int fd, int64_t offset, int64_t length) {
  const int flags = 2 | 1; /* FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE */
  if (FSY_TRY(punch, fallocate(fd, flags, offset, length)) == 0) return 0;
  if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) return -errno;
  struct stat st;
  if (fstat(fd, &st) < 0) return -errno;
  if (length > st.st_size - offset) length = st.st_size - offset; /* behind the end truncation makes the hole */
  fsy_buffer *io = &t->worker->io;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  memset(io->at, 0, FSY_IO_BYTES);
  for (int64_t done = 0; done < length;) {
    if (fsy_cancelled(t->ring)) return -ECANCELED;
    int64_t bytes = length - done < FSY_IO_BYTES ? length - done : FSY_IO_BYTES;
    int status = fsy_pwrite_full(fd, io->at, bytes, offset + done);
    if (status) return status;
    done += bytes;
  }
  return 0;
}

/* A hole in the source where the target may have old data. */
static int make_hole(fsy_flow *f, int64_t offset, int64_t length) {
  return f->basis && length > 0 ? fsy_make_hole(f->job->task, f->target, offset, length) : 0;
}

int fsy_flow_sparse(fsy_flow *f, int64_t offset, int64_t length, bool compare) {
  int64_t end = offset + length;
  while (offset < end) {
    if (fsy_cancelled(f->job->task->ring)) return -ECANCELED;
    off_t data = FSY_TRY(seek_data, lseek(f->source, offset, SEEK_DATA));
    if (data < 0 && errno == ENXIO) return make_hole(f, offset, end - offset);
    if (data < 0 && offset == end - length && errno == EINVAL) /* the filesystem cannot tell */
      return compare ? fsy_flow_delta(f, offset, length) : fsy_flow_range(f, offset, length);
    if (data < 0) {
      f->stage = FSY_STAGE_READ;
      return -errno;
    }
    if (data > end) data = end;
    int status = make_hole(f, offset, data - offset);
    if (status) return status;
    if (data == end) return 0;
    off_t hole = FSY_TRY(seek_data, lseek(f->source, data, SEEK_HOLE));
    if (hole < 0 && errno == ENXIO) { /* truncated meanwhile: the caller's check finds out */
      f->ended = true;
      return 0;
    }
    if (hole < 0) {
      f->stage = FSY_STAGE_READ;
      return -errno;
    }
    if (hole > end) hole = end;
    status = compare ? fsy_flow_delta(f, data, hole - data) : fsy_flow_range(f, data, hole - data);
    if (status || f->ended) return status;
    offset = hole;
  }
  return 0;
}

/* Where data begins, at most `size`; -1: the filesystem cannot tell. */
static int64_t data_from(int fd, int64_t at, int64_t size) {
  off_t data = lseek(fd, at, SEEK_DATA);
  if (data < 0) return errno == ENXIO ? size : -1;
  return data < size ? data : size;
}

int fsy_verify(fsy_task *t, int source, int target, int64_t size, bool readback) {
  if (readback) {
    if (FSY_TRY(sync_data, fdatasync(target)) < 0) return -errno;
    (void)posix_fadvise(target, 0, 0, POSIX_FADV_DONTNEED);
  }
  struct stat st;
  if (fstat(target, &st) < 0) return -errno;
  if (st.st_size != size) return -EBADMSG;
  fsy_buffer *io = &t->worker->io;
  const int64_t half = FSY_IO_BYTES / 2;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  for (int64_t at = 0; at < size;) {
    if (fsy_cancelled(t->ring)) return -ECANCELED;
    /* both read as zeros up to the nearer data: skip. Where the source has data the target is not asked: see is_bare */
    int64_t next = data_from(source, at, size);
    if (next > at) {
      int64_t theirs = data_from(target, at, size);
      if (theirs < next) next = theirs;
    }
    if (next > at) {
      at = next;
      continue;
    }
    /* data: compare a stretch before asking again */
    for (int64_t stop = at + FSY_SLICE_BYTES; at < size && at < stop;) {
      int64_t bytes = size - at < half ? size - at : half;
      int64_t a = fsy_pread_full(source, io->at, bytes, at);
      int64_t b = fsy_pread_full(target, io->at + half, bytes, at);
      if (a < 0 || b < 0) return (int)(a < 0 ? a : b);
      int error = FSY_FAULT(verify);
      if (error || a != bytes || b != bytes || memcmp(io->at, io->at + half, (size_t)bytes) != 0) return -EBADMSG;
      at += bytes;
    }
  }
  return 0;
}
