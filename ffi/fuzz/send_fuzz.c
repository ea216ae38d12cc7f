/* A sender against what a peer says: needs with any numbers in them, and bytes on a stream where there should be none.
 * Whatever it is asked for, it ends, and what it writes are frames that answer this need and nothing else.
 *
 *   u8 purpose, u8 flags (1: items by number, 2: talks, 4: closes at once, 8: verify, 16: attributes, 32: honest digests,
 *   64: offset and length as whole numbers), u8 rows, u32 block size, u8 need
 *   offset, length: 8 bytes each, or u32; rows: u32 each; items: u32 each; digests; what the peer says */
#include "fuzz.h"

#include <poll.h>
#include <sys/socket.h>

enum { IDLE_MS = 5000, MOST_ROWS = 8, MOST_DIGESTS = 64 * 16, LARGE = (1 << 20) + 10, BUFFER = 1 << 16 };

static client c;
static int source;
static uint32_t batch, rows, items, results, digests;

static void prepare(void) {
  c = client_open(1);
  int above = fuzz_directory();
  HOLDS(mkdirat(above, "s", 0755) == 0);
  source = openat(above, "s", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  close(above);
  fuzz_file(source, "a", 10, 1);
  fuzz_file(source, "b", 70000, 2);
  fuzz_file(source, "large", LARGE, 3);
  fuzz_file(source, "sparse", 1, 4);
  int fd = openat(source, "sparse", O_RDWR | O_CLOEXEC);
  HOLDS(ftruncate(fd, 300000) == 0);
  close(fd);
  HOLDS(symlinkat("x", source, "link") == 0);
  HOLDS(mkfifoat(source, "fifo", 0600) == 0 && mkdirat(source, "directory", 0755) == 0);
  batch = walk(&c, source, ".", 0).block;
  close(batch_of(&c, batch)->dirfd);
  batch_of(&c, batch)->dirfd = FSY_NO_FD;
  rows = fsy_alloc(c.ring, 4 * MOST_ROWS);
  items = fsy_alloc(c.ring, 4 * MOST_ROWS);
  results = fsy_alloc(c.ring, MOST_ROWS * sizeof(fsy_result));
  digests = fsy_alloc(c.ring, MOST_DIGESTS);
}

/* ---- what the sender writes ------------------------------------------------------------------------------------------ */

typedef struct heard {
  uint8_t head[FSY_FRAME_BYTES];
  size_t head_bytes;
  uint64_t payload_left;
  fsy_frame frame;
  const fsy_sqe *asked;
  bool inside; /* of a file or range */
} heard;

static void check_frame(heard *h) {
  const fsy_frame *f = &h->frame;
  const fsy_sqe *q = h->asked;
  if (f->type == FSY_FRAME_BYE) {
    HOLDS(!h->inside);
    return;
  }
  HOLDS(f->need == q->need);
  switch (f->type) {
    case FSY_FRAME_SHARD:
      HOLDS(!h->inside && f->item <= q->count && q->flags != FSY_WIRE_RANGE);
      break;
    case FSY_FRAME_FILE:
      HOLDS(!h->inside && q->flags != FSY_WIRE_RANGE);
      h->inside = true;
      break;
    case FSY_FRAME_DATA:
      HOLDS(h->inside || q->flags == FSY_WIRE_RANGE);
      if (q->flags == FSY_WIRE_RANGE) {
        uint64_t from = (uint64_t)q->offset, until = from + (uint64_t)q->length;
        HOLDS(f->offset >= from && f->offset + f->length <= until);
      }
      HOLDS(f->offset + f->length <= LARGE);
      break;
    default: h->inside = false;
  }
}

static void hear(heard *h, const uint8_t *data, size_t bytes) {
  while (bytes > 0) {
    if (h->payload_left > 0) {
      size_t skipped = h->payload_left < bytes ? (size_t)h->payload_left : bytes;
      h->payload_left -= skipped;
      data += skipped;
      bytes -= skipped;
      continue;
    }
    size_t taken = FSY_FRAME_BYTES - h->head_bytes < bytes ? FSY_FRAME_BYTES - h->head_bytes : bytes;
    memcpy(h->head + h->head_bytes, data, taken);
    h->head_bytes += taken;
    data += taken;
    bytes -= taken;
    if (h->head_bytes < FSY_FRAME_BYTES) continue;
    h->head_bytes = 0;
    HOLDS(fsy_frame_get(h->head, &h->frame) == FSY_REASON_NONE);
    h->payload_left = h->frame.length;
    check_frame(h);
  }
}

/* Reads until `until` completions were seen; negative results stay as they are. */
static void listen_until(heard *h, int fd, uint32_t until) {
  static uint8_t buffer[BUFFER];
  bool open = true;
  while (until > 0) {
    while (fsy_reap(c.ring) > 0 && until > 0) {
      (void)next_cqe(&c);
      until--;
    }
    struct pollfd p[2] = {{open ? fd : -1, POLLIN, 0}, {fsy_wake_fd(c.ring), POLLIN, 0}};
    if (until == 0) break;
    int ready = poll(p, 2, 20000);
    HOLDS(ready > 0 || (ready < 0 && errno == EINTR));
    if (p[1].revents) (void)!read(fsy_wake_fd(c.ring), buffer, 64);
    ssize_t got = open ? recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) : 0;
    if (got > 0) hear(h, buffer, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR)) open = false;
  }
  for (ssize_t got; open && (got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0;) hear(h, buffer, (size_t)got);
}

