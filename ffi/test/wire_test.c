/* The data plane: two rings joined by socket pairs, and one ring against bytes that no honest sender writes. */
#include "harness.h"

#include "../wire.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/xattr.h>

enum { IDLE_MS = 10000, HELD = 512 };

/* ---- a peer: a ring, and completions that came out of turn ------------------------------------------------------- */

typedef struct peer {
  client c;
  fsy_cqe held[HELD];
  uint32_t held_count, tag;
} peer;

static void peer_open(peer *p, uint32_t flags) {
  memset(p, 0, sizeof(*p));
  p->c = client_open(2);
  options(&p->c)->flags = flags;
}

static fsy_cqe await(peer *p, uint32_t tag) {
  for (uint32_t i = 0; i < p->held_count; i++) {
    if (p->held[i].tag != tag) continue;
    fsy_cqe found = p->held[i];
    p->held[i] = p->held[--p->held_count];
    return found;
  }
  for (;;) {
    fsy_cqe done = next_cqe(&p->c);
    if (done.tag == tag) return done;
    CHECK(p->held_count < HELD);
    p->held[p->held_count++] = done;
  }
}

static uint32_t send_off(peer *p, fsy_sqe *q) {
  q->tag = ++p->tag;
  submit(&p->c);
  return p->tag;
}

static uint32_t open_stream(peer *p, int fd, uint32_t direction, uint32_t id) {
  fsy_sqe *q = next_sqe(&p->c, FSY_OP_STREAM);
  q->fd0 = fd;
  q->flags = direction;
  q->extra = id;
  q->length = IDLE_MS;
  return send_off(p, q);
}

static void end_stream(peer *p, uint32_t id) {
  fsy_sqe *q = next_sqe(&p->c, FSY_OP_STREAM_END);
  q->extra = id;
  CHECK_EQ(await(p, send_off(p, q)).result, 0);
}

/* ---- a directory from one to the other ---------------------------------------------------------------------------- */

typedef struct lane {
  uint32_t out, in; /* tags of the streams */
} lane;

typedef struct pair {
  peer from, to;
  directories d;
  lane lanes[8];
  uint32_t lane_count, need;
} pair;

static void lanes_open(pair *p, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    p->lanes[i].out = open_stream(&p->from, ends[0], FSY_STREAM_SEND, i + 1);
    p->lanes[i].in = open_stream(&p->to, ends[1], FSY_STREAM_RECEIVE, i + 1);
  }
  p->lane_count = count;
}

static void lanes_close(pair *p, int expected) {
  for (uint32_t i = 0; i < p->lane_count; i++) end_stream(&p->from, i + 1);
  for (uint32_t i = 0; i < p->lane_count; i++) {
    fsy_cqe out = await(&p->from, p->lanes[i].out), in = await(&p->to, p->lanes[i].in);
    CHECK_EQ(out.result, expected);
    CHECK_EQ(in.result, expected);
    if (!expected) CHECK_EQ(in.bytes, out.bytes);
    if (!expected) CHECK_EQ(in.flags, FSY_REASON_NONE);
  }
  p->lane_count = 0;
}

static pair *pair_open(int dirfd, uint32_t flags, uint32_t lane_count) {
  pair *p = calloc(1, sizeof(*p));
  peer_open(&p->from, flags);
  peer_open(&p->to, flags);
  p->d = (directories){make_dir(dirfd, "s"), make_dir(dirfd, "t"), FSY_NO_FD, FSY_NO_FD};
  lanes_open(p, lane_count);
  return p;
}

static void pair_close(pair *p) {
  if (p->lane_count) lanes_close(p, 0);
  fsy_close(p->from.c.ring); /* uses the directories to its end */
  fsy_close(p->to.c.ring);
  int *fds[] = {&p->d.source, &p->d.target, &p->d.backup, &p->d.temp};
  for (size_t i = 0; i < 4; i++)
    if (*fds[i] >= 0) close(*fds[i]);
  free(p);
}

/* A listing, in both arenas. */
typedef struct listing {
  uint32_t source, manifest; /* blocks */
  fsy_batch *b;              /* of the source */
} listing;

static listing list(pair *p) {
  uint32_t o = options(&p->from.c)->flags;
  uint32_t flags = ((o & FSY_OPT_XATTRS) ? FSY_WALK_XATTRS : 0) | ((o & FSY_OPT_ACLS) ? FSY_WALK_ACLS : 0) |
                   ((o & FSY_OPT_XATTR_PRIVILEGED) ? FSY_WALK_XATTR_PRIVILEGED : 0);
  uint32_t text = put_text(&p->from.c, ".", 2);
  fsy_sqe *q = next_sqe(&p->from.c, FSY_OP_WALK);
  q->fd0 = p->d.source;
  q->path = text;
  q->path_bytes = 2;
  q->flags = flags;
  listing l;
  l.source = await(&p->from, send_off(&p->from, q)).block;
  fsy_free(p->from.c.ring, text);
  l.b = batch_of(&p->from.c, l.source);
  close(l.b->dirfd);
  l.b->dirfd = FSY_NO_FD;
  l.manifest = fsy_alloc(p->to.c.ring, l.b->total_bytes);
  memcpy(at(&p->to.c, l.manifest), l.b, l.b->total_bytes);
  return l;
}

static void unlist(pair *p, listing *l) {
  fsy_free(p->from.c.ring, l->source);
  fsy_free(p->to.c.ring, l->manifest);
}

/* Needs of at most `chunk` rows for all entries that are no directories. */
typedef struct transfer {
  uint32_t count;          /* rows */
  uint32_t rows[2], results[2]; /* blocks at the sender's and the receiver's */
  uint32_t tags[2][256], needs;
  fsy_result *sent, *landed;
} transfer;

static transfer begin(pair *p, const listing *l, uint32_t chunk, uint32_t purpose) {
  transfer t;
  memset(&t, 0, sizeof(t));
  peer *peers[2] = {&p->from, &p->to};
  for (int side = 0; side < 2; side++) {
    t.rows[side] = fsy_alloc(peers[side]->c.ring, 4 * l->b->count + 8);
    t.results[side] = fsy_alloc(peers[side]->c.ring, (l->b->count + 1) * (uint32_t)sizeof(fsy_result));
    uint32_t *rows = at(&peers[side]->c, t.rows[side]);
    t.count = 0;
    for (uint32_t i = 0; i < l->b->count; i++) {
      struct stat st;
      if (S_ISDIR(u32(l->b, FSY_U32_MODE)[i])) continue;
      bool exists = side && fstatat(p->d.target, name_of(l->b, i), &st, AT_SYMLINK_NOFOLLOW) == 0;
      rows[t.count++] = i | (exists ? FSY_ROW_EXISTS : 0);
    }
    if (purpose == FSY_WIRE_ATTRIBUTES) rows[t.count++] = l->b->count; /* the directory itself */
  }
  for (uint32_t from = 0; from < t.count; from += chunk, t.needs++) {
    uint32_t need = ++p->need, rows = t.count - from < chunk ? t.count - from : chunk;
    for (int side = 1; side >= 0; side--) {
      fsy_sqe *q = next_sqe(&peers[side]->c, side ? FSY_OP_RECEIVE : FSY_OP_SEND);
      q->flags = purpose;
      q->need = need;
      q->count = rows;
      q->rows = t.rows[side] + 4 * from;
      q->results = t.results[side] + from * (uint32_t)sizeof(fsy_result);
      if (side) {
        q->fd1 = p->d.target;
        q->fd2 = p->d.backup;
        q->fd3 = p->d.temp;
        q->batch = l->manifest;
      } else {
        q->fd0 = p->d.source;
        q->batch = l->source;
      }
      t.tags[side][t.needs] = send_off(peers[side], q);
    }
  }
  t.sent = at(&p->from.c, t.results[0]);
  t.landed = at(&p->to.c, t.results[1]);
  return t;
}

