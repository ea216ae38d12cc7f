/* Loops over all rows of a listing, for the thread that owns the ring.
 *
 *   kinds   what there is among the rows, so that nobody looks for what is not there
 *   match   a source's listing held against its target's
 *   pack    rows as the columns of a manifest
 *   unpack  the columns of a manifest as rows
 *   check   whether rows that came from a peer may be believed
 *
 * TypeScript has the same loops; these are there because a run is over before a compiler has seen theirs often enough.
 * What is refused here is refused without a reason: TypeScript then goes over it and finds the words.
 */
#include "internal.h"

#define SAFE_INTEGER 9007199254740991.0
#define ERRNO_MAX 4095
#define KNOWN_FLAGS (FSY_ROW_SPARSE | FSY_ROW_SKIP | FSY_ROW_MOUNT | FSY_ROW_ATTR_FAILED | FSY_ROW_IMMUTABLE)

static const char ours[] = ".fastsync.";

/* A listing's columns that these loops look at. */
typedef struct columns {
  uint32_t rows;
  const double *size, *mtime_sec;
  const uint32_t *mtime_nsec, *mode, *uid, *gid, *nlink, *rdev, *attr_lo, *attr_hi;
  const uint32_t *name_at, *name_len, *link_at, *link_len, *flags, *status;
} columns;

static columns columns_of(const fsy_view *v) {
  return (columns){
      .rows = v->rows,
      .size = fsy_f64(v, FSY_F64_SIZE),
      .mtime_sec = fsy_f64(v, FSY_F64_MTIME_SEC),
      .mtime_nsec = fsy_u32(v, FSY_U32_MTIME_NSEC),
      .mode = fsy_u32(v, FSY_U32_MODE),
      .uid = fsy_u32(v, FSY_U32_UID),
      .gid = fsy_u32(v, FSY_U32_GID),
      .nlink = fsy_u32(v, FSY_U32_NLINK),
      .rdev = fsy_u32(v, FSY_U32_RDEV),
      .attr_lo = fsy_u32(v, FSY_U32_ATTR_LO),
      .attr_hi = fsy_u32(v, FSY_U32_ATTR_HI),
      .name_at = fsy_u32(v, FSY_U32_NAME_AT),
      .name_len = fsy_u32(v, FSY_U32_NAME_LEN),
      .link_at = fsy_u32(v, FSY_U32_LINK_AT),
      .link_len = fsy_u32(v, FSY_U32_LINK_LEN),
      .flags = fsy_u32(v, FSY_U32_FLAGS),
      .status = fsy_u32(v, FSY_U32_STATUS),
  };
}

static int in_order(const char *a, uint32_t a_length, const char *b, uint32_t b_length) {
  int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
  if (order) return order;
  return a_length < b_length ? -1 : a_length > b_length;
}

/* ---- kinds -------------------------------------------------------------------------------------------------------- */

static uint32_t kind_of(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return 0;
    case S_IFDIR: return FSY_KIND_DIRECTORY;
    case S_IFLNK: return FSY_KIND_SYMLINK;
    default: return FSY_KIND_SPECIAL;
  }
}

static bool is_far(double seconds) { return seconds < 0 || seconds > INT32_MAX; }

uint32_t fsy_kinds(const fsy_view *view) {
  columns c = columns_of(view);
  uint32_t self = c.rows - 1, kinds = FSY_KIND_KNOWN;
  if (is_far(c.mtime_sec[self])) kinds |= FSY_KIND_FAR_TIMES;
  for (uint32_t row = 0; row < self; row++) {
    kinds |= kind_of(c.mode[row]);
    if (is_far(c.mtime_sec[row])) kinds |= FSY_KIND_FAR_TIMES;
    if (c.status[row] || (c.flags[row] & FSY_ROW_ATTR_FAILED)) kinds |= FSY_KIND_FAILED;
    if (c.flags[row] & FSY_ROW_SKIP) kinds |= FSY_KIND_SKIPPED;
    if (c.nlink[row] > 1 && (c.mode[row] & S_IFMT) != S_IFDIR) kinds |= FSY_KIND_LINKED;
    if (c.uid[row] != c.uid[self] || c.gid[row] != c.gid[self]) kinds |= FSY_KIND_OWNERS;
    const char *name = fsy_text_at(view, c.name_at[row], c.name_len[row]);
    if (!name || strncmp(name, ours, sizeof(ours) - 1) == 0) kinds |= FSY_KIND_OURS;
  }
  return kinds;
}

