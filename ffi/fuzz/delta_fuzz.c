/* Only blocks that differ, by digests between two processes and by comparing on one machine: afterwards the stretch is the
 * source's, and nothing outside of it has changed.
 *
 *   u16 size of the source, u16 of the target, u16 offset, u16 length, u16 block size - 4096
 *   edits that the target has: u16 place, u8 value */
#include "fuzz.h"

#include <sys/socket.h>

enum { BLOCK_FEWEST = 4096, FILE_MOST = 1 << 16, DIGESTS = (FILE_MOST / BLOCK_FEWEST + 2) * 16, EDITS_MOST = 200 };

static client c;
static int place;
static uint32_t rows, results[2], digests;

static void prepare(void) {
  c = client_open(1);
  place = fuzz_directory();
  rows = fsy_alloc(c.ring, 4);
  digests = fsy_alloc(c.ring, DIGESTS);
  for (int i = 0; i < 2; i++) results[i] = fsy_alloc(c.ring, sizeof(fsy_result));
  *(uint32_t *)at(&c, rows) = 0;
}

static int content(const char *name, uint8_t to[FILE_MOST]) {
  int fd = openat(place, name, O_RDWR | O_CLOEXEC);
  HOLDS(fd >= 0);
  memset(to, 0, FILE_MOST);
  HOLDS(pread(fd, to, FILE_MOST, 0) >= 0);
  return fd;
}

static void by_digests(int target, uint32_t batch, uint32_t offset, uint32_t length, uint32_t block) {
  fsy_sqe *q = next_sqe(&c, FSY_OP_HASH_BLOCKS);
  uint32_t count = (length + block - 1) / block;
  q->fd0 = target;
  q->offset = offset;
  q->length = length;
  q->extra = block;
  q->count = count;
  q->results = digests;
  HOLDS(call(&c).result == 0);
  int ends[2];
  HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  for (int side = 0; side < 2; side++) {
    q = next_sqe(&c, FSY_OP_STREAM);
    q->fd0 = ends[side];
    q->flags = side ? FSY_STREAM_RECEIVE : FSY_STREAM_SEND;
    q->extra = 3u + (uint32_t)side;
    q->length = 5000;
    submit(&c);
  }
  for (int side = 1; side >= 0; side--) {
    q = next_sqe(&c, side ? FSY_OP_RECEIVE : FSY_OP_SEND);
    q->tag = 10 + (uint32_t)side;
    q->flags = FSY_WIRE_RANGE;
    q->need = 1;
    q->count = 1;
    q->rows = rows;
    q->results = results[side];
    q->offset = offset;
    q->length = length;
    if (side) q->fd1 = target;
    else {
      q->fd0 = place;
      q->batch = batch;
      q->extra = block;
      q->path = digests;
      q->path_bytes = count * 16;
    }
    submit(&c);
  }
  for (int i = 0; i < 2; i++) {
    fsy_cqe done = next_cqe(&c);
    HOLDS(done.tag >= 10 && done.result == 0);
  }
  next_sqe(&c, FSY_OP_STREAM_END)->extra = 3; /* the receiver ends by the sender's BYE */
  submit(&c);
  for (int i = 0; i < 3; i++) HOLDS(next_cqe(&c).result == 0);
}

void fuzz_delta(const uint8_t *data, size_t bytes) {
  static uint8_t wanted[FILE_MOST], had[FILE_MOST], has[FILE_MOST];
  if (!c.ring) prepare();
  feed in = {data, bytes};
  uint32_t source_bytes = take16(&in), target_bytes = take16(&in), offset = take16(&in), length = take16(&in);
  uint32_t block = BLOCK_FEWEST + take16(&in);
  if (source_bytes == 0) return;
  offset %= source_bytes;
  length = length % (source_bytes - offset) + 1;
  fuzz_file(place, "source", source_bytes, 1);
  fuzz_file(place, "wire", target_bytes, 1);
  int source = content("source", wanted), wire = content("wire", had);
  for (uint32_t edits = 0; in.left > 2 && edits < EDITS_MOST && target_bytes > 0; edits++) {
    uint32_t where = take16(&in) % target_bytes;
    uint8_t value = take8(&in);
    HOLDS(pwrite(wire, &value, 1, where) == 1);
  }
  if (target_bytes < source_bytes) HOLDS(ftruncate(wire, source_bytes) == 0);
  close(wire);
  wire = content("wire", had);
  fuzz_file(place, "local", 0, 0);
  int local = openat(place, "local", O_RDWR | O_CLOEXEC);
  uint32_t all = target_bytes < source_bytes ? source_bytes : target_bytes;
  HOLDS(pwrite(local, had, all, 0) == (ssize_t)all);

  uint32_t text = put_text(&c, "source", 7);
  fsy_sqe *q = next_sqe(&c, FSY_OP_STAT);
  q->fd0 = place;
  q->path = text;
  q->path_bytes = 7;
  q->count = 1;
  uint32_t batch = call(&c).block;
  fsy_free(c.ring, text);
  by_digests(wire, batch, offset, length, block);
  fsy_free(c.ring, batch);

  q = next_sqe(&c, FSY_OP_LARGE_RANGE);
  q->fd0 = source;
  q->fd1 = local;
  q->flags = FSY_LARGE_COMPARE;
  q->offset = offset;
  q->length = length;
  HOLDS(call(&c).result == 0);

  const char *const names[] = {"wire", "local"};
  for (int i = 0; i < 2; i++) {
    close(content(names[i], has));
    HOLDS(memcmp(has + offset, wanted + offset, length) == 0);
    HOLDS(memcmp(has, had, offset) == 0 && memcmp(has + offset + length, had + offset + length, FILE_MOST - offset - length) == 0);
  }
  close(source);
  close(wire);
  close(local);
}

void fuzz_delta_end(void) {
  if (!c.ring) return;
  fsy_close(c.ring);
  c.ring = NULL;
  close(place);
}
