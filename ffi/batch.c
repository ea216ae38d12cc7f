/* Batches: reading rows that the owner handed in (checked), and building new ones. */
#include "internal.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

static uint64_t columns_bytes(uint64_t rows) { return rows * (FSY_F64_COLUMNS * 8u + FSY_U32_COLUMNS * 4u); }

static void view_columns(fsy_view *view) {
  uint8_t *at = (uint8_t *)view->batch + sizeof(fsy_batch);
  view->f64 = (double *)(void *)at;
  view->u32 = (uint32_t *)(void *)(at + (size_t)view->rows * FSY_F64_COLUMNS * 8u);
}

int fsy_view_at(const fsy_ring *ring, uint32_t at, fsy_view *view) {
  fsy_batch *batch = fsy_at(ring, at, sizeof(fsy_batch));
  if (!batch || at % 8 || batch->magic != FSY_BATCH_MAGIC || batch->count > FSY_MAX_ROWS) return -EINVAL;
  uint64_t need = sizeof(fsy_batch) + columns_bytes((uint64_t)batch->count + 1);
  if (batch->total_bytes < need || !fsy_at(ring, at, batch->total_bytes)) return -EINVAL;
  view->batch = batch;
  view->rows = batch->count + 1;
  view_columns(view);
  return 0;
}

bool fsy_name_ok(const char *name, size_t length) {
  if (length == 0 || length > FSY_NAME_MAX) return false;
  if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'))) return false;
  return !memchr(name, '/', length) && !memchr(name, 0, length);
}

const char *fsy_text_at(const fsy_view *view, uint32_t at, uint32_t length) {
  uint64_t end = (uint64_t)at + length;
  if (at < sizeof(fsy_batch) || end >= view->batch->total_bytes) return NULL;
  const char *text = (const char *)view->batch + at;
  return text[length] == 0 ? text : NULL;
}

int fsy_entry_get(const fsy_view *view, uint32_t row, fsy_entry *entry) {
  if (row >= view->rows) return -EINVAL;
  const uint32_t *u = view->u32 + row;
  size_t n = view->rows;
  memset(entry, 0, sizeof(*entry));
  double size = view->f64[row];
  double seconds = view->f64[n + row];
  if (!(size >= 0 && size < 9007199254740992.0) || !(seconds > -9007199254740992.0 && seconds < 9007199254740992.0))
    return -EINVAL;
  entry->size = (int64_t)size;
  entry->mtime_sec = (int64_t)seconds;
  entry->mtime_nsec = u[FSY_U32_MTIME_NSEC * n];
  if (entry->mtime_nsec > 999999999u) return -EINVAL;
  entry->ctime_sec = u[FSY_U32_CTIME_SEC * n];
  entry->ctime_nsec = u[FSY_U32_CTIME_NSEC * n];
  entry->mode = u[FSY_U32_MODE * n];
  entry->uid = u[FSY_U32_UID * n];
  entry->gid = u[FSY_U32_GID * n];
  entry->nlink = u[FSY_U32_NLINK * n];
  entry->ino = u[FSY_U32_INO_LO * n] | (uint64_t)u[FSY_U32_INO_HI * n] << 32;
  entry->dev = u[FSY_U32_DEV * n];
  entry->rdev = u[FSY_U32_RDEV * n];
  entry->attrs = u[FSY_U32_ATTR_LO * n] | (uint64_t)u[FSY_U32_ATTR_HI * n] << 32;
  entry->flags = u[FSY_U32_FLAGS * n];
  entry->status = (int32_t)u[FSY_U32_STATUS * n];
  entry->link = "";
  if (row == view->batch->count) {
    entry->name = "";
    return 0;
  }
  entry->name_len = u[FSY_U32_NAME_LEN * n];
  entry->name = fsy_text_at(view, u[FSY_U32_NAME_AT * n], entry->name_len);
  if (!entry->name || !fsy_name_ok(entry->name, entry->name_len)) return -EINVAL;
  uint32_t link_at = u[FSY_U32_LINK_AT * n];
  if (link_at) {
    entry->link_len = u[FSY_U32_LINK_LEN * n];
    entry->link = fsy_text_at(view, link_at, entry->link_len);
    if (!entry->link || memchr(entry->link, 0, entry->link_len)) return -EINVAL;
  }
  return 0;
}

void fsy_entry_put(const fsy_view *view, uint32_t row, const fsy_entry *entry) {
  uint32_t *u = view->u32 + row;
  size_t n = view->rows;
  view->f64[row] = (double)entry->size;
  view->f64[n + row] = (double)entry->mtime_sec;
  u[FSY_U32_MTIME_NSEC * n] = entry->mtime_nsec;
  u[FSY_U32_CTIME_SEC * n] = entry->ctime_sec;
  u[FSY_U32_CTIME_NSEC * n] = entry->ctime_nsec;
  u[FSY_U32_MODE * n] = entry->mode;
  u[FSY_U32_UID * n] = entry->uid;
  u[FSY_U32_GID * n] = entry->gid;
  u[FSY_U32_NLINK * n] = entry->nlink;
  u[FSY_U32_INO_LO * n] = (uint32_t)entry->ino;
  u[FSY_U32_INO_HI * n] = (uint32_t)(entry->ino >> 32);
  u[FSY_U32_DEV * n] = entry->dev;
  u[FSY_U32_FLAGS * n] = entry->flags;
}

