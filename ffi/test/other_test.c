/* Large files in steps, deleting, linking, renaming, sweeping, hashing, probing. */
#include "harness.h"

#include <grp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "../internal.h"

typedef struct large_run {
  client c;
  int s, t, temp;
  uint32_t batch, rows, results, fds;
  fsy_result *r;
} large_run;

static large_run large_open_test(int dirfd, uint32_t flags, uint32_t workers) {
  large_run l;
  memset(&l, 0, sizeof(l));
  l.c = client_open(workers);
  options(&l.c)->flags = flags;
  l.s = make_dir(dirfd, "s");
  l.t = make_dir(dirfd, "t");
  l.temp = FSY_NO_FD;
  l.rows = fsy_alloc(l.c.ring, 4);
  l.results = fsy_alloc(l.c.ring, sizeof(fsy_result));
  l.fds = fsy_alloc(l.c.ring, 8);
  l.r = at(&l.c, l.results);
  return l;
}

static void rescan(large_run *l) {
  struct stat st;
  if (l->batch) fsy_free(l->c.ring, l->batch);
  l->batch = walk(&l->c, l->s, ".", FSY_WALK_XATTRS | FSY_WALK_ACLS).block;
  close(batch_of(&l->c, l->batch)->dirfd);
  *(uint32_t *)at(&l->c, l->rows) = fstatat(l->t, "f", &st, 0) == 0 ? FSY_ROW_EXISTS : 0;
}

static fsy_cqe large_step(large_run *l, uint32_t op, uint32_t flags) {
  fsy_sqe *q = next_sqe(&l->c, op);
  q->fd0 = l->s;
  q->fd1 = l->t;
  q->fd3 = l->temp;
  q->flags = flags;
  q->count = 1;
  q->batch = l->batch;
  q->rows = l->rows;
  q->results = l->results;
  q->extra = l->fds;
  fsy_cqe done = call(&l->c);
  if (op == FSY_OP_LARGE_BEGIN && done.result == 0) {
    int32_t *fds = at(&l->c, l->fds);
    fds[0] = done.fd0;
    fds[1] = done.fd1;
  }
  return done;
}

static double large_ranges(large_run *l, double from, double size, double step, uint32_t flags, int *status) {
  int32_t *fds = at(&l->c, l->fds);
  uint32_t n = 0;
  double moved = 0;
  for (double offset = from; offset < size; offset += step, n++) {
    fsy_sqe *q = next_sqe(&l->c, FSY_OP_LARGE_RANGE);
    q->fd0 = fds[0];
    q->fd1 = fds[1];
    q->offset = offset;
    q->length = size - offset < step ? size - offset : step;
    q->flags = flags;
    submit(&l->c);
  }
  *status = 0;
  while (n--) {
    fsy_cqe done = next_cqe(&l->c);
    if (done.result) *status = done.result;
    moved += done.bytes;
  }
  return moved;
}

static void large_close(large_run *l) {
  close(l->s);
  close(l->t);
  if (l->temp >= 0) close(l->temp);
  fsy_close(l->c.ring);
}

#define SIZE ((40u << 20) + 777u)

TEST(large_file_by_ranges) {
  for (uint32_t method = FSY_METHOD_CLONE; method <= FSY_METHOD_READ_WRITE; method++) {
    char name[10];
    snprintf(name, sizeof(name), "m%u", method);
    int fd = make_dir(dirfd, name);
    large_run l = large_open_test(fd, ALL_META | FSY_OPT_VERIFY, 3);
    options(&l.c)->methods = 1u << method;
    if (method == FSY_METHOD_CLONE) options(&l.c)->methods = 0;
    make_file(l.s, "f", SIZE, 1);
    CHECK(fchmodat(l.s, "f", 0640, 0) == 0);
    for (int round = 0; round < 2; round++) {
      rescan(&l);
      fsy_cqe done = large_step(&l, FSY_OP_LARGE_BEGIN, 0);
      CHECK_EQ(done.result, 0);
      CHECK_EQ(done.length, SIZE);
      CHECK_EQ(done.bytes, 0);
      int status = 0;
      if (done.method != FSY_METHOD_CLONE) {
        CHECK_EQ(large_ranges(&l, 0, SIZE, 3 << 20, 0, &status), SIZE);
        CHECK_EQ(status, 0);
      }
      done = large_step(&l, FSY_OP_LARGE_COMMIT, 0);
      CHECK_EQ(done.result, 0);
      CHECK_EQ(l.r->status, 0);
      CHECK(same_file(l.s, "f", l.t, "f"));
      CHECK(same_meta(l.s, "f", l.t, "f"));
      CHECK_EQ(entries_in(l.t), 1);
      CHECK_EQ(!!(l.r->flags & FSY_ITEM_REPLACED), round == 1);
    }
    large_close(&l);
    close(fd);
  }
}

