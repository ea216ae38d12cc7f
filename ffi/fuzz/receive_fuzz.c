/* A receiver against what a peer sends: it ends, answers every need, and leaves nothing but what the needs are about.
 *
 *   u8 flags (1: in two pieces, 2: verify, 4: nothing exists yet, 8: without attributes), the bytes
 *
 * All purposes are expected at the same time, each under a need of its own. Headers get a good magic and checksum, so that
 * what lies behind them is reached. */
#include "fuzz.h"

#include <poll.h>
#include <sys/socket.h>

enum { IDLE_MS = 5000 };
#define FLAGS                                                                                                           \
  (FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_XATTRS | FSY_OPT_ACLS | FSY_OPT_SPARSE | FSY_OPT_XATTR_PRIVILEGED)

static client c;
static int outside, target;
static uint32_t sound_batch, batch, rows[RECEIVE_NEEDS], results[RECEIVE_NEEDS], in_place, descriptors;
static const char *const names[RECEIVE_ROWS] = {"a", "b", "c", "d"};

static void prepare(void) {
  c = client_open(1);
  c.ring->wire->register_ms = 1;
  outside = fuzz_directory();
  HOLDS(mkdirat(outside, "s", 0755) == 0 && mkdirat(outside, "t", 0755) == 0);
  target = openat(outside, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int source = openat(outside, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const size_t sizes[RECEIVE_ROWS] = RECEIVE_SIZES;
  for (int i = 0; i < RECEIVE_ROWS; i++) {
    if (i == 2) HOLDS(symlinkat("x", source, names[i]) == 0);
    else fuzz_file(source, names[i], i == 3 ? 0 : sizes[i], 1);
  }
  int sparse = openat(source, "d", O_RDWR | O_CLOEXEC);
  HOLDS(ftruncate(sparse, (off_t)sizes[3]) == 0);
  close(sparse);
  fsy_cqe walked = walk(&c, source, ".", 0);
  sound_batch = walked.block;
  close(batch_of(&c, sound_batch)->dirfd);
  batch_of(&c, sound_batch)->dirfd = FSY_NO_FD;
  batch = fsy_alloc(c.ring, batch_of(&c, sound_batch)->total_bytes);
  close(source);
  in_place = fsy_alloc(c.ring, sizeof(fsy_options));
  descriptors = fsy_alloc(c.ring, 2 * sizeof(int32_t));
  for (int need = 0; need < RECEIVE_NEEDS; need++) {
    rows[need] = fsy_alloc(c.ring, 4 * RECEIVE_ROWS);
    results[need] = fsy_alloc(c.ring, RECEIVE_ROWS * sizeof(fsy_result));
  }
}

/* What the target is before each input: files that are written in place, or nothing. */
static void lay_out(bool empty) {
  for (int i = 0; i < RECEIVE_ROWS; i++) {
    if (unlinkat(target, names[i], 0) < 0) HOLDS(errno == ENOENT || unlinkat(target, names[i], AT_REMOVEDIR) == 0);
    if (empty) continue;
    if (i == 2) HOLDS(symlinkat("y", target, names[i]) == 0);
    else fuzz_file(target, names[i], 700, 2);
  }
}

static void expect(uint32_t need, bool empty, int range) {
  static const uint32_t purposes[RECEIVE_NEEDS + 1] = {[RECEIVE_CONTENT] = FSY_WIRE_CONTENT,
                                                       [RECEIVE_ATTRIBUTES] = FSY_WIRE_ATTRIBUTES,
                                                       [RECEIVE_RANGE] = FSY_WIRE_RANGE,
                                                       [RECEIVE_COMMIT] = FSY_WIRE_COMMIT,
                                                       [RECEIVE_IN_PLACE] = FSY_WIRE_CONTENT};
  uint32_t purpose = purposes[need], slot = need - 1;
  uint32_t *list = at(&c, rows[slot]);
  for (uint32_t i = 0; i < RECEIVE_ROWS; i++) list[i] = i | (empty ? 0 : FSY_ROW_EXISTS);
  fsy_sqe *q = next_sqe(&c, FSY_OP_RECEIVE);
  q->tag = need;
  q->flags = purpose;
  q->need = need;
  q->fd1 = purpose == FSY_WIRE_RANGE ? range : target;
  q->count = purpose == FSY_WIRE_RANGE || purpose == FSY_WIRE_COMMIT ? 1 : RECEIVE_ROWS;
  q->batch = batch;
  q->rows = rows[slot];
  q->results = results[slot];
  q->offset = RECEIVE_RANGE_FROM;
  q->length = RECEIVE_RANGE_BYTES;
  if (need == RECEIVE_IN_PLACE) q->options = in_place;
  if (purpose == FSY_WIRE_COMMIT) q->extra = descriptors;
  submit(&c);
}

/* Magic and checksum of every frame that can be found by the lengths before it. */
static void repair(uint8_t *input, size_t bytes) {
  for (size_t at_byte = 0; at_byte + FSY_FRAME_BYTES <= bytes;) {
    fsy_put32(input + at_byte, FSY_FRAME_MAGIC);
    fsy_put32(input + at_byte + 28, fsy_crc32(input + at_byte, 28));
    uint32_t length = fsy_get32(input + at_byte + 24);
    if (length > bytes) break;
    at_byte += FSY_FRAME_BYTES + length;
  }
}

static void say(int fd, const uint8_t *data, size_t bytes) {
  for (size_t done = 0; done < bytes;) {
    ssize_t put = send(fd, data + done, bytes - done, MSG_NOSIGNAL);
    if (put <= 0) break;
    done += (size_t)put;
  }
}

void fuzz_receive(const uint8_t *data, size_t bytes) {
  if (!c.ring) prepare();
  feed in = {data, bytes};
  uint32_t flags = take8(&in);
  bool empty = flags & 4;
  uint8_t *input = take_exact(&in, in.left, &bytes);
  repair(input, bytes);
  lay_out(empty);
  /* a COMMIT may renew its row */
  memcpy(at(&c, batch), at(&c, sound_batch), batch_of(&c, sound_batch)->total_bytes);
  options(&c)->flags = (FLAGS & ~((flags & 8) ? FSY_OPT_XATTRS | FSY_OPT_ACLS : 0u)) | ((flags & 2) ? FSY_OPT_VERIFY : 0);
  *(fsy_options *)at(&c, in_place) = *options(&c);
  ((fsy_options *)at(&c, in_place))->flags |= FSY_OPT_INPLACE;
  int range = openat(outside, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  int32_t *large = at(&c, descriptors);
  large[0] = FSY_NO_FD;
  large[1] = openat(target, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  HOLDS(range >= 0 && large[1] >= 0);
  int ends[2];
  HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  fsy_sqe *q = next_sqe(&c, FSY_OP_STREAM);
  q->fd0 = ends[0];
  q->flags = FSY_STREAM_RECEIVE;
  q->length = IDLE_MS;
  submit(&c);
  for (uint32_t need = 1; need <= RECEIVE_NEEDS; need++) expect(need, empty, range);
  size_t first = (flags & 1) ? bytes / 3 : bytes;
  say(ends[1], input, first);
  if (first < bytes) {
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
    say(ends[1], input + first, bytes - first);
  }
  shutdown(ends[1], SHUT_WR);
  for (uint32_t left = RECEIVE_NEEDS + 1; left > 0; left--) {
    fsy_cqe done = next_cqe(&c);
    HOLDS(done.tag <= RECEIVE_NEEDS && done.result <= 0);
    if (done.tag && done.tag != RECEIVE_RANGE) {
      const fsy_result *r = at(&c, results[done.tag - 1]);
      uint32_t good = 0, count = done.tag == RECEIVE_COMMIT ? 1 : RECEIVE_ROWS;
      for (uint32_t i = 0; i < count; i++) good += r[i].status == 0;
      HOLDS(done.count == good);
    }
  }
  close(ends[1]);
  free(input);
  struct stat st;
  HOLDS(fstat(range, &st) == 0 && st.st_size <= RECEIVE_RANGE_FROM + RECEIVE_RANGE_BYTES);
  close(range);
  HOLDS(large[0] == FSY_NO_FD && large[1] == FSY_NO_FD);
  uint32_t there = 0;
  for (int i = 0; i < RECEIVE_ROWS; i++) there += fstatat(target, names[i], &st, AT_SYMLINK_NOFOLLOW) == 0;
  HOLDS(fuzz_entries(target) == there); /* nothing but the rows */
  HOLDS(fuzz_entries(outside) == 2);
}

void fuzz_receive_end(void) {
  if (!c.ring) return;
  fsy_close(c.ring);
  c.ring = NULL;
  close(target);
  close(outside);
}
