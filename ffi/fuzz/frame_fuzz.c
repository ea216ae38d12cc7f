/* A frame's header and a record: what is taken says the same when it is written again, and is within its bounds.
 *
 *   u8 flags (1: magic and checksum are made right), 32 bytes of a header, 80 bytes of a record */
#include "fuzz.h"

void fuzz_frame(const uint8_t *data, size_t bytes) {
  feed in = {data, bytes};
  bool right = take8(&in) & 1;
  size_t head_bytes, record_bytes;
  uint8_t *head = take_exact(&in, FSY_FRAME_BYTES, &head_bytes);
  uint8_t *packed = take_exact(&in, FSY_RECORD_BYTES, &record_bytes);
  if (head_bytes == FSY_FRAME_BYTES) {
    if (right) {
      fsy_put32(head, FSY_FRAME_MAGIC);
      fsy_put32(head + 28, fsy_crc32(head, 28));
    }
    fsy_frame frame;
    memset(&frame, 0, sizeof(frame));
    if (fsy_frame_get(head, &frame) == FSY_REASON_NONE) {
      uint8_t again[FSY_FRAME_BYTES];
      fsy_frame_put(again, &frame);
      HOLDS(memcmp(again, head, sizeof(again)) == 0);
      HOLDS(frame.length <= (frame.type == FSY_FRAME_DATA ? FSY_DATA_MAX : FSY_SHARD_MAX));
      HOLDS(frame.type != FSY_FRAME_SHARD || (uint64_t)frame.item * FSY_RECORD_BYTES <= frame.length);
      HOLDS(frame.offset < FSY_SIZE_MAX);
    }
  }
  if (record_bytes == FSY_RECORD_BYTES) {
    fsy_record record;
    for (int end = 0; end < 2; end++) {
      if (!fsy_record_get(packed, end, &record)) continue;
      uint8_t again[FSY_RECORD_BYTES];
      fsy_record_put(again, &record);
      HOLDS(memcmp(again, packed, sizeof(again)) == 0);
      HOLDS(record.status <= 0 && record.mtime_nsec < 1000000000u && record.attr_bytes <= FSY_ATTRS_MAX);
      HOLDS(record.size < FSY_SIZE_MAX && record.bytes < FSY_SIZE_MAX);
    }
  }
  free(head);
  free(packed);
}

void fuzz_frame_end(void) {}
