/* Many workers and streams at once, under cancels, ends and changes of the number of workers: what the thread sanitizer is
 * to see. Every request is answered once, and nothing is left behind. FSY_STRESS_SECONDS: for so long; else some rounds. */
#include "harness.h"

#include "../internal.h"

#include <sys/socket.h>

enum { ROUNDS = 6, TURNS = 250, SLOTS = 256, FILES = 24, TARGETS = 3, LANES = 4, BLOCKS = 3, IDLE_MS = 20000 };

/* A request that was not answered yet. */
typedef struct flight {
  bool busy;
  uint32_t op, block[BLOCKS];
} flight;

typedef struct side {
  client c;
  uint32_t batch, batch_bytes;
  flight flights[SLOTS];
  uint32_t flying, answered;
} side;

typedef struct storm {
  side from, to;
  int source, target[TARGETS], into;
  uint64_t random;
  uint32_t need, stream;
} storm;

static uint32_t noise(storm *s) {
  s->random ^= s->random << 13;
  s->random ^= s->random >> 7;
  s->random ^= s->random << 17;
  return (uint32_t)(s->random >> 20);
}

static void side_open(side *a, uint32_t workers) {
  a->c = client_open(workers);
  options(&a->c)->flags = FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_XATTRS | FSY_OPT_ACLS | FSY_OPT_SPARSE;
}

/* The request gets a free slot; its tag is the slot's number. */
static fsy_sqe *begin(side *a, uint32_t op) {
  uint32_t slot = 0;
  while (a->flights[slot].busy) slot++;
  flight *f = &a->flights[slot];
  memset(f, 0, sizeof(*f));
  f->busy = true;
  f->op = op;
  fsy_sqe *q = next_sqe(&a->c, op);
  q->tag = slot;
  a->flying++;
  return q;
}
static uint32_t block_of(side *a, const fsy_sqe *q, uint32_t index, uint32_t bytes) {
  uint32_t block = fsy_alloc(a->c.ring, bytes);
  CHECK(block);
  a->flights[q->tag].block[index] = block;
  return block;
}

static void land(side *a, const fsy_cqe *done) {
  flight *f = &a->flights[done->tag];
  CHECK(done->tag < SLOTS && f->busy);
  CHECK(done->result <= 0);
  if (done->fd0 >= 0) close(done->fd0);
  if (done->block) {
    fsy_batch *b = at(&a->c, done->block);
    if (f->op == FSY_OP_WALK && b->dirfd >= 0) close(b->dirfd);
    fsy_free(a->c.ring, done->block);
  }
  for (int i = 0; i < BLOCKS; i++) fsy_free(a->c.ring, f->block[i]);
  f->busy = false;
  a->flying--;
  a->answered++;
}

/* What is there; with `wait` at least one. */
static void reap(side *a, bool wait) {
  while (a->flying > 0 && (wait || fsy_reap(a->c.ring) > 0)) {
    fsy_cqe done = next_cqe(&a->c);
    land(a, &done);
    wait = false;
  }
}

/* ---- requests ---------------------------------------------------------------------------------------------------------- */

static void rows_of(storm *s, side *a, fsy_sqe *q) {
  uint32_t count = 1 + noise(s) % FILES, first = noise(s) % FILES;
  q->batch = a->batch;
  q->count = count;
  q->rows = block_of(a, q, 0, 4 * count);
  q->results = block_of(a, q, 1, count * ((uint32_t)sizeof(fsy_result) + 32));
  for (uint32_t i = 0; i < count; i++) ((uint32_t *)at(&a->c, q->rows))[i] = (first + i) % FILES | (noise(s) % 2 ? FSY_ROW_EXISTS : 0);
}

static void path_of(side *a, fsy_sqe *q, const char *path) {
  q->path_bytes = (uint32_t)strlen(path) + 1;
  q->path = block_of(a, q, 2, q->path_bytes);
  memcpy(at(&a->c, q->path), path, q->path_bytes);
}

