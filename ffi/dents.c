/* The names of a directory: from the records of getdents64 to a list in order.
 *
 *   take   (d_type, name) of each record behind the others, names as bytes with a NUL each
 *   sort   by name: eight leading bytes as a big-endian number first, memcmp for ties; a name that came twice stays once
 *
 * Records come from the kernel, names from a filesystem that may be broken or hostile (FUSE): nothing is read beyond the
 * bytes that came, and what cannot be a name is not taken for one. */
#include "internal.h"

#include <stdlib.h>

#define TEXT_GUESS 32u /* bytes of an average link text */
#define TYPE_LINK 10   /* DT_LNK */
#define NAME_AT offsetof(struct fsy_dirent, d_name)

static uint64_t key_of(const char *name, size_t length) {
  uint64_t key = 0;
  memcpy(&key, name, length < 8 ? length : 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  key = __builtin_bswap64(key);
#endif
  return key;
}

static int take_name(fsy_worker *w, fsy_listing *l, const char *name, size_t length, uint8_t type) {
  if (l->count == FSY_MAX_ROWS || l->used > UINT32_MAX - 512u) return -E2BIG;
  if (!fsy_reserve(&w->scratch, l->used + length + 1) ||
      !fsy_reserve(&w->order, ((size_t)l->count + 1) * 2 * sizeof(fsy_found)))
    return -ENOMEM;
  fsy_found *f = (fsy_found *)(void *)w->order.at + l->count++;
  f->key = key_of(name, length);
  f->at = (uint32_t)l->used;
  f->length = (uint16_t)length;
  f->type = type;
  memcpy(w->scratch.at + l->used, name, length);
  w->scratch.at[l->used + length] = 0;
  l->used += length + 1;
  l->text_bytes += length + 1 + (type == TYPE_LINK ? TEXT_GUESS : 0);
  return 0;
}

bool fsy_dents_take(fsy_worker *w, fsy_listing *l, const uint8_t *records, size_t bytes) {
  for (size_t at = 0, step; at < bytes; at += step) {
    const uint8_t *record = records + at;
    uint16_t record_bytes = 0;
    if (bytes - at > NAME_AT) memcpy(&record_bytes, record + offsetof(struct fsy_dirent, d_reclen), sizeof(record_bytes));
    step = record_bytes;
    if (step <= NAME_AT || step > bytes - at) {
      l->status = -EIO;
      return false;
    }
    const char *name = (const char *)record + NAME_AT;
    size_t length = strnlen(name, step - NAME_AT);
    if (length > 0 && name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'))) continue;
    if (!fsy_name_ok(name, length)) {
      l->status = -EIO;
      continue;
    }
    int status = take_name(w, l, name, length, record[offsetof(struct fsy_dirent, d_type)]);
    if (status) {
      l->status = status;
      return false;
    }
  }
  return true;
}

static inline int order_of(const char *names, const fsy_found *a, const fsy_found *b) {
  if (a->key != b->key) return a->key < b->key ? -1 : 1;
  size_t shorter = a->length < b->length ? a->length : b->length;
  int order = shorter > 8 ? memcmp(names + a->at + 8, names + b->at + 8, shorter - 8) : 0;
  return order ? order : (int)a->length - (int)b->length;
}

static inline bool before(const char *names, const fsy_found *a, const fsy_found *b) { return order_of(names, a, b) < 0; }

/* Merge sort over runs of 16 made by insertion; `spare` has room for n. Returns the array that holds the result. */
static fsy_found *sort(const char *names, fsy_found *list, fsy_found *spare, uint32_t n) {
  for (uint32_t from = 0; from < n; from += 16) {
    uint32_t to = from + 16 < n ? from + 16 : n;
    for (uint32_t i = from + 1; i < to; i++) {
      fsy_found moving = list[i];
      uint32_t k = i;
      for (; k > from && before(names, &moving, &list[k - 1]); k--) list[k] = list[k - 1];
      list[k] = moving;
    }
  }
  for (uint32_t width = 16; width < n; width *= 2) {
    for (uint32_t from = 0; from < n; from += 2 * width) {
      uint32_t middle = n - from > width ? from + width : n;
      uint32_t to = n - from > 2 * width ? from + 2 * width : n;
      uint32_t a = from, b = middle, out = from;
      if (middle < to && !before(names, &list[middle], &list[middle - 1])) { /* in order already */
        memcpy(spare + from, list + from, (to - from) * sizeof(fsy_found));
        continue;
      }
      while (a < middle && b < to) spare[out++] = before(names, &list[b], &list[a]) ? list[b++] : list[a++];
      while (a < middle) spare[out++] = list[a++];
      while (b < to) spare[out++] = list[b++];
    }
    fsy_found *swap = list;
    list = spare;
    spare = swap;
  }
  return list;
}

const fsy_found *fsy_dents_sort(fsy_worker *w, fsy_listing *l) {
  if (l->count == 0) return NULL;
  const char *names = (const char *)w->scratch.at;
  fsy_found *list = (fsy_found *)(void *)w->order.at;
  list = sort(names, list, list + l->count, l->count);
  uint32_t kept = 1;
  for (uint32_t i = 1; i < l->count; i++)
    if (order_of(names, &list[kept - 1], &list[i]) != 0) list[kept++] = list[i];
  l->count = kept;
  return list;
}