TEST(large_part_is_resumed) {
  large_run l = large_open_test(dirfd, ALL_META, 2);
  options(&l.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  make_file(l.s, "f", SIZE, 1);
  rescan(&l);
  fsy_cqe done = large_step(&l, FSY_OP_LARGE_BEGIN, FSY_LARGE_RESUME);
  int status;
  (void)large_ranges(&l, 0, 16 << 20, 4 << 20, 0, &status);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_ABORT, FSY_LARGE_KEEP).result, 0);
  CHECK_EQ(temps_in(l.t), 1);
  done = large_step(&l, FSY_OP_LARGE_BEGIN, FSY_LARGE_RESUME);
  CHECK_EQ(done.result, 0);
  CHECK_EQ(done.bytes, SIZE); /* made to its full size before; holes behind what was copied */
  CHECK_EQ(large_ranges(&l, 0, SIZE, 4 << 20, FSY_LARGE_COMPARE, &status), SIZE - (16 << 20));
  CHECK_EQ(status, 0);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, 0);
  CHECK(same_file(l.s, "f", l.t, "f"));
  CHECK(same_meta(l.s, "f", l.t, "f"));
  CHECK_EQ(entries_in(l.t), 1);
  /* a part of other content is compared, not trusted */
  make_file(l.s, "f", SIZE, 7);
  char part[48];
  snprintf(part, sizeof(part), ".fastsync.%016llx.part", (unsigned long long)fsy_xxh3("f", 1));
  make_file(l.t, part, SIZE + 5000, 1);
  rescan(&l);
  done = large_step(&l, FSY_OP_LARGE_BEGIN, FSY_LARGE_RESUME);
  (void)large_ranges(&l, 0, SIZE, 4 << 20, FSY_LARGE_COMPARE, &status);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, 0);
  CHECK(same_file(l.s, "f", l.t, "f"));
  CHECK(same_meta(l.s, "f", l.t, "f"));
  large_close(&l);
}

TEST(large_part_of_others_is_not_touched) {
  large_run l = large_open_test(dirfd, ALL_META, 2);
  options(&l.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  make_file(l.s, "f", 1 << 20, 1);
  make_file(dirfd, "victim", 5, 5);
  char part[48];
  snprintf(part, sizeof(part), ".fastsync.%016llx.part", (unsigned long long)fsy_xxh3("f", 1));
  for (int how = 0; how < 4; how++) {
    int held = -1;
    if (how == 0) CHECK(symlinkat("../victim", l.t, part) == 0);
    if (how == 1) CHECK(linkat(dirfd, "victim", l.t, part, 0) == 0);
    if (how == 2) CHECK(mknodat(l.t, part, S_IFIFO | 0600, 0) == 0);
    if (how == 3) {
      make_file(l.t, part, 9, 9);
      held = openat(l.t, part, O_RDONLY);
      CHECK(flock(held, LOCK_EX) == 0);
    }
    rescan(&l);
    CHECK_EQ(large_step(&l, FSY_OP_LARGE_BEGIN, FSY_LARGE_RESUME).result, 0);
    int status;
    (void)large_ranges(&l, 0, 1 << 20, 1 << 20, 0, &status);
    CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, 0);
    CHECK(has_content(l.t, "f", 1 << 20, 1));
    CHECK(has_content(dirfd, "victim", 5, 5));
    CHECK_EQ(temps_in(l.t), 1); /* the stranger's */
    if (held >= 0) close(held);
    CHECK(unlinkat(l.t, part, 0) == 0);
  }
  large_close(&l);
}