/* ---- match -------------------------------------------------------------------------------------------------------- */

static bool same_link(const fsy_view *a, const columns *x, uint32_t i, const fsy_view *b, const columns *y, uint32_t k) {
  if (x->link_len[i] != y->link_len[k] || !x->link_at[i] || !y->link_at[k]) return false;
  const char *one = fsy_text_at(a, x->link_at[i], x->link_len[i]), *two = fsy_text_at(b, y->link_at[k], y->link_len[k]);
  return one && two && memcmp(one, two, x->link_len[i]) == 0;
}

static bool is_alike(const fsy_view *a, const columns *x, uint32_t i, const fsy_view *b, const columns *y, uint32_t k) {
  uint32_t type = x->mode[i] & S_IFMT;
  if (x->status[i] || y->status[k] || type == S_IFDIR) return false;
  if ((x->flags[i] & (FSY_ROW_SKIP | FSY_ROW_ATTR_FAILED)) || (y->flags[k] & FSY_ROW_ATTR_FAILED)) return false;
  if (x->mode[i] != y->mode[k] || x->mtime_sec[i] != y->mtime_sec[k] || x->mtime_nsec[i] != y->mtime_nsec[k]) return false;
  if (x->uid[i] != y->uid[k] || x->gid[i] != y->gid[k] || x->rdev[i] != y->rdev[k]) return false;
  if (x->attr_lo[i] != y->attr_lo[k] || x->attr_hi[i] != y->attr_hi[k]) return false;
  if (type == S_IFLNK) return same_link(a, x, i, b, y, k);
  return x->size[i] == y->size[k];
}

FSY_API int32_t fsy_rows_match(fsy_ring *ring, uint32_t source, uint32_t target, int32_t *target_rows, uint8_t *alike) {
  fsy_view a, b;
  if (!target_rows || !alike || fsy_view_at(ring, source, &a) || fsy_view_at(ring, target, &b)) return -EINVAL;
  columns x = columns_of(&a), y = columns_of(&b);
  uint32_t k = 0;
  int32_t count = 0;
  for (uint32_t i = 0; i + 1 < x.rows; i++) {
    const char *name = fsy_text_at(&a, x.name_at[i], x.name_len[i]);
    if (!name) return -EINVAL;
    target_rows[i] = -1;
    alike[i] = 0;
    for (; k + 1 < y.rows; k++) {
      const char *other = fsy_text_at(&b, y.name_at[k], y.name_len[k]);
      if (!other) return -EINVAL;
      int order = in_order(other, y.name_len[k], name, x.name_len[i]);
      if (order > 0) break;
      if (order < 0) continue;
      target_rows[i] = (int32_t)k;
      if (is_alike(&a, &x, i, &b, &y, k)) alike[i] = 1, count++;
      k++;
      break;
    }
  }
  return count;
}

/* ---- pack --------------------------------------------------------------------------------------------------------- */

typedef struct packer {
  uint8_t *out;
  uint32_t room, used;
  uint32_t *lengths;
  bool full;
} packer;

static uint8_t *packed(packer *p, uint32_t column, uint64_t bytes) {
  if (p->full || bytes > p->room - p->used) {
    p->full = true;
    return NULL;
  }
  uint8_t *at = p->out + p->used;
  p->lengths[column] = (uint32_t)bytes;
  p->used += (uint32_t)bytes;
  return at;
}

/* All values, or the only one, or nothing where all are zero. `width` of the values, 4 or 8. */
static void pack_values(packer *p, uint32_t column, const void *values, uint32_t n, uint32_t width) {
  static const uint8_t zero[8];
  const uint8_t *v = values;
  bool uniform = n < 2 || memcmp(v, v + width, (size_t)(n - 1) * width) == 0; /* each equals the next */
  uint64_t bytes = !uniform ? (uint64_t)n * width : memcmp(v, zero, width) ? width : 0;
  uint8_t *to = packed(p, column, bytes);
  if (to) memcpy(to, v, bytes);
}

/* The same, of numbers that fit into one byte or two. */
static void pack_narrow(packer *p, uint32_t column, const uint32_t *values, uint32_t n, uint32_t width) {
  bool uniform = n < 2 || memcmp(values, values + 1, (size_t)(n - 1) * 4) == 0;
  uint32_t kept = !uniform ? n : values[0] ? 1 : 0;
  uint8_t *to = packed(p, column, (uint64_t)kept * width);
  if (!to) return;
  for (uint32_t i = 0; i < kept; i++) {
    to[i * width] = (uint8_t)values[i];
    if (width == 2) to[i * 2 + 1] = (uint8_t)(values[i] >> 8);
  }
}

