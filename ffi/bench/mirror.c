/* mirror SRC DST [workers] [options]: copies a tree through the ring in batches of 128, several directories at once:
 * what the library costs without JavaScript. DST is created. Prints seconds, files and failures. */
#include "../test/client.h"

#define BATCH 128u
#define IN_FLIGHT 32u

/* One directory on its way: source walked, then target made, then its files copied; freed after its last child was
 * submitted. Children are found by path from the roots, so that no descriptor must stay open for them. */
typedef struct directory {
  char *path;
  uint32_t source, target, rows, results, count, left;
} directory;

enum { SOURCE, TARGET, COPY };
static directory *dirs;
static uint32_t dir_count, next_dir, in_flight;
static uint64_t failed, copied, warned;
static int source_root, target_root;
static uint32_t walk_flags;

static void add_dir(char *path) {
  if ((dir_count & (dir_count - 1)) == 0) dirs = realloc(dirs, (dir_count ? 2 * dir_count : 1) * sizeof(*dirs));
  dirs[dir_count++] = (directory){path, 0, 0, 0, 0, 0, 0};
}

static void send_walk(client *c, uint32_t index, uint32_t side) {
  const char *path = dirs[index].path;
  uint32_t text = put_text(c, path, (uint32_t)strlen(path) + 1);
  fsy_sqe *q = next_sqe(c, FSY_OP_WALK);
  q->tag = index * 4 + side;
  q->fd0 = side == SOURCE ? source_root : target_root;
  q->path = text;
  q->path_bytes = (uint32_t)strlen(path) + 1;
  q->flags = side == SOURCE ? walk_flags : FSY_WALK_CREATE;
  submit(c);
  in_flight++; /* the text is leaked into the arena until the end: a bench */
}

static void drop(client *c, directory *d) {
  fsy_result *r = at(c, d->results);
  for (uint32_t i = 0; d->rows && i < d->count; i++) {
    if (r[i].status && failed++ < 5) fprintf(stderr, "%s: failed %d stage %u\n", d->path, r[i].status, r[i].stage);
    if (r[i].warnings) warned++;
  }
  close(batch_of(c, d->source)->dirfd);
  close(batch_of(c, d->target)->dirfd);
  if (d->rows) fsy_free(c->ring, d->rows);
  if (d->results) fsy_free(c->ring, d->results);
  fsy_free(c->ring, d->source);
  fsy_free(c->ring, d->target);
}

static void send_copies(client *c, uint32_t index) {
  directory *d = &dirs[index];
  fsy_batch *b = batch_of(c, d->source), *t = batch_of(c, d->target);
  d->rows = fsy_alloc(c->ring, b->count * 4 + 4);
  d->results = fsy_alloc(c->ring, (b->count + 1) * (uint32_t)sizeof(fsy_result));
  uint32_t *rows = at(c, d->rows), there = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    const char *name = name_of(b, i);
    if (S_ISDIR(u32(b, FSY_U32_MODE)[i])) {
      char *child = malloc(strlen(dirs[index].path) + strlen(name) + 2);
      sprintf(child, "%s%s%s", dirs[index].path, *dirs[index].path ? "/" : "", name);
      add_dir(child);
      d = &dirs[index];
      continue;
    }
    while (there < t->count && strcmp(name_of(t, there), name) < 0) there++;
    rows[d->count++] = i | (there < t->count && !strcmp(name_of(t, there), name) ? FSY_ROW_EXISTS : 0);
  }
  for (uint32_t from = 0; from < d->count; from += BATCH) {
    fsy_sqe *q = next_sqe(c, FSY_OP_COPY);
    q->tag = index * 4 + COPY;
    q->fd0 = b->dirfd;
    q->fd1 = t->dirfd;
    q->count = d->count - from < BATCH ? d->count - from : BATCH;
    q->batch = d->source;
    q->rows = d->rows + from * 4;
    q->results = d->results + from * (uint32_t)sizeof(fsy_result);
    submit(c);
    in_flight++;
    d->left++;
  }
  if (!d->left) drop(c, d);
}

int main(int argc, char **argv) {
  if (argc < 3) return 1;
  client c = client_open(argc > 3 ? (uint32_t)atoi(argv[3]) : 2);
  uint32_t o = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 0)
                        : FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_OWNER | FSY_OPT_GROUP;
  options(&c)->flags = o;
  walk_flags = ((o & FSY_OPT_XATTRS) ? FSY_WALK_XATTRS : 0) | ((o & FSY_OPT_ACLS) ? FSY_WALK_ACLS : 0);
  double from = now_seconds();
  mkdir(argv[2], 0755);
  source_root = open(argv[1], O_RDONLY | O_DIRECTORY);
  target_root = open(argv[2], O_RDONLY | O_DIRECTORY);
  if (source_root < 0 || target_root < 0) return 1;
  add_dir(strdup(""));
  while (in_flight || next_dir < dir_count) {
    while (next_dir < dir_count && in_flight < IN_FLIGHT) send_walk(&c, next_dir++, SOURCE);
    fsy_cqe done = next_cqe(&c);
    in_flight--;
    directory *d = &dirs[done.tag / 4];
    switch (done.tag & 3) {
      case SOURCE:
        d->source = done.block;
        if (done.result) failed++;
        send_walk(&c, done.tag / 4, TARGET);
        break;
      case TARGET:
        d->target = done.block;
        if (done.result) failed++;
        send_copies(&c, done.tag / 4);
        break;
      default:
        copied += done.count;
        if (--d->left == 0) drop(&c, d);
    }
  }
  double seconds = now_seconds() - from;
  printf("%.3f s, %llu copied, %llu failed, %llu warned, worker busy %.3f s\n", seconds, (unsigned long long)copied,
         (unsigned long long)failed, (unsigned long long)warned, (double)c.control->busy_nanos * 1e-9);
  fsy_close(c.ring);
  return failed != 0;
}