TEST(large_changed_source_is_refused) {
  large_run l = large_open_test(dirfd, ALL_META, 2);
  options(&l.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  make_file(l.s, "f", 1 << 20, 1);
  make_file(l.t, "f", 10, 2);
  rescan(&l);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_BEGIN, 0).result, 0);
  int status;
  (void)large_ranges(&l, 0, 1 << 20, 1 << 20, 0, &status);
  make_file(l.s, "f", 1 << 20, 3);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, -EBUSY);
  CHECK(l.r->flags & FSY_ITEM_CHANGED);
  CHECK(has_content(l.t, "f", 10, 2));
  CHECK_EQ(temps_in(l.t), 1); /* kept for the next try */
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_BEGIN, 0).result, -EBUSY);
  rescan(&l);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_BEGIN, 0).result, 0);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_ABORT, 0).result, 0);
  CHECK_EQ(temps_in(l.t), 0);
  large_close(&l);
}

TEST(large_delta_and_in_place) {
  for (int in_place = 0; in_place < 2; in_place++) {
    int fd = make_dir(dirfd, in_place ? "i" : "d");
    large_run l = large_open_test(fd, ALL_META | FSY_OPT_DELTA | (in_place ? FSY_OPT_INPLACE : 0), 2);
    options(&l.c)->methods = 1u << FSY_METHOD_READ_WRITE;
    make_file(l.s, "f", SIZE, 1);
    make_file(l.t, "f", SIZE + 100000, 1);
    int file = openat(l.s, "f", O_RDWR);
    CHECK(pwrite(file, "changed", 7, 20 << 20) == 7);
    close(file);
    rescan(&l);
    ino_t before = stat_of(l.t, "f").st_ino;
    fsy_cqe done = large_step(&l, FSY_OP_LARGE_BEGIN, 0);
    CHECK_EQ(done.result, 0);
    int status;
    double moved = large_ranges(&l, 0, SIZE, 4 << 20, done.bytes > 0 ? FSY_LARGE_COMPARE : 0, &status);
    if (done.bytes > 0) CHECK(moved <= 131072);
    CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, 0);
    CHECK(same_file(l.s, "f", l.t, "f"));
    CHECK(same_meta(l.s, "f", l.t, "f"));
    CHECK_EQ(stat_of(l.t, "f").st_ino == before, in_place);
    CHECK_EQ(entries_in(l.t), 1);
    large_close(&l);
    close(fd);
  }
}

TEST(large_temp_directory) {
  large_run l = large_open_test(dirfd, ALL_META, 2);
  options(&l.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  l.temp = make_dir(dirfd, "temp");
  make_file(l.s, "f", 1 << 20, 1);
  rescan(&l);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_BEGIN, 0).result, 0);
  CHECK_EQ(temps_in(l.temp), 1);
  int status;
  (void)large_ranges(&l, 0, 1 << 20, 1 << 20, 0, &status);
  CHECK_EQ(large_step(&l, FSY_OP_LARGE_COMMIT, 0).result, 0);
  CHECK(same_meta(l.s, "f", l.t, "f"));
  CHECK_EQ(temps_in(l.temp) + temps_in(l.t), 0);
  large_close(&l);
}

/* ---- delete, rename, sweep ------------------------------------------------------------------------------------- */

typedef struct rows_run {
  fsy_cqe cqe;
  fsy_result *r;
  uint32_t batch, rows, results;
} rows_run;

