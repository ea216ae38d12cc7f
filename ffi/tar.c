/* Members of a ustar archive (POSIX.1-1988 and later; long names as GNU tar writes them).
 *
 *   short name   header, content, padding to 512
 *   long name    header of type L, the name with its NUL, padding; then as above, with the name's first 100 bytes
 *
 * The archive is there for other tools to read. This reader wants exactly the member that the record before it announces,
 * so that what tar would extract is what was written here. */
#include "wire.h"

#include <stdio.h>

enum { NAME = 0, NAME_BYTES = 100, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, SUM = 148, TYPE = 156,
       MAGIC = 257 };
static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
static const char long_name[] = "././@LongLink";

uint32_t fsy_tar_header_bytes(uint32_t name_len) {
  return name_len > NAME_BYTES ? 2 * FSY_TAR_BLOCK + (uint32_t)fsy_tar_padded(name_len + 1) : FSY_TAR_BLOCK;
}

static void octal(uint8_t *to, int digits, uint64_t value) {
  for (int i = digits - 1; i >= 0; i--) {
    to[i] = (uint8_t)('0' + (value & 7));
    value >>= 3;
  }
  to[digits] = 0;
}

static uint32_t checksum(const uint8_t *block) {
  uint32_t sum = 8 * ' ';
  for (uint32_t i = 0; i < FSY_TAR_BLOCK; i++)
    if (i < SUM || i >= SUM + 8) sum += block[i];
  return sum;
}

static void header(uint8_t *to, const char *name, size_t name_len, char type, uint64_t size, const fsy_record *record) {
  memset(to, 0, FSY_TAR_BLOCK);
  memcpy(to + NAME, name, name_len < NAME_BYTES ? name_len : NAME_BYTES);
  uint64_t mtime = record->mtime_sec < 0                  ? 0
                   : record->mtime_sec >= (1ll << 33) ? (1ull << 33) - 1
                                                          : (uint64_t)record->mtime_sec;
  octal(to + MODE, 7, record->mode & 07777);
  octal(to + UID, 7, record->uid > 07777777 ? 0 : record->uid);
  octal(to + GID, 7, record->gid > 07777777 ? 0 : record->gid);
  octal(to + SIZE, 11, size);
  octal(to + MTIME, 11, mtime);
  to[TYPE] = (uint8_t)type;
  memcpy(to + MAGIC, magic, sizeof(magic));
  octal(to + SUM, 6, checksum(to));
  to[SUM + 7] = ' ';
}

void fsy_tar_header(uint8_t *to, const char *name, uint32_t name_len, const fsy_record *record) {
  if (name_len > NAME_BYTES) {
    fsy_record none = {.mode = 0644};
    header(to, long_name, sizeof(long_name), 'L', name_len + 1, &none);
    size_t padded = fsy_tar_padded(name_len + 1);
    memset(to + FSY_TAR_BLOCK, 0, padded);
    memcpy(to + FSY_TAR_BLOCK, name, name_len);
    to += FSY_TAR_BLOCK + padded;
  }
  header(to, name, name_len, '0', record->size, record);
}

/* Digits up to a NUL or blank, at most `room`; -1 when there is anything else. */
static int64_t parse_octal(const uint8_t *from, int room) {
  int64_t value = 0;
  for (int i = 0; i < room && from[i] && from[i] != ' '; i++) {
    if (from[i] < '0' || from[i] > '7') return -1;
    value = value * 8 + (from[i] - '0');
  }
  return value;
}

static bool is_header(const uint8_t *block, uint8_t type, uint64_t size) {
  return memcmp(block + MAGIC, magic, sizeof(magic)) == 0 && block[TYPE] == type &&
         parse_octal(block + SUM, 8) == (int64_t)checksum(block) && parse_octal(block + SIZE, 12) == (int64_t)size;
}

size_t fsy_tar_member(const uint8_t *archive, size_t bytes, size_t at, const char *name, uint32_t name_len,
                      uint64_t size, size_t *next) {
  if (at > bytes || size > bytes) return 0;
  size_t left = bytes - at, head = fsy_tar_header_bytes(name_len), content = fsy_tar_padded((size_t)size);
  if (left < head || left - head < content) return 0;
  const uint8_t *block = archive + at;
  if (name_len > NAME_BYTES) {
    if (!is_header(block, 'L', name_len + 1) || memcmp(block, long_name, sizeof(long_name)) != 0) return 0;
    if (memcmp(block + FSY_TAR_BLOCK, name, name_len) != 0 || block[FSY_TAR_BLOCK + name_len] != 0) return 0;
    block = archive + at + head - FSY_TAR_BLOCK;
  } else if (memcmp(block, name, name_len) != 0 || (name_len < NAME_BYTES && block[name_len] != 0)) {
    return 0;
  }
  if (!is_header(block, '0', size)) return 0;
  *next = at + head + content;
  return at + head;
}
