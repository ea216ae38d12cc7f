/* The columns of a manifest from a peer: unpacked, checked, held against themselves and packed again.
 *
 *   u8 rows - 1 (of at most 64), u8 flags of checking, u8 rows - 1 that are unpacked, u16 bytes of room for texts
 *   for each column: u16 where it begins, u16 its length; the bytes that they are offsets in */
#include "fuzz.h"

enum { ROWS_MOST = 64, TEXT_MOST = 20000, GUARD = 4096, PACKED_MOST = 65536 };

static client c;

static uint32_t blank(uint32_t rows, uint32_t text_bytes, uint32_t *text_at, uint32_t *end) {
  *text_at = (uint32_t)sizeof(fsy_batch) + rows * (FSY_F64_COLUMNS * 8 + FSY_U32_COLUMNS * 4);
  *end = *text_at + text_bytes;
  uint32_t block = fsy_alloc(c.ring, *end + GUARD);
  HOLDS(block);
  fsy_batch *b = at(&c, block);
  memset(b, 0, *end);
  memset((uint8_t *)b + *end, 0xa5, GUARD);
  b->magic = FSY_BATCH_MAGIC;
  b->count = rows - 1;
  b->total_bytes = *end;
  return block;
}

/* Every row that was believed is what the rest of the program relies on. */
static void check_believed(const fsy_batch *b) {
  const char *before = NULL;
  uint32_t before_length = 0;
  for (uint32_t row = 0; row < b->count; row++) {
    uint32_t length = u32(b, FSY_U32_NAME_LEN)[row];
    const char *name = name_of(b, row);
    HOLDS(fsy_name_ok(name, length) && name[length] == 0);
    uint32_t shorter = before_length < length ? before_length : length;
    int order = before ? memcmp(before, name, shorter) : -1;
    HOLDS(order < 0 || (order == 0 && before_length < length));
    before = name;
    before_length = length;
    double size = f64(b, FSY_F64_SIZE)[row];
    HOLDS(size >= 0 && size <= 9007199254740991.0 && size == (double)(int64_t)size);
    HOLDS((int32_t)u32(b, FSY_U32_STATUS)[row] <= 0 && u32(b, FSY_U32_MTIME_NSEC)[row] < 1000000000u);
    uint32_t link = u32(b, FSY_U32_LINK_LEN)[row];
    HOLDS(link < FSY_LINK_MAX && (link == 0 || S_ISLNK(u32(b, FSY_U32_MODE)[row])));
    HOLDS(link == 0 || strlen(link_of(b, row)) == link);
  }
}

/* What was believed once is packed, and read again as the same. */
static void check_again(uint32_t block, uint32_t rows) {
  static uint8_t out[PACKED_MOST];
  static int32_t target_rows[ROWS_MOST];
  static uint8_t alike[ROWS_MOST];
  uint32_t lengths[FSY_PACK_COLUMNS], table[2 * FSY_PACK_COLUMNS], text_at, end;
  int32_t packed = fsy_rows_pack(c.ring, block, 0, rows, FSY_PACK_WITH_INODES, out, sizeof(out), lengths);
  HOLDS(packed >= 0);
  for (uint32_t i = 0, from = 0; i < FSY_PACK_COLUMNS; from += lengths[i++]) {
    table[2 * i] = from;
    table[2 * i + 1] = lengths[i];
  }
  uint32_t copy = blank(rows, lengths[FSY_PACK_NAMES] + lengths[FSY_PACK_LINKS], &text_at, &end);
  HOLDS(fsy_rows_unpack(c.ring, copy, 0, rows, text_at, out, (uint32_t)packed, table) == 0);
  HOLDS(fsy_rows_check(c.ring, copy, FSY_CHECK_DEVICES | FSY_CHECK_SPECIALS) == 0);
  HOLDS(fsy_rows_match(c.ring, block, copy, target_rows, alike) >= 0);
  for (uint32_t i = 0; i + 1 < rows; i++) HOLDS(target_rows[i] == (int32_t)i);
  fsy_free(c.ring, copy);
}

void fuzz_rows(const uint8_t *data, size_t bytes) {
  if (!c.ring) c = client_open(1);
  feed in = {data, bytes};
  uint32_t rows = take8(&in) % ROWS_MOST + 1u, flags = take8(&in) % 8, unpacked = take8(&in) % ROWS_MOST + 1u;
  uint32_t text_bytes = take16(&in) % TEXT_MOST, table[2 * FSY_PACK_COLUMNS], text_at, end;
  for (uint32_t i = 0; i < 2 * FSY_PACK_COLUMNS; i++) table[i] = take16(&in);
  uint8_t *base = take_exact(&in, in.left, &bytes);
  uint32_t block = blank(rows, text_bytes, &text_at, &end);
  uint8_t *b = at(&c, block);
  fuzz_forbid(b + end, GUARD);
  int32_t status = fsy_rows_unpack(c.ring, block, 0, unpacked, text_at, base, (uint32_t)bytes, table);
  HOLDS(status == 0 || status == -EINVAL);
  status = fsy_rows_check(c.ring, block, flags);
  HOLDS(status == 0 || status == -EINVAL);
  if (status == 0) {
    check_believed(batch_of(&c, block));
    check_again(block, rows);
  }
  fuzz_allow(b + end, GUARD);
  for (uint32_t i = 0; i < GUARD; i++) HOLDS(b[end + i] == 0xa5);
  fsy_free(c.ring, block);
  free(base);
}

void fuzz_rows_end(void) {
  if (c.ring) fsy_close(c.ring);
  c.ring = NULL;
}