static void complete_all(pair *p, transfer *t) {
  for (uint32_t i = 0; i < t->needs; i++) {
    (void)await(&p->from, t->tags[0][i]);
    (void)await(&p->to, t->tags[1][i]);
  }
}

static void transfer_free(pair *p, transfer *t) {
  for (int side = 0; side < 2; side++) {
    fsy_ring *ring = side ? p->to.c.ring : p->from.c.ring;
    fsy_free(ring, t->rows[side]);
    fsy_free(ring, t->results[side]);
  }
}

static void check_same(pair *p, const listing *l, const transfer *t) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < l->b->count; i++) {
    if (S_ISDIR(u32(l->b, FSY_U32_MODE)[i])) continue;
    const char *name = name_of(l->b, i);
    const fsy_result *sent = &t->sent[n], *landed = &t->landed[n];
    n++;
    struct stat st = stat_of(p->d.source, name);
    if (sent->status || landed->status || landed->warnings || !same_meta(p->d.source, name, p->d.target, name))
      printf("  %s: sent %d/%u landed %d/%u warnings %x (%d)\n", name, sent->status, sent->stage, landed->status,
             landed->stage, landed->warnings, landed->warning_errno);
    CHECK_EQ(sent->status, 0);
    CHECK_EQ(landed->status, 0);
    CHECK_EQ(landed->warnings, 0);
    CHECK(same_meta(p->d.source, name, p->d.target, name));
    if (S_ISREG(st.st_mode)) {
      CHECK(same_file(p->d.source, name, p->d.target, name));
      CHECK_EQ(landed->method, landed->bytes > 0 ? FSY_METHOD_STREAM : FSY_METHOD_NONE);
      CHECK_EQ(landed->size, st.st_size);
      CHECK_EQ(sent->size, st.st_size);
      CHECK_EQ(sent->bytes, landed->bytes);
    }
    if (S_ISLNK(st.st_mode)) {
      char a[300], b[300];
      ssize_t x = readlinkat(p->d.source, name, a, sizeof(a)), y = readlinkat(p->d.target, name, b, sizeof(b));
      CHECK(x == y && x > 0 && !memcmp(a, b, (size_t)x));
    }
  }
  CHECK_EQ(temps_in(p->d.target), 0);
}

static int truncateat_test(int dirfd, const char *name, off_t size) {
  int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    fchmodat(dirfd, name, 0600, 0);
    fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);
  }
  int status = ftruncate(fd, size);
  close(fd);
  return status;
}

static void make_variety(int s) {
  static const size_t sizes[] = {0, 1, 511, 512, 513, 4096, 65536, 700001, 1048575, 1048576, 9000001};
  char name[256];
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    snprintf(name, sizeof(name), "size%zu", sizes[i]);
    make_file(s, name, sizes[i], (unsigned)i);
    CHECK(fchmodat(s, name, (mode_t)(0400 | (i * 37 & 0377)), 0) == 0);
  }
  for (int length = 98; length <= 102; length++) {
    memset(name, 'n', (size_t)length);
    name[length] = 0;
    make_file(s, name, (size_t)length, 3);
  }
  memset(name, 'm', 255);
  name[255] = 0;
  make_file(s, name, 300, 4);
  make_file(s, "\xff\xfe not UTF-8 \n", 77, 5);
  CHECK(symlinkat("../../out/of/here", s, "link") == 0);
  CHECK(mknodat(s, "fifo", S_IFIFO | 0640, 0) == 0);
  CHECK(mknodat(s, "socket", S_IFSOCK | 0600, 0) == 0);
  struct timespec times[2] = {{3, 3}, {-5, 987654321}};
  CHECK(utimensat(s, "link", times, AT_SYMLINK_NOFOLLOW) == 0);
  CHECK(utimensat(s, "size1", times, 0) == 0);
  if (geteuid() == 0) {
    CHECK(fchownat(s, "size513", 1234, 4321, 0) == 0);
    CHECK(fchownat(s, "size0", 3000000, 3000000, 0) == 0);
    CHECK(fchmodat(s, "size511", 06755, 0) == 0);
  }
}

TEST(wire_carries_everything) {
  static const struct {
    uint32_t lanes, chunk, more;
  } rounds[] = {{1, 100, 0}, {1, 1, FSY_OPT_VERIFY}, {3, 3, 0}, {4, 2, FSY_OPT_READBACK | FSY_OPT_FSYNC},
                {2, 4, FSY_OPT_INPLACE}, {2, 100, FSY_OPT_INPLACE | FSY_OPT_VERIFY}};
  pair *p = pair_open(dirfd, ALL_META, 0);
  make_variety(p->d.source);
  for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) { /* new, then replaced in several ways */
    options(&p->from.c)->flags = options(&p->to.c)->flags = ALL_META | rounds[i].more;
    if (i == 4) { /* what is written in place was longer, and shorter */
      CHECK(truncateat_test(p->d.target, "size1048576", 3000000) == 0);
      CHECK(truncateat_test(p->d.target, "size9000001", 5) == 0);
    }
    lanes_open(p, rounds[i].lanes);
    listing l = list(p);
    transfer t = begin(p, &l, rounds[i].chunk, FSY_WIRE_CONTENT);
    complete_all(p, &t);
    check_same(p, &l, &t);
    CHECK_EQ(!!(t.landed[0].flags & FSY_ITEM_REPLACED), i > 0);
    transfer_free(p, &t);
    unlist(p, &l);
    lanes_close(p, 0);
  }
  pair_close(p);
}

/* ---- attributes, holes, purposes ------------------------------------------------------------------------------------- */