int fsy_builder_open(fsy_builder *b, fsy_ring *ring, uint32_t count, uint64_t text_bytes) {
  uint64_t fixed = sizeof(fsy_batch) + columns_bytes((uint64_t)count + 1);
  uint64_t bytes = fixed + text_bytes + 2;
  if (count > FSY_MAX_ROWS || bytes >= FSY_ARENA_BYTES) return -E2BIG;
  b->ring = ring;
  b->block = fsy_heap_take(ring->heap, bytes);
  if (!b->block) return -ENOMEM;
  b->room = (uint32_t)bytes;
  b->used = (uint32_t)fixed;
  b->view.batch = (fsy_batch *)(void *)(ring->base + b->block);
  b->view.rows = count + 1;
  memset(b->view.batch, 0, fixed);
  b->view.batch->magic = FSY_BATCH_MAGIC;
  b->view.batch->count = count;
  b->view.batch->dirfd = FSY_NO_FD;
  view_columns(&b->view);
  uint32_t dot = fsy_builder_text(b, ".", 1);
  fsy_u32(&b->view, FSY_U32_NAME_AT)[count] = dot;
  fsy_u32(&b->view, FSY_U32_NAME_LEN)[count] = 1;
  fsy_builder_fail(b, count, -ENOENT);
  return 0;
}

uint32_t fsy_builder_text(fsy_builder *b, const char *text, uint32_t length) {
  uint64_t need = (uint64_t)b->used + length + 1;
  if (need > b->room) {
    uint64_t room = need + need / 4;
    uint32_t block = room < FSY_ARENA_BYTES ? fsy_heap_take(b->ring->heap, room) : 0;
    if (!block) return 0;
    memcpy(b->ring->base + block, b->view.batch, b->used);
    (void)fsy_heap_give(b->ring->heap, b->block);
    b->block = block;
    b->room = (uint32_t)room;
    b->view.batch = (fsy_batch *)(void *)(b->ring->base + block);
    view_columns(&b->view);
  }
  uint32_t at = b->used;
  char *to = (char *)b->view.batch + at;
  memcpy(to, text, length);
  to[length] = 0;
  b->used += length + 1;
  return at;
}

void fsy_builder_stat(const fsy_builder *b, uint32_t row, const struct fsy_statx *st) {
  uint32_t *u = b->view.u32 + row;
  size_t n = b->view.rows;
  b->view.f64[row] = (double)st->stx_size;
  b->view.f64[n + row] = (double)st->stx_mtime.tv_sec;
  u[FSY_U32_MTIME_NSEC * n] = st->stx_mtime.tv_nsec;
  u[FSY_U32_CTIME_SEC * n] = (uint32_t)st->stx_ctime.tv_sec;
  u[FSY_U32_CTIME_NSEC * n] = st->stx_ctime.tv_nsec;
  u[FSY_U32_MODE * n] = st->stx_mode;
  u[FSY_U32_UID * n] = st->stx_uid;
  u[FSY_U32_GID * n] = st->stx_gid;
  u[FSY_U32_NLINK * n] = st->stx_nlink;
  u[FSY_U32_INO_LO * n] = (uint32_t)st->stx_ino;
  u[FSY_U32_INO_HI * n] = (uint32_t)(st->stx_ino >> 32);
  u[FSY_U32_DEV * n] = fsy_dev(st->stx_dev_major, st->stx_dev_minor);
  u[FSY_U32_RDEV * n] = fsy_dev(st->stx_rdev_major, st->stx_rdev_minor);
  uint32_t flags = 0;
  if (S_ISREG(st->stx_mode) && st->stx_blocks * 512 < st->stx_size) flags |= FSY_ROW_SPARSE;
  if (st->stx_attributes & (FSY_STATX_ATTR_IMMUTABLE | FSY_STATX_ATTR_APPEND)) flags |= FSY_ROW_IMMUTABLE;
  if (st->stx_attributes & FSY_STATX_ATTR_MOUNT_ROOT) flags |= FSY_ROW_MOUNT;
  u[FSY_U32_FLAGS * n] = flags;
  u[FSY_U32_STATUS * n] = 0;
}

void fsy_builder_fail(const fsy_builder *b, uint32_t row, int status) {
  fsy_u32(&b->view, FSY_U32_STATUS)[row] = (uint32_t)status;
}

uint32_t fsy_builder_close(fsy_builder *b) {
  b->view.batch->total_bytes = b->used;
  return b->block;
}

uint32_t fsy_dev_of(dev_t dev) { return fsy_dev(major(dev), minor(dev)); }

void fsy_entry_from_stat(fsy_entry *entry, const struct stat *st) {
  entry->size = st->st_size;
  entry->mtime_sec = st->st_mtim.tv_sec;
  entry->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
  entry->ctime_sec = (uint32_t)st->st_ctim.tv_sec;
  entry->ctime_nsec = (uint32_t)st->st_ctim.tv_nsec;
  entry->mode = st->st_mode;
  entry->uid = st->st_uid;
  entry->gid = st->st_gid;
  entry->nlink = (uint32_t)st->st_nlink;
  entry->ino = st->st_ino;
  entry->dev = fsy_dev_of(st->st_dev);
  entry->rdev = fsy_dev_of(st->st_rdev);
  entry->flags = S_ISREG(st->st_mode) && st->st_blocks * 512 < st->st_size ? FSY_ROW_SPARSE : 0;
}

bool fsy_entry_same(const fsy_entry *entry, const struct stat *st) {
  return (entry->mode & S_IFMT) == (st->st_mode & S_IFMT) && entry->size == st->st_size &&
         entry->mtime_sec == st->st_mtim.tv_sec && entry->mtime_nsec == (uint32_t)st->st_mtim.tv_nsec &&
         entry->ctime_sec == (uint32_t)st->st_ctim.tv_sec && entry->ctime_nsec == (uint32_t)st->st_ctim.tv_nsec &&
         entry->ino == st->st_ino;
}