static void pack_pairs(packer *p, uint32_t column, const uint32_t *low, const uint32_t *high, uint32_t n) {
  uint32_t any = 0;
  for (uint32_t i = 0; i < n; i++) any |= low[i] | high[i];
  uint8_t *to = packed(p, column, any ? (uint64_t)n * 8 : 0);
  if (!to || !any) return;
  for (uint32_t i = 0; i < n; i++) {
    memcpy(to + (size_t)i * 8, &low[i], 4);
    memcpy(to + (size_t)i * 8 + 4, &high[i], 4);
  }
}

static int pack_texts(packer *p, uint32_t column, const fsy_view *v, const uint32_t *at, const uint32_t *length, uint32_t n) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < n; i++) bytes += length[i] ? (uint64_t)length[i] + 1 : 0;
  uint8_t *to = packed(p, column, bytes);
  if (!to) return 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!length[i]) continue;
    const char *text = fsy_text_at(v, at[i], length[i]);
    if (!text) return -EINVAL;
    memcpy(to, text, (size_t)length[i] + 1);
    to += length[i] + 1;
  }
  return 0;
}

FSY_API int32_t fsy_rows_pack(fsy_ring *ring, uint32_t batch, uint32_t from, uint32_t to, uint32_t flags, uint8_t *out,
                              uint32_t room, uint32_t *lengths) {
  fsy_view v;
  if (!out || !lengths || fsy_view_at(ring, batch, &v) || from >= to || to > v.rows || room > INT32_MAX) return -EINVAL;
  columns c = columns_of(&v);
  uint32_t n = to - from;
  memset(lengths, 0, FSY_PACK_COLUMNS * sizeof(*lengths));
  bool inodes = flags & FSY_PACK_WITH_INODES, links = false;
  for (uint32_t row = from; row < to; row++) {
    if (c.nlink[row] > 1 && (c.mode[row] & S_IFMT) != S_IFDIR) inodes = true;
    if (c.link_len[row]) links = true;
    if (c.name_len[row] > UINT16_MAX || c.link_len[row] > UINT16_MAX || c.flags[row] > UINT8_MAX) return -EINVAL;
  }
  packer p = {out, room, 0, lengths, false};
  int status = pack_texts(&p, FSY_PACK_NAMES, &v, c.name_at + from, c.name_len + from, n);
  pack_narrow(&p, FSY_PACK_NAME_LENGTHS, c.name_len + from, n, 2);
  pack_values(&p, FSY_PACK_MODES, c.mode + from, n, 4);
  pack_values(&p, FSY_PACK_SIZES, c.size + from, n, 8);
  pack_values(&p, FSY_PACK_MTIME_SECONDS, c.mtime_sec + from, n, 8);
  pack_values(&p, FSY_PACK_MTIME_NANOS, c.mtime_nsec + from, n, 4);
  pack_values(&p, FSY_PACK_UIDS, c.uid + from, n, 4);
  pack_values(&p, FSY_PACK_GIDS, c.gid + from, n, 4);
  pack_values(&p, FSY_PACK_RDEVS, c.rdev + from, n, 4);
  pack_values(&p, FSY_PACK_NLINKS, c.nlink + from, n, 4);
  pack_values(&p, FSY_PACK_DEVS, fsy_u32(&v, FSY_U32_DEV) + from, n, 4);
  pack_narrow(&p, FSY_PACK_FLAGS, c.flags + from, n, 1);
  pack_values(&p, FSY_PACK_STATUSES, c.status + from, n, 4);
  pack_pairs(&p, FSY_PACK_ATTRIBUTES, c.attr_lo + from, c.attr_hi + from, n);
  if (inodes) pack_pairs(&p, FSY_PACK_INODES, fsy_u32(&v, FSY_U32_INO_LO) + from, fsy_u32(&v, FSY_U32_INO_HI) + from, n);
  if (links) {
    pack_narrow(&p, FSY_PACK_LINK_LENGTHS, c.link_len + from, n, 2);
    if (!status) status = pack_texts(&p, FSY_PACK_LINKS, &v, c.link_at + from, c.link_len + from, n);
  }
  return status ? status : p.full ? -ENOSPC : (int32_t)p.used;
}

/* ---- unpack ------------------------------------------------------------------------------------------------------- */

typedef struct packed_column {
  const uint8_t *at;
  uint32_t bytes;
} packed_column;