TEST(wire_carries_attributes) {
  pair *p = pair_open(dirfd, ALL_META, 2);
  int s = p->d.source, t = p->d.target;
  make_file(s, "plain", 10, 1);
  make_file(s, "few", 10, 2);
  make_file(s, "many", 2000, 3);
  make_file(t, "plain", 10, 1);
  static char big[60000];
  memset(big, 'v', sizeof(big));
  int fd = openat(s, "few", O_RDONLY | O_CLOEXEC), many = openat(s, "many", O_RDONLY | O_CLOEXEC);
  int stale = openat(t, "plain", O_RDONLY | O_CLOEXEC);
  bool known = fsetxattr(fd, "user.a", "1", 1, 0) == 0;
  if (!known) test_skip("no user xattrs here");
  int big_names = 0;
  if (known) {
    CHECK(fsetxattr(fd, "user.empty", "", 0, 0) == 0);
    CHECK(fsetxattr(stale, "user.stale", "x", 1, 0) == 0);
    for (int i = 0; i < 6; i++) { /* more than travels in a shard, where the filesystem can hold it */
      char name[20];
      snprintf(name, sizeof(name), "user.big%d", i);
      big_names += fsetxattr(many, name, big, sizeof(big), 0) == 0;
    }
    if (geteuid() == 0) {
      CHECK(fsetxattr(fd, "trusted.t", "tt", 2, 0) == 0);
      CHECK(symlinkat("x", s, "link") == 0);
      char path[4200];
      snprintf(path, sizeof(path), "%s/s/link", dir);
      CHECK(lsetxattr(path, "trusted.l", "ll", 2, 0) == 0);
    }
  }
  close(fd);
  close(many);
  close(stale);
  for (int round = 0; round < 2; round++) {
    listing l = list(p);
    if (round == 1) { /* repair: other attributes, other times */
      fd = openat(t, "few", O_RDONLY | O_CLOEXEC);
      if (known) CHECK(fsetxattr(fd, "user.a", "2", 1, 0) == 0 && fsetxattr(fd, "user.more", "2", 1, 0) == 0);
      close(fd);
      CHECK(fchmodat(t, "plain", 0600, 0) == 0);
      CHECK(fchmod(s, 0711) == 0);
      unlist(p, &l);
      l = list(p);
    }
    transfer x = begin(p, &l, 2, round ? FSY_WIRE_ATTRIBUTES : FSY_WIRE_CONTENT);
    complete_all(p, &x);
    check_same(p, &l, &x);
    if (round == 1) CHECK_EQ(x.landed[x.count - 1].status, 0);
    transfer_free(p, &x);
    unlist(p, &l);
    char value[10];
    fd = openat(t, "few", O_RDONLY | O_CLOEXEC);
    if (known) {
      CHECK_EQ(fgetxattr(fd, "user.a", value, sizeof(value)), 1);
      CHECK_EQ(value[0], '1');
      CHECK_EQ(fgetxattr(fd, "user.empty", value, sizeof(value)), 0);
      CHECK_EQ(fgetxattr(fd, "user.more", value, sizeof(value)), -1);
      if (geteuid() == 0) CHECK_EQ(fgetxattr(fd, "trusted.t", value, sizeof(value)), 2);
    }
    close(fd);
    many = openat(t, "many", O_RDONLY | O_CLOEXEC);
    static char list_text[1000];
    if (known) CHECK_EQ(flistxattr(many, list_text, sizeof(list_text)), big_names * 10);
    close(many);
    stale = openat(t, "plain", O_RDONLY | O_CLOEXEC);
    CHECK_EQ(fgetxattr(stale, "user.stale", value, sizeof(value)), -1);
    close(stale);
  }
  CHECK_EQ(stat_of(dirfd, "t").st_mode & 07777, 0711);
  pair_close(p);
}

