/* Loops over rows: what a peer may send. Agreement with TypeScript is tested there. */
#include "harness.h"

enum { ROWS = 5 };

static uint32_t noise(void) {
  static uint64_t state = 88172645463325252u;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16);
}

/* A batch of ROWS + 1 rows of zeros with room for texts, as it is made for a listing from a peer. */
static uint32_t blank(client *c, uint32_t text_bytes, uint32_t *text_at) {
  *text_at = sizeof(fsy_batch) + (ROWS + 1) * (FSY_F64_COLUMNS * 8 + FSY_U32_COLUMNS * 4);
  uint32_t block = fsy_alloc(c->ring, *text_at + text_bytes);
  fsy_batch *b = at(c, block);
  memset(b, 0, *text_at + text_bytes);
  b->magic = FSY_BATCH_MAGIC;
  b->count = ROWS;
  b->total_bytes = *text_at + text_bytes;
  return block;
}

/* An honest message in `base`: names a, b, .. and ".", every other column of full width. */
static void honest(uint8_t *base, size_t room, uint32_t *table) {
  static const uint32_t widths[FSY_PACK_COLUMNS] = {
      [FSY_PACK_NAME_LENGTHS] = 2,  [FSY_PACK_MODES] = 4,       [FSY_PACK_SIZES] = 8, [FSY_PACK_MTIME_SECONDS] = 8,
      [FSY_PACK_MTIME_NANOS] = 4,   [FSY_PACK_UIDS] = 4,        [FSY_PACK_GIDS] = 4,  [FSY_PACK_RDEVS] = 4,
      [FSY_PACK_NLINKS] = 4,        [FSY_PACK_DEVS] = 4,        [FSY_PACK_FLAGS] = 1, [FSY_PACK_STATUSES] = 4,
      [FSY_PACK_ATTRIBUTES] = 8,    [FSY_PACK_INODES] = 8};
  memset(base, 0, room);
  uint32_t at = 0;
  for (uint32_t i = 0; i < FSY_PACK_COLUMNS; i++) {
    table[2 * i] = at;
    table[2 * i + 1] = i == FSY_PACK_NAMES ? 2 * (ROWS + 1) : widths[i] * (ROWS + 1);
    at += table[2 * i + 1];
  }
  for (uint32_t row = 0; row <= ROWS; row++) {
    base[2 * row] = row == ROWS ? '.' : (uint8_t)('a' + row);
    base[table[2 * FSY_PACK_NAME_LENGTHS] + 2 * row] = 1;
    base[table[2 * FSY_PACK_MODES] + 4 * row + 1] = row == ROWS ? 0x41 : 0x81;
  }
}

TEST(rows_columns_from_a_peer_stay_in_their_bounds) {
  client c = client_open(1);
  uint32_t text_at, taken = 0, believed = 0;
  uint8_t base[600];
  for (int round = 0; round < 20000; round++) {
    uint32_t block = blank(&c, 256, &text_at), table[2 * FSY_PACK_COLUMNS];
    honest(base, sizeof(base), table);
    for (uint32_t lies = noise() % 4; lies > 0; lies--) {
      uint32_t i = noise() % FSY_PACK_COLUMNS;
      if (noise() % 2) base[noise() % sizeof(base)] = (uint8_t)noise();
      else if (noise() % 2) table[2 * i] = noise() % 2 ? noise() : noise() % 700;
      else table[2 * i + 1] = noise() % 2 ? noise() : noise() % 64;
    }
    uint32_t from = noise() % 20 ? 0 : noise() % 9, rows = noise() % 20 ? ROWS + 1 : noise() % 9;
    uint32_t texts = noise() % 20 ? text_at : noise() % 2 ? noise() : text_at + noise() % 300;
    int32_t status = fsy_rows_unpack(c.ring, block, from, rows, texts, base, sizeof(base), table);
    CHECK(status == 0 || status == -EINVAL);
    if (status == 0) taken++;
    status = fsy_rows_check(c.ring, block, noise() % 8);
    CHECK(status == 0 || status == -EINVAL);
    if (status == 0) believed++;
    fsy_free(c.ring, block);
  }
  CHECK(taken > 5000 && taken < 19000);
  CHECK(believed > 5000 && believed < 19000);
  fsy_close(c.ring);
}

TEST(rows_of_a_broken_batch_are_not_followed) {
  client c = client_open(1);
  uint32_t text_at;
  int32_t rows[ROWS];
  uint8_t alike[ROWS], out[4096];
  uint32_t lengths[FSY_PACK_COLUMNS];
  for (int round = 0; round < 20000; round++) {
    uint32_t a = blank(&c, 64, &text_at), b = blank(&c, 64, &text_at);
    uint32_t *words = at(&c, noise() % 2 ? a : b);
    uint32_t count = (text_at + 64) / 4;
    for (int i = 0; i < 40; i++) words[16 + noise() % (count - 16)] = noise() % 2 ? noise() % 700 : noise();
    if (noise() % 20 == 0) words[noise() % 4] = noise();
    (void)fsy_rows_match(c.ring, a, b, rows, alike);
    (void)fsy_rows_pack(c.ring, a, noise() % 7, noise() % 8, noise() % 2, out, noise() % sizeof(out), lengths);
    (void)fsy_rows_check(c.ring, b, 0);
    fsy_free(c.ring, a);
    fsy_free(c.ring, b);
  }
  CHECK_EQ(fsy_rows_match(c.ring, 8, 8, rows, alike), -EINVAL);
  CHECK_EQ(fsy_rows_check(c.ring, 0x7fffffc0u, 0), -EINVAL);
  fsy_close(c.ring);
}

TEST(rows_pack_says_when_there_is_no_room) {
  client c = client_open(1);
  for (unsigned i = 0; i < 100; i++) {
    char name[32];
    snprintf(name, sizeof(name), "file-%u", i);
    make_file(dirfd, name, i, i);
  }
  fsy_cqe walked = walk(&c, dirfd, ".", 0);
  static uint8_t out[1 << 16];
  uint32_t lengths[FSY_PACK_COLUMNS], sum = 0;
  int32_t bytes = fsy_rows_pack(c.ring, walked.block, 0, 101, FSY_PACK_WITH_INODES, out, sizeof(out), lengths);
  CHECK(bytes > 0);
  for (int i = 0; i < FSY_PACK_COLUMNS; i++) sum += lengths[i];
  CHECK_EQ(sum, bytes);
  CHECK_EQ(lengths[FSY_PACK_SIZES], 101 * 8);
  CHECK_EQ(lengths[FSY_PACK_UIDS], stat_of(dirfd, ".").st_uid ? 4 : 0); /* all alike */
  CHECK_EQ(lengths[FSY_PACK_LINKS], 0);
  for (uint32_t room = 0; room < (uint32_t)bytes; room += 97)
    CHECK_EQ(fsy_rows_pack(c.ring, walked.block, 0, 101, FSY_PACK_WITH_INODES, out, room, lengths), -ENOSPC);
  CHECK_EQ(fsy_rows_pack(c.ring, walked.block, 0, 102, 0, out, sizeof(out), lengths), -EINVAL);
  close(((fsy_batch *)at(&c, walked.block))->dirfd);
  fsy_free(c.ring, walked.block);
  fsy_close(c.ring);
}
