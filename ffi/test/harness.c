#include "harness.h"

#include <dirent.h>
#include <ftw.h>
#include <sys/mman.h>

static test_case *cases;
static const char *running;
static bool bad;
static int skipped;

void test_register(test_case *test) {
  test->next = cases;
  cases = test;
}

void test_failed(const char *file, int line, const char *what) {
  bad = true;
  printf("FAIL %s: %s:%d: %s\n", running, file, line, what);
}

void test_skip(const char *why) {
  skipped++;
  printf("skip %s: %s\n", running, why);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *root = getenv("FSY_TEST_DIR");
  int passed = 0, failed = 0;
  test_case *order = NULL;
  while (cases) { /* registered last, listed first: turn it round */
    test_case *next = cases->next;
    cases->next = order;
    order = cases;
    cases = next;
  }
  for (test_case *t = order; t; t = t->next) {
    if (argc > 1 && !strstr(t->name, argv[1])) continue;
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/fsy.XXXXXX", root ? root : "/tmp");
    if (!mkdtemp(dir)) {
      perror(dir);
      return 2;
    }
    chmod(dir, 0755);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    running = t->name;
    bad = false;
    int before = open_descriptors();
    double from = now_seconds();
    t->run(dir, fd);
    if (open_descriptors() != before) {
      char text[100];
      snprintf(text, sizeof(text), "descriptors leaked: %d before, %d after", before, open_descriptors());
      test_failed(__FILE__, __LINE__, text);
    }
    if (getenv("FSY_TEST_TIMES")) printf("%6.3f s  %s\n", now_seconds() - from, t->name);
    close(fd);
    if (bad) failed++;
    else passed++;
    nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS);
  }
  printf("%d passed, %d failed%s\n", passed, failed, skipped ? " (some skipped, see above)" : "");
  return failed != 0;
}

int make_dir(int dirfd, const char *name) {
  if (mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST) perror(name);
  return openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void pattern(uint8_t *to, size_t bytes, unsigned seed, size_t offset) {
  for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)((offset + i) * 31 + ((offset + i) >> 9) + seed);
}

void make_file(int dirfd, const char *name, size_t bytes, unsigned seed) {
  int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) perror(name);
  static uint8_t block[1 << 16];
  for (size_t done = 0; done < bytes;) {
    size_t n = bytes - done < sizeof(block) ? bytes - done : sizeof(block);
    pattern(block, n, seed, done);
    if (write(fd, block, n) != (ssize_t)n) perror("write");
    done += n;
  }
  struct timespec times[2] = {{1, 1}, {1500000000 + (time_t)seed, 123456789}};
  futimens(fd, times);
  close(fd);
}

bool has_content(int dirfd, const char *name, size_t bytes, unsigned seed) {
  int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  static uint8_t block[1 << 16], expected[1 << 16];
  struct stat st;
  bool same = fstat(fd, &st) == 0 && st.st_size == (off_t)bytes;
  for (size_t done = 0; same && done < bytes;) {
    size_t n = bytes - done < sizeof(block) ? bytes - done : sizeof(block);
    pattern(expected, n, seed, done);
    same = pread(fd, block, n, (off_t)done) == (ssize_t)n && memcmp(block, expected, n) == 0;
    done += n;
  }
  close(fd);
  return same;
}

struct stat stat_of(int dirfd, const char *name) {
  struct stat st;
  memset(&st, 0, sizeof(st));
  if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) st.st_mode = 0;
  return st;
}

bool same_meta(int a, const char *an, int b, const char *bn) {
  struct stat x = stat_of(a, an), y = stat_of(b, bn);
  return x.st_mode == y.st_mode && x.st_uid == y.st_uid && x.st_gid == y.st_gid &&
         x.st_mtim.tv_sec == y.st_mtim.tv_sec && x.st_mtim.tv_nsec == y.st_mtim.tv_nsec && x.st_mode;
}