TEST(wire_keeps_holes) {
  pair *p = pair_open(dirfd, ALL_META | FSY_OPT_VERIFY, 1);
  int fd = openat(p->d.source, "holes", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  CHECK(ftruncate(fd, 40 << 20) == 0);
  CHECK(pwrite(fd, "begin", 5, 0) == 5);
  CHECK(pwrite(fd, "middle", 6, 20 << 20) == 6);
  close(fd);
  fd = openat(p->d.source, "empty", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  CHECK(ftruncate(fd, 30 << 20) == 0);
  close(fd);
  for (int round = 0; round < 2; round++) {
    uint32_t more = round ? FSY_OPT_INPLACE : 0;
    options(&p->to.c)->flags = ALL_META | FSY_OPT_VERIFY | more;
    if (round) make_file(p->d.target, "holes", 45u << 20, 9); /* old content where holes belong */
    listing l = list(p);
    transfer t = begin(p, &l, 10, FSY_WIRE_CONTENT);
    complete_all(p, &t);
    check_same(p, &l, &t);
    CHECK(stat_of(p->d.target, "holes").st_blocks < (4 << 20) / 512);
    CHECK(stat_of(p->d.target, "empty").st_blocks < 100);
    CHECK(t.landed[1].bytes < (1 << 20));
    transfer_free(p, &t);
    unlist(p, &l);
  }
  pair_close(p);
}

TEST(wire_backs_up_and_uses_the_temp_directory) {
  pair *p = pair_open(dirfd, ALL_META, 1);
  p->d.backup = make_dir(dirfd, "b");
  p->d.temp = make_dir(dirfd, "tmp");
  uint32_t suffix = put_text(&p->to.c, "~", 2);
  options(&p->to.c)->suffix_at = suffix;
  make_file(p->d.source, "small", 100, 1);
  make_file(p->d.source, "large", 2000000, 2);
  make_file(p->d.target, "small", 50, 3);
  make_file(p->d.target, "large", 60, 4);
  listing l = list(p);
  transfer t = begin(p, &l, 10, FSY_WIRE_CONTENT);
  complete_all(p, &t);
  check_same(p, &l, &t);
  CHECK(has_content(p->d.backup, "small~", 50, 3));
  CHECK(has_content(p->d.backup, "large~", 60, 4));
  CHECK_EQ(t.landed[0].flags & FSY_ITEM_BACKED_UP, FSY_ITEM_BACKED_UP);
  CHECK_EQ(entries_in(p->d.temp), 0);
  transfer_free(p, &t);
  unlist(p, &l);
  pair_close(p);
}

/* ---- large files ------------------------------------------------------------------------------------------------------ */

typedef struct range {
  uint32_t sent, landed, results;
} range;

static range begin_range(pair *p, const listing *l, uint32_t row_block[2], int temp, double offset, double length,
                         uint32_t block, uint32_t digests, uint32_t digest_bytes) {
  range g;
  uint32_t need = ++p->need;
  fsy_sqe *q = next_sqe(&p->to.c, FSY_OP_RECEIVE);
  q->flags = FSY_WIRE_RANGE;
  q->need = need;
  q->count = 1;
  q->fd1 = temp;
  q->offset = offset;
  q->length = length;
  g.landed = send_off(&p->to, q);
  g.results = fsy_alloc(p->from.c.ring, sizeof(fsy_result));
  q = next_sqe(&p->from.c, FSY_OP_SEND);
  q->flags = FSY_WIRE_RANGE;
  q->need = need;
  q->count = 1;
  q->fd0 = p->d.source;
  q->batch = l->source;
  q->rows = row_block[0];
  q->results = g.results;
  q->offset = offset;
  q->length = length;
  q->extra = block;
  q->path = digests;
  q->path_bytes = digest_bytes;
  g.sent = send_off(&p->from, q);
  return g;
}

static void large_round(pair *p, bool delta, bool change) {
  const double size = 5000000, half = 2 << 20;
  const uint32_t block = 64 << 10;
  listing l = list(p);
  uint32_t rows[2] = {fsy_alloc(p->from.c.ring, 4), fsy_alloc(p->to.c.ring, 4)};
  uint32_t row = (uint32_t)row_of(l.b, "large");
  *(uint32_t *)at(&p->from.c, rows[0]) = row;
  *(uint32_t *)at(&p->to.c, rows[1]) = row | (delta ? FSY_ROW_EXISTS : 0);
  fsy_sqe *q = next_sqe(&p->to.c, FSY_OP_LARGE_BEGIN);
  q->fd1 = p->d.target;
  q->batch = l.manifest;
  q->rows = rows[1];
  q->count = 1;
  fsy_cqe begun = await(&p->to, send_off(&p->to, q));
  CHECK_EQ(begun.result, 0);
  CHECK_EQ(begun.fd0, FSY_NO_FD);
  CHECK_EQ(begun.length, size);
  if (delta && begun.bytes == 0) test_skip("no clones here: nothing to compare with");
  bool compare = delta && begun.bytes > 0;
  range g[2];
  for (int i = 0; i < 2; i++) {
    double offset = i ? half : 0, length = i ? size - half : half;
    uint32_t digests = 0, count = (uint32_t)((length + block - 1) / block);
    if (compare) {
      uint32_t ours = fsy_alloc(p->to.c.ring, 16 * count);
      q = next_sqe(&p->to.c, FSY_OP_HASH_BLOCKS);
      q->fd0 = begun.fd1;
      q->offset = offset;
      q->length = length;
      q->extra = block;
      q->count = count;
      q->results = ours;
      CHECK_EQ(await(&p->to, send_off(&p->to, q)).result, 0);
      digests = fsy_alloc(p->from.c.ring, 16 * count);
      memcpy(at(&p->from.c, digests), at(&p->to.c, ours), 16 * count);
      fsy_free(p->to.c.ring, ours);
    }
    g[i] = begin_range(p, &l, rows, begun.fd1, offset, length, compare ? block : 0, digests, compare ? 16 * count : 0);
  }
  for (int i = 0; i < 2; i++) {
    fsy_cqe sent = await(&p->from, g[i].sent), landed = await(&p->to, g[i].landed);
    CHECK_EQ(sent.result, 0);
    CHECK_EQ(landed.result, 0);
    CHECK_EQ(((fsy_result *)at(&p->from.c, g[i].results))->status, 0);
    CHECK_EQ(landed.bytes, compare ? (i ? 0 : block) : i ? size - half : half);
  }
  if (change) make_file(p->d.source, "large", 17, 3);
  uint32_t need = ++p->need, results[2] = {fsy_alloc(p->from.c.ring, sizeof(fsy_result)),
                                           fsy_alloc(p->to.c.ring, sizeof(fsy_result) + 8)};
  int32_t *fds = (int32_t *)(void *)((uint8_t *)at(&p->to.c, results[1]) + sizeof(fsy_result));
  fds[0] = FSY_NO_FD;
  fds[1] = begun.fd1;
  q = next_sqe(&p->to.c, FSY_OP_RECEIVE);
  q->flags = FSY_WIRE_COMMIT;
  q->need = need;
  q->count = 1;
  q->fd1 = p->d.target;
  q->batch = l.manifest;
  q->rows = rows[1];
  q->results = results[1];
  q->extra = results[1] + (uint32_t)sizeof(fsy_result);
  uint32_t landed = send_off(&p->to, q);
  q = next_sqe(&p->from.c, FSY_OP_SEND);
  q->flags = FSY_WIRE_COMMIT;
  q->need = need;
  q->count = 1;
  q->fd0 = p->d.source;
  q->batch = l.source;
  q->rows = rows[0];
  q->results = results[0];
  uint32_t sent = send_off(&p->from, q);
  CHECK_EQ(await(&p->from, sent).result, 0);
  CHECK_EQ(await(&p->to, landed).result, 0);
  const fsy_result *r = at(&p->to.c, results[1]);
  CHECK_EQ(r->status, change ? -EBUSY : 0);
  CHECK_EQ(!!(r->flags & FSY_ITEM_CHANGED), change);
  if (change) { /* both sides know what it is now */
    fsy_view ours, theirs;
    fsy_entry here, there;
    CHECK_EQ(fsy_view_at(p->to.c.ring, l.manifest, &ours) | fsy_entry_get(&ours, row, &here), 0);
    CHECK_EQ(fsy_view_at(p->from.c.ring, l.source, &theirs) | fsy_entry_get(&theirs, row, &there), 0);
    struct stat now = stat_of(p->d.source, "large");
    CHECK(fsy_entry_same(&there, &now));
    CHECK_EQ(here.size, 17);
    CHECK_EQ(here.mtime_sec, now.st_mtim.tv_sec);
    CHECK_EQ(here.mtime_nsec, now.st_mtim.tv_nsec);
    CHECK_EQ(here.mode, now.st_mode);
    CHECK_EQ(here.uid, there.uid);
  }
  if (!change) {
    CHECK(same_file(p->d.source, "large", p->d.target, "large"));
    CHECK(same_meta(p->d.source, "large", p->d.target, "large"));
  }
}

TEST(wire_large_file_by_ranges) {
  pair *p = pair_open(dirfd, ALL_META | FSY_OPT_DELTA | FSY_OPT_VERIFY, 2);
  make_file(p->d.source, "large", 5000000, 1);
  large_round(p, false, false);
  int fd = openat(p->d.target, "large", O_WRONLY | O_CLOEXEC);
  CHECK(pwrite(fd, "other", 5, 70000) == 5);
  close(fd);
  large_round(p, true, false);
  make_file(p->d.source, "large", 5000000, 2);
  CHECK(unlinkat(p->d.target, "large", 0) == 0);
  large_round(p, false, true);
  CHECK_EQ(stat_of(p->d.target, "large").st_mode, 0);
  pair_close(p);
}

/* ---- what goes wrong on the source's side ------------------------------------------------------------------------------- */

TEST(wire_tells_of_failures) {
  pair *p = pair_open(dirfd, ALL_META, 1);
  const char *names[] = {"a_small", "b_large", "c_gone", "d_denied", "e_last"};
  make_file(p->d.source, names[0], 1000, 1);
  make_file(p->d.source, names[1], 3000000, 2);
  make_file(p->d.source, names[2], 1000, 3);
  make_file(p->d.source, names[3], 1000, 4);
  make_file(p->d.source, names[4], 1000, 5);
  listing l = list(p);
  CHECK(unlinkat(p->d.source, names[2], 0) == 0);
  make_file(p->d.source, names[0], 2000, 6); /* changed since it was listed: the second reading counts */
  make_file(p->d.source, names[1], 2500000, 7);
  transfer t = begin(p, &l, 10, FSY_WIRE_CONTENT);
  complete_all(p, &t);
  CHECK_EQ(t.landed[0].status, 0);
  CHECK_EQ(t.landed[0].flags & FSY_ITEM_RETRIED, FSY_ITEM_RETRIED);
  CHECK_EQ(t.landed[0].size, 2000);
  CHECK_EQ(t.landed[1].status, 0);
  CHECK_EQ(t.landed[1].flags & FSY_ITEM_RETRIED, FSY_ITEM_RETRIED);
  CHECK_EQ(t.landed[1].bytes, 2500000);
  CHECK_EQ(t.landed[2].status, -ENOENT);
  CHECK_EQ(t.landed[2].stage, FSY_STAGE_OPEN_SOURCE);
  CHECK_EQ(t.sent[2].status, -ENOENT);
  for (int i = 0; i < 2; i++) {
    CHECK(same_file(p->d.source, names[i], p->d.target, names[i]));
    CHECK(same_meta(p->d.source, names[i], p->d.target, names[i]));
  }
  CHECK(same_file(p->d.source, names[4], p->d.target, names[4]));
  transfer_free(p, &t);
  unlist(p, &l);

  static const struct {
    const char *plan;
    int index, status;
  } faults[] = {{"read:1:5", 0, -EIO},     {"open_source:2:13", 1, -EACCES}, {"write:1:28", 0, -ENOSPC},
                {"write:4:28", 1, -ENOSPC}, {"create:2:28", 1, -ENOSPC},      {"fsync:2:5", 1, -EIO},
                {"verify:2:5", 1, -EBADMSG}, {"publish:1:5", 0, -EIO}};
  CHECK(unlinkat(p->d.source, names[3], 0) == 0);
  options(&p->from.c)->flags = options(&p->to.c)->flags = ALL_META | FSY_OPT_FSYNC | FSY_OPT_VERIFY;
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
    for (int n = 0; n < 5; n++) (void)unlinkat(p->d.target, names[n], 0);
    l = list(p);
    fault(faults[i].plan);
    t = begin(p, &l, 10, FSY_WIRE_CONTENT);
    complete_all(p, &t);
    fault(NULL);
    for (int n = 0; n < 3; n++) {
      int expected = n == faults[i].index ? faults[i].status : 0;
      if (t.landed[n].status != expected) printf("  %s item %d\n", faults[i].plan, n);
      CHECK_EQ(t.landed[n].status, expected);
      CHECK_EQ(stat_of(p->d.target, n < 2 ? names[n] : names[4]).st_mode != 0, expected == 0);
    }
    CHECK_EQ(temps_in(p->d.target), 0);
    transfer_free(p, &t);
    unlist(p, &l);
  }
  pair_close(p);
}

/* The source shrinks and changes all the time: whatever comes out is named, and the stream stays in step. */
static void *shrink(void *argument) {
  int *state = argument;
  for (int i = 0; atomic_load((atomic_int *)&state[1]); i++) {
    int fd = openat(state[0], "moving", O_WRONLY | O_CLOEXEC);
    (void)!ftruncate(fd, (i % 2) ? 6000000 : 300000);
    close(fd);
    usleep(300);
  }
  return NULL;
}

TEST(wire_stays_in_step_with_moving_files) {
  for (int round = 0; round < 20; round++) {
    pair *p = pair_open(dirfd, FSY_OPT_PERMS | FSY_OPT_TIMES | (round % 2 ? FSY_OPT_VERIFY : 0), 1);
    make_file(p->d.source, "moving", 6000000, 1);
    make_file(p->d.source, "still", 1000, 2);
    listing l = list(p);
    int state[2] = {p->d.source, 1};
    pthread_t thread;
    pthread_create(&thread, NULL, shrink, state);
    transfer t = begin(p, &l, 10, FSY_WIRE_CONTENT);
    complete_all(p, &t);
    atomic_store((atomic_int *)&state[1], 0);
    pthread_join(thread, NULL);
    CHECK_EQ(t.landed[0].status, t.sent[0].status);
    CHECK(t.landed[0].status == 0 || t.landed[0].status == -EBUSY);
    CHECK_EQ(t.landed[1].status, 0);
    CHECK(has_content(p->d.target, "still", 1000, 2));
    transfer_free(p, &t);
    unlist(p, &l);
    pair_close(p);
  }
}

/* ---- ends -------------------------------------------------------------------------------------------------------------------- */

TEST(wire_ends_at_any_time) {
  for (int round = 0; round < 60; round++) {
    pair *p = pair_open(dirfd, ALL_META, 1 + (uint32_t)round % 3);
    if (round == 0)
      for (int i = 0; i < 60; i++) {
        char name[20];
        snprintf(name, sizeof(name), "f%d", i);
        make_file(p->d.source, name, i % 7 ? 5000 : 1500000, (unsigned)i);
      }
    listing l = list(p);
    transfer t = begin(p, &l, 4, FSY_WIRE_CONTENT);
    usleep((useconds_t)(round * 211 % 7000));
    switch (round % 6) {
      case 0: fsy_cancel(p->to.c.ring); break;
      case 1: fsy_cancel(p->from.c.ring); break;
      case 2:
        for (uint32_t i = 0; i < p->lane_count; i++) end_stream(&p->to, i + 1);
        break;
      case 3:
        for (uint32_t i = 0; i < p->lane_count; i++) end_stream(&p->from, i + 1);
        break;
      case 4: end_stream(&p->from, 1); break;
      default: break; /* closing in the middle */
    }
    if (round % 6 == 4) { /* the others go on, unless there is none */
      CHECK(await(&p->from, p->lanes[0].out).result == 0);
    }
    if (round % 6 < 4) {
      for (uint32_t i = 0; i < p->lane_count; i++) {
        (void)await(&p->from, p->lanes[i].out);
        (void)await(&p->to, p->lanes[i].in);
      }
      complete_all(p, &t);
      for (uint32_t i = 0; i < t.count; i++) {
        int landed = t.landed[i].status, sent = t.sent[i].status;
        CHECK(landed == 0 || landed == -EPIPE || landed == -ECANCELED);
        CHECK(sent == 0 || sent == -EPIPE || sent == -ECANCELED);
        if (round % 6 == 3) CHECK_EQ(landed, sent);
      }
    }
    p->lane_count = 0;
    pair_close(p);
    int target = make_dir(dirfd, "t");
    CHECK_EQ(temps_in(target), 0);
    close(target);
  }
}

TEST(wire_requests_wait_for_the_first_stream_only) {
  pair *p = pair_open(dirfd, ALL_META, 0);
  make_file(p->d.source, "a", 100, 1);
  listing l = list(p);
  transfer t = begin(p, &l, 1, FSY_WIRE_CONTENT);
  usleep(2000);
  lanes_open(p, 1);
  complete_all(p, &t);
  CHECK_EQ(t.landed[0].status, 0);
  transfer_free(p, &t);
  lanes_close(p, 0);
  t = begin(p, &l, 1, FSY_WIRE_CONTENT);
  complete_all(p, &t);
  CHECK_EQ(t.landed[0].status, -EPIPE);
  CHECK_EQ(t.sent[0].status, -EPIPE);
  transfer_free(p, &t);
  lanes_open(p, 1);
  t = begin(p, &l, 1, FSY_WIRE_CONTENT);
  complete_all(p, &t);
  CHECK_EQ(t.landed[0].status, 0);
  transfer_free(p, &t);
  unlist(p, &l);
  pair_close(p);
}

TEST(wire_cancelled_before_any_stream) {
  pair *p = pair_open(dirfd, ALL_META, 0);
  make_file(p->d.source, "a", 100, 1);
  listing l = list(p);
  transfer t = begin(p, &l, 1, FSY_WIRE_CONTENT);
  fsy_cancel(p->from.c.ring);
  fsy_cancel(p->to.c.ring);
  complete_all(p, &t);
  CHECK_EQ(t.landed[0].status, -ECANCELED);
  CHECK_EQ(t.sent[0].status, -ECANCELED);
  pair_close(p);
}

TEST(wire_streams_are_bounded) {
  peer p;
  peer_open(&p, 0);
  uint32_t tags[FSY_MAX_STREAMS + 1];
  int others[FSY_MAX_STREAMS + 1];
  for (int round = 0; round < 2; round++) {
    for (uint32_t i = 0; i <= FSY_MAX_STREAMS; i++) {
      int ends[2];
      CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
      others[i] = ends[1];
      tags[i] = open_stream(&p, ends[0], i % 2 ? FSY_STREAM_SEND : FSY_STREAM_RECEIVE, i + 1);
    }
    CHECK_EQ(await(&p, tags[FSY_MAX_STREAMS]).result, -EMFILE);
    for (uint32_t i = 0; i <= FSY_MAX_STREAMS; i++) close(others[i]);
    for (uint32_t i = 0; i < FSY_MAX_STREAMS; i++) {
      fsy_cqe done = await(&p, tags[i]);
      CHECK(done.result == -ECONNRESET || done.result == -EPIPE);
      CHECK_EQ(done.flags, FSY_REASON_CLOSED);
    }
  }
  fsy_close(p.c.ring);
}

TEST(wire_idle_frames_time_out) {
  peer p;
  peer_open(&p, 0);
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  fsy_sqe *q = next_sqe(&p.c, FSY_OP_STREAM);
  q->fd0 = ends[0];
  q->flags = FSY_STREAM_RECEIVE;
  q->length = 50;
  uint32_t tag = send_off(&p, q);
  usleep(120000); /* between frames it waits */
  CHECK_EQ(fsy_reap(p.c.ring), 0);
  CHECK(write(ends[1], "FSD1", 4) == 4);
  fsy_cqe done = await(&p, tag);
  CHECK_EQ(done.result, -ETIMEDOUT);
  CHECK_EQ(done.flags, FSY_REASON_IDLE);
  close(ends[1]);
  fsy_close(p.c.ring);
}

/* ---- hostile senders ------------------------------------------------------------------------------------------------------------ */

typedef struct reader {
  int fd;
  uint8_t *to;
  size_t used, room;
} reader;

static void *read_all(void *argument) {
  reader *r = argument;
  ssize_t got;
  while (r->used < r->room && (got = read(r->fd, r->to + r->used, r->room - r->used)) > 0) r->used += (size_t)got;
  return NULL;
}

/* What an honest sender says for a directory; in `to`, at most `room`. */
static size_t capture(pair *p, uint8_t *to, size_t room) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  uint32_t stream = open_stream(&p->from, ends[0], FSY_STREAM_SEND, 77);
  reader r = {ends[1], to, 0, room};
  pthread_t thread;
  pthread_create(&thread, NULL, read_all, &r);
  listing l = list(p);
  uint32_t rows = fsy_alloc(p->from.c.ring, 4 * l.b->count);
  uint32_t results = fsy_alloc(p->from.c.ring, l.b->count * (uint32_t)sizeof(fsy_result));
  for (uint32_t i = 0; i < l.b->count; i++) ((uint32_t *)at(&p->from.c, rows))[i] = i;
  fsy_sqe *q = next_sqe(&p->from.c, FSY_OP_SEND);
  q->need = 1;
  q->count = l.b->count;
  q->fd0 = p->d.source;
  q->batch = l.source;
  q->rows = rows;
  q->results = results;
  CHECK_EQ(await(&p->from, send_off(&p->from, q)).result, 0);
  end_stream(&p->from, 77);
  pthread_join(thread, NULL);
  close(ends[1]);
  CHECK_EQ(await(&p->from, stream).result, 0);
  unlist(p, &l);
  fsy_free(p->from.c.ring, rows);
  fsy_free(p->from.c.ring, results);
  return r.used;
}