/* Runs `op` over all rows of directory fd0 (directories too). */
static rows_run run_all(client *c, uint32_t op, int fd0, int fd1, int fd2, uint32_t flags, uint32_t extra, uint32_t batch) {
  rows_run k;
  memset(&k, 0, sizeof(k));
  k.batch = batch;
  if (!batch) {
    k.batch = walk(c, fd0, ".", 0).block;
    close(batch_of(c, k.batch)->dirfd);
  }
  uint32_t n = batch_of(c, k.batch)->count;
  k.rows = fsy_alloc(c->ring, 4 * n + 4);
  k.results = fsy_alloc(c->ring, (n + 1) * ((uint32_t)sizeof(fsy_result) + 32));
  for (uint32_t i = 0; i < n; i++) ((uint32_t *)at(c, k.rows))[i] = i;
  k.r = at(c, k.results);
  fsy_sqe *q = next_sqe(c, op);
  q->fd0 = fd0;
  q->fd1 = fd1;
  q->fd2 = fd2;
  q->flags = flags;
  q->extra = extra;
  q->count = n;
  q->batch = k.batch;
  q->rows = k.rows;
  q->results = k.results;
  k.cqe = call(c);
  return k;
}

static void run_free(client *c, rows_run *k) {
  fsy_free(c->ring, k->batch);
  fsy_free(c->ring, k->rows);
  fsy_free(c->ring, k->results);
}

TEST(delete_by_row) {
  client c = client_open(2);
  int t = make_dir(dirfd, "t");
  make_file(t, "a", 1, 1);
  make_file(t, "b", 1, 1);
  close(make_dir(t, "empty"));
  int full = make_dir(t, "full");
  make_file(full, "x", 1, 1);
  close(full);
  CHECK(symlinkat("full", t, "link") == 0);
  uint32_t batch = walk(&c, t, ".", 0).block;
  close(batch_of(&c, batch)->dirfd);
  unlinkat(t, "b", 0);
  make_file(t, "b", 1, 1); /* another inode, or at least another ctime; size and mtime are the same */
  make_file(t, "a", 2, 1);
  rows_run k = run_all(&c, FSY_OP_DELETE, t, FSY_NO_FD, FSY_NO_FD, FSY_DELETE_SAME, 0, batch);
  fsy_batch *b = batch_of(&c, batch);
  CHECK_EQ(k.r[row_of(b, "a")].status, -ESTALE);
  CHECK_EQ(k.r[row_of(b, "empty")].status, 0);
  CHECK_EQ(k.r[row_of(b, "full")].status, -ENOTEMPTY);
  CHECK_EQ(k.r[row_of(b, "link")].status, 0);
  run_free(&c, &k);
  CHECK(stat_of(t, "full/x").st_mode);
  k = run_all(&c, FSY_OP_DELETE, t, FSY_NO_FD, FSY_NO_FD, 0, 0, 0);
  CHECK_EQ(entries_in(t), 1);
  run_free(&c, &k);
  close(t);
  fsy_close(c.ring);
}

TEST(delete_into_backup) {
  char other[] = "/dev/shm/fsy.XXXXXX";
  for (int far = 0; far < 2; far++) {
    int here = make_dir(dirfd, far ? "far" : "near");
    client c = client_open(2);
    options(&c)->suffix_at = put_text(&c, "~", 2);
    int t = make_dir(here, "t");
    int b = far && mkdtemp(other) ? open(other, O_RDONLY | O_DIRECTORY) : make_dir(here, "b");
    make_file(t, "f", 70000, 1);
    CHECK(symlinkat("x", t, "l") == 0);
    make_file(b, "f~", 3, 3);
    rows_run k = run_all(&c, FSY_OP_DELETE, t, FSY_NO_FD, b, 0, 0, 0);
    CHECK_EQ(k.cqe.count, 2);
    CHECK(k.r[0].flags & FSY_ITEM_BACKED_UP);
    CHECK(has_content(b, "f~", 70000, 1));
    CHECK(S_ISLNK(stat_of(b, "l~").st_mode));
    CHECK_EQ(entries_in(t), 0);
    CHECK_EQ(entries_in(b), 2);
    /* a backup that is another link of the same file: still one name fewer */
    make_file(t, "g", 5, 5);
    if (!far) CHECK(linkat(t, "g", b, "g~", 0) == 0);
    rows_run again = run_all(&c, FSY_OP_DELETE, t, FSY_NO_FD, b, 0, 0, 0);
    CHECK_EQ(entries_in(t), 0);
    CHECK(has_content(b, "g~", 5, 5));
    run_free(&c, &k);
    run_free(&c, &again);
    unlinkat(b, "f~", 0);
    unlinkat(b, "g~", 0);
    unlinkat(b, "l~", 0);
    close(b);
    if (far) rmdir(other);
    close(t);
    close(here);
    fsy_close(c.ring);
  }
}

