/* A member of an archive from a peer: what is taken for one lies inside, and what we write is taken.
 *
 *   u8 name's length - 1, u8 flags (1: the checksums are made right), u16 where the member begins, u32 its size
 *   the name, the archive */
#include "fuzz.h"

enum { SUM = 148, SUM_BYTES = 8 };

static void repair_checksum(uint8_t *block) {
  uint32_t sum = SUM_BYTES * ' ';
  for (uint32_t i = 0; i < FSY_TAR_BLOCK; i++)
    if (i < SUM || i >= SUM + SUM_BYTES) sum += block[i];
  snprintf((char *)block + SUM, SUM_BYTES, "%06o", sum);
  block[SUM + 7] = ' ';
}

static void check_written(const char *name, uint32_t name_len, uint64_t size) {
  uint32_t head = fsy_tar_header_bytes(name_len);
  size_t bytes = head + fsy_tar_padded((size_t)size), next = 0;
  uint8_t *archive = malloc(bytes);
  if (!archive) abort();
  memset(archive + head, 'c', bytes - head);
  fsy_record record = {.size = size, .mode = 0100644, .uid = 3000000, .mtime_sec = -1};
  fsy_tar_header(archive, name, name_len, &record);
  HOLDS(fsy_tar_member(archive, bytes, 0, name, name_len, size, &next) == head && next == bytes);
  free(archive);
}

void fuzz_tar(const uint8_t *data, size_t bytes) {
  feed in = {data, bytes};
  uint32_t name_len = take8(&in) + 1u, flags = take8(&in);
  size_t at = take16(&in), got, next = 0;
  uint64_t size = take32(&in);
  if (name_len > FSY_NAME_MAX) name_len = FSY_NAME_MAX;
  uint8_t *name = take_exact(&in, name_len, &got);
  uint8_t *archive = take_exact(&in, in.left, &bytes);
  if (got == name_len) {
    size_t head = fsy_tar_header_bytes(name_len);
    if (flags & 1)
      for (size_t block = at; block < at + head && block + FSY_TAR_BLOCK <= bytes; block += head - FSY_TAR_BLOCK) {
        repair_checksum(archive + block);
        if (head == FSY_TAR_BLOCK) break;
      }
    size_t content = fsy_tar_member(archive, bytes, at, (const char *)name, name_len, size, &next);
    if (content) {
      HOLDS(content == at + head && next <= bytes && next >= content + size && next - content - size < FSY_TAR_BLOCK);
      HOLDS(memcmp(archive + (name_len > 100 ? at + FSY_TAR_BLOCK : at), name, name_len) == 0);
    }
    if (!memchr(name, 0, name_len)) check_written((const char *)name, name_len, size % 5000);
  }
  free(archive);
  free(name);
}

void fuzz_tar_end(void) {}