typedef struct play {
  fsy_cqe stream, need;
} play;

/* Bytes into a receiver that expects need 1, then the end of the connection. */
static play replay(pair *p, const listing *l, const uint8_t *bytes, size_t count, uint32_t purpose) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  int large = 4 << 20;
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
  uint32_t rows = fsy_alloc(p->to.c.ring, 4 * l->b->count);
  uint32_t results = fsy_alloc(p->to.c.ring, l->b->count * (uint32_t)sizeof(fsy_result));
  for (uint32_t i = 0; i < l->b->count; i++) ((uint32_t *)at(&p->to.c, rows))[i] = i;
  uint32_t stream = open_stream(&p->to, ends[0], FSY_STREAM_RECEIVE, 5);
  fsy_sqe *q = next_sqe(&p->to.c, FSY_OP_RECEIVE);
  q->flags = purpose;
  q->need = 1;
  q->count = l->b->count;
  q->fd1 = p->d.target;
  q->batch = l->manifest;
  q->rows = rows;
  q->results = results;
  uint32_t need = send_off(&p->to, q);
  for (size_t done = 0; done < count;) {
    ssize_t put = send(ends[1], bytes + done, count - done, MSG_NOSIGNAL);
    if (put <= 0) break;
    done += (size_t)put;
  }
  shutdown(ends[1], SHUT_WR);
  play y = {await(&p->to, stream), await(&p->to, need)};
  close(ends[1]);
  fsy_free(p->to.c.ring, rows);
  fsy_free(p->to.c.ring, results);
  return y;
}