TEST(rename_never_replaces) {
  client c = client_open(1);
  int s = make_dir(dirfd, "s"), t = make_dir(dirfd, "t");
  make_file(s, "a", 1, 1);
  make_file(s, "b", 1, 1);
  close(make_dir(s, "d"));
  make_file(t, "b", 9, 9);
  rows_run k = run_all(&c, FSY_OP_RENAME, s, t, FSY_NO_FD, 0, 0, 0);
  CHECK_EQ(k.r[0].status, 0);
  CHECK_EQ(k.r[1].status, -EEXIST);
  CHECK_EQ(k.r[2].status, 0);
  CHECK(has_content(t, "b", 9, 9) && has_content(t, "a", 1, 1) && S_ISDIR(stat_of(t, "d").st_mode));
  run_free(&c, &k);
  close(s);
  close(t);
  fsy_close(c.ring);
}

TEST(sweep_spares_the_living) {
  client c = client_open(1);
  make_file(dirfd, ".fastsync.00000000000000aa.tmp", 1, 1);
  make_file(dirfd, ".fastsync.00000000000000bb.part", 1, 1);
  make_file(dirfd, ".fastsync.00000000000000cc.tmp", 1, 1);
  make_file(dirfd, ".fastsync.mine", 1, 1);
  make_file(dirfd, "user", 1, 1);
  CHECK(symlinkat("x", dirfd, ".fastsync.00000000000000dd.tmp") == 0);
  CHECK(mknodat(dirfd, ".fastsync.00000000000000ee.tmp", S_IFIFO | 0600, 0) == 0);
  int held = openat(dirfd, ".fastsync.00000000000000cc.tmp", O_RDONLY);
  CHECK(flock(held, LOCK_EX) == 0);
  int other = openat(dirfd, ".", O_RDONLY | O_DIRECTORY); /* of another run, which makes links and FIFOs here */
  fsy_hold_names(other);
  rows_run k = run_all(&c, FSY_OP_SWEEP, dirfd, FSY_NO_FD, FSY_NO_FD, 0, 0, 0);
  CHECK_EQ(k.cqe.count, 2);
  CHECK_EQ(k.r[2].status, -EWOULDBLOCK);
  CHECK_EQ(k.r[3].status, -EWOULDBLOCK);
  CHECK_EQ(k.r[4].status, -EWOULDBLOCK);
  CHECK_EQ(k.r[5].status, -EINVAL);
  CHECK_EQ(k.r[6].status, -EINVAL);
  CHECK_EQ(entries_in(dirfd), 5);
  run_free(&c, &k);
  close(other);
  close(held);
  k = run_all(&c, FSY_OP_SWEEP, dirfd, FSY_NO_FD, FSY_NO_FD, 0, 0, 0);
  CHECK_EQ(k.cqe.count, 3);
  CHECK_EQ(entries_in(dirfd), 2);
  run_free(&c, &k);
  fsy_close(c.ring);
}

/* ---- link ------------------------------------------------------------------------------------------------------------ */

static int link_names(client *c, int base, const char *leader, int dir, const char *name) {
  char both[600];
  size_t n = strlen(leader) + 1, m = strlen(name) + 1;
  memcpy(both, leader, n);
  memcpy(both + n, name, m);
  uint32_t text = put_text(c, both, (uint32_t)(n + m));
  fsy_sqe *q = next_sqe(c, FSY_OP_LINK);
  q->fd0 = base;
  q->fd1 = dir;
  q->path = text;
  q->path_bytes = (uint32_t)(n + m);
  int status = call(c).result;
  fsy_free(c->ring, text);
  return status;
}