static void local_request(storm *s) {
  static const uint32_t ops[] = {FSY_OP_NOP,  FSY_OP_WALK,   FSY_OP_WALK,   FSY_OP_STAT,    FSY_OP_RESOLVE, FSY_OP_COPY,
                                 FSY_OP_COPY, FSY_OP_REPAIR, FSY_OP_DELETE, FSY_OP_RENAME,  FSY_OP_HASH,    FSY_OP_CLOSE,
                                 FSY_OP_LINK, FSY_OP_SWEEP,  FSY_OP_HASH_BLOCKS};
  side *a = &s->from;
  uint32_t op = ops[noise(s) % (sizeof(ops) / sizeof(ops[0]))];
  if (op == FSY_OP_CLOSE) { /* quiet: answers nothing, and its block goes with it */
    uint32_t rows = fsy_alloc(a->c.ring, 8);
    int32_t *fds = at(&a->c, rows);
    fds[0] = fcntl(s->source, F_DUPFD_CLOEXEC, 0);
    fds[1] = FSY_NO_FD;
    fsy_sqe *q = next_sqe(&a->c, op);
    q->flags = FSY_CLOSE_QUIET;
    q->rows = rows;
    q->count = 2;
    submit(&a->c);
    return;
  }
  fsy_sqe *q = begin(a, op);
  int target = s->target[noise(s) % TARGETS];
  q->fd0 = s->source;
  q->fd1 = target;
  switch (op) {
    case FSY_OP_WALK:
      q->fd0 = noise(s) % 2 ? s->source : target;
      q->flags = FSY_WALK_XATTRS;
      path_of(a, q, ".");
      break;
    case FSY_OP_STAT:
      path_of(a, q, "f03");
      q->count = 1;
      break;
    case FSY_OP_RESOLVE:
      q->fd0 = target;
      q->flags = FSY_RESOLVE_CREATE;
      path_of(a, q, noise(s) % 2 ? "x/y" : "x/z");
      break;
    case FSY_OP_RENAME: q->fd0 = s->target[noise(s) % TARGETS]; rows_of(s, a, q); break;
    case FSY_OP_DELETE:
    case FSY_OP_SWEEP: q->fd0 = target; rows_of(s, a, q); break;
    case FSY_OP_LINK: {
      q->fd0 = q->fd1 = target;
      q->path = block_of(a, q, 2, 8);
      q->path_bytes = 8;
      memcpy(at(&a->c, q->path), "f01\0f02", 8);
      break;
    }
    case FSY_OP_HASH_BLOCKS:
      q->length = 4096;
      q->extra = 4096;
      q->count = 1;
      q->results = block_of(a, q, 1, 16);
      break;
    case FSY_OP_NOP: break;
    default: rows_of(s, a, q);
  }
  submit(&a->c);
}

static void need(storm *s) {
  uint32_t id = ++s->need, purpose = noise(s) % 8 ? FSY_WIRE_CONTENT : FSY_WIRE_ATTRIBUTES;
  fsy_sqe *receive = begin(&s->to, FSY_OP_RECEIVE);
  rows_of(s, &s->to, receive);
  receive->fd1 = s->into;
  receive->flags = purpose;
  receive->need = id;
  fsy_sqe *send = begin(&s->from, FSY_OP_SEND);
  send->fd0 = s->source;
  send->flags = purpose;
  send->need = id;
  send->batch = s->from.batch;
  send->count = receive->count;
  send->rows = block_of(&s->from, send, 0, 4 * send->count);
  send->results = block_of(&s->from, send, 1, send->count * (uint32_t)sizeof(fsy_result));
  for (uint32_t i = 0; i < send->count; i++)
    ((uint32_t *)at(&s->from.c, send->rows))[i] = ((uint32_t *)at(&s->to.c, receive->rows))[i] & ~FSY_ROW_EXISTS;
  submit(&s->to.c);
  submit(&s->from.c);
}

/* A lane's ends have the number `s->stream`. */
static void lane(storm *s) {
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  s->stream++;
  for (int i = 0; i < 2; i++) {
    side *a = i ? &s->to : &s->from;
    fsy_sqe *q = begin(a, FSY_OP_STREAM);
    q->fd0 = ends[i];
    q->flags = i ? FSY_STREAM_RECEIVE : FSY_STREAM_SEND;
    q->extra = s->stream;
    q->length = IDLE_MS;
    q->results = block_of(a, q, 1, 8);
    submit(&a->c);
  }
}
static void end_stream(side *a, uint32_t number) {
  begin(a, FSY_OP_STREAM_END)->extra = number;
  submit(&a->c);
}

static void disturb(storm *s, uint32_t first_stream) {
  double rate = noise(s) % 2 ? 0 : 5e7;
  switch (noise(s) % 8) {
    case 0: CHECK_EQ(fsy_set_workers(s->from.c.ring, 1 + noise(s) % 12), 0); break;
    case 1: CHECK_EQ(fsy_set_workers(s->to.c.ring, 1 + noise(s) % 3), 0); break;
    case 2: __atomic_store(&s->from.c.control->rate_bytes_per_second, &rate, __ATOMIC_RELAXED); break;
    case 3:
      if (s->stream - first_stream < 2 * LANES) lane(s);
      break;
    case 4: end_stream(noise(s) % 2 ? &s->from : &s->to, first_stream + 1 + noise(s) % LANES); break;
    default: break;
  }
  (void)__atomic_load_n(&s->to.c.control->bytes_done, __ATOMIC_RELAXED);
}

