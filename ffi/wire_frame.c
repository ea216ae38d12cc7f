/* Headers and records of the data plane: see docs/protocol.md. What is decoded here is checked field by field; what the
 * fields mean together is decided where they are used. */
#include "wire.h"

/* CRC-32 of zlib and Ethernet by half bytes: 28 bytes a frame do not earn a larger table. */
uint32_t fsy_crc32(const uint8_t *data, size_t bytes) {
  static const uint32_t half[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                    0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
  uint32_t crc = 0xffffffffu;
  for (size_t i = 0; i < bytes; i++) {
    crc = half[(crc ^ data[i]) & 15u] ^ crc >> 4;
    crc = half[(crc ^ (uint32_t)(data[i] >> 4)) & 15u] ^ crc >> 4;
  }
  return ~crc;
}

void fsy_frame_put(uint8_t to[FSY_FRAME_BYTES], const fsy_frame *frame) {
  fsy_put32(to, FSY_FRAME_MAGIC);
  fsy_put32(to + 4, frame->type); /* flags and reserved are 0 */
  fsy_put32(to + 8, frame->need);
  fsy_put32(to + 12, frame->item);
  fsy_put64(to + 16, frame->offset);
  fsy_put32(to + 24, frame->length);
  fsy_put32(to + 28, fsy_crc32(to, 28));
}

uint32_t fsy_frame_get(const uint8_t from[FSY_FRAME_BYTES], fsy_frame *frame) {
  if (fsy_get32(from) != FSY_FRAME_MAGIC) return FSY_REASON_MAGIC;
  if (fsy_get32(from + 28) != fsy_crc32(from, 28)) return FSY_REASON_CRC;
  frame->type = from[4];
  frame->need = fsy_get32(from + 8);
  frame->item = fsy_get32(from + 12);
  frame->offset = fsy_get64(from + 16);
  frame->length = fsy_get32(from + 24);
  if (frame->type < FSY_FRAME_SHARD || frame->type > FSY_FRAME_BYE) return FSY_REASON_TYPE;
  if (from[5] || from[6] || from[7]) return FSY_REASON_FIELD;
  if (frame->type != FSY_FRAME_DATA && frame->offset) return FSY_REASON_FIELD;
  if ((frame->type == FSY_FRAME_BYE) != (frame->need == 0)) return FSY_REASON_FIELD;
  switch (frame->type) {
    case FSY_FRAME_SHARD:
      if (frame->length > FSY_SHARD_MAX || frame->item == 0 || frame->item > frame->length / FSY_RECORD_BYTES)
        return FSY_REASON_LENGTH;
      break;
    case FSY_FRAME_FILE:
      if (frame->length > FSY_SHARD_MAX || frame->length < FSY_RECORD_BYTES) return FSY_REASON_LENGTH;
      break;
    case FSY_FRAME_DATA:
      if (frame->length > FSY_DATA_MAX || frame->length == 0) return FSY_REASON_LENGTH;
      if (frame->offset >= FSY_SIZE_MAX) return FSY_REASON_DATA;
      break;
    case FSY_FRAME_END:
      if (frame->length != FSY_RECORD_BYTES) return FSY_REASON_LENGTH;
      break;
    default:
      if (frame->length) return FSY_REASON_LENGTH;
      if (frame->item) return FSY_REASON_FIELD;
  }
  return FSY_REASON_NONE;
}

void fsy_record_put(uint8_t to[FSY_RECORD_BYTES], const fsy_record *record) {
  fsy_put32(to, record->item);
  fsy_put32(to + 4, (uint32_t)record->status);
  fsy_put32(to + 8, record->stage);
  fsy_put32(to + 12, record->flags);
  fsy_put64(to + 16, record->size);
  fsy_put64(to + 24, (uint64_t)record->mtime_sec);
  fsy_put32(to + 32, record->mtime_nsec);
  fsy_put32(to + 36, record->mode);
  fsy_put32(to + 40, record->uid);
  fsy_put32(to + 44, record->gid);
  fsy_put32(to + 48, record->attr_bytes);
  fsy_put32(to + 52, record->attr_errno);
  fsy_put64(to + 56, record->bytes);
  memcpy(to + 64, record->hash, sizeof(record->hash));
}

bool fsy_record_get(const uint8_t from[FSY_RECORD_BYTES], bool end, fsy_record *record) {
  record->item = fsy_get32(from);
  record->status = (int32_t)fsy_get32(from + 4);
  record->stage = fsy_get32(from + 8);
  record->flags = fsy_get32(from + 12);
  record->size = fsy_get64(from + 16);
  record->mtime_sec = (int64_t)fsy_get64(from + 24);
  record->mtime_nsec = fsy_get32(from + 32);
  record->mode = fsy_get32(from + 36);
  record->uid = fsy_get32(from + 40);
  record->gid = fsy_get32(from + 44);
  record->attr_bytes = fsy_get32(from + 48);
  record->attr_errno = fsy_get32(from + 52);
  record->bytes = fsy_get64(from + 56);
  memcpy(record->hash, from + 64, sizeof(record->hash));
  uint32_t known = FSY_RECORD_RETRIED | FSY_RECORD_CHANGED | FSY_RECORD_HASHED | FSY_RECORD_ATTRS_FAILED |
                   (end ? FSY_RECORD_AGAIN : 0u);
  bool times = record->mtime_nsec <= 999999999u && record->mtime_sec > -(int64_t)FSY_SIZE_MAX &&
               record->mtime_sec < (int64_t)FSY_SIZE_MAX;
  bool status = record->status <= 0 && record->status > -4096 && record->stage <= FSY_RECORD_READ &&
                (record->status != 0) == (record->stage != 0);
  bool unread = record->flags & FSY_RECORD_ATTRS_FAILED;
  if (unread != (record->attr_errno != 0) || (unread && record->attr_bytes)) return false;
  return status && times && !(record->flags & ~known) && record->size < FSY_SIZE_MAX &&
         record->attr_bytes <= FSY_ATTRS_MAX && record->attr_errno < 4096 && record->bytes < FSY_SIZE_MAX;
}