TEST(link_replaces_atomically) {
  client c = client_open(1);
  int a = make_dir(dirfd, "a"), b = make_dir(dirfd, "b");
  make_file(a, "leader", 10, 1);
  make_file(b, "old", 20, 2);
  CHECK(symlinkat("/etc", dirfd, "out") == 0);
  CHECK(symlinkat("leader", a, "slink") == 0);
  for (int twice = 0; twice < 2; twice++) CHECK_EQ(link_names(&c, dirfd, "a/leader", b, "new"), 0);
  CHECK_EQ(link_names(&c, dirfd, "a/leader", b, "old"), 0);
  CHECK_EQ(stat_of(b, "old").st_ino, stat_of(a, "leader").st_ino);
  CHECK_EQ(stat_of(a, "leader").st_nlink, 3);
  CHECK_EQ(link_names(&c, dirfd, "a/slink", b, "slink"), 0);
  CHECK(S_ISLNK(stat_of(b, "slink").st_mode));
  CHECK(link_names(&c, dirfd, "out/passwd", b, "x") < 0);
  CHECK(link_names(&c, dirfd, "a/../a/leader", b, "x") < 0);
  CHECK(link_names(&c, dirfd, "/etc/passwd", b, "x") < 0);
  CHECK_EQ(link_names(&c, dirfd, "a/none", b, "x"), -ENOENT);
  CHECK_EQ(link_names(&c, dirfd, "a", b, "x"), -EISDIR);
  CHECK_EQ(link_names(&c, dirfd, "a/leader", b, "../x"), -EINVAL);
  CHECK_EQ(temps_in(b), 0);
  CHECK_EQ(entries_in(b), 3);
  close(a);
  close(b);
  fsy_close(c.ring);
}

/* ---- hash, probe, close, sync -------------------------------------------------------------------------------------------- */

TEST(hash_files) {
  client c = client_open(2);
  make_file(dirfd, "a", 3000000, 1);
  make_file(dirfd, "b", 0, 1);
  CHECK(symlinkat("a", dirfd, "l") == 0);
  for (uint32_t kind = 0; kind < 2; kind++) {
    rows_run k = run_all(&c, FSY_OP_HASH, dirfd, FSY_NO_FD, FSY_NO_FD, 0, kind, 0);
    const uint8_t *digests = (const uint8_t *)(k.r + 3);
    char hex[65];
    for (int n = 0; n < 32; n++) snprintf(hex + 2 * n, 3, "%02x", digests[32 + n]);
    CHECK(!strncmp(hex, kind ? "e3b0c44298fc1c149afbf4c8996fb924" : "99aa06d3014798d86001c324468d497f", 32));
    CHECK_EQ(k.r[0].status, 0);
    CHECK_EQ(k.r[0].bytes, 3000000);
    CHECK(k.r[2].status < 0);
    run_free(&c, &k);
  }
  fsy_close(c.ring);
}

TEST(probe_tells_what_works) {
  client c = client_open(1);
  int s = make_dir(dirfd, "s"), t = make_dir(dirfd, "t");
  fsy_sqe *q = next_sqe(&c, FSY_OP_PROBE);
  q->fd0 = s;
  q->fd1 = t;
  fsy_cqe done = call(&c);
  CHECK_EQ(done.result, 0);
  fsy_probe *p = at(&c, done.block);
  CHECK_EQ(p->same_filesystem, 1);
  CHECK_EQ(p->method_status[FSY_METHOD_READ_WRITE], 0);
  CHECK_EQ(p->method_status[FSY_METHOD_SENDFILE], 0);
  CHECK_EQ(p->method_status[FSY_METHOD_MMAP], 0);
  CHECK_EQ(p->method_status[FSY_METHOD_DELTA], 0);
  CHECK_EQ(p->method_status[FSY_METHOD_NONE], 1);
  CHECK_EQ(p->hardlink_status, 0);
  CHECK_EQ(p->symlink_status, 0);
  CHECK_EQ(p->mknod_status, 0);
  CHECK_EQ(p->case_insensitive, 0);
  CHECK_EQ(p->time_granularity_ns, 1);
  CHECK_EQ(entries_in(s) + entries_in(t), 0);
  if (getenv("FSY_TEST_TIMES"))
    printf("probe: clone %d cfr %d tmpfile %d xattr %d acl %d sparse %d fs %x\n", p->method_status[1],
           p->method_status[2], p->tmpfile_status, p->xattr_status, p->acl_status, p->sparse_status, p->target_fs_type);
  close(s);
  close(t);
  fsy_close(c.ring);
}

