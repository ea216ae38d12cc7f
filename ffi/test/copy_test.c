/* Copying: methods, metadata, replacing, changing sources, faults. */
#include "harness.h"

#include <pthread.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

void test_forget_tmpfile(fsy_ring *ring, int dir);
void test_believe_type(fsy_ring *ring, int dir, uint32_t type);

typedef struct pair {
  client c;
  directories d;
} pair;

static pair open_pair(int dirfd, uint32_t flags) {
  pair p;
  p.c = client_open(2);
  options(&p.c)->flags = flags;
  p.d = (directories){make_dir(dirfd, "s"), make_dir(dirfd, "t"), FSY_NO_FD, FSY_NO_FD};
  return p;
}

static void close_pair(pair *p) {
  close(p->d.source);
  close(p->d.target);
  if (p->d.backup >= 0) close(p->d.backup);
  if (p->d.temp >= 0) close(p->d.temp);
  fsy_close(p->c.ring);
}

/* Files of many sizes and modes, links and special files. */
static void make_variety(int s) {
  static const size_t sizes[] = {0, 1, 511, 4095, 4096, 4097, 65535, 65536, 65537, 131071, 262144, 1000003, 9000001};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    char name[32];
    snprintf(name, sizeof(name), "size%zu", sizes[i]);
    make_file(s, name, sizes[i], (unsigned)i);
    CHECK(fchmodat(s, name, (mode_t)(0400 | (i * 37 & 0377)), 0) == 0);
  }
  CHECK(symlinkat("size1", s, "link") == 0);
  CHECK(symlinkat("../../out/of/here", s, "escaping") == 0);
  CHECK(mknodat(s, "fifo", S_IFIFO | 0640, 0) == 0);
  CHECK(mknodat(s, "socket", S_IFSOCK | 0600, 0) == 0);
  if (geteuid() == 0) {
    CHECK(mknodat(s, "null", S_IFCHR | 0666, makedev(1, 3)) == 0);
    CHECK(mknodat(s, "loop", S_IFBLK | 0600, makedev(7, 200)) == 0);
    CHECK(fchownat(s, "size1", 1234, 4321, 0) == 0);
    CHECK(fchownat(s, "link", 77, 88, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(fchownat(s, "fifo", 77, 88, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(fchmodat(s, "size4095", 06755, 0) == 0);
    CHECK(fchmodat(s, "size0", 0, 0) == 0);
  }
  struct timespec times[2] = {{3, 3}, {1234567890, 987654321}};
  CHECK(utimensat(s, "link", times, AT_SYMLINK_NOFOLLOW) == 0);
  CHECK(utimensat(s, "fifo", times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void check_variety(const copied *k, int s, int t) {
  for (uint32_t i = 0; i < k->b->count; i++) {
    const char *name = name_of(k->b, i);
    const fsy_result *r = &k->r[i];
    if (r->status || r->warnings || !same_meta(s, name, t, name))
      printf("  %s: status %d stage %u warnings %x (%d) mode %o -> %o\n", name, r->status, r->stage, r->warnings,
             r->warning_errno, stat_of(s, name).st_mode, stat_of(t, name).st_mode);
    CHECK_EQ(r->status, 0);
    CHECK_EQ(r->warnings, 0);
    CHECK(same_meta(s, name, t, name));
    struct stat st = stat_of(s, name);
    if (S_ISREG(st.st_mode)) CHECK(same_file(s, name, t, name));
    CHECK_EQ(stat_of(t, name).st_rdev, st.st_rdev);
    if (S_ISLNK(st.st_mode)) {
      char a[4096], b[4096];
      ssize_t n = readlinkat(s, name, a, sizeof(a)), m = readlinkat(t, name, b, sizeof(b));
      CHECK(n == m && n > 0 && !memcmp(a, b, (size_t)n));
    }
  }
  CHECK_EQ(temps_in(t), 0);
  CHECK_EQ(entries_in(t), k->b->count);
}

TEST(copy_variety_new_replaced_and_named_temps) {
  pair p = open_pair(dirfd, ALL_META);
  make_variety(p.d.source);
  for (int round = 0; round < 3; round++) { /* new, replaced, replaced without O_TMPFILE */
    if (round == 2) test_forget_tmpfile(p.c.ring, p.d.target);
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(k.cqe.result, 0);
    CHECK_EQ(k.cqe.count, k.b->count);
    check_variety(&k, p.d.source, p.d.target);
    CHECK_EQ(!!(result_of(&k, "size4096")->flags & FSY_ITEM_REPLACED), round > 0);
    copied_free(&p.c, &k, false);
  }
  int fresh = make_dir(dirfd, "t2");
  close(p.d.target);
  p.d.target = fresh;
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0); /* new with named temps */
  check_variety(&k, p.d.source, p.d.target);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(unflagged_existing_names_are_replaced_too) {
  pair p = open_pair(dirfd, ALL_META);
  make_variety(p.d.source);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  copied again = run_batch(&p.c, FSY_OP_COPY, p.d, 0, k.batch, false);
  check_variety(&again, p.d.source, p.d.target);
  copied_free(&p.c, &again, true);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

static void run_method(int dirfd, uint32_t method, uint32_t *seen, int *status) {
  pair p = open_pair(dirfd, FSY_OPT_PERMS | FSY_OPT_TIMES);
  options(&p.c)->methods = 1u << method;
  options(&p.c)->mmap_bytes = 0;
  make_file(p.d.source, "small", 5000, 1);
  make_file(p.d.source, "large", (9u << 20) + 12345, 2);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  *status = result_of(&k, "large")->status;
  *seen = result_of(&k, "large")->method;
  if (!*status) {
    CHECK(same_file(p.d.source, "small", p.d.target, "small"));
    CHECK(same_file(p.d.source, "large", p.d.target, "large"));
    CHECK_EQ(result_of(&k, "small")->method, method);
    CHECK_EQ(result_of(&k, "large")->bytes, method == FSY_METHOD_CLONE ? 0 : (9 << 20) + 12345);
    CHECK_EQ(k.cqe.bytes, method == FSY_METHOD_CLONE ? 0 : (9 << 20) + 12345 + 5000);
  } else {
    CHECK_EQ(entries_in(p.d.target), 0);
  }
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(each_method_forced) {
  for (uint32_t m = FSY_METHOD_CLONE; m <= FSY_METHOD_READ_WRITE; m++) {
    char name[10];
    snprintf(name, sizeof(name), "m%u", m);
    int fd = make_dir(dirfd, name);
    uint32_t seen;
    int status;
    run_method(fd, m, &seen, &status);
    close(fd);
    if (m == FSY_METHOD_CLONE && status == -EOPNOTSUPP) continue; /* this filesystem has no reflinks */
    CHECK_EQ(status, 0);
    CHECK_EQ(seen, m);
  }
}

TEST(refused_methods_fall_through_and_are_remembered) {
  pair p = open_pair(dirfd, FSY_OPT_TIMES);
  make_file(p.d.source, "large", 3000000, 2);
  /* each fast method refuses once: EOPNOTSUPP is 95, EXDEV 18, ENOSYS 38 */
  static const struct {
    const char *plan;
    uint32_t refused, then;
  } turns[] = {{"clone:1:95", FSY_METHOD_CLONE, FSY_METHOD_COPY_FILE_RANGE},
               {"copy_file_range:1:18", FSY_METHOD_COPY_FILE_RANGE, FSY_METHOD_SENDFILE},
               {"sendfile:1:38", FSY_METHOD_SENDFILE, FSY_METHOD_MMAP},
               {"mmap:1:22", FSY_METHOD_MMAP, FSY_METHOD_READ_WRITE}};
  for (size_t i = 0; i < 4; i++) {
    fault(turns[i].plan);
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    fault(NULL);
    const fsy_result *r = result_of(&k, "large");
    CHECK_EQ(r->status, 0);
    CHECK_EQ(r->method, turns[i].then);
    CHECK_EQ(r->refused & (1u << turns[i].refused), 1u << turns[i].refused);
    CHECK(same_file(p.d.source, "large", p.d.target, "large"));
    copied_free(&p.c, &k, false);
  }
  /* lasting refusals are remembered; EINVAL of one file is not */
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(result_of(&k, "large")->method, FSY_METHOD_MMAP);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(a_clone_that_would_have_to_wait_is_a_copy_and_the_next_is_tried_again) {
  pair p = open_pair(dirfd, FSY_OPT_TIMES);
  make_file(p.d.source, "large", 3000000, 2);
  uint32_t can = 0;
  for (int i = 0; i < 8; i++) { /* more often than other doubts are forgiven */
    fault(i < 7 ? "clone:1:11" : NULL);
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    const fsy_result *r = result_of(&k, "large");
    CHECK_EQ(r->status, 0);
    CHECK(same_file(p.d.source, "large", p.d.target, "large"));
    uint32_t refused = r->refused & (1u << FSY_METHOD_CLONE);
    if (i < 7) CHECK_EQ(refused, 1u << FSY_METHOD_CLONE);
    if (i < 7) CHECK(r->method != FSY_METHOD_CLONE);
    else can = refused ? r->refused_errno : 0;
    copied_free(&p.c, &k, false);
  }
  fault(NULL);
  CHECK(can == 0 || can == EOPNOTSUPP); /* asked again, whatever this filesystem says */
  close_pair(&p);
}

TEST(on_zfs_no_file_begins_without_a_name) {
  pair p = open_pair(dirfd, FSY_OPT_TIMES);
  make_file(p.d.source, "small", 5000, 1);
  make_file(p.d.source, "large", 3000000, 2);
  make_file(p.d.target, "large", 77, 9);
  for (int zfs = 0; zfs < 2; zfs++) {
    if (zfs) test_believe_type(p.c.ring, p.d.target, 0x2fc12fc1u);
    fault("link_new:1+:5,link_temp:1+:5"); /* the calls that would wait there */
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    fault(NULL);
    CHECK_EQ(result_of(&k, "small")->status, zfs ? 0 : -5);
    CHECK_EQ(result_of(&k, "large")->status, zfs ? 0 : -5);
    copied_free(&p.c, &k, false);
  }
  CHECK(same_file(p.d.source, "small", p.d.target, "small"));
  CHECK(same_file(p.d.source, "large", p.d.target, "large"));
  CHECK_EQ(temps_in(p.d.target), 0);
  close_pair(&p);
}

TEST(write_errors_leave_nothing) {
  static const char *plans[] = {"create:1:28", "write:1:28",   "read:1:5",     "meta:1:5",       "publish:1:5",
                                "rename:1:5",  "link_temp:1:5", "fsync:1:5",   "open_source:1:13", "verify:1:1"};
  for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
    for (int named = 0; named < 2; named++)
      for (int exists = 0; exists < 2; exists++) {
        char name[32];
        snprintf(name, sizeof(name), "case%zu-%d-%d", i, named, exists);
        int fd = make_dir(dirfd, name);
        pair p = open_pair(fd, ALL_META | FSY_OPT_FSYNC | FSY_OPT_VERIFY);
        options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
        if (named) test_forget_tmpfile(p.c.ring, p.d.target);
        make_file(p.d.source, "f", 5000, 1);
        if (exists) make_file(p.d.target, "f", 77, 9);
        fault(plans[i]);
        copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
        fault(NULL);
        bool skips = (!strncmp(plans[i], "rename", 6) && !exists) ||
                     (!strncmp(plans[i], "link_temp", 9) && (named || !exists));
        if (skips) CHECK_EQ(k.r[0].status, 0);
        else {
          CHECK(k.r[0].status < 0);
          CHECK(k.r[0].stage != FSY_STAGE_NONE);
          CHECK_EQ(k.cqe.count, 0);
          if (exists) CHECK(has_content(p.d.target, "f", 77, 9));
          else CHECK_EQ(entries_in(p.d.target), 0);
        }
        CHECK_EQ(temps_in(p.d.target), 0);
        copied_free(&p.c, &k, false);
        close_pair(&p);
        close(fd);
      }
}

TEST(killed_at_any_step_old_or_new_stands) {
  static const char *points[] = {"create", "read", "write", "meta", "chmod", "utimens", "publish", "link_temp", "rename"};
  for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++)
    for (int named = 0; named < 2; named++) {
      char name[32];
      snprintf(name, sizeof(name), "kill%zu-%d", i, named);
      int fd = make_dir(dirfd, name);
      int s = make_dir(fd, "s"), t = make_dir(fd, "t");
      make_file(s, "f", 200000, 1);
      make_file(t, "f", 77, 9);
      fflush(stdout);
      pid_t child = fork();
      if (child == 0) {
        pair p = open_pair(fd, ALL_META);
        options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
        if (named) test_forget_tmpfile(p.c.ring, p.d.target);
        char plan[64];
        snprintf(plan, sizeof(plan), "%s:1:kill", points[i]);
        fault(plan);
        (void)run_rows(&p.c, FSY_OP_COPY, p.d, 0);
        _exit(0);
      }
      int status;
      waitpid(child, &status, 0);
      bool old = has_content(t, "f", 77, 9), new = has_content(t, "f", 200000, 1);
      CHECK(old || new);
      if (new) CHECK(same_meta(s, "f", t, "f"));
      /* what is left is a temporary that a sweep removes */
      client c = client_open(1);
      uint32_t batch = walk(&c, t, ".", 0).block;
      fsy_batch *b = batch_of(&c, batch);
      close(b->dirfd);
      uint32_t rows = fsy_alloc(c.ring, 4 * b->count), results = fsy_alloc(c.ring, 48 * b->count), n = 0;
      for (uint32_t k = 0; k < b->count; k++)
        if (!strncmp(name_of(b, k), ".fastsync.", 10)) ((uint32_t *)at(&c, rows))[n++] = k;
      fsy_sqe *q = next_sqe(&c, FSY_OP_SWEEP);
      q->fd0 = t;
      q->batch = batch;
      q->rows = rows;
      q->results = results;
      q->count = n;
      fsy_cqe done = call(&c);
      CHECK_EQ(done.count, n);
      CHECK_EQ(temps_in(t), 0);
      CHECK_EQ(entries_in(t), 1);
      fsy_close(c.ring);
      close(s);
      close(t);
      close(fd);
    }
}

TEST(sparse_stays_sparse) {
  pair p = open_pair(dirfd, ALL_META);
  int fd = openat(p.d.source, "sparse", O_RDWR | O_CREAT | O_EXCL, 0644);
  static uint8_t block[1 << 20];
  memset(block, 7, sizeof(block));
  for (int i = 0; i < 64; i++) CHECK(pwrite(fd, block, sizeof(block), (off_t)i * 160 * (1 << 20)) == sizeof(block));
  CHECK(ftruncate(fd, 10ll << 30) == 0);
  close(fd);
  uint32_t masks[] = {1u << FSY_METHOD_READ_WRITE, 1u << FSY_METHOD_SENDFILE, 1u << FSY_METHOD_COPY_FILE_RANGE, 0};
  for (size_t i = 0; i < 4; i++) {
    options(&p.c)->methods = masks[i];
    double from = now_seconds();
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    double seconds = now_seconds() - from;
    CHECK_EQ(k.r[0].status, 0);
    CHECK_EQ(stat_of(p.d.target, "sparse").st_size, 10ll << 30);
    CHECK(stat_of(p.d.target, "sparse").st_blocks <= stat_of(p.d.source, "sparse").st_blocks + 256);
    if (i < 2) CHECK_EQ(k.r[0].bytes, 64 << 20);
    if (getenv("FSY_TEST_TIMES")) printf("sparse 10 GiB with 64 MiB: %.3f s by method %u\n", seconds, k.r[0].method);
    int a = openat(p.d.source, "sparse", O_RDONLY), b = openat(p.d.target, "sparse", O_RDONLY);
    static uint8_t x[1 << 20], y[1 << 20];
    for (int n = 0; n < 64; n++) {
      CHECK(pread(a, x, sizeof(x), (off_t)n * 160 * (1 << 20) - (n ? 4096 : 0)) == sizeof(x));
      CHECK(pread(b, y, sizeof(y), (off_t)n * 160 * (1 << 20) - (n ? 4096 : 0)) == sizeof(y));
      CHECK(!memcmp(x, y, sizeof(x)));
    }
    close(a);
    close(b);
    copied_free(&p.c, &k, false);
  }
  options(&p.c)->flags |= FSY_OPT_VERIFY;
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(k.r[0].status, 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(sparse_over_old_data_in_place) {
  pair p = open_pair(dirfd, ALL_META | FSY_OPT_INPLACE);
  int fd = openat(p.d.source, "f", O_RDWR | O_CREAT | O_EXCL, 0644);
  CHECK(pwrite(fd, "begin", 5, 0) == 5);
  CHECK(pwrite(fd, "end", 3, 3 << 20) == 3);
  CHECK(ftruncate(fd, 4 << 20) == 0);
  close(fd);
  for (int delta = 0; delta < 2; delta++) {
    make_file(p.d.target, "f", 5 << 20, 3);
    options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
    options(&p.c)->flags = ALL_META | FSY_OPT_INPLACE | (delta ? FSY_OPT_DELTA : 0);
    ino_t before = stat_of(p.d.target, "f").st_ino;
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(k.r[0].status, 0);
    CHECK(same_file(p.d.source, "f", p.d.target, "f"));
    CHECK(same_meta(p.d.source, "f", p.d.target, "f"));
    CHECK_EQ(stat_of(p.d.target, "f").st_ino, before);
    copied_free(&p.c, &k, false);
  }
  close_pair(&p);
}

TEST(delta_writes_only_what_differs) {
  for (int in_place = 0; in_place < 2; in_place++) {
    int fd = make_dir(dirfd, in_place ? "i" : "c");
    pair p = open_pair(fd, ALL_META | FSY_OPT_DELTA | (in_place ? FSY_OPT_INPLACE : 0));
    options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
    make_file(p.d.source, "f", 8 << 20, 5);
    make_file(p.d.target, "f", (8 << 20) - 100, 5);
    int file = openat(p.d.source, "f", O_RDWR);
    CHECK(pwrite(file, "changed", 7, 1 << 20) == 7);
    close(file);
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    const fsy_result *r = &k.r[0];
    CHECK_EQ(r->status, 0);
    CHECK(same_file(p.d.source, "f", p.d.target, "f"));
    CHECK(same_meta(p.d.source, "f", p.d.target, "f"));
    if (in_place || r->method == FSY_METHOD_DELTA) CHECK(r->bytes <= 3 * 131072);
    copied_free(&p.c, &k, false);
    close_pair(&p);
    close(fd);
  }
}

TEST(in_place_into_read_only_file) {
  pair p = open_pair(dirfd, FSY_OPT_TIMES | FSY_OPT_INPLACE);
  make_file(p.d.source, "f", 100000, 5);
  make_file(p.d.target, "f", 10, 6);
  CHECK(fchmodat(p.d.target, "f", 0444, 0) == 0);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(k.r[0].status, 0);
  CHECK(has_content(p.d.target, "f", 100000, 5));
  CHECK_EQ(stat_of(p.d.target, "f").st_mode & 07777, 0444);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(without_perms_umask_and_old_modes_rule) {
  pair p = open_pair(dirfd, FSY_OPT_TIMES);
  options(&p.c)->umask_bits = 027;
  make_file(p.d.source, "new", 10, 1);
  make_file(p.d.source, "old", 10, 1);
  make_file(p.d.target, "old", 20, 2);
  CHECK(fchmodat(p.d.source, "new", 04777, 0) == 0);
  CHECK(fchmodat(p.d.source, "old", 0777, 0) == 0);
  CHECK(fchmodat(p.d.target, "old", 0604, 0) == 0);
  if (geteuid() == 0) CHECK(fchownat(p.d.target, "old", 55, 66, 0) == 0);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(k.cqe.count, 2);
  CHECK_EQ(stat_of(p.d.target, "new").st_mode & 07777, 0750);
  CHECK_EQ(stat_of(p.d.target, "old").st_mode & 07777, 0604);
  if (geteuid() == 0) CHECK_EQ(stat_of(p.d.target, "old").st_uid, 55);
  CHECK(has_content(p.d.target, "old", 10, 1));
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(directories_are_replaced_only_when_empty) {
  pair p = open_pair(dirfd, ALL_META);
  const char *names[] = {"empty", "full", "link-over-empty", "link-over-full"};
  make_file(p.d.source, names[0], 10, 1);
  make_file(p.d.source, names[1], 10, 1);
  CHECK(symlinkat("x", p.d.source, names[2]) == 0 && symlinkat("x", p.d.source, names[3]) == 0);
  for (int i = 0; i < 4; i++) {
    int fd = make_dir(p.d.target, names[i]);
    if (i & 1) make_file(fd, "inside", 1, 1);
    close(fd);
  }
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(result_of(&k, names[0])->status, 0);
  CHECK_EQ(result_of(&k, names[1])->status, -ENOTEMPTY);
  CHECK_EQ(result_of(&k, names[1])->stage, FSY_STAGE_PUBLISH);
  CHECK_EQ(result_of(&k, names[2])->status, 0);
  CHECK_EQ(result_of(&k, names[3])->status, -ENOTEMPTY);
  CHECK(has_content(p.d.target, "empty", 10, 1));
  CHECK(S_ISDIR(stat_of(p.d.target, "full").st_mode));
  CHECK_EQ(temps_in(p.d.target), 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(long_names_fit_although_temps_are_needed) {
  pair p = open_pair(dirfd, ALL_META);
  char name[256];
  memset(name, 'z', 255);
  name[255] = 0;
  make_file(p.d.source, name, 1000, 1);
  for (int i = 0; i < 2; i++) {
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(k.r[0].status, 0);
    CHECK(has_content(p.d.target, name, 1000, 1));
    copied_free(&p.c, &k, false);
  }
  close_pair(&p);
}

TEST(a_target_symlink_is_replaced_not_followed) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(dirfd, "victim", 50, 5);
  make_file(p.d.source, "f", 10, 1);
  CHECK(symlinkat("../victim", p.d.target, "f") == 0);
  for (int in_place = 0; in_place < 2; in_place++) {
    if (in_place) {
      unlinkat(p.d.target, "f", 0);
      CHECK(symlinkat("../victim", p.d.target, "f") == 0);
      options(&p.c)->flags |= FSY_OPT_INPLACE;
    }
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(k.r[0].status, 0);
    CHECK(S_ISREG(stat_of(p.d.target, "f").st_mode));
    CHECK(has_content(dirfd, "victim", 50, 5));
    copied_free(&p.c, &k, false);
  }
  close_pair(&p);
}

TEST(no_hard_links_means_named_temps) {
  for (int exists = 0; exists < 2; exists++) {
    int fd = make_dir(dirfd, exists ? "e" : "n");
    pair p = open_pair(fd, ALL_META);
    make_file(p.d.source, "a", 70000, 1);
    make_file(p.d.source, "b", 10, 2);
    if (exists) make_file(p.d.target, "a", 5, 5);
    fault(exists ? "link_temp:1:95" : "link_new:1:1");
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    fault(NULL);
    CHECK_EQ(k.cqe.count, 2);
    CHECK(has_content(p.d.target, "a", 70000, 1) && has_content(p.d.target, "b", 10, 2));
    CHECK(same_meta(p.d.source, "a", p.d.target, "a") && same_meta(p.d.source, "b", p.d.target, "b"));
    CHECK_EQ(temps_in(p.d.target), 0);
    copied_free(&p.c, &k, false);
    close_pair(&p);
    close(fd);
  }
}

/* ---- changing sources ----------------------------------------------------------------------------------------- */

TEST(a_source_changed_since_the_scan_is_read_as_it_is) {
  static const size_t sizes[] = {10, 5000, 70000, 3000000};
  for (size_t i = 0; i < 4; i++)
    for (size_t k2 = 0; k2 < 4; k2++) {
      char name[20];
      snprintf(name, sizeof(name), "c%zu-%zu", i, k2);
      int fd = make_dir(dirfd, name);
      pair p = open_pair(fd, ALL_META);
      make_file(p.d.source, "f", sizes[i], 1);
      uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
      close(batch_of(&p.c, batch)->dirfd);
      make_file(p.d.source, "f", sizes[k2] + 1, 8);
      CHECK(fchmodat(p.d.source, "f", 0611, 0) == 0);
      copied k = run_batch(&p.c, FSY_OP_COPY, p.d, 0, batch, true);
      CHECK_EQ(k.r[0].status, 0);
      CHECK_EQ(k.r[0].flags & FSY_ITEM_RETRIED, FSY_ITEM_RETRIED);
      CHECK_EQ(k.r[0].size, sizes[k2] + 1);
      CHECK(same_file(p.d.source, "f", p.d.target, "f"));
      CHECK(same_meta(p.d.source, "f", p.d.target, "f"));
      copied_free(&p.c, &k, false);
      close_pair(&p);
      close(fd);
    }
}

/* Owners that were mapped stand in the rows, and not in what is read anew. */
TEST(a_changed_source_keeps_the_owner_of_its_row_where_that_was_asked_for) {
  if (geteuid() != 0) return;
  for (uint32_t asked = 0; asked < 2; asked++) {
    char name[20];
    snprintf(name, sizeof(name), "o%u", asked);
    int fd = make_dir(dirfd, name);
    pair p = open_pair(fd, ALL_META | (asked ? FSY_OPT_ROW_OWNERS : 0));
    make_file(p.d.source, "f", 5000, 1);
    uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
    close(batch_of(&p.c, batch)->dirfd);
    u32(batch_of(&p.c, batch), FSY_U32_UID)[0] = 4321;
    u32(batch_of(&p.c, batch), FSY_U32_GID)[0] = 1234;
    make_file(p.d.source, "f", 6000, 8);
    copied k = run_batch(&p.c, FSY_OP_COPY, p.d, 0, batch, true);
    CHECK_EQ(k.r[0].flags & FSY_ITEM_RETRIED, FSY_ITEM_RETRIED);
    struct stat st;
    CHECK(fstatat(p.d.target, "f", &st, 0) == 0);
    CHECK_EQ(st.st_uid, asked ? 4321u : 0u);
    CHECK_EQ(st.st_gid, asked ? 1234u : 0u);
    copied_free(&p.c, &k, false);
    close_pair(&p);
    close(fd);
  }
}

TEST(a_source_that_keeps_changing_is_named_not_published) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "small", 5000, 1);
  fault("changed:1:1");
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0); /* one false alarm: the second pass settles it */
  CHECK_EQ(k.r[0].status, 0);
  CHECK(k.r[0].flags & FSY_ITEM_RETRIED);
  copied_free(&p.c, &k, false);
  uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
  close(batch_of(&p.c, batch)->dirfd);
  make_file(p.d.source, "small", 6000, 2);
  make_file(p.d.target, "small", 3, 3);
  fault("changed:2:1");
  k = run_batch(&p.c, FSY_OP_COPY, p.d, 0, batch, true);
  fault(NULL);
  CHECK_EQ(k.r[0].status, -EBUSY);
  CHECK(k.r[0].flags & FSY_ITEM_CHANGED);
  CHECK(has_content(p.d.target, "small", 3, 3));
  CHECK_EQ(temps_in(p.d.target), 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

typedef struct scribbler {
  int dirfd;
  _Atomic bool stop;
} scribbler;

static void *scribble(void *argument) {
  scribbler *s = argument;
  int fd = openat(s->dirfd, "f", O_RDWR);
  for (uint32_t i = 0; !s->stop; i++) {
    uint8_t stamp[4096];
    memset(stamp, (int)i, sizeof(stamp));
    for (off_t o = 0; o < 4 << 20; o += 1 << 18)
      if (pwrite(fd, stamp, sizeof(stamp), o) < 0) break;
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
  }
  close(fd);
  return NULL;
}

TEST(real_changes_while_reading_never_pass_as_good) {
  pair p = open_pair(dirfd, ALL_META);
  options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  make_file(p.d.source, "f", 4 << 20, 1);
  scribbler s = {p.d.source, false};
  pthread_t thread;
  pthread_create(&thread, NULL, scribble, &s);
  for (int i = 0; i < 20; i++) {
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK(k.r[0].status == -EBUSY || k.r[0].status == 0);
    copied_free(&p.c, &k, false);
  }
  s.stop = true;
  pthread_join(thread, NULL);
  CHECK_EQ(temps_in(p.d.target), 0);
  close_pair(&p);
}

TEST(vanished_and_swapped_sources) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "gone", 10, 1);
  make_file(p.d.source, "link", 10, 1);
  make_file(p.d.source, "fifo", 10, 1);
  uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
  close(batch_of(&p.c, batch)->dirfd);
  unlinkat(p.d.source, "gone", 0);
  unlinkat(p.d.source, "link", 0);
  unlinkat(p.d.source, "fifo", 0);
  CHECK(symlinkat("/etc/passwd", p.d.source, "link") == 0);
  CHECK(mknodat(p.d.source, "fifo", S_IFIFO | 0600, 0) == 0);
  copied k = run_batch(&p.c, FSY_OP_COPY, p.d, 0, batch, true);
  CHECK_EQ(result_of(&k, "gone")->status, -ENOENT);
  CHECK_EQ(result_of(&k, "gone")->stage, FSY_STAGE_OPEN_SOURCE);
  CHECK_EQ(result_of(&k, "link")->status, -ELOOP);
  CHECK(result_of(&k, "fifo")->status < 0);
  CHECK_EQ(entries_in(p.d.target), 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

/* ---- attributes ------------------------------------------------------------------------------------------------------ */

/* version 2; user::rw-, user 1234:r--, group::r--, mask::r--, other::--- */
static const uint8_t acl_value[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 0xd2, 4, 0, 0,
                                    4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255,
                                    32, 0, 0, 0, 255, 255, 255, 255};

static bool has_attr(int dirfd, const char *name, const char *key, const void *value, size_t bytes) {
  char path[64], got[70000];
  snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
  ssize_t n = lgetxattr(path, key, got, sizeof(got));
  return value ? n == (ssize_t)bytes && !memcmp(got, value, bytes) : n < 0;
}

static int set_attr(int dirfd, const char *name, const char *key, const void *value, size_t bytes) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dirfd, name);
  return lsetxattr(path, key, value, bytes, 0);
}

TEST(xattrs_and_acls_arrive_and_extras_go) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "f", 10, 1);
  make_file(p.d.source, "bare", 10, 1);
  CHECK(symlinkat("x", p.d.source, "link") == 0);
  if (set_attr(p.d.source, "f", "user.a", "value", 5) < 0) {
    test_skip("no user xattrs here");
    close_pair(&p);
    return;
  }
  set_attr(p.d.source, "f", "user.empty", "", 0);
  bool acl = set_attr(p.d.source, "f", "system.posix_acl_access", acl_value, sizeof(acl_value)) == 0;
  bool trusted = set_attr(p.d.source, "f", "trusted.t", "t", 1) == 0;
  if (trusted) set_attr(p.d.source, "link", "trusted.l", "l", 1);
  static char big[60000];
  memset(big, 'b', sizeof(big));
  bool large = set_attr(p.d.source, "f", "user.big", big, sizeof(big)) == 0;
  for (int round = 0; round < 3; round++) { /* new; replaced; repaired after damage */
    if (round == 2) {
      set_attr(p.d.target, "f", "user.extra", "1", 1);
      set_attr(p.d.target, "f", "user.a", "wrong", 5);
      set_attr(p.d.target, "bare", "user.extra", "1", 1);
      if (acl) set_attr(p.d.target, "bare", "system.posix_acl_access", acl_value, sizeof(acl_value));
      fchmodat(p.d.target, "f", 0400, 0);
    }
    copied k = run_rows(&p.c, round == 2 ? FSY_OP_REPAIR : FSY_OP_COPY, p.d, 0);
    for (uint32_t i = 0; i < k.b->count; i++) {
      CHECK_EQ(k.r[i].status, 0);
      CHECK_EQ(k.r[i].warnings, 0);
    }
    CHECK(has_attr(p.d.target, "f", "user.a", "value", 5));
    CHECK(has_attr(p.d.target, "f", "user.empty", "", 0));
    CHECK(has_attr(p.d.target, "f", "user.extra", NULL, 0));
    CHECK(has_attr(p.d.target, "bare", "user.extra", NULL, 0));
    CHECK(has_attr(p.d.target, "bare", "system.posix_acl_access", NULL, 0));
    if (acl) CHECK(has_attr(p.d.target, "f", "system.posix_acl_access", acl_value, sizeof(acl_value)));
    if (trusted) CHECK(has_attr(p.d.target, "f", "trusted.t", "t", 1) && has_attr(p.d.target, "link", "trusted.l", "l", 1));
    if (large) CHECK(has_attr(p.d.target, "f", "user.big", big, sizeof(big)));
    CHECK(same_meta(p.d.source, "f", p.d.target, "f"));
    CHECK(same_meta(p.d.source, "bare", p.d.target, "bare"));
    copied_free(&p.c, &k, false);
  }
  /* not asked: not copied, not removed */
  options(&p.c)->flags = FSY_OPT_PERMS | FSY_OPT_TIMES;
  set_attr(p.d.target, "f", "user.extra", "1", 1);
  copied k = run_rows(&p.c, FSY_OP_REPAIR, p.d, 0);
  CHECK(has_attr(p.d.target, "f", "user.extra", "1", 1));
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(inherited_default_acl_goes_only_when_acls_are_preserved) {
  pair p = open_pair(dirfd, ALL_META);
  if (set_attr(p.d.target, ".", "system.posix_acl_default", acl_value, sizeof(acl_value)) < 0) {
    test_skip("no ACLs here");
    close_pair(&p);
    return;
  }
  make_file(p.d.source, "a", 10, 1);
  make_file(p.d.source, "b", 10, 1);
  CHECK(fchmodat(p.d.source, "b", 0755, 0) == 0);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK(has_attr(p.d.target, "a", "system.posix_acl_access", NULL, 0));
  CHECK(has_attr(p.d.target, "b", "system.posix_acl_access", NULL, 0));
  CHECK(same_meta(p.d.source, "a", p.d.target, "a") && same_meta(p.d.source, "b", p.d.target, "b"));
  copied_free(&p.c, &k, false);
  options(&p.c)->flags = FSY_OPT_TIMES;
  unlinkat(p.d.target, "a", 0);
  unlinkat(p.d.target, "b", 0);
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK(has_attr(p.d.target, "a", "system.posix_acl_access", acl_value, sizeof(acl_value)));
  CHECK_EQ(stat_of(p.d.target, "b").st_mode & 07777, 0640); /* 0755 under the ACL: the umask has no say */
  CHECK_EQ(k.r[0].status, 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(setid_never_survives_a_failed_chown) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "f", 10, 1);
  if (geteuid() != 0) {
    test_skip("needs root");
    close_pair(&p);
    return;
  }
  CHECK(fchownat(p.d.source, "f", 1234, 4321, 0) == 0);
  CHECK(fchmodat(p.d.source, "f", 06755, 0) == 0);
  fault("chown:1:1");
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0); /* both refused, then the group alone works */
  fault(NULL);
  CHECK_EQ(k.r[0].status, 0);
  CHECK_EQ(k.r[0].warnings & (FSY_WARN_OWNER | FSY_WARN_GROUP | FSY_WARN_SETID), FSY_WARN_OWNER | FSY_WARN_SETID);
  CHECK_EQ(stat_of(p.d.target, "f").st_mode & 07777, 02755);
  CHECK_EQ(stat_of(p.d.target, "f").st_gid, 4321);
  CHECK(has_content(p.d.target, "f", 10, 1));
  copied_free(&p.c, &k, false);
  options(&p.c)->flags = FSY_OPT_PERMS; /* owner not preserved: setid for somebody else is not either */
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  unlinkat(p.d.target, "f", 0);
  copied_free(&p.c, &k, false);
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(stat_of(p.d.target, "f").st_mode & 07777, 0755);
  copied_free(&p.c, &k, false);
  options(&p.c)->flags = ALL_META;
  options(&p.c)->chown_uid = 99;
  options(&p.c)->chown_gid = 98;
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(stat_of(p.d.target, "f").st_uid, 99);
  CHECK_EQ(stat_of(p.d.target, "f").st_gid, 98);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(refused_attributes_warn_and_the_rest_is_applied) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "f", 10, 1);
  CHECK(fchmodat(p.d.source, "f", 0751, 0) == 0);
  bool attrs = set_attr(p.d.source, "f", "user.a", "1", 1) == 0;
  fault("setxattr:1:95");
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  fault(NULL);
  CHECK_EQ(k.r[0].status, 0);
  if (attrs) CHECK_EQ(k.r[0].warnings, FSY_WARN_XATTR);
  if (attrs) CHECK_EQ(k.r[0].warning_errno, 95);
  CHECK(same_meta(p.d.source, "f", p.d.target, "f"));
  copied_free(&p.c, &k, false);
  fault("utimens:1:1");
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  fault(NULL);
  CHECK_EQ(k.r[0].warnings, FSY_WARN_TIMES);
  CHECK_EQ(stat_of(p.d.target, "f").st_mode & 07777, 0751);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(repair_directory_itself_and_wrong_types) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "f", 10, 1);
  CHECK(symlinkat("/etc/passwd", p.d.target, "f") == 0);
  CHECK(fchmod(p.d.source, 01751) == 0);
  set_attr(p.d.source, ".", "user.dir", "1", 1);
  struct timespec times[2] = {{3, 3}, {1111111111, 222222222}};
  CHECK(futimens(p.d.source, times) == 0);
  uint32_t batch = walk(&p.c, p.d.source, ".", FSY_WALK_XATTRS | FSY_WALK_ACLS).block;
  close(batch_of(&p.c, batch)->dirfd);
  uint32_t rows = fsy_alloc(p.c.ring, 8), results = fsy_alloc(p.c.ring, 96);
  ((uint32_t *)at(&p.c, rows))[0] = 0;
  ((uint32_t *)at(&p.c, rows))[1] = 1; /* == count: the directory */
  fsy_sqe *q = next_sqe(&p.c, FSY_OP_REPAIR);
  q->fd0 = p.d.source;
  q->fd1 = p.d.target;
  q->batch = batch;
  q->rows = rows;
  q->results = results;
  q->count = 2;
  CHECK_EQ(call(&p.c).result, 0);
  fsy_result *r = at(&p.c, results);
  CHECK_EQ(r[0].status, -ESTALE);
  CHECK_EQ(r[1].status, 0);
  CHECK_EQ(r[1].warnings, 0);
  CHECK(same_meta(p.d.source, ".", p.d.target, "."));
  fsy_free(p.c.ring, batch);
  close_pair(&p);
}

/* ---- backups, temp directory, verify, cancel, rate ------------------------------------------------------------------------ */

TEST(backups_keep_what_was_replaced) {
  for (int where = 0; where < 2; where++) {
    int fd = make_dir(dirfd, where ? "elsewhere" : "beside");
    pair p = open_pair(fd, ALL_META);
    p.d.backup = where ? make_dir(fd, "b") : dup(p.d.target);
    uint32_t suffix = put_text(&p.c, ".old~", 6);
    options(&p.c)->suffix_at = suffix;
    make_file(p.d.source, "f", 10, 1);
    CHECK(symlinkat("new", p.d.source, "l") == 0);
    make_file(p.d.target, "f", 20, 2);
    CHECK(symlinkat("old", p.d.target, "l") == 0);
    make_file(p.d.backup, "f.old~", 30, 3); /* an older backup gives way */
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(result_of(&k, "f")->status, 0);
    CHECK_EQ(result_of(&k, "l")->status, 0);
    CHECK(result_of(&k, "f")->flags & FSY_ITEM_BACKED_UP);
    CHECK(has_content(p.d.target, "f", 10, 1));
    CHECK(has_content(p.d.backup, "f.old~", 20, 2));
    char text[10] = {0};
    CHECK(readlinkat(p.d.backup, "l.old~", text, 9) == 3 && !strcmp(text, "old"));
    CHECK(readlinkat(p.d.target, "l", text, 9) == 3 && !strcmp(text, "new"));
    CHECK_EQ(temps_in(p.d.backup), 0);
    copied_free(&p.c, &k, false);
    /* a backup that fails stops the replacing */
    make_file(p.d.source, "f", 11, 4);
    fault("backup:1:5");
    k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    fault(NULL);
    CHECK_EQ(result_of(&k, "f")->status, -EIO);
    CHECK_EQ(result_of(&k, "f")->stage, FSY_STAGE_BACKUP);
    CHECK(has_content(p.d.target, "f", 10, 1));
    CHECK_EQ(temps_in(p.d.target), 0);
    copied_free(&p.c, &k, false);
    /* in place: the old content is copied away first */
    options(&p.c)->flags |= FSY_OPT_INPLACE;
    k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    CHECK_EQ(result_of(&k, "f")->status, 0);
    CHECK(has_content(p.d.target, "f", 11, 4));
    CHECK(has_content(p.d.backup, "f.old~", 10, 1));
    copied_free(&p.c, &k, false);
    close_pair(&p);
    close(fd);
  }
}

TEST(temps_and_backups_on_another_filesystem) {
  char other[] = "/dev/shm/fsy.XXXXXX";
  if (!mkdtemp(other)) {
    test_skip("no /dev/shm");
    return;
  }
  int far = open(other, O_RDONLY | O_DIRECTORY);
  if (stat_of(far, ".").st_dev == stat_of(dirfd, ".").st_dev) test_skip("/dev/shm is the same filesystem");
  pair p = open_pair(dirfd, ALL_META);
  p.d.temp = make_dir(far, "temp");
  p.d.backup = make_dir(far, "backup");
  make_file(p.d.source, "small", 10, 1);
  make_file(p.d.source, "large", 300000, 2);
  set_attr(p.d.source, "large", "user.x", "1", 1);
  if (geteuid() == 0) CHECK(fchownat(p.d.source, "large", 7, 8, 0) == 0);
  CHECK(fchmodat(p.d.source, "large", 0640, 0) == 0);
  for (int round = 0; round < 3; round++) {
    if (round == 2) test_forget_tmpfile(p.c.ring, p.d.temp);
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    for (uint32_t i = 0; i < k.b->count; i++) {
      CHECK_EQ(k.r[i].status, 0);
      CHECK_EQ(!!(k.r[i].flags & FSY_ITEM_BACKED_UP), round > 0);
    }
    CHECK(has_content(p.d.target, "large", 300000, 2) && has_content(p.d.target, "small", 10, 1));
    CHECK(same_meta(p.d.source, "large", p.d.target, "large"));
    CHECK(has_attr(p.d.target, "large", "user.x", "1", 1));
    if (round) CHECK(has_content(p.d.backup, "large", 300000, 2));
    if (round) CHECK(same_meta(p.d.source, "large", p.d.backup, "large"));
    CHECK_EQ(temps_in(p.d.target) + temps_in(p.d.temp) + temps_in(p.d.backup), 0);
    copied_free(&p.c, &k, false);
  }
  unlinkat(p.d.backup, "large", 0);
  unlinkat(p.d.backup, "small", 0);
  close_pair(&p);
  unlinkat(far, "temp", AT_REMOVEDIR);
  unlinkat(far, "backup", AT_REMOVEDIR);
  close(far);
  CHECK(rmdir(other) == 0);
}

TEST(across_filesystems_methods_fall_back) {
  char other[] = "/dev/shm/fsy.XXXXXX";
  if (!mkdtemp(other)) {
    test_skip("no /dev/shm");
    return;
  }
  pair p = open_pair(dirfd, ALL_META);
  close(p.d.target);
  p.d.target = open(other, O_RDONLY | O_DIRECTORY);
  make_variety(p.d.source);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  check_variety(&k, p.d.source, p.d.target);
  if (stat_of(p.d.target, ".").st_dev != stat_of(p.d.source, ".").st_dev) {
    bool refused = false; /* the first file finds out, the pair remembers */
    for (uint32_t i = 0; i < k.b->count; i++) refused |= (k.r[i].refused & (1u << FSY_METHOD_CLONE)) != 0;
    CHECK(refused);
    CHECK(result_of(&k, "size9000001")->method == FSY_METHOD_SENDFILE ||
          result_of(&k, "size9000001")->method == FSY_METHOD_COPY_FILE_RANGE);
  }
  for (uint32_t i = 0; i < k.b->count; i++) unlinkat(p.d.target, name_of(k.b, i), 0);
  copied_free(&p.c, &k, false);
  close_pair(&p);
  CHECK(rmdir(other) == 0);
}

TEST(verify_and_readback) {
  pair p = open_pair(dirfd, ALL_META | FSY_OPT_VERIFY | FSY_OPT_READBACK | FSY_OPT_FSYNC | FSY_OPT_NOATIME);
  make_variety(p.d.source);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  check_variety(&k, p.d.source, p.d.target);
  copied_free(&p.c, &k, false);
  fault("verify:1:1");
  k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  fault(NULL);
  const fsy_result *r = result_of(&k, "size1");
  CHECK_EQ(r->status, -EBADMSG);
  CHECK_EQ(r->stage, FSY_STAGE_VERIFY);
  CHECK(same_file(p.d.source, "size1", p.d.target, "size1")); /* the old one stands */
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(verify_holds_for_the_file_that_crossed_from_another_filesystem) {
  char other[] = "/dev/shm/fsy.XXXXXX";
  if (!mkdtemp(other)) {
    test_skip("no /dev/shm");
    return;
  }
  int far = open(other, O_RDONLY | O_DIRECTORY);
  pair p = open_pair(dirfd, ALL_META | FSY_OPT_VERIFY);
  p.d.temp = far;
  make_file(p.d.source, "f", 300, 1);
  if (stat_of(far, ".").st_dev == stat_of(dirfd, ".").st_dev) test_skip("/dev/shm is the same filesystem");
  else {
    fault("verify:2:1"); /* the first pass is about the temporary there */
    copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
    fault(NULL);
    CHECK_EQ(result_of(&k, "f")->status, -EBADMSG);
    CHECK_EQ(result_of(&k, "f")->stage, FSY_STAGE_VERIFY);
    CHECK_EQ(entries_in(p.d.target) + entries_in(far), 0);
    copied_free(&p.c, &k, false);
  }
  close_pair(&p); /* and with it `far` */
  CHECK(rmdir(other) == 0);
}

TEST(follow_copies_referents) {
  pair p = open_pair(dirfd, FSY_OPT_PERMS | FSY_OPT_TIMES | FSY_OPT_FOLLOW);
  make_file(dirfd, "far", 5000, 3);
  CHECK(symlinkat("../far", p.d.source, "f") == 0);
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  CHECK_EQ(k.r[0].status, 0);
  CHECK(has_content(p.d.target, "f", 5000, 3));
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(cancel_stops_between_slices) {
  pair p = open_pair(dirfd, ALL_META);
  options(&p.c)->methods = 1u << FSY_METHOD_READ_WRITE;
  make_file(p.d.source, "a", 30 << 20, 1);
  make_file(p.d.source, "b", 10, 1);
  p.c.control->rate_bytes_per_second = 4 << 20;
  uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
  close(batch_of(&p.c, batch)->dirfd);
  uint32_t rows = fsy_alloc(p.c.ring, 8), results = fsy_alloc(p.c.ring, 96);
  ((uint32_t *)at(&p.c, rows))[0] = 0;
  ((uint32_t *)at(&p.c, rows))[1] = 1;
  fsy_sqe *q = next_sqe(&p.c, FSY_OP_COPY);
  q->fd0 = p.d.source;
  q->fd1 = p.d.target;
  q->batch = batch;
  q->rows = rows;
  q->results = results;
  q->count = 2;
  submit(&p.c);
  struct timespec pause = {0, 300000000};
  nanosleep(&pause, NULL);
  uint64_t bytes = __atomic_load_n(&p.c.control->bytes_done, __ATOMIC_RELAXED);
  CHECK(bytes > 100000 && bytes < (8 << 20));
  double from = now_seconds();
  __atomic_store_n(&p.c.control->cancel, 1, __ATOMIC_RELEASE);
  fsy_cqe done = next_cqe(&p.c);
  CHECK(now_seconds() - from < 0.5);
  fsy_result *r = at(&p.c, results);
  CHECK_EQ(done.result, -ECANCELED);
  CHECK_EQ(r[0].status, -ECANCELED);
  CHECK_EQ(r[1].status, -ECANCELED);
  CHECK_EQ(entries_in(p.d.target), 0);
  fsy_free(p.c.ring, batch);
  close_pair(&p);
}

TEST(rate_is_kept_over_all_workers) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "a", 4 << 20, 1);
  make_file(p.d.source, "b", 4 << 20, 1);
  options(&p.c)->methods = 1u << FSY_METHOD_COPY_FILE_RANGE;
  p.c.control->rate_bytes_per_second = 8 << 20;
  double from = now_seconds();
  copied k = run_rows(&p.c, FSY_OP_COPY, p.d, 0);
  double seconds = now_seconds() - from;
  CHECK(seconds > 0.7 && seconds < 2.5);
  CHECK_EQ(k.cqe.count, 2);
  copied_free(&p.c, &k, false);
  close_pair(&p);
}

TEST(single_row_under_another_name) {
  pair p = open_pair(dirfd, ALL_META);
  make_file(p.d.source, "from", 100, 1);
  uint32_t batch = walk(&p.c, p.d.source, ".", 0).block;
  close(batch_of(&p.c, batch)->dirfd);
  uint32_t rows = fsy_alloc(p.c.ring, 4), results = fsy_alloc(p.c.ring, 48), name = put_text(&p.c, "to", 3);
  for (int bad = 0; bad < 2; bad++) {
    *(uint32_t *)at(&p.c, rows) = 0;
    fsy_sqe *q = next_sqe(&p.c, FSY_OP_COPY);
    q->fd0 = p.d.source;
    q->fd1 = p.d.target;
    q->batch = batch;
    q->rows = rows;
    q->results = results;
    q->count = 1;
    q->path = bad ? put_text(&p.c, "../to", 6) : name;
    q->path_bytes = bad ? 6 : 3;
    CHECK_EQ(call(&p.c).result, bad ? -EINVAL : 0);
  }
  CHECK(has_content(p.d.target, "to", 100, 1));
  CHECK_EQ(entries_in(p.d.target), 1);
  fsy_free(p.c.ring, batch);
  close_pair(&p);
}