static void one_round(storm *s) {
  uint32_t first_stream = s->stream, cancels = noise(s) % 4, when = noise(s) % TURNS;
  for (int i = 0; i < LANES; i++) lane(s);
  for (uint32_t turn = 0; turn < TURNS; turn++) {
    side *fuller = s->from.flying > s->to.flying ? &s->from : &s->to;
    if (fuller->flying > SLOTS - 8) reap(fuller, true);
    if (noise(s) % 3 == 0) need(s);
    else local_request(s);
    if (noise(s) % 8 == 0) disturb(s, first_stream);
    if (turn == when && (cancels & 1)) fsy_cancel(s->from.c.ring);
    if (turn == when && (cancels & 2)) fsy_cancel(s->to.c.ring);
    if (noise(s) % 2) reap(&s->from, false);
    if (noise(s) % 2) reap(&s->to, false);
  }
  for (uint32_t number = first_stream + 1; number <= s->stream; number++) {
    if (s->from.flying > SLOTS - 8) reap(&s->from, true);
    end_stream(&s->from, number);
  }
  while (s->from.flying > 0) reap(&s->from, true);
  while (s->to.flying > 0) reap(&s->to, true);
  double unlimited = 0;
  __atomic_store(&s->from.c.control->rate_bytes_per_second, &unlimited, __ATOMIC_RELAXED);
  __atomic_store_n(&s->from.c.control->cancel, 0, __ATOMIC_RELEASE);
  __atomic_store_n(&s->to.c.control->cancel, 0, __ATOMIC_RELEASE);
}

TEST(stress_of_many_workers_streams_and_cancels) {
  const char *longer = getenv("FSY_STRESS_SECONDS");
  double until = longer ? now_seconds() + atof(longer) : 0;
  storm *s = calloc(1, sizeof(*s));
  s->random = 0x9e3779b97f4a7c15u;
  s->source = make_dir(dirfd, "s");
  s->into = make_dir(dirfd, "into");
  for (int i = 0; i < TARGETS; i++) s->target[i] = make_dir(dirfd, (const char *[]){"t0", "t1", "t2"}[i]);
  for (unsigned i = 0; i < FILES; i++) {
    char name[8];
    snprintf(name, sizeof(name), "f%02u", i);
    make_file(s->source, name, i == 5 ? (1 << 20) + 77 : (size_t)i * 3001, i);
  }
  side_open(&s->from, 8);
  side_open(&s->to, 2);
  s->from.batch = walk(&s->from.c, s->source, ".", 0).block;
  fsy_batch *b = batch_of(&s->from.c, s->from.batch);
  close(b->dirfd);
  b->dirfd = FSY_NO_FD;
  s->to.batch = fsy_alloc(s->to.c.ring, b->total_bytes);
  memcpy(at(&s->to.c, s->to.batch), b, b->total_bytes);
  uint64_t used[2] = {__atomic_load_n(&s->from.c.control->arena_used, __ATOMIC_RELAXED),
                      __atomic_load_n(&s->to.c.control->arena_used, __ATOMIC_RELAXED)};
  for (int round = 0; longer ? now_seconds() < until : round < ROUNDS; round++) one_round(s);

  directories d = {s->source, s->target[0], FSY_NO_FD, FSY_NO_FD}; /* and then it works as on the first day */
  copied k = run_batch(&s->from.c, FSY_OP_COPY, d, 0, s->from.batch, true);
  CHECK_EQ(k.cqe.count, FILES);
  for (unsigned i = 0; i < FILES; i++) CHECK(same_file(s->source, name_of(b, i), s->target[0], name_of(b, i)));
  copied_free(&s->from.c, &k, true);
  for (int turn = 0; turn < 100; turn++) { /* quiet requests end unseen: one that is answered comes after them */
    begin(&s->from, FSY_OP_NOP);
    submit(&s->from.c);
    reap(&s->from, true);
    if (__atomic_load_n(&s->from.c.control->arena_used, __ATOMIC_RELAXED) == used[0]) break;
    nanosleep(&(struct timespec){0, 10000000}, NULL);
  }
  CHECK_EQ(__atomic_load_n(&s->from.c.control->arena_used, __ATOMIC_RELAXED), used[0]);
  CHECK_EQ(__atomic_load_n(&s->to.c.control->arena_used, __ATOMIC_RELAXED), used[1]);
  CHECK(s->from.answered > ROUNDS && s->to.answered > 0);
  fsy_close(s->from.c.ring);
  fsy_close(s->to.c.ring);
  for (int i = 0; i < TARGETS; i++) close(s->target[i]);
  close(s->source);
  close(s->into);
  free(s);
}