/* ---- one need ---------------------------------------------------------------------------------------------------------- */

void fuzz_send(const uint8_t *data, size_t bytes) {
  if (!c.ring) prepare();
  feed in = {data, bytes};
  uint32_t purpose = take8(&in) % 5, flags = take8(&in), count = take8(&in) % (MOST_ROWS + 1), block = take32(&in);
  fsy_sqe asked;
  memset(&asked, 0, sizeof(asked));
  asked.op = FSY_OP_SEND;
  asked.tag = 2;
  asked.fd0 = source;
  asked.fd1 = asked.fd2 = asked.fd3 = FSY_NO_FD;
  asked.options = c.options;
  asked.need = take8(&in);
  asked.flags = purpose;
  asked.count = count;
  asked.batch = batch;
  asked.rows = rows;
  asked.results = results;
  asked.offset = (flags & 64) ? take32(&in) : take_double(&in);
  asked.length = (flags & 64) ? take32(&in) : take_double(&in);
  for (uint32_t i = 0; i < MOST_ROWS; i++) {
    uint32_t row = take32(&in);
    ((uint32_t *)at(&c, rows))[i] = row % 16 < 12 ? row % 12 : row;
    ((uint32_t *)at(&c, items))[i] = i;
  }
  if (purpose == FSY_WIRE_RANGE) {
    asked.extra = block % 4 ? block : 0;
    asked.path = digests;
    asked.path_bytes = take16(&in);
    if ((flags & 32) && block && asked.length > 0 && asked.length < 1e9) {
      uint64_t wanted = ((uint64_t)asked.length + block - 1) / block * 16;
      asked.path_bytes = wanted < MOST_DIGESTS ? (uint32_t)wanted : MOST_DIGESTS;
    }
    for (uint32_t i = 0; i < MOST_DIGESTS && in.left > 4; i++) ((uint8_t *)at(&c, digests))[i] = take8(&in);
  } else if (flags & 1) {
    asked.extra = items;
    for (uint32_t i = 0; i < MOST_ROWS; i++) ((uint32_t *)at(&c, items))[i] = take32(&in);
  }
  options(&c)->flags = ((flags & 8) ? FSY_OPT_VERIFY : 0) | ((flags & 16) ? FSY_OPT_XATTRS | FSY_OPT_ACLS : 0) | FSY_OPT_SPARSE;

  int ends[2];
  HOLDS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  if (flags & 2) (void)!send(ends[1], in.at, in.left, MSG_NOSIGNAL | MSG_DONTWAIT);
  fsy_sqe *q = next_sqe(&c, FSY_OP_STREAM);
  q->fd0 = ends[0];
  q->flags = FSY_STREAM_SEND;
  q->length = IDLE_MS;
  q->extra = 7;
  submit(&c);
  *next_sqe(&c, FSY_OP_SEND) = asked;
  submit(&c);
  if (flags & 4) shutdown(ends[1], SHUT_RDWR);
  heard h = {.asked = &asked};
  listen_until(&h, ends[1], 1); /* of the need, or of a stream that ended first */
  next_sqe(&c, FSY_OP_STREAM_END)->extra = 7;
  submit(&c);
  shutdown(ends[1], SHUT_WR);
  listen_until(&h, ends[1], 2);
  close(ends[1]);
  const fsy_result *r = at(&c, results);
  for (uint32_t i = 0; i < count; i++) HOLDS(r[i].status <= 0 && r[i].status != -EINPROGRESS);
}

void fuzz_send_end(void) {
  if (!c.ring) return;
  fsy_close(c.ring);
  c.ring = NULL;
  close(source);
}