static bool spread(void *to, packed_column from, uint32_t rows, uint32_t width) {
  if (from.bytes == 0) return true;
  if (from.bytes == (uint64_t)rows * width) memcpy(to, from.at, from.bytes);
  else if (from.bytes != width) return false;
  else
    for (uint32_t i = 0; i < rows; i++) memcpy((uint8_t *)to + (size_t)i * width, from.at, width);
  return true;
}

static bool spread_narrow(uint32_t *to, packed_column from, uint32_t rows, uint32_t width) {
  if (from.bytes == 0) return true;
  bool single = from.bytes == width;
  if (!single && from.bytes != (uint64_t)rows * width) return false;
  for (uint32_t i = 0; i < rows; i++) {
    const uint8_t *value = from.at + (single ? 0 : (size_t)i * width);
    to[i] = width == 1 ? value[0] : value[0] | (uint32_t)value[1] << 8;
  }
  return true;
}

static bool spread_pairs(uint32_t *low, uint32_t *high, packed_column from, uint32_t rows) {
  if (from.bytes == 0) return true;
  if (from.bytes != (uint64_t)rows * 8) return false;
  for (uint32_t i = 0; i < rows; i++) {
    memcpy(&low[i], from.at + (size_t)i * 8, 4);
    memcpy(&high[i], from.at + (size_t)i * 8 + 4, 4);
  }
  return true;
}

/* Copies the texts as they are and notes where each begins. */
static bool place_texts(const fsy_view *v, uint32_t *at, const uint32_t *length, packed_column texts, uint32_t rows,
                        uint32_t text_at) {
  uint64_t used = 0;
  for (uint32_t i = 0; i < rows; i++) {
    if (!length[i]) continue;
    at[i] = (uint32_t)(text_at + used);
    used += (uint64_t)length[i] + 1;
    if (used > texts.bytes) return false;
  }
  if (used != texts.bytes) return false;
  if (used) memcpy((uint8_t *)v->batch + text_at, texts.at, texts.bytes);
  return true;
}

FSY_API int32_t fsy_rows_unpack(fsy_ring *ring, uint32_t batch, uint32_t from, uint32_t rows, uint32_t text_at,
                                const uint8_t *base, uint32_t base_bytes, const uint32_t *table) {
  fsy_view v;
  if (!base || !table || fsy_view_at(ring, batch, &v) || rows == 0 || from >= v.rows || rows > v.rows - from) return -EINVAL;
  packed_column c[FSY_PACK_COLUMNS];
  for (uint32_t i = 0; i < FSY_PACK_COLUMNS; i++) {
    uint32_t at = table[2 * i], bytes = table[2 * i + 1];
    if (bytes && (at > base_bytes || bytes > base_bytes - at)) return -EINVAL;
    c[i] = (packed_column){bytes ? base + at : base, bytes};
  }
  uint64_t texts = (uint64_t)c[FSY_PACK_NAMES].bytes + c[FSY_PACK_LINKS].bytes;
  uint64_t fixed = sizeof(fsy_batch) + (uint64_t)v.rows * (FSY_F64_COLUMNS * 8u + FSY_U32_COLUMNS * 4u);
  if (text_at < fixed || text_at + texts > v.batch->total_bytes) return -EINVAL;
#define COLUMN(name) (fsy_u32(&v, FSY_U32_##name) + from)
  bool ok = spread(fsy_f64(&v, FSY_F64_SIZE) + from, c[FSY_PACK_SIZES], rows, 8) &&
            spread(fsy_f64(&v, FSY_F64_MTIME_SEC) + from, c[FSY_PACK_MTIME_SECONDS], rows, 8) &&
            spread(COLUMN(MTIME_NSEC), c[FSY_PACK_MTIME_NANOS], rows, 4) &&
            spread(COLUMN(MODE), c[FSY_PACK_MODES], rows, 4) && spread(COLUMN(UID), c[FSY_PACK_UIDS], rows, 4) &&
            spread(COLUMN(GID), c[FSY_PACK_GIDS], rows, 4) && spread(COLUMN(RDEV), c[FSY_PACK_RDEVS], rows, 4) &&
            spread(COLUMN(NLINK), c[FSY_PACK_NLINKS], rows, 4) && spread(COLUMN(DEV), c[FSY_PACK_DEVS], rows, 4) &&
            spread(COLUMN(STATUS), c[FSY_PACK_STATUSES], rows, 4) &&
            spread_narrow(COLUMN(FLAGS), c[FSY_PACK_FLAGS], rows, 1) &&
            spread_narrow(COLUMN(NAME_LEN), c[FSY_PACK_NAME_LENGTHS], rows, 2) &&
            spread_narrow(COLUMN(LINK_LEN), c[FSY_PACK_LINK_LENGTHS], rows, 2) &&
            spread_pairs(COLUMN(ATTR_LO), COLUMN(ATTR_HI), c[FSY_PACK_ATTRIBUTES], rows) &&
            spread_pairs(COLUMN(INO_LO), COLUMN(INO_HI), c[FSY_PACK_INODES], rows) &&
            place_texts(&v, COLUMN(NAME_AT), COLUMN(NAME_LEN), c[FSY_PACK_NAMES], rows, text_at) &&
            place_texts(&v, COLUMN(LINK_AT), COLUMN(LINK_LEN), c[FSY_PACK_LINKS], rows,
                        text_at + c[FSY_PACK_NAMES].bytes);
#undef COLUMN
  return ok ? 0 : -EINVAL;
}

