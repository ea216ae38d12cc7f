/* mirror SRC DST [workers] [flags]: copies a tree through the ring, batches of 128, breadth first: what the library
 * costs without JavaScript. DST is created. Prints seconds, files and failures. */
#include "../test/client.h"

#define BATCH 128u
#define IN_FLIGHT 16u

typedef struct directory {
  uint32_t source, target; /* blocks of batches */
  uint32_t left;           /* requests under way */
  uint32_t rows, results, count;
} directory;

static directory *dirs;
static uint32_t dir_count, in_flight;
static uint64_t failed, copied, warned;

static void finish_one(client *c) {
  fsy_cqe done = next_cqe(c);
  in_flight--;
  directory *d = &dirs[done.tag];
  copied += done.count;
  if (--d->left) return;
  const fsy_result *r = at(c, d->results);
  for (uint32_t i = 0; i < d->count; i++) {
    if (r[i].status && failed++ < 5) fprintf(stderr, "failed %d stage %u\n", r[i].status, r[i].stage);
    if (r[i].warnings) warned++;
  }
  close(batch_of(c, d->source)->dirfd);
  close(batch_of(c, d->target)->dirfd);
  fsy_free(c->ring, d->rows);
  fsy_free(c->ring, d->results);
  fsy_free(c->ring, d->source);
  fsy_free(c->ring, d->target);
}

static void mirror(client *c, int source_base, const char *source, int target_base, const char *target) {
  uint32_t block = walk(c, source_base, source, FSY_WALK_OPEN_FOLLOW).block;
  uint32_t other = walk(c, target_base, target, FSY_WALK_CREATE | FSY_WALK_OPEN_FOLLOW).block;
  fsy_batch *b = batch_of(c, block), *t = batch_of(c, other);
  if (b->status || t->status) {
    fprintf(stderr, "walk %s: %d %d\n", source, b->status, t->status);
    failed++;
    return;
  }
  uint32_t index = dir_count++;
  dirs = realloc(dirs, dir_count * sizeof(*dirs));
  directory d = {block, other, 0, fsy_alloc(c->ring, b->count * 4 + 4),
                 fsy_alloc(c->ring, (b->count + 1) * (uint32_t)sizeof(fsy_result)), 0};
  uint32_t *rows = at(c, d.rows);
  for (uint32_t i = 0; i < b->count; i++) {
    if (S_ISDIR(u32(b, FSY_U32_MODE)[i])) continue;
    rows[d.count++] = i | (t->count && row_of(t, name_of(b, i)) >= 0 ? FSY_ROW_EXISTS : 0);
  }
  d.left = (d.count + BATCH - 1) / BATCH;
  dirs[index] = d;
  int source_fd = b->dirfd, target_fd = t->dirfd;
  uint32_t *children = malloc((b->count + 1) * 4), child_count = 0;
  char **names = malloc((b->count + 1) * sizeof(char *));
  for (uint32_t i = 0; i < b->count; i++)
    if (S_ISDIR(u32(b, FSY_U32_MODE)[i])) names[child_count++] = strdup(name_of(b, i));
  if (child_count) { /* children first, while the descriptors are surely open */
    for (uint32_t i = 0; i < child_count; i++) mirror(c, source_fd, names[i], target_fd, names[i]);
  }
  for (uint32_t i = 0; i < child_count; i++) free(names[i]);
  free(names);
  free(children);
  if (d.count == 0) return;
  for (uint32_t from = 0; from < d.count; from += BATCH) {
    while (in_flight >= IN_FLIGHT) finish_one(c);
    fsy_sqe *q = next_sqe(c, FSY_OP_COPY);
    q->tag = index;
    q->fd0 = source_fd;
    q->fd1 = target_fd;
    q->count = d.count - from < BATCH ? d.count - from : BATCH;
    q->batch = block;
    q->rows = d.rows + from * 4;
    q->results = d.results + from * (uint32_t)sizeof(fsy_result);
    submit(c);
    in_flight++;
  }
  /* walk() reaps one completion at a time: it must not see ours */
  while (in_flight) finish_one(c);
}

int main(int argc, char **argv) {
  if (argc < 3) return 1;
  client c = client_open(argc > 3 ? (uint32_t)atoi(argv[3]) : 2);
  options(&c)->flags = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 0)
                                : FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_OWNER | FSY_OPT_GROUP;
  double from = now_seconds();
  mirror(&c, FSY_CWD, argv[1], FSY_CWD, argv[2]);
  double seconds = now_seconds() - from;
  printf("%.3f s, %llu copied, %llu failed, %llu warned, arena in use %llu\n", seconds, (unsigned long long)copied,
         (unsigned long long)failed, (unsigned long long)warned, (unsigned long long)c.control->arena_used);
  fsy_close(c.ring);
  free(dirs);
  return failed != 0;
}
