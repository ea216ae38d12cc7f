/* Digests of files: XXH3-128 or SHA-256, with the same re-check after reading as copying. */
#include "internal.h"

#include <stdlib.h>

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wconversion"
#pragma clang diagnostic ignored "-Wshadow"
#pragma clang diagnostic ignored "-Wsign-conversion"
#pragma clang diagnostic ignored "-Wunused-function"
#elif defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define XXH_INLINE_ALL
#include "xxhash.h"
#if defined(__clang__)
#pragma clang diagnostic pop
#elif defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#define DIGEST_BYTES 32u

uint64_t fsy_xxh3(const void *data, size_t bytes) { return XXH3_64bits(data, bytes); }

_Static_assert(sizeof(fsy_hasher) >= sizeof(XXH3_state_t) && _Alignof(fsy_hasher) >= 64, "room for the state");

static XXH3_state_t *state_of(fsy_hasher *h) { return (XXH3_state_t *)(void *)h->state; }

static void put_canonical(uint8_t digest[16], XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  memcpy(digest, canonical.digest, sizeof(canonical.digest));
}

void fsy_hasher_open(fsy_hasher *h) { (void)XXH3_128bits_reset(state_of(h)); }

void fsy_hasher_add(fsy_hasher *h, const void *data, size_t bytes) {
  (void)XXH3_128bits_update(state_of(h), data, bytes);
}

void fsy_hasher_zeros(fsy_hasher *h, int64_t bytes) {
  static const uint8_t zeros[4096];
  for (; bytes > 0; bytes -= (int64_t)sizeof(zeros))
    fsy_hasher_add(h, zeros, bytes < (int64_t)sizeof(zeros) ? (size_t)bytes : sizeof(zeros));
}

void fsy_hasher_close(fsy_hasher *h, uint8_t digest[16]) { put_canonical(digest, XXH3_128bits_digest(state_of(h))); }

void fsy_xxh128(const void *data, size_t bytes, uint8_t digest[16]) { put_canonical(digest, XXH3_128bits(data, bytes)); }

int fsy_hash_range(fsy_task *t, int fd, int64_t offset, int64_t length, uint8_t digest[16]) {
  fsy_buffer *io = &t->worker->io;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  fsy_hasher h;
  fsy_hasher_open(&h);
  while (length > 0) {
    if (fsy_cancelled(t->ring)) return -ECANCELED;
    int64_t bytes = length < FSY_IO_BYTES ? length : FSY_IO_BYTES;
    int64_t got = fsy_pread_full(fd, io->at, bytes, offset);
    if (got < 0) return (int)got;
    if (got != bytes) return -EBADMSG;
    fsy_hasher_add(&h, io->at, (size_t)got);
    offset += got;
    length -= got;
  }
  fsy_hasher_close(&h, digest);
  return 0;
}

int fsy_op_hash_blocks(fsy_task *t) {
  const fsy_sqe *q = &t->sqe;
  if (!(q->offset >= 0 && q->length >= 0 && q->offset + q->length < 9007199254740992.0) || q->extra == 0) return -EINVAL;
  int64_t offset = (int64_t)q->offset, left = (int64_t)q->length;
  if ((left + q->extra - 1) / q->extra != q->count) return -EINVAL;
  uint8_t *digests = fsy_at(t->ring, q->results, (uint64_t)q->count * 16);
  if (!digests) return -EINVAL;
  for (uint32_t i = 0; i < q->count; i++) {
    int64_t bytes = left < q->extra ? left : q->extra;
    int status = fsy_hash_range(t, q->fd0, offset, bytes, digests + (size_t)i * 16);
    if (status) return status;
    offset += bytes;
    left -= bytes;
  }
  t->cqe.count = q->count;
  return 0;
}

static int hash_pass(fsy_job *j, int fd, bool sha, uint8_t digest[DIGEST_BYTES], int64_t *total) {
  fsy_buffer *io = &j->task->worker->io;
  if (!fsy_reserve(io, FSY_IO_BYTES)) return -ENOMEM;
  _Alignas(64) XXH3_state_t xxh;
  fsy_sha256 s;
  fsy_sha256_open(&s, j->task->ring->sha_fast);
  if (XXH3_128bits_reset(&xxh) != XXH_OK) return -ENOMEM;
  *total = 0;
  for (;;) {
    if (fsy_cancelled(j->task->ring)) return -ECANCELED;
    int64_t got = fsy_pread_full(fd, io->at, FSY_IO_BYTES, *total);
    if (got < 0) return (int)got;
    if (sha) fsy_sha256_add(&s, io->at, (size_t)got);
    else (void)XXH3_128bits_update(&xxh, io->at, (size_t)got);
    *total += got;
    if (got < FSY_IO_BYTES) break;
  }
  memset(digest, 0, DIGEST_BYTES);
  if (sha) fsy_sha256_close(&s, digest);
  else {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&xxh));
    memcpy(digest, canonical.digest, sizeof(canonical.digest));
  }
  return 0;
}

static int hash_entry(fsy_job *j, const fsy_entry *row, const char *name, bool exists, fsy_result *r) {
  (void)name;
  (void)exists;
  const fsy_sqe *q = &j->task->sqe;
  fsy_result *results = fsy_at(j->task->ring, q->results, 1);
  uint8_t *digest = (uint8_t *)(results + q->count) + (size_t)(r - results) * DIGEST_BYTES;
  if (!S_ISREG(row->mode)) return fsy_fail(r, -EINVAL, FSY_STAGE_OPEN_SOURCE);
  int fd = fsy_open_source(j, row->name, j->opt.flags & FSY_OPT_FOLLOW);
  if (fd < 0) return fsy_fail(r, fd, FSY_STAGE_OPEN_SOURCE);
  fsy_entry want = *row;
  int status = 0;
  for (int pass = 0;; pass++) {
    int64_t total = 0;
    status = hash_pass(j, fd, q->extra == FSY_HASH_SHA256, digest, &total);
    struct stat st;
    if (!status && fstat(fd, &st) < 0) status = -errno;
    if (status) {
      fsy_fail(r, status, FSY_STAGE_READ);
      break;
    }
    r->size = (double)total;
    r->bytes = (double)total;
    if (total == want.size && fsy_entry_same(&want, &st)) {
      if (pass) r->flags |= FSY_ITEM_RETRIED;
      break;
    }
    if (pass || !S_ISREG(st.st_mode)) {
      r->flags |= FSY_ITEM_CHANGED;
      status = fsy_fail(r, -EBUSY, FSY_STAGE_READ);
      break;
    }
    fsy_entry_from_stat(&want, &st);
  }
  close(fd);
  return status;
}

int fsy_op_hash(fsy_task *t) {
  if (t->sqe.extra > FSY_HASH_SHA256) return -EINVAL;
  fsy_job job;
  t->sqe.fd1 = t->sqe.fd2 = t->sqe.fd3 = FSY_NO_FD;
  t->sqe.path = 0;
  int status = fsy_job_open(&job, t);
  return status ? status : fsy_for_rows(&job, false, hash_entry);
}