TEST(close_and_sync) {
  client c = client_open(1);
  uint32_t block = fsy_alloc(c.ring, 16);
  int32_t *fds = at(&c, block);
  fds[0] = dup(dirfd);
  fds[1] = FSY_NO_FD;
  fds[2] = dup(dirfd);
  fsy_sqe *q = next_sqe(&c, FSY_OP_CLOSE);
  q->rows = block;
  q->count = 3;
  fsy_cqe done = call(&c);
  CHECK_EQ(done.result, 0);
  CHECK_EQ(done.count, 2);
  uint64_t used = c.control->arena_used;
  fds[0] = dup(dirfd);
  q = next_sqe(&c, FSY_OP_CLOSE);
  q->rows = block;
  q->count = 1;
  q->flags = FSY_CLOSE_QUIET;
  submit(&c);
  for (uint32_t flags = 0; flags < 2; flags++) {
    q = next_sqe(&c, FSY_OP_SYNC);
    q->fd0 = dirfd;
    q->flags = flags;
    CHECK_EQ(call(&c).result, 0);
  }
  CHECK(c.control->arena_used < used);
  fsy_close(c.ring);
}

/* ---- as an ordinary user -------------------------------------------------------------------------------------------------- */

TEST(as_an_ordinary_user) {
  if (geteuid() != 0) {
    test_skip("starts as root to become a user");
    return;
  }
  int s = make_dir(dirfd, "s"), t = make_dir(dirfd, "t"), locked = make_dir(t, "locked");
  make_file(s, "f", 100, 1);
  make_file(s, "setid", 100, 1);
  make_file(s, "secret", 100, 1);
  CHECK(fchmodat(s, "setid", 06755, 0) == 0);
  CHECK(fchmodat(s, "secret", 0600, 0) == 0);
  CHECK(fchownat(s, "f", 2000, 100, 0) == 0); /* group 100 will be one of ours */
  CHECK(fchown(t, 3000, 3000) == 0);
  CHECK(fchown(locked, 3000, 3000) == 0);
  close(locked);
  CHECK(fchmodat(t, "locked", 0300, 0) == 0);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    gid_t groups[] = {100};
    if (setgroups(1, groups) || setgid(3000) || setuid(3000)) _exit(90);
    client c = client_open(1);
    options(&c)->flags = ALL_META | FSY_OPT_NOATIME;
    directories d = {s, t, FSY_NO_FD, FSY_NO_FD};
    int bad = 0;
    for (int round = 0; round < 2; round++) {
      copied k = run_rows(&c, FSY_OP_COPY, d, 0);
      const fsy_result *r = result_of(&k, "f");
      if (r->status || r->warnings) bad |= 1;
      r = result_of(&k, "setid");
      if (r->status || r->warnings) bad |= 2;
      if (result_of(&k, "secret")->status != -EACCES) bad |= 4;
      copied_free(&c, &k, false);
    }
    fsy_cqe done = walk(&c, t, "locked", FSY_WALK_WRITABLE);
    fsy_batch *b = batch_of(&c, done.block);
    if (b->status || !(b->flags & FSY_BATCH_MADE_WRITABLE) || (u32(b, FSY_U32_MODE)[0] & 07777) != 0300) bad |= 8;
    if (b->dirfd >= 0) close(b->dirfd);
    fsy_close(c.ring);
    _exit(bad);
  }
  int status;
  waitpid(child, &status, 0);
  CHECK_EQ(WEXITSTATUS(status), 0);
  CHECK_EQ(stat_of(t, "f").st_uid, 3000);
  CHECK_EQ(stat_of(t, "f").st_gid, 100);
  CHECK_EQ(stat_of(t, "setid").st_mode & 07777, 0755);
  CHECK_EQ(stat_of(t, "locked").st_mode & 07777, 0700);
  CHECK_EQ(temps_in(t), 0);
  close(s);
  close(t);
}