static pair *small_session(int dirfd, uint8_t *bytes, size_t room, size_t *count) {
  pair *p = pair_open(dirfd, FSY_OPT_PERMS | FSY_OPT_XATTRS, 0);
  p->to.c.control->rate_bytes_per_second = 0;
  make_file(p->d.source, "a", 10, 1);
  make_file(p->d.source, "b", 600, 2);
  CHECK(symlinkat("x", p->d.source, "c") == 0);
  make_file(p->d.source, "d", 1 << 20, 3);
  int fd = openat(p->d.source, "a", O_RDONLY | O_CLOEXEC);
  (void)fsetxattr(fd, "user.k", "v", 1, 0);
  close(fd);
  *count = capture(p, bytes, room);
  return p;
}

#define SESSION_ROOM (3u << 20)

void test_register_ms(fsy_ring *ring, uint32_t ms);

TEST(wire_session_cut_anywhere) {
  uint8_t *bytes = malloc(SESSION_ROOM);
  size_t count;
  pair *p = small_session(dirfd, bytes, SESSION_ROOM, &count);
  listing l = list(p);
  play whole = replay(p, &l, bytes, count, FSY_WIRE_CONTENT);
  CHECK_EQ(whole.stream.result, 0);
  CHECK_EQ(whole.need.result, 0);
  CHECK_EQ(whole.need.count, 4);
  size_t step = 1;
  for (size_t cut = 0; cut < count; cut += step) {
    /* every byte of heads and records, samples of content */
    step = cut > 5000 && cut < count - 300 ? 40009 : 1;
    play y = replay(p, &l, bytes, cut, FSY_WIRE_CONTENT);
    CHECK_EQ(y.stream.result, -ECONNRESET);
    /* in the midst of the last file everything has an answer: three good ones */
    CHECK(y.need.result == -EPIPE || y.need.count == (cut >= count - FSY_FRAME_BYTES ? 4 : 3));
    if (step == 1 && cut % 64) continue;
    CHECK_EQ(temps_in(p->d.target), 0);
  }
  free(bytes);
  unlist(p, &l);
  pair_close(p);
}