bool same_file(int a, const char *an, int b, const char *bn) {
  int x = openat(a, an, O_RDONLY | O_CLOEXEC), y = openat(b, bn, O_RDONLY | O_CLOEXEC);
  static uint8_t p[1 << 16], q[1 << 16];
  bool same = x >= 0 && y >= 0;
  while (same) {
    ssize_t n = read(x, p, sizeof(p)), m = read(y, q, sizeof(q));
    same = n == m && n >= 0 && memcmp(p, q, (size_t)n) == 0;
    if (n <= 0) break;
  }
  if (x >= 0) close(x);
  if (y >= 0) close(y);
  return same;
}

static int count_names(int dirfd, const char *prefix) {
  int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
  DIR *d = fdopendir(fd);
  for (struct dirent *e; (e = readdir(d));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !strncmp(e->d_name, prefix, strlen(prefix))) n++;
  closedir(d);
  return n;
}

int temps_in(int dirfd) { return count_names(dirfd, ".fastsync."); }
int entries_in(int dirfd) { return count_names(dirfd, ""); }

int open_descriptors(void) {
  int n = 0;
  for (int i = 0; i < 4096; i++) n += fcntl(i, F_GETFD) >= 0;
  return n;
}

copied run_batch(client *c, uint32_t op, directories d, uint32_t op_flags, uint32_t batch, bool mark) {
  copied k;
  memset(&k, 0, sizeof(k));
  k.batch = batch;
  k.b = batch_of(c, batch);
  k.rows = fsy_alloc(c->ring, 4 * k.b->count + 4);
  k.results = fsy_alloc(c->ring, k.b->count * ((uint32_t)sizeof(fsy_result) + 32) + 1);
  k.r = at(c, k.results);
  uint32_t *rows = at(c, k.rows), n = 0;
  for (uint32_t i = 0; i < k.b->count; i++) {
    struct stat st;
    if (S_ISDIR(u32(k.b, FSY_U32_MODE)[i])) continue;
    bool exists = mark && fstatat(d.target, name_of(k.b, i), &st, AT_SYMLINK_NOFOLLOW) == 0;
    rows[n++] = i | (exists ? FSY_ROW_EXISTS : 0);
  }
  fsy_sqe *q = next_sqe(c, op);
  q->fd0 = d.source;
  q->fd1 = d.target;
  q->fd2 = d.backup;
  q->fd3 = d.temp;
  q->flags = op_flags;
  q->count = n;
  q->batch = batch;
  q->rows = k.rows;
  q->results = k.results;
  k.cqe = call(c);
  return k;
}

copied run_rows(client *c, uint32_t op, directories d, uint32_t op_flags) {
  uint32_t o = options(c)->flags;
  uint32_t flags = ((o & FSY_OPT_XATTRS) ? FSY_WALK_XATTRS : 0) | ((o & FSY_OPT_ACLS) ? FSY_WALK_ACLS : 0) |
                   ((o & FSY_OPT_XATTR_PRIVILEGED) ? FSY_WALK_XATTR_PRIVILEGED : 0) |
                   ((o & FSY_OPT_FOLLOW) ? FSY_WALK_FOLLOW : 0);
  uint32_t batch = walk(c, d.source, ".", flags).block;
  close(batch_of(c, batch)->dirfd);
  batch_of(c, batch)->dirfd = FSY_NO_FD;
  return run_batch(c, op, d, op_flags, batch, true);
}

const fsy_result *result_of(const copied *k, const char *name) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < k->b->count; i++) {
    if (S_ISDIR(u32(k->b, FSY_U32_MODE)[i])) continue;
    if (!strcmp(name_of(k->b, i), name)) return &k->r[n];
    n++;
  }
  static fsy_result none = {.status = -ENOENT};
  printf("no result for %s\n", name);
  return &none;
}

void copied_free(client *c, copied *k, bool keep_batch) {
  if (!keep_batch) fsy_free(c->ring, k->batch);
  fsy_free(c->ring, k->rows);
  fsy_free(c->ring, k->results);
}