/* ---- check -------------------------------------------------------------------------------------------------------- */

static bool is_whole(double value) {
  return value >= -SAFE_INTEGER && value <= SAFE_INTEGER && (double)(int64_t)value == value;
}

static bool check_numbers(const columns *c, uint32_t row) {
  int32_t status = (int32_t)c->status[row];
  return is_whole(c->size[row]) && c->size[row] >= 0 && is_whole(c->mtime_sec[row]) &&
         c->mtime_nsec[row] <= 999999999u && status <= 0 && status >= -ERRNO_MAX && !(c->flags[row] & ~KNOWN_FLAGS) &&
         !(c->mode[row] >> 16);
}

static bool check_name(const fsy_view *v, const columns *c, uint32_t row) {
  const char *name = fsy_text_at(v, c->name_at[row], c->name_len[row]);
  if (!name || !fsy_name_ok(name, c->name_len[row])) return false;
  if (row == 0) return true;
  const char *before = fsy_text_at(v, c->name_at[row - 1], c->name_len[row - 1]);
  return before && in_order(before, c->name_len[row - 1], name, c->name_len[row]) < 0;
}

static bool check_link(const fsy_view *v, const columns *c, uint32_t row) {
  uint32_t length = c->link_len[row];
  if ((c->mode[row] & S_IFMT) != S_IFLNK) return length == 0;
  if (length == 0) return c->status[row] != 0; /* it could not be read */
  const char *text = fsy_text_at(v, c->link_at[row], length);
  return text && length < FSY_LINK_MAX && !memchr(text, 0, length);
}

/* What the receiving side does not take. False: no type that there is. */
static bool apply_policy(const fsy_view *v, const columns *c, uint32_t row, uint32_t flags) {
  uint32_t *row_flags = &fsy_u32(v, FSY_U32_FLAGS)[row];
  switch (c->mode[row] & S_IFMT) {
    case S_IFREG:
      if (flags & FSY_CHECK_STRIP_SETID) fsy_u32(v, FSY_U32_MODE)[row] &= ~06000u;
      return true;
    case S_IFDIR:
    case S_IFLNK: return true;
    case S_IFIFO:
    case S_IFSOCK:
      if (!(flags & FSY_CHECK_SPECIALS)) *row_flags |= FSY_ROW_SKIP;
      return true;
    case S_IFCHR:
    case S_IFBLK:
      if (!(flags & FSY_CHECK_DEVICES)) *row_flags |= FSY_ROW_SKIP;
      return true;
    default: return c->status[row] != 0;
  }
}

FSY_API int32_t fsy_rows_check(fsy_ring *ring, uint32_t batch, uint32_t flags) {
  fsy_view v;
  if (fsy_view_at(ring, batch, &v)) return -EINVAL;
  columns c = columns_of(&v);
  uint32_t self = c.rows - 1;
  const char *dot = fsy_text_at(&v, c.name_at[self], c.name_len[self]);
  if (!dot || c.name_len[self] != 1 || dot[0] != '.') return -EINVAL;
  if (c.status[self] == 0 && (c.mode[self] & S_IFMT) != S_IFDIR) return -EINVAL;
  for (uint32_t row = 0; row < c.rows; row++) {
    if (row < self && !check_name(&v, &c, row)) return -EINVAL;
    if (!check_numbers(&c, row) || !check_link(&v, &c, row) || !apply_policy(&v, &c, row, flags)) return -EINVAL;
  }
  v.batch->kinds = fsy_kinds(&v);
  return 0;
}