TEST(wire_damaged_sessions_are_refused) {
  uint8_t *bytes = malloc(SESSION_ROOM), *mutant = malloc(SESSION_ROOM);
  size_t count;
  pair *p = small_session(dirfd, bytes, SESSION_ROOM, &count);
  test_register_ms(p->to.c.ring, 1);
  listing l = list(p);
  make_file(dirfd, "outside", 10, 9);
  int refused = 0;
  for (size_t i = 0; i < 4500 && i < count; i += i < 400 ? 1 : 5) { /* one byte each, through heads, records, attributes, archive */
    memcpy(mutant, bytes, count);
    mutant[i] ^= (uint8_t)(1u << i % 8);
    play y = replay(p, &l, mutant, count, FSY_WIRE_CONTENT);
    CHECK(y.stream.result == 0 || y.stream.result == -EPROTO || y.stream.result == -ECONNRESET);
    refused += y.stream.result == -EPROTO;
    if (i < FSY_FRAME_BYTES) CHECK_EQ(y.stream.result, -EPROTO);
    CHECK(y.stream.result == -EPROTO || y.need.result == 0 || y.need.result == -EPIPE);
  }
  CHECK(refused > 200);
  uint32_t random = 12345;
  for (int i = 0; i < 1500; i++) { /* several fields of any frame, with a good CRC */
    memcpy(mutant, bytes, count);
    for (size_t at_byte = 0; at_byte + FSY_FRAME_BYTES <= count;) {
      fsy_frame frame;
      if (fsy_frame_get(bytes + at_byte, &frame)) break;
      for (int n = 0; n < 2; n++) {
        random = random * 1664525u + 1013904223u;
        size_t reach = FSY_FRAME_BYTES + (frame.length < 3000 ? frame.length : 3000);
        if ((random >> 28) < 6) mutant[at_byte + (random >> 8) % reach] ^= (uint8_t)(1u << (random & 7));
      }
      fsy_put32(mutant + at_byte + 28, fsy_crc32(mutant + at_byte, 28));
      at_byte += FSY_FRAME_BYTES + frame.length;
    }
    play y = replay(p, &l, mutant, count, i % 3 ? FSY_WIRE_CONTENT : FSY_WIRE_ATTRIBUTES);
    CHECK(y.stream.result == 0 || y.stream.result == -EPROTO || y.stream.result == -ECONNRESET);
  }
  CHECK_EQ(temps_in(p->d.target), 0);
  CHECK_EQ(entries_in(p->d.target), 4);
  CHECK(has_content(dirfd, "outside", 10, 9));
  free(bytes);
  free(mutant);
  unlist(p, &l);
  pair_close(p);
}

static size_t put_frame(uint8_t *to, uint8_t type, uint32_t need, uint32_t item, uint64_t offset, uint32_t length) {
  fsy_frame frame = {type, need, item, length, offset};
  fsy_frame_put(to, &frame);
  return FSY_FRAME_BYTES;
}

static size_t put_record(uint8_t *to, uint32_t item, uint64_t size, uint32_t mode, uint32_t attr_bytes, uint64_t bytes) {
  fsy_record record;
  memset(&record, 0, sizeof(record));
  record.item = item;
  record.size = size;
  record.mode = mode;
  record.attr_bytes = attr_bytes;
  record.bytes = bytes;
  fsy_record_put(to, &record);
  return FSY_RECORD_BYTES;
}

/* What a target took away from its manifest does not come back with a record. */
TEST(wire_retried_records_bring_permissions_only) {
  uint8_t *bytes = malloc(SESSION_ROOM);
  size_t count, n = 0;
  pair *p = small_session(dirfd, bytes, SESSION_ROOM, &count);
  test_register_ms(p->to.c.ring, 1);
  listing l = list(p);
  fsy_record record;
  memset(&record, 0, sizeof(record));
  record.flags = FSY_RECORD_RETRIED;
  record.size = 3;
  record.mode = S_IFREG | 07751;
  memset(bytes, 0, 4096);
  n += put_frame(bytes, FSY_FRAME_SHARD, 1, 1, 0, FSY_RECORD_BYTES + 4 * FSY_TAR_BLOCK);
  fsy_record_put(bytes + n, &record);
  n += FSY_RECORD_BYTES;
  fsy_tar_header(bytes + n, "a", 1, &record);
  memcpy(bytes + n + FSY_TAR_BLOCK, "new", 3);
  n += 4 * FSY_TAR_BLOCK;
  record.item = 3;
  n += put_frame(bytes + n, FSY_FRAME_FILE, 1, 3, 0, FSY_RECORD_BYTES);
  fsy_record_put(bytes + n, &record);
  n += FSY_RECORD_BYTES;
  n += put_frame(bytes + n, FSY_FRAME_DATA, 1, 3, 0, 3);
  memcpy(bytes + n, "new", 3);
  n += 3;
  record.bytes = 3;
  n += put_frame(bytes + n, FSY_FRAME_END, 1, 3, 0, FSY_RECORD_BYTES);
  fsy_record_put(bytes + n, &record);
  n += FSY_RECORD_BYTES;
  play y = replay(p, &l, bytes, n, FSY_WIRE_CONTENT);
  CHECK_EQ(y.need.count, 2);
  CHECK_EQ(stat_of(p->d.target, "a").st_mode, S_IFREG | 0751);
  CHECK_EQ(stat_of(p->d.target, "d").st_mode, S_IFREG | 0751);
  CHECK_EQ(stat_of(p->d.target, "a").st_size, 3);
  free(bytes);
  unlist(p, &l);
  pair_close(p);
}

