/* A blocking client of the ring, for tests and benches: one request at a time or a few in flight. */
#ifndef FSY_TEST_CLIENT_H
#define FSY_TEST_CLIENT_H

#include "../fsy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct client {
  fsy_ring *ring;
  uint8_t *base;
  fsy_control *control;
  uint32_t options; /* a block of fsy_options */
} client;

static inline void *at(const client *c, uint32_t block) { return c->base + block; }
static inline fsy_options *options(const client *c) { return at(c, c->options); }

static inline client client_open(uint32_t workers) {
  int32_t error;
  client c;
  c.ring = fsy_open(workers, &error);
  if (!c.ring) {
    fprintf(stderr, "fsy_open: %d\n", error);
    exit(2);
  }
  c.base = fsy_arena(c.ring);
  c.control = (fsy_control *)(void *)c.base;
  c.options = fsy_alloc(c.ring, sizeof(fsy_options));
  fsy_options *o = options(&c);
  memset(o, 0, sizeof(*o));
  o->chown_uid = o->chown_gid = UINT32_MAX;
  o->umask_bits = 022;
  o->small_bytes = 65536;
  o->mmap_bytes = 1u << 20;
  o->run_id_lo = (uint32_t)getpid();
  return c;
}

static inline fsy_sqe *next_sqe(client *c, uint32_t op) {
  fsy_sqe *q = (fsy_sqe *)(void *)(c->base + c->control->sq_at) + (c->control->sq_tail & (FSY_SQ_SIZE - 1));
  memset(q, 0, sizeof(*q));
  q->op = op;
  q->fd0 = q->fd1 = q->fd2 = q->fd3 = FSY_NO_FD;
  q->options = c->options;
  return q;
}

static inline void submit(client *c) {
  c->control->sq_tail++;
  if (fsy_submit(c->ring) != 1) {
    fprintf(stderr, "fsy_submit\n");
    exit(2);
  }
}

/* Waits for one completion through the pipe, as an event loop would. */
static inline fsy_cqe next_cqe(client *c) {
  while (fsy_reap(c->ring) == 0) {
    struct pollfd p = {fsy_wake_fd(c->ring), POLLIN, 0};
    int ready = poll(&p, 1, 20000);
    if (ready < 0 && errno == EINTR) continue; /* a fuzzer's timer */
    if (ready <= 0) {
      fprintf(stderr, "no wake-up\n");
      abort();
    }
    char drain[64];
    while (read(fsy_wake_fd(c->ring), drain, sizeof(drain)) > 0) {
    }
  }
  fsy_cqe *cq = (fsy_cqe *)(void *)(c->base + c->control->cq_at);
  fsy_cqe done = cq[c->control->cq_head & (FSY_CQ_SIZE - 1)];
  c->control->cq_head++;
  return done;
}

static inline fsy_cqe call(client *c) {
  submit(c);
  return next_cqe(c);
}

static inline uint32_t put_text(client *c, const char *text, uint32_t bytes) {
  uint32_t block = fsy_alloc(c->ring, bytes);
  memcpy(at(c, block), text, bytes);
  return block;
}

static inline fsy_cqe walk(client *c, int fd, const char *path, uint32_t flags) {
  uint32_t text = put_text(c, path, (uint32_t)strlen(path) + 1);
  fsy_sqe *q = next_sqe(c, FSY_OP_WALK);
  q->fd0 = fd;
  q->path = text;
  q->path_bytes = (uint32_t)strlen(path) + 1;
  q->flags = flags;
  fsy_cqe done = call(c);
  fsy_free(c->ring, text);
  return done;
}

static inline fsy_batch *batch_of(const client *c, uint32_t block) { return at(c, block); }
static inline double *f64(const fsy_batch *b, uint32_t column) {
  return (double *)(void *)((uint8_t *)(uintptr_t)b + sizeof(*b)) + (size_t)column * (b->count + 1);
}
static inline uint32_t *u32(const fsy_batch *b, uint32_t column) {
  return (uint32_t *)(void *)(f64(b, FSY_F64_COLUMNS)) + (size_t)column * (b->count + 1);
}
static inline const char *name_of(const fsy_batch *b, uint32_t row) {
  return (const char *)b + u32(b, FSY_U32_NAME_AT)[row];
}
static inline const char *link_of(const fsy_batch *b, uint32_t row) {
  return (const char *)b + u32(b, FSY_U32_LINK_AT)[row];
}
static inline int row_of(const fsy_batch *b, const char *name) {
  for (uint32_t i = 0; i < b->count; i++)
    if (!strcmp(name_of(b, i), name)) return (int)i;
  return -1;
}

static inline double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#endif