/* Rows: 0 "a" 10, 1 "b" 600, 2 "c" symlink, 3 "d" 1 MiB. */
TEST(wire_rules_are_enforced) {
  uint8_t *bytes = calloc(1, SESSION_ROOM);
  size_t count;
  pair *p = small_session(dirfd, bytes, SESSION_ROOM, &count);
  test_register_ms(p->to.c.ring, 1);
  listing l = list(p);
  const uint32_t file = S_IFREG | 0644, link = S_IFLNK | 0777;
  for (int rule = 0;; rule++) {
    uint8_t *m = bytes;
    size_t n = 0;
    uint32_t reason = FSY_REASON_NONE;
    memset(m, 0, 4096);
#define HEAD(...) n += put_frame(m + n, __VA_ARGS__)
#define RECORD(...) n += put_record(m + n, __VA_ARGS__)
    switch (rule) {
      case 0: HEAD(FSY_FRAME_SHARD, 2, 1, 0, 80), RECORD(2, 0, link, 0, 0), reason = FSY_REASON_NEED; break;
      case 1: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(4, 0, link, 0, 0), reason = FSY_REASON_ITEM; break;
      case 2: HEAD(FSY_FRAME_SHARD, 1, 2, 0, 160), RECORD(2, 0, link, 0, 0), RECORD(2, 0, link, 0, 0), reason = FSY_REASON_ITEM; break;
      case 3:
        for (int i = 0; i < 2; i++) HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(2, 0, link, 0, 0);
        reason = FSY_REASON_ITEM;
        break;
      case 4: HEAD(FSY_FRAME_SHARD, 1, 0, 0, 80), reason = FSY_REASON_LENGTH; break;
      case 5: HEAD(FSY_FRAME_SHARD, 1, 2, 0, 80), reason = FSY_REASON_LENGTH; break;
      case 6: HEAD(FSY_FRAME_SHARD, 1, 1, 0, FSY_SHARD_MAX + 1), reason = FSY_REASON_LENGTH; break;
      case 7: HEAD(FSY_FRAME_DATA, 1, 3, 0, 0), reason = FSY_REASON_LENGTH; break;
      case 8: HEAD(FSY_FRAME_DATA, 1, 3, 0, FSY_DATA_MAX + 1), reason = FSY_REASON_LENGTH; break;
      case 9: HEAD(FSY_FRAME_DATA, 1, 3, 0, 5), reason = FSY_REASON_ORDER; break; /* no FILE before it */
      case 10: HEAD(FSY_FRAME_END, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0), reason = FSY_REASON_ORDER; break;
      case 11: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(2, 0, file, 0, 0), reason = FSY_REASON_RECORD; break; /* a link's row */
      case 12: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(0, 10, file, 0, 0), reason = FSY_REASON_ARCHIVE; break; /* no member */
      case 13: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(0, 11, file, 0, 0), reason = FSY_REASON_RECORD; break; /* not the row's size */
      case 14: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80 + 1024), RECORD(2, 0, link, 0, 0), n += 1024, reason = FSY_REASON_ARCHIVE; break;
      case 15: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(2, 0, link, 9, 0), reason = FSY_REASON_ATTRIBUTES; break;
      case 16: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 88), RECORD(2, 0, link, 8, 0), n += 8, reason = FSY_REASON_ATTRIBUTES; break; /* a name of 0 bytes */
      case 17: HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(2, 0, link, FSY_ATTRS_MAX + 1, 0), reason = FSY_REASON_RECORD; break;
      case 18: HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1ull << 53, file, 0, 0), reason = FSY_REASON_RECORD; break;
      case 19: HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(1, 600, file, 0, 0), reason = FSY_REASON_RECORD; break; /* another item */
      case 20: HEAD(FSY_FRAME_FILE, 1, 3, 0, 81), RECORD(3, 1 << 20, file, 0, 0), n += 1, reason = FSY_REASON_LENGTH; break;
      case 21: /* beyond the file */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 10, file, 0, 0), HEAD(FSY_FRAME_DATA, 1, 3, 5, 6), n += 6;
        reason = FSY_REASON_DATA;
        break;
      case 22: /* backwards */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0), HEAD(FSY_FRAME_DATA, 1, 3, 5, 6), n += 6;
        HEAD(FSY_FRAME_DATA, 1, 3, 10, 6), n += 6;
        reason = FSY_REASON_DATA;
        break;
      case 23: /* a frame between */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0);
        HEAD(FSY_FRAME_SHARD, 1, 1, 0, 80), RECORD(2, 0, link, 0, 0);
        reason = FSY_REASON_ORDER;
        break;
      case 24: /* BYE inside */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0), HEAD(FSY_FRAME_BYE, 0, 0, 0, 0);
        reason = FSY_REASON_ORDER;
        break;
      case 25: /* END of another size */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0);
        HEAD(FSY_FRAME_END, 1, 3, 0, 80), RECORD(3, 1 << 21, file, 0, 0);
        reason = FSY_REASON_RECORD;
        break;
      case 26: /* END that counts otherwise */
        HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0);
        HEAD(FSY_FRAME_END, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 7);
        reason = FSY_REASON_RECORD;
        break;
      case 27: HEAD(FSY_FRAME_BYE, 0, 0, 0, 0), HEAD(FSY_FRAME_BYE, 0, 0, 0, 0), reason = FSY_REASON_ORDER; break;
      case 28: HEAD(FSY_FRAME_BYE, 3, 0, 0, 0), reason = FSY_REASON_FIELD; break;
      case 29: HEAD(6, 1, 0, 0, 0), reason = FSY_REASON_TYPE; break;
      case 30: HEAD(FSY_FRAME_SHARD, 1, 1, 9, 80), reason = FSY_REASON_FIELD; break;
      case 31: HEAD(FSY_FRAME_DATA, 1, 3, 1ull << 53, 5), reason = FSY_REASON_DATA; break;
      case 32: /* begun for the third time */
        for (int i = 0; i < 2; i++) {
          HEAD(FSY_FRAME_FILE, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0);
          HEAD(FSY_FRAME_END, 1, 3, 0, 80), RECORD(3, 1 << 20, file, 0, 0);
          fsy_put32(m + n - FSY_RECORD_BYTES + 12, FSY_RECORD_AGAIN);
        }
        reason = FSY_REASON_ORDER;
        break;
      default: rule = -1;
    }
    if (rule < 0) break;
    play y = replay(p, &l, m, n, FSY_WIRE_CONTENT);
    if (y.stream.result != -EPROTO || y.stream.flags != reason) printf("  rule %d\n", rule);
    CHECK_EQ(y.stream.result, -EPROTO);
    CHECK_EQ(y.stream.flags, reason);
    CHECK_EQ(y.need.result, -EPIPE);
    CHECK_EQ(temps_in(p->d.target), 0);
  }
  free(bytes);
  unlist(p, &l);
  pair_close(p);
}

TEST(wire_archive_is_what_tar_lists) {
  uint8_t *bytes = malloc(SESSION_ROOM);
  pair *p = pair_open(dirfd, FSY_OPT_PERMS, 0);
  char name[151];
  memset(name, 'l', 150);
  name[150] = 0;
  make_file(p->d.source, "a", 10, 1);
  make_file(p->d.source, "b", 0, 2);
  make_file(p->d.source, name, 600, 3);
  size_t count = capture(p, bytes, SESSION_ROOM);
  fsy_frame frame;
  CHECK_EQ(fsy_frame_get(bytes, &frame), FSY_REASON_NONE);
  CHECK_EQ(frame.type, FSY_FRAME_SHARD);
  CHECK_EQ(frame.item, 3);
  size_t from = FSY_FRAME_BYTES + 3 * FSY_RECORD_BYTES, to = FSY_FRAME_BYTES + frame.length;
  CHECK(count > to && (to - from) % 512 == 0);
  int fd = openat(dirfd, "shard.tar", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  CHECK(write(fd, bytes + from, to - from) == (ssize_t)(to - from));
  close(fd);
  char command[9000];
  snprintf(command, sizeof(command), "cd '%s' && mkdir x && tar -xf shard.tar -C x && diff -r s x && tar -tf shard.tar | wc -l | grep -qx 3",
           dir);
  CHECK_EQ(system(command), 0);
  free(bytes);
  pair_close(p);
}
